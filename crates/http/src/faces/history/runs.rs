//! `…/runs/{run}` and lists of runs.

use axum::response::Response;
use domain::{
    gate::enter,
    tracking::{
        ArtifactPath, ExperimentKey, RunStatus,
        azure::{
            AddressFiles, GetRunStory, GetRunToken, ListRunFiles, ListRunStories, PatchRun, RunFilter, RunOrder,
            RunPatch,
        },
    },
};
use http::Method;
use kernel::{Error, ResourceId, Result, RunId, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use wire::agent::{PROXY_TOKEN, PROXY_TOKEN_ENDS};

use super::{Desk, Fault, address, arrive, body, experiment_of, reply, run_of, unsupported, view};
use crate::{Doors, Guest};

/// Bytes of a body: a hundred runs with all their tags and properties.
const BODY: usize = 8 << 20;
/// Most runs of a request (the client's limit).
const MOST: usize = 100;
/// Where logs lie among a run's files.
const LOGS: [&str; 3] = ["user_logs", "azureml-logs", "logs"];

/// The doors below `/history/v1.0{workspace}`.
pub(super) fn doors(mut doors: Doors, base: &str) -> Doors {
    for experiment in ["experiments/{experiment}", "experimentids/{experimentId}"] {
        let all = format!("{base}/{experiment}/runs");
        let one = format!("{all}/{{run}}");
        doors = doors
            .open::<GetRunStory, _, _>(Method::GET, &one, get)
            .open::<PatchRun, _, _>(Method::PATCH, &one, patch)
            .open::<PatchRun, _, _>(Method::DELETE, &format!("{one}/tags"), untag)
            .open::<ListRunStories, _, _>(Method::GET, &format!("{one}/children"), children)
            .open::<GetRunStory, _, _>(Method::GET, &format!("{one}/details"), details)
            .open::<GetRunToken, _, _>(Method::GET, &format!("{one}/token"), token)
            .open::<GetRunStory, _, _>(Method::GET, &format!("{one}/metricsingest/wait"), wait)
            .open::<ListRunStories, _, _>(Method::POST, &format!("{base}/{experiment}/runs:query"), query)
            .open::<PatchRun, _, _>(Method::PATCH, &format!("{base}/{experiment}/batch/runs"), patch_many);
    }
    doors
        .open::<GetRunStory, _, _>(Method::GET, &format!("{base}/runs/{{run}}"), get_anywhere)
        .open::<GetRunStory, _, _>(Method::GET, &format!("{base}/runs/{{run}}/details"), details_anywhere)
        .open::<GetRunStory, _, _>(Method::POST, &format!("{base}/rundata"), run_data)
}

/// A run as clients send it; what only the server says is not looked at.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Sent {
    run_id: Option<String>,
    parent_run_id: Option<String>,
    status: Option<String>,
    end_time_utc: Option<String>,
    name: Option<String>,
    display_name: Option<String>,
    description: Option<String>,
    run_type: Option<String>,
    target: Option<String>,
    properties: Option<Map<String, Value>>,
    tags: Option<Map<String, Value>>,
    input_datasets: Option<Vec<Value>>,
    output_datasets: Option<Vec<Value>>,
}

/// A label's text; none for null.
fn label(value: Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text),
        other => Some(other.to_string()),
    }
}

/// From Azure's word. Words for the way to a run's start are all one here.
pub(super) fn status(word: &str) -> Result<RunStatus> {
    Ok(match word.to_ascii_lowercase().as_str() {
        "notstarted" | "queued" | "preparing" | "provisioning" | "starting" => RunStatus::Scheduled,
        "running" | "finalizing" | "cancelrequested" => RunStatus::Running,
        "completed" | "finished" => RunStatus::Finished,
        "failed" => RunStatus::Failed,
        "canceled" => RunStatus::Killed,
        _ => return Err(Error::invalid("status", "is none of Azure's words, such as `Running` or `Completed`")),
    })
}

impl Sent {
    fn patch(self) -> Result<RunPatch> {
        let has = |list: &Option<Vec<Value>>| list.as_ref().is_some_and(|list| !list.is_empty());
        if has(&self.input_datasets) || has(&self.output_datasets) {
            return Err(unsupported("data sets of Azure are not kept here; log them with `mlflow.log_input`"));
        }
        let properties = self.properties.unwrap_or_default().into_iter();
        let tags = self.tags.unwrap_or_default().into_iter();
        Ok(RunPatch {
            name: self.display_name.or(self.name).filter(|name| !name.is_empty()),
            description: self.description,
            tags: tags.map(|(key, value)| (key, label(value))).collect(),
            properties: properties.map(|(key, value)| (key, label(value).unwrap_or_default())).collect(),
            parent: self.parent_run_id,
            status: self.status.as_deref().map(status).transpose()?,
            ended_at: self.end_time_utc.as_deref().and_then(Timestamp::parse_rfc3339),
            run_type: self.run_type,
            target: self.target,
            ..RunPatch::default()
        })
    }
}

