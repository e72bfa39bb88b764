//! Command jobs in Azure's form (`wire/azure.md` §3.3), with fields of our own: `resources.memoryMiB`, `requiredWalls`, and
//! in answers `message`, `exitCode`, `missingWalls`, `warnings`, `snapshotId`, `scratch`; and `highBusinessImpact` in both.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// A job as it is sent.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobInput {
    /// `Command`.
    pub job_type: String,
    /// For people.
    #[serde(default)]
    pub display_name: Option<String>,
    /// For people.
    #[serde(default)]
    pub description: Option<String>,
    /// The experiment; `Default` when absent.
    #[serde(default)]
    pub experiment_name: Option<String>,
    /// The command line, with `${{inputs.…}}`.
    pub command: String,
    /// Resource id of a code version.
    #[serde(default)]
    pub code_id: Option<String>,
    /// Not offered: `requirements.txt` in the snapshot is used.
    #[serde(default)]
    pub environment_id: Option<String>,
    /// Resource id or name of a compute target.
    #[serde(default)]
    pub compute_id: Option<String>,
    /// Environment variables of the program.
    #[serde(default)]
    pub environment_variables: Option<BTreeMap<String, Option<String>>>,
    /// Literal inputs.
    #[serde(default)]
    pub inputs: Option<BTreeMap<String, JobInputValue>>,
    /// Not offered: files in `./outputs` are kept.
    #[serde(default)]
    pub outputs: Option<BTreeMap<String, Value>>,
    /// Facts about it.
    #[serde(default)]
    pub properties: Option<BTreeMap<String, String>>,
    /// Free labels.
    #[serde(default)]
    pub tags: Option<BTreeMap<String, Option<String>>>,
    /// Bounds in time.
    #[serde(default)]
    pub limits: Option<JobLimits>,
    /// Bounds in space.
    #[serde(default)]
    pub resources: Option<JobResources>,
    /// Walls without which it must not run.
    #[serde(default)]
    pub required_walls: Option<Vec<String>>,
    /// Treat it as jobs of a workspace of high business impact are treated, whatever the workspace is.
    #[serde(default)]
    pub high_business_impact: Option<bool>,
    /// Not offered.
    #[serde(default)]
    pub distribution: Option<Value>,
    /// Whom its code acts as.
    #[serde(default)]
    pub identity: Option<JobIdentity>,
}

/// Whom a job's code acts as (`IdentityConfiguration`).
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobIdentity {
    /// `AMLToken`, `Managed` or `UserIdentity`.
    pub identity_type: String,
    /// Of a managed identity of the compute target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<String>,
    /// The same by object id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object_id: Option<String>,
    /// Of a user-assigned identity.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_id: Option<String>,
}

/// An input: a value, or data.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobInputValue {
    /// `literal`, `uri_file`, `uri_folder` or `mltable`.
    pub job_input_type: String,
    /// Text, a number or a truth value.
    #[serde(default)]
    pub value: Option<Value>,
    /// Of data: `azureml:NAME:VERSION`, `azureml:NAME@latest`, or the version's resource id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uri: Option<String>,
    /// Of data: `Download` or `ReadOnlyMount`; the files are there before the program begins, and read-only, either way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
}

/// Bounds in time.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobLimits {
    /// `Command`.
    #[serde(default)]
    pub job_limits_type: Option<String>,
    /// ISO 8601 duration.
    #[serde(default)]
    pub timeout: Option<String>,
}

/// Bounds in space.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobResources {
    /// Always 1.
    #[serde(default)]
    pub instance_count: Option<u32>,
    /// Memory, in MiB.
    #[serde(default, rename = "memoryMiB")]
    pub memory_mib: Option<u64>,
    /// Processes and threads.
    #[serde(default)]
    pub pids: Option<u64>,
    /// Scratch space, in MiB.
    #[serde(default, rename = "scratchMiB")]
    pub scratch_mib: Option<u64>,
}

/// A job as it is answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Job {
    /// `Command`.
    pub job_type: String,
    /// For people.
    pub display_name: String,
    /// For people.
    pub description: String,
    /// The experiment.
    pub experiment_name: String,
    /// Where the run stands, in Azure's words.
    pub status: String,
    /// One line for people: progress, or how it ended.
    pub message: Option<String>,
    /// Why it failed.
    pub error: Option<JobError>,
    /// The program's exit code.
    pub exit_code: Option<i32>,
    /// When its agent began, RFC 3339.
    pub start_time: Option<String>,
    /// When it ended, RFC 3339.
    pub end_time: Option<String>,
    /// The command line, with expressions.
    pub command: String,
    /// Resource id of the code version.
    pub code_id: Option<String>,
    /// The snapshot behind it.
    pub snapshot_id: Option<String>,
    /// Resource id of the target.
    pub compute_id: String,
    /// Environment variables of the program.
    pub environment_variables: BTreeMap<String, String>,
    /// Literal inputs.
    pub inputs: BTreeMap<String, JobInputValue>,
    /// Always empty; files in `./outputs` are the run's artifacts.
    pub outputs: BTreeMap<String, Value>,
    /// Facts about it.
    pub properties: BTreeMap<String, String>,
    /// Free labels.
    pub tags: BTreeMap<String, String>,
    /// Bounds in time.
    pub limits: JobLimits,
    /// Bounds in space.
    pub resources: JobResources,
    /// Walls without which it must not run.
    pub required_walls: Vec<String>,
    /// Walls that did not stand around it.
    pub missing_walls: Vec<String>,
    /// Whether it is of high business impact: by its workspace, or because it was asked for.
    #[serde(default)]
    pub high_business_impact: bool,
    /// What is known of its scratch, once its agent began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scratch: Option<JobScratch>,
    /// What somebody should look at.
    pub warnings: Vec<String>,
    /// `Studio` and `Tracking`.
    pub services: BTreeMap<String, JobService>,
    /// Always false.
    pub is_archived: bool,
}

/// Where a run's working directory, temporary files and shared memory were, and what became of them: as its agent said and the
/// server saw.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobScratch {
    /// `memory`.
    pub medium: String,
    /// `forbidden` (the kernel was told so), `noneOnHost`, or `possible`.
    pub swap: String,
    /// `notOnDisk`, or `none` when the host may swap it out in clear.
    pub encryption: String,
    /// The key it was encrypted with; null for memory, which has none.
    pub key_id: Option<String>,
    /// When it was gone, RFC 3339; null while it is there, or when nobody could see its end.
    pub destroyed_at: Option<String>,
    /// `cleared` (emptied and taken down by the agent, which found nothing left) or `agentEnded` (the memory went with the process
    /// that held it).
    pub destroyed_by: Option<String>,
}

/// Why a job failed.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JobError {
    /// A stable code.
    pub code: String,
    /// One sentence.
    pub message: String,
}

/// Where a job can be looked at.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct JobService {
    /// Address.
    pub endpoint: String,
    /// Its key.
    pub job_service_type: String,
}

/// A log or an output in a list.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct JobFile {
    /// Path below the run.
    pub path: String,
    /// In bytes.
    pub length: u64,
}
