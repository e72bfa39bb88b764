//! Jobs: a command over a snapshot, on a target.

use std::collections::BTreeMap;

use async_trait::async_trait;
use kernel::{Action, Class, Error, Kind, PrincipalId, ResourceId, Result, RunId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    JailLimits, Launch, LaunchState, NewJob, SCRATCH_WALL, Work,
    identity::identities_of_job,
    launch::{launch_state, record_launch},
};
use crate::{
    data_assets::{Given as GivenData, RunInput, record_inputs, resolve},
    diagnostics::{Fact, collect},
    gate::{Admission, Changes, Cx, Op, Row, Shelf},
    impact::admit_names,
    resources::{Resource, ResourceType, SystemData, Target, collection, find, row_id, workspace_shelf},
    secrets::{Given, admit},
    snapshots::{CodeVersion, find_manifest, read_text},
    tracking::{RunSeed, begin_run},
};

/// Largest requirements file, in bytes.
const LARGEST_REQUIREMENTS: u64 = 256 << 10;
/// Most jobs of a page.
const MOST_LISTED: usize = 1000;
const ATTEMPTS: usize = 8;

/// A job, as it was submitted. It never changes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Job {
    /// The command line, with expressions.
    pub command: String,
    /// The code version it runs over.
    pub code: Option<ResourceId>,
    /// The snapshot behind that.
    pub snapshot: Option<String>,
    /// The target.
    pub compute: ResourceId,
    /// The experiment its run lies in.
    pub experiment: String,
    /// For people.
    pub display_name: String,
    /// For people.
    pub description: String,
    /// Environment variables of the program.
    pub variables: BTreeMap<String, String>,
    /// Values of `${{inputs.…}}`.
    pub inputs: BTreeMap<String, String>,
    /// Inputs that are data.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub data: Vec<RunInput>,
    /// Facts about it; immutable.
    pub properties: BTreeMap<String, String>,
    /// Bounds of its jail.
    pub limits: JailLimits,
    /// Walls without which it must not run.
    pub required_walls: Vec<String>,
    /// What somebody should look at.
    pub warnings: Vec<String>,
    /// Whether it is of high business impact: by its workspace, or because it was asked for.
    #[serde(default)]
    pub hbi: bool,
}

impl ResourceType for Job {
    const TYPE: &'static str = "Microsoft.MachineLearningServices/workspaces/jobs";
    const READ: Action = Action::new("Microsoft.MachineLearningServices/workspaces/jobs/read", Class::Read);
    const WRITE: Action = Action::new("Microsoft.MachineLearningServices/workspaces/jobs/write", Class::Control);
    const DELETE: Action = Action::new("Microsoft.MachineLearningServices/workspaces/jobs/delete", Class::Control);
}

/// A job and where it stands.
#[derive(Clone, Debug)]
pub struct JobStatus {
    /// The job.
    pub row: Row<Resource<Job>>,
    /// Where its run stands.
    pub launch: LaunchState,
}

/// Submits a job: its record, its run and its place in the queue are one commit. A name is used once.
#[derive(Debug)]
pub struct PutJob {
    /// Its id: `…/jobs/{name}`.
    pub id: ResourceId,
    /// What it shall do.
    pub job: NewJob,
}

#[async_trait]
impl Op for PutJob {
    const ACTION: Action = Job::WRITE;
    type Output = JobStatus;

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<JobStatus> {
        let run: RunId = self.id.name().parse().map_err(|why| Error::invalid("name", why))?;
        let principal = cx.caller().principal();
        let principal = principal.ok_or_else(|| Error::new(Kind::Denied, "only a principal can submit a job"))?;
        let limits = self.job.check()?;
        let (shelf, workspace) = workspace_shelf(cx, &self.id).await?;
        let data = resolve(cx, &shelf, &workspace.value, &self.job.data, limits.scratch_mib).await?;
        let rendered = self.job.rendered(&data)?;
        let NewJob { variables, command, inputs, .. } = &self.job;
        let given = Given { variables, said: variables, command: Some((command, inputs)) };
        let mut warnings = admit(cx, (&shelf, &workspace), given).await?;
        warnings.extend(self.admit_names(cx, workspace.value.properties.hbi)?);
        for _ in 0..ATTEMPTS {
            let (by, name) = (principal.id, principal.name.clone());
            match self.once(cx, &run, by, name, rendered.clone(), limits.clone(), warnings.clone(), &data).await {
                Err(fault) if fault.kind() == Kind::Stale => {}
                done => {
                    super::wake(cx);
                    return done;
                }
            }
        }
        Err(Error::new(Kind::Throttled, "too many others write the same experiment at once; try again"))
    }
}

