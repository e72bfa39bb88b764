//! Traces (`/api/3.0/mlflow/traces`). Times are RFC 3339, durations seconds with an `s`, as protobuf's JSON has them.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, value::RawValue};

use super::Double;

/// Where a trace lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TraceLocation {
    /// `MLFLOW_EXPERIMENT`.
    pub r#type: &'static str,
    /// Which one.
    pub mlflow_experiment: ExperimentLocation,
}

/// An experiment as a place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ExperimentLocation {
    /// Its id.
    pub experiment_id: String,
}

impl TraceLocation {
    /// An experiment.
    pub fn experiment(id: String) -> Self {
        Self { r#type: "MLFLOW_EXPERIMENT", mlflow_experiment: ExperimentLocation { experiment_id: id } }
    }
}

/// A trace without its spans.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TraceInfo {
    /// `tr-` and 32 hex digits.
    pub trace_id: String,
    /// The application's own id of the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_request_id: Option<String>,
    /// Where it lies.
    pub trace_location: TraceLocation,
    /// The beginning of what was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_preview: Option<String>,
    /// The beginning of what was answered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_preview: Option<String>,
    /// When it began.
    pub request_time: String,
    /// How long it took.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub execution_duration: Option<String>,
    /// `OK`, `ERROR`, `IN_PROGRESS` or `STATE_UNSPECIFIED`.
    pub state: &'static str,
    /// What was said once and for all.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub trace_metadata: BTreeMap<String, String>,
    /// Free labels.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// What is thought of it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub assessments: Vec<Assessment>,
}

/// A trace.
#[derive(Debug, Serialize)]
pub struct Trace {
    /// As a whole.
    pub trace_info: TraceInfo,
    /// Its spans, each as [`crate::otlp::Span`] writes itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub spans: Vec<Box<RawValue>>,
}

/// An answer about one.
#[derive(Debug, Serialize)]
pub struct TraceReply {
    /// The trace.
    pub trace: Trace,
}

/// `traces/batchGet`.
#[derive(Debug, Serialize)]
pub struct Traces {
    /// They.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub traces: Vec<Trace>,
}

/// `traces/batchGetInfos`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TraceInfos {
    /// They.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub trace_infos: Vec<TraceInfo>,
}

/// `traces/search`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FoundTraces {
    /// A page.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub traces: Vec<TraceInfo>,
    /// For the next one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next_page_token: Option<String>,
}

/// `traces/delete-traces`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct DeletedTraces {
    /// How many.
    pub traces_deleted: usize,
}

/// What somebody thinks of a trace.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Assessment {
    /// Its id.
    pub assessment_id: String,
    /// What is assessed.
    pub assessment_name: String,
    /// The trace.
    pub trace_id: String,
    /// The span that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub span_id: Option<String>,
    /// Who thinks so.
    pub source: AssessmentSource,
    /// When it was made.
    pub create_time: String,
    /// When it was changed last.
    pub last_update_time: String,
    /// What is thought: one of three.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// Why.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rationale: Option<String>,
    /// More about it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metadata: BTreeMap<String, String>,
    /// The assessment that it takes the place of.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overrides: Option<String>,
    /// Whether none takes its place.
    pub valid: bool,
}

/// Who thinks so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AssessmentSource {
    /// `HUMAN`, `LLM_JUDGE` or `CODE`.
    pub source_type: String,
    /// Which one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub source_id: String,
}

/// What is thought.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// How good it is.
    Feedback {
        /// A value of any kind.
        value: Value,
        /// Why there is none.
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<AssessmentError>,
    },
    /// What it should have given.
    Expectation {
        /// A plain value.
        #[serde(skip_serializing_if = "Option::is_none")]
        value: Option<Value>,
        /// One that the client wrote as text.
        #[serde(skip_serializing_if = "Option::is_none")]
        serialized_value: Option<SerializedValue>,
    },
    /// A problem that it shows.
    Issue {
        /// Its name.
        issue_name: String,
    },
}

/// Why feedback could not be had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AssessmentError {
    /// A word.
    pub error_code: String,
    /// A sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error_message: Option<String>,
    /// Where.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stack_trace: Option<String>,
}

/// A value as text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SerializedValue {
    /// `JSON_FORMAT`.
    pub serialization_format: String,
    /// The text.
    pub value: String,
}

/// An answer about an assessment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AssessmentReply {
    /// The assessment.
    pub assessment: Assessment,
}

/// `traces/metrics`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TraceMetrics {
    /// A group each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub data_points: Vec<MetricDataPoint>,
}

/// Numbers about a group of traces.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MetricDataPoint {
    /// What was asked for.
    pub metric_name: String,
    /// What they have in common.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub dimensions: BTreeMap<String, String>,
    /// By aggregation.
    pub values: BTreeMap<String, Double>,
}

/// `traces/calculate-filter-correlation`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct TraceCorrelation {
    /// From -1 to 1.
    pub npmi: Double,
    /// The same, smoothed.
    pub npmi_smoothed: Double,
    /// Traces of which the first holds.
    pub filter1_count: u64,
    /// Traces of which the second holds.
    pub filter2_count: u64,
    /// Traces of which both hold.
    pub joint_count: u64,
    /// Traces in all.
    pub total_count: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_verdict_is_one_field_beside_the_others() {
        let made = Assessment {
            assessment_id: String::from("a-1"),
            assessment_name: String::from("ok"),
            trace_id: String::from("tr-1"),
            span_id: None,
            source: AssessmentSource { source_type: String::from("CODE"), source_id: String::new() },
            create_time: String::from("2026-01-01T00:00:00Z"),
            last_update_time: String::from("2026-01-01T00:00:00Z"),
            verdict: Verdict::Feedback { value: Value::Bool(true), error: None },
            rationale: None,
            metadata: BTreeMap::new(),
            overrides: None,
            valid: true,
        };
        let json = serde_json::to_value(&made).unwrap();
        assert_eq!(json["feedback"], serde_json::json!({"value": true}));
        let issue = Assessment { verdict: Verdict::Issue { issue_name: String::from("slow") }, ..made };
        assert_eq!(serde_json::to_value(&issue).unwrap()["issue"], serde_json::json!({"issue_name": "slow"}));
    }
}
