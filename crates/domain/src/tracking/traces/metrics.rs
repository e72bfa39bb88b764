//! Numbers about many traces: how many, how long, how many tokens, what they cost, how they were judged.

use std::collections::BTreeMap;

use async_trait::async_trait;
use kernel::{Action, Error, Kind, ResourceId, Result, Timestamp};

use super::{
    Assessment, Trace, Verdict,
    measure::{Aggregation, DataPoint, Groups},
    pages,
    read::room_to_look,
    sieve::{Budget, places, some},
    span::SpanHead,
    trace::NAME_TAG,
};
use crate::{
    gate::{Admission, Cx, Op, Shelf},
    resources::workspace_shelf,
    tracking::{
        action::READ_TRACES,
        search::{Word, words},
        text,
    },
};

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measured {
    /// Traces.
    Traces,
    /// Their spans.
    Spans,
    /// What is thought of them.
    Assessments,
}

/// Most groups that one answer tells of.
const MOST: usize = 1000;
/// Most filters, dimensions and aggregations of one request.
const MOST_PARTS: usize = 20;

/// Asks for numbers.
#[derive(Debug)]
pub struct MeasureTraces {
    /// The workspace.
    pub workspace: ResourceId,
    /// Ids of the experiments.
    pub experiments: Vec<String>,
    /// What is counted.
    pub of: Measured,
    /// Which number of it: `latency`, `total_tokens`.
    pub metric: String,
    /// What is told of the numbers.
    pub aggregations: Vec<Aggregation>,
    /// What groups them: `trace_name`.
    pub dimensions: Vec<String>,
    /// `trace.status = 'OK'` and the like; all must hold.
    pub filters: Vec<String>,
    /// Groups of this many seconds.
    pub seconds: Option<i64>,
    /// Only from this time on, in milliseconds since the epoch.
    pub from: Option<i64>,
    /// Only up to this time.
    pub until: Option<i64>,
    /// At most so many groups.
    pub most: usize,
}

#[async_trait]
impl Op for MeasureTraces {
    const ACTION: Action = READ_TRACES;
    type Output = Vec<DataPoint>;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        self.check()?;
        let filters: Vec<Filter> = self.filters.iter().map(|filter| Filter::parse(filter)).collect::<Result<_>>()?;
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let mut survey = Survey {
            op: &self,
            filters,
            groups: Groups::new(&self.aggregations),
            sessions: BTreeMap::new(),
            budget: Budget::new(),
        };
        for experiment in &places(self.experiments.clone())? {
            let mut after: Option<Vec<u8>> = None;
            loop {
                let (traces, next) = some(cx, &shelf, experiment, after.as_deref()).await?;
                for trace in &traces {
                    survey.look(cx, &shelf, trace).await?;
                }
                after = next;
                if after.is_none() {
                    break;
                }
            }
        }
        survey.count_sessions()?;
        let bucket = self.seconds.map(|_| String::from("time_bucket"));
        let names: Vec<String> = bucket.into_iter().chain(self.dimensions.iter().cloned()).collect();
        Ok(survey.groups.tell(&names, &self.aggregations, self.most))
    }
}

impl MeasureTraces {
    fn check(&self) -> Result<()> {
        if self.experiments.is_empty() {
            return Err(text::missing("experiment_ids"));
        }
        if self.aggregations.is_empty() {
            return Err(text::missing("aggregations"));
        }
        if [self.aggregations.len(), self.dimensions.len(), self.filters.len()].iter().any(|count| *count > MOST_PARTS)
        {
            let words = format!("at most {MOST_PARTS} aggregations, dimensions and filters can be asked for at once");
            return Err(Error::new(Kind::Invalid, words));
        }
        if !(1..=MOST).contains(&self.most) {
            return Err(text::bad("max_results", &self.most.to_string(), "it must be at least 1 and at most 1000"));
        }
        if self.seconds.is_some_and(|seconds| seconds < 1) {
            return Err(text::bad("time_interval_seconds", "", "it must be at least 1"));
        }
        if self.seconds.is_some() && (self.from.is_none() || self.until.is_none()) {
            let words = "start_time_ms and end_time_ms are required if time_interval_seconds is set";
            return Err(Error::new(Kind::Invalid, words));
        }
        let (metrics, dimensions): (&[&str], &[&str]) = match self.of {
            Measured::Traces => (TRACE_METRICS, &["trace_name", "trace_status"]),
            Measured::Spans => (
                &["span_count", "latency", "input_cost", "output_cost", "total_cost"],
                &["span_name", "span_type", "span_status", "span_model_name", "span_model_provider"],
            ),
            Measured::Assessments => {
                (&["assessment_count", "assessment_value"], &["assessment_name", "assessment_value"])
            }
        };
        if !metrics.contains(&self.metric.as_str()) {
            return Err(text::bad("metric_name", &self.metric, &format!("it must be one of {}", metrics.join(", "))));
        }
        if let Some(other) = self.dimensions.iter().find(|name| !dimensions.contains(&name.as_str())) {
            return Err(text::bad("dimensions", other, &format!("it must be one of {}", dimensions.join(", "))));
        }
        let counts = self.metric.ends_with("_count");
        if self.aggregations.iter().any(|one| (*one == Aggregation::Count) != counts) {
            let words = format!("`{}` takes {} COUNT", self.metric, if counts { "only" } else { "anything but" });
            return Err(text::bad("aggregations", &self.metric, &words));
        }
        if self.metric == "session_count" && !self.dimensions.is_empty() {
            return Err(text::bad("dimensions", "session_count", "sessions are not grouped"));
        }
        Ok(())
    }