impl PutJob {
    #[expect(clippy::too_many_arguments, reason = "what was established before, once for all attempts")]
    async fn once(
        &self,
        cx: &Cx<'_, Self>,
        run: &RunId,
        submitted_by: PrincipalId,
        submitter: String,
        command: String,
        limits: JailLimits,
        warnings: Vec<String>,
        data: &[GivenData],
    ) -> Result<JobStatus> {
        let new = &self.job;
        let (shelf, workspace) = workspace_shelf(cx, &self.id).await?;
        let raised = workspace.value.properties.hbi || new.hbi;
        let may_tell = workspace.value.properties.may_send_diagnostics() && !raised;
        let (guid, workspace) = (workspace.value.guid, workspace.value.id);
        let row_id = row_id::<Job>(&shelf, &self.id);
        let is_taken = cx.get::<Resource<Job>>(&shelf, &row_id).await?.is_some();
        if is_taken || launch_state(cx, &shelf, run).await?.is_some() {
            return Err(Error::new(Kind::Exists, format!("the run id `{run}` is used already; choose another name")));
        }
        let required_walls = demanded(&new.required_walls, raised);
        let target = target(cx, &workspace, new.compute.as_ref(), &required_walls).await?;
        let identities = identities_of_job(cx, &target, &new.identity).await?;
        for identity in &identities {
            cx.note("identity", identity.principal.to_string());
        }
        let compute = target.value.id;
        cx.note("compute", compute.name());
        let code = self.code(cx, &workspace).await?;
        let requirements = match &code {
            Some((_, version)) => requirements(cx, &shelf, &version.snapshot).await?,
            None => None,
        };
        let snapshot = code.as_ref().map(|(_, version)| version.snapshot.clone());
        let experiment =
            new.experiment.clone().filter(|name| !name.is_empty()).unwrap_or_else(|| String::from("Default"));
        cx.note("experiment", experiment.as_str());
        let display_name = new.display_name.clone().filter(|name| !name.is_empty()).unwrap_or_else(|| run.to_string());

        let mut properties = code.as_ref().map(|(_, version)| version.properties.clone()).unwrap_or_default();
        properties.extend(new.properties.clone());
        if let Some(snapshot) = &snapshot {
            properties.insert(String::from("ContentSnapshotId"), snapshot.clone());
            cx.note("snapshot", snapshot);
        }
        let mut tags: BTreeMap<String, String> = new.tags.clone();
        tags.extend(
            properties.iter().filter(|(key, _)| is_plain_key(key)).map(|(key, value)| (key.clone(), value.clone())),
        );

        let mut changes = Changes::new();
        let seed = RunSeed {
            run: run.clone(),
            experiment: experiment.clone(),
            name: display_name.clone(),
            submitted_by: submitter,
            tags: tags.into_iter().collect(),
        };
        let experiment_id = begin_run(cx, &shelf, &mut changes, seed).await?;
        record_inputs(&shelf, &mut changes, (&experiment_id, run), data, cx.now())?;
        if raised {
            cx.note("highBusinessImpact", "true");
        }
        if may_tell {
            let fact = Fact::JobSubmitted { experiment: &experiment, variables: &new.variables };
            collect(cx, (guid, &workspace), fact, &mut changes).await?;
        }
        let launch = Launch {
            run: run.clone(),
            work: Work::Job { snapshot: snapshot.clone(), command },
            requirements,
            variables: surroundings(&workspace, guid, run, (&experiment, &experiment_id), &new.variables, data),
            limits: limits.clone(),
            required_walls: required_walls.clone(),
            socket: None,
            submitted_by,
            identities,
            hbi: raised,
        };
        record_launch(cx, &shelf, &workspace, &mut changes, launch)?;
        let mut row = Row::new(
            row_id,
            Resource {
                id: self.id.clone(),
                guid: Uuid::new_v4(),
                location: String::new(),
                tags: new.tags.clone(),
                system: SystemData::new(cx),
                properties: Job {
                    command: new.command.clone(),
                    code: code.map(|(id, _)| id),
                    snapshot,
                    compute,
                    experiment,
                    display_name,
                    description: new.description.clone(),
                    variables: new.variables.clone(),
                    inputs: new.inputs.clone(),
                    data: data.iter().map(|one| one.input.clone()).collect(),
                    properties,
                    limits,
                    required_walls,
                    warnings,
                    hbi: raised,
                },
            },
        );
        changes.put(&shelf, &row)?;
        cx.commit(changes).await?;
        row.version = 1;
        let launch = launch_state(cx, &shelf, run).await?;
        Ok(JobStatus { row, launch: launch.ok_or_else(|| Error::internal("a job without a launch"))? })
    }

