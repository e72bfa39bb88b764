//! Editions of workspaces: basic and enterprise, as the original had them (requirement K-06).

use kernel::{Action, Class, Error, Result};
use serde::{Deserialize, Serialize};

use super::{Resource, Workspace};
use crate::gate::Admission;

/// A workspace's edition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Edition {
    /// What a workspace is when nobody says.
    #[default]
    Basic,
    /// With quotas of its own.
    Enterprise,
}

/// Upgrading. In the namespace of access, so that contributors do not hold it.
const UPGRADE: Action = Action::new("Microsoft.Authorization/workspaceEditions/write", Class::Control);

impl Edition {
    /// Azure's `sku`.
    pub fn word(self) -> &'static str {
        match self {
            Self::Basic => "Basic",
            Self::Enterprise => "Enterprise",
        }
    }
}

impl std::str::FromStr for Edition {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.to_ascii_lowercase().as_str() {
            "basic" => Ok(Self::Basic),
            "enterprise" => Ok(Self::Enterprise),
            _ => Err(Error::invalid("sku.name", "must be `Basic` or `Enterprise`")),
        }
    }
}

/// Refuses whoever may not upgrade, and every way back.
pub(super) async fn require_change(cx: &Admission<'_>, workspace: &Resource<Workspace>, to: Edition) -> Result<()> {
    match (workspace.properties.edition, to) {
        (Edition::Basic, Edition::Basic) | (Edition::Enterprise, Edition::Enterprise) => Ok(()),
        (Edition::Basic, Edition::Enterprise) => {
            cx.note("edition", to.word());
            cx.require(&UPGRADE, &workspace.id).await
        }
        (Edition::Enterprise, Edition::Basic) => {
            Err(Error::invalid("sku.name", "an enterprise workspace cannot become a basic one"))
        }
    }
}
