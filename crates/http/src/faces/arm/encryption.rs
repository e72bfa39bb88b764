//! Customer-managed keys of workspaces: what a request says of them, how they are shown, and how one is changed.

use axum::Json;
use axum::response::{IntoResponse, Response};
use domain::{
    customer_keys::{
        ChangeEncryptionKey, CustomerKey, Encryption, GetEncryption, KeyForm, KeyPlace, KeyRequest, ProveEncryption,
        Stored,
    },
    gate::enter,
};
use http::Method;
use kernel::{Error, KeyElsewhere, Kind};
use serde_json::{Value, json};
use wire::encryption as shape;

use super::{Fault, WORKSPACE, break_glass, view::id_field};
use crate::{Doors, Guest};

const FIELD: &str = "properties.encryption";

/// The doors of workspaces' keys.
pub(super) fn doors(doors: Doors) -> Doors {
    doors
        .open::<GetEncryption, _, _>(Method::GET, &format!("{WORKSPACE}/encryption"), get_encryption)
        .open::<ProveEncryption, _, _>(Method::GET, &format!("{WORKSPACE}/encryption/proof"), prove)
        .open::<ChangeEncryptionKey, _, _>(Method::POST, &format!("{WORKSPACE}/changeEncryptionKey"), change_key)
}

/// The key that a body asks for; none when it asks for none.
pub(super) fn asked(body: Option<shape::Encryption>) -> Result<Option<KeyRequest>, Error> {
    let Some(body) = body else { return Ok(None) };
    match body.status.as_str() {
        status if status.eq_ignore_ascii_case("Disabled") => return Ok(None),
        status if status.eq_ignore_ascii_case("Enabled") => {}
        _ => return Err(Error::invalid(format!("{FIELD}.status"), "must be `Enabled` or `Disabled`")),
    }
    let properties = body.key_vault_properties.unwrap_or_default();
    let named = body.identity.and_then(|identity| identity.user_assigned_identity);
    if properties.identity_client_id.or(named).is_some_and(|id| !id.is_empty()) {
        let why = "a user-assigned identity for the key is not supported; the workspace's own identity uses it";
        return Err(Error::new(Kind::Unsupported, format!("`{FIELD}`: {why}")));
    }
    let vault = id_field("properties.encryption.keyVaultProperties.keyVaultArmId", properties.key_vault_arm_id)?;
    let elsewhere = elsewhere(properties.key_holder, properties.key_name)?;
    if elsewhere.is_some() && (vault.is_some() || properties.key_identifier.is_some()) {
        let why = "names a holder elsewhere, beside a vault or an address; name one key";
        return Err(Error::invalid(format!("{FIELD}.keyVaultProperties.keyHolder"), why));
    }
    Ok(Some(KeyRequest { vault, identifier: properties.key_identifier, elsewhere, form: KeyForm::Pinned }))
}

/// A key of a holder that the operator named.
pub(super) fn elsewhere(holder: Option<String>, key: Option<String>) -> Result<Option<KeyElsewhere>, Error> {
    match (holder, key) {
        (None, _) => Ok(None),
        (Some(holder), Some(key)) => Ok(Some(KeyElsewhere { holder, key, version: None })),
        (Some(_), None) => {
            Err(Error::invalid(format!("{FIELD}.keyVaultProperties.keyName"), "is needed beside the holder's name"))
        }
    }
}

/// The key as a workspace shows it.
pub(super) fn view(key: &CustomerKey) -> shape::Encryption {
    shape::Encryption { status: String::from("Enabled"), key_vault_properties: Some(properties(key)), identity: None }
}

fn properties(key: &CustomerKey) -> shape::KeyVaultProperties {
    // One that has no address is named by its holder alone.
    let address = Some(key.identifier.clone()).filter(|address| address.starts_with("https://"));
    match &key.place {
        KeyPlace::Here(held) => shape::KeyVaultProperties {
            key_vault_arm_id: Some(held.vault.to_string()),
            key_identifier: address,
            ..shape::KeyVaultProperties::default()
        },
        KeyPlace::Elsewhere(at) => shape::KeyVaultProperties {
            key_identifier: address,
            key_holder: Some(at.holder.clone()),
            key_name: Some(at.key.clone()),
            ..shape::KeyVaultProperties::default()
        },
    }
}

fn state(encryption: Encryption) -> shape::EncryptionState {
    let status = if encryption.key.is_some() { "Enabled" } else { "Disabled" };
    let state = match (&encryption.opening, &encryption.locked) {
        (Some(_), _) => "OpenedByBreakGlass",
        (None, Some(_)) => "Locked",
        (None, None) => "Available",
    };
    shape::EncryptionState {
        status: String::from(status),
        key_vault_properties: encryption.key.as_ref().map(properties),
        state: String::from(state),
        reason: encryption.locked,
        break_glass: encryption.opening.as_ref().map(break_glass::opening),
    }
}

async fn get_encryption(guest: Guest) -> Result<Response, Fault> {
    let op = GetEncryption { workspace: guest.resource(1)? };
    let encryption = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(Json(state(encryption)).into_response())
}

fn view_stored(stored: &Stored) -> Value {
    json!({
        "class": stored.class,
        "keyId": format!("keyrings/{}", stored.keyring),
        "keyVersion": stored.version,
        "heldBy": stored.held_by.as_ref().map_or("rootKey", |key| key.identifier.as_str()),
        "customerManaged": stored.held_by.is_some(),
        "rowsByKeyVersion": stored.rows,
        "complete": stored.is_whole,
        "blobs": if stored.has_blobs { "aKeyEach" } else { "none" },
    })
}

async fn prove(guest: Guest) -> Result<Response, Fault> {
    let op = ProveEncryption { workspace: guest.resource(2)? };
    let proof = enter(guest.house(), &guest.caller().await?, op).await?;
    let mut stores: Vec<Value> = proof.stores.iter().map(view_stored).collect();
    // Nothing of it is stored, so there is no key to it; decision 0010.
    stores.push(json!({"class": "scratch", "keyId": null, "where": "memory"}));
    Ok(Json(json!({"rootKeyVersion": proof.root_version, "stores": stores})).into_response())
}

async fn change_key(guest: Guest) -> Result<Response, Fault> {
    let workspace = guest.resource(1)?;
    let caller = guest.admitted::<ChangeEncryptionKey>(&workspace).await?;
    let shell = guest.shell();
    let body: shape::KeyVaultProperties = guest.json().await?;
    let asked = asked(Some(shape::Encryption {
        status: String::from("Enabled"),
        key_vault_properties: Some(body),
        identity: None,
    }))?;
    let op = ChangeEncryptionKey { workspace, request: asked.unwrap_or_default() };
    let key = enter(shell.house(), &caller, op).await?;
    Ok(Json(state(Encryption { key: Some(key), locked: None, opening: None })).into_response())
}
