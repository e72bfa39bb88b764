//! Customer-managed keys of workspaces: what a request says of them, how they are shown, and how one is changed.

use axum::Json;
use axum::response::{IntoResponse, Response};
use domain::{
    customer_keys::{ChangeEncryptionKey, CustomerKey, Encryption, GetEncryption, KeyRequest},
    gate::enter,
};
use http::Method;
use kernel::{Error, Kind};
use wire::encryption as shape;

use super::{Fault, WORKSPACE, view::id_field};
use crate::{Doors, Guest};

const FIELD: &str = "properties.encryption";

/// The doors of workspaces' keys.
pub(super) fn doors(doors: Doors) -> Doors {
    doors
        .open::<GetEncryption, _, _>(Method::GET, &format!("{WORKSPACE}/encryption"), get_encryption)
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
    Ok(Some(KeyRequest { vault, identifier: properties.key_identifier }))
}

/// The key as a workspace shows it.
pub(super) fn view(key: &CustomerKey) -> shape::Encryption {
    shape::Encryption { status: String::from("Enabled"), key_vault_properties: Some(properties(key)), identity: None }
}

fn properties(key: &CustomerKey) -> shape::KeyVaultProperties {
    shape::KeyVaultProperties {
        key_vault_arm_id: Some(key.vault.to_string()),
        key_identifier: Some(key.identifier.clone()),
        identity_client_id: None,
    }
}

fn state(encryption: Encryption) -> shape::EncryptionState {
    let status = if encryption.key.is_some() { "Enabled" } else { "Disabled" };
    let state = if encryption.locked.is_some() { "Locked" } else { "Available" };
    shape::EncryptionState {
        status: String::from(status),
        key_vault_properties: encryption.key.as_ref().map(properties),
        state: String::from(state),
        reason: encryption.locked,
    }
}

async fn get_encryption(guest: Guest) -> Result<Response, Fault> {
    let op = GetEncryption { workspace: guest.resource(1)? };
    let encryption = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(Json(state(encryption)).into_response())
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
    Ok(Json(state(Encryption { key: Some(key), locked: None })).into_response())
}
