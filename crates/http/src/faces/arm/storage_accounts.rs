//! Storage accounts: what a PUT and a PATCH say beside labels, and what is shown.

use std::collections::BTreeMap;

use axum::response::Response;
use domain::{
    gate::{Row, enter},
    network::{AccountNetworkRequest, network_of},
    resources::{AccountWanted, Precondition, PutStorageAccount, Resource, StorageAccount},
};
use http::{Method, StatusCode};
use kernel::{Error, Kind, Result};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Fault, GROUP, account_encryption, named, precondition, show};
use crate::{Doors, Guest};

/// The doors that write.
pub(super) fn doors(doors: Doors) -> Doors {
    let one = format!("{GROUP}/providers/Microsoft.Storage/storageAccounts/{{companion}}");
    doors.open::<PutStorageAccount, _, _>(Method::PUT, &one, put).open::<PutStorageAccount, _, _>(
        Method::PATCH,
        &one,
        patch,
    )
}

/// What is read of a body; what SDKs echo is not bound.
#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    location: Option<String>,
    #[serde(default)]
    tags: Option<BTreeMap<String, String>>,
    #[serde(default)]
    sku: Option<Value>,
    #[serde(default)]
    kind: Option<String>,
    #[serde(default)]
    identity: Option<wire::arm::Identity>,
    #[serde(default)]
    properties: Value,
}

/// What ARM shows.
pub(super) fn view(guest: &Guest, row: &Row<Resource<StorageAccount>>) -> Value {
    let (resource, account) = (&row.value, &row.value.properties);
    let network = network_of(guest.house(), &resource.id).rules;
    let rules: Vec<Value> =
        network.ip_allow.iter().map(|network| json!({"value": network.to_string(), "action": "Allow"})).collect();
    json!({
        "primaryEndpoints": {"blob": guest.house().settings().own_url(resource.id.name(), "blob.core")},
        "provisioningState": "Succeeded",
        "statusOfPrimary": "available",
        "primaryLocation": resource.location,
        "creationTime": resource.system.created_at.rfc3339(),
        "allowBlobPublicAccess": false,
        "allowSharedKeyAccess": account.takes_keys(),
        "supportsHttpsTrafficOnly": true,
        "minimumTlsVersion": "TLS1_2",
        "publicNetworkAccess": if network.public_access { "Enabled" } else { "Disabled" },
        "networkAcls": {
            "bypass": "None",
            "defaultAction": if network.denies_others { "Deny" } else { "Allow" },
            "ipRules": rules,
            "virtualNetworkRules": [],
        },
        "encryption": account_encryption::view(account),
    })
}

/// The whole resource, with what lies beside its properties.
pub(super) fn whole(guest: &Guest, row: &Row<Resource<StorageAccount>>) -> wire::arm::Resource<Value> {
    let account = &row.value.properties;
    let sku = account.sku.as_deref().unwrap_or("Standard_LRS");
    let tier = if sku.starts_with("Premium") { "Premium" } else { "Standard" };
    let mut whole = show(row, view(guest, row));
    whole.sku = Some(wire::arm::Sku { name: sku.to_owned(), tier: Some(tier.to_owned()), capacity: None });
    whole.identity = account.identity.map(|identity| account_encryption::identity(guest, identity));
    whole.subkind = Some(account.kind.clone().unwrap_or_else(|| String::from("StorageV2")));
    whole
}

