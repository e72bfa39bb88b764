//! The network rules of a workspace, as they are asked for and stored (`publicNetworkAccess`, `ipAllowlist`).

use kernel::{Error, ResourceId, Result, WorkspaceId};
use serde::{Deserialize, Serialize};

use super::Connection;
use crate::{
    gate::{Admission, Changes, Record, Row},
    identity::Network,
};

/// Addresses and ranges of one allow-list; Azure's bound.
const MOST_ALLOWED: usize = 200;

/// From where a workspace may be reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkRules {
    /// Whether others than approved private endpoints may reach it at all.
    pub public_access: bool,
    /// The only addresses that may, while public access is on; any when empty.
    pub ip_allow: Vec<Network>,
    /// Whether an empty list lets nobody in (`networkAcls.defaultAction` of storage accounts is `Deny`).
    #[serde(default)]
    pub denies_others: bool,
}

impl NetworkRules {
    /// Whether an address is let in without a private endpoint.
    pub(super) fn lets_in(&self, is_listed: impl Fn(&[Network]) -> bool) -> bool {
        let any = self.ip_allow.is_empty() && !self.denies_others;
        self.public_access && (any || is_listed(&self.ip_allow))
    }
}

impl Default for NetworkRules {
    fn default() -> Self {
        Self { public_access: true, ip_allow: Vec::new(), denies_others: false }
    }
}

/// The stored rules of one workspace, by its GUID. No row means that there are none: everybody may reach it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct WorkspaceNetwork {
    /// The workspace.
    pub scope: ResourceId,
    /// Its rules.
    pub rules: NetworkRules,
    /// Its private endpoint connections.
    #[serde(default)]
    pub connections: Vec<Connection>,
}

impl Record for WorkspaceNetwork {
    const TABLE: &'static str = "network-rules";
}

/// What a caller says of the rules; what is not said stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkRequest {
    /// `Enabled` or `Disabled`.
    pub public_network_access: Option<String>,
    /// Addresses and ranges in CIDR notation; replaces the present list.
    pub ip_allowlist: Option<Vec<String>>,
}

impl NetworkRequest {
    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The rules as they are to be.
    ///
    /// # Errors
    /// `Invalid`, naming the field.
    pub(crate) fn apply(&self, rules: &mut NetworkRules) -> Result<()> {
        if let Some(word) = &self.public_network_access {
            rules.public_access = match word.to_ascii_lowercase().as_str() {
                "enabled" => true,
                "disabled" => false,
                _ => return Err(Error::invalid("properties.publicNetworkAccess", "must be `Enabled` or `Disabled`")),
            };
        }
        if let Some(list) = &self.ip_allowlist {
            rules.ip_allow = parse_list("properties.ipAllowlist", list)?;
        }
        Ok(())
    }
}

/// Reads a list of networks: strictly, without what it holds twice, and bounded.
pub(super) fn parse_list(field: &str, list: &[String]) -> Result<Vec<Network>> {
    if list.len() > MOST_ALLOWED {
        return Err(Error::invalid(field, format_args!("at most {MOST_ALLOWED} addresses and ranges")));
    }
    let mut networks = Vec::with_capacity(list.len());
    for text in list {
        let network = parse(text).map_err(|why| {
            let shown: String = text.chars().take(60).collect();
            Error::invalid(field, format_args!("`{shown}` {why}"))
        })?;
        if !networks.contains(&network) {
            networks.push(network);
        }
    }
    Ok(networks)
}

fn parse(text: &str) -> std::result::Result<Network, &'static str> {
    // Peers in this form are compared as the IPv4 addresses they are, so such a rule would never hold.
    let address = text.split('/').next().unwrap_or_default();
    if address.parse::<std::net::Ipv6Addr>().is_ok_and(|v6| v6.to_ipv4_mapped().is_some()) {
        return Err("is an IPv4 address in IPv6 form; write it as IPv4");
    }
    text.parse()
}

