//! Assignments as they are stored.

use kernel::ResourceId;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{access::Authored, gate::Record};

/// An assignment: this definition counts here and below.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PolicyAssignment {
    /// Where.
    pub scope: ResourceId,
    /// Its name, one of its scope.
    pub name: String,
    /// For people.
    pub display_name: String,
    /// For people.
    pub description: String,
    /// The definition's full id.
    pub definition: String,
    /// Values of its parameters.
    pub parameters: Map<String, Value>,
    /// Where it does not count.
    pub not_scopes: Vec<ResourceId>,
    /// Whether it has its effect (`Default`), or is only reported (`DoNotEnforce`).
    pub is_enforced: bool,
    /// Said to whoever is refused.
    pub message: Option<String>,
    /// Free words.
    pub metadata: Map<String, Value>,
    /// Who made it and changed it last.
    pub authored: Option<Authored>,
}

impl Record for PolicyAssignment {
    const TABLE: &'static str = "policy-assignment";
}

impl PolicyAssignment {
    /// Its full id.
    pub fn id(&self) -> String {
        format!("{}/providers/Microsoft.Authorization/policyAssignments/{}", self.scope, self.name)
    }
}
