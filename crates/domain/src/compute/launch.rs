//! Launches: what an agent is to do, and where that stands. A launch becomes startable when its rows are committed.

use std::collections::BTreeMap;

use kernel::{Error, Kind, Launched, PrincipalId, ResourceId, Result, RunId, Timestamp, WorkspaceId};
use seal::Fingerprint;
use serde::{Deserialize, Serialize};

use super::{Lease, RunState, Scratch};
use crate::{
    gate::{Admission, BlobRef, Changes, Happening, Record, Row, Shelf},
    identity::RunIdentity,
    tracking::set_run_status,
};

/// What an agent is to do for one run (or service replica). Never changes once recorded.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Launch {
    /// The run; unique within its workspace.
    pub run: RunId,
    /// The job or the replica.
    pub work: Work,
    /// Text of a pip requirements file; none means the bare interpreter.
    pub requirements: Option<String>,
    /// Environment variables of the user's program.
    pub variables: BTreeMap<String, String>,
    /// Bounds of the jail.
    pub limits: JailLimits,
    /// Walls without which the work must not start.
    pub required_walls: Vec<String>,
    /// For services: the Unix socket the replica listens on.
    pub socket: Option<String>,
    /// On whose behalf it runs.
    pub submitted_by: PrincipalId,
    /// Managed identities that its code may act as; the first is the default.
    #[serde(default)]
    pub identities: Vec<RunIdentity>,
    /// Whether this run is of high business impact, by its workspace at the time or because it was asked for.
    #[serde(default)]
    pub hbi: bool,
}

/// The kinds of work.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Work {
    /// Run a command over a snapshot, once.
    Job {
        /// The snapshot's id; none for a command without files.
        snapshot: Option<String>,
        /// The command line.
        command: String,
    },
    /// Serve an image until told to stop.
    Service {
        /// Layers of the image, lowest first.
        layers: Vec<Layer>,
        /// How it is served.
        engine: Engine,
        /// Name and digest of the image; none in launches of before images were signed.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        image: Option<(String, String)>,
    },
}

/// One layer of an image.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Layer {
    /// `sha256:…` of the blob as stored.
    pub digest: String,
    /// Length in bytes.
    pub size: u64,
    /// Its OCI media type.
    pub media_type: String,
    /// Where it lies, on the workspace's shelf; none when it lies in a registry.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub blob: Option<BlobRef>,
    /// GUID of the registry, and the repository there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub registry: Option<(uuid::Uuid, String)>,
}

/// How a service answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Engine {
    /// ONNX Runtime.
    Onnx {
        /// The model inside the image, absolute.
        model: String,
    },
    /// A Python worker.
    Python {
        /// The entry script inside the image, absolute.
        entry: String,
        /// The directory of models inside the image, absolute.
        model_dir: String,
    },
}

/// Bounds of a jail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JailLimits {
    /// Memory, in MiB.
    pub memory_mib: u64,
    /// Processes and threads.
    pub pids: u64,
    /// Scratch space, in MiB.
    pub scratch_mib: u64,
    /// Wall-clock bound of the program, in seconds; 0 for none (services).
    pub seconds: u64,
}

impl Record for Launch {
    const TABLE: &'static str = "launch";
}

/// Where a launch stands. Rooms read it with [`launch_state`].
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LaunchState {
    /// Where the run stands.
    pub state: RunState,
    /// One line for people: progress, or why it ended badly.
    pub message: Option<String>,
    /// The program's exit code, when it ran and was not killed.
    pub exit_code: Option<i32>,
    /// The walls that did not stand around it; known once an agent began.
    pub missing_walls: Vec<String>,
    /// When it was recorded.
    pub queued_at: Timestamp,
    /// When its agent began.
    pub started_at: Option<Timestamp>,
    /// When the user's program began.
    pub running_at: Option<Timestamp>,
    /// When somebody asked for its end.
    pub cancel_requested_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// The last state before silence, to which it returns when it speaks again.
    pub(crate) before_silence: Option<RunState>,
    /// The last sign of life that was written down.
    pub(crate) seen_at: Timestamp,
    /// What the next agent must show to begin.
    pub(crate) bootstrap: Option<Bootstrap>,
    /// When its agent got a token last.
    pub(crate) token_issued_at: Option<Timestamp>,
    /// Whether a run of the tracking room goes along.
    pub(crate) is_job: bool,
    /// Where its scratch is, and what became of it; known once an agent began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scratch: Option<Scratch>,
}

