//! How it stands.

use async_trait::async_trait;
use kernel::{Action, Class, Error, ResourceId, Result};

use super::state::Reseal;
use crate::{
    gate::{Census, Cx, Op},
    resources::workspace_shelf,
};

/// How the last sealing anew of a workspace stands.
#[derive(Clone, Debug)]
pub struct ResealStatus {
    /// What was asked for, and how far it is.
    pub reseal: Reseal,
    /// Rows by table that name an older version, counted now; none when it was not asked.
    pub older: Option<Census>,
}

/// Says how the last sealing anew of a workspace stands.
#[derive(Debug)]
pub struct GetReseal {
    /// The workspace.
    pub workspace: ResourceId,
    /// Look at every row, and count those that name an older version.
    pub counts: bool,
}

#[async_trait]
impl Op for GetReseal {
    const ACTION: Action = Action::new("Microsoft.MachineLearningServices/workspaces/encryption/read", Class::Read);
    type Output = ResealStatus;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<ResealStatus> {
        let (shelf, workspace) = workspace_shelf(cx, &self.workspace).await?;
        let row = cx.get::<Reseal>(cx.system(), workspace.value.guid.as_bytes()).await?;
        let none =
            || Error::not_found(format_args!("that `{}` was ever sealed anew; begin it with a POST", self.workspace));
        let reseal = row.ok_or_else(none)?.value;
        let older = if self.counts { Some(cx.older_rows(&shelf, None).await?) } else { None };
        Ok(ResealStatus { reseal, older })
    }
}
