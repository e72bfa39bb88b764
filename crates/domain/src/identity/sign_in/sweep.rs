//! Removing what sign-ins left behind.

use async_trait::async_trait;
use kernel::{Action, Class, ResourceId, Result};

use super::throttle::{remove, sweep_guesses};
use crate::{
    gate::{Cx, Op},
    identity::session::Session,
};

/// Removes sessions that nothing can come from any more, and guesses that do not matter any more. For the house's own work.
#[derive(Debug)]
pub(crate) struct SweepSignIns;

#[async_trait]
impl Op for SweepSignIns {
    // It removes nothing that anybody could still use or name, so there is nothing to record.
    const ACTION: Action = Action::new("Microsoft.Directory/signIns/sweep", Class::Open);
    type Output = usize;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<usize> {
        let now = cx.now();
        let sessions = cx.all::<Session>(cx.system(), b"").await?;
        let over: Vec<_> = sessions.into_iter().filter(|row| row.value.is_over(now)).collect();
        let sessions = remove(cx, &over).await?;
        let guesses = sweep_guesses(cx).await?;
        Ok(sessions.saturating_add(guesses))
    }
}
