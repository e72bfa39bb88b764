//! Rooms' records as Azure's clients see them.

use domain::tracking::{
    Experiment, RunStatus,
    azure::{RunStory, run_type, status_word},
};
use kernel::Timestamp;
use serde_json::{Map, Value, json};

use super::container_of;

/// Tags that have a field of their own here.
const NAMED: [&str; 3] = ["mlflow.runName", "mlflow.parentRunId", "mlflow.note.content"];

fn time(at: Timestamp) -> String {
    at.rfc3339()
}

/// A run. What is empty is left out or null, as the client reads both.
pub(super) fn run(story: &RunStory) -> Value {
    let run = &story.run;
    let id = run.id.as_str();
    // A tag without a value is one with an empty one.
    let tag =
        |(key, value): (&String, &String)| (key.clone(), if value.is_empty() { Value::Null } else { json!(value) });
    let tags: Map<String, Value> = run.tags.iter().filter(|(key, _)| !NAMED.contains(&key.as_str())).map(tag).collect();
    let started = (run.status != RunStatus::Scheduled).then(|| time(run.started_at));
    json!({
        // Azure's are counted by time too.
        "runNumber": run.started_at.seconds(),
        "rootRunId": story.root,
        "rootRunUuid": story.root,
        "experimentId": run.experiment,
        "createdUtc": time(run.started_at),
        "createdBy": {"userName": run.user},
        "userId": run.user,
        "runId": id,
        "runUuid": id,
        "parentRunId": story.parent,
        "parentRunUuid": story.parent,
        "status": status_word(run),
        "startTimeUtc": started,
        "endTimeUtc": run.ended_at.map(time),
        "heartbeatEnabled": false,
        "name": run.name,
        "displayName": run.name,
        "dataContainerId": container_of(&run.id),
        "description": run.tags.get("mlflow.note.content"),
        "hidden": run.is_deleted,
        "runType": run_type(run, &story.facts),
        "properties": story.facts.properties,
        "tags": tags,
        "target": story.facts.target,
        "error": error(story),
        "warnings": warnings(story),
        "inputDatasets": [],
        "outputDatasets": [],
    })
}

fn error(story: &RunStory) -> Value {
    match &story.facts.error {
        Some((code, message)) => json!({"error": {"code": code, "message": message}}),
        None => Value::Null,
    }
}

fn warnings(story: &RunStory) -> Vec<Value> {
    let all = story.facts.warnings.iter();
    all.map(|warning| json!({"source": warning.source, "message": warning.message})).collect()
}

/// A run's details; `log_files` by name and address.
pub(super) fn details(story: &RunStory, log_files: Map<String, Value>) -> Value {
    let run = &story.run;
    json!({
        "runId": run.id.as_str(),
        "target": story.facts.target,
        "status": status_word(run),
        "startTimeUtc": (run.status != RunStatus::Scheduled).then(|| time(run.started_at)),
        "endTimeUtc": run.ended_at.map(time),
        "services": {},
        "error": error(story),
        "warnings": warnings(story),
        "properties": story.facts.properties,
        "inputDatasets": [],
        "outputDatasets": [],
        "runDefinition": {},
        "logFiles": log_files,
    })
}

/// An experiment.
pub(super) fn experiment(experiment: &Experiment) -> Value {
    json!({
        "experimentId": experiment.id,
        "name": experiment.name,
        "description": experiment.tags.get("mlflow.note.content").map_or("", String::as_str),
        "createdUtc": time(experiment.created_at),
        "archivedTime": experiment.is_deleted.then(|| time(experiment.updated_at)),
        "tags": experiment.tags.iter().filter(|(key, _)| !NAMED.contains(&key.as_str())).collect::<std::collections::BTreeMap<_, _>>(),
    })
}
