//! What the room has to know of a span, taken from its attributes: MLflow's own, and those of OpenTelemetry's conventions for
//! generative AI that say the same (<https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/>).

use std::{collections::BTreeMap, sync::Arc};

use domain::tracking::{NewSpan, SpanHead, SpanStatus};
use kernel::{Error, Kind, Result};
use serde_json::value::to_raw_value;
use wire::otlp::{Resource, Span, Value};

/// Most characters of what previews are made of.
const PREVIEW: usize = 1000;
/// Most tags that one place's spans bring.
const MOST_TAGS: usize = 200;
/// Most characters of such a tag's value.
const MOST_OF_TAG: usize = 8000;
/// Most bytes of such tags: each trace of an export gets them all.
const MOST_OF_TAGS: usize = 64 << 10;

/// Tags that a trace gets from where it comes from. What the exporter says of itself is none, and MLflow's own names are not
/// for exporters to use. What is too much of it is left out: it is no reason to lose spans.
pub(super) fn tags_of(resource: &Resource) -> Arc<[(String, String)]> {
    let is_own = |key: &str| key.starts_with("telemetry.sdk.") || key.starts_with("mlflow.");
    let tag = |one: &wire::otlp::KeyValue| {
        let value = one.value.as_ref()?.value.as_ref()?;
        (!is_own(&one.key)).then(|| (one.key.clone(), said(value).chars().take(MOST_OF_TAG).collect::<String>()))
    };
    let mut left = MOST_OF_TAGS;
    let fits = |(key, value): &(String, String)| match left.checked_sub(key.len().saturating_add(value.len())) {
        Some(rest) => {
            left = rest;
            true
        }
        None => false,
    };
    resource.attributes.iter().filter_map(tag).take(MOST_TAGS).filter(fits).collect()
}

