//! The house's keyrings: one for the system under the root key, one per workspace under the system's.

use std::{collections::HashMap, sync::Arc};

use arc_swap::ArcSwap;
use kernel::{Batch, Change, Error, KeyProvider, Kind, MetaStore, Result, Secret, WorkspaceId};
use seal::{Keyring, Ring};
use serde::{Deserialize, Serialize};

use super::{Record, Row, Shelf};

const ROOT_KEY: &[u8] = b"root\0keyring";
const PURPOSE: &[u8] = b"system keyring";

/// The keyring of one workspace, sealed for the system's shelf.
#[derive(Serialize, Deserialize)]
pub(super) struct WorkspaceKeyring {
    material: Vec<u8>,
}

impl Record for WorkspaceKeyring {
    const TABLE: &'static str = "keyring";
}

impl Drop for WorkspaceKeyring {
    fn drop(&mut self) {
        drop(Secret::new(std::mem::take(&mut self.material)));
    }
}

/// Opened rings.
pub(super) struct Keys {
    system: Shelf,
    workspaces: ArcSwap<HashMap<WorkspaceId, Shelf>>,
}

impl Keys {
    /// Opens the system keyring with the root key, or makes one when the store is empty.
    pub(super) async fn open(meta: &dyn MetaStore, root: &dyn KeyProvider) -> Result<Self> {
        let keyring = match meta.get(ROOT_KEY).await? {
            Some(stored) => {
                let material = root.unwrap(PURPOSE, &stored.value).await.map_err(|fault| {
                    let why = format!("the root key ({}) does not open this data directory: {fault}", root.describe());
                    Error::new(Kind::Unavailable, why)
                })?;
                Keyring::from_bytes(&material)?
            }
            None => {
                let fresh = Keyring::generate()?;
                let value = root.wrap(PURPOSE, &fresh.to_bytes()).await?;
                let change = Change::Put { key: ROOT_KEY.into(), version: 1, value };
                meta.commit(Batch { changes: vec![change], records: Vec::new() }).await?;
                fresh
            }
        };
        let system = Shelf::new(Shelf::SYSTEM, Arc::new(keyring.ring()?));
        Ok(Self { system, workspaces: ArcSwap::default() })
    }

    pub(super) fn system(&self) -> &Shelf {
        &self.system
    }

    /// A new workspace's shelf, and the row that makes it last.
    pub(super) fn found(&self, workspace: WorkspaceId) -> Result<(Shelf, Row<WorkspaceKeyring>)> {
        let keyring = Keyring::generate()?;
        let shelf = Shelf::new(*workspace.as_bytes(), Arc::new(keyring.ring()?));
        let material = keyring.to_bytes().expose().clone();
        Ok((shelf, Row::new(workspace.as_bytes().as_slice(), WorkspaceKeyring { material })))
    }

    /// The shelf of a workspace.
    pub(super) async fn workspace(&self, meta: &dyn MetaStore, id: WorkspaceId) -> Result<Shelf> {
        if let Some(shelf) = self.workspaces.load().get(&id) {
            return Ok(shelf.clone());
        }
        let key = self.system.key(WorkspaceKeyring::TABLE, id.as_bytes());
        let stored = meta.get(&key).await?.ok_or_else(|| Error::not_found("the workspace's key"))?;
        let row: Row<WorkspaceKeyring> = self.system.open(&stored)?;
        let ring: Ring = Keyring::from_bytes(&Secret::new(row.value.material.clone()))?.ring()?;
        let shelf = Shelf::new(*id.as_bytes(), Arc::new(ring));
        self.workspaces.rcu(|known| {
            let mut next = HashMap::clone(known);
            next.insert(id, shelf.clone());
            next
        });
        Ok(shelf)
    }

    /// Drops an opened ring; the next use reads it from the store again, if it is still there.
    pub(super) fn forget(&self, workspace: WorkspaceId) {
        self.workspaces.rcu(|known| {
            let mut next = HashMap::clone(known);
            next.remove(&workspace);
            next
        });
    }
}
