//! Changing what is said of a version: attributes, tags, and what its kind allows.

use std::{collections::BTreeMap, marker::PhantomData};

use async_trait::async_trait;
use kernel::{Action, Kind as Fault, ResourceId, Result};

use super::{
    AttributesForm, Kind, Object, ObjectName, Shown, Version, VersionId,
    attributes::check_tags,
    object::Older,
    opened::{ATTEMPTS, Opened, open, require_own, scope_of, too_busy},
    pair,
    read::no_version,
    version::older_id,
};
use crate::{
    gate::{Admission, Changes, Cx, Op, Row},
    resources::Addressed,
};

/// Changes what is said of one version.
#[derive(Debug)]
pub struct UpdateObject<K: Kind> {
    /// The vault.
    pub vault: Addressed,
    /// The object.
    pub name: ObjectName,
    /// Which version; the newest when none.
    pub version: Option<VersionId>,
    /// The attributes that change.
    pub attributes: AttributesForm,
    /// The tags instead of those before; none to keep them.
    pub tags: Option<BTreeMap<String, String>>,
    /// What else changes.
    pub patch: K::Patch,
    /// What kind of object.
    pub kind: PhantomData<fn() -> K>,
}

#[async_trait]
impl<K: Kind> Op for UpdateObject<K> {
    const ACTION: Action = K::UPDATE;
    type Output = Shown<K>;

    fn scope(&self) -> ResourceId {
        scope_of::<K>(&self.vault, &self.name)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Shown<K>> {
        for _ in 0..ATTEMPTS {
            match self.once(cx).await {
                Err(fault) if fault.kind() == Fault::Stale => {}
                done => return done,
            }
        }
        Err(too_busy::<K>())
    }
}

impl<K: Kind> UpdateObject<K> {
    async fn once(&self, cx: &Cx<'_, Self>) -> Result<Shown<K>> {
        let opened = open(cx, &self.vault).await?;
        let mut row = opened.object::<K>(cx, &self.name).await?;
        require_own(&row.value)?;
        let now = cx.now().seconds();
        K::patch_whole(&mut row.value.whole, &self.patch, now)?;
        let mut changes = Changes::new();
        let patched = |version: &mut Version<K>| {
            self.said().apply(version, now)?;
            K::patch(&mut version.content, self.patch.clone())
        };
        let shown = stage_change(cx, &opened, row, self.version, patched, &mut changes).await?;
        pair::change::<K>(cx, &opened, &self.name, shown.version.id, self.said(), &mut changes).await?;
        cx.note("version", shown.version.id.to_string());
        cx.note("enabled", shown.version.attributes.enabled.to_string());
        cx.commit(changes).await?;
        Ok(shown)
    }

    fn said(&self) -> Said<'_> {
        Said { attributes: self.attributes, tags: self.tags.as_ref() }
    }
}

/// What is said of a version, whatever its kind.
#[derive(Clone, Copy)]
pub(super) struct Said<'a> {
    attributes: AttributesForm,
    tags: Option<&'a BTreeMap<String, String>>,
}

impl Said<'_> {
    pub(super) fn apply<K: Kind>(self, version: &mut Version<K>, now: i64) -> Result<()> {
        self.attributes.apply(&mut version.attributes)?;
        if let Some(tags) = self.tags {
            check_tags(tags)?;
            version.tags.clone_from(tags);
        }
        version.attributes.updated = now;
        Ok(())
    }
}

/// Changes one version of an object, with `changes`: the newest when none is named.
///
/// # Errors
/// `NotFound` when there is no such version, and what `apply` says.
pub(super) async fn stage_change<K: Kind>(
    cx: &Admission<'_>,
    opened: &Opened,
    mut row: Row<Object<K>>,
    version: Option<VersionId>,
    apply: impl Fn(&mut Version<K>) -> Result<()> + Send + Sync,
    changes: &mut Changes,
) -> Result<Shown<K>> {
    let mut shown = Shown::current(row.value.clone(), opened.recovery());
    match version {
        Some(wanted) if wanted != row.value.current.id => {
            let older = cx.get::<Older<K>>(&opened.shelf, &older_id(&row.id, wanted)).await?;
            let mut older = older.ok_or_else(|| no_version::<K>(&row.value.name, wanted))?;
            apply(&mut older.value.0)?;
            // A deletion meanwhile makes this stale.
            changes.put(&opened.shelf, &row)?;
            changes.put(&opened.shelf, &older)?;
            shown.version = older.value.0;
        }
        _ => {
            apply(&mut row.value.current)?;
            changes.put(&opened.shelf, &row)?;
            shown.version = row.value.current;
        }
    }
    Ok(shown)
}
