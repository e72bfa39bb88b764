//! Container registries: what a PUT and a PATCH say beside labels, and what is shown (`Microsoft.ContainerRegistry/registries`).

use std::collections::BTreeMap;

use axum::response::{IntoResponse, Response};
use domain::{
    customer_keys::{CustomerKey, KeyForm, KeyRequest},
    gate::{Row, enter},
    resources::{
        AccountEncryption, CheckCompanionName, NameAnswer, Precondition, PutRegistry, Registry, RegistryWanted,
        Resource,
    },
};
use http::{Method, StatusCode};
use kernel::{Error, Kind, ResourceId, Result};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Fault, GROUP, account_encryption, encryption::elsewhere, named, precondition, show};
use crate::{Doors, Guest};

/// The doors that write, and the one that asks for a name.
pub(super) fn doors(doors: Doors) -> Doors {
    let one = format!("{GROUP}/providers/Microsoft.ContainerRegistry/registries/{{companion}}");
    let names = "/subscriptions/{subscription}/providers/Microsoft.ContainerRegistry/checkNameAvailability";
    doors
        .open::<PutRegistry, _, _>(Method::PUT, &one, put)
        .open::<PutRegistry, _, _>(Method::PATCH, &one, patch)
        .open::<CheckCompanionName<Registry>, _, _>(Method::POST, names, check_name)
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
    identity: Option<wire::arm::Identity>,
    #[serde(default)]
    properties: Value,
}

/// `properties.encryption`, as far as it is read.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AskedEncryption {
    #[serde(default)]
    status: Option<String>,
    #[serde(default)]
    key_vault_properties: Option<AskedKey>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AskedKey {
    /// The key's address; without a version, the newest and those that follow it.
    #[serde(default)]
    key_identifier: Option<String>,
    /// A client id of a user-assigned identity there; here the registry's own uses the key.
    #[serde(default)]
    identity: Option<String>,
    /// A holder elsewhere, instead of an address; our own.
    #[serde(default)]
    key_holder: Option<String>,
    #[serde(default)]
    key_name: Option<String>,
}

const FIELD: &str = "properties.encryption";

/// What shall hold the images; none when nothing is said of it.
fn asked(body: Option<&Value>) -> Result<Option<AccountEncryption>> {
    let Some(body) = body.filter(|body| !body.is_null()) else { return Ok(None) };
    let asked = AskedEncryption::deserialize(body).map_err(|why| Error::invalid(FIELD, why))?;
    match asked.status.as_deref() {
        None if asked.key_vault_properties.is_none() => return Ok(None),
        Some(status) if status.eq_ignore_ascii_case("disabled") => return Ok(Some(AccountEncryption::Server)),
        Some(status) if !status.eq_ignore_ascii_case("enabled") => {
            return Err(Error::invalid(format!("{FIELD}.status"), "must be `enabled` or `disabled`"));
        }
        _ => {}
    }
    let key = asked.key_vault_properties.unwrap_or_default();
    let said = |text: Option<String>| text.filter(|text| !text.is_empty());
    if said(key.identity).is_some_and(|identity| !identity.eq_ignore_ascii_case("system")) {
        let why = "a user-assigned identity of a registry is not supported; leave it out, and the registry's own uses the key";
        return Err(Error::new(Kind::Unsupported, format!("`{FIELD}.keyVaultProperties.identity`: {why}")));
    }
    if let Some(holder) = said(key.key_holder) {
        let elsewhere = elsewhere(Some(holder), said(key.key_name))?;
        return Ok(Some(AccountEncryption::Customer(KeyRequest {
            elsewhere,
            form: KeyForm::Address,
            ..KeyRequest::default()
        })));
    }
    let identifier = said(key.key_identifier);
    let identifier = identifier
        .ok_or_else(|| Error::invalid(format!("{FIELD}.keyVaultProperties.keyIdentifier"), "is the key's address"))?;
    Ok(Some(AccountEncryption::Customer(KeyRequest {
        identifier: Some(identifier),
        form: KeyForm::Address,
        ..KeyRequest::default()
    })))
}

/// What ARM shows.
pub(super) fn view(guest: &Guest, row: &Row<Resource<Registry>>) -> Value {
    let registry = &row.value.properties;
    json!({
        "loginServer": format!("{}.azurecr.{}", row.value.id.name().to_ascii_lowercase(), guest.house().settings().suffix),
        "creationDate": row.value.system.created_at.rfc3339(),
        "provisioningState": "Succeeded",
        "adminUserEnabled": registry.admin_enabled,
        "anonymousPullEnabled": false,
        "dataEndpointEnabled": false,
        "publicNetworkAccess": "Enabled",
        "encryption": view_encryption(registry.encryption.as_ref()),
    })
}

fn view_encryption(key: Option<&CustomerKey>) -> Value {
    match key {
        None => json!({"status": "disabled"}),
        Some(key) => {
            let follows = key.identifier.split("/keys/").nth(1).is_none_or(|rest| !rest.contains('/'));
            json!({
                "status": "enabled",
                "keyVaultProperties": {"keyIdentifier": key.identifier, "keyRotationEnabled": follows},
            })
        }
    }
}

