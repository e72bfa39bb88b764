//! Containers: their records, and what is done with one.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use kernel::{Action, Class, Kind, ResourceId, Result, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Account, ContainerName, Lease,
    condition::{Conditions, Mark},
    etag, fault, lease,
    list::each,
    sweep::Gone,
};
use crate::gate::{Admission, Changes, Cx, House, Op, Record, Row};

/// How often a write is tried again when somebody else wrote meanwhile.
pub(super) const ATTEMPTS: usize = 8;
/// Stored policies of one container; Azure's bound.
const MOST_POLICIES: usize = 5;

/// Permission to see containers.
pub const READ: Action = Action::new("Microsoft.Storage/storageAccounts/blobServices/containers/read", Class::Read);
/// Permission to make and change them.
pub const WRITE: Action =
    Action::new("Microsoft.Storage/storageAccounts/blobServices/containers/write", Class::Control);
/// Permission to delete them.
pub const DELETE: Action =
    Action::new("Microsoft.Storage/storageAccounts/blobServices/containers/delete", Class::Control);

/// A container.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Container {
    /// Its name.
    pub name: String,
    /// By which its blobs are found; never reused, unlike the name.
    pub guid: Uuid,
    /// Changes with every write.
    pub etag: u64,
    /// When it was written last.
    pub modified_at: Timestamp,
    /// Free labels.
    pub metadata: BTreeMap<String, String>,
    /// Stored access policies.
    #[serde(default)]
    pub policies: Vec<Policy>,
    /// Who may delete it.
    #[serde(default)]
    pub lease: Option<Lease>,
}

impl Record for Container {
    const TABLE: &'static str = "blob-container";
}

/// A stored access policy: what signatures that name it may do, and until when.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Its name.
    pub id: String,
    /// From when on; empty when signatures say so.
    pub start: String,
    /// Until when; empty when signatures say so.
    pub expiry: String,
    /// Letters; empty when signatures say so.
    pub permission: String,
}

impl Container {
    pub(super) fn mark(&self) -> Mark {
        Mark { etag: self.etag, modified_at: self.modified_at }
    }
}

/// A container, for whoever checks a signature.
pub(super) async fn peek(house: &House, account: &Account, name: &ContainerName) -> Result<Option<Container>> {
    let id = account.shelf.name_id::<Container>(name.as_str());
    Ok(house.peek::<Container>(&account.shelf, &id).await?.map(|row| row.value))
}

/// A container that must be there.
pub(super) async fn find(cx: &Admission<'_>, account: &Account, name: &ContainerName) -> Result<Row<Container>> {
    let id = account.shelf.name_id::<Container>(name.as_str());
    cx.get::<Container>(&account.shelf, &id).await?.ok_or_else(fault::no_container)
}

/// A container of an account.
#[derive(Clone, Debug)]
pub struct InAccount {
    /// The account.
    pub account: Arc<Account>,
    /// The container's name.
    pub name: ContainerName,
}

impl InAccount {
    fn scope(&self) -> ResourceId {
        self.account.container(&self.name)
    }
}

/// Makes a container.
#[derive(Debug)]
pub struct CreateContainer {
    /// Which.
    pub at: InAccount,
    /// Free labels.
    pub metadata: BTreeMap<String, String>,
}

#[async_trait]
impl Op for CreateContainer {
    const ACTION: Action = WRITE;
    type Output = Container;

    fn scope(&self) -> ResourceId {
        self.at.scope()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Container> {
        let shelf = &self.at.account.shelf;
        let name = self.at.name.as_str();
        let id = shelf.name_id::<Container>(name);
        if cx.get::<Container>(shelf, &id).await?.is_some() {
            return Err(fault::container_exists());
        }
        let Mark { etag, modified_at } = etag::fresh(cx.now())?;
        let container = Container {
            name: name.to_owned(),
            guid: Uuid::new_v4(),
            etag,
            modified_at,
            metadata: self.metadata,
            policies: Vec::new(),
            lease: None,
        };
        let mut changes = Changes::new();
        changes.put(shelf, &Row::new(id, container.clone()))?;
        match cx.commit(changes).await {
            Err(fault) if fault.kind() == Kind::Stale => Err(fault::container_exists()),
            done => done.map(|()| container),
        }
    }
}

/// Reads a container's properties, labels and policies.
#[derive(Debug)]
pub struct GetContainer {
    /// Which.
    pub at: InAccount,
    /// The lease that the caller believes to hold.
    pub lease: Option<Uuid>,
}

#[async_trait]
impl Op for GetContainer {
    const ACTION: Action = READ;
    type Output = Container;