/// A one-time token, as far as it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Bootstrap {
    pub(crate) fingerprint: Fingerprint,
    pub(crate) expires_at: Timestamp,
}

impl Record for LaunchState {
    const TABLE: &'static str = "launch-state";
}

/// A run that is queued or has (or may have) a process on a target: what the scheduler and the sweep look through. On the
/// system's shelf, gone once the process is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct LiveRun {
    pub(crate) run: RunId,
    pub(crate) workspace: WorkspaceId,
    pub(crate) scope: ResourceId,
    pub(crate) is_job: bool,
    pub(crate) queued_at: Timestamp,
    /// When its start was last begun.
    pub(crate) tried_at: Option<Timestamp>,
    /// Not before this time.
    pub(crate) not_before: Timestamp,
    /// The process, once the driver said so.
    pub(crate) launched: Option<Launched>,
    /// How often its start was tried.
    pub(crate) attempts: u32,
    /// When its process was ended because the customer's key of its workspace could not be used any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) locked_at: Option<Timestamp>,
}

impl Record for LiveRun {
    const TABLE: &'static str = "live-run";
}

pub(crate) fn live_id(system: &Shelf, workspace: WorkspaceId, run: &RunId) -> Vec<u8> {
    system.name_id::<LiveRun>(&format!("{workspace}|{run}"))
}

/// Adds a launch to `changes`: its lease, what it is to do, and its place in the queue. The scheduler starts it once they
/// are committed. A commit that is `Stale` means that the run's name is taken.
///
/// # Errors
/// `Internal` when the shelf is not a workspace's.
pub fn record_launch(
    cx: &Admission<'_>,
    shelf: &Shelf,
    workspace: &ResourceId,
    changes: &mut Changes,
    launch: Launch,
) -> Result<()> {
    let id = shelf.workspace().ok_or_else(|| Error::internal("a launch belongs to a workspace"))?;
    let now = cx.now();
    let run = launch.run.clone();
    let is_job = matches!(launch.work, Work::Job { .. });
    let state = new_state(now, is_job);
    let live = LiveRun {
        run: run.clone(),
        workspace: id,
        scope: workspace.clone(),
        is_job,
        queued_at: now,
        tried_at: None,
        not_before: now,
        launched: None,
        attempts: 0,
        locked_at: None,
    };
    let system = cx.system();
    changes.put(shelf, &Row::new(shelf.name_id::<Lease>(run.as_str()), Lease { ended_at: None }))?;
    changes.put(shelf, &Row::new(shelf.name_id::<Launch>(run.as_str()), launch))?;
    changes.put(shelf, &Row::new(shelf.name_id::<LaunchState>(run.as_str()), state))?;
    changes.put(system, &Row::new(live_id(system, id, &run), live))?;
    Ok(())
}

/// The state of a launch that was just recorded.
pub(super) fn new_state(now: Timestamp, is_job: bool) -> LaunchState {
    LaunchState {
        state: RunState::Queued,
        message: None,
        exit_code: None,
        missing_walls: Vec::new(),
        queued_at: now,
        started_at: None,
        running_at: None,
        cancel_requested_at: None,
        ended_at: None,
        before_silence: None,
        seen_at: now,
        bootstrap: None,
        token_issued_at: None,
        is_job,
        scratch: None,
    }
}

/// Where a run's launch stands; none when there never was one.
pub async fn launch_state(cx: &Admission<'_>, shelf: &Shelf, run: &RunId) -> Result<Option<LaunchState>> {
    let row = cx.get::<LaunchState>(shelf, &shelf.name_id::<LaunchState>(run.as_str())).await?;
    Ok(row.map(|row| row.value))
}

