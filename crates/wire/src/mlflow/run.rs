//! Experiments, runs and metrics.

use serde::Serialize;

use super::{Double, Pair};

/// An experiment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Experiment {
    /// A decimal number as text.
    pub experiment_id: String,
    /// Unique name.
    pub name: String,
    /// Root of its runs' files.
    pub artifact_location: String,
    /// `active` or `deleted`.
    pub lifecycle_stage: String,
    /// Milliseconds since the epoch.
    pub last_update_time: i64,
    /// Milliseconds since the epoch.
    pub creation_time: i64,
    /// Free labels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Pair>,
}

/// `experiments/create`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExperimentId {
    /// The new one's id.
    pub experiment_id: String,
}

/// `experiments/get`, `experiments/get-by-name`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExperimentReply {
    /// The experiment.
    pub experiment: Experiment,
}

/// `experiments/search`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Experiments {
    /// A page.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub experiments: Vec<Experiment>,
    /// For the next one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// What a run is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunInfo {
    /// The id again, for old clients.
    pub run_uuid: String,
    /// Its experiment.
    pub experiment_id: String,
    /// For people.
    pub run_name: String,
    /// Whoever the server established as its maker.
    pub user_id: String,
    /// `RUNNING`, `SCHEDULED`, `FINISHED`, `FAILED` or `KILLED`.
    pub status: String,
    /// Milliseconds since the epoch.
    pub start_time: i64,
    /// Milliseconds since the epoch.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_time: Option<i64>,
    /// Root of its files.
    pub artifact_uri: String,
    /// `active` or `deleted`.
    pub lifecycle_stage: String,
    /// The id.
    pub run_id: String,
}

/// What a run logged.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunData {
    /// The latest value of each metric.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<Metric>,
    /// Parameters.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub params: Vec<Pair>,
    /// Free labels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Pair>,
}

/// A run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Run {
    /// What it is.
    pub info: RunInfo,
    /// What it logged.
    pub data: RunData,
    /// What it used.
    pub inputs: RunInputs,
    /// What it made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outputs: Option<RunOutputs>,
}

/// What a run used.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct RunInputs {
    /// Data sets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dataset_inputs: Vec<DatasetInput>,
    /// Models.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub model_inputs: Vec<ModelInput>,
}

/// A data set and how it was used.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DatasetInput {
    /// How.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<Pair>,
    /// What.
    pub dataset: Dataset,
}

/// A data set.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Dataset {
    /// Name.
    pub name: String,
    /// Digest.
    pub digest: String,
    /// What `source` is.
    pub source_type: String,
    /// Where it came from.
    pub source: String,
    /// Its columns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// Its statistics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub profile: Option<String>,
}

/// A model that a run used.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelInput {
    /// Its id.
    pub model_id: String,
}

/// What a run made.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunOutputs {
    /// Models.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub model_outputs: Vec<ModelOutput>,
}

/// A model that a run made.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ModelOutput {
    /// Its id.
    pub model_id: String,
    /// At which step.
    pub step: i64,
}

/// `runs/create`, `runs/get`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunReply {
    /// The run.
    pub run: Run,
}

/// `runs/update`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RunInfoReply {
    /// The run.
    pub run_info: RunInfo,
}

/// `runs/search`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Runs {
    /// A page.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub runs: Vec<Run>,
    /// For the next one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// A metric's value.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Metric {
    /// Name.
    pub key: String,
    /// Value.
    pub value: Double,
    /// Milliseconds since the epoch.
    pub timestamp: i64,
    /// Step.
    pub step: i64,
    /// The run, where several are answered for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run_id: Option<String>,
}

/// `metrics/get-history`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Metrics {
    /// A page.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<Metric>,
    /// For the next one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}