    fn scope(&self) -> ResourceId {
        self.at.scope()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Container> {
        let container = find(cx, &self.at.account, &self.at.name).await?.value;
        if self.lease.is_some() {
            lease::require(container.lease.as_ref(), self.lease, cx.now(), lease::Of::Container)?;
        }
        Ok(container)
    }
}

/// What is changed of a container.
#[derive(Clone, Debug)]
pub enum ContainerChange {
    /// All its labels.
    Metadata(BTreeMap<String, String>),
    /// All its policies.
    Policies(Vec<Policy>),
    /// Its lease.
    Lease(lease::Ask),
}

/// Changes a container.
#[derive(Debug)]
pub struct ChangeContainer {
    /// Which.
    pub at: InAccount,
    /// What.
    pub change: ContainerChange,
    /// What must hold.
    pub conditions: Conditions,
    /// The lease that the caller believes to hold.
    pub lease: Option<Uuid>,
}

#[async_trait]
impl Op for ChangeContainer {
    const ACTION: Action = WRITE;
    type Output = (Container, Option<lease::Answer>);

    fn scope(&self) -> ResourceId {
        self.at.scope()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        for _ in 0..ATTEMPTS {
            let mut row = find(cx, &self.at.account, &self.at.name).await?;
            self.conditions.hold_for_write(row.value.mark())?;
            let answer = self.apply(cx, &mut row.value)?;
            let mut changes = Changes::new();
            changes.put(&self.at.account.shelf, &row)?;
            match cx.commit(changes).await {
                Err(fault) if fault.kind() == Kind::Stale => {}
                done => return done.map(|()| (row.value, answer)),
            }
        }
        Err(fault::too_fast())
    }
}

impl ChangeContainer {
    fn apply(&self, cx: &Cx<'_, Self>, container: &mut Container) -> Result<Option<lease::Answer>> {
        if let ContainerChange::Lease(ask) = &self.change {
            cx.note("lease", format!("{ask:?}").split(['(', ' ']).next().unwrap_or_default());
            return lease::apply(&mut container.lease, *ask, cx.now()).map(Some);
        }
        if self.lease.is_some() {
            lease::require(container.lease.as_ref(), self.lease, cx.now(), lease::Of::Container)?;
        }
        match &self.change {
            ContainerChange::Metadata(metadata) => container.metadata.clone_from(metadata),
            ContainerChange::Policies(policies) => {
                if policies.len() > MOST_POLICIES {
                    return Err(fault::invalid("InvalidXmlDocument", "a container has at most 5 stored policies"));
                }
                cx.note("policies", policies.len().to_string());
                container.policies.clone_from(policies);
            }
            ContainerChange::Lease(_) => {}
        }
        let mark = etag::fresh(cx.now())?;
        (container.etag, container.modified_at) = (mark.etag, mark.modified_at);
        Ok(None)
    }
}

/// Deletes a container with all that lies in it. Nothing of it can be read from then on; the house removes it bit by bit.
#[derive(Debug)]
pub struct DeleteContainer {
    /// Which.
    pub at: InAccount,
    /// What must hold.
    pub conditions: Conditions,
    /// The lease that the caller holds.
    pub lease: Option<Uuid>,
}

#[async_trait]
impl Op for DeleteContainer {
    const ACTION: Action = DELETE;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.at.scope()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let shelf = &self.at.account.shelf;
        for _ in 0..ATTEMPTS {
            let row = find(cx, &self.at.account, &self.at.name).await?;
            self.conditions.hold_for_write(row.value.mark())?;
            lease::require(row.value.lease.as_ref(), self.lease, cx.now(), lease::Of::Container)?;
            let mut changes = Changes::new();
            changes.delete(shelf, &row);
            changes.put(shelf, &Row::new(row.value.guid.as_bytes().as_slice(), Gone { at: cx.now() }))?;
            match cx.commit(changes).await {
                Err(fault) if fault.kind() == Kind::Stale => {}
                done => return done,
            }
        }
        Err(fault::too_fast())
    }
}

/// Lists the containers of an account, by name: a page, and the name that the next one begins with.
#[derive(Debug)]
pub struct ListContainers {
    /// Of which account.
    pub account: Arc<Account>,
    /// What their names begin with.
    pub prefix: String,
    /// Only those from this name on.
    pub from: String,
    /// At most so many.
    pub most: usize,
}

#[async_trait]
impl Op for ListContainers {
    const ACTION: Action = READ;
    type Output = (Vec<Container>, Option<String>);

    fn scope(&self) -> ResourceId {
        self.account.service()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let mut found: BTreeMap<String, Container> = BTreeMap::new();
        each::<Container>(cx, &self.account.shelf, b"", |container| {
            if container.name.starts_with(&self.prefix) && container.name >= self.from {
                found.insert(container.name.clone(), container);
            }
            // One more than wanted, to know where the next page begins.
            if found.len() > self.most.saturating_add(1) {
                found.pop_last();
            }
        })
        .await?;
        let next = if found.len() > self.most { found.pop_last().map(|(name, _)| name) } else { None };
        Ok((found.into_values().collect(), next))
    }
}
