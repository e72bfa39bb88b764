//! Doing what is due about live runs: what fell silent, processes that are gone, and what is left of runs that ended.

use async_trait::async_trait;
use kernel::{Action, Kind, ProcessState, ResourceId, Result};

use super::{
    LaunchState, RunState, ScratchEnd,
    due::{Due, DueRun},
    launch::{LiveRun, conclude},
    start::{HOUSE_WRITE, StartLaunch, named, stop},
};
use crate::gate::{Changes, Cx, Happening, Op, Row};

const ATTEMPTS: usize = 8;

/// Does what is due about one run.
#[derive(Debug)]
pub(crate) struct SweepRun {
    live: Row<LiveRun>,
    due: Due,
}

#[async_trait]
impl Op for SweepRun {
    const ACTION: Action = HOUSE_WRITE;
    type Output = ();

    fn scope(&self) -> ResourceId {
        named(&self.live.value)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        cx.note("run", self.live.value.run.as_str());
        match self.due {
            Due::Release => self.release(cx).await,
            Due::Lock => self.lock(cx).await,
            Due::Silence | Due::Return => self.change(cx).await,
            Due::End(_) => {
                self.change(cx).await?;
                if let Some(launched) = &self.live.value.launched {
                    stop(cx, launched).await;
                }
                Ok(())
            }
            Due::Start => Ok(()),
        }
    }
}

impl SweepRun {
    async fn change(&self, cx: &Cx<'_, Self>) -> Result<()> {
        let live = &self.live.value;
        let shelf = cx.shelf(live.workspace).await?;
        let id = shelf.name_id::<LaunchState>(live.run.as_str());
        for _ in 0..ATTEMPTS {
            cx.begin_attempt();
            let Some(mut row) = cx.get::<LaunchState>(&shelf, &id).await? else { return Ok(()) };
            let before = row.value.state;
            let mut changes = Changes::new();
            match self.due {
                Due::End(reason) if !before.is_final() => {
                    let end = reason.end(&row.value);
                    cx.note("state", end.state.word());
                    conclude(cx, &shelf, &mut changes, &live.run, row, end).await?;
                }
                Due::Silence if RunState::NotResponding.may_follow(before) && before != RunState::NotResponding => {
                    row.value.before_silence = Some(before);
                    row.value.state = RunState::NotResponding;
                    row.value.message = Some(String::from("no sign of life from the compute target"));
                    cx.note("state", row.value.state.word());
                    changes.put(&shelf, &row)?;
                }
                Due::Return if before == RunState::NotResponding => {
                    row.value.state = row.value.before_silence.take().unwrap_or(RunState::Running);
                    row.value.message = Some(String::from("there is a sign of life again"));
                    cx.note("state", row.value.state.word());
                    changes.put(&shelf, &row)?;
                }
                Due::Start | Due::Silence | Due::Return | Due::End(_) | Due::Lock | Due::Release => return Ok(()),
            }
            match cx.commit(changes).await {
                Err(fault) if fault.kind() == Kind::Stale => {}
                done => {
                    super::wake(cx);
                    return done;
                }
            }
        }
        Ok(())
    }

    async fn lock(&self, cx: &Cx<'_, Self>) -> Result<()> {
        let mut live = self.live.clone();
        if let Some(launched) = &live.value.launched {
            stop(cx, launched).await;
        }
        live.value.locked_at = Some(cx.now());
        cx.note("state", "locked");
        let mut changes = Changes::new();
        changes.put(cx.system(), &live)?;
        cx.commit(changes).await
    }

    async fn release(&self, cx: &Cx<'_, Self>) -> Result<()> {
        let live = &self.live.value;
        if let Some(launched) = &live.launched {
            stop(cx, launched).await;
        }
        cx.house().pulses.forget(live.workspace, &live.run);
        cx.note("state", "released");
        cx.happened(Happening::NodeReleased);
        let mut changes = Changes::new();
        self.settle_scratch(cx, &mut changes).await?;
        changes.delete(cx.system(), &self.live);
        cx.commit(changes).await
    }

    /// Writes down that the scratch went with its agent, when the agent did not say what became of it and its process is gone.
    async fn settle_scratch(&self, cx: &Cx<'_, Self>, changes: &mut Changes) -> Result<()> {
        let live = &self.live.value;
        let Some(launched) = &live.launched else { return Ok(()) };
        if !matches!(cx.compute().state(launched).await, Ok(ProcessState::Gone)) {
            return Ok(());
        }
        // Of a workspace that is gone nothing is written any more.
        let Ok(shelf) = cx.shelf(live.workspace).await else { return Ok(()) };
        let id = shelf.name_id::<LaunchState>(live.run.as_str());
        let Some(mut row) = cx.get::<LaunchState>(&shelf, &id).await? else { return Ok(()) };
        let Some(scratch) = row.value.scratch.filter(|scratch| scratch.destroyed.is_none()) else { return Ok(()) };
        cx.note("scratch", "gone with its agent");
        row.value.scratch = Some(scratch.ended(cx.now(), ScratchEnd::WithAgent));
        changes.put(&shelf, &row)?;
        Ok(())
    }
}

/// What the background work enters for a due run.
pub(crate) enum Task {
    /// Start it.
    Start(StartLaunch),
    /// See to it.
    Sweep(SweepRun),
}

impl DueRun {
    /// Whether it must not wait for others: its process has what it may not have any more.
    pub(crate) fn is_urgent(&self) -> bool {
        self.due == Due::Lock
    }

    pub(crate) fn task(self) -> Task {
        match self.due {
            Due::Start => Task::Start(StartLaunch { live: self.live }),
            due => Task::Sweep(SweepRun { live: self.live, due }),
        }
    }
}
