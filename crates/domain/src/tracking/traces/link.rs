//! Linking traces to a run.

use async_trait::async_trait;
use kernel::{Action, Error, Kind, ResourceId, Result, RunId};

use super::trace::{self, look};
use crate::{
    gate::{Changes, Cx, Op},
    resources::workspace_shelf,
    tracking::{
        action::{WRITE_ANY_RUN, WRITE_ANY_TRACE, WRITE_TRACES},
        attempt::{Attempt, settle},
        ownership, run,
    },
};

/// Most traces of one request.
const MOST: usize = 100;

/// Says that traces belong to a run too. Traces that are not there are left out, as MLflow's own server does.
#[derive(Debug)]
pub struct LinkTraces {
    /// The workspace.
    pub workspace: ResourceId,
    /// The traces.
    pub traces: Vec<String>,
    /// The run.
    pub run: RunId,
}

#[async_trait]
impl Op for LinkTraces {
    const ACTION: Action = WRITE_TRACES;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(mut self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        if self.traces.len() > MOST {
            let words = format!(
                "Cannot link more than {MOST} traces to a run in a single request. Provided {} traces.",
                self.traces.len()
            );
            return Err(Error::new(Kind::Invalid, words));
        }
        self.traces.sort();
        self.traces.dedup();
        settle(&self, cx).await
    }
}

impl Attempt for LinkTraces {
    fn contends_for(&self) -> String {
        format!("links of traces|{}", self.run)
    }

    async fn attempt(&self, cx: &Cx<'_, Self>) -> Result<()> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let run = run::find(cx, &shelf, &self.run).await?.value;
        ownership::of_run(cx, &run, &WRITE_ANY_RUN).await?;
        let mut changes = Changes::new();
        for id in &self.traces {
            let Some(mut row) = look(cx, &shelf, id).await? else { continue };
            ownership::of_traces(cx, &shelf, &row.value.experiment, &WRITE_ANY_TRACE).await?;
            if row.value.runs.contains(run.id.as_str()) {
                continue;
            }
            row.value.link_run(&run.id);
            trace::put(&shelf, &mut changes, &row)?;
        }
        cx.note("run", run.id.to_string());
        cx.note("traces", self.traces.len().to_string());
        if changes.is_empty() {
            return Ok(());
        }
        cx.commit(changes).await
    }
}
