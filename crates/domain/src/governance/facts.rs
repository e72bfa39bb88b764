//! What a policy sees of a resource.

use std::collections::BTreeMap;

use kernel::{Error, ResourceId, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{gate::Record, network::NetworkView, resources::Resource, resources::ResourceGroup};

/// A resource of any type, as it is stored.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct AnyResource(pub(crate) Value);

impl Record for AnyResource {
    const TABLE: &'static str = <Resource<ResourceGroup> as Record>::TABLE;
}

/// The part of a stored resource that policies are about.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Facts {
    /// Its id.
    pub id: ResourceId,
    /// Where it is.
    #[serde(default)]
    pub location: String,
    /// Free labels.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// Its properties as they are stored; aliases read them.
    #[serde(default)]
    pub properties: Value,
    /// Of a workspace: from where it is reached.
    #[serde(skip)]
    pub network: NetworkView,
}

impl Facts {
    /// Of a stored resource.
    pub fn of(stored: Value) -> Result<Self> {
        serde_json::from_value(stored).map_err(Error::internal)
    }

    /// Its full type, as its id says it: `Microsoft.MachineLearningServices/workspaces/computes`.
    pub fn kind(&self) -> String {
        kind_of(&self.id)
    }

    /// Whether the same would be judged of both, but for the network.
    pub fn is_like(&self, other: &Self) -> bool {
        self.location == other.location && self.tags == other.tags && self.properties == other.properties
    }
}

/// The type that an id names: that of a resource group where it names none.
pub(super) fn kind_of(id: &ResourceId) -> String {
    let mut segments = id.segments().skip_while(|segment| !segment.eq_ignore_ascii_case("providers"));
    let Some(namespace) = segments.nth(1) else { return String::from("Microsoft.Resources/resourceGroups") };
    let types = segments.step_by(2);
    std::iter::once(namespace).chain(types).collect::<Vec<_>>().join("/")
}
