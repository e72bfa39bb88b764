//! What a storage account's `properties.encryption` and `identity` say of the key that holds its blobs, and how they are shown.

use domain::{
    customer_keys::{CustomerKey, KeyForm, KeyPlace, KeyRequest},
    resources::{AccountEncryption, StorageAccount},
};
use kernel::{Error, Kind, PrincipalId, Result};
use serde::Deserialize;
use serde_json::{Value, json};

use super::encryption::elsewhere;
use crate::Guest;

const FIELD: &str = "properties.encryption";

/// `properties.encryption`, as far as it is read; what is said of services is the same for all.
#[derive(Deserialize)]
struct Asked {
    #[serde(default, rename = "keySource")]
    source: Option<String>,
    #[serde(default, rename = "keyvaultproperties")]
    key: Option<AskedKey>,
    #[serde(default)]
    identity: Option<AskedIdentity>,
}

#[derive(Default, Deserialize)]
struct AskedKey {
    #[serde(default, rename = "keyname")]
    name: Option<String>,
    /// Empty or missing: the newest version, and those that follow it.
    #[serde(default, rename = "keyversion")]
    version: Option<String>,
    #[serde(default, rename = "keyvaulturi")]
    vault: Option<String>,
    /// A holder elsewhere, instead of a vault's address; our own.
    #[serde(default, rename = "keyholder")]
    holder: Option<String>,
}

#[derive(Deserialize)]
struct AskedIdentity {
    #[serde(default, rename = "userAssignedIdentity")]
    user_assigned: Option<String>,
}

/// What shall hold the blobs; none when nothing is said of it.
pub(super) fn asked(body: Option<&Value>) -> Result<Option<AccountEncryption>> {
    let Some(body) = body.filter(|body| !body.is_null()) else { return Ok(None) };
    let asked = Asked::deserialize(body).map_err(|why| Error::invalid(FIELD, why))?;
    if asked.identity.and_then(|identity| identity.user_assigned).is_some_and(|id| !id.is_empty()) {
        return Err(unsupported(&format!("{FIELD}.identity.userAssignedIdentity")));
    }
    match asked.source.as_deref() {
        None if asked.key.is_none() => Ok(None),
        Some(source) if source.eq_ignore_ascii_case("Microsoft.Storage") => Ok(Some(AccountEncryption::Server)),
        Some(source) if !source.eq_ignore_ascii_case("Microsoft.Keyvault") => {
            let why = "must be `Microsoft.Storage` or `Microsoft.Keyvault`";
            Err(Error::invalid(format!("{FIELD}.keySource"), why))
        }
        _ => asked.key.unwrap_or_default().request().map(|key| Some(AccountEncryption::Customer(key))),
    }
}

impl AskedKey {
    fn request(self) -> Result<KeyRequest> {
        let said = |text: Option<String>| text.filter(|text| !text.is_empty());
        let missing = |field: &str| Error::invalid(format!("{FIELD}.keyvaultproperties.{field}"), "is needed");
        let name = said(self.name).ok_or_else(|| missing("keyname"))?;
        if let Some(holder) = said(self.holder) {
            let elsewhere = elsewhere(Some(holder), Some(name))?;
            return Ok(KeyRequest { elsewhere, form: KeyForm::Address, ..KeyRequest::default() });
        }
        let vault = said(self.vault).ok_or_else(|| missing("keyvaulturi"))?;
        let mut address = format!("{}/keys/{name}", vault.trim_end_matches('/'));
        if let Some(version) = said(self.version) {
            address.push('/');
            address.push_str(&version);
        }
        Ok(KeyRequest { identifier: Some(address), form: KeyForm::Address, ..KeyRequest::default() })
    }
}

/// Whether an identity of the account's own is asked for.
pub(super) fn wants_identity(identity: Option<&wire::arm::Identity>) -> Result<bool> {
    let Some(identity) = identity else { return Ok(false) };
    let mut is_wanted = false;
    for kind in identity.kind.split(',').map(|kind| kind.trim().to_ascii_lowercase()) {
        match kind.as_str() {
            "systemassigned" => is_wanted = true,
            "none" => {}
            "userassigned" => return Err(unsupported("identity")),
            _ => return Err(Error::invalid("identity.type", "must be `SystemAssigned` or `None`")),
        }
    }
    Ok(is_wanted)
}

fn unsupported(field: &str) -> Error {
    let why = "a user-assigned identity of a storage account is not supported; leave it out, and the account's own uses the key";
    Error::new(Kind::Unsupported, format!("`{field}`: {why}"))
}

/// The account's own identity.
pub(super) fn identity(guest: &Guest, principal: PrincipalId) -> wire::arm::Identity {
    wire::arm::Identity {
        kind: String::from("SystemAssigned"),
        principal_id: Some(principal.to_string()),
        tenant_id: guest.house().tenant().map(|tenant| tenant.to_string()),
        user_assigned_identities: None,
    }
}

/// `properties.encryption`.
pub(super) fn view(account: &StorageAccount) -> Value {
    let services = json!({"blob": {"enabled": true, "keyType": "Account"}});
    match &account.encryption {
        None => json!({"keySource": "Microsoft.Storage", "services": services}),
        Some(key) => {
            json!({"keySource": "Microsoft.Keyvault", "services": services, "keyvaultproperties": view_key(key)})
        }
    }
}

fn view_key(key: &CustomerKey) -> Value {
    let (vault, rest) = key.identifier.split_once("/keys/").unwrap_or_default();
    let (name, version) = rest.split_once('/').unwrap_or((rest, ""));
    match &key.place {
        KeyPlace::Elsewhere(at) if vault.is_empty() => json!({"keyholder": at.holder, "keyname": at.key}),
        _ => json!({"keyname": name, "keyversion": version, "keyvaulturi": vault}),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_named_by_its_parts_and_followed_without_a_version() {
        let ask = |body: Value| asked(Some(&body));
        let key = |body: Value| match ask(json!({"keySource": "Microsoft.Keyvault", "keyvaultproperties": body})) {
            Ok(Some(AccountEncryption::Customer(key))) => key,
            other => panic!("{other:?}"),
        };
        let parts = json!({"keyname": "k", "keyversion": "", "keyvaulturi": "https://v/"});
        assert_eq!(key(parts).identifier.as_deref(), Some("https://v/keys/k"));
        let parts = json!({"keyname": "k", "keyversion": "7", "keyvaulturi": "https://v"});
        assert_eq!(key(parts).identifier.as_deref(), Some("https://v/keys/k/7"));
        assert!(key(json!({"keyname": "k", "keyholder": "bao"})).elsewhere.is_some());

        assert_eq!(asked(None).unwrap(), None);
        assert_eq!(ask(json!({"services": {}})).unwrap(), None);
        assert_eq!(ask(json!({"keySource": "Microsoft.Storage"})).unwrap(), Some(AccountEncryption::Server));
        for bad in [
            json!({"keySource": "Microsoft.Keyvault"}),
            json!({"keySource": "Microsoft.Keyvault", "keyvaultproperties": {"keyname": "k"}}),
            json!({"keySource": "Mine"}),
            json!("on"),
        ] {
            assert!(ask(bad.clone()).is_err(), "{bad}");
        }
    }
}
