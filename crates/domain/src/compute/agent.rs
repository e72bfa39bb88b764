//! What agents say and ask. Each operation belongs to one run and is refused, as not found, to everybody but that run.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use kernel::{Action, Class, Error, Kind, ResourceId, Result, RunCaller, RunId, Secret, Who};
use tokio::time::Instant;

use super::{
    Launch, LaunchState, RunState, ScratchEnd, Work,
    launch::{End, conclude, tell},
    log,
};
use crate::{
    gate::{Admission, Changes, Cx, Happening, Op, Row, Shelf},
    identity::issue_run_token,
    tracking::set_run_status,
};

/// Longest time an answer to a heartbeat is held back.
const LONGEST_HOLD: Duration = Duration::from_secs(24);
/// Attempts when others write the same rows: uploads and logs of one run travel together.
const ATTEMPTS: usize = 32;
/// Longest line of progress, in characters.
const LONGEST_MESSAGE: usize = 1000;
/// Most walls that can be missing.
const MOST_WALLS: usize = 64;

pub(super) const WRITE: Action =
    Action::new("Microsoft.MachineLearningServices/workspaces/experiments/runs/write", Class::DataWrite).open_to_runs();
/// A sign of life reads the run's orders and changes nothing, so it leaves no record; a token renewed with it does.
const BEAT: Action =
    Action::new("Microsoft.MachineLearningServices/workspaces/experiments/runs/read", Class::Open).open_to_runs();

/// Whose agent speaks: the run in the address, and the workspace of whoever calls.
#[derive(Clone, Debug)]
pub struct AgentAddress {
    /// The run in the address.
    pub run: RunId,
    /// The workspace's scope, from the caller's own token; the root for callers that are no run.
    pub scope: ResourceId,
}

impl AgentAddress {
    /// The shelf of the run, for its own agent only.
    pub(super) async fn enter(&self, cx: &Admission<'_>) -> Result<(Shelf, RunCaller)> {
        match &cx.caller().who {
            Who::Run(me) if me.run == self.run => Ok((cx.shelf(me.workspace).await?, me.clone())),
            _ => Err(missing()),
        }
    }
}

pub(super) fn missing() -> Error {
    Error::not_found("the run")
}

/// The state of a run that has not ended.
pub(super) async fn live_state(cx: &Admission<'_>, shelf: &Shelf, run: &RunId) -> Result<Row<LaunchState>> {
    let row = cx.get::<LaunchState>(shelf, &shelf.name_id::<LaunchState>(run.as_str())).await?;
    row.filter(|row| !row.value.state.is_final()).ok_or_else(missing)
}

pub(super) async fn launch(cx: &Admission<'_>, shelf: &Shelf, run: &RunId) -> Result<Launch> {
    let row = cx.get::<Launch>(shelf, &shelf.name_id::<Launch>(run.as_str())).await?;
    row.map(|row| row.value).ok_or_else(missing)
}

/// For the record: whether this is a job, or a replica of a service.
fn note_work(cx: &Admission<'_>, row: &Row<LaunchState>) {
    cx.note("work", if row.value.is_job { "job" } else { "service" });
}

fn too_busy() -> Error {
    Error::new(Kind::Throttled, "too many writers at once; try again")
}

/// A line for people, without what a terminal would obey.
fn line(text: &str) -> String {
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().take(LONGEST_MESSAGE).map(clean).collect()
}

/// Puts a run into another state, with its status in the tracking room when that changes too.
pub(super) async fn put_state(
    cx: &Admission<'_>,
    shelf: &Shelf,
    changes: &mut Changes,
    run: &RunId,
    row: &mut Row<LaunchState>,
    next: RunState,
) -> Result<()> {
    let state = &mut row.value;
    if !next.may_follow(state.state) {
        let why = format!("a run that is {} cannot become {}", state.state.word(), next.word());
        return Err(Error::new(Kind::Conflict, why));
    }
    if state.is_job && next.status() != state.state.status() {
        match set_run_status(cx, shelf, changes, run, next.status()).await {
            Err(fault) if fault.kind() == Kind::NotFound => {}
            other => other?,
        }
    }
    if next == RunState::Running && state.running_at.is_none() {
        state.running_at = Some(cx.now());
        if state.is_job {
            tell(cx, Happening::RunStarted);
        }
    }
    state.state = next;
    state.before_silence = None;
    state.seen_at = cx.now();
    changes.put(shelf, row)?;
    Ok(())
}

