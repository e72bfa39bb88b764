//! Keeping replicas running: what is looked at every second, by the house itself.

use std::sync::Arc;

use async_trait::async_trait;
use kernel::{Action, Caller, Class, Error, Kind, ResourceId, Result, RunId, WorkspaceId};

use super::{
    Deployment, Replica,
    deploy::image_of,
    index::{self, Listed},
    replica::{self, Fate, Verdict, judge},
    service_log,
};
use crate::{
    compute::{end_launch, launch_state, wake},
    gate::{Admission, Changes, Cx, Happening, House, Op, Row, Shelf, enter},
    operations::{self, Failure},
    provenance::require_chain,
    resources::{Resource, row_id, workspace_shelf},
};

/// Probes in a row that a replica must miss to count as unhealthy (the article's liveness failures).
const MISSES: u32 = 3;

/// Only the house does this. Looking changes nothing and is not recorded; a change is, as any commit.
const SUPERVISE: Action =
    Action::new("Microsoft.MachineLearningServices/workspaces/onlineEndpoints/supervise/action", Class::Open);

/// Goes through all deployments once: notices replicas that ended, starts those that are due. Called about every second.
///
/// # Errors
/// Only what keeps it from looking at all; trouble with one service is logged and does not keep it from the others.
pub async fn supervise(house: &Arc<House>) -> Result<()> {
    for listed in enter(house, &Caller::house(), ListServices).await? {
        // Even without a deployment it is looked at: whether its workspace is still there.
        let mut deployments: Vec<_> = listed.value.deployments().cloned().map(Some).collect();
        if deployments.is_empty() {
            deployments.push(None);
        }
        for deployment in deployments {
            supervise_one(house, listed.clone(), deployment).await;
        }
    }
    Ok(())
}

async fn supervise_one(house: &Arc<House>, listed: Row<Listed>, deployment: Option<ResourceId>) {
    let scope = listed.value.endpoint.clone();
    match enter(house, &Caller::house(), SuperviseService { listed, deployment }).await {
        // Someone else changed it just now; the next round sees it.
        Err(fault) if fault.kind() == Kind::Stale => {}
        Err(fault) => tracing::warn!(service = %scope, ?fault, "a service could not be supervised"),
        Ok(()) => {}
    }
}

struct ListServices;

#[async_trait]
impl Op for ListServices {
    const ACTION: Action = SUPERVISE;
    type Output = Vec<Row<Listed>>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        index::all(cx).await
    }
}

struct SuperviseService {
    listed: Row<Listed>,
    deployment: Option<ResourceId>,
}

#[async_trait]
impl Op for SuperviseService {
    const ACTION: Action = SUPERVISE;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.listed.value.endpoint.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let Some((shelf, workspace)) = workspace_of(cx, &self.listed.value).await? else {
            let mut changes = Changes::new();
            changes.delete(cx.system(), &self.listed);
            return cx.commit(changes).await;
        };
        let Some(id) = &self.deployment else { return Ok(()) };
        let Some(mut row) = deployment_of(cx, &shelf, id).await? else { return Ok(()) };
        let deployment = &mut row.value.properties;
        let current = fate(cx, &shelf, deployment.current.as_ref()).await?;
        let coming = fate(cx, &shelf, deployment.coming.as_ref()).await?;
        let mut changes = Changes::new();
        match judge(deployment, current, coming, cx.now()) {
            Verdict::Nothing => return Ok(()),
            Verdict::Changed { end, failed } => {
                if let Some(launch) = end {
                    end_launch(cx, &shelf, &mut changes, &launch).await?;
                }
                if let (Some(message), Some(operation)) = (failed, deployment.operation) {
                    cx.happened(Happening::DeploymentFailed);
                    let failure = Failure { code: String::from("DeploymentFailed"), message };
                    operations::end(cx, &shelf, &mut changes, operation, Some(failure)).await?;
                    deployment.operation = None;
                }
            }
            Verdict::Start => {
                let image = image_of(cx, &shelf, deployment).await?;
                match require_chain(cx, &shelf, &image).await {
                    Ok(()) => {
                        let replica = replica::start(cx, &shelf, &workspace, &mut changes, deployment, &image)?;
                        deployment.log = Some(replica.launch.clone());
                        deployment.coming = Some(replica);
                        deployment.retry_at = None;
                    }
                    Err(fault) if fault.kind() == Kind::Conflict => {
                        replica::refuse(deployment, fault.public().to_owned());
                    }
                    Err(fault) => return Err(fault),
                }
            }
        }
        cx.note("state", deployment.state.word());
        changes.put(&shelf, &row)?;
        cx.commit(changes).await?;
        wake(cx);
        Ok(())
    }
}

