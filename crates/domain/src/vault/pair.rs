//! What comes with a certificate: a key and a secret of the same name, with the same versions. To them happens what happens to it, in
//! the same commit, and nothing else.

use kernel::{ResourceId, Result};

use super::{
    Key, Kind, Object, ObjectName, Secret, VersionId,
    certificates::forget_pending,
    change::{Said, stage_change},
    delete::{self, forget_rest, lay_to_rest},
    opened::{Opened, scope_of},
};
use crate::gate::{Admission, Changes, Row};

/// The object of a pair, deleted or not.
async fn found<K: Kind>(cx: &Admission<'_>, opened: &Opened, name: &ObjectName) -> Result<Option<Row<Object<K>>>> {
    Ok(opened.named::<K>(cx, name).await?.filter(|row| row.value.is_managed))
}

/// Changes what is said of a version of both.
pub(super) async fn change<K: Kind>(
    cx: &Admission<'_>,
    opened: &Opened,
    name: &ObjectName,
    version: VersionId,
    said: Said<'_>,
    changes: &mut Changes,
) -> Result<()> {
    if !K::HAS_PAIR {
        return Ok(());
    }
    let now = cx.now().seconds();
    if let Some(row) = found::<Key>(cx, opened, name).await? {
        stage_change(cx, opened, row, Some(version), |version| said.apply(version, now), changes).await?;
    }
    if let Some(row) = found::<Secret>(cx, opened, name).await? {
        stage_change(cx, opened, row, Some(version), |version| said.apply(version, now), changes).await?;
    }
    Ok(())
}

/// Lets both rest, and ends what was to become a version.
pub(super) async fn rest<K: Kind>(
    cx: &Admission<'_>,
    opened: &Opened,
    name: &ObjectName,
    changes: &mut Changes,
) -> Result<()> {
    if !K::HAS_PAIR {
        return Ok(());
    }
    if let Some(row) = found::<Key>(cx, opened, name).await? {
        lay_to_rest(cx, opened, row, changes)?;
    }
    if let Some(row) = found::<Secret>(cx, opened, name).await? {
        lay_to_rest(cx, opened, row, changes)?;
    }
    forget_pending(cx, opened, name, changes).await
}

/// Lets both be there again.
pub(super) async fn wake<K: Kind>(
    cx: &Admission<'_>,
    opened: &Opened,
    name: &ObjectName,
    changes: &mut Changes,
) -> Result<()> {
    if !K::HAS_PAIR {
        return Ok(());
    }
    if let Some(row) = found::<Key>(cx, opened, name).await? {
        delete::wake(cx, opened, row, changes).await?;
    }
    if let Some(row) = found::<Secret>(cx, opened, name).await? {
        delete::wake(cx, opened, row, changes).await?;
    }
    Ok(())
}

/// Removes older versions of both, and says whether those were all.
pub(super) async fn strip<K: Kind>(
    cx: &Admission<'_>,
    opened: &Opened,
    name: &ObjectName,
    changes: &mut Changes,
) -> Result<bool> {
    if !K::HAS_PAIR {
        return Ok(true);
    }
    let mut is_bare = true;
    if found::<Key>(cx, opened, name).await?.is_some() {
        is_bare = delete::strip::<Key>(cx, opened, name, changes).await?;
    }
    if found::<Secret>(cx, opened, name).await?.is_some() {
        is_bare = delete::strip::<Secret>(cx, opened, name, changes).await? && is_bare;
    }
    Ok(is_bare)
}

/// Destroys both.
pub(super) async fn end<K: Kind>(
    cx: &Admission<'_>,
    opened: &Opened,
    name: &ObjectName,
    changes: &mut Changes,
) -> Result<()> {
    if !K::HAS_PAIR {
        return Ok(());
    }
    if let Some(row) = found::<Key>(cx, opened, name).await? {
        changes.delete(&opened.shelf, &row);
        forget_rest::<Key>(cx, opened, &row.id, changes).await?;
    }
    if let Some(row) = found::<Secret>(cx, opened, name).await? {
        changes.delete(&opened.shelf, &row);
        forget_rest::<Secret>(cx, opened, &row.id, changes).await?;
    }
    Ok(())
}

/// The scopes of both, at which roles can be held.
pub(super) fn scopes<K: Kind>(opened: &Opened, name: &ObjectName) -> Vec<ResourceId> {
    if !K::HAS_PAIR {
        return Vec::new();
    }
    vec![scope_of::<Key>(&opened.at(), name), scope_of::<Secret>(&opened.at(), name)]
}
