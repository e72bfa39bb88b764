//! Events that others subscribe to: what happened to runs, models and services, as Azure's event sources name it.

use kernel::{ResourceId, Result};
use serde_json::{Value, json};

use super::{
    Event,
    category::{job_event, run_of},
};
use crate::{
    compute::Job,
    gate::{Activity, Admission, Outcome},
    resources::find,
};

/// What a type's name begins with.
const PREFIX: &str = "Microsoft.MachineLearningServices.";

/// The types of events (Azure Event Grid, Machine Learning as a source). `DatasetDriftDetected` has no cause here.
pub const EVENT_TYPES: [&str; 4] = ["ModelDeployed", "ModelRegistered", "RunCompleted", "RunStatusChanged"];

/// The type of this name, with or without its prefix.
pub(super) fn type_of(name: &str) -> Option<&'static str> {
    let bare = name.strip_prefix(PREFIX).unwrap_or(name);
    EVENT_TYPES.iter().copied().find(|known| *known == bare)
}

/// The news that a record is, if it is any.
pub(super) fn of(activity: &Activity) -> Option<&'static str> {
    if activity.outcome != Outcome::Succeeded {
        return None;
    }
    let has = |key: &str| activity.detail.contains_key(key);
    match job_event(activity) {
        Some("JobSucceeded") => return Some("RunCompleted"),
        Some("JobFailed") => return Some("RunStatusChanged"),
        _ => {}
    }
    if has("registered") {
        return Some("ModelRegistered");
    }
    has("deployed").then_some("ModelDeployed")
}

/// A piece of news, ready to be put into an envelope.
pub(super) struct News {
    pub kind: String,
    pub subject: String,
    pub data: Value,
}

/// What there is to say of an event. What is not known any more is left out.
pub(super) async fn news(cx: &Admission<'_>, event: &Event) -> Result<News> {
    let activity = &event.activity;
    let noted = |key: &str| activity.detail.get(key).map(String::as_str).unwrap_or_default();
    let (subject, data) = match event.category {
        "ModelRegistered" => {
            let (name, version) = noted("registered").split_once(':').unwrap_or_default();
            (format!("models/{name}:{version}"), json!({"modelName": name, "modelVersion": version}))
        }
        "ModelDeployed" => {
            let service = activity.scope.value_of("onlineEndpoints").unwrap_or_default();
            let data = json!({"serviceName": service, "modelIds": noted("deployed"), "serviceComputeType": "Local"});
            (format!("endpoints/{service}"), data)
        }
        kind => {
            let run = run_of(activity).unwrap_or_default();
            let experiment = experiment_of(cx, &activity.scope, run).await?;
            let mut data = json!({
                "experimentId": experiment,
                "experimentName": experiment,
                "runId": run,
                "runType": "command",
            });
            if let (true, Some(fields)) = (kind == "RunStatusChanged", data.as_object_mut()) {
                fields.insert(String::from("runStatus"), json!(noted("state")));
            }
            (format!("experiments/{experiment}/runs/{run}"), data)
        }
    };
    Ok(News { kind: format!("{PREFIX}{}", event.category), subject, data })
}

/// The experiment of a job's run.
async fn experiment_of(cx: &Admission<'_>, scope: &ResourceId, run: &str) -> Result<String> {
    let job = scope.workspace().and_then(|workspace| workspace.child(["jobs", run]).ok());
    let Some(job) = job else { return Ok(String::new()) };
    match find::<Job>(cx, &job).await {
        Ok((_, row)) => Ok(row.value.properties.experiment),
        Err(fault) if fault.kind() == kernel::Kind::NotFound => Ok(String::new()),
        Err(fault) => Err(fault),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gate::Actor;
    use kernel::{CorrelationId, Timestamp};

    fn record(action: &str, scope: &str, outcome: Outcome, detail: &[(&str, &str)]) -> Activity {
        Activity {
            event: uuid::Uuid::nil(),
            at: Timestamp(0),
            correlation: CorrelationId::random(),
            actor: Actor::House,
            address: None,
            action: format!("Microsoft.MachineLearningServices/workspaces/{action}"),
            scope: scope.parse().unwrap(),
            outcome,
            detail: detail.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        }
    }

    /// J-12: a failed deployment sends none, nor does a failed registration.
    #[test]
    fn only_what_succeeded_is_news_and_only_failed_runs_change_their_status() {
        use Outcome::{Denied, Succeeded};
        let (supervise, runs) = ("onlineEndpoints/supervise/action", "experiments/runs/write");
        let service = "/subscriptions/s/onlineEndpoints/e";
        let job = "/subscriptions/s/jobs/j";
        let cases = [
            (
                record(supervise, service, Succeeded, &[("state", "Healthy"), ("deployed", "m:1")]),
                Some("ModelDeployed"),
            ),
            (record(supervise, service, Succeeded, &[("state", "Failed")]), None),
            (record(supervise, service, Succeeded, &[("state", "Healthy")]), None),
            (record("models/write", service, Succeeded, &[("registered", "m:1")]), Some("ModelRegistered")),
            (record("models/write", service, Denied, &[("registered", "m:1")]), None),
            (record("models/write", service, Succeeded, &[("model", "m"), ("stage", "Production")]), None),
            (record(runs, job, Succeeded, &[("state", "Completed")]), Some("RunCompleted")),
            (record(runs, job, Succeeded, &[("state", "Failed")]), Some("RunStatusChanged")),
            (record(runs, job, Succeeded, &[("state", "Running")]), None),
            (record(runs, service, Succeeded, &[("state", "Completed")]), None),
        ];
        for (activity, wanted) in cases {
            assert_eq!(of(&activity), wanted, "{activity:?}");
        }
    }
}