/// Progress.
#[derive(Debug)]
pub struct ReportStatus {
    /// Whose.
    pub address: AgentAddress,
    /// Where the run stands now.
    pub state: RunState,
    /// One line for people.
    pub message: Option<String>,
}

#[async_trait]
impl Op for ReportStatus {
    const ACTION: Action = WRITE;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.address.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let (shelf, me) = self.address.enter(cx).await?;
        if !self.state.is_progress() {
            return Err(Error::invalid("state", format_args!("`{}` is not for agents to say", self.state.word())));
        }
        cx.note("run", me.run.as_str());
        cx.note("state", self.state.word());
        cx.house().pulses.beat(me.workspace, &me.run, cx.now());
        for _ in 0..ATTEMPTS {
            match self.once(cx, &shelf, &me.run).await {
                Err(fault) if fault.kind() == Kind::Stale => {}
                done => {
                    super::wake(cx);
                    return done;
                }
            }
        }
        Err(too_busy())
    }
}

impl ReportStatus {
    async fn once(&self, cx: &Cx<'_, Self>, shelf: &Shelf, run: &RunId) -> Result<()> {
        let mut row = live_state(cx, shelf, run).await?;
        note_work(cx, &row);
        if let Some(message) = &self.message {
            row.value.message = Some(line(message));
        }
        let mut changes = Changes::new();
        if row.value.state == RunState::CancelRequested {
            // The order and the report crossed; the order stands.
            row.value.seen_at = cx.now();
            changes.put(shelf, &row)?;
        } else {
            put_state(cx, shelf, &mut changes, run, &mut row, self.state).await?;
        }
        cx.commit(changes).await
    }
}

/// A sign of life. Held back until there is something to say or the time is up.
#[derive(Debug)]
pub struct Heartbeat {
    /// Whose.
    pub address: AgentAddress,
    /// How long the answer may be held back; 24 seconds at most.
    pub wait: Duration,
}

/// What the server wants.
#[derive(Debug, Default)]
pub struct Orders {
    /// End the program now.
    pub cancel: bool,
    /// A fresh run token and its expiry in epoch seconds.
    pub token: Option<(Secret<String>, i64)>,
}

#[async_trait]
impl Op for Heartbeat {
    const ACTION: Action = BEAT;
    type Output = Orders;

    fn scope(&self) -> ResourceId {
        self.address.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Orders> {
        let (shelf, me) = self.address.enter(cx).await?;
        cx.note("run", me.run.as_str());
        let until = Instant::now().checked_add(self.wait.min(LONGEST_HOLD)).unwrap_or_else(Instant::now);
        let mut changes = cx.house().signals.subscribe();
        loop {
            cx.house().pulses.beat(me.workspace, &me.run, cx.now());
            let token = renew(cx, &shelf, &me).await?;
            let cancel = live_state(cx, &shelf, &me.run).await?.value.state == RunState::CancelRequested;
            let is_late = Instant::now() >= until;
            if cancel || token.is_some() || is_late || !cx.house().signals.changed(&mut changes, until).await {
                return Ok(Orders { cancel, token });
            }
        }
    }
}

/// A fresh token, in the last third of the one before; none otherwise.
async fn renew(cx: &Cx<'_, Heartbeat>, shelf: &Shelf, me: &RunCaller) -> Result<Option<(Secret<String>, i64)>> {
    // A token that was narrowed ends with the one it was exchanged for, and must not take the agent's turn.
    if !me.only.is_empty() {
        return Ok(None);
    }
    for _ in 0..ATTEMPTS {
        let mut row = live_state(cx, shelf, &me.run).await?;
        let lifetime = cx.settings().run_token_lifetime;
        let age = row.value.token_issued_at.map(|issued| cx.now().since(issued));
        if age.is_some_and(|age| age.saturating_mul(3) < lifetime.saturating_mul(2)) {
            return Ok(None);
        }
        row.value.token_issued_at = Some(cx.now());
        cx.note("token", "renewed");
        let mut changes = Changes::new();
        changes.put(shelf, &row)?;
        match cx.commit(changes).await {
            Err(fault) if fault.kind() == Kind::Stale => {}
            Err(fault) => return Err(fault),
            Ok(()) => return issue_run_token(cx.house(), me).map(Some),
        }
    }
    Ok(None)
}

/// Adds to a log.
#[derive(Debug)]
pub struct AppendLog {
    /// Whose.
    pub address: AgentAddress,
    /// The log's name.
    pub name: String,
    /// Where the bytes begin; those the server has already are skipped.
    pub offset: u64,
    /// The bytes.
    pub bytes: Bytes,
}

#[async_trait]
impl Op for AppendLog {
    const ACTION: Action = WRITE;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.address.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let (shelf, me) = self.address.enter(cx).await?;
        cx.note("run", me.run.as_str());
        cx.house().pulses.beat(me.workspace, &me.run, cx.now());
        for _ in 0..ATTEMPTS {
            live_state(cx, &shelf, &me.run).await?;
            let mut changes = Changes::new();
            let fresh = log::append(cx, &shelf, &mut changes, &me.run, &self.name, self.offset, &self.bytes).await?;
            if fresh == 0 {
                return Ok(());
            }
            cx.note("bytes", fresh.to_string());
            match cx.commit(changes).await {
                Err(fault) if fault.kind() == Kind::Stale => {}
                done => {
                    super::wake(cx);
                    return done;
                }
            }
        }
        Err(too_busy())
    }
}

