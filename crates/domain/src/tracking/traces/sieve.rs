//! Which traces pass a filter. What the trace's own row tells is asked first; spans are only read of those that passed.

use std::collections::HashMap;

use kernel::{Error, Kind, Result};
use serde_json::value::RawValue;

use super::{
    Assessment, Trace, Verdict,
    filter::{self, Clause, Number, OfSpan, Subject, Test, Text},
    pages,
    read::room_to_look,
    span::SpanHead,
};
use crate::{
    gate::{Admission, Row, Shelf},
    tracking::{experiment, scan::STRIDE, search::Value, text},
};

/// Most bytes of spans that one request reads for its filter.
const MOST_READ: usize = 512 << 20;
/// Most experiments of one request.
const MOST_EXPERIMENTS: usize = 1000;

/// A filter.
pub(super) struct Sieve {
    of_trace: Vec<Clause>,
    /// All of them must hold for one and the same span.
    of_span: Vec<(OfSpan, Test)>,
}

/// What one request may still read.
pub(super) struct Budget(usize);

impl Budget {
    pub(super) fn new() -> Self {
        Self(MOST_READ)
    }

    /// Takes bytes.
    pub(super) fn spend(&mut self, bytes: usize) -> Result<()> {
        let why = "this looks into the spans of too many traces: narrow it by time, status or tags first";
        self.0 = self.0.checked_sub(bytes).ok_or_else(|| Error::new(Kind::Invalid, why))?;
        Ok(())
    }
}

impl Sieve {
    /// Parses a filter.
    pub(super) fn parse(filter: &str) -> Result<Self> {
        let mut sieve = Self { of_trace: Vec::new(), of_span: Vec::new() };
        for clause in filter::parse(filter)? {
            match clause.subject {
                Subject::Span(of) => sieve.of_span.push((of, clause.test)),
                _ => sieve.of_trace.push(clause),
            }
        }
        Ok(sieve)
    }

    /// Whether a trace passes.
    pub(super) async fn admits(
        &self,
        at: &Admission<'_>,
        shelf: &Shelf,
        trace: &Trace,
        budget: &mut Budget,
    ) -> Result<bool> {
        if !self.of_trace.iter().all(|clause| clause.holds(trace)) {
            return Ok(false);
        }
        if self.of_span.is_empty() {
            return Ok(true);
        }
        let needs_bodies = self.of_span.iter().any(|(of, _)| matches!(of, OfSpan::Content | OfSpan::Attribute(_)));
        budget.spend(if needs_bodies { trace.bytes } else { trace.spans.saturating_mul(200) })?;
        let _room = room_to_look(trace).await?;
        if needs_bodies {
            let spans = pages::spans(at, shelf, &trace.id).await?;
            return Ok(spans.iter().any(|(head, body)| self.admits_span(head, Some(body))));
        }
        let heads = pages::heads(at, shelf, &trace.id).await?;
        Ok(heads.iter().any(|head| self.admits_span(head, None)))
    }

    fn admits_span(&self, head: &SpanHead, body: Option<&RawValue>) -> bool {
        let body = body.map(RawValue::get).unwrap_or_default();
        let mut attributes: Option<HashMap<String, String>> = None;
        self.of_span.iter().all(|(of, test)| match of {
            OfSpan::Name => test.holds_for_text(&head.name),
            OfSpan::Kind => test.holds_for_text(&head.kind),
            OfSpan::Status => test.holds_for_text(head.status.word()),
            OfSpan::Content => test.holds_for_text(body),
            OfSpan::Attribute(key) => {
                let attributes = attributes.get_or_insert_with(|| attributes_of(body));
                attributes.get(key).is_some_and(|value| test.holds_for_text(value))
            }
        })
    }
}

/// What a span's attributes say: texts as they are, anything else as JSON.
fn attributes_of(body: &str) -> HashMap<String, String> {
    let body: serde_json::Value = serde_json::from_str(body).unwrap_or_default();
    let list = body.get("attributes").and_then(serde_json::Value::as_array);
    let entry = |one: &serde_json::Value| {
        let value = match plain(one.get("value")?) {
            serde_json::Value::String(text) => text,
            other => other.to_string(),
        };
        Some((one.get("key")?.as_str()?.to_owned(), value))
    };
    list.into_iter().flatten().filter_map(entry).collect()
}

