//! Choosing a customer's key: what must hold of it before anything is closed with it (requirements F-07 to F-09).

use kernel::{Action, Caller, Error, HolderRule, KeyElsewhere, PrincipalId, ResourceId, Result};
use uuid::Uuid;

use super::{CustomerKey, KeyPlace, VaultKey};
use crate::{
    access::KEY_VAULT_CRYPTO_SERVICE_ENCRYPTION_USER,
    gate::{Admission, Op, Settings, enter},
    resources::{Addressed, FindAddress, GetResource, KeyVault},
    vault::{CheckKey, CreateKey, Key, KeyContent, Kind as VaultKind, ObjectName, VersionId},
};

/// Bits of the smallest RSA key that is taken; 3072 are advised.
pub(super) const LEAST_BITS: usize = 2048;

/// The role that the identity gets on the key: to read it, wrap and unwrap.
pub(crate) const CRYPTO_GRANT: Uuid = KEY_VAULT_CRYPTO_SERVICE_ENCRYPTION_USER;

/// What a caller says of the key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyRequest {
    /// The id of the vault, where the protocol names it so.
    pub vault: Option<ResourceId>,
    /// The address of the key.
    pub identifier: Option<String>,
    /// A key of a holder that the operator named, instead of an address.
    pub elsewhere: Option<KeyElsewhere>,
    /// How the protocol names keys of vaults.
    pub form: KeyForm,
}

/// How a protocol names keys of vaults.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum KeyForm {
    /// By the vault's id and the key's address with its version: workspaces do.
    #[default]
    Pinned,
    /// By the address alone; without a version, the newest one is followed: storage accounts do.
    Address,
}

/// What an address leads to.
#[derive(Debug)]
enum Named {
    Here { vault: String, name: ObjectName, version: Option<VersionId> },
    Elsewhere(KeyElsewhere),
}

/// Checks that the data of `of`, in this place, can be held by the key that is asked for. Of a key in a vault here, the caller must
/// be allowed to create, read, delete and purge it: whoever chooses the key can destroy what it holds. Who may use a holder elsewhere
/// is the operator's to say.
///
/// # Errors
/// `Invalid` naming the field; `Denied`; `NotFound`; each unmet condition has a code of its own.
pub(crate) async fn choose(
    cx: &Admission<'_>,
    request: &KeyRequest,
    of: &ResourceId,
    location: &str,
    identity: PrincipalId,
) -> Result<CustomerKey> {
    if let Some(at) = &request.elsewhere {
        check_name("keyHolder", &at.holder)?;
        check_name("keyName", &at.key)?;
        let identifier = format!("{}/{}", at.holder, at.key);
        return elsewhere(cx, at.clone(), identifier, of, identity);
    }
    let Some(identifier) = request.identifier.clone() else { return Err(missing("keyIdentifier")) };
    match parse(cx.settings(), &identifier, request.form)? {
        Named::Elsewhere(at) => elsewhere(cx, at, identifier, of, identity),
        Named::Here { vault, name, version } => {
            let vault = vault_id(cx, request, &vault).await?;
            let key = here(cx, vault, &name, version, (of, location)).await?;
            Ok(CustomerKey { place: KeyPlace::Here(key), identifier, identity })
        }
    }
}

fn missing(name: &str) -> Error {
    field(name, "is needed: a customer-managed key is named by its vault and by its address, with its version")
}

pub(super) fn field(name: &str, why: &str) -> Error {
    Error::invalid(format!("properties.encryption.keyVaultProperties.{name}"), why)
}

/// A name that goes into calls to others, and into sentences.
fn check_name(name: &str, text: &str) -> Result<()> {
    let is_plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if is_plain && (1..=127).contains(&text.len()) {
        return Ok(());
    }
    Err(field(name, "must be 1 to 127 letters, digits, `-`, `_` and `.`"))
}

