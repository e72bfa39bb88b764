//! What clients tell of a run's course.

use axum::response::Response;
use domain::{
    compute::CancelJob,
    gate::enter,
    tracking::{
        ExperimentKey, RunStatus,
        azure::{GetRunStory, PatchRun, RunPatch},
    },
};
use http::Method;
use kernel::{Error, Result, RunId, Timestamp, Who};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Desk, Fault, arrive, body, experiment_of, reply, run_of};
use crate::{Doors, Guest};

/// Most events of a request (the client's limit on runs).
const MOST: usize = 100;
/// What the names of events begin with.
const PREFIX: &str = "Microsoft.MachineLearning.Run.";

/// The doors below `/history/v1.0{workspace}`.
pub(super) fn doors(mut doors: Doors, base: &str) -> Doors {
    for experiment in ["experiments/{experiment}", "experimentids/{experimentId}"] {
        doors = doors
            .open::<PatchRun, _, _>(Method::POST, &format!("{base}/{experiment}/runs/{{run}}/events"), post)
            .open::<PatchRun, _, _>(Method::POST, &format!("{base}/{experiment}/batch/events"), post_many);
    }
    doors
}

/// An event.
#[derive(Deserialize)]
struct Event {
    name: String,
    #[serde(default)]
    data: Value,
}

impl Event {
    fn text(&self, pointer: &str) -> String {
        self.data.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
    }

    /// What it means for the run; none when it changes nothing.
    fn patch(&self) -> Result<Option<RunPatch>> {
        let status = |status| RunPatch {
            status: Some(status),
            ended_at: Timestamp::parse_rfc3339(&self.text("/EndTime")),
            ..RunPatch::default()
        };
        Ok(Some(match self.name.strip_prefix(PREFIX).unwrap_or_default() {
            "Start" => status(RunStatus::Running),
            "Completed" => status(RunStatus::Finished),
            "Failed" => status(RunStatus::Failed),
            "Canceled" => status(RunStatus::Killed),
            "Error" => {
                let (code, message) =
                    (self.text("/ErrorResponse/error/code"), self.text("/ErrorResponse/error/message"));
                RunPatch { error: Some((code, message)), ..RunPatch::default() }
            }
            "Warning" => {
                RunPatch { warning: Some((self.text("/Source"), self.text("/Message"))), ..RunPatch::default() }
            }
            "Heartbeat" | "Queued" | "QueueingInfo" | "CancelRequested" => return Ok(None),
            _ => return Err(Error::invalid("name", "is no event of a run that is known here")),
        }))
    }

    fn ends_a_job(&self) -> bool {
        matches!(self.name.strip_prefix(PREFIX), Some("Canceled" | "CancelRequested"))
    }
}

async fn take(desk: &Desk, experiment: &ExperimentKey, run: RunId, event: &Event) -> Result<()> {
    let (house, caller, workspace) = desk;
    let patch = event.patch()?;
    // Whoever cancels a job's run from outside means the job.
    if event.ends_a_job() && !matches!(caller.who, Who::Run(_)) {
        let op = GetRunStory { workspace: workspace.clone(), experiment: Some(experiment.clone()), run: run.clone() };
        if enter(house, caller, op).await?.run.is_job {
            let job = workspace.child(["jobs", run.as_str()]).map_err(|_| Error::not_found("the run"))?;
            return enter(house, caller, CancelJob { id: job }).await.map(drop);
        }
    }
    let patch = patch.unwrap_or_default();
    let op = PatchRun { workspace: workspace.clone(), experiment: experiment.clone(), run, may_make: false, patch };
    enter(house, caller, op).await.map(drop)
}

async fn post(guest: Guest) -> Result<Response, Fault> {
    let desk = arrive::<PatchRun>(&guest).await?;
    let (experiment, run) = (experiment_of(&guest)?, run_of(&guest)?);
    let event: Event = body::read(&guest.bytes().await?)?;
    take(&desk, &experiment, run, &event).await?;
    Ok(reply(json!({})))
}

/// Events of many runs.
#[derive(Deserialize)]
struct Many {
    events: Vec<Event>,
}

async fn post_many(guest: Guest) -> Result<Response, Fault> {
    let desk = arrive::<PatchRun>(&guest).await?;
    let experiment = experiment_of(&guest)?;
    let Many { events } = body::read(&guest.bytes().await?)?;
    if events.len() > MOST {
        return Err(Error::invalid("events", format_args!("at most {MOST} events can be told at once")).into());
    }
    let run = |event: &Event| {
        event.text("/RunId").parse::<RunId>().map_err(|_| Error::invalid("events.data.RunId", "is no run's id"))
    };
    let runs: Vec<RunId> = events.iter().map(run).collect::<Result<_>>()?;
    let mut errors = Vec::new();
    for (run, event) in runs.into_iter().zip(&events) {
        let id = run.to_string();
        if let Err(fault) = take(&desk, &experiment, run, event).await {
            errors.push(
                json!({"key": {"name": event.name, "data": {"RunId": id}}, "value": super::runs::error_of(&fault)}),
            );
        }
    }
    Ok(reply(json!({"errors": errors})))
}