/// A value in OpenTelemetry's form as plain JSON.
fn plain(any: &serde_json::Value) -> serde_json::Value {
    let Some((kind, value)) = any.as_object().and_then(|fields| fields.iter().next()) else {
        return serde_json::Value::Null;
    };
    let items = || value.get("values").and_then(serde_json::Value::as_array).into_iter().flatten();
    match kind.as_str() {
        "array_value" => items().map(plain).collect(),
        "kvlist_value" => {
            let entry = |one: &serde_json::Value| {
                let value = one.get("value").map_or(serde_json::Value::Null, plain);
                Some((one.get("key")?.as_str()?.to_owned(), value))
            };
            serde_json::Value::Object(items().filter_map(entry).collect())
        }
        _ => value.clone(),
    }
}

fn milliseconds(number: i64) -> f64 {
    match Value::from(Some(number)) {
        Value::Number(number) => number,
        Value::Absent | Value::Text(_) | Value::Texts(_) => f64::NAN,
    }
}

impl Clause {
    fn holds(&self, trace: &Trace) -> bool {
        let text = |text: Option<&String>| match text {
            Some(text) => self.test.holds_for_text(text),
            None => self.test.holds_for_absent(),
        };
        match &self.subject {
            Subject::Number(Number::Start) => self.test.holds_for_number(milliseconds(trace.started_at)),
            Subject::Number(Number::End) => self.test.holds_for_number(milliseconds(trace.ended_at())),
            Subject::Number(Number::Duration) => {
                trace.duration.is_some_and(|duration| self.test.holds_for_number(milliseconds(duration)))
            }
            Subject::Text(Text::Id) => self.test.holds_for_text(&trace.id),
            Subject::Text(Text::Status) => self.test.holds_for_text(trace.state.word()),
            Subject::Text(Text::ClientRequest) => text(trace.client_request.as_ref()),
            Subject::Tag(key) if super::trace::is_own_tag(key) => text(trace.all_tags().get(key)),
            Subject::Tag(key) => text(trace.tags.get(key)),
            Subject::Metadata(key) => text(trace.metadata.get(key)),
            Subject::Run => match &self.test {
                Test::Equal { is_equal: true, text: run } => trace.is_of_run(run),
                Test::In { is_in: true, texts } => texts.iter().any(|run| trace.is_of_run(run)),
                _ => text(trace.metadata.get(super::trace::RUN_METADATA)),
            },
            Subject::Prompt => trace.prompts.iter().any(|prompt| self.test.holds_for_text(prompt)),
            Subject::Feedback(name) => {
                self.holds_for_assessments(trace, name, |said| matches!(said, Verdict::Feedback { .. }))
            }
            Subject::Expectation(name) => {
                self.holds_for_assessments(trace, name, |said| matches!(said, Verdict::Expectation(_)))
            }
            Subject::Issue => {
                let is_meant = |one: &Assessment| match &one.verdict {
                    Verdict::Issue(_) => self.test.holds_for_text(&one.name),
                    Verdict::Feedback { .. } | Verdict::Expectation(_) => false,
                };
                trace.assessments.iter().any(is_meant)
            }
            // Spans are asked elsewhere.
            Subject::Span(_) => false,
        }
    }

    fn holds_for_assessments(&self, trace: &Trace, name: &str, is_kind: fn(&Verdict) -> bool) -> bool {
        let meant = |one: &&Assessment| one.is_valid && one.name == name && is_kind(&one.verdict);
        let mut said = trace.assessments.iter().filter(meant).peekable();
        match &self.test {
            Test::Null { is_null } => said.peek().is_none() == *is_null,
            Test::Compare(..) => {
                said.any(|one| one.plain_number().is_some_and(|number| self.test.holds_for_number(number)))
            }
            // A value is written as JSON: `'yes'` means the text as well as the word without quotes.
            Test::Equal { is_equal, text } => {
                let quoted = serde_json::Value::String(text.clone()).to_string();
                said.any(|one| one.value().is_some_and(|value| (value == *text || value == quoted) == *is_equal))
            }
            Test::Pattern(_) | Test::In { .. } => {
                said.any(|one| one.value().is_some_and(|value| self.test.holds_for_text(value.trim_matches('"'))))
            }
        }
    }
}