/// Ends a launch with `changes`: its token is dead once they are committed, and its process is ended soon after. One that
/// has ended already, or never was, stays as it is. A commit that is `Stale` is to be built anew.
///
/// # Errors
/// Whatever reading the rows brings.
pub async fn end_launch(cx: &Admission<'_>, shelf: &Shelf, changes: &mut Changes, run: &RunId) -> Result<()> {
    let id = shelf.name_id::<LaunchState>(run.as_str());
    let Some(row) = cx.get::<LaunchState>(shelf, &id).await? else { return Ok(()) };
    conclude(cx, shelf, changes, run, row, End { state: RunState::Canceled, message: None, exit_code: None }).await
}

/// Ends all launches on a shelf that have not ended, as [`end_launch`] does one.
///
/// # Errors
/// As [`end_launch`].
pub(crate) async fn end_all_launches(
    cx: &Admission<'_>,
    shelf: &Shelf,
    changes: &mut Changes,
    why: &str,
) -> Result<()> {
    let states = cx.all::<LaunchState>(shelf, b"").await?;
    if states.iter().all(|row| row.value.state.is_final()) {
        return Ok(());
    }
    // A state does not name its run.
    for launch in cx.all::<Launch>(shelf, b"").await? {
        let run = &launch.value.run;
        let id = shelf.name_id::<LaunchState>(run.as_str());
        let Some(row) = cx.get::<LaunchState>(shelf, &id).await? else { continue };
        let end = End { state: RunState::Canceled, message: Some(why.to_owned()), exit_code: None };
        conclude(cx, shelf, changes, run, row, end).await?;
    }
    Ok(())
}

/// Lets the scheduler look at once, after a commit with a launch or an end; without it, it looks within a second.
pub fn wake(cx: &Admission<'_>) {
    cx.house().signals.wake();
}

/// How a run ends.
pub(crate) struct End {
    pub(crate) state: RunState,
    pub(crate) message: Option<String>,
    pub(crate) exit_code: Option<i32>,
}

impl End {
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self { state: RunState::Failed, message: Some(message.into()), exit_code: None }
    }
}

/// Says what became of a job, and where.
pub(super) fn tell(cx: &Admission<'_>, happening: Happening) {
    cx.happened(happening);
    cx.note("computeType", "local");
}

/// Puts the end of a run into `changes`: its state, its lease, its status in the tracking room, and its place in the queue
/// when no process was ever started. What has ended stays as it is.
pub(crate) async fn conclude(
    cx: &Admission<'_>,
    shelf: &Shelf,
    changes: &mut Changes,
    run: &RunId,
    mut row: Row<LaunchState>,
    end: End,
) -> Result<()> {
    if row.value.state.is_final() {
        return Ok(());
    }
    let now = cx.now();
    let state = &mut row.value;
    state.state = end.state;
    state.message = end.message.or_else(|| state.message.take().filter(|_| end.state == RunState::Completed));
    state.exit_code = end.exit_code;
    state.ended_at = Some(now);
    state.bootstrap = None;
    state.before_silence = None;
    if state.is_job {
        match end.state {
            RunState::Completed => tell(cx, Happening::RunCompleted),
            RunState::Failed => tell(cx, Happening::RunFailed),
            _ => tell(cx, Happening::RunCanceled),
        }
        match set_run_status(cx, shelf, changes, run, end.state.status()).await {
            Err(fault) if fault.kind() == Kind::NotFound => {}
            other => other?,
        }
    }
    changes.put(shelf, &row)?;
    if let Some(mut lease) = cx.get::<Lease>(shelf, &shelf.name_id::<Lease>(run.as_str())).await? {
        lease.value.ended_at = Some(now);
        changes.put(shelf, &lease)?;
    }
    let system = cx.system();
    if let Some(workspace) = shelf.workspace()
        && let Some(live) = cx.get::<LiveRun>(system, &live_id(system, workspace, run)).await?
        && live.value.tried_at.is_none()
    {
        changes.delete(system, &live);
    }
    Ok(())
}
