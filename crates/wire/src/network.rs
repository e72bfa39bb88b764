//! Virtual networks, private endpoints and their connections (`Microsoft.Network`, and what workspaces have of it).

use std::collections::BTreeMap;

use serde::Deserialize;

/// Properties of a network that callers may set.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct VirtualNetworkInput {
    /// Its ranges.
    pub address_space: AddressSpace,
    /// Its subnets; those that are there stay when none is said.
    #[serde(default)]
    pub subnets: Option<Vec<SubnetPut>>,
}

/// The ranges of a network.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AddressSpace {
    /// In CIDR notation.
    pub address_prefixes: Vec<String>,
}

/// A subnet in a PUT, or within a network.
#[derive(Debug, Clone, Deserialize)]
pub struct SubnetPut {
    /// Its name; read from the address in a PUT of its own.
    #[serde(default)]
    pub name: Option<String>,
    /// The rest.
    pub properties: SubnetInput,
}

/// Properties of a subnet that callers may set.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SubnetInput {
    /// Its range, when it is one.
    #[serde(default)]
    pub address_prefix: Option<String>,
    /// Its ranges.
    #[serde(default)]
    pub address_prefixes: Vec<String>,
}

/// A private endpoint in a PUT.
#[derive(Debug, Clone, Deserialize)]
pub struct PrivateEndpointPut {
    /// Where.
    #[serde(default)]
    pub location: Option<String>,
    /// Free labels.
    #[serde(default)]
    pub tags: Option<BTreeMap<String, String>>,
    /// The rest.
    pub properties: PrivateEndpointInput,
}

/// Properties of a private endpoint that callers may set.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PrivateEndpointInput {
    /// The subnet whose addresses it stands for.
    pub subnet: Reference,
    /// Connections that the caller approves where it may.
    #[serde(default)]
    pub private_link_service_connections: Vec<LinkPut>,
    /// Connections that others approve.
    #[serde(default)]
    pub manual_private_link_service_connections: Vec<LinkPut>,
}

/// A resource, by its id.
#[derive(Debug, Clone, Deserialize)]
pub struct Reference {
    /// The id.
    pub id: String,
}

/// A connection as a private endpoint asks for it.
#[derive(Debug, Clone, Deserialize)]
pub struct LinkPut {
    /// What the endpoint's side calls it.
    pub name: String,
    /// The rest.
    pub properties: LinkInput,
}

/// What a connection leads to.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LinkInput {
    /// Id of the workspace.
    pub private_link_service_id: String,
    /// `amlworkspace`
    #[serde(default)]
    pub group_ids: Vec<String>,
    /// For whoever answers.
    #[serde(default)]
    pub request_message: Option<String>,
}

/// The answer to a connection's request, in a PUT.
#[derive(Debug, Clone, Deserialize)]
pub struct ConnectionPut {
    /// The rest.
    pub properties: ConnectionInput,
}

/// Properties of a connection that callers may set.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ConnectionInput {
    /// The answer.
    pub private_link_service_connection_state: ConnectionState,
}

/// The answer.
#[derive(Debug, Clone, Deserialize)]
pub struct ConnectionState {
    /// `Approved` or `Rejected`.
    pub status: String,
    /// For people.
    #[serde(default)]
    pub description: Option<String>,
}
