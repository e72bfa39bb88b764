//! The root key from within an operation: how it stands, and wrapping the system's keyring anew.

use std::sync::Arc;

use kernel::{BlobStore, KeyProvider, MetaStore, Result};

use super::{
    Admission, Changes,
    keys::{Keys, root_fault, unwrapped},
};

/// Who holds the root key, and which version of it wrapped what is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootKeyUse {
    /// Kind and place, for people.
    pub provider: String,
    /// The version, where the provider has any.
    pub version: Option<String>,
}

/// Whether a root key opens a store, and how it stands. Changes nothing.
///
/// # Errors
/// `Unavailable` with a sentence for the operator when it does not.
pub async fn root_key_use(meta: &dyn MetaStore, root: &dyn KeyProvider) -> Result<RootKeyUse> {
    let stored = Keys::stored(meta).await?;
    unwrapped(&stored.value, root).await?;
    Ok(RootKeyUse { provider: root.describe(), version: root.version(&stored.value) })
}

impl Admission<'_> {
    /// How the root key stands, as far as it is known without its holder: reading it must cost no stretching of a passphrase, no
    /// login and no call, and goes on while the holder is away.
    pub(crate) async fn root_key(&self) -> Result<RootKeyUse> {
        let (house, root) = (self.house(), self.house().root());
        let stored = Keys::stored(house.meta()).await?;
        Ok(RootKeyUse { provider: root.describe(), version: root.version(&stored.value) })
    }

    /// Makes a new version of the root key and wraps the system's keyring under it, in one commit with the record. What a
    /// failure leaves opens: the provider opens both versions until it is told that the old one is no longer needed.
    pub(crate) async fn rotate_root(&self) -> Result<RootKeyUse> {
        let (house, root) = (self.house(), self.house().root());
        let _turn = house.rewrapping.lock().await;
        root.rotate().await.map_err(|fault| root_fault(root, &fault))?;
        let mut changes = Changes::new();
        changes.put_root(Keys::rewrapped(house.meta(), root, root).await?);
        self.note("provider", root.describe());
        self.commit(changes).await?;
        if let Err(fault) = root.settle().await {
            tracing::warn!(%fault, "the old version of the root key could not be put away; it is tried again at the next start");
        }
        self.root_key().await
    }

    /// Wraps the system's keyring under another root key, in one commit with the record. From then on only that one opens the
    /// store.
    pub(crate) async fn move_root(&self, to: &dyn KeyProvider) -> Result<RootKeyUse> {
        let (house, from) = (self.house(), self.house().root());
        let _turn = house.rewrapping.lock().await;
        let mut changes = Changes::new();
        changes.put_root(Keys::rewrapped(house.meta(), from, to).await?);
        self.note("from", from.describe());
        self.note("to", to.describe());
        self.commit(changes).await?;
        root_key_use(house.meta(), to).await
    }

    /// The stores as they are, for copying all that lies in them, sealed as it is.
    pub(crate) fn stores(&self) -> (&dyn MetaStore, Arc<dyn BlobStore>) {
        (self.house().meta(), Arc::clone(self.house().blobs()))
    }
}