    /// The beginning of the time group; none when no such groups are asked for.
    fn bucket(&self, at: i64) -> Option<String> {
        let length = self.seconds?.saturating_mul(1000);
        let start = at.checked_div(length)?.saturating_mul(length);
        let whole = Timestamp(start).rfc3339();
        Some(format!("{}+00:00", whole.trim_end_matches('Z')))
    }

    fn is_within(&self, at: i64) -> bool {
        self.from.is_none_or(|from| at >= from) && self.until.is_none_or(|until| at <= until)
    }
}

const TRACE_METRICS: &[&str] = &[
    "trace_count",
    "session_count",
    "latency",
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
];

/// One condition: `trace.tag.x = 'y'`.
struct Filter {
    of: Kept,
    wanted: String,
}

enum Kept {
    TraceStatus,
    TraceTag(String),
    TraceMetadata(String),
    SpanName,
    SpanStatus,
    SpanType,
    AssessmentName,
    AssessmentType,
}

impl Filter {
    fn parse(filter: &str) -> Result<Self> {
        let refuse = || text::bad("filters", filter, "it must be `trace.…`, `span.…` or `assessment.…` = 'text'");
        let tokens = words(filter)?;
        let [name, symbol, value] = tokens.as_slice() else { return Err(refuse()) };
        let (Word::Name { entity: Some(entity), key, .. }, Word::Symbol("="), Word::Text(wanted)) =
            (&name.word, &symbol.word, &value.word)
        else {
            return Err(refuse());
        };
        let (entity, key) = match entity.split_once('.') {
            Some((entity, more)) => (entity, format!("{more}.{key}")),
            None => (entity.as_str(), key.clone()),
        };
        let of = match (entity, key.as_str()) {
            ("trace", "status") => Kept::TraceStatus,
            ("trace", key) => match (key.strip_prefix("tag."), key.strip_prefix("metadata.")) {
                (Some(tag), _) => Kept::TraceTag(tag.to_owned()),
                (None, Some(name)) => Kept::TraceMetadata(name.to_owned()),
                (None, None) => return Err(refuse()),
            },
            ("span", "name") => Kept::SpanName,
            ("span", "status") => Kept::SpanStatus,
            ("span", "type") => Kept::SpanType,
            ("assessment", "name") => Kept::AssessmentName,
            ("assessment", "type") => Kept::AssessmentType,
            _ => return Err(refuse()),
        };
        Ok(Self { of, wanted: wanted.clone() })
    }

    /// Whether it holds, as far as it can be told from these.
    fn holds(&self, trace: &Trace, span: Option<&SpanHead>, assessment: Option<&Assessment>) -> bool {
        let said = match (&self.of, span, assessment) {
            (Kept::TraceStatus, ..) => Some(trace.state.word()),
            (Kept::TraceTag(key), ..) => trace.tags.get(key).map(String::as_str),
            (Kept::TraceMetadata(key), ..) => trace.metadata.get(key).map(String::as_str),
            (Kept::SpanName, Some(span), _) => Some(span.name.as_str()),
            (Kept::SpanStatus, Some(span), _) => Some(span.status.word()),
            (Kept::SpanType, Some(span), _) => Some(span.kind.as_str()),
            (Kept::AssessmentName, _, Some(one)) => Some(one.name.as_str()),
            (Kept::AssessmentType, _, Some(one)) => Some(match &one.verdict {
                Verdict::Feedback { .. } => "feedback",
                Verdict::Expectation(_) => "expectation",
                Verdict::Issue(_) => "issue",
            }),
            _ => None,
        };
        said == Some(self.wanted.as_str())
    }
}

/// Traces on their way into groups.
struct Survey<'o> {
    op: &'o MeasureTraces,
    filters: Vec<Filter>,
    groups: Groups,
    /// Sessions by the time group they were seen in.
    sessions: BTreeMap<(Vec<String>, String), ()>,
    budget: Budget,
}

