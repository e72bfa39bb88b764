//! Writing spans: what one export brought, all in one commit.

use std::collections::BTreeMap;

use async_trait::async_trait;
use kernel::{Action, Error, Kind, ResourceId, Result, RunId};

use super::{
    NewSpan, SpanStatus, Trace, TraceState,
    pages::{self, NewPage, full},
    read::room_to_look,
    span::{SpanHead, tags},
    sum::sum,
    trace::{self, NAME_TAG, PREVIEW, check_tag_key, is_own_tag, look, new_row},
};
use crate::{
    gate::{BlobRef, Changes, Cx, Op, Row, Shelf},
    impact::admit_names,
    resources::{Resource, Workspace, workspace_shelf},
    tracking::{
        action::{WRITE_ANY_RUN, WRITE_ANY_TRACE, WRITE_TRACES},
        attempt, experiment, ownership, run,
    },
};

/// Most traces of one export.
const MOST_TRACES: usize = 500;
/// Most spans of one export.
pub(super) const MOST_SPANS: usize = 20_000;
/// Most spans of one trace, those that came again with another content included.
const MOST_OF_TRACE: usize = 50_000;
/// Most pages of one trace: an export each.
const MOST_PAGES: u32 = 50_000;
/// Most bytes of one trace's spans.
pub(super) const MOST_BYTES: usize = 64 << 20;
/// Most bytes of the rows of one export's traces: each is read and written whole, however little is added to it.
const MOST_ROWS: usize = 64 << 20;

const TOKENS: &str = "mlflow.trace.tokenUsage";
const COST: &str = "mlflow.trace.cost";
const SESSION: &str = "mlflow.trace.session";
const USER: &str = "mlflow.trace.user";

/// Writes spans. A trace that is not there is begun in the experiment; what is there already changes nothing.
#[derive(Debug)]
pub struct LogSpans {
    /// The workspace.
    pub workspace: ResourceId,
    /// The experiment's id.
    pub experiment: String,
    /// The run that traces whose first span came are linked to.
    pub run: Option<RunId>,
    /// The spans.
    pub spans: Vec<NewSpan>,
}

#[async_trait]
impl Op for LogSpans {
    const ACTION: Action = WRITE_TRACES;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        if self.spans.len() > MOST_SPANS {
            return Err(Error::new(Kind::TooLarge, format!("an export has at most {MOST_SPANS} spans")));
        }
        self.spans.iter().try_for_each(NewSpan::check)?;
        let Self { workspace, experiment, run, spans } = self;
        let mut by_trace: BTreeMap<String, Vec<NewSpan>> = BTreeMap::new();
        for span in spans {
            by_trace.entry(span.trace.clone()).or_default().push(span);
        }
        let Some(first) = by_trace.keys().next() else { return Ok(()) };
        if by_trace.len() > MOST_TRACES {
            return Err(Error::new(Kind::TooLarge, format!("an export has spans of at most {MOST_TRACES} traces")));
        }
        let _turn = attempt::turn(&format!("{}|trace|{first}", cx.scope())).await;
        let (shelf, workspace) = workspace_shelf(cx, &workspace).await?;
        let export = Export { experiment, run, by_trace, workspace: workspace.value };
        // Refused before anything is stored for it.
        export.admit(cx, &shelf).await?;
        let mut new = BTreeMap::new();
        let outcome = match export.cut(cx, &shelf, &mut new).await {
            Ok(()) => export.settle(cx, &shelf, &new).await,
            Err(fault) => Err(fault),
        };
        let (outcome, needless) = match outcome {
            Ok(needless) => (Ok(()), needless),
            Err(fault) => (Err(fault), new.values().flatten().filter_map(NewPage::blob).cloned().collect()),
        };
        for blob in &needless {
            cx.drop_blob(blob).await;
        }
        outcome
    }
}

/// Pages to be written, by their traces.
type NewPages = BTreeMap<String, Vec<NewPage>>;

/// Spans by their traces, on their way.
struct Export {
    experiment: String,
    run: Option<RunId>,
    by_trace: BTreeMap<String, Vec<NewSpan>>,
    workspace: Resource<Workspace>,
}

impl Export {
    /// Whether the caller may write all of it.
    async fn admit(&self, cx: &Cx<'_, LogSpans>, shelf: &Shelf) -> Result<()> {
        let experiment = experiment::find(cx, shelf, &self.experiment).await?.value;
        experiment.must_be_active()?;
        ownership::of_traces(cx, shelf, &experiment.id, &WRITE_ANY_TRACE).await?;
        if let Some(id) = &self.run {
            let run = run::find(cx, shelf, id).await?.value;
            ownership::of_run(cx, &run, &WRITE_ANY_RUN).await?;
        }
        let is_raised = ownership::is_raised(cx, shelf, &self.workspace).await?;
        let given = self.by_trace.values().flat_map(|spans| tags(spans));
        let names: Vec<(&str, &str)> =
            given.filter(|(key, _)| key == NAME_TAG).map(|(_, name)| (NAME_TAG, name.as_str())).collect();
        admit_names(cx, is_raised, &names).map(drop)
    }