/// The workspace of a service and its id; none when it is gone, or another one has its name.
async fn workspace_of(cx: &Admission<'_>, listed: &Listed) -> Result<Option<(Shelf, ResourceId)>> {
    match workspace_shelf(cx, &listed.endpoint).await {
        Ok((shelf, row)) if WorkspaceId::from(row.value.guid) == listed.workspace => Ok(Some((shelf, row.value.id))),
        Ok(_) => Ok(None),
        Err(fault) if fault.kind() == Kind::NotFound => Ok(None),
        Err(fault) => Err(fault),
    }
}

async fn deployment_of(
    cx: &Admission<'_>,
    shelf: &Shelf,
    id: &ResourceId,
) -> Result<Option<Row<Resource<Deployment>>>> {
    cx.get::<Resource<Deployment>>(shelf, &row_id::<Deployment>(shelf, id)).await
}

async fn fate(cx: &Admission<'_>, shelf: &Shelf, replica: Option<&Replica>) -> Result<Option<Fate>> {
    let Some(replica) = replica else { return Ok(None) };
    let Some(state) = launch_state(cx, shelf, &replica.launch).await? else {
        return Ok(Some(Fate::Ended { why: String::from("the replica is gone"), was_taken: true }));
    };
    if !state.state.is_final() {
        return Ok(Some(Fate::Alive));
    }
    let mut why = state.message.unwrap_or_else(|| String::from("the replica ended"));
    if let Some(words) = service_log::last_words(cx, shelf, &replica.launch).await? {
        why = format!("{why}: {words}");
    }
    Ok(Some(Fate::Ended { why, was_taken: state.started_at.is_some() }))
}

/// A replica that is, or will be, listening.
#[derive(Clone, Debug)]
pub struct Listening {
    listed: Listed,
    deployment: ResourceId,
    launch: RunId,
    /// Its Unix socket.
    pub socket: String,
    is_known_healthy: bool,
}

/// The replicas whose health is to be probed.
#[derive(Debug)]
pub struct ListListening;

#[async_trait]
impl Op for ListListening {
    const ACTION: Action = SUPERVISE;
    type Output = Vec<Listening>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let mut found = Vec::new();
        for row in index::all(cx).await? {
            let listed = row.value;
            let shelf = match workspace_of(cx, &listed).await {
                Ok(Some((shelf, _))) => shelf,
                Ok(None) => continue,
                // One workspace whose key is away does not stop the others.
                Err(fault) => {
                    tracing::debug!(?fault, service = %listed.endpoint, "a service could not be looked at");
                    continue;
                }
            };
            for id in listed.deployments() {
                let Some(deployment) = deployment_of(cx, &shelf, id).await? else { continue };
                found.extend(deployment.value.properties.replicas().map(|replica| Listening {
                    listed: listed.clone(),
                    deployment: id.clone(),
                    launch: replica.launch.clone(),
                    socket: replica.socket.clone(),
                    is_known_healthy: replica.healthy_since.is_some(),
                }));
            }
        }
        Ok(found)
    }
}

/// Takes note of a probe. Writes only when it changes something.
pub async fn report_probe(house: &House, listening: &Listening, is_healthy: bool) -> Result<()> {
    let misses = house.scoring.count_probe(&listening.launch, is_healthy);
    let is_news = match (is_healthy, listening.is_known_healthy) {
        (true, known) => !known,
        (false, known) => known && misses >= MISSES,
    };
    if !is_news {
        return Ok(());
    }
    let op = ReportReplica { listening: listening.clone(), is_healthy };
    match enter(house, &Caller::house(), op).await {
        Err(fault) if matches!(fault.kind(), Kind::Stale | Kind::NotFound) => Ok(()),
        other => other,
    }
}

struct ReportReplica {
    listening: Listening,
    is_healthy: bool,
}

#[async_trait]
impl Op for ReportReplica {
    const ACTION: Action = SUPERVISE;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.listening.listed.endpoint.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let gone = || Error::not_found("the service");
        let (shelf, _) = workspace_of(cx, &self.listening.listed).await?.ok_or_else(gone)?;
        let mut row = deployment_of(cx, &shelf, &self.listening.deployment).await?.ok_or_else(gone)?;
        let deployment = &mut row.value.properties;
        let launch = &self.listening.launch;
        let Some(report) = replica::report(deployment, launch, self.is_healthy, cx.now()) else { return Ok(()) };
        let mut changes = Changes::new();
        if let Some(replaced) = report.replaced {
            end_launch(cx, &shelf, &mut changes, &replaced).await?;
        }
        if report.is_settled
            && let Some(operation) = deployment.operation.take()
        {
            cx.happened(Happening::DeploymentSucceeded);
            operations::end(cx, &shelf, &mut changes, operation, None).await?;
            cx.note("deployed", format!("{}:{}", deployment.image.model, deployment.image.version));
        }
        cx.note("state", deployment.state.word());
        cx.note("replica", launch.as_str());
        changes.put(&shelf, &row)?;
        cx.commit(changes).await?;
        wake(cx);
        Ok(())
    }
}
