//! Changing the key that holds a workspace, while it is in use; and how it stands.

use async_trait::async_trait;
use kernel::{Action, Caller, Class, Error, Kind, ResourceId, Result};
use serde_json::json;
use uuid::Uuid;

use super::{CRYPTO_GRANT, CustomerKey, HOLDER_AWAY, KEY_UNAVAILABLE, KeyRequest, Opening, choose, watch::look};
use crate::{
    access::move_managed_grant,
    gate::{Admission, Changes, Cx, Guard, Guarded, House, Op, Row},
    resources::{Resource, Workspace, find},
};

const ATTEMPTS: usize = 4;

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
        let KeyRequest { vault, identifier, elsewhere, .. } = &self.request;
        let mut body = json!({"key": identifier, "vault": vault});
        if let (Some(fields), Some(at)) = (body.as_object_mut(), elsewhere) {
            fields.insert(String::from("elsewhere"), json!(at));
        }
        Ok(Guarded::at(Guard::KeyChange, &self.workspace, body))
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<CustomerKey> {
        let (_, row) = find::<Workspace>(cx, &self.workspace).await?;
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
    let (system, mut row) = find::<Workspace>(cx, workspace).await?;
    let mut changes = Changes::new();
    // A holder may be slow to answer, so it is asked before the turn: a keyring that changed since makes the commit stale.
    cx.close_shelf(row.value.guid, None, key.clone(), &mut changes).await?;
    let _turn = cx.house().assigning.lock().await;
    let before = row.value.properties.encryption.replace(key.clone());
    move_role(cx, before.as_ref(), Some(key), &mut changes).await?;
    changes.put(&system, &row)?;
    cx.commit(changes).await
}

/// Closes what has this GUID with another key than before, or with none, once `changes` are committed; its identity's role moves
/// along. The key that it had must still open it. Whoever asks holds `assigning` and commits.
///
/// # Errors
/// As `HeldKeyring::open` for the key that it had, and `HeldKeyring::close` for the one that it gets.
pub(crate) async fn move_key(
    cx: &Admission<'_>,
    of: Uuid,
    from: Option<&CustomerKey>,
    to: Option<&CustomerKey>,
    changes: &mut Changes,
) -> Result<()> {
    match to {
        Some(key) => cx.close_shelf(of, None, key.clone(), changes).await?,
        None => cx.free_shelf(of, changes).await?,
    }
    move_role(cx, from, to, changes).await
}

/// The part of it that is about the identity's role: it is had on the key that holds now, and no more on the one that held before.
pub(crate) async fn move_role(
    cx: &Admission<'_>,
    from: Option<&CustomerKey>,
    to: Option<&CustomerKey>,
    changes: &mut Changes,
) -> Result<()> {
    let Some(identity) = to.or(from).map(|key| key.identity) else { return Ok(()) };
    let scope = |key: Option<&CustomerKey>| key.map(CustomerKey::role_scope).transpose().map(Option::flatten);
    let (from, to) = (scope(from)?, scope(to)?);
    if from == to {
        return Ok(());
    }
    move_managed_grant(cx, identity, CRYPTO_GRANT, (from.as_ref(), to.as_ref()), changes).await
}

/// How a workspace's data is held.
#[derive(Clone, Debug)]
pub struct Encryption {
    /// The customer's key; none when the server's own keyring holds it.
    pub key: Option<CustomerKey>,
    /// Why the key cannot be used, when it cannot.
    pub locked: Option<String>,
    /// What two custodians opened meanwhile.
    pub opening: Option<Opening>,
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
        let row: Row<Resource<Workspace>> = find::<Workspace>(cx, &self.workspace).await?.1;
        let locked = match &row.value.properties.encryption {
            None => None,
            Some(key) => match usable(cx, row.value.guid, key).await {
                Ok(()) => None,
                Err(fault) if [KEY_UNAVAILABLE, HOLDER_AWAY].map(Some).contains(&fault.code()) => {
                    Some(fault.public().to_owned())
                }
                Err(fault) => return Err(fault),
            },
        };
        let opening = cx.house().glass.state(row.value.guid, cx.now()).opening;
        Ok(Encryption { key: row.value.properties.encryption, locked, opening })
    }
}

/// Whether the key can be used now. What is held elsewhere says so by being open: whoever reads drives no holder.
pub(super) async fn usable(cx: &Admission<'_>, of: Uuid, key: &CustomerKey) -> Result<()> {
    match key.here() {
        Some(_) => look(cx.house(), of, key).await,
        None => cx.shelf(of).await.map(drop),
    }
}
