//! MLflow's REST interface (client 3.17): what it answers with. proto2's JSON: snake case, 64-bit integers as numbers, unset
//! fields left out, NaN and the infinities as words.

mod model;
mod registry;
mod run;
mod trace;
mod upload;
mod webhook;

pub use model::{
    LoggedModel, LoggedModelData, LoggedModelInfo, LoggedModelMetric, LoggedModelReply, LoggedModels, Registration,
};
pub use registry::{
    Alias, ArtifactUri, ModelVersion, ModelVersionReply, ModelVersions, RegisteredModel, RegisteredModelReply,
    RegisteredModels,
};
pub use run::{
    Dataset, DatasetInput, Experiment, ExperimentId, ExperimentReply, Experiments, Metric, Metrics, ModelInput,
    ModelOutput, Run, RunData, RunInfo, RunInfoReply, RunInputs, RunOutputs, RunReply, Runs,
};
pub use trace::{
    Assessment, AssessmentError, AssessmentReply, AssessmentSource, DeletedTraces, FoundTraces, MetricDataPoint,
    SerializedValue, Trace, TraceCorrelation, TraceInfo, TraceInfos, TraceLocation, TraceMetrics, TraceReply, Traces,
    Verdict,
};
pub use webhook::{Webhook, WebhookEvent, WebhookReply, WebhookTest, WebhookTestReply, Webhooks};

pub use upload::{PartCredential, PresignedFile, StoredPart, Upload, UploadParts};

use serde::{Deserialize, Serialize, Serializer};

/// A key and its value: tags and parameters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pair {
    /// Name.
    pub key: String,
    /// Value.
    pub value: String,
}

/// A 64-bit floating-point number.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Double(pub f64);

impl Serialize for Double {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            value if value.is_nan() => out.serialize_str("NaN"),
            f64::INFINITY => out.serialize_str("Infinity"),
            f64::NEG_INFINITY => out.serialize_str("-Infinity"),
            value => out.serialize_f64(value),
        }
    }
}

/// The body of every error.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// One of MLflow's codes.
    pub error_code: String,
    /// One sentence.
    pub message: String,
}

/// An answer that says nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Empty {}

/// One entry of a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileInfo {
    /// Where: below the run for `artifacts/list`, its bare name for the artifact proxy.
    pub path: String,
    /// Whether it is a directory.
    pub is_dir: bool,
    /// Bytes, for files.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file_size: Option<u64>,
}

/// A directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Files {
    /// The run's artifact root, for `artifacts/list`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root_uri: Option<String>,
    /// Its entries.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<FileInfo>,
}

/// What a server offers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServerInfo {
    /// The kind of store.
    pub store_type: String,
    /// Whether the header `X-MLFLOW-WORKSPACE` means anything.
    pub workspaces_enabled: bool,
    /// Not offered.
    pub trace_archival_enabled: bool,
    /// Whether clients that are told nothing else send large files in parts.
    pub multipart_uploads_enabled: bool,
    /// Whether clients that are told nothing else read files in ranges, side by side.
    pub multipart_downloads_enabled: bool,
    /// Not offered: `artifacts/presigned-upload-url` is for stores that clients reach by themselves.
    pub presigned_upload_run_id_supported: bool,
    /// The same.
    pub presigned_upload_model_id_supported: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_json_lacks_are_words() {
        let values = [0.5, f64::NAN, f64::INFINITY, f64::NEG_INFINITY].map(Double);
        assert_eq!(serde_json::to_string(&values).unwrap(), r#"[0.5,"NaN","Infinity","-Infinity"]"#);
    }
}
