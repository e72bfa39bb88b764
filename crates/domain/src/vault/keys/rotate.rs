//! Rotating a key: a new version like the current one takes over. Older versions go on opening what was made with them.

use async_trait::async_trait;
use kernel::{Action, Class, Error, ResourceId, Result};
use seal::VaultKey;

use super::{Key, KeyContent};
use crate::{
    gate::{Admission, Cx, Op},
    resources::Addressed,
    vault::{
        AttributesForm, ObjectName, Shown,
        opened::{Opened, open, require_own, scope_of},
        version::{Draft, add_version},
    },
};

pub(super) const ROTATE: Action = Action::data("Microsoft.KeyVault/vaults/keys/rotate/action", Class::Control);

/// Gives a key a new version now.
#[derive(Debug)]
pub struct RotateKey {
    /// The vault.
    pub vault: Addressed,
    /// The key.
    pub name: ObjectName,
}

#[async_trait]
impl Op for RotateKey {
    const ACTION: Action = ROTATE;
    type Output = Shown<Key>;

    fn scope(&self) -> ResourceId {
        scope_of::<Key>(&self.vault, &self.name)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Shown<Key>> {
        let opened = open(cx, &self.vault).await?;
        rotate(cx, &opened, &self.name).await
    }
}

/// A new version with type, size, operations and tags of the current one; how long it lives, the policy says.
pub(super) async fn rotate(cx: &Admission<'_>, opened: &Opened, name: &ObjectName) -> Result<Shown<Key>> {
    let row = opened.object::<Key>(cx, name).await?;
    require_own(&row.value)?;
    let (current, policy) = (&row.value.current, &row.value.whole.policy);
    let expires = match policy.as_ref().and_then(|policy| policy.life) {
        None => None,
        Some(life) => {
            let end = life.after(cx.now().seconds());
            Some(end.ok_or_else(|| Error::invalid("attributes.expiryTime", "ends after the year 9999"))?)
        }
    };
    let shape = current.content.shape()?;
    let key = cx.house().vault.make(move || VaultKey::generate(shape)).await?;
    let content = KeyContent::new(current.content.kind, current.content.operations.clone(), &key);
    let attributes = AttributesForm { enabled: Some(true), not_before: None, expires };
    cx.note("kty", content.kind.name());
    let draft = Draft::new(attributes, current.tags.clone(), content);
    add_version::<Key>(cx, opened, name, draft).await
}
