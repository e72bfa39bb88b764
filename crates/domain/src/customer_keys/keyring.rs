//! Closing a keyring with a customer's key, and opening it again.

use futures::future::BoxFuture;
use kernel::{
    Caller, Error, KeyElsewhere, Kind, Principal, PrincipalId, PrincipalKind, Proof, Result, Sealing, Secret, Source,
    StoreError, Who,
};
use seal::{EncryptionAlgorithm, RootSealing, open_kept};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    CustomerKey, KeyPlace, VaultKey, away, locked,
    recovery::{Recovery, Terms},
};
use crate::{
    gate::{House, enter},
    resources::{Addressed, FindAddress, KeyVault},
    vault::{CipherForm, ObjectName, UnwrapKey, UseKey, WrapKey},
};

/// How a key of a vault wraps (RFC 7518 §4.3).
const ALGORITHM: EncryptionAlgorithm = EncryptionAlgorithm::RsaOaep256;

/// A keyring that a customer's key closes.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct HeldKeyring {
    by: CustomerKey,
    /// The key of 32 bytes that seals the keyring, wrapped by the customer's.
    wrapped: Vec<u8>,
    /// The keyring, sealed for whom it is.
    sealed: Vec<u8>,
    /// The key of 32 bytes for any two of those whom the customer named, if they named some.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    recovery: Option<Recovery>,
}

/// What a keyring is sealed for: this resource's, and no other's.
fn purpose(of: Uuid) -> Vec<u8> {
    [b"customer-held keyring\0".as_slice(), of.as_bytes()].concat()
}

impl HeldKeyring {
    /// The customer's key.
    pub(crate) fn key(&self) -> &CustomerKey {
        &self.by
    }

    /// What the customer prepared for when their key is gone.
    pub(crate) fn recovery(&self) -> Option<&Recovery> {
        self.recovery.as_ref()
    }

    /// The same without it; whether there was any.
    pub(crate) fn drop_recovery(&mut self) -> bool {
        self.recovery.take().is_some()
    }

    /// Opens it with what two custodians' shares gave. What was not prepared for that, or is not any more, does not open.
    ///
    /// # Errors
    /// `Denied` when nothing is prepared; `Internal` when it is another keyring's key.
    pub(crate) fn open_broken(&self, of: Uuid, inner: &Secret<Vec<u8>>) -> Result<Secret<Vec<u8>>> {
        if self.recovery.is_none() {
            return Err(Error::new(Kind::Denied, "nothing was prepared to open it without the customer's key"));
        }
        Ok(open_kept(inner, &purpose(of), &self.sealed)?)
    }

    /// Closes a keyring; with `terms`, prepares it for custodians too. Wrapping with a key of a vault here takes no secret, so the server does it in its own name.
    ///
    /// # Errors
    /// What the vault or the holder says of a key that cannot wrap.
    pub(crate) async fn close(
        house: &House,
        of: Uuid,
        key: CustomerKey,
        material: &Secret<Vec<u8>>,
        terms: Option<Terms>,
    ) -> Result<Self> {
        let inner = seal::new_sealing_key()?;
        let sealed = RootSealing.seal(&inner, &purpose(of), material.expose())?.into_bytes().to_vec();
        let recovery = terms.map(|terms| Recovery::prepare(of, terms, &inner)).transpose()?;
        let wrapped = match &key.place {
            KeyPlace::Here(vaulted) => {
                let op = UseKey::<WrapKey> {
                    vault: address(house, vaulted).await?,
                    name: ObjectName::new(&vaulted.name)?,
                    version: Some(vaulted.version),
                    asked: form(inner),
                };
                enter(house, &Caller::house(), op).await?.done.value
            }
            KeyPlace::Elsewhere(at) => wrapped_elsewhere(house, at, &purpose(of), &inner).await?,
        };
        Ok(Self { by: key, wrapped, sealed, recovery })
    }

