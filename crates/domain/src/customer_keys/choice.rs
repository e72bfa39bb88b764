//! Choosing a customer's key: what must hold of it before anything is closed with it (requirements F-07 to F-09).

use kernel::{Action, Caller, Error, PrincipalId, ResourceId, Result};
use uuid::Uuid;

use super::CustomerKey;
use crate::{
    access::KEY_VAULT_CRYPTO_SERVICE_ENCRYPTION_USER,
    gate::{Cx, Op, Settings, enter},
    resources::{Addressed, FindAddress, GetResource, KeyVault},
    vault::{CheckKey, CreateKey, Key, Kind as VaultKind, ObjectName, VersionId},
};

/// Bits of the smallest RSA key that is taken; 3072 are advised.
const LEAST_BITS: usize = 2048;

/// The role that the identity gets on the key: to read it, wrap and unwrap.
pub(crate) const CRYPTO_GRANT: Uuid = KEY_VAULT_CRYPTO_SERVICE_ENCRYPTION_USER;

/// What a caller says of the key: both parts, or it is an error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyRequest {
    /// The id of the vault.
    pub vault: Option<ResourceId>,
    /// The address of the key, its version included.
    pub identifier: Option<String>,
}

/// Checks that the data of `of`, in this place, can be held by the key that is asked for. The caller must be allowed to create, read,
/// delete and purge it: whoever chooses the key can destroy what it holds.
///
/// # Errors
/// `Invalid` naming the field; `Denied`; `NotFound`; each unmet condition has a code of its own.
pub(crate) async fn choose<O: Op>(
    cx: &Cx<'_, O>,
    request: &KeyRequest,
    of: &ResourceId,
    location: &str,
    identity: PrincipalId,
) -> Result<CustomerKey> {
    let missing = |field: &str| {
        let why = "is needed: a customer-managed key is named by its vault and by its address, with its version";
        Error::invalid(format!("properties.encryption.keyVaultProperties.{field}"), why)
    };
    let vault = request.vault.as_ref().ok_or_else(|| missing("keyVaultArmId"))?;
    let identifier = request.identifier.as_deref().ok_or_else(|| missing("keyIdentifier"))?;
    let (named, name, version) = parse(cx.settings(), identifier)?;
    if !named.eq_ignore_ascii_case(vault.name()) {
        let why = format!("is in the vault `{named}`, and `keyVaultArmId` names another");
        return Err(field("keyIdentifier", &why));
    }
    // First, so that nobody learns here which vaults there are.
    require_rights(cx, vault, &name).await?;
    let house = cx.house();
    let found = enter(house, &Caller::house(), FindAddress::<KeyVault>::new(vault.name())).await?;
    let at = found.filter(|found| found.id == *vault);
    let at = at.ok_or_else(|| Error::not_found(format_args!("the vault `{vault}`")).coded("KeyVaultNotFound"))?;
    let held = enter(house, &Caller::house(), GetResource::<KeyVault>::new(vault.clone())).await?.value;
    if held.id.subscription_id() != of.subscription_id() {
        return Err(field("keyVaultArmId", "is in another subscription").coded("KeyVaultNotInSameSubscription"));
    }
    if !held.location.eq_ignore_ascii_case(location) {
        let why = format!("is in `{}`, and what it shall hold is in `{location}`", held.location);
        return Err(field("keyVaultArmId", &why).coded("KeyVaultNotInSameRegion"));
    }
    if !held.properties.purge_protection {
        let why = "has no purge protection: whoever purged the key would destroy the data; set `enablePurgeProtection`";
        return Err(field("keyVaultArmId", why).coded("KeyVaultPurgeProtectionDisabled"));
    }
    require_fit(cx, at, &name, version).await?;
    Ok(CustomerKey {
        vault: held.id,
        name: name.as_str().to_owned(),
        version,
        identifier: identifier.to_owned(),
        identity,
    })
}

fn field(name: &str, why: &str) -> Error {
    Error::invalid(format!("properties.encryption.keyVaultProperties.{name}"), why)
}

