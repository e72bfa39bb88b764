//! Approvals: rules, requests and what is said to them (`Microsoft.Authorization/approvalRules` and `/approvalRequests`). Ours;
//! Azure has no such addresses.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// Who may approve.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
pub struct Approvers {
    /// Object ids: people, groups of people, service principals.
    pub principals: Vec<String>,
    /// Roles, whole ids or their GUIDs: people who hold one where the operation is, or above.
    pub roles: Vec<String>,
}

/// A rule in a PUT.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RuleInput {
    /// `deploy`, `roleGrant`, `keyChange` or `purge`.
    pub operation: String,
    /// How many.
    pub approvals: u8,
    /// Whose.
    pub approvers: Approvers,
    /// ISO 8601; a day when nothing is said.
    #[serde(default)]
    pub request_lifetime: Option<String>,
    /// Object ids of whoever needs none; nobody when nothing is said.
    #[serde(default)]
    pub bypass: Vec<String>,
    /// For people.
    #[serde(default)]
    pub description: String,
}

/// A rule as answered.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// Where.
    pub scope: String,
    /// Of what.
    pub operation: Value,
    /// How many.
    pub approvals: u8,
    /// Whose.
    pub approvers: Approvers,
    /// ISO 8601.
    pub request_lifetime: String,
    /// Who needs none.
    pub bypass: Vec<String>,
    /// For people.
    pub description: String,
    /// Object id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub created_on: Option<String>,
    /// Object id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_by: Option<String>,
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub updated_on: Option<String>,
}

/// What is said with a decision.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DecisionInput {
    /// Why.
    pub comment: String,
}

/// A decision as answered.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Decision {
    /// Object id.
    pub principal_id: String,
    /// The name then.
    pub principal_name: String,
    /// `approved` or `denied`.
    pub decision: &'static str,
    /// Why.
    pub comment: String,
    /// RFC 3339.
    pub decided_on: String,
}

/// What one rule demands, and who has approved for it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Progress {
    /// GUID of the rule, or of the eligibility.
    pub demanded_by: String,
    /// How many.
    pub approvals: u8,
    /// Object ids whose approval counts.
    pub approved_by: Vec<String>,
}

/// A request as answered.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Request {
    /// `Pending`, `Approved`, `Denied`, `Expired` or `Used`.
    pub status: &'static str,
    /// The operation's action.
    pub action: String,
    /// The operation's scope.
    pub scope: String,
    /// All that is asked, but secrets.
    pub operation: Value,
    /// A keyed hash of action, scope and all that is asked, secrets included.
    pub digest: String,
    /// Object id.
    pub requestor_id: String,
    /// The name then.
    pub requestor_name: String,
    /// RFC 3339.
    pub created_on: String,
    /// RFC 3339.
    pub expires_on: String,
    /// RFC 3339; when the operation ran.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub used_on: Option<String>,
    /// What was said.
    pub decisions: Vec<Decision>,
    /// What is demanded now.
    pub demands: Vec<Progress>,
}
