//! Raising a workspace: one way, once, and at once for whatever begins from then on.

use async_trait::async_trait;
use kernel::{Action, Class, Error, Kind, ResourceId, Result};

use super::{Impact, proof};
use crate::{
    diagnostics::forget_of,
    gate::{Changes, Cx, Op},
    resources::{Workspace, find},
};

const ATTEMPTS: usize = 4;

/// Refuses to change the flag in passing: Azure fixes it with the workspace, and here it is raised by an operation of its own.
///
/// # Errors
/// `Invalid`.
pub(crate) fn require_same(said: Option<bool>, present: bool) -> Result<()> {
    let why = match (said, present) {
        (Some(false), true) => "is `true` and cannot be taken back",
        (Some(true), false) => {
            "cannot be changed once the workspace is made; raise it for good with `bartizan workspace raise` (POST …/raiseBusinessImpact)"
        }
        (None | Some(false), false) | (None | Some(true), true) => return Ok(()),
    };
    Err(Error::invalid("properties.hbiWorkspace", why))
}

/// Raises a workspace to high business impact, for good. What was collected of it for diagnostics goes in the same commit. What
/// runs goes on; the report says what of it is not as it must be, until it ended.
#[derive(Debug)]
pub struct RaiseImpact {
    /// The workspace.
    pub workspace: ResourceId,
}

#[async_trait]
impl Op for RaiseImpact {
    /// The same permission as other changes of the workspace take. Its answer names what runs within, so unlike those it is bound by
    /// the network rules.
    const ACTION: Action = Action::new("Microsoft.MachineLearningServices/workspaces/write", Class::Control);
    type Output = Impact;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Impact> {
        cx.note("hbiWorkspace", "true");
        for _ in 0..ATTEMPTS {
            match self.once(cx).await {
                Err(fault) if fault.kind() == Kind::Stale => {}
                Err(fault) => return Err(fault),
                Ok(()) => return proof::impact(cx, &self.workspace).await,
            }
        }
        Err(Error::new(Kind::Throttled, "the workspace changes too fast; try again"))
    }
}

impl RaiseImpact {
    async fn once(&self, cx: &Cx<'_, Self>) -> Result<()> {
        let (system, mut row) = find::<Workspace>(cx, &self.workspace).await?;
        // One that was raised before has its proof, unless that was lost while it rested: then it begins anew.
        if row.value.properties.hbi && proof::is_begun(cx, row.value.guid).await? {
            return Ok(());
        }
        if !row.value.properties.hbi {
            row.value.properties.hbi = true;
            row.value.system.touch(cx);
        }
        let mut changes = Changes::new();
        forget_of(cx, row.value.guid, &mut changes).await?;
        proof::begin_proof(cx, &row.value, &mut changes).await?;
        changes.put(&system, &row)?;
        cx.commit(changes).await?;
        cx.house().recall.forget_shelves(&[row.value.guid.as_bytes().to_vec()]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_is_said_again_and_never_changed_in_passing() {
        for (said, present, fits) in [
            (None, false, true),
            (None, true, true),
            (Some(true), true, true),
            (Some(false), false, true),
            (Some(true), false, false),
            (Some(false), true, false),
        ] {
            assert_eq!(require_same(said, present).is_ok(), fits, "{said:?} {present}");
        }
    }
}
