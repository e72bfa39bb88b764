//! What the code of a job shows where Azure's clients demand a token: nothing that is worth anything. The agent's proxy adds the
//! run's real token outside of the jail, and takes away whatever the program sent.

use async_trait::async_trait;
use kernel::{Action, Error, Kind, ResourceId, Result, RunId, Who};

use crate::{
    gate::{Cx, Op},
    resources::workspace_shelf,
    tracking::{action::READ_RUNS, run},
};

/// Says that a run's code may have the token that it shows to its proxy. Nobody else has any use for one, so that nobody else gets one.
#[derive(Debug)]
pub struct GetRunToken {
    /// The workspace.
    pub workspace: ResourceId,
    /// The run.
    pub run: RunId,
}

#[async_trait]
impl Op for GetRunToken {
    const ACTION: Action = READ_RUNS;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        run::find(cx, &shelf, &self.run).await?;
        match &cx.caller().who {
            Who::Run(caller) if caller.run == self.run => Ok(()),
            _ => {
                let why = "a run's token is not handed out: its agent holds it, and adds it to what the run's code asks for; sign \
                           in for a token of your own";
                Err(Error::new(Kind::Unsupported, why))
            }
        }
    }
}
