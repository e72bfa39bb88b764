//! Starting what is queued.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use async_trait::async_trait;
use kernel::{Action, Class, Error, Kind, LaunchSpec, Launched, ResourceId, Result, RunId, Secret};
use serde::Serialize;

use super::{
    Launch, LaunchState, RunState,
    agent_start::{PURPOSE, new_bootstrap},
    launch::{Bootstrap, End, LiveRun, conclude},
};
use crate::{
    gate::{Admission, Changes, Cx, Happening, Op, Row, Shelf},
    resources::{require_for_runs, workspace_shelf},
};

/// How long a bootstrap token works.
const BOOTSTRAP_LIFETIME: Duration = Duration::from_secs(600);
/// How often a target may fail to take a run.
pub(super) const MOST_ATTEMPTS: u32 = 3;
const ATTEMPTS: usize = 8;

pub(super) const HOUSE_WRITE: Action =
    Action::new("Microsoft.MachineLearningServices/workspaces/experiments/runs/write", Class::Control);

/// What the records of background work name: the job, or the workspace of a replica.
pub(super) fn named(live: &LiveRun) -> ResourceId {
    let job = live.is_job.then(|| live.scope.child(["jobs", live.run.as_str()]).ok()).flatten();
    job.unwrap_or_else(|| live.scope.clone())
}

/// The message an agent reads from its inherited descriptor.
#[derive(Serialize)]
struct Message<'a> {
    url: &'a str,
    ca_pem: &'a str,
    run: &'a RunId,
    token: &'a str,
    cache_dir: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    socket: Option<&'a str>,
}

/// Starts one queued launch: hands its agent a one-time token. One that somebody else started or ended meanwhile stays as
/// it is.
#[derive(Debug)]
pub(crate) struct StartLaunch {
    pub(super) live: Row<LiveRun>,
}

#[async_trait]
impl Op for StartLaunch {
    const ACTION: Action = HOUSE_WRITE;
    type Output = ();

    fn scope(&self) -> ResourceId {
        named(&self.live.value)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let shelf = cx.shelf(self.live.value.workspace).await?;
        let run = self.live.value.run.clone();
        cx.note("run", run.as_str());
        let (_, workspace) = workspace_shelf(cx, &self.live.value.scope).await?;
        if let Err(fault) = require_for_runs(cx, &shelf, &workspace.value).await {
            return refuse(cx, &shelf, &run, fault).await;
        }
        // Stale means that another server or a cancellation was faster; the next look decides anew.
        let (mut live, token) = self.claim(cx, &shelf, &run).await?;
        let launch = cx.get::<Launch>(&shelf, &shelf.name_id::<Launch>(run.as_str())).await?;
        let launch = launch.ok_or_else(|| Error::internal("a live run without a launch"))?.value;
        let started = match spec(cx, &live.value, &launch, &token) {
            Ok(spec) => cx.compute().start(spec).await.map_err(Error::from),
            Err(fault) => Err(fault),
        };
        match started {
            Ok(launched) => {
                cx.note("state", "launched");
                cx.happened(Happening::NodeTaken);
                // The default target is one machine.
                cx.note("node", "local");
                live.value.launched = Some(launched.clone());
                let mut changes = Changes::new();
                changes.put(cx.system(), &live)?;
                let kept = cx.commit(changes).await;
                if kept.is_err() {
                    // A process that no row names could not be found again.
                    stop(cx, &launched).await;
                }
                kept
            }
            Err(fault) => {
                tracing::warn!(%run, ?fault, "the target did not take a run");
                give_back(cx, &shelf, live, &fault).await
            }
        }
    }
}

impl StartLaunch {
    /// Marks the launch as being started, with the fingerprint of a fresh token.
    async fn claim(&self, cx: &Cx<'_, Self>, shelf: &Shelf, run: &RunId) -> Result<(Row<LiveRun>, Secret<String>)> {
        let superseded = || Error::new(Kind::Conflict, "the run is not to be started any more");
        let mut live = self.live.clone();
        let id = shelf.name_id::<LaunchState>(run.as_str());
        let mut row = cx.get::<LaunchState>(shelf, &id).await?.ok_or_else(superseded)?;
        let state = &mut row.value;
        let is_stuck = state.state == RunState::Provisioning && state.started_at.is_none();
        if !(state.state.is_waiting() || is_stuck) {
            return Err(superseded());
        }
        let now = cx.now();
        let token = new_bootstrap(live.value.workspace)?;
        let fingerprint = shelf.fingerprint(PURPOSE, token.expose());
        state.bootstrap = Some(Bootstrap { fingerprint, expires_at: now.plus(BOOTSTRAP_LIFETIME) });
        state.state = RunState::Provisioning;
        state.message = Some(String::from("starting an agent on the target"));
        state.seen_at = now;
        live.value.tried_at = Some(now);
        live.value.attempts = live.value.attempts.saturating_add(1);
        let mut changes = Changes::new();
        changes.put(shelf, &row)?;
        changes.put(cx.system(), &live)?;
        cx.note("state", state_word(&row));
        cx.commit(changes).await?;
        live.version = live.version.saturating_add(1);
        Ok((live, token))
    }
}