/// The end of a run: final, with the death of its token, in one commit.
#[derive(Debug)]
pub struct FinishRun {
    /// Whose.
    pub address: AgentAddress,
    /// `Completed`, `Failed` or `Canceled`.
    pub state: RunState,
    /// The program's exit code.
    pub exit_code: Option<i32>,
    /// One line for people.
    pub message: Option<String>,
    /// The walls that did not stand around it.
    pub missing_walls: Vec<String>,
    /// Whether its scratch was emptied, looked at and taken down.
    pub is_scratch_cleared: bool,
}

#[async_trait]
impl Op for FinishRun {
    const ACTION: Action = WRITE;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.address.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let (shelf, me) = self.address.enter(cx).await?;
        if !matches!(self.state, RunState::Completed | RunState::Failed | RunState::Canceled) {
            return Err(Error::invalid("state", "must be `Completed`, `Failed` or `Canceled`"));
        }
        check_walls(&self.missing_walls)?;
        cx.note("run", me.run.as_str());
        cx.note("state", self.state.word());
        if let Some(code) = self.exit_code {
            cx.note("exitCode", code.to_string());
        }
        for _ in 0..ATTEMPTS {
            let id = shelf.name_id::<LaunchState>(me.run.as_str());
            let mut row = cx.get::<LaunchState>(&shelf, &id).await?.ok_or_else(missing)?;
            if row.value.state.is_final() {
                return Ok(());
            }
            note_work(cx, &row);
            // The states in between were passed, whether or not their reports arrived.
            row.value.missing_walls = self.missing_walls.clone();
            if let (Some(scratch), true) = (row.value.scratch, self.is_scratch_cleared) {
                cx.note("scratch", "cleared");
                row.value.scratch = Some(scratch.ended(cx.now(), ScratchEnd::Cleared));
            }
            let message = self.message.as_deref().map(line);
            let end = End { state: self.state, message, exit_code: self.exit_code };
            let mut changes = Changes::new();
            conclude(cx, &shelf, &mut changes, &me.run, row, end).await?;
            match cx.commit(changes).await {
                Err(fault) if fault.kind() == Kind::Stale => {}
                done => {
                    cx.house().pulses.forget(me.workspace, &me.run);
                    super::wake(cx);
                    return done;
                }
            }
        }
        Err(too_busy())
    }
}

pub(super) fn check_walls(walls: &[String]) -> Result<()> {
    let is_name = |wall: &String| wall.len() <= 64 && wall.chars().all(|c| c.is_ascii_graphic());
    if walls.len() <= MOST_WALLS && walls.iter().all(is_name) {
        return Ok(());
    }
    Err(Error::invalid("missing_walls", "at most 64 names of at most 64 bytes"))
}

/// The snapshot that a run was launched with; none for a run without files, and for one that was never launched here.
pub(crate) async fn snapshot_of_run(cx: &Admission<'_>, shelf: &Shelf, run: &RunId) -> Result<Option<String>> {
    let row = cx.get::<Launch>(shelf, &shelf.name_id::<Launch>(run.as_str())).await?;
    Ok(row.and_then(|row| snapshot_of(&row.value).map(str::to_owned)))
}

/// The files of a job's snapshot; none for services.
pub(super) fn snapshot_of(launch: &Launch) -> Option<&str> {
    match &launch.work {
        Work::Job { snapshot, .. } => snapshot.as_deref(),
        Work::Service { .. } => None,
    }
}