fn wanted(body: &Body) -> Result<AccountWanted> {
    let properties = &body.properties;
    let word = |pointer: &str| -> Result<Option<String>> {
        match properties.pointer(pointer) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text.clone())),
            Some(_) => Err(Error::invalid(format!("properties{}", pointer.replace('/', ".")), "must be text")),
        }
    };
    let flag = |name: &str| -> Result<Option<bool>> {
        match properties.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(Error::invalid(format!("properties.{name}"), "must be true or false")),
        }
    };
    let refused = |field: &str, why: &str| Error::new(Kind::Unsupported, format!("`properties.{field}`: {why}"));
    // Whoever asks for a wall must not believe that it stands, nor whoever opens one that it fell.
    if flag("allowBlobPublicAccess")? == Some(true) {
        return Err(refused("allowBlobPublicAccess", "nothing is open to nobody here"));
    }
    if flag("supportsHttpsTrafficOnly")? == Some(false) {
        return Err(refused("supportsHttpsTrafficOnly", "nothing is served without TLS here"));
    }
    if flag("isHnsEnabled")? == Some(true) {
        return Err(refused("isHnsEnabled", "hierarchical namespaces are not offered"));
    }
    let is = |pointer: &str, value: &str| -> Result<bool> {
        Ok(word(pointer)?.is_some_and(|word| word.eq_ignore_ascii_case(value)))
    };
    if is("/minimumTlsVersion", "TLS1_3")? {
        return Err(refused("minimumTlsVersion", "`TLS1_2` is the least that this server takes"));
    }
    for wall in WALLS {
        if properties.pointer(wall).is_some_and(says_something) {
            let field = wall.trim_start_matches('/').replace('/', ".");
            return Err(refused(&field, "is not offered here, and would not hold"));
        }
    }
    if properties
        .pointer("/networkAcls/virtualNetworkRules")
        .and_then(Value::as_array)
        .is_some_and(|list| !list.is_empty())
    {
        return Err(refused("networkAcls.virtualNetworkRules", "give the addresses of the subnet in `ipRules`"));
    }
    let ip_rules = match properties.pointer("/networkAcls/ipRules") {
        None | Some(Value::Null) => None,
        Some(list) => Some(ip_rules(list)?),
    };
    Ok(AccountWanted {
        sku: body.sku.as_ref().and_then(|sku| sku.get("name")).and_then(Value::as_str).map(str::to_owned),
        kind: body.kind.clone(),
        allow_shared_key: flag("allowSharedKeyAccess")?,
        network: AccountNetworkRequest {
            public_network_access: word("/publicNetworkAccess")?,
            default_action: word("/networkAcls/defaultAction")?,
            ip_rules,
        },
        has_identity: account_encryption::wants_identity(body.identity.as_ref())?,
        encryption: account_encryption::asked(properties.get("encryption"))?,
    })
}

/// Bounds that Azure has and this does not.
const WALLS: [&str; 5] = [
    "/immutableStorageWithVersioning/enabled",
    "/sasPolicy",
    "/keyPolicy",
    "/allowedCopyScope",
    "/networkAcls/resourceAccessRules",
];

fn says_something(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => false,
        Value::Array(list) => !list.is_empty(),
        Value::Object(fields) => fields.values().any(says_something),
        Value::Bool(true) | Value::Number(_) | Value::String(_) => true,
    }
}

fn ip_rules(list: &Value) -> Result<Vec<String>> {
    let bad = || Error::invalid("properties.networkAcls.ipRules", "must be a list of `{\"value\": address or range}`");
    let list = list.as_array().ok_or_else(bad)?;
    let one = |rule: &Value| rule.get("value").and_then(Value::as_str).map(str::to_owned).ok_or_else(bad);
    list.iter().map(one).collect()
}

async fn put(guest: Guest) -> Result<Response, Fault> {
    write(guest, true).await
}

async fn patch(guest: Guest) -> Result<Response, Fault> {
    write(guest, false).await
}

async fn write(guest: Guest, is_whole: bool) -> Result<Response, Fault> {
    let id = guest.resource(0)?;
    let caller = guest.admitted::<PutStorageAccount>(&id).await?;
    let held = precondition(&guest)?;
    let precondition = if is_whole { held } else { Precondition { present: true, ..held } };
    let shell = guest.shell();
    let body: Body = guest.json().await?;
    let wanted = wanted(&body)?;
    let tags = if is_whole { Some(body.tags.unwrap_or_default()) } else { body.tags };
    let op = PutStorageAccount { id, location: body.location.unwrap_or_default(), tags, wanted, precondition };
    let written = enter(shell.house(), &caller, op).await?;
    Ok(named(StatusCode::OK, whole(&shell, &written.row)))
}
