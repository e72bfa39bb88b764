//! Compute targets as resources.

use kernel::{Action, Capabilities, Class};
use serde::{Deserialize, Serialize};

use super::{ResourceType, TargetIdentities};

/// A compute target. The local one comes with every workspace.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Target {
    /// What it can enforce, as probed when it was last seen.
    pub capabilities: Capabilities,
    /// Whom its jobs may act as.
    #[serde(default)]
    pub identities: TargetIdentities,
}

impl ResourceType for Target {
    const TYPE: &'static str = "Microsoft.MachineLearningServices/workspaces/computes";
    const READ: Action = Action::new("Microsoft.MachineLearningServices/workspaces/computes/read", Class::Read);
    const WRITE: Action = Action::new("Microsoft.MachineLearningServices/workspaces/computes/write", Class::Control);
    const DELETE: Action = Action::new("Microsoft.MachineLearningServices/workspaces/computes/delete", Class::Control);
}