async fn get(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<GetRunStory>(&guest).await?;
    let op = GetRunStory { workspace, experiment: Some(experiment_of(&guest)?), run: run_of(&guest)? };
    Ok(reply(view::run(&enter(&house, &caller, op).await?)))
}

async fn get_anywhere(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<GetRunStory>(&guest).await?;
    let op = GetRunStory { workspace, experiment: None, run: run_of(&guest)? };
    Ok(reply(view::run(&enter(&house, &caller, op).await?)))
}

async fn patch(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<PatchRun>(&guest).await?;
    let (experiment, run) = (experiment_of(&guest)?, run_of(&guest)?);
    let sent: Sent = body::read(&guest.bytes_to(BODY).await?)?;
    if sent.run_id.as_deref().is_some_and(|said| said != run.as_str()) {
        return Err(Error::invalid("runId", "is another run than that of the address").into());
    }
    let op = PatchRun { workspace, experiment, run, may_make: true, patch: sent.patch()? };
    Ok(reply(view::run(&enter(&house, &caller, op).await?)))
}

async fn untag(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<PatchRun>(&guest).await?;
    let (experiment, run) = (experiment_of(&guest)?, run_of(&guest)?);
    let untagged = body::list(&guest.bytes().await?)?;
    let patch = RunPatch { untagged, ..RunPatch::default() };
    let op = PatchRun { workspace, experiment, run, may_make: false, patch };
    Ok(reply(view::run(&enter(&house, &caller, op).await?)))
}

/// Many runs at once.
#[derive(Deserialize)]
struct Many {
    runs: Vec<Sent>,
}

async fn patch_many(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<PatchRun>(&guest).await?;
    let experiment = experiment_of(&guest)?;
    let Many { runs } = body::read(&guest.bytes_to(BODY).await?)?;
    if runs.len() > MOST {
        return Err(Error::invalid("runs", format_args!("at most {MOST} runs can be made at once")).into());
    }
    let read = |sent: Sent| {
        let id = sent.run_id.as_deref().and_then(|id| id.parse::<RunId>().ok());
        let id = id.ok_or_else(|| Error::invalid("runs.runId", "must be letters, digits, `-` and `_`"))?;
        Ok::<_, Error>((id, sent.patch()?))
    };
    // All of them are read before the first is made.
    let read: Vec<(RunId, RunPatch)> = runs.into_iter().map(read).collect::<Result<_>>()?;
    let (mut made, mut errors) = (Map::new(), Map::new());
    for (run, patch) in read {
        let id = run.to_string();
        let op = PatchRun { workspace: workspace.clone(), experiment: experiment.clone(), run, may_make: true, patch };
        match enter(&house, &caller, op).await {
            Ok(story) => made.insert(id, view::run(&story)),
            Err(fault) => errors.insert(id, error_of(&fault)),
        };
    }
    Ok(reply(json!({"runs": made, "errors": errors})))
}

/// An error within an answer that is none.
pub(super) fn error_of(fault: &Error) -> Value {
    json!({"error": crate::faces::arm::detail(fault)})
}

async fn details_of(guest: Guest, experiment: Option<ExperimentKey>) -> Result<Response, Fault> {
    let desk = arrive::<GetRunStory>(&guest).await?;
    let run = run_of(&guest)?;
    let op = GetRunStory { workspace: desk.2.clone(), experiment, run: run.clone() };
    let story = enter(&desk.0, &desk.1, op).await?;
    Ok(reply(view::details(&story, logs(&guest, &desk, run).await?)))
}

async fn details(guest: Guest) -> Result<Response, Fault> {
    let experiment = experiment_of(&guest)?;
    details_of(guest, Some(experiment)).await
}

async fn details_anywhere(guest: Guest) -> Result<Response, Fault> {
    details_of(guest, None).await
}

/// The addresses of a run's logs, for whoever may read its files; nobody else is refused its details for that.
async fn logs(guest: &Guest, (house, caller, workspace): &Desk, run: RunId) -> Result<Map<String, Value>> {
    let mut paths = Vec::new();
    for below in LOGS {
        let below = ArtifactPath::parse(below)?;
        let op = ListRunFiles { workspace: workspace.clone(), run: run.clone(), below, after: None };
        let Ok(page) = enter(house, caller, op).await else { return Ok(Map::new()) };
        paths.extend(page.files.into_iter().filter_map(|(path, _)| ArtifactPath::parse(&path).ok()));
    }
    if paths.is_empty() {
        return Ok(Map::new());
    }
    let files = enter(house, caller, AddressFiles { workspace: workspace.clone(), run: run.clone(), paths }).await?;
    let address = |file| address::of(guest, workspace, &run, &file);
    Ok(files.into_iter().map(|file| (file.path.to_string(), json!(address(file).expose()))).collect())
}

