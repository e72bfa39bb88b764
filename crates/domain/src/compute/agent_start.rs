//! The first word of an agent: its one-time token against a run token and its assignment.

use async_trait::async_trait;
use kernel::{Action, Class, Error, Kind, ResourceId, Result, RunCaller, RunId, Secret, WorkspaceId};
use uuid::Uuid;

use super::{
    Launch, LaunchState, RunState, SCRATCH_WALL, Scratch, Swap,
    agent::{check_walls, launch, snapshot_of},
    launch::{End, LiveRun, conclude, live_id},
};
use crate::{
    data_assets::inputs_of,
    gate::{Actor, Changes, Cx, Op},
    identity::issue_run_token,
    provenance::require_service,
    resources::workspace_shelf,
    snapshots::{SnapshotFile, find_manifest},
};

/// What a bootstrap token's fingerprint is for.
pub(super) const PURPOSE: &str = "bootstrap";
const PREFIX: &str = "bzr_";

/// A fresh bootstrap token. It says where to look, so that no list of runs is searched by what a stranger sends.
pub(super) fn new_bootstrap(workspace: WorkspaceId) -> Result<Secret<String>> {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let random = URL_SAFE_NO_PAD.encode(seal::random::<32>()?);
    Ok(Secret::new(format!("{PREFIX}{}_{random}", workspace.0.simple())))
}

fn workspace_of(token: &str) -> Option<WorkspaceId> {
    let named = token.strip_prefix(PREFIX)?.get(..32)?;
    Uuid::try_parse(named).ok().map(WorkspaceId::from)
}

/// Begins a run. The token works once.
#[derive(Debug)]
pub struct StartRun {
    /// The run.
    pub run: RunId,
    /// The bootstrap token.
    pub token: Secret<String>,
    /// The agent's version.
    pub version: String,
    /// Walls that its target cannot build.
    pub missing_walls: Vec<String>,
    /// Whether its scratch can reach a disk; agents of before do not say.
    pub scratch: Option<Swap>,
}

/// What the agent is to do.
pub struct Assignment {
    /// Bearer for everything else.
    pub token: Secret<String>,
    /// When it expires, epoch seconds.
    pub expires: i64,
    /// The launch.
    pub launch: Launch,
    /// The files of a job's snapshot.
    pub files: Vec<SnapshotFile>,
    /// Its inputs that are data: name, and path and length of each file, in order.
    pub inputs: Vec<(String, Vec<(String, u64)>)>,
    /// The workspace's scope.
    pub scope: ResourceId,
    /// Whether package indexes are out of reach.
    pub offline: bool,
}

#[async_trait]
impl Op for StartRun {
    /// Public, since the caller has no token yet but this one, which the operation itself verifies.
    const ACTION: Action =
        Action::public("Microsoft.MachineLearningServices/workspaces/experiments/runs/start/action", Class::DataWrite);
    type Output = Assignment;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Assignment> {
        let refused = || Error::new(Kind::Unauthenticated, "the bootstrap token is not valid");
        let workspace = workspace_of(self.token.expose()).ok_or_else(refused)?;
        let gone = |fault: Error| if fault.kind() == Kind::NotFound { refused() } else { fault };
        let shelf = cx.shelf(workspace).await.map_err(gone)?;
        let id = shelf.name_id::<LaunchState>(self.run.as_str());
        let mut row = cx.get::<LaunchState>(&shelf, &id).await?.ok_or_else(refused)?;
        let kept = row.value.bootstrap.take().ok_or_else(refused)?;
        let is_right = shelf.matches(PURPOSE, self.token.expose(), &kept.fingerprint);
        if !is_right || kept.expires_at <= cx.now() || row.value.state.is_final() {
            return Err(refused());
        }
        let system = cx.system();
        let live = cx.get::<LiveRun>(system, &live_id(system, workspace, &self.run)).await?.ok_or_else(refused)?;
        let scope = live.value.scope;
        let mut launch = launch(cx, &shelf, &self.run).await?;
        cx.establish(Actor::Run { run: self.run.clone(), on_behalf_of: launch.submitted_by });
        cx.require_agent_reach(&scope)?;
        check_walls(&self.missing_walls)?;
        cx.note("run", self.run.as_str());
        cx.note("workspace", scope.as_str());
        cx.note("agent", self.version.chars().take(40).collect::<String>());

        if let Err(fault) = require_service(cx, &shelf, &launch).await {
            if fault.kind() == Kind::Conflict {
                let end = End { state: RunState::Failed, message: Some(fault.public().to_owned()), exit_code: None };
                row.value.started_at = Some(cx.now());
                let mut changes = Changes::new();
                conclude(cx, &shelf, &mut changes, &self.run, row, end).await?;
                cx.commit(changes).await?;
                super::wake(cx);
            }
            return Err(fault);
        }
        let files = match snapshot_of(&launch) {
            Some(snapshot) => find_manifest(cx, &shelf, snapshot).await?.files,
            None => Vec::new(),
        };
        let inputs = inputs_of(cx, &shelf, &self.run)
            .await?
            .into_iter()
            .map(|(input, files)| (input.name, files.into_iter().map(|file| (file.path, file.length)).collect()));
        let inputs = inputs.collect();
        // What was queued before the workspace was raised begins as one of those after.
        launch.hbi |= workspace_shelf(cx, &scope).await?.1.value.properties.hbi;
        if launch.hbi && !launch.required_walls.iter().any(|wall| wall == SCRATCH_WALL) {
            launch.required_walls.push(SCRATCH_WALL.to_owned());
        }
        let now = cx.now();
        row.value.scratch = self.scratch.map(Scratch::begun);
        row.value.started_at = Some(now);
        row.value.seen_at = now;
        row.value.token_issued_at = Some(now);
        row.value.missing_walls = self.missing_walls;
        let mut changes = Changes::new();
        changes.put(&shelf, &row)?;
        // Of two that hold the same token, one finds the row changed.
        cx.commit(changes).await.map_err(|fault| if fault.kind() == Kind::Stale { refused() } else { fault })?;
        cx.house().pulses.beat(workspace, &self.run, now);
        super::wake(cx);
        let (on_behalf_of, only) = (launch.submitted_by, Vec::new());
        let caller = RunCaller { run: self.run, workspace, scope: scope.clone(), on_behalf_of, only };
        let (token, expires) = issue_run_token(cx.house(), &caller)?;
        Ok(Assignment { token, expires, launch, files, inputs, scope, offline: cx.settings().offline })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bootstrap_token_says_where_to_look() {
        let workspace = WorkspaceId::random();
        let token = new_bootstrap(workspace).unwrap();
        assert_eq!(workspace_of(token.expose()), Some(workspace));
        for bad in ["", "bzr_", "bzr_xyz", "bzs_6f9619ff8b86d011b42d00c04fc964ff_x"] {
            assert_eq!(workspace_of(bad), None, "{bad}");
        }
    }
}
