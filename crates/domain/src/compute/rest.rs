//! What an orderly end of the server stops: replicas of services. Jobs go on, and report to the server that comes next.

use async_trait::async_trait;
use kernel::{Action, Class, ResourceId, Result};

use super::{launch::LiveRun, start::stop};
use crate::gate::{Cx, Op};

/// Ends the processes of all replicas. Nothing is written: the next start finds them gone and starts them again.
#[derive(Debug)]
pub struct RestReplicas;

#[async_trait]
impl Op for RestReplicas {
    const ACTION: Action =
        Action::new("Microsoft.MachineLearningServices/workspaces/onlineEndpoints/rest/action", Class::Open);
    type Output = ();

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let live = cx.all::<LiveRun>(cx.system(), b"").await?;
        let replicas = live.into_iter().filter(|row| !row.value.is_job).filter_map(|row| row.value.launched);
        let stopping = replicas.map(|launched| async move { stop(cx, &launched).await });
        futures::future::join_all(stopping).await;
        Ok(())
    }
}