/// `https://{vault}.vault.{suffix}:{port}/keys/{name}/{version}`, or its path-style twin; of this server, and no other.
fn parse(settings: &Settings, identifier: &str) -> Result<(String, ObjectName, VersionId)> {
    let bad = || {
        let form = format!("{}keys/<name>/<version>", settings.own_url("<vault>", "vault"));
        field("keyIdentifier", &format!("must be of the form `{form}`, with the version")).coded("KeyIdentifierInvalid")
    };
    let rest = identifier.strip_prefix("https://").ok_or_else(bad)?;
    let parts: Vec<&str> = rest.split('/').collect();
    let (vault, name, version) = match parts.as_slice() {
        [host, "keys", name, version] => {
            let vault = host.split_once('.').ok_or_else(bad)?.0;
            let own = settings.own_url(vault, "vault");
            let is_ours = format!("https://{host}/").eq_ignore_ascii_case(&own);
            (Some(vault).filter(|_| is_ours).ok_or_else(bad)?, *name, *version)
        }
        [host, "vaults", vault, "keys", name, version] => {
            let is_ours = format!("https://{host}").eq_ignore_ascii_case(&settings.url);
            (Some(*vault).filter(|_| is_ours).ok_or_else(bad)?, *name, *version)
        }
        _ => return Err(bad()),
    };
    Ok((vault.to_owned(), ObjectName::new(name).map_err(|_| bad())?, version.parse().map_err(|_| bad())?))
}

async fn require_rights<O: Op>(cx: &Cx<'_, O>, vault: &ResourceId, name: &ObjectName) -> Result<()> {
    let scope = vault.child([Key::COLLECTION, name.as_str()]).map_err(Error::internal)?;
    let needed: [Action; 4] = [<CreateKey as Op>::ACTION, Key::READ, Key::DELETE, Key::PURGE];
    for action in &needed {
        cx.require(action, &scope).await?;
    }
    Ok(())
}

async fn require_fit<O: Op>(cx: &Cx<'_, O>, vault: Addressed, name: &ObjectName, version: VersionId) -> Result<()> {
    let op = CheckKey { vault, name: name.clone(), version, by: None };
    let bits = match enter(cx.house(), &Caller::house(), op).await {
        Ok(content) => content.rsa_bits(),
        Err(fault) if fault.code() == Some("KeyOperationForbidden") => None,
        Err(fault) => return Err(fault),
    };
    if bits.is_some_and(|bits| bits >= LEAST_BITS) {
        return Ok(());
    }
    let why =
        format!("must be an RSA key of at least {LEAST_BITS} bits (3072 are advised) for wrapping and unwrapping");
    Err(field("keyIdentifier", &why).coded("KeyTypeNotSupported"))
}

/// Refuses another key than there is where Azure's protocol does not let it be changed (F-12). Saying it again is fine.
///
/// # Errors
/// `Invalid`, naming what does change it.
pub(crate) fn require_same_key(asked: Option<&KeyRequest>, held: Option<&CustomerKey>) -> Result<()> {
    let Some(asked) = asked else { return Ok(()) };
    let is_same = |key: &CustomerKey| {
        asked.vault.as_ref() == Some(&key.vault) && asked.identifier.as_ref() == Some(&key.identifier)
    };
    if held.is_some_and(is_same) {
        return Ok(());
    }
    let why = "cannot be changed with the workspace itself; `changeEncryptionKey` does it, without interruption";
    Err(Error::invalid("properties.encryption", why).coded("EncryptionCannotBeChanged"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_names_vault_key_and_version() {
        let version = "0123456789abcdef0123456789abcdef";
        for good in [
            format!("https://v1.vault.bartizan.test:8443/keys/k1/{version}"),
            format!("https://localhost:8443/vaults/v1/keys/k1/{version}"),
        ] {
            let (vault, name, id) = parse(&Settings::default(), &good).unwrap();
            assert_eq!((vault.as_str(), name.as_str(), id.to_string().as_str()), ("v1", "k1", version));
        }
        for bad in [
            "https://v1.vault.bartizan.test:8443/keys/k1",
            "https://v1.vault.bartizan.test:8443/keys/k1/",
            "https://v1.vault.bartizan.test:8443/secrets/k1/0123456789abcdef0123456789abcdef",
            "http://v1.vault.bartizan.test:8443/keys/k1/0123456789abcdef0123456789abcdef",
            "https://v1.bartizan.test:8443/keys/k1/0123456789abcdef0123456789abcdef",
            "https://v1.vault.azure.net/keys/k1/0123456789abcdef0123456789abcdef",
            "https://elsewhere:8443/vaults/v1/keys/k1/0123456789abcdef0123456789abcdef",
            "",
        ] {
            assert_eq!(parse(&Settings::default(), bad).unwrap_err().code(), Some("KeyIdentifierInvalid"), "{bad}");
        }
    }
}
