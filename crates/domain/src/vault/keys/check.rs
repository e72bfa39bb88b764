//! Whether somebody could unwrap with a key now, without unwrapping.

use async_trait::async_trait;
use kernel::{Action, Class, Error, Kind as Fault, PrincipalId, ResourceId, Result};

use super::{Key, KeyContent, KeyOperation, UnwrapKey, deed::Deed};
use crate::{
    access::KEY_VAULT_CRYPTO_SERVICE_ENCRYPTION_USER,
    gate::{Cx, Op},
    resources::Addressed,
    vault::{
        ObjectName, VersionId,
        opened::{open, scope_of},
        read::{find_version, require_enabled},
    },
};

/// Asks whether a principal may unwrap with this version now: whether the key is there, enabled, within its time, for wrapping and
/// unwrapping, and the principal holds the role that is for this (any other, however much it allows, counts for nothing here, so that
/// taking that one away is enough). For the server itself, which holds what the key opened.
#[derive(Debug)]
pub struct CheckKey {
    /// The vault.
    pub vault: Addressed,
    /// The key.
    pub name: ObjectName,
    /// Which version; the newest one when none is named.
    pub version: Option<VersionId>,
    /// Who would unwrap; nobody yet when the key is about to be chosen.
    pub by: Option<PrincipalId>,
}

#[async_trait]
impl Op for CheckKey {
    const ACTION: Action = Action::new("Microsoft.KeyVault/vaults/keys/check/read", Class::Open);
    type Output = (VersionId, KeyContent);

    fn scope(&self) -> ResourceId {
        scope_of::<Key>(&self.vault, &self.name)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let opened = open(cx, &self.vault).await?;
        let object = opened.object::<Key>(cx, &self.name).await?;
        let shown = find_version(cx, &opened, object, self.version).await?;
        let (version, now) = (&shown.version, cx.now().seconds());
        require_enabled(version, KeyOperation::UnwrapKey.name())?;
        let denied = |code, why: &str| -> Result<Self::Output> { Err(Error::new(Fault::Denied, why).coded(code)) };
        if version.attributes.not_before.is_some_and(|from| now < from) {
            return denied("KeyNotYetValid", "the key is not valid yet");
        }
        if version.attributes.expires.is_some_and(|end| now >= end) {
            return denied("KeyExpired", "the key has expired");
        }
        let needed = [KeyOperation::WrapKey, KeyOperation::UnwrapKey];
        if !needed.iter().all(|operation| version.content.operations.contains(operation)) {
            return denied("KeyOperationForbidden", "the key is not for wrapping and unwrapping");
        }
        if self.by.is_none() && shown.is_managed {
            // Whoever may change the certificate replaces the key, and the private half may lie in a secret.
            return denied("KeyOperationForbidden", "the key belongs to a certificate; name a key of its own");
        }
        let Some(by) = self.by else { return Ok((version.id, shown.version.content)) };
        let (access, scope) = (cx.house().access(), self.scope());
        let holds = access.holds_at(by, KEY_VAULT_CRYPTO_SERVICE_ENCRYPTION_USER, &scope);
        let may = holds && access.allows(by, &UnwrapKey::ACTION, &scope);
        drop(access);
        // Asked after the picture was taken: an empty one says nothing.
        if !may && cx.house().is_blind() {
            return Err(Error::new(Fault::Unavailable, "roles cannot be read just now, so nothing is decided"));
        }
        if !may {
            let why = "the identity of whoever's data it holds may not unwrap with it: it needs `Key Vault Crypto Service Encryption User` there";
            return denied("Forbidden", why);
        }
        Ok((version.id, shown.version.content))
    }
}