/// Changes the rules of a workspace with `changes`. Nothing is written when nothing is said.
pub(crate) async fn change(
    cx: &Admission<'_>,
    changes: &mut Changes,
    scope: &ResourceId,
    workspace: WorkspaceId,
    request: &NetworkRequest,
) -> Result<()> {
    if request.is_empty() {
        return Ok(());
    }
    let mut row = stored(cx, scope, workspace).await?;
    request.apply(&mut row.value.rules)?;
    let rules = &row.value.rules;
    cx.note("publicNetworkAccess", if rules.public_access { "Enabled" } else { "Disabled" });
    cx.note("ipAllowlist", rules.ip_allow.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
    displace(cx, changes, &row).await?;
    changes.put(cx.system(), &row)?;
    Ok(())
}

/// What a caller says of a storage account's rules; what is not said stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountNetworkRequest {
    /// `Enabled` or `Disabled`.
    pub public_network_access: Option<String>,
    /// `Allow` or `Deny`: what becomes of addresses that no rule names.
    pub default_action: Option<String>,
    /// Addresses and ranges in CIDR notation; replaces the present list.
    pub ip_rules: Option<Vec<String>>,
}

impl AccountNetworkRequest {
    fn apply(&self, rules: &mut NetworkRules) -> Result<()> {
        if let Some(word) = &self.public_network_access {
            let field = "properties.publicNetworkAccess";
            rules.public_access = match word.to_ascii_lowercase().as_str() {
                "enabled" => true,
                "disabled" => false,
                _ => return Err(Error::invalid(field, "must be `Enabled` or `Disabled`")),
            };
        }
        if let Some(word) = &self.default_action {
            rules.denies_others = match word.to_ascii_lowercase().as_str() {
                "allow" => false,
                "deny" => true,
                _ => return Err(Error::invalid("properties.networkAcls.defaultAction", "must be `Allow` or `Deny`")),
            };
        }
        if let Some(list) = &self.ip_rules {
            rules.ip_allow = parse_list("properties.networkAcls.ipRules", list)?;
        }
        Ok(())
    }
}

/// Changes the rules of a storage account with `changes`. Nothing is written when nothing is said.
pub(crate) async fn change_account(
    cx: &Admission<'_>,
    changes: &mut Changes,
    scope: &ResourceId,
    account: uuid::Uuid,
    request: &AccountNetworkRequest,
) -> Result<()> {
    if *request == AccountNetworkRequest::default() {
        return Ok(());
    }
    let mut row = stored(cx, scope, account.into()).await?;
    request.apply(&mut row.value.rules)?;
    let rules = &row.value.rules;
    cx.note("publicNetworkAccess", if rules.public_access { "Enabled" } else { "Disabled" });
    cx.note("defaultAction", if rules.denies_others { "Deny" } else { "Allow" });
    cx.note("ipRules", rules.ip_allow.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
    displace(cx, changes, &row).await?;
    changes.put(cx.system(), &row)?;
    Ok(())
}

/// Removes what is left of an earlier workspace of this name: one scope has one set of rules.
pub(super) async fn displace(cx: &Admission<'_>, changes: &mut Changes, row: &Row<WorkspaceNetwork>) -> Result<()> {
    if row.version > 0 {
        return Ok(());
    }
    for other in cx.all::<WorkspaceNetwork>(cx.system(), b"").await? {
        if other.value.scope == row.value.scope && other.id != row.id {
            changes.delete(cx.system(), &other);
        }
    }
    Ok(())
}

/// The stored rules, or fresh ones.
pub(super) async fn stored(
    cx: &Admission<'_>,
    scope: &ResourceId,
    workspace: WorkspaceId,
) -> Result<Row<WorkspaceNetwork>> {
    let found = cx.get::<WorkspaceNetwork>(cx.system(), workspace.as_bytes()).await?;
    let fresh = || WorkspaceNetwork { scope: scope.clone(), rules: NetworkRules::default(), connections: Vec::new() };
    Ok(found.unwrap_or_else(|| Row::new(workspace.as_bytes().as_slice(), fresh())))
}

/// Forgets the rules of a workspace that ends.
pub(crate) async fn forget(cx: &Admission<'_>, changes: &mut Changes, workspace: WorkspaceId) -> Result<()> {
    if let Some(row) = cx.get::<WorkspaceNetwork>(cx.system(), workspace.as_bytes()).await? {
        changes.delete(cx.system(), &row);
    }
    Ok(())
}
