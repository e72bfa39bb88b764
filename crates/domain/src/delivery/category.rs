//! The categories of log events, as Azure names them, and which records of the activity log belong to them.

use kernel::ResourceId;

use crate::gate::{Activity, Actor, Outcome};

/// What every action of a workspace begins with, in lower case.
const WORKSPACES: &str = "microsoft.machinelearningservices/workspaces/";

/// A category.
#[derive(Clone, Copy, Debug)]
pub struct Category {
    /// Its name.
    pub name: &'static str,
    /// The groups of categories that it is in.
    pub groups: &'static [&'static str],
    has: fn(&Activity, &str) -> bool,
}

const AUDIT: &[&str] = &["allLogs", "audit"];
const ALL: &[&str] = &["allLogs"];

/// Those of a subscription: everything in it, in two parts.
pub const OF_SUBSCRIPTIONS: [Category; 2] = [
    Category { name: "Administrative", groups: AUDIT, has: |activity, _| !activity.is_plain_read() },
    Category { name: "Reads", groups: ALL, has: |activity, _| activity.is_plain_read() },
];

/// Those of a workspace (Azure Monitor, supported logs of `Microsoft.MachineLearningServices/workspaces`).
pub const OF_WORKSPACES: [Category; 9] = [
    Category { name: "AmlComputeClusterEvent", groups: ALL, has: |_, rest| rest.starts_with("computes/") },
    Category { name: "AmlComputeClusterNodeEvent", groups: ALL, has: |activity, _| node_event(activity).is_some() },
    Category { name: "AmlComputeJobEvent", groups: ALL, has: |activity, _| job_event(activity).is_some() },
    Category { name: "AmlDataStoreEvent", groups: AUDIT, has: |_, rest| rest.starts_with("datastores/") },
    Category {
        name: "AmlDeploymentEvent",
        groups: AUDIT,
        has: |_, rest| is_deployment(rest) && !rest.ends_with("/score/action"),
    },
    Category {
        name: "AmlEnvironmentEvent",
        groups: AUDIT,
        has: |_, rest| rest.starts_with("environments/") || rest.starts_with("images/"),
    },
    Category { name: "AmlInferencingEvent", groups: ALL, has: |_, rest| rest.ends_with("/score/action") },
    Category { name: "AmlModelsEvent", groups: AUDIT, has: |_, rest| rest.starts_with("models/") },
    Category {
        name: "AmlRunEvent",
        groups: AUDIT,
        has: |_, rest| rest.starts_with("experiments/runs/") || rest.starts_with("jobs/"),
    },
];

fn is_deployment(rest: &str) -> bool {
    rest.starts_with("onlineendpoints/") || rest.starts_with("services/")
}

impl Category {
    /// The categories of a scope.
    pub fn all_of(scope: &ResourceId) -> &'static [Self] {
        if scope.workspace().is_some() { &OF_WORKSPACES } else { &OF_SUBSCRIPTIONS }
    }

    /// Whether a record belongs to it.
    pub(crate) fn has(&self, activity: &Activity) -> bool {
        let folded = activity.action.to_ascii_lowercase();
        (self.has)(activity, folded.strip_prefix(WORKSPACES).unwrap_or_default())
    }
}

/// What a record says of a job: `JobSubmitted`, `JobRunning`, `JobSucceeded`, `JobFailed`, `JobCanceled`.
pub(crate) fn job_event(activity: &Activity) -> Option<&'static str> {
    let action = activity.action.to_ascii_lowercase();
    let rest = action.strip_prefix(WORKSPACES)?;
    if activity.outcome != Outcome::Succeeded {
        return None;
    }
    match (rest, activity.detail.get("state").map(String::as_str)) {
        ("jobs/write", _) => Some("JobSubmitted"),
        ("experiments/runs/write", Some(state)) if is_of_job(activity) => match state {
            "Running" => Some("JobRunning"),
            "Completed" => Some("JobSucceeded"),
            "Failed" => Some("JobFailed"),
            "Canceled" => Some("JobCanceled"),
            _ => None,
        },
        _ => None,
    }
}

/// What a record says of the place that a job runs at: allocated for it, or given back.
pub(crate) fn node_event(activity: &Activity) -> Option<&'static str> {
    let is_work = activity.action.eq_ignore_ascii_case(&format!("{WORKSPACES}experiments/runs/write"));
    match activity.detail.get("state").map(String::as_str) {
        Some("launched") if is_work && is_of_job(activity) => Some("NodeAllocated"),
        Some("released") if is_work && is_of_job(activity) => Some("NodeReleased"),
        _ => None,
    }
}

/// The background work names the job; an agent speaks for its run, and those of services have names of their own.
fn is_of_job(activity: &Activity) -> bool {
    let is_said =
        matches!(activity.actor, Actor::Run { .. }) && activity.detail.get("work").is_some_and(|it| it == "job");
    activity.scope.value_of("jobs").is_some() || is_said
}

/// The run that a record is about.
pub(crate) fn run_of(activity: &Activity) -> Option<&str> {
    let noted = activity.detail.get("run").map(String::as_str);
    noted.or_else(|| activity.scope.value_of("jobs"))
}