    /// Opens it, as the identity of whoever's data it holds. In a box, since opening the vault comes back here for the vault's own
    /// keyring.
    ///
    /// # Errors
    /// `Denied` with the code [`super::KEY_UNAVAILABLE`] when the key may not be used; `Unavailable` when that cannot be found out.
    pub(crate) fn open<'a>(&'a self, house: &'a House, of: Uuid) -> BoxFuture<'a, Result<Secret<Vec<u8>>>> {
        Box::pin(async move {
            let inner = match &self.by.place {
                KeyPlace::Here(key) => {
                    super::watch::look_here(house, &self.by, key).await?;
                    self.unwrap_here(house, key).await.map_err(|fault| match fault.kind() {
                        Kind::Unavailable | Kind::Internal | Kind::Throttled => fault,
                        _ => locked(&self.by, &fault),
                    })?
                }
                KeyPlace::Elsewhere(at) => self.unwrap_elsewhere(house, of, at).await?,
            };
            Ok(open_kept(&inner, &purpose(of), &self.sealed)?)
        })
    }

    async fn unwrap_here(&self, house: &House, key: &VaultKey) -> Result<Secret<Vec<u8>>> {
        let op = UseKey::<UnwrapKey> {
            vault: address(house, key).await?,
            name: ObjectName::new(&key.name)?,
            version: Some(key.version),
            asked: form(Secret::new(self.wrapped.clone())),
        };
        Ok(enter(house, &identity(house, self.by.identity)?, op).await?.done)
    }

    /// Has the holder unwrap: there is no other way to find out whether it still does.
    pub(super) async fn unwrap_elsewhere(&self, house: &House, of: Uuid, at: &KeyElsewhere) -> Result<Secret<Vec<u8>>> {
        let unwrapped = house.settings().key_holders.unwrap(at, &purpose(of), &self.wrapped).await;
        unwrapped.map_err(|fault| match &fault {
            StoreError::KeyAway(_) => away(&self.by).because(fault),
            _ => locked(&self.by, &Error::new(Kind::Denied, "its holder refuses to unwrap with it")).because(fault),
        })
    }
}

/// Wraps at a holder, and has it unwrapped again: one that would not must not hold anything.
async fn wrapped_elsewhere(
    house: &House,
    at: &KeyElsewhere,
    purpose: &[u8],
    inner: &Secret<Vec<u8>>,
) -> Result<Vec<u8>> {
    let holders = &house.settings().key_holders;
    let refused = |fault: StoreError| match &fault {
        StoreError::KeyAway(_) => {
            Error::new(Kind::Unavailable, "the holder of the key cannot be reached; try again later").because(fault)
        }
        _ => {
            let why =
                "its holder refuses to wrap or unwrap with it; ask the operator of this server, whose log says why";
            super::choice::field("keyIdentifier", why).coded("KeyHolderRefused").because(fault)
        }
    };
    let wrapped = holders.wrap(at, purpose, inner).await.map_err(refused)?;
    let again = holders.unwrap(at, purpose, &wrapped).await.map_err(refused)?;
    if again.expose() != inner.expose() {
        return Err(Error::internal("a holder did not give back the key that it wrapped"));
    }
    Ok(wrapped)
}

fn form(value: Secret<Vec<u8>>) -> CipherForm {
    CipherForm { algorithm: ALGORITHM, value, iv: None, tag: None, aad: Vec::new() }
}

/// Where the vault is now: a vault that was deleted is nowhere, and another one of its name is not the same.
pub(super) async fn address(house: &House, key: &VaultKey) -> Result<Addressed> {
    let found = enter(house, &Caller::house(), FindAddress::<KeyVault>::new(key.vault.name())).await?;
    found
        .filter(|found| found.id == key.vault)
        .ok_or_else(|| Error::not_found(format_args!("the vault `{}`", key.vault)))
}

/// The identity in whose name a key is unwrapped: the roles of that identity decide, and the log names it.
fn identity(house: &House, id: PrincipalId) -> Result<Caller> {
    let tenant = house.tenant().ok_or_else(|| Error::new(Kind::Unavailable, "the server has no tenant yet"))?;
    let principal = Principal {
        id,
        tenant,
        kind: PrincipalKind::ServicePrincipal,
        app: None,
        name: String::from("the identity of whoever's data it holds"),
        proof: Proof::default(),
    };
    Ok(Caller { who: Who::Principal(principal), source: Source::internal() })
}