/// Reads a span. `shared` are the tags of the place that it comes from.
pub(super) fn new_span(span: Span, shared: &Arc<[(String, String)]>) -> Result<NewSpan> {
    let refuse =
        |why: &str| Error::new(Kind::Invalid, format!("Cannot convert OpenTelemetry span to MLflow span: {why}"));
    if span.trace_id.len() != 16 || span.span_id.len() != 8 {
        return Err(refuse("trace ids have 16 bytes and span ids 8"));
    }
    let is_root = span.parent_span_id.is_empty();
    let mut tags = Vec::new();
    if is_root {
        tags.extend(span.attributes.iter().filter_map(|one| {
            let key = one.key.strip_prefix("mlflow.traceTag.")?;
            Some((key.to_owned(), said(one.value.as_ref()?.value.as_ref()?)))
        }));
    }
    let text =
        |keys: &[&str]| keys.iter().find_map(|key| span.attribute(key)).map(said).filter(|text| !text.is_empty());
    let preview = |key: &str| {
        let value = span.attribute(key).filter(|_| is_root)?;
        let whole = match value {
            Value::StringValue(text) => text.clone(),
            other => other.plain().to_string(),
        };
        Some(whole.chars().take(PREVIEW).collect())
    };
    let head = SpanHead {
        id: hex(&span.span_id),
        parent: (!is_root).then(|| hex(&span.parent_span_id)),
        name: span.name.clone(),
        kind: text(&["mlflow.spanType"]).unwrap_or_else(|| String::from("UNKNOWN")),
        status: match span.status.as_ref().map(|status| status.code) {
            Some(1) => SpanStatus::Ok,
            Some(2) => SpanStatus::Error,
            _ => SpanStatus::Unset,
        },
        started_at: span.start_time_unix_nano,
        ended_at: Some(span.end_time_unix_nano).filter(|end| *end > 0),
        usage: usage(&span),
        cost: span.attribute("mlflow.llm.cost").map(numbers).unwrap_or_default(),
        model: text(&["mlflow.llm.model", "gen_ai.response.model", "gen_ai.request.model"]),
        provider: text(&["mlflow.llm.provider", "gen_ai.provider.name", "gen_ai.system"]),
    };
    Ok(NewSpan {
        trace: format!("tr-{}", hex(&span.trace_id)),
        inputs: preview("mlflow.spanInputs"),
        outputs: preview("mlflow.spanOutputs"),
        session: text(&["session.id", "gen_ai.conversation.id"]),
        user: text(&["user.id"]),
        shared: Arc::clone(shared),
        tags,
        head,
        body: to_raw_value(&span).map_err(Error::internal)?,
    })
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A value as text. MLflow writes texts as JSON in some exporters, and as they are in others.
fn said(value: &Value) -> String {
    match value {
        Value::StringValue(text) if text.starts_with('"') => {
            serde_json::from_str::<String>(text).unwrap_or_else(|_| text.clone())
        }
        Value::StringValue(text) => text.clone(),
        other => other.plain().to_string(),
    }
}

/// Numbers by name, from a list of them or the same as JSON.
fn numbers(value: &Value) -> BTreeMap<String, f64> {
    let whole = match value {
        Value::StringValue(text) => serde_json::from_str(text).unwrap_or_default(),
        other => other.plain(),
    };
    let entries = whole.as_object().into_iter().flatten();
    let numbers = entries.filter_map(|(key, value)| Some((key.clone(), value.as_f64()?)));
    // MLflow knows five of tokens and three of costs.
    numbers.filter(|(key, number)| key.len() <= 100 && number.is_finite()).take(10).collect()
}

fn usage(span: &Span) -> BTreeMap<String, f64> {
    if let Some(said) = span.attribute("mlflow.chat.tokenUsage") {
        return numbers(said);
    }
    let count = |key: &str| match span.attribute(key)? {
        Value::IntValue(number) => i32::try_from(*number).ok().map(f64::from),
        Value::DoubleValue(number) => Some(*number).filter(|number| number.is_finite()),
        _ => None,
    };
    let (input, output) = (count("gen_ai.usage.input_tokens"), count("gen_ai.usage.output_tokens"));
    let total = input.zip(output).map(|(input, output)| input + output);
    let named = [("input_tokens", input), ("output_tokens", output), ("total_tokens", total)];
    named.into_iter().filter_map(|(name, number)| Some((name.to_owned(), number?))).collect()
}

#[cfg(test)]
mod tests {
    use wire::otlp::{AnyValue, KeyValue, KeyValueList, Status};

    use super::*;

    fn pair(key: &str, value: Value) -> KeyValue {
        KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }) }
    }

    fn text(text: &str) -> Value {
        Value::StringValue(text.to_owned())
    }

    fn span(attributes: Vec<KeyValue>) -> Span {
        Span {
            trace_id: vec![0xab; 16],
            span_id: vec![1; 8],
            name: String::from("ask"),
            start_time_unix_nano: 5,
            attributes,
            status: Some(Status { message: String::new(), code: 1 }),
            ..Span::default()
        }
    }

    #[test]
    fn a_span_says_the_same_as_values_and_as_json() {
        let list = KeyValueList { values: vec![pair("total_tokens", Value::IntValue(7))] };
        for (kind, usage) in
            [(text("LLM"), Value::KvlistValue(list)), (text("\"LLM\""), text(r#"{"total_tokens": 7}"#))]
        {
            let read = span(vec![pair("mlflow.spanType", kind), pair("mlflow.chat.tokenUsage", usage)]);
            let new = new_span(read, &Arc::default()).unwrap();
            assert_eq!((new.head.kind.as_str(), new.head.usage["total_tokens"]), ("LLM", 7.0));
            assert_eq!(new.trace, format!("tr-{}", "ab".repeat(16)));
            assert!(new.head.parent.is_none() && new.head.ended_at.is_none());
        }
    }

    #[test]
    fn tags_come_from_the_sender_and_from_the_first_span() {
        let resource = Resource {
            attributes: vec![
                pair("service.name", text("shop")),
                pair("telemetry.sdk.name", text("x")),
                pair("mlflow.trace.spansLocation", text("ELSEWHERE")),
            ],
        };
        let tags = tags_of(&resource);
        assert_eq!(tags.to_vec(), [(String::from("service.name"), String::from("shop"))]);
        let tagged =
            vec![pair("mlflow.traceTag.env", text("\"prod\"")), pair("gen_ai.usage.input_tokens", Value::IntValue(3))];
        let root = new_span(span(tagged.clone()), &tags).unwrap();
        assert_eq!(root.tags, [(String::from("env"), String::from("prod"))]);
        assert!(Arc::ptr_eq(&root.shared, &tags), "what spans share is kept once");
        assert_eq!(root.head.usage["input_tokens"], 3.0);
        let child = new_span(Span { parent_span_id: vec![2; 8], ..span(tagged) }, &tags).unwrap();
        assert_eq!((child.tags.len(), child.head.parent.as_deref()), (0, Some("0202020202020202")));
    }

    #[test]
    fn what_a_place_says_is_bounded() {
        let many = (0..300).map(|at| pair(&format!("k{at}"), text("v"))).collect();
        assert_eq!(tags_of(&Resource { attributes: many }).len(), MOST_TAGS);
        let large = (0..20).map(|at| pair(&format!("k{at}"), text(&"x".repeat(9000)))).collect();
        let tags = tags_of(&Resource { attributes: large });
        assert!(tags.len() == 8 && tags.iter().all(|(_, value)| value.len() == MOST_OF_TAG));
    }

    #[test]
    fn ids_of_another_length_are_refused() {
        for (trace, own) in [(0, 8), (16, 0), (15, 8), (16, 9)] {
            let bent = Span { trace_id: vec![1; trace], span_id: vec![1; own], ..span(Vec::new()) };
            assert_eq!(new_span(bent, &Arc::default()).unwrap_err().kind(), Kind::Invalid);
        }
    }
}