impl Survey<'_> {
    async fn look(&mut self, at: &Admission<'_>, shelf: &Shelf, trace: &Trace) -> Result<()> {
        let op = self.op;
        match op.of {
            Measured::Traces if op.is_within(trace.started_at) => self.look_at_trace(trace),
            Measured::Assessments if op.is_within(trace.started_at) => self.look_at_assessments(trace),
            Measured::Spans if trace.has_spans() => {
                let is_cost = op.metric.ends_with("_cost");
                if !is_cost && !op.is_within(trace.started_at) {
                    return Ok(());
                }
                self.budget.spend(trace.spans.saturating_mul(200))?;
                let _room = room_to_look(trace).await?;
                for head in pages::heads(at, shelf, &trace.id).await? {
                    self.look_at_span(trace, &head, is_cost)?;
                }
                Ok(())
            }
            Measured::Traces | Measured::Spans | Measured::Assessments => Ok(()),
        }
    }

    fn look_at_trace(&mut self, trace: &Trace) -> Result<()> {
        if !self.filters.iter().all(|filter| filter.holds(trace, None, None)) {
            return Ok(());
        }
        let op = self.op;
        let mut dimensions: Vec<String> = op.bucket(trace.started_at).into_iter().collect();
        for name in &op.dimensions {
            let said = if name == "trace_name" {
                trace.tags.get(NAME_TAG).cloned()
            } else {
                Some(trace.state.word().to_owned())
            };
            let Some(said) = said else { return Ok(()) };
            dimensions.push(said);
        }
        let number = match op.metric.as_str() {
            "trace_count" => Some(1.0),
            "session_count" => {
                if let Some(session) = trace.metadata.get("mlflow.trace.session") {
                    self.sessions.insert((dimensions, session.clone()), ());
                    if self.sessions.len() > 1_000_000 {
                        return Err(Error::new(Kind::Invalid, "too many sessions: choose a shorter time"));
                    }
                }
                return Ok(());
            }
            "latency" => trace.duration.map(milliseconds),
            tokens => tokens_of(trace, tokens),
        };
        number.map_or(Ok(()), |number| self.groups.take(dimensions, number))
    }

    fn count_sessions(&mut self) -> Result<()> {
        for (dimensions, _) in std::mem::take(&mut self.sessions).into_keys() {
            self.groups.take(dimensions, 1.0)?;
        }
        Ok(())
    }

    fn look_at_span(&mut self, trace: &Trace, head: &SpanHead, is_cost: bool) -> Result<()> {
        let op = self.op;
        let began = i64::try_from(head.started_at / 1_000_000).unwrap_or(i64::MAX);
        if (is_cost && !op.is_within(began)) || !self.filters.iter().all(|filter| filter.holds(trace, Some(head), None))
        {
            return Ok(());
        }
        let mut dimensions: Vec<String> = op.bucket(began).into_iter().collect();
        for name in &op.dimensions {
            let said = match name.as_str() {
                "span_name" => Some(head.name.clone()),
                "span_type" => Some(head.kind.clone()),
                "span_status" => Some(head.status.word().to_owned()),
                "span_model_name" => head.model.clone(),
                _ => head.provider.clone(),
            };
            let Some(said) = said else { return Ok(()) };
            dimensions.push(said);
        }
        let number = match op.metric.as_str() {
            "span_count" => Some(1.0),
            "latency" => head.ended_at.map(|end| duration(end.saturating_sub(head.started_at))),
            cost => head.cost.get(cost).copied(),
        };
        number.map_or(Ok(()), |number| self.groups.take(dimensions, number))
    }

    fn look_at_assessments(&mut self, trace: &Trace) -> Result<()> {
        let op = self.op;
        for one in trace.assessments.iter().filter(|one| one.is_valid) {
            if !self.filters.iter().all(|filter| filter.holds(trace, None, Some(one))) {
                continue;
            }
            let mut dimensions: Vec<String> = op.bucket(trace.started_at).into_iter().collect();
            let said = op.dimensions.iter().map(|name| match name.as_str() {
                "assessment_name" => Some(one.name.clone()),
                _ => one.value(),
            });
            let Some(said) = said.collect::<Option<Vec<String>>>() else { continue };
            dimensions.extend(said);
            let number = if op.metric == "assessment_count" { Some(1.0) } else { one.number() };
            if let Some(number) = number {
                self.groups.take(dimensions, number)?;
            }
        }
        Ok(())
    }
}

fn tokens_of(trace: &Trace, name: &str) -> Option<f64> {
    let usage: serde_json::Value = serde_json::from_str(trace.metadata.get("mlflow.trace.tokenUsage")?).ok()?;
    usage.get(name)?.as_f64()
}

#[expect(clippy::as_conversions, reason = "durations far below 2^53")]
fn milliseconds(number: i64) -> f64 {
    number as f64
}

/// Nanoseconds as milliseconds.
#[expect(clippy::as_conversions, reason = "a duration that is off by one in 2^53 is near enough")]
fn duration(nanos: u64) -> f64 {
    nanos as f64 / 1e6
}
