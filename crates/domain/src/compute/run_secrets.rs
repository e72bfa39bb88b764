//! The secrets that a run's variables name, for its agent.

use std::collections::BTreeMap;

use async_trait::async_trait;
use kernel::{Action, ResourceId, Result, Secret};

use super::agent::{AgentAddress, launch, live_state};
use crate::{
    gate::{Cx, Op},
    secrets,
};

/// Reads the secrets that the run's own variables name. Only its agent is given them, and only while it lives.
#[derive(Debug)]
pub struct GetRunSecrets {
    /// Whose agent asks.
    pub address: AgentAddress,
}

#[async_trait]
impl Op for GetRunSecrets {
    const ACTION: Action = secrets::READ;
    /// Values by variable.
    type Output = BTreeMap<String, Secret<String>>;

    fn scope(&self) -> ResourceId {
        self.address.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let (shelf, me) = self.address.enter(cx).await?;
        cx.note("run", me.run.as_str());
        live_state(cx, &shelf, &me.run).await?;
        let launch = launch(cx, &shelf, &me.run).await?;
        secrets::values(cx, &me.scope, launch.submitted_by, &launch.variables).await
    }
}