async fn token(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<GetRunToken>(&guest).await?;
    enter(&house, &caller, GetRunToken { workspace, run: run_of(&guest)? }).await?;
    Ok(reply(
        json!({"token": PROXY_TOKEN, "expiryTimeUtc": Timestamp(PROXY_TOKEN_ENDS.saturating_mul(1000)).rfc3339()}),
    ))
}

/// Metrics are there as soon as they were taken.
async fn wait(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<GetRunStory>(&guest).await?;
    let op = GetRunStory { workspace, experiment: Some(experiment_of(&guest)?), run: run_of(&guest)? };
    enter(&house, &caller, op).await?;
    Ok(reply(json!({})))
}

/// What a list is asked with.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Asked {
    filter: Option<String>,
    continuation_token: Option<String>,
    orderby: Option<Value>,
    top: Option<usize>,
}

/// The first key of an order decides: the client asks for no two that differ.
fn order(asked: Option<&Value>) -> Result<RunOrder> {
    let first = match asked {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(keys)) => keys.first().and_then(Value::as_str).unwrap_or_default().to_owned(),
        _ => String::new(),
    };
    let first = first.split(',').next().unwrap_or_default().trim().to_ascii_lowercase();
    let (key, way) = first.split_once(' ').unwrap_or((&first, "asc"));
    let is_falling = way.trim() == "desc";
    match key {
        "" => Ok(RunOrder::Newest),
        "starttimeutc" | "createdutc" => Ok(if is_falling { RunOrder::Newest } else { RunOrder::Oldest }),
        "runid" => Ok(if is_falling { RunOrder::LastId } else { RunOrder::Id }),
        _ => Err(Error::invalid("$orderby", "runs are listed by `StartTimeUtc`, `CreatedUtc` or `RunId`")),
    }
}

async fn list(desk: Desk, experiment: ExperimentKey, asked: Asked, child_of: Option<RunId>) -> Result<Response, Fault> {
    let (house, caller, workspace): (_, _, ResourceId) = desk;
    let mut written = asked.filter.unwrap_or_default();
    if let Some(parent) = child_of {
        let own = format!("ParentRunId eq \"{parent}\"");
        written = if written.trim().is_empty() { own } else { format!("({written}) and {own}") };
    }
    let op = ListRunStories {
        workspace,
        experiment,
        filter: RunFilter::parse(&written)?,
        written,
        order: order(asked.orderby.as_ref())?,
        most: asked.top.unwrap_or(500),
        page_token: asked.continuation_token,
    };
    let page = enter(&house, &caller, op).await?;
    let value: Vec<Value> = page.items.iter().map(view::run).collect();
    Ok(reply(json!({"value": value, "continuationToken": page.next})))
}

async fn query(guest: Guest) -> Result<Response, Fault> {
    let desk = arrive::<ListRunStories>(&guest).await?;
    let experiment = experiment_of(&guest)?;
    let asked: Asked = body::read(&guest.bytes().await?)?;
    list(desk, experiment, asked, None).await
}

async fn children(guest: Guest) -> Result<Response, Fault> {
    let desk = arrive::<ListRunStories>(&guest).await?;
    let asked = Asked {
        filter: guest.query("$filter"),
        continuation_token: guest.query("$continuationToken"),
        orderby: guest.query("$orderby").map(Value::String),
        top: guest.query("$top").and_then(|top| top.parse().ok()),
    };
    list(desk, experiment_of(&guest)?, asked, Some(run_of(&guest)?)).await
}

/// What `azure-ai-ml` asks before it downloads what a job left.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RunData {
    run_id: String,
}

async fn run_data(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<GetRunStory>(&guest).await?;
    let asked: RunData = body::read(&guest.bytes().await?)?;
    let run = asked.run_id.parse().map_err(|_| Error::not_found("the run"))?;
    let story = enter(&house, &caller, GetRunStory { workspace, experiment: None, run }).await?;
    let mut metadata = view::run(&story);
    if let Some(fields) = metadata.as_object_mut() {
        fields.insert(String::from("outputs"), json!({}));
    }
    Ok(reply(json!({"runMetadata": metadata, "runDefinition": {}, "jobSpecification": null})))
}