fn elsewhere(
    cx: &Admission<'_>,
    at: KeyElsewhere,
    identifier: String,
    of: &ResourceId,
    identity: PrincipalId,
) -> Result<CustomerKey> {
    match cx.settings().key_holders.rule(&at.holder, of) {
        HolderRule::Open => Ok(CustomerKey { place: KeyPlace::Elsewhere(at), identifier, identity }),
        // One and the same, so that nobody learns here what others may use.
        HolderRule::NotHere | HolderRule::Unknown => {
            let why = "names no holder of keys that may be used here; the operator of this server names them with `serve --key-holders`";
            Err(field("keyHolder", why).coded("KeyHolderNotFound"))
        }
    }
}

/// The vault that an address names, which the request may have to name too.
async fn vault_id(cx: &Admission<'_>, request: &KeyRequest, named: &str) -> Result<ResourceId> {
    match (&request.vault, request.form) {
        (Some(vault), _) if !named.eq_ignore_ascii_case(vault.name()) => {
            let why = format!("is in the vault `{named}`, and `keyVaultArmId` names another");
            Err(field("keyIdentifier", &why))
        }
        (Some(vault), _) => Ok(vault.clone()),
        (None, KeyForm::Pinned) => Err(missing("keyVaultArmId")),
        (None, KeyForm::Address) => {
            let found = enter(cx.house(), &Caller::house(), FindAddress::<KeyVault>::new(named)).await?;
            // Who may do nothing with it learns no more from that than of one which is not theirs.
            found.map(|found| found.id).ok_or_else(|| no_vault(named))
        }
    }
}

fn no_vault(named: impl std::fmt::Display) -> Error {
    Error::not_found(format_args!("the vault `{named}`")).coded("KeyVaultNotFound")
}

async fn here(
    cx: &Admission<'_>,
    vault: ResourceId,
    name: &ObjectName,
    version: Option<VersionId>,
    (of, location): (&ResourceId, &str),
) -> Result<VaultKey> {
    // First, so that nobody learns here which vaults there are.
    require_rights(cx, &vault, name).await?;
    let house = cx.house();
    let found = enter(house, &Caller::house(), FindAddress::<KeyVault>::new(vault.name())).await?;
    let at = found.filter(|found| found.id == vault).ok_or_else(|| no_vault(&vault))?;
    let held = enter(house, &Caller::house(), GetResource::<KeyVault>::new(vault)).await?.value;
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
    let version = require_fit(cx, at, name, version).await.map(|found| (found, version.is_none()))?;
    Ok(VaultKey { vault: held.id, name: name.as_str().to_owned(), version: version.0, follows: version.1 })
}

/// `https://{vault}.vault.{suffix}:{port}/keys/{name}[/{version}]`, or its path-style twin, of this server; or the same below the
/// address of a vault elsewhere that the operator named.
fn parse(settings: &Settings, identifier: &str, form: KeyForm) -> Result<Named> {
    let bad = || {
        let address = format!("{}keys/<name>/<version>", settings.own_url("<vault>", "vault"));
        let version = if form == KeyForm::Pinned { ", with the version" } else { "" };
        field("keyIdentifier", &format!("must be of the form `{address}`{version}")).coded("KeyIdentifierInvalid")
    };
    let has_version = |named: bool| form == KeyForm::Address || named;
    if let Some(at) = settings.key_holders.by_address(identifier) {
        return if has_version(at.version.is_some()) { Ok(Named::Elsewhere(at)) } else { Err(bad()) };
    }
    let rest = identifier.strip_prefix("https://").ok_or_else(bad)?;
    let parts: Vec<&str> = rest.split('/').collect();
    let (vault, rest) = match parts.as_slice() {
        [host, "keys", rest @ ..] => {
            let vault = host.split_once('.').ok_or_else(bad)?.0;
            let own = settings.own_url(vault, "vault");
            let is_ours = format!("https://{host}/").eq_ignore_ascii_case(&own);
            (Some(vault).filter(|_| is_ours).ok_or_else(bad)?, rest)
        }
        [host, "vaults", vault, "keys", rest @ ..] => {
            let is_ours = format!("https://{host}").eq_ignore_ascii_case(&settings.url);
            (Some(*vault).filter(|_| is_ours).ok_or_else(bad)?, rest)
        }
        _ => return Err(bad()),
    };
    let (name, version) = match rest {
        [name, version] => (*name, Some(version.parse().map_err(|_| bad())?)),
        [name] if has_version(false) => (*name, None),
        _ => return Err(bad()),
    };
    Ok(Named::Here { vault: vault.to_owned(), name: ObjectName::new(name).map_err(|_| bad())?, version })
}