    /// Warns of names that tell who submits, or refuses them.
    fn admit_names(&self, cx: &Cx<'_, Self>, is_workspace_raised: bool) -> Result<Vec<String>> {
        let new = &self.job;
        let given = [
            ("name", self.id.name()),
            ("properties.displayName", new.display_name.as_deref().unwrap_or_default()),
            ("properties.experimentName", new.experiment.as_deref().unwrap_or_default()),
        ];
        admit_names(cx, is_workspace_raised || new.hbi, &given)
    }

    /// The code version named, which lies in the same workspace.
    async fn code(&self, cx: &Cx<'_, Self>, workspace: &ResourceId) -> Result<Option<(ResourceId, CodeVersion)>> {
        let Some(id) = &self.job.code else { return Ok(None) };
        let missing =
            || Error::invalid("properties.codeId", format_args!("there is no code version `{id}` in this workspace"));
        if id.workspace().as_ref() != Some(workspace) || id.value_of("codes").is_none() {
            return Err(missing());
        }
        match find::<CodeVersion>(cx, id).await {
            Ok((_, row)) => Ok(Some((row.value.id, row.value.properties))),
            Err(fault) if fault.kind() == Kind::NotFound => Err(missing()),
            Err(fault) => Err(fault),
        }
    }
}

/// The target named, or the workspace's own. Walls that it lacks are refused at once.
async fn target(
    cx: &Admission<'_>,
    workspace: &ResourceId,
    named: Option<&ResourceId>,
    required: &[String],
) -> Result<Row<Resource<Target>>> {
    let field = "properties.computeId";
    let id = match named {
        Some(id) => id.clone(),
        None => workspace.child(["computes", "local"]).map_err(|why| Error::invalid(field, why))?,
    };
    let missing = || Error::invalid(field, format_args!("there is no compute target `{id}` in this workspace"));
    if id.workspace().as_ref() != Some(workspace) || id.value_of("computes").is_none() {
        return Err(missing());
    }
    let row = match find::<Target>(cx, &id).await {
        Ok((_, row)) => row,
        Err(fault) if fault.kind() == Kind::NotFound => return Err(missing()),
        Err(fault) => return Err(fault),
    };
    // What the target enforces today counts, not what it did when the workspace was made.
    let walls = cx.compute().capabilities();
    let stands = |name: &String| walls.walls.iter().any(|wall| wall.name == *name && wall.stands);
    let lacking: Vec<&str> = required.iter().filter(|name| !stands(name)).map(String::as_str).collect();
    if !lacking.is_empty() {
        let why = format!("the target `{}` does not have: {}", id.name(), lacking.join(", "));
        return Err(Error::invalid("properties.requiredWalls", why));
    }
    Ok(row)
}

/// The walls that are demanded of a job's target.
fn demanded(said: &[String], is_raised: bool) -> Vec<String> {
    let mut walls = said.to_vec();
    if is_raised && !walls.iter().any(|wall| wall == SCRATCH_WALL) {
        walls.push(SCRATCH_WALL.to_owned());
    }
    walls
}

/// The snapshot's `requirements.txt`.
async fn requirements(cx: &Admission<'_>, shelf: &Shelf, snapshot: &str) -> Result<Option<String>> {
    let manifest = find_manifest(cx, shelf, snapshot).await?;
    match manifest.files.iter().find(|file| file.path == "requirements.txt") {
        Some(file) => read_text(cx, shelf, file, LARGEST_REQUIREMENTS, "properties.codeId").await.map(Some),
        None => Ok(None),
    }
}