/// Ends a launch that cannot be started, with the reason for people.
async fn refuse(cx: &Admission<'_>, shelf: &Shelf, run: &RunId, fault: Error) -> Result<()> {
    if fault.kind() != Kind::Conflict {
        return Err(fault);
    }
    let id = shelf.name_id::<LaunchState>(run.as_str());
    let Some(row) = cx.get::<LaunchState>(shelf, &id).await? else { return Ok(()) };
    let mut changes = Changes::new();
    cx.note("state", RunState::Failed.word());
    conclude(cx, shelf, &mut changes, run, row, End::failed(fault.public())).await?;
    cx.commit(changes).await
}

fn state_word(row: &Row<LaunchState>) -> &'static str {
    row.value.state.word()
}

fn spec(cx: &Admission<'_>, live: &LiveRun, launch: &Launch, token: &Secret<String>) -> Result<LaunchSpec> {
    let settings = cx.settings();
    let message = Message {
        url: &settings.url,
        ca_pem: &settings.ca_pem,
        run: &live.run,
        token: token.expose(),
        cache_dir: &settings.cache_dir,
        socket: launch.socket.as_deref(),
    };
    let bootstrap = Secret::new(serde_json::to_string(&message).map_err(Error::internal)?);
    // Two workspaces may use the same run id; and what a target lists need not show what people wrote.
    let name: String =
        seal::sha256_hex(format!("{}|{}", live.workspace, live.run).as_bytes()).chars().take(24).collect();
    let kind = if live.is_job { "job" } else { "service" };
    Ok(LaunchSpec {
        name: format!("{kind}-{name}"),
        bootstrap,
        socket: launch.socket.as_deref().map(PathBuf::from),
        labels: BTreeMap::from([
            (String::from("workspace"), live.workspace.to_string()),
            (String::from("kind"), String::from(kind)),
        ]),
    })
}

/// Back into the queue, or given up after too many attempts.
async fn give_back(cx: &Admission<'_>, shelf: &Shelf, live: Row<LiveRun>, fault: &Error) -> Result<()> {
    let id = shelf.name_id::<LaunchState>(live.value.run.as_str());
    for _ in 0..ATTEMPTS {
        cx.begin_attempt();
        let Some(mut row) = cx.get::<LaunchState>(shelf, &id).await? else { return Ok(()) };
        let mut live = live.clone();
        let mut changes = Changes::new();
        live.value.tried_at = None;
        if row.value.state.is_final() {
            changes.delete(cx.system(), &live);
        } else if row.value.state == RunState::CancelRequested || live.value.attempts >= MOST_ATTEMPTS {
            let end = if row.value.state == RunState::CancelRequested {
                End { state: RunState::Canceled, message: None, exit_code: None }
            } else {
                End::failed(format!("the compute target could not start the run: {}", fault.public()))
            };
            cx.note("state", end.state.word());
            conclude(cx, shelf, &mut changes, &live.value.run, row, end).await?;
            changes.delete(cx.system(), &live);
        } else {
            row.value.state = RunState::Queued;
            row.value.bootstrap = None;
            row.value.message = Some(String::from("the target did not take the run; trying again"));
            let pause = Duration::from_secs(5).saturating_mul(live.value.attempts);
            live.value.not_before = cx.now().plus(pause);
            cx.note("state", state_word(&row));
            cx.happened(Happening::NodeRefused);
            changes.put(shelf, &row)?;
            changes.put(cx.system(), &live)?;
        }
        match cx.commit(changes).await {
            Err(fault) if fault.kind() == Kind::Stale => {}
            done => return done,
        }
    }
    Ok(())
}

/// Ends a process. A failure is only logged: the target is asked again at the next look.
pub(super) async fn stop(cx: &Admission<'_>, launched: &Launched) {
    if let Err(fault) = cx.compute().stop(launched).await {
        tracing::warn!(%fault, handle = launched.handle, "a process on the target could not be ended");
    }
}
