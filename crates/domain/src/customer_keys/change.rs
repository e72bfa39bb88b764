//! Changing the key that holds a workspace, while it is in use; and how it stands.

use async_trait::async_trait;
use kernel::{Action, Caller, Class, Error, Kind, ResourceId, Result};
use serde_json::json;

use super::{CRYPTO_GRANT, CustomerKey, KEY_UNAVAILABLE, KeyRequest, choose, watch::look};
use crate::{
    access::move_managed_grant,
    gate::{Changes, Cx, Guard, Guarded, House, Op, Row},
    resources::{Resource, Workspace, find},
    vault::{Key, Kind as VaultKind},
};

const ATTEMPTS: usize = 4;

impl CustomerKey {
    /// The key itself, as a scope of roles.
    pub(crate) fn scope(&self) -> Result<ResourceId> {
        self.vault.child([Key::COLLECTION, &self.name]).map_err(Error::internal)
    }
}

/// Closes a workspace with a customer's key, or with another one than before. Nothing that lies under it is written anew: only its
/// keyring is, so that it is done at once and without interruption. The key it had must still open it.
#[derive(Debug)]
pub struct ChangeEncryptionKey {
    /// The workspace.
    pub workspace: ResourceId,
    /// The key it shall have.
    pub request: KeyRequest,
}

#[async_trait]
impl Op for ChangeEncryptionKey {
    const ACTION: Action =
        Action::new("Microsoft.MachineLearningServices/workspaces/changeEncryptionKey/action", Class::Control);
    const GUARDS: &'static [Guard] = &[Guard::KeyChange];
    type Output = CustomerKey;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    fn guarded(&self, _: &House, _: &Caller) -> Result<Guarded> {
        let body = json!({"key": self.request.identifier, "vault": self.request.vault});
        Ok(Guarded::at(Guard::KeyChange, &self.workspace, body))
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<CustomerKey> {
        let (_, row) = find::<Workspace, _>(cx, &self.workspace).await?;
        let identity = row.value.properties.identity;
        let key = choose(cx, &self.request, &row.value.id, &row.value.location, identity).await?;
        cx.note("key", &key.identifier);
        for _ in 0..ATTEMPTS {
            match close(cx, &self.workspace, &key).await {
                Err(fault) if fault.kind() == Kind::Stale => {}
                done => return done.map(|()| key),
            }
        }
        Err(Error::new(Kind::Throttled, "the workspace changes too fast; try again"))
    }
}

async fn close(cx: &Cx<'_, ChangeEncryptionKey>, workspace: &ResourceId, key: &CustomerKey) -> Result<()> {
    let (system, mut row) = find::<Workspace, _>(cx, workspace).await?;
    let _turn = cx.house().assigning.lock().await;
    let mut changes = Changes::new();
    cx.close_shelf(row.value.guid, key.clone(), &mut changes).await?;
    let before = row.value.properties.encryption.replace(key.clone());
    let from = before.map(|before| before.scope()).transpose()?;
    move_managed_grant(cx, key.identity, CRYPTO_GRANT, (from.as_ref(), &key.scope()?), &mut changes).await?;
    changes.put(&system, &row)?;
    cx.commit(changes).await
}

/// How a workspace's data is held.
#[derive(Clone, Debug)]
pub struct Encryption {
    /// The customer's key; none when the server's own keyring holds it.
    pub key: Option<CustomerKey>,
    /// Why the key cannot be used, when it cannot.
    pub locked: Option<String>,
}

/// Says which key holds a workspace, and whether it can be used now.
#[derive(Debug)]
pub struct GetEncryption {
    /// The workspace.
    pub workspace: ResourceId,
}

#[async_trait]
impl Op for GetEncryption {
    const ACTION: Action = Action::new("Microsoft.MachineLearningServices/workspaces/encryption/read", Class::Read);
    type Output = Encryption;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Encryption> {
        let row: Row<Resource<Workspace>> = find::<Workspace, _>(cx, &self.workspace).await?.1;
        let key = row.value.properties.encryption;
        let locked = match &key {
            None => None,
            Some(key) => match look(cx.house(), key).await {
                Ok(()) => None,
                Err(fault) if fault.code() == Some(KEY_UNAVAILABLE) => Some(fault.public().to_owned()),
                Err(fault) => return Err(fault),
            },
        };
        Ok(Encryption { key, locked })
    }
}