/// The whole resource, with what lies beside its properties.
pub(super) fn whole(guest: &Guest, row: &Row<Resource<Registry>>) -> wire::arm::Resource<Value> {
    let registry = &row.value.properties;
    let sku = registry.sku.clone().unwrap_or_else(|| String::from("Basic"));
    let mut whole = show(row, view(guest, row));
    whole.sku = Some(wire::arm::Sku { name: sku.clone(), tier: Some(sku), capacity: None });
    whole.identity = registry.identity.map(|identity| account_encryption::identity(guest, identity));
    whole
}

fn wanted(body: &Body) -> Result<RegistryWanted> {
    let properties = &body.properties;
    let flag = |name: &str| -> Result<Option<bool>> {
        match properties.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(*flag)),
            Some(_) => Err(Error::invalid(format!("properties.{name}"), "must be true or false")),
        }
    };
    let word = |pointer: &str| properties.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let is = |pointer: &str, value: &str| word(pointer).eq_ignore_ascii_case(value);
    let refused = |field: &str, why: &str| Error::new(Kind::Unsupported, format!("`properties.{field}`: {why}"));
    // Whoever asks for a wall must not believe that it stands, nor whoever opens one that it fell.
    if flag("anonymousPullEnabled")? == Some(true) {
        return Err(refused("anonymousPullEnabled", "nothing is open to nobody here"));
    }
    if is("/networkRuleSet/defaultAction", "Deny") {
        return Err(refused("networkRuleSet", "network rules of registries are not supported"));
    }
    if is("/publicNetworkAccess", "Disabled") || is("/publicNetworkAccess", "SecuredByPerimeter") {
        return Err(refused("publicNetworkAccess", "network rules of registries are not supported"));
    }
    for policy in ["quarantinePolicy", "trustPolicy", "retentionPolicy", "softDeletePolicy"] {
        if is(&format!("/policies/{policy}/status"), "enabled") {
            return Err(refused(&format!("policies.{policy}"), "is not offered here, and would not hold"));
        }
    }
    Ok(RegistryWanted {
        sku: body.sku.as_ref().and_then(|sku| sku.get("name")).and_then(Value::as_str).map(str::to_owned),
        admin_enabled: flag("adminUserEnabled")?,
        has_identity: account_encryption::wants_identity(body.identity.as_ref())?,
        encryption: asked(properties.get("encryption"))?,
    })
}

async fn put(guest: Guest) -> Result<Response, Fault> {
    write(guest, true).await
}

async fn patch(guest: Guest) -> Result<Response, Fault> {
    write(guest, false).await
}

async fn write(guest: Guest, is_whole: bool) -> Result<Response, Fault> {
    let id = guest.resource(0)?;
    let caller = guest.admitted::<PutRegistry>(&id).await?;
    let held = precondition(&guest)?;
    let precondition = if is_whole { held } else { Precondition { present: true, ..held } };
    let shell = guest.shell();
    let body: Body = guest.json().await?;
    let wanted = wanted(&body)?;
    let tags = if is_whole { Some(body.tags.unwrap_or_default()) } else { body.tags };
    let op = PutRegistry { id, location: body.location.unwrap_or_default(), tags, wanted, precondition };
    let written = enter(shell.house(), &caller, op).await?;
    let status = if written.is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(named(status, whole(&shell, &written.row)))
}

/// Which name a client would like to have.
#[derive(Deserialize)]
struct WantedName {
    name: String,
}

/// `POST …/checkNameAvailability` of registries.
async fn check_name(guest: Guest) -> Result<Response, Fault> {
    let (shell, subscription) = (guest.shell(), guest.param("subscription")?);
    let caller = guest.admitted::<CheckCompanionName<Registry>>(&ResourceId::subscription(subscription)).await?;
    let wanted: WantedName = guest.json().await?;
    let op = CheckCompanionName::<Registry>::new(subscription, wanted.name);
    let (reason, message) = match enter(shell.house(), &caller, op).await? {
        NameAnswer::Free => return Ok(axum::Json(json!({"nameAvailable": true})).into_response()),
        NameAnswer::Unfit(why) => ("Invalid", why),
        NameAnswer::Taken => ("AlreadyExists", String::from("the registry's name is already taken")),
    };
    Ok(axum::Json(json!({"nameAvailable": false, "reason": reason, "message": message})).into_response())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_named_by_its_address() {
        let ask = |body: Value| asked(Some(&body));
        let body =
            json!({"status": "enabled", "keyVaultProperties": {"keyIdentifier": "https://v/keys/k", "identity": null}});
        match ask(body) {
            Ok(Some(AccountEncryption::Customer(key))) => {
                assert_eq!(key.identifier.as_deref(), Some("https://v/keys/k"))
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(ask(json!({"status": "disabled"})).unwrap(), Some(AccountEncryption::Server));
        assert_eq!(ask(json!({})).unwrap(), None);
        assert_eq!(asked(None).unwrap(), None);
        for bad in [
            json!({"status": "enabled"}),
            json!({"status": "on"}),
            json!({"keyVaultProperties": {"keyIdentifier": "https://v/keys/k", "identity": "6f9619ff"}}),
            json!("enabled"),
        ] {
            assert!(ask(bad.clone()).is_err(), "{bad}");
        }
    }
}
