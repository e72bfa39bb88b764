//! What an application says of a trace as a whole, when it is over. Spans may have come before, or come later.

use std::collections::BTreeMap;

use async_trait::async_trait;
use kernel::{Action, Error, Kind, ResourceId, Result, RunId};

use super::{
    Assessment, Trace, TraceState,
    assess::new_id,
    trace::{self, NAME_TAG, PREVIEW, check_id, check_tag_key, is_own_tag, look, new_row},
};
use crate::{
    gate::{Changes, Cx, Op},
    impact::admit_names,
    resources::workspace_shelf,
    tracking::{
        action::{WRITE_ANY_TRACE, WRITE_ASSESSMENTS, WRITE_TRACES},
        attempt::{Attempt, settle},
        experiment, ownership, text,
    },
};

/// A trace as an application says it.
#[derive(Clone, Debug, Default)]
pub struct NewTrace {
    /// Its id.
    pub id: String,
    /// The experiment's id.
    pub experiment: String,
    /// The application's own id of the request.
    pub client_request: Option<String>,
    /// The beginning of what was asked.
    pub request_preview: Option<String>,
    /// The beginning of what was answered.
    pub response_preview: Option<String>,
    /// When it began, in milliseconds since the epoch.
    pub started_at: i64,
    /// How long it took, in milliseconds.
    pub duration: Option<i64>,
    /// How it went.
    pub state: TraceState,
    /// What is said once and for all.
    pub metadata: BTreeMap<String, String>,
    /// Free labels.
    pub tags: BTreeMap<String, String>,
    /// What is thought of it.
    pub assessments: Vec<Assessment>,
}

/// Writes a trace as a whole. What was said before and is not said again stays.
#[derive(Debug)]
pub struct StartTrace {
    /// The workspace.
    pub workspace: ResourceId,
    /// The trace.
    pub trace: NewTrace,
}

#[async_trait]
impl Op for StartTrace {
    const ACTION: Action = WRITE_TRACES;
    type Output = Trace;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(mut self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        for one in self.trace.assessments.iter_mut().filter(|one| one.id.is_empty()) {
            one.id = new_id();
        }
        self.trace.check()?;
        // What is thought of a trace has a permission of its own, whichever way it comes.
        if !self.trace.assessments.is_empty() {
            cx.require(&WRITE_ASSESSMENTS, cx.scope()).await?;
        }
        settle(&self, cx).await
    }
}

impl NewTrace {
    fn check(&self) -> Result<()> {
        check_id(&self.id)?;
        if self.started_at < 0 {
            return Err(text::bad("request_time", &self.started_at.to_string(), "it lies before 1970"));
        }
        if self.duration.is_some_and(|duration| duration < 0) {
            return Err(text::bad("execution_duration", "", "it must not be negative"));
        }
        let previews = [("request_preview", &self.request_preview), ("response_preview", &self.response_preview)];
        for (name, preview) in previews {
            text::check_length(name, preview.as_deref().unwrap_or_default(), PREVIEW)?;
        }
        text::check_length("client_request_id", self.client_request.as_deref().unwrap_or_default(), 250)?;
        for (key, value) in &self.metadata {
            check_tag_key(key)?;
            text::check_length("trace_metadata", value, 8000)?;
        }
        if self.assessments.len() > Assessment::MOST {
            let why = format!("a trace holds at most {} assessments", Assessment::MOST);
            return Err(text::bad("assessments", &self.assessments.len().to_string(), &why));
        }
        self.assessments.iter().try_for_each(Assessment::check)
    }
}

impl Attempt for StartTrace {
    fn contends_for(&self) -> String {
        format!("trace|{}", self.trace.id)
    }

    async fn attempt(&self, cx: &Cx<'_, Self>) -> Result<Trace> {
        let new = &self.trace;
        let (shelf, workspace) = workspace_shelf(cx, &self.workspace).await?;
        let experiment = experiment::find(cx, &shelf, &new.experiment).await?.value;
        experiment.must_be_active()?;
        ownership::of_traces(cx, &shelf, &experiment.id, &WRITE_ANY_TRACE).await?;
        let is_raised = ownership::is_raised(cx, &shelf, &workspace.value).await?;
        let mut names: Vec<(&str, &str)> =
            new.assessments.iter().map(|one| ("assessment_name", one.name.as_str())).collect();
        names.extend(new.tags.get(NAME_TAG).map(|name| (NAME_TAG, name.as_str())));
        admit_names(cx, is_raised, &names)?;
        let mut row = match look(cx, &shelf, &new.id).await? {
            Some(row) => row,
            None => new_row(&shelf, Trace::new(&new.id, &experiment.id, ownership::own_run(cx))),
        };
        if row.value.experiment != experiment.id {
            let words = format!("the trace `{}` lies in another experiment and stays there", text::echo(&new.id));
            return Err(Error::new(Kind::Invalid, words));
        }
        ownership::of_trace(cx, &shelf, &row.value, &WRITE_ANY_TRACE).await?;
        new.merge_into(&mut row.value, ownership::own_run(cx).as_ref())?;
        cx.note("trace", new.id.clone());
        cx.note("experiment", experiment.id);
        let mut changes = Changes::new();
        trace::put(&shelf, &mut changes, &row)?;
        cx.commit(changes).await?;
        Ok(row.value)
    }
}

impl NewTrace {
    /// Says it of a trace; `run` is the one whose code does.
    fn merge_into(&self, trace: &mut Trace, run: Option<&RunId>) -> Result<()> {
        trace.started_at = self.started_at;
        trace.duration = self.duration;
        trace.state = self.state;
        trace.client_request.clone_from(&self.client_request);
        if self.request_preview.is_some() {
            trace.request_preview.clone_from(&self.request_preview);
        }
        if self.response_preview.is_some() {
            trace.response_preview.clone_from(&self.response_preview);
        }
        for (key, value) in self.tags.iter().filter(|(key, _)| !is_own_tag(key)) {
            trace.set_tag(key, value)?;
        }
        trace.metadata.extend(self.metadata.clone());
        for one in &self.assessments {
            match trace.assessments.iter().find(|known| known.id == one.id || known.is_repeated_by(one)) {
                // What became of it meanwhile stays.
                Some(known) if known.is_repeated_by(one) => {}
                Some(known) => {
                    let words = format!("the assessment `{}` already exists and says something else", known.id);
                    return Err(Error::new(Kind::Exists, words));
                }
                None => trace.assessments.push(Assessment { created_by_run: run.cloned(), ..one.clone() }),
            }
        }
        trace.is_finalized = true;
        Ok(())
    }
}