/// The ids of experiments that a request asks about, each once.
pub(super) fn places(mut experiments: Vec<String>) -> Result<Vec<String>> {
    if experiments.len() > MOST_EXPERIMENTS {
        let words = format!("at most {MOST_EXPERIMENTS} experiments can be asked about at once");
        return Err(Error::new(Kind::Invalid, words));
    }
    if experiments.iter().any(|id| id.len() > 100) {
        return Err(text::bad("experiment_ids", "", "an id is too long"));
    }
    experiments.sort();
    experiments.dedup();
    Ok(experiments)
}

/// The traces of one experiment, some at a time: those after `after`, and where they end if there may be more.
pub(super) async fn some(
    at: &Admission<'_>,
    shelf: &Shelf,
    experiment: &str,
    after: Option<&[u8]>,
) -> Result<(Vec<Trace>, Option<Vec<u8>>)> {
    let rows: Vec<Row<Trace>> = at.page(shelf, &experiment::row_id(shelf, experiment), after, STRIDE).await?;
    let next = rows.last().map(|row| row.id.clone()).filter(|_| rows.len() >= STRIDE);
    Ok((rows.into_iter().map(|row| row.value).collect(), next))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::tracking::traces::{SpanStatus, TraceState};

    fn sample() -> Trace {
        let mut trace = Trace::new("tr-1", "0", None);
        trace.started_at = 1000;
        trace.duration = Some(250);
        trace.state = TraceState::Error;
        trace.client_request = Some(String::from("req-7"));
        trace.tags.insert(String::from("mlflow.traceName"), String::from("Agent"));
        trace.tags.insert(String::from("env name"), String::from("prod"));
        trace.metadata.insert(String::from("mlflow.sourceRun"), String::from("r1"));
        trace.metadata.insert(String::from("mlflow.trace.session"), String::from("s1"));
        trace.runs.insert(String::from("r2"));
        trace.prompts.insert(String::from("greet/3"));
        for (name, verdict) in [
            ("score", Verdict::Feedback { value: json!(0.8), error: None }),
            ("ok", Verdict::Feedback { value: json!("yes"), error: None }),
            ("flag", Verdict::Feedback { value: json!(true), error: None }),
            ("answer", Verdict::Expectation(super::super::Expected::Plain(json!("Paris")))),
            ("slow", Verdict::Issue(String::from("slow"))),
        ] {
            trace.assessments.push(Assessment {
                id: format!("a-{name}"),
                name: name.to_owned(),
                source_type: String::from("CODE"),
                source_id: String::new(),
                created_at: 0,
                updated_at: 0,
                span: None,
                rationale: None,
                metadata: std::collections::BTreeMap::new(),
                overrides: None,
                is_valid: true,
                verdict,
                created_by_run: None,
            });
        }
        trace
    }

    fn passes(filter: &str) -> Option<bool> {
        let sieve = Sieve::parse(filter).ok()?;
        let of_trace = sieve.of_trace.iter().all(|clause| clause.holds(&sample()));
        let body = json!({
            "name": "ask",
            "attributes": [
                {"key": "model", "value": {"string_value": "gpt-9"}},
                {"key": "mlflow.spanInputs", "value": {"kvlist_value": {"values": [
                    {"key": "city", "value": {"string_value": "Köln"}},
                    {"key": "n", "value": {"array_value": {"values": [{"int_value": 1}, {}]}}},
                ]}}},
            ],
        });
        let body = RawValue::from_string(body.to_string()).unwrap();
        let head = SpanHead {
            name: String::from("ask"),
            kind: String::from("LLM"),
            status: SpanStatus::Ok,
            ..SpanHead::default()
        };
        Some(of_trace && sieve.admits_span(&head, Some(&body)))
    }

    #[test]
    fn filters_match() {
        let table = [
            ("", true),
            ("status = 'ERROR'", true),
            ("trace.status IN ('OK', 'ERROR')", true),
            ("attributes.status NOT IN ('OK')", true),
            ("timestamp_ms >= 1000 AND timestamp < 1001", true),
            ("execution_time_ms > 250", false),
            ("end_time = 1250", true),
            ("request_id = 'tr-1'", true),
            ("client_request_id RLIKE '^req-\\d+$'", true),
            ("name = 'Agent'", true),
            ("name ILIKE 'age%'", true),
            ("name IN ('Agent')", true),
            ("tag.`env name` = 'prod'", true),
            ("tags.\"env name\" != 'prod'", false),
            ("tags.absent IS NULL", true),
            ("tags.absent != 'x'", false),
            ("tags.mlflow.traceName IS NOT NULL", true),
            ("metadata.`mlflow.trace.session` = 's1'", true),
            ("request_metadata.absent IS NOT NULL", false),
            ("run_id = 'r1'", true),
            ("run_id = 'r2'", true),
            ("run_id = 'r3'", false),
            ("metadata.mlflow.sourceRun = 'r2'", true),
            ("prompt = 'greet/3'", true),
            ("prompt = 'greet/4'", false),
            ("feedback.score > 0.5", true),
            ("feedback.score <= 0.5", false),
            ("feedback.ok = 'yes'", true),
            ("feedback.ok != 'no'", true),
            ("feedback.flag = 'true'", true),
            ("feedback.flag > 0", false),
            ("feedback.`ok` LIKE 'y%'", true),
            ("feedback.absent IS NULL", true),
            ("feedback.answer IS NULL", true),
            ("expectation.answer = 'Paris'", true),
            ("issue.id = 'slow'", true),
            ("span.name = 'ask'", true),
            ("span.type IN ('LLM','TOOL')", true),
            ("span.status != 'OK'", false),
            ("span.attributes.model = 'gpt-9'", true),
            ("span.attributes.`mlflow.spanInputs` LIKE '%Köln%'", true),
            ("span.attributes.model RLIKE 'gpt-[0-9]'", true),
            ("span.attributes.absent LIKE '%'", false),
            ("span.content ILIKE '%kÖLN%'", true),
            ("trace.text LIKE '%Köln%'", true),
            ("text LIKE '%Bonn%'", false),
        ];
        for (filter, expected) in table {
            assert_eq!(passes(filter), Some(expected), "{filter}");
        }
    }

    #[test]
    fn what_the_language_does_not_know_is_refused() {
        let bad = [
            "status = 'OK' OR status = 'ERROR'",
            "secret = 'x'",
            "span.inputs = 'x'",
            "span.attributes. = 'x'",
            "issue.name = 'x'",
            "issue.id != 'x'",
            "prompt LIKE 'greet%'",
            "status = 1",
            "status IS NULL",
            "timestamp_ms LIKE '1%'",
            "timestamp_ms = 'yesterday'",
            "feedback.score > 'x'",
            "feedback.score = 0.5",
            "span.content = 'x'",
            "text RLIKE 'x'",
            "name RLIKE '('",
            "name RLIKE '(a{1000}){1000}'",
            "tag.x IN ('a')",
            "name =",
            "params.x = 'y'",
        ];
        for filter in bad {
            let fault = Sieve::parse(filter).err().unwrap_or_else(|| panic!("{filter}"));
            assert_eq!(fault.kind(), Kind::Invalid, "{filter}");
        }
        let many = ["name LIKE '%a%'"; 11].join(" AND ");
        assert!(Sieve::parse(&many).is_err());
    }

    #[test]
    fn a_pattern_takes_time_in_proportion_to_the_text() {
        let sieve = Sieve::parse("name RLIKE '^(a+)+$' AND tag.x LIKE '%a%a%a%a%a%a%_b'").unwrap();
        let long = format!("{}!", "a".repeat(100_000));
        assert!(sieve.of_trace.iter().all(|clause| !clause.test.holds_for_text(&long)));
    }
}
