//! The room's traces as MLflow's clients see them.

use domain::tracking::{self, Expected};
use kernel::Timestamp;
use serde_json::value::RawValue;
use wire::mlflow::{
    Assessment, AssessmentError, AssessmentSource, SerializedValue, Trace, TraceInfo, TraceLocation, Verdict,
};

pub(super) fn trace(trace: tracking::Trace, spans: Vec<Box<RawValue>>) -> Trace {
    Trace { trace_info: info(trace), spans }
}

pub(super) fn info(trace: tracking::Trace) -> TraceInfo {
    let tags = trace.all_tags();
    let assessments = trace.assessments.into_iter().map(|one| assessment(&trace.id, one)).collect();
    TraceInfo {
        trace_id: trace.id,
        client_request_id: trace.client_request,
        trace_location: TraceLocation::experiment(trace.experiment),
        request_preview: trace.request_preview,
        response_preview: trace.response_preview,
        request_time: Timestamp(trace.started_at).rfc3339(),
        execution_duration: trace.duration.map(duration),
        state: trace.state.word(),
        trace_metadata: trace.metadata,
        tags,
        assessments,
    }
}

/// Milliseconds as seconds with an `s`.
fn duration(millis: i64) -> String {
    let millis = millis.max(0);
    match millis % 1000 {
        0 => format!("{}s", millis / 1000),
        rest => format!("{}.{rest:03}s", millis / 1000),
    }
}

pub(super) fn assessment(trace: &str, one: tracking::Assessment) -> Assessment {
    let verdict = match one.verdict {
        tracking::Verdict::Feedback { value, error } => Verdict::Feedback {
            value,
            error: error.map(|fault| AssessmentError {
                error_code: fault.code,
                error_message: fault.message,
                stack_trace: fault.stack,
            }),
        },
        tracking::Verdict::Expectation(Expected::Plain(value)) => {
            Verdict::Expectation { value: Some(value), serialized_value: None }
        }
        tracking::Verdict::Expectation(Expected::Serialized { format, text }) => Verdict::Expectation {
            value: None,
            serialized_value: Some(SerializedValue { serialization_format: format, value: text }),
        },
        tracking::Verdict::Issue(issue_name) => Verdict::Issue { issue_name },
    };
    Assessment {
        assessment_id: one.id,
        assessment_name: one.name,
        trace_id: trace.to_owned(),
        span_id: one.span,
        source: AssessmentSource { source_type: one.source_type, source_id: one.source_id },
        create_time: Timestamp(one.created_at).rfc3339(),
        last_update_time: Timestamp(one.updated_at).rfc3339(),
        verdict,
        rationale: one.rationale,
        metadata: one.metadata,
        overrides: one.overrides,
        valid: one.is_valid,
    }
}

#[cfg(test)]
mod tests {
    use super::duration;

    #[test]
    fn durations_are_seconds() {
        for (millis, said) in [(0, "0s"), (1, "0.001s"), (1500, "1.500s"), (61_000, "61s"), (-5, "0s")] {
            assert_eq!(duration(millis), said);
        }
    }
}
