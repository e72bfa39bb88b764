//! Registering datastores, each with the workspace's key of its account or with a key of its own (requirements K-05, A-41).

use std::collections::BTreeMap;

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use kernel::{Action, Class, Error, Kind, ResourceId, Result, Secret};
use serde::{Deserialize, Serialize};

use super::{
    Datastore, DatastoreKind, Precondition, PutResource, Resource, ResourceType, Written, collection, find, row_id,
    workspace_shelf,
};
use crate::{
    gate::{Changes, Cx, Op, Record, Row},
    storage::{self, Vending, account_at, sign_for_container, sign_for_share, vend},
};

/// The key that a datastore was registered with; on the workspace's shelf, by the datastore's GUID.
#[derive(Clone, Serialize, Deserialize)]
struct DatastoreKey {
    key: String,
}

impl Record for DatastoreKey {
    const TABLE: &'static str = "datastore-key";
}

impl Drop for DatastoreKey {
    fn drop(&mut self) {
        drop(Secret::new(std::mem::take(&mut self.key)));
    }
}

/// Registers a datastore, or overwrites it, its key included.
#[derive(Debug)]
pub struct PutDatastore {
    /// Its id.
    pub id: ResourceId,
    /// Free labels.
    pub tags: BTreeMap<String, String>,
    /// What it shall be. A default one takes the place of the one before; the default one stays it until another is.
    pub datastore: Datastore,
    /// A key of its own; none to use the workspace's.
    pub key: Option<Secret<String>>,
    /// What must hold.
    pub precondition: Precondition,
}

#[async_trait]
impl Op for PutDatastore {
    const ACTION: Action = Datastore::WRITE;
    type Output = Written<Resource<Datastore>>;

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        check(&self.datastore, self.key.as_ref())?;
        let (shelf, _) = workspace_shelf(cx, &self.id).await?;
        let mut changes = Changes::new();
        let mut datastore = self.datastore;
        let id = row_id::<Datastore>(&shelf, &self.id);
        let present = cx.get::<Resource<Datastore>>(&shelf, &id).await?;
        datastore.is_default =
            datastore.is_default || present.as_ref().is_some_and(|row| row.value.properties.is_default);
        if datastore.is_default {
            let all = collection::<Datastore>(&shelf, &self.id.parent());
            for mut other in cx.all::<Resource<Datastore>>(&shelf, &all).await? {
                if other.id != id && other.value.properties.is_default {
                    other.value.properties.is_default = false;
                    changes.put(&shelf, &other)?;
                }
            }
        }
        let guid = present.as_ref().map_or_else(uuid::Uuid::new_v4, |row| row.value.guid);
        let before = cx.get::<DatastoreKey>(&shelf, guid.as_bytes()).await?;
        datastore.has_key = self.key.is_some();
        match (self.key, before) {
            (Some(key), before) => {
                let mut row =
                    before.unwrap_or_else(|| Row::new(guid.as_bytes().as_slice(), DatastoreKey { key: String::new() }));
                row.value.key.clone_from(key.expose());
                changes.put(&shelf, &row)?;
            }
            (None, Some(row)) => {
                changes.delete(&shelf, &row);
            }
            (None, None) => {}
        }
        let put = PutResource {
            id: self.id,
            location: String::new(),
            tags: self.tags,
            properties: datastore,
            precondition: self.precondition,
        };
        put.apply_as(cx, changes, guid).await
    }
}

fn check(datastore: &Datastore, key: Option<&Secret<String>>) -> Result<()> {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let account = &datastore.account;
    if !(3..=24).contains(&account.len()) || !account.chars().all(is_name) {
        return Err(Error::invalid("properties.accountName", "must be 3 to 24 lowercase letters and digits"));
    }
    let container = &datastore.container;
    let fits = |c: char| is_name(c) || c == '-';
    if !(3..=63).contains(&container.len()) || !container.chars().all(fits) || container.starts_with('-') {
        let why = "must be 3 to 63 lowercase letters, digits or `-`, not beginning with `-`";
        return Err(Error::invalid("properties.containerName", why));
    }
    let is_key = |key: &String| (1..=1024).contains(&key.len()) && STANDARD.decode(key).is_ok();
    if key.is_some_and(|key| !is_key(key.expose())) {
        let why = "must be a key of a storage account: base64, at most 1024 characters";
        return Err(Error::invalid("properties.credentials.secrets.key", why));
    }
    Ok(())
}

/// Removes a datastore and its key. What it points to stays. The default one cannot be removed.
#[derive(Debug)]
pub struct DeleteDatastore {
    /// Its id.
    pub id: ResourceId,
}

#[async_trait]
impl Op for DeleteDatastore {
    const ACTION: Action = Datastore::DELETE;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let (shelf, row) = find::<Datastore>(cx, &self.id).await?;
        if row.value.properties.is_default {
            return Err(Error::new(
                Kind::Conflict,
                "the default datastore cannot be removed; make another the default",
            ));
        }
        let mut changes = Changes::new();
        changes.delete(&shelf, &row);
        if let Some(key) = cx.get::<DatastoreKey>(&shelf, row.value.guid.as_bytes()).await? {
            changes.delete(&shelf, &key);
        }
        cx.commit(changes).await
    }
}

/// Signs for the data of a datastore: reading and listing, and writing for whoever may change the datastore. No key is shown: with
/// one that was given it is signed, and without one it is delegated by the workspace's identity (decision 0037).
#[derive(Debug)]
pub struct ListDatastoreSecrets {
    /// The datastore.
    pub id: ResourceId,
}

#[async_trait]
impl Op for ListDatastoreSecrets {
    const ACTION: Action =
        Action::new("Microsoft.MachineLearningServices/workspaces/datastores/listsecrets/action", Class::Vault);
    type Output = Secret<String>;

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Secret<String>> {
        let (shelf, workspace) = workspace_shelf(cx, &self.id).await?;
        let (_, row) = find::<Datastore>(cx, &self.id).await?;
        let (datastore, workspace) = (row.value.properties, workspace.value.properties);
        let writes = cx.may(&Datastore::WRITE, &self.id);
        if let Some(row) = cx.get::<DatastoreKey>(&shelf, row.value.guid.as_bytes()).await? {
            let why = "the datastore's key is not base64, as keys of storage accounts are; register it again";
            let key = STANDARD.decode(&row.value.key).map_err(|_| Error::new(Kind::Conflict, why))?;
            storage::require_factors(cx, writes)?;
            cx.note("signedWith", "the datastore's key");
            let (key, place) = (Secret::new(key), (datastore.account.as_str(), datastore.container.as_str()));
            return Ok(match datastore.kind {
                DatastoreKind::AzureBlob => sign_for_container(&key, place, writes, cx.now()),
                DatastoreKind::AzureFile => sign_for_share(&key, place, writes, cx.now()),
            });
        }
        if datastore.account != workspace.storage_account.name() {
            return Err(Error::not_found(format_args!("a key of the datastore `{}`", self.id.name())));
        }
        if datastore.kind == DatastoreKind::AzureFile {
            return Err(Error::new(Kind::Unsupported, "this server has no file shares; use a datastore of blobs"));
        }
        let account = account_at(cx.house(), &workspace.storage_account).await?;
        let Datastore { container, .. } = datastore;
        let vending = Vending { identity: workspace.identity, container, datastore: self.id.clone(), writes };
        vend(cx, &account, vending).await
    }
}
