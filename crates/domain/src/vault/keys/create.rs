//! Making keys, and taking in those that somebody brings.

use std::collections::BTreeMap;

use async_trait::async_trait;
use kernel::{Action, Class, Error, ResourceId, Result};
use seal::{VaultKey, VaultKeyShape, VaultPrivateKey};

use super::{Key, KeyContent, KeyOperation, KeyType};
use crate::{
    gate::{Cx, Op},
    resources::Addressed,
    vault::{
        AttributesForm, ObjectName, Shown,
        opened::{Opened, open, scope_of},
        version::{Draft, add_version},
    },
};

/// Makes a key: its first version, or one more.
#[derive(Debug)]
pub struct CreateKey {
    /// The vault.
    pub vault: Addressed,
    /// The key.
    pub name: ObjectName,
    /// What it is called.
    pub kind: KeyType,
    /// What it is.
    pub shape: VaultKeyShape,
    /// What it may be used for; everything that its type does when none.
    pub operations: Option<Vec<KeyOperation>>,
    /// Whether and when it may be used.
    pub attributes: AttributesForm,
    /// Free labels.
    pub tags: BTreeMap<String, String>,
}

#[async_trait]
impl Op for CreateKey {
    const ACTION: Action = Action::data("Microsoft.KeyVault/vaults/keys/create/action", Class::Control);
    type Output = Shown<Key>;

    fn scope(&self) -> ResourceId {
        scope_of::<Key>(&self.vault, &self.name)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Shown<Key>> {
        let fits = matches!(
            (self.kind, self.shape),
            (KeyType::Rsa | KeyType::RsaHsm, VaultKeyShape::Rsa(_))
                | (KeyType::Ec | KeyType::EcHsm, VaultKeyShape::Curve(_))
                | (KeyType::Oct | KeyType::OctHsm, VaultKeyShape::Symmetric(_))
        );
        if !fits {
            return Err(Error::invalid("kty", "does not fit the size or the curve"));
        }
        let operations = self.kind.operations(self.operations)?;
        let opened = open(cx, &self.vault).await?;
        require_tier(&opened, self.kind)?;
        cx.note("kty", self.kind.name());
        let shape = self.shape;
        let key = cx.house().vault.make(move || VaultKey::generate(shape)).await?;
        let content = KeyContent::new(self.kind, operations, &key);
        let draft = Draft::new(self.attributes, self.tags, content);
        add_version::<Key>(cx, &opened, &self.name, draft).await
    }
}

/// Keys in hardware are for vaults of the premium tier, as in Azure. What they get is the same key, and says so.
pub(in crate::vault) fn require_tier(opened: &Opened, kind: KeyType) -> Result<()> {
    if !kind.is_hsm() || opened.is_premium() {
        return Ok(());
    }
    let why = format!("`{}` takes a vault of the premium tier; this one is standard", kind.name());
    Err(Error::invalid("kty", why))
}

/// Takes in a key that somebody brings.
#[derive(Debug)]
pub struct ImportKey {
    /// The vault.
    pub vault: Addressed,
    /// The key.
    pub name: ObjectName,
    /// What it is called.
    pub kind: KeyType,
    /// Its numbers.
    pub numbers: VaultPrivateKey,
    /// What it may be used for; everything that its type does when none.
    pub operations: Option<Vec<KeyOperation>>,
    /// Whether and when it may be used.
    pub attributes: AttributesForm,
    /// Free labels.
    pub tags: BTreeMap<String, String>,
}

#[async_trait]
impl Op for ImportKey {
    const ACTION: Action = Action::data("Microsoft.KeyVault/vaults/keys/import/action", Class::Control);
    type Output = Shown<Key>;

    fn scope(&self) -> ResourceId {
        scope_of::<Key>(&self.vault, &self.name)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Shown<Key>> {
        let fits = matches!(
            (self.kind, &self.numbers),
            (KeyType::Rsa | KeyType::RsaHsm, VaultPrivateKey::Rsa { .. })
                | (KeyType::Ec | KeyType::EcHsm, VaultPrivateKey::Curve { .. })
                | (KeyType::Oct | KeyType::OctHsm, VaultPrivateKey::Symmetric(_))
        );
        if !fits {
            return Err(Error::invalid("key", "its members are not those of its `kty`"));
        }
        let operations = self.kind.operations(self.operations)?;
        let opened = open(cx, &self.vault).await?;
        require_tier(&opened, self.kind)?;
        cx.note("kty", self.kind.name());
        let numbers = self.numbers;
        let key = cx.house().vault.make(move || numbers.checked()).await?;
        let content = KeyContent::new(self.kind, operations, &key);
        let draft = Draft::new(self.attributes, self.tags, content);
        add_version::<Key>(cx, &opened, &self.name, draft).await
    }
}
