//! Policy definitions and assignments (`Microsoft.Authorization`, api-version 2023-04-01), as Azure's policy client sends them.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

/// A definition in a PUT. What the server says of it is accepted back and not read.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Definition {
    /// `Custom`, when anything is said.
    #[serde(default)]
    pub policy_type: Option<String>,
    /// `All` or `Indexed`.
    #[serde(default)]
    pub mode: Option<String>,
    /// For people.
    #[serde(default)]
    pub display_name: Option<String>,
    /// For people.
    #[serde(default)]
    pub description: Option<String>,
    /// The rule.
    pub policy_rule: Value,
    /// Free words.
    #[serde(default)]
    pub metadata: Option<Map<String, Value>>,
    /// The parameters.
    #[serde(default)]
    pub parameters: Option<Map<String, Value>>,
}

/// The value of a parameter.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParameterValue {
    /// The value.
    pub value: Value,
}

/// What is said to whoever is refused.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NonComplianceMessage {
    /// The words.
    pub message: String,
}

/// An assignment in a PUT. What the server says of it is accepted back and not read.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Assignment {
    /// The definition's id.
    pub policy_definition_id: String,
    /// For people.
    #[serde(default)]
    pub display_name: Option<String>,
    /// For people.
    #[serde(default)]
    pub description: Option<String>,
    /// Read-only.
    #[serde(default)]
    pub scope: Option<String>,
    /// Where it does not count.
    #[serde(default)]
    pub not_scopes: Option<Vec<String>>,
    /// Values of the definition's parameters.
    #[serde(default)]
    pub parameters: Option<BTreeMap<String, ParameterValue>>,
    /// `Default` or `DoNotEnforce`.
    #[serde(default)]
    pub enforcement_mode: Option<String>,
    /// One at most.
    #[serde(default)]
    pub non_compliance_messages: Option<Vec<NonComplianceMessage>>,
    /// Free words.
    #[serde(default)]
    pub metadata: Option<Map<String, Value>>,
}
