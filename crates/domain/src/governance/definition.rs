//! Definitions as they are stored.

use kernel::SubscriptionId;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::rule::Rule;
use crate::{access::Authored, gate::Record};

/// What a definition is asked about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mode {
    /// Resource groups too.
    #[default]
    All,
    /// What has tags and a place, and no resource groups.
    Indexed,
}

/// A definition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PolicyDefinition {
    /// The subscription; none for those that ship.
    pub subscription: Option<SubscriptionId>,
    /// Its name.
    pub name: String,
    /// For people.
    pub display_name: String,
    /// For people.
    pub description: String,
    /// What it is asked about.
    pub mode: Mode,
    /// Free words, such as a category.
    pub metadata: Map<String, Value>,
    /// The parameters, as they were written.
    pub parameters: Map<String, Value>,
    /// The rule, as it was written.
    pub rule: Value,
    /// Who made it and changed it last; nobody made those that ship.
    pub authored: Option<Authored>,
}

impl Record for PolicyDefinition {
    const TABLE: &'static str = "policy-definition";
}

impl PolicyDefinition {
    /// Its full id.
    pub fn id(&self) -> String {
        let base = self.subscription.map(|id| format!("/subscriptions/{id}")).unwrap_or_default();
        format!("{base}/providers/Microsoft.Authorization/policyDefinitions/{}", self.name)
    }

    /// The rule, read.
    pub(super) fn rule(&self) -> kernel::Result<Rule> {
        Rule::read(&self.rule, &self.parameters)
    }
}