    /// A trace as it is, or as it will begin. Refuses what the caller may not add to.
    async fn target(&self, cx: &Cx<'_, LogSpans>, shelf: &Shelf, id: &str) -> Result<Row<Trace>> {
        let row = match look(cx, shelf, id).await? {
            Some(row) => row,
            None => new_row(shelf, Trace::new(id, &self.experiment, ownership::own_run(cx))),
        };
        ownership::of_trace(cx, shelf, &row.value, &WRITE_ANY_TRACE).await?;
        // It stays in its own experiment, whichever the export names.
        if row.value.experiment != self.experiment {
            experiment::find(cx, shelf, &row.value.experiment).await?.value.must_be_active()?;
        }
        Ok(row)
    }

    /// Cuts the spans into pages. Those that were cut until something went wrong are among the new ones too.
    async fn cut(&self, cx: &Cx<'_, LogSpans>, shelf: &Shelf, new: &mut NewPages) -> Result<()> {
        for (id, spans) in &self.by_trace {
            let mut trace = self.target(cx, shelf, id).await?.value;
            let pages = new.entry(id.clone()).or_default();
            pages::cut(cx, shelf, &mut trace, spans, pages).await?;
        }
        Ok(())
    }

    /// Writes all of it. The blobs that turned out not to be needed.
    async fn settle(&self, cx: &Cx<'_, LogSpans>, shelf: &Shelf, new: &NewPages) -> Result<Vec<BlobRef>> {
        for count in 0..attempt::MOST {
            match self.attempt(cx, shelf, new, count > 0).await {
                Err(fault) if fault.kind() == Kind::Stale => {}
                done => return done,
            }
        }
        Err(attempt::too_busy())
    }

    async fn attempt(
        &self,
        cx: &Cx<'_, LogSpans>,
        shelf: &Shelf,
        new: &NewPages,
        is_again: bool,
    ) -> Result<Vec<BlobRef>> {
        let (mut changes, mut needless, mut bytes) = (Changes::new(), Vec::new(), 0_usize);
        for (id, spans) in &self.by_trace {
            let mut row = self.target(cx, shelf, id).await?;
            let is_linked = self.run.as_ref().is_none_or(|run| row.value.runs.contains(run.as_str()));
            let mut pages: Vec<&NewPage> = Vec::new();
            for page in new.get(id).into_iter().flatten() {
                // Since they were cut, another export may have put the same.
                let known = if is_again { pages::known(cx, shelf, page).await? } else { None };
                match known {
                    Some(known) => needless.extend(page.needless(&known.value).cloned()),
                    None => pages.push(page),
                }
            }
            if pages.is_empty() && is_linked && row.version > 0 {
                continue;
            }
            let is_new = row.version == 0;
            self.take(cx, shelf, &mut row, spans, is_new).await?;
            for page in pages {
                page.put(shelf, &mut changes, &mut row.value)?;
            }
            bytes = bytes.saturating_add(row.value.size());
            if bytes > MOST_ROWS {
                let words = "these traces have too many tags and assessments: send the spans of fewer traces at once";
                return Err(Error::new(Kind::TooLarge, words));
            }
            trace::put(shelf, &mut changes, &row)?;
        }
        cx.note("experiment", self.experiment.clone());
        cx.note("traces", self.by_trace.len().to_string());
        cx.note("spans", self.by_trace.values().map(Vec::len).sum::<usize>().to_string());
        if !changes.is_empty() {
            cx.commit(changes).await?;
        }
        Ok(needless)
    }

    /// What a trace as a whole learns from spans.
    async fn take(
        &self,
        cx: &Cx<'_, LogSpans>,
        shelf: &Shelf,
        row: &mut Row<Trace>,
        spans: &[NewSpan],
        is_new: bool,
    ) -> Result<()> {
        let trace = &mut row.value;
        if !trace.is_finalized {
            span_time(trace, spans, is_new);
        }
        // What describes the sender is no reason to lose the span.
        for (key, value) in tags(spans).filter(|(key, _)| !is_own_tag(key) && check_tag_key(key).is_ok()) {
            trace.set_tag(key, value)?;
        }
        for span in spans {
            fill(&mut trace.metadata, SESSION, span.session.as_ref());
            fill(&mut trace.metadata, USER, span.user.as_ref());
        }
        if let Some(root) = spans.iter().find(|span| span.head.is_root()) {
            if trace.state.is_open() {
                trace.state = match root.head.status {
                    SpanStatus::Error => TraceState::Error,
                    SpanStatus::Ok | SpanStatus::Unset => TraceState::Ok,
                };
            }
            let preview = |text: &String| text.chars().take(PREVIEW.min(1000)).collect::<String>();
            trace.request_preview = trace.request_preview.take().or_else(|| root.inputs.as_ref().map(preview));
            trace.response_preview = trace.response_preview.take().or_else(|| root.outputs.as_ref().map(preview));
            if let Some(run) = &self.run {
                trace.link_run(run);
            }
        }
        add_up(cx, shelf, trace, spans).await
    }
}

