//! Aliases: the properties of resource types that a policy can name, under the names Azure gives them.

use serde_json::{Value, json};

use super::facts::Facts;
use crate::{
    network::{Answer, PrivateEndpoint, VirtualNetwork},
    resources::{KeyVault, ResourceType, Target, Workspace},
    scoring::{Deployment, Endpoint},
};

/// One name of one property of one type. A name that ends in `[*]` stands for every element of a list.
#[derive(Debug)]
pub(super) struct Alias {
    /// The type that has it.
    pub of: &'static str,
    /// Its name below the type.
    pub path: &'static str,
    /// Its value; `Null` when there is none.
    pub read: fn(&Facts) -> Value,
    /// The words that a modification may give it; none when it cannot be modified.
    pub words: &'static [&'static str],
}

impl Alias {
    /// The one with this full name, in whatever case.
    pub fn named(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|alias| {
            let rest = name.get(..alias.of.len()).filter(|of| of.eq_ignore_ascii_case(alias.of));
            let rest = rest.and_then(|of| name.get(of.len()..)).and_then(|rest| rest.strip_prefix('/'));
            rest.is_some_and(|path| path.eq_ignore_ascii_case(alias.path))
        })
    }

    /// Its value of this resource; `Null` for resources of other types.
    pub fn value(&self, facts: &Facts) -> Value {
        if facts.kind().eq_ignore_ascii_case(self.of) { (self.read)(facts) } else { Value::Null }
    }

    /// Whether it stands for each element of a list.
    pub fn is_each(&self) -> bool {
        self.path.contains("[*]")
    }
}

const fn alias(of: &'static str, path: &'static str, read: fn(&Facts) -> Value) -> Alias {
    Alias { of, path, read, words: &[] }
}

/// All there are.
const ALL: &[Alias] = &[
    Alias {
        of: Workspace::TYPE,
        path: "publicNetworkAccess",
        read: |facts| json!(if facts.network.rules.public_access { "Enabled" } else { "Disabled" }),
        words: &["Enabled", "Disabled"],
    },
    alias(Workspace::TYPE, "ipAllowlist", allowed),
    alias(Workspace::TYPE, "ipAllowlist[*]", allowed),
    alias(Workspace::TYPE, "sku.name", edition),
    alias(Workspace::TYPE, "sku.tier", edition),
    alias(Workspace::TYPE, "friendlyName", |facts| stored(facts, "/friendly_name")),
    alias(Workspace::TYPE, "description", |facts| stored(facts, "/description")),
    // What was stored before there was the flag does not say it.
    alias(Workspace::TYPE, "hbiWorkspace", |facts| json!(stored(facts, "/hbi").as_bool().unwrap_or(false))),
    alias(Workspace::TYPE, "storageAccount", |facts| stored(facts, "/storage_account")),
    alias(Workspace::TYPE, "keyVault", |facts| stored(facts, "/key_vault")),
    alias(Workspace::TYPE, "applicationInsights", |facts| stored(facts, "/application_insights")),
    alias(Workspace::TYPE, "containerRegistry", |facts| stored(facts, "/container_registry")),
    alias(Workspace::TYPE, "softDeleteRetentionInDays", |facts| stored(facts, "/retention_days")),
    alias(Workspace::TYPE, "privateEndpointConnections", connections),
    alias(Workspace::TYPE, "privateEndpointConnections[*].privateLinkServiceConnectionState.status", connections),
    alias(Target::TYPE, "identity.type", target_identity),
    alias(Endpoint::TYPE, "authMode", |facts| match facts.properties.pointer("/form").and_then(Value::as_str) {
        Some("Off") => json!("None"),
        Some("Key") => json!("Key"),
        Some("Token") => json!("AMLToken"),
        _ => Value::Null,
    }),
    alias(Endpoint::TYPE, "description", |facts| stored(facts, "/description")),
    alias(Deployment::TYPE, "instanceType", |facts| stored(facts, "/plan/instance_type")),
    alias(Deployment::TYPE, "appInsightsEnabled", |facts| stored(facts, "/plan/app_insights")),
    alias(Deployment::TYPE, "model", |facts| stored(facts, "/image/model")),
    // What is not said of a vault is as it is made.
    alias(KeyVault::TYPE, "enablePurgeProtection", |facts| {
        json!(stored(facts, "/purge_protection").as_bool().unwrap_or(false))
    }),
    alias(KeyVault::TYPE, "enableRbacAuthorization", |_| json!(true)),
    alias(KeyVault::TYPE, "enableSoftDelete", |_| json!(true)),
    alias(KeyVault::TYPE, "softDeleteRetentionInDays", |facts| {
        json!(stored(facts, "/retention_days").as_u64().unwrap_or(90))
    }),
    alias(KeyVault::TYPE, "tenantId", |facts| stored(facts, "/tenant")),
    alias(VirtualNetwork::TYPE, "addressSpace.addressPrefixes", |facts| stored(facts, "/address_space")),
    alias(VirtualNetwork::TYPE, "addressSpace.addressPrefixes[*]", |facts| stored(facts, "/address_space")),
    alias(VirtualNetwork::TYPE, "subnets[*].name", |facts| {
        let subnets = facts.properties.pointer("/subnets").and_then(Value::as_array);
        subnets.map_or(Value::Null, |all| all.iter().map(|subnet| subnet.get("name").cloned()).collect())
    }),
    alias(PrivateEndpoint::TYPE, "subnet.id", |facts| stored(facts, "/subnet")),
];

fn stored(facts: &Facts, pointer: &str) -> Value {
    facts.properties.pointer(pointer).cloned().unwrap_or_default()
}

fn allowed(facts: &Facts) -> Value {
    facts.network.rules.ip_allow.iter().map(|network| json!(network.to_string())).collect()
}

fn edition(facts: &Facts) -> Value {
    stored(facts, "/edition")
}

fn connections(facts: &Facts) -> Value {
    let word = |answer: &Answer| match answer {
        Answer::Pending => "Pending",
        Answer::Approved => "Approved",
        Answer::Rejected => "Rejected",
        Answer::Disconnected => "Disconnected",
    };
    facts.network.connections.iter().map(|connection| json!(word(&connection.answer))).collect()
}

/// Azure's word for whom a target's jobs may act as.
fn target_identity(facts: &Facts) -> Value {
    let has = |pointer: &str| match facts.properties.pointer(pointer) {
        Some(Value::Array(list)) => !list.is_empty(),
        Some(Value::Object(map)) => !map.is_empty(),
        _ => false,
    };
    json!(match (has("/identities/system"), has("/identities/user_assigned")) {
        (true, true) => "SystemAssigned,UserAssigned",
        (true, false) => "SystemAssigned",
        (false, true) => "UserAssigned",
        (false, false) => "None",
    })
}
