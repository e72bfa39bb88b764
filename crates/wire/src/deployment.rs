//! Deployments of templates (`Microsoft.Resources/deployments`).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value};

/// A deployment in a PUT, or in a POST to `validate` or `whatIf`.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct PutDeployment {
    /// Where its record lies; for deployments to subscriptions.
    #[serde(default)]
    pub location: Option<String>,
    /// Free labels.
    #[serde(default)]
    pub tags: Option<BTreeMap<String, String>>,
    /// The rest.
    pub properties: DeploymentInput,
}

/// What is to be deployed.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DeploymentInput {
    /// The template.
    #[serde(default)]
    pub template: Option<Value>,
    /// `{"name": {"value": …}}`
    #[serde(default)]
    pub parameters: Option<Map<String, Value>>,
    /// `Incremental`
    #[serde(default)]
    pub mode: Option<String>,
    /// Not offered: the server fetches no templates.
    #[serde(default)]
    pub template_link: Option<Value>,
    /// Not offered: the server fetches no parameters.
    #[serde(default)]
    pub parameters_link: Option<Value>,
    /// Not offered.
    #[serde(default)]
    pub on_error_deployment: Option<Value>,
}
