//! Deleting objects, which rest then; recovering and purging those that do.

use std::{marker::PhantomData, time::Duration};

use async_trait::async_trait;
use kernel::{Action, Error, Kind as Fault, ResourceId, Result};
use serde_json::json;

use super::{
    Deletion, Kind, Object, ObjectName, Page, Paging, Recovery, Shown,
    object::{Older, Resting},
    opened::{ATTEMPTS, Opened, going, open, require_own, scope_of, too_busy},
    pair,
    read::{cut, row_mark},
};
use crate::{
    access::remove_within,
    gate::{Admission, Changes, Cx, Guard, Guarded, House, Op, Row},
    resources::Addressed,
};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// Older versions that a purge removes in one commit.
const AT_ONCE: usize = 200;

/// A deleted object, by its current version.
#[derive(Clone, Debug)]
pub struct DeletedObject<K: Kind> {
    /// As it was.
    pub shown: Shown<K>,
    /// When it was deleted, and when it ends.
    pub deletion: Deletion,
}

impl<K: Kind> DeletedObject<K> {
    fn new(object: Object<K>, deletion: Deletion, recovery: Recovery) -> Self {
        Self { shown: Shown::current(object, recovery), deletion }
    }
}

/// Deletes an object with all its versions: it rests until it is recovered or purged.
#[derive(Debug)]
pub struct DeleteObject<K> {
    /// The vault.
    pub vault: Addressed,
    /// The object.
    pub name: ObjectName,
    /// What kind of object.
    pub kind: PhantomData<fn() -> K>,
}

#[async_trait]
impl<K: Kind> Op for DeleteObject<K> {
    const ACTION: Action = K::DELETE;
    type Output = DeletedObject<K>;

    fn scope(&self) -> ResourceId {
        scope_of::<K>(&self.vault, &self.name)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<DeletedObject<K>> {
        for _ in 0..ATTEMPTS {
            let opened = open(cx, &self.vault).await?;
            let row = opened.object::<K>(cx, &self.name).await?;
            require_own(&row.value)?;
            let mut changes = Changes::new();
            let deleted = lay_to_rest(cx, &opened, row, &mut changes)?;
            pair::rest::<K>(cx, &opened, &self.name, &mut changes).await?;
            match cx.commit(changes).await {
                Err(fault) if fault.kind() == Fault::Stale => {}
                done => return done.map(|()| deleted),
            }
        }
        Err(too_busy::<K>())
    }
}

/// Lets an object rest, with `changes`.
pub(crate) fn lay_to_rest<K: Kind>(
    cx: &Admission<'_>,
    opened: &Opened,
    mut row: Row<Object<K>>,
    changes: &mut Changes,
) -> Result<DeletedObject<K>> {
    let (now, recovery) = (cx.now(), opened.recovery());
    let purge_at = now.plus(DAY.saturating_mul(u32::from(recovery.days)));
    let deletion = Deletion { deleted_at: now, purge_at, is_going: false };
    row.value.deletion = Some(deletion);
    cx.note("purgeAt", purge_at.rfc3339());
    changes.put(&opened.shelf, &Row::new(row.id.clone(), Resting::<K>::until(purge_at)))?;
    changes.put(&opened.shelf, &row)?;
    Ok(DeletedObject::new(row.value, deletion, recovery))
}

/// Reads a deleted object.
#[derive(Debug)]
pub struct GetDeletedObject<K> {
    /// The vault.
    pub vault: Addressed,
    /// The object.
    pub name: ObjectName,
    /// What kind of object.
    pub kind: PhantomData<fn() -> K>,
}

#[async_trait]
impl<K: Kind> Op for GetDeletedObject<K> {
    const ACTION: Action = K::LIST;
    type Output = DeletedObject<K>;

    fn scope(&self) -> ResourceId {
        scope_of::<K>(&self.vault, &self.name)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<DeletedObject<K>> {
        let opened = open(cx, &self.vault).await?;
        let (row, deletion) = opened.deleted::<K>(cx, &self.name).await?;
        Ok(DeletedObject::new(row.value, deletion, opened.recovery()))
    }
}

/// Lists the deleted objects of a vault.
#[derive(Debug)]
pub struct ListDeletedObjects<K> {
    /// The vault.
    pub vault: Addressed,
    /// Which page.
    pub paging: Paging,
    /// What kind of objects.
    pub kind: PhantomData<fn() -> K>,
}

#[async_trait]
impl<K: Kind> Op for ListDeletedObjects<K> {
    const ACTION: Action = K::LIST;
    type Output = Page<DeletedObject<K>>;

    fn scope(&self) -> ResourceId {
        self.vault.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let (most, after) = (self.paging.most()?, self.paging.after()?);
        let opened = open(cx, &self.vault).await?;
        let rows = cx.page::<Resting<K>>(&opened.shelf, b"", after.as_deref(), most.saturating_add(1)).await?;
        let page = cut(rows, most, row_mark);
        let mut entries = Vec::with_capacity(page.entries.len());
        for resting in page.entries {
            // One that was recovered since is left out.
            let found = cx.get::<Object<K>>(&opened.shelf, &resting.id).await?;
            if let Some((object, deletion)) = found.and_then(|row| row.value.deletion.map(|at| (row.value, at))) {
                entries.push(DeletedObject::new(object, deletion, opened.recovery()));
            }
        }
        cx.note("listed", format!("deleted {} of the vault", K::COLLECTION));
        Ok(Page { entries, next: page.next })
    }
}

/// Takes a deletion back: all versions are there again.
#[derive(Debug)]
pub struct RecoverObject<K> {
    /// The vault.
    pub vault: Addressed,
    /// The object.
    pub name: ObjectName,
    /// What kind of object.
    pub kind: PhantomData<fn() -> K>,
}

#[async_trait]
impl<K: Kind> Op for RecoverObject<K> {
    const ACTION: Action = K::RECOVER;
    type Output = Shown<K>;