/// Refuses whoever may not create, read, delete and purge a key: only those hold it.
pub(super) async fn require_rights(cx: &Admission<'_>, vault: &ResourceId, name: &ObjectName) -> Result<()> {
    let scope = vault.child([Key::COLLECTION, name.as_str()]).map_err(Error::internal)?;
    let needed: [Action; 4] = [<CreateKey as Op>::ACTION, Key::READ, Key::DELETE, Key::PURGE];
    for action in &needed {
        cx.require(action, &scope).await?;
    }
    Ok(())
}

/// The version, when it can hold data.
async fn require_fit(
    cx: &Admission<'_>,
    vault: Addressed,
    name: &ObjectName,
    version: Option<VersionId>,
) -> Result<VersionId> {
    let op = CheckKey { vault, name: name.clone(), version, by: None };
    match enter(cx.house(), &Caller::house(), op).await {
        Ok((version, content)) if is_fit(&content) => return Ok(version),
        Ok(_) => {}
        Err(fault) if fault.code() == Some("KeyOperationForbidden") => {}
        Err(fault) => return Err(fault),
    }
    let why = format!(
        "must be an RSA key of at least {LEAST_BITS} bits (3072 are advised) for wrapping and unwrapping, and no certificate's: name a \
         key of its own"
    );
    Err(field("keyIdentifier", &why).coded("KeyTypeNotSupported"))
}

/// Whether a key is of a kind and size that can hold data.
pub(super) fn is_fit(content: &KeyContent) -> bool {
    content.rsa_bits().is_some_and(|bits| bits >= LEAST_BITS)
}

/// Refuses another key than there is where Azure's protocol does not let it be changed (F-12). Saying it again is fine.
///
/// # Errors
/// `Invalid`, naming what does change it.
pub(crate) fn require_same_key(asked: Option<&KeyRequest>, held: Option<&CustomerKey>) -> Result<()> {
    let Some(asked) = asked else { return Ok(()) };
    let is_same = |key: &CustomerKey| match &key.place {
        KeyPlace::Here(held) => {
            asked.vault.as_ref() == Some(&held.vault) && asked.identifier.as_ref() == Some(&key.identifier)
        }
        KeyPlace::Elsewhere(at) => {
            asked.elsewhere.as_ref() == Some(at) || asked.identifier.as_ref() == Some(&key.identifier)
        }
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
            for form in [KeyForm::Pinned, KeyForm::Address] {
                let Ok(Named::Here { vault, name, version: Some(id) }) = parse(&Settings::default(), &good, form)
                else {
                    panic!("{good}")
                };
                assert_eq!((vault.as_str(), name.as_str(), id.to_string().as_str()), ("v1", "k1", version));
            }
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
            let refused = parse(&Settings::default(), bad, KeyForm::Pinned);
            assert_eq!(refused.unwrap_err().code(), Some("KeyIdentifierInvalid"), "{bad}");
        }
        let newest = parse(&Settings::default(), "https://v1.vault.bartizan.test:8443/keys/k1", KeyForm::Address);
        assert!(matches!(newest, Ok(Named::Here { version: None, .. })));
    }
}
