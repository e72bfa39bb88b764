//! A job as Azure's clients read it.

use std::collections::BTreeMap;

use domain::compute::{JobStatus, RunState, Scratch, ScratchEnd, Swap};
use serde_json::Value;
use wire::{arm, job};

use crate::{Guest, faces::arm::show};

/// The job and where it stands.
pub(super) fn job(guest: &Guest, status: &JobStatus) -> arm::Resource<job::Job> {
    let (row, launch) = (&status.row, &status.launch);
    let job = &row.value.properties;
    let message = launch.message.clone();
    let error = (launch.state == RunState::Failed).then(|| job::JobError {
        code: String::from(if launch.exit_code.is_some() { "UserError" } else { "RunFailed" }),
        message: message.clone().unwrap_or_else(|| String::from("the run failed")),
    });
    let inputs = job.inputs.iter().map(|(name, value)| {
        let value = Some(Value::String(value.clone()));
        (name.clone(), job::JobInputValue { job_input_type: String::from("literal"), value, uri: None, mode: None })
    });
    let data = job.data.iter().map(|input| {
        let uri = format!("azureml:{}:{}", input.asset.parent().name(), input.asset.name());
        let job_input_type = input.kind.word().to_owned();
        let mode = Some(String::from("Download"));
        (input.name.clone(), job::JobInputValue { job_input_type, value: None, uri: Some(uri), mode })
    });
    let properties = job::Job {
        job_type: String::from("Command"),
        display_name: job.display_name.clone(),
        description: job.description.clone(),
        experiment_name: job.experiment.clone(),
        status: launch.state.word().to_owned(),
        message,
        error,
        exit_code: launch.exit_code,
        start_time: launch.started_at.map(|at| at.rfc3339()),
        end_time: launch.ended_at.map(|at| at.rfc3339()),
        command: job.command.clone(),
        code_id: job.code.as_ref().map(ToString::to_string),
        snapshot_id: job.snapshot.clone(),
        compute_id: job.compute.to_string(),
        environment_variables: job.variables.clone(),
        inputs: inputs.chain(data).collect(),
        outputs: BTreeMap::new(),
        properties: job.properties.clone(),
        tags: row.value.tags.clone(),
        limits: job::JobLimits {
            job_limits_type: Some(String::from("Command")),
            timeout: Some(format!("PT{}S", job.limits.seconds)),
        },
        resources: job::JobResources {
            instance_count: Some(1),
            memory_mib: Some(job.limits.memory_mib),
            pids: Some(job.limits.pids),
            scratch_mib: Some(job.limits.scratch_mib),
        },
        required_walls: job.required_walls.clone(),
        missing_walls: launch.missing_walls.clone(),
        high_business_impact: job.hbi,
        scratch: launch.scratch.as_ref().map(scratch),
        warnings: job.warnings.clone(),
        services: services(guest, status),
        is_archived: false,
    };
    show(row, properties)
}

fn scratch(scratch: &Scratch) -> job::JobScratch {
    let (swap, encryption) = match scratch.swap {
        Swap::Forbidden => ("forbidden", "notOnDisk"),
        Swap::NoneOnHost => ("noneOnHost", "notOnDisk"),
        Swap::Possible => ("possible", "none"),
    };
    let how = |end: ScratchEnd| match end {
        ScratchEnd::Cleared => "cleared",
        ScratchEnd::WithAgent => "agentEnded",
    };
    job::JobScratch {
        medium: String::from("memory"),
        swap: swap.to_owned(),
        encryption: encryption.to_owned(),
        key_id: None,
        destroyed_at: scratch.destroyed.map(|end| end.at.rfc3339()),
        destroyed_by: scratch.destroyed.map(|end| how(end.how).to_owned()),
    }
}

fn services(guest: &Guest, status: &JobStatus) -> BTreeMap<String, job::JobService> {
    let url = &guest.house().settings().url;
    let id = &status.row.value.id;
    let workspace = id.parent();
    let host = url.trim_start_matches("https://");
    let service = |kind: &str, endpoint: String| {
        (kind.to_owned(), job::JobService { endpoint, job_service_type: kind.to_owned() })
    };
    BTreeMap::from([
        service("Studio", format!("{url}/console/runs/{}?wsid={workspace}", id.name())),
        service("Tracking", format!("azureml://{host}/mlflow/v1.0{workspace}?")),
    ])
}