/// What the program finds around it: what the client gave, and which run it is (requirement M-08). The tracking address is
/// the agent's to say, since only it knows its proxy.
fn surroundings(
    workspace: &ResourceId,
    guid: Uuid,
    run: &RunId,
    (experiment, experiment_id): (&str, &str),
    given: &BTreeMap<String, String>,
    data: &[GivenData],
) -> BTreeMap<String, String> {
    let part = |key: &str| workspace.value_of(key).unwrap_or_default().to_owned();
    let ours = [
        ("MLFLOW_RUN_ID", run.to_string()),
        ("MLFLOW_EXPERIMENT_NAME", experiment.to_owned()),
        ("MLFLOW_DISABLE_TELEMETRY", String::from("true")),
        ("AZUREML_RUN_ID", run.to_string()),
        ("AZUREML_ARM_SUBSCRIPTION", part("subscriptions")),
        ("AZUREML_ARM_RESOURCEGROUP", part("resourceGroups")),
        ("AZUREML_ARM_WORKSPACE_NAME", workspace.name().to_owned()),
        ("AZUREML_ARM_PROJECT_NAME", experiment.to_owned()),
        ("AZUREML_WORKSPACE_ID", guid.to_string()),
        ("AZUREML_EXPERIMENT_ID", experiment_id.to_owned()),
    ];
    let mut variables = given.clone();
    variables.extend(ours.into_iter().map(|(name, value)| (name.to_owned(), value)));
    let place = |one: &GivenData| (format!("AZUREML_DATAREFERENCE_{}", one.input.name), one.input.inside.clone());
    variables.extend(data.iter().map(place));
    variables
}

/// Whether a property can also be a tag of the run.
fn is_plain_key(key: &str) -> bool {
    !key.is_empty()
        && key.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
        && !key.starts_with('.')
        && !key.contains("..")
}

/// Reads a job and where it stands.
#[derive(Debug)]
pub struct GetJob {
    /// Its id.
    pub id: ResourceId,
}

#[async_trait]
impl Op for GetJob {
    const ACTION: Action = Job::READ;
    type Output = JobStatus;

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<JobStatus> {
        Ok(find_job(cx, &self.id).await?.1)
    }
}

/// A job that must exist, with its shelf.
pub(super) async fn find_job(cx: &Admission<'_>, id: &ResourceId) -> Result<(Shelf, JobStatus)> {
    let (shelf, row) = find::<Job>(cx, id).await?;
    let launch = status(cx, &shelf, &row).await?;
    Ok((shelf, JobStatus { row, launch }))
}

async fn status(cx: &Admission<'_>, shelf: &Shelf, row: &Row<Resource<Job>>) -> Result<LaunchState> {
    let run: RunId = row.value.id.name().parse().map_err(Error::internal)?;
    launch_state(cx, shelf, &run).await?.ok_or_else(|| Error::internal("a job without a launch"))
}

/// Lists the jobs of a workspace, newest first.
#[derive(Debug)]
pub struct ListJobs {
    /// The workspace.
    pub workspace: ResourceId,
    /// How many to leave out.
    pub skip: usize,
    /// At most so many; a thousand at most.
    pub top: usize,
}

#[async_trait]
impl Op for ListJobs {
    const ACTION: Action = Job::READ;
    /// The page, and whether there is another.
    type Output = (Vec<JobStatus>, bool);

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let (shelf, workspace) = workspace_shelf(cx, &self.workspace).await?;
        let prefix = collection::<Job>(&shelf, &workspace.value.id);
        let mut rows = cx.all::<Resource<Job>>(&shelf, &prefix).await?;
        rows.retain(|row| cx.may(&Job::READ, &row.value.id));
        rows.sort_by(|a, b| {
            let newest = b.value.system.created_at.cmp(&a.value.system.created_at);
            newest.then_with(|| a.value.id.cmp(&b.value.id))
        });
        let top = self.top.min(MOST_LISTED);
        let has_more = rows.len() > self.skip.saturating_add(top);
        let mut page = Vec::new();
        for row in rows.into_iter().skip(self.skip).take(top) {
            let launch = status(cx, &shelf, &row).await?;
            page.push(JobStatus { row, launch });
        }
        Ok((page, has_more))
    }
}