/// Refuses a trace that would have more spans than one may.
pub(super) fn must_fit(trace: &Trace) -> Result<()> {
    if trace.spans > MOST_OF_TRACE || trace.pages > MOST_PAGES {
        return Err(full(&trace.id, &format!("a trace has at most {MOST_OF_TRACE} spans")));
    }
    if trace.bytes > MOST_BYTES {
        return Err(full(&trace.id, &format!("its spans have at most {MOST_BYTES} bytes")));
    }
    Ok(())
}

fn fill(metadata: &mut BTreeMap<String, String>, key: &str, said: Option<&String>) {
    if let Some(said) = said {
        metadata.entry(key.to_owned()).or_insert_with(|| said.chars().take(250).collect());
    }
}

fn millis(nanos: u64) -> i64 {
    i64::try_from(nanos / 1_000_000).unwrap_or(i64::MAX)
}

/// A trace lasts from its first span's beginning to its last one's end.
fn span_time(trace: &mut Trace, spans: &[NewSpan], is_new: bool) {
    let Some(first) = spans.iter().map(|span| millis(span.head.started_at)).min() else { return };
    let last = spans.iter().filter_map(|span| span.head.ended_at).map(millis).max();
    let known = (!is_new && trace.duration.is_some()).then(|| trace.ended_at());
    trace.started_at = if is_new { first } else { trace.started_at.min(first) };
    trace.duration = last.max(known).map(|end| end.saturating_sub(trace.started_at).max(0));
}

/// Tokens and costs, unless the application said them itself.
async fn add_up(cx: &Cx<'_, LogSpans>, shelf: &Shelf, trace: &mut Trace, spans: &[NewSpan]) -> Result<()> {
    let says = |of: fn(&SpanHead) -> &BTreeMap<String, f64>, key: &str| {
        let is_said_already = trace.is_finalized && trace.metadata.contains_key(key);
        !is_said_already && spans.iter().any(|span| !of(&span.head).is_empty())
    };
    let (tokens, costs) = (says(|head| &head.usage, TOKENS), says(|head| &head.cost, COST));
    if !tokens && !costs {
        return Ok(());
    }
    let _room = room_to_look(trace).await?;
    let known = if trace.has_spans() { pages::heads(cx, shelf, &trace.id).await? } else { Vec::new() };
    let mut by_id: BTreeMap<&str, &SpanHead> = known.iter().map(|head| (head.id.as_str(), head)).collect();
    by_id.extend(spans.iter().map(|span| (span.head.id.as_str(), &span.head)));
    let heads: Vec<SpanHead> = by_id.into_values().cloned().collect();
    if tokens {
        let whole = |number: f64| serde_json::Number::from_i128(round(number)).unwrap_or_else(|| 0.into());
        let total: BTreeMap<_, _> = sum(&heads, |head| &head.usage).into_iter().map(|(k, v)| (k, whole(v))).collect();
        trace.metadata.insert(TOKENS.to_owned(), serde_json::to_string(&total).map_err(Error::internal)?);
    }
    if costs {
        let total = sum(&heads, |head| &head.cost);
        trace.metadata.insert(COST.to_owned(), serde_json::to_string(&total).map_err(Error::internal)?);
    }
    Ok(())
}

/// Counts of tokens are whole numbers, whatever was sent.
#[expect(
    clippy::as_conversions,
    reason = "from a floating-point number `as` goes to the nearest there is, and NaN to 0"
)]
fn round(number: f64) -> i128 {
    i128::from(number.round() as i64)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use serde_json::value::RawValue;

    use super::*;

    fn span(start: u64, end: Option<u64>) -> NewSpan {
        NewSpan {
            trace: String::from("tr-1"),
            head: SpanHead {
                started_at: start * 1_000_000,
                ended_at: end.map(|end| end * 1_000_000),
                ..SpanHead::default()
            },
            inputs: None,
            outputs: None,
            session: None,
            user: None,
            shared: Arc::default(),
            tags: Vec::new(),
            body: RawValue::from_string(String::from("{}")).unwrap(),
        }
    }

    #[test]
    fn a_trace_lasts_from_its_first_span_to_its_last_in_whatever_order_they_come() {
        let mut trace = Trace::new("tr-1", "0", None);
        span_time(&mut trace, &[span(100, None)], true);
        assert_eq!((trace.started_at, trace.duration), (100, None));
        span_time(&mut trace, &[span(110, Some(150))], false);
        assert_eq!((trace.started_at, trace.duration), (100, Some(50)));
        span_time(&mut trace, &[span(90, Some(120)), span(95, Some(96))], false);
        assert_eq!((trace.started_at, trace.duration), (90, Some(60)));
    }
}