    fn scope(&self) -> ResourceId {
        scope_of::<K>(&self.vault, &self.name)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Shown<K>> {
        for _ in 0..ATTEMPTS {
            let opened = open(cx, &self.vault).await?;
            let (row, _) = opened.deleted::<K>(cx, &self.name).await?;
            require_own(&row.value)?;
            let mut changes = Changes::new();
            let object = wake(cx, &opened, row, &mut changes).await?;
            pair::wake::<K>(cx, &opened, &self.name, &mut changes).await?;
            match cx.commit(changes).await {
                Err(fault) if fault.kind() == Fault::Stale => {}
                done => return done.map(|()| Shown::current(object, opened.recovery())),
            }
        }
        Err(too_busy::<K>())
    }
}

/// Lets a deleted object be there again, with `changes`.
///
/// # Errors
/// `Conflict` when its purge has begun.
pub(crate) async fn wake<K: Kind>(
    cx: &Admission<'_>,
    opened: &Opened,
    mut row: Row<Object<K>>,
    changes: &mut Changes,
) -> Result<Object<K>> {
    if row.value.deletion.take().is_some_and(|deletion| deletion.is_going) {
        return Err(going::<K>(&row.value.name));
    }
    forget_rest::<K>(cx, opened, &row.id, changes).await?;
    changes.put(&opened.shelf, &row)?;
    Ok(row.value)
}

/// Destroys a deleted object.
#[derive(Debug)]
pub struct PurgeObject<K> {
    /// The vault.
    pub vault: Addressed,
    /// The object.
    pub name: ObjectName,
    /// What kind of object.
    pub kind: PhantomData<fn() -> K>,
}

#[async_trait]
impl<K: Kind> Op for PurgeObject<K> {
    const ACTION: Action = K::PURGE;
    const GUARDS: &'static [Guard] = &[Guard::Purge];
    type Output = ();

    fn scope(&self) -> ResourceId {
        scope_of::<K>(&self.vault, &self.name)
    }

    fn guarded(&self, _: &House, _: &kernel::Caller) -> Result<Guarded> {
        let body = json!({"purge": {"kind": K::WORD, "name": self.name.as_str()}});
        Ok(Guarded::at(Guard::Purge, &self.scope(), body))
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let opened = open(cx, &self.vault).await?;
        if !opened.recovery().is_purgeable {
            let (row, deletion) = opened.deleted::<K>(cx, &self.name).await?;
            let why = format!(
                "the vault is protected against purging: the {} `{}` ends at {}",
                K::WORD,
                row.value.name,
                deletion.purge_at.rfc3339()
            );
            return Err(Error::new(Fault::Denied, why).coded("Forbidden"));
        }
        purge::<K>(cx, &opened, &self.name).await
    }
}

/// Destroys a deleted object. Of one with many versions the older ones go first, in several commits; from the first on it cannot be
/// recovered, so that nobody gets back half of it.
pub(super) async fn purge<K: Kind>(cx: &Admission<'_>, opened: &Opened, name: &ObjectName) -> Result<()> {
    let mut attempts = 0;
    loop {
        // Roles go with it, and their changes wait for one another.
        let _turn = cx.house().assigning.lock().await;
        let (mut row, mut deletion) = opened.deleted::<K>(cx, name).await?;
        require_own(&row.value)?;
        let mut changes = Changes::new();
        let is_bare = strip::<K>(cx, opened, name, &mut changes).await?;
        let is_bare = pair::strip::<K>(cx, opened, name, &mut changes).await? && is_bare;
        if is_bare {
            changes.delete(&opened.shelf, &row);
            forget_rest::<K>(cx, opened, &row.id, &mut changes).await?;
            pair::end::<K>(cx, opened, name, &mut changes).await?;
            // Whoever held a role there holds it no more when the name comes again.
            let mut scopes = pair::scopes::<K>(opened, name);
            scopes.push(cx.scope().clone());
            remove_within(cx, &scopes, &[], &mut changes).await?;
            cx.note("purged", "true");
            match cx.commit(changes).await {
                Err(fault) if fault.kind() == Fault::Stale && attempts < ATTEMPTS => {
                    attempts = attempts.saturating_add(1);
                    continue;
                }
                done => return done,
            }
        }
        deletion.is_going = true;
        row.value.deletion = Some(deletion);
        changes.put(&opened.shelf, &row)?;
        cx.keep(changes).await?;
    }
}

/// Removes older versions of an object, with `changes`, and says whether those were all.
pub(super) async fn strip<K: Kind>(
    cx: &Admission<'_>,
    opened: &Opened,
    name: &ObjectName,
    changes: &mut Changes,
) -> Result<bool> {
    let id = opened.row_id::<K>(name);
    let older = cx.page::<Older<K>>(&opened.shelf, &id, None, AT_ONCE.saturating_add(1)).await?;
    for version in older.iter().take(AT_ONCE) {
        changes.delete(&opened.shelf, version);
    }
    Ok(older.len() <= AT_ONCE)
}

/// Removes the mark of a deletion, with `changes`.
pub(super) async fn forget_rest<K: Kind>(
    cx: &Admission<'_>,
    opened: &Opened,
    id: &[u8],
    changes: &mut Changes,
) -> Result<()> {
    if let Some(resting) = cx.get::<Resting<K>>(&opened.shelf, id).await? {
        changes.delete(&opened.shelf, &resting);
    }
    Ok(())
}
