//! Lists of data assets and of their versions.

use async_trait::async_trait;
use kernel::{Action, Error, ResourceId, Result};

use super::{
    container::{DataContainer, READ, look, versions},
    version::DataVersion,
};
use crate::{
    gate::{Cx, Op, Row},
    resources::{Resource, collection, workspace_shelf},
};

/// Lists the data assets of a workspace, by name; archived ones too.
#[derive(Debug)]
pub struct ListDataContainers {
    /// The workspace.
    pub workspace: ResourceId,
}

#[async_trait]
impl Op for ListDataContainers {
    const ACTION: Action = READ;
    type Output = Vec<Row<Resource<DataContainer>>>;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let (shelf, workspace) = workspace_shelf(cx, &self.workspace).await?;
        let prefix = collection::<DataContainer>(&shelf, &workspace.value.id);
        let mut rows = cx.all::<Resource<DataContainer>>(&shelf, &prefix).await?;
        rows.retain(|row| cx.may(&READ, &row.value.id));
        rows.sort_by(|a, b| a.value.id.cmp(&b.value.id));
        Ok(rows)
    }
}

/// Lists the versions of a data asset, newest first; archived ones too.
#[derive(Debug)]
pub struct ListDataVersions {
    /// The asset: `…/data/{name}`.
    pub container: ResourceId,
}

#[async_trait]
impl Op for ListDataVersions {
    const ACTION: Action = READ;
    type Output = Vec<Row<Resource<DataVersion>>>;

    fn scope(&self) -> ResourceId {
        self.container.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let (shelf, _) = workspace_shelf(cx, &self.container).await?;
        if look(cx, &shelf, &self.container).await?.is_none() {
            return Err(Error::not_found(format_args!("the data asset `{}`", self.container.name())));
        }
        let mut rows = versions(cx, &shelf, &self.container).await?;
        rows.retain(|row| cx.may(&READ, &row.value.id));
        let key = |row: &Row<Resource<DataVersion>>| (row.value.system.created_at, row.value.properties.number);
        rows.sort_by(|a, b| key(b).cmp(&key(a)).then_with(|| b.value.id.cmp(&a.value.id)));
        Ok(rows)
    }
}
