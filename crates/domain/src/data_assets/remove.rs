//! Taking data assets off. The data itself stays where it lies, and a version that a run used is kept.

use async_trait::async_trait;
use kernel::{Action, Error, Kind, ResourceId, Result};

use super::{
    container::{ATTEMPTS, DELETE, latest_of, look, too_busy, versions},
    used::is_used,
    version::DataVersion,
};
use crate::{
    gate::{Admission, Changes, Cx, Op, Row, Shelf},
    resources::{Resource, row_id, workspace_shelf},
};

/// Removes a version.
#[derive(Debug)]
pub struct DeleteDataVersion {
    /// Its id.
    pub id: ResourceId,
}

#[async_trait]
impl Op for DeleteDataVersion {
    const ACTION: Action = DELETE;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        for _ in 0..ATTEMPTS {
            match remove_version(cx, &self.id).await {
                Err(fault) if fault.kind() == Kind::Stale => {}
                done => return done,
            }
        }
        Err(too_busy())
    }
}

async fn remove_version(cx: &Admission<'_>, id: &ResourceId) -> Result<()> {
    let (shelf, _) = workspace_shelf(cx, id).await?;
    let missing = || Error::not_found(format_args!("the resource `{id}`"));
    let row = cx.get::<Resource<DataVersion>>(&shelf, &row_id::<DataVersion>(&shelf, id)).await?;
    let row = row.ok_or_else(missing)?;
    let above = id.parent();
    let mut container = look(cx, &shelf, &above).await?.ok_or_else(missing)?;
    require_unused(cx, &shelf, &row).await?;
    let mut others = versions(cx, &shelf, &above).await?;
    others.retain(|one| one.id != row.id);
    let known = &mut container.value.properties;
    known.count = known.count.saturating_sub(1);
    known.latest = latest_of(&others);
    container.value.system.touch(cx);
    let mut changes = Changes::new();
    changes.delete(&shelf, &row);
    changes.put(&shelf, &container)?;
    cx.commit(changes).await
}

async fn require_unused(cx: &Admission<'_>, shelf: &Shelf, row: &Row<Resource<DataVersion>>) -> Result<()> {
    if !is_used(cx, shelf, row.value.guid).await? {
        return Ok(());
    }
    let name = row.value.id.name();
    let why =
        format!("the version `{name}` was used by runs, which would no longer say what they read; archive it instead");
    Err(Error::new(Kind::Conflict, why))
}

/// Removes a data asset with all its versions.
#[derive(Debug)]
pub struct DeleteDataContainer {
    /// Its id.
    pub id: ResourceId,
}

#[async_trait]
impl Op for DeleteDataContainer {
    const ACTION: Action = DELETE;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        for _ in 0..ATTEMPTS {
            match remove_container(cx, &self.id).await {
                Err(fault) if fault.kind() == Kind::Stale => {}
                done => return done,
            }
        }
        Err(too_busy())
    }
}

async fn remove_container(cx: &Admission<'_>, id: &ResourceId) -> Result<()> {
    let (shelf, _) = workspace_shelf(cx, id).await?;
    let container = look(cx, &shelf, id).await?;
    let container = container.ok_or_else(|| Error::not_found(format_args!("the resource `{id}`")))?;
    let mut changes = Changes::new();
    for row in versions(cx, &shelf, id).await? {
        require_unused(cx, &shelf, &row).await?;
        changes.delete(&shelf, &row);
    }
    changes.delete(&shelf, &container);
    cx.commit(changes).await
}
