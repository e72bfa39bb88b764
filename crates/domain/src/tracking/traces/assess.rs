//! Operations on assessments. They have permissions of their own: whoever judges what an application did need not be able to
//! change what it did.

use std::collections::BTreeMap;

use async_trait::async_trait;
use kernel::{Action, Error, Kind, ResourceId, Result};
use uuid::Uuid;

use super::{
    Assessment, Expected, Trace, Verdict,
    trace::{self, find, find_writable},
};
use crate::{
    gate::{Admission, Changes, Cx, Op, Row, Shelf},
    impact::admit_names,
    resources::workspace_shelf,
    tracking::{
        action::{DELETE_ASSESSMENTS, READ_TRACES, WRITE_ANY_ASSESSMENT, WRITE_ASSESSMENTS},
        attempt::{Attempt, settle},
        ownership, text,
    },
};

fn missing(trace: &str, id: &str) -> Error {
    let words = format!("Assessment with ID '{}' not found for trace '{}'", text::echo(id), text::echo(trace));
    Error::new(Kind::NotFound, words)
}

fn contends(trace: &str) -> String {
    format!("trace|{trace}")
}

/// Says what one thinks of a trace. The same said twice at the same time is said once.
#[derive(Debug)]
pub struct CreateAssessment {
    /// The workspace.
    pub workspace: ResourceId,
    /// The trace.
    pub trace: String,
    /// What; a random id when it has none.
    pub assessment: Assessment,
}

#[async_trait]
impl Op for CreateAssessment {
    const ACTION: Action = WRITE_ASSESSMENTS;
    type Output = Assessment;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(mut self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        if self.assessment.id.is_empty() {
            self.assessment.id = new_id();
        }
        self.assessment.check()?;
        settle(&self, cx).await
    }
}

impl Attempt for CreateAssessment {
    fn contends_for(&self) -> String {
        contends(&self.trace)
    }

    async fn attempt(&self, cx: &Cx<'_, Self>) -> Result<Assessment> {
        let (shelf, workspace) = workspace_shelf(cx, &self.workspace).await?;
        let mut row = find_writable(cx, &shelf, &self.trace, &WRITE_ANY_ASSESSMENT).await?;
        let is_raised = ownership::is_raised(cx, &shelf, &workspace.value).await?;
        admit_names(cx, is_raised, &[("assessment_name", &self.assessment.name)])?;
        let mut made = self.assessment.clone();
        made.created_by_run = ownership::own_run(cx);
        if let Some(known) = row.value.assessments.iter().find(|known| known.is_repeated_by(&made)) {
            return Ok(known.clone());
        }
        let overridden = row.value.assessments.iter().find(|known| Some(&known.id) == made.overrides.as_ref());
        if let Some(known) = overridden {
            ownership::of_assessment(cx, known).await?;
        }
        add(&mut row.value, made.clone())?;
        save(cx, &shelf, row, &made.id).await?;
        Ok(made)
    }
}

/// An id for an assessment that has none.
pub(super) fn new_id() -> String {
    format!("a-{}", Uuid::new_v4().simple())
}

/// Adds an assessment; the one that it takes the place of is not valid any more.
fn add(trace: &mut Trace, made: Assessment) -> Result<()> {
    if trace.assessments.iter().any(|known| known.id == made.id) {
        return Err(Error::new(Kind::Exists, format!("the assessment `{}` already exists", made.id)));
    }
    if let Some(old) = &made.overrides {
        let known = trace.assessments.iter_mut().find(|known| known.id == *old);
        known.ok_or_else(|| missing(&trace.id, old))?.is_valid = false;
    }
    trace.assessments.push(made);
    Ok(())
}

async fn save(at: &Admission<'_>, shelf: &Shelf, row: Row<Trace>, id: &str) -> Result<()> {
    at.note("trace", row.value.id.clone());
    at.note("assessment", id);
    let mut changes = Changes::new();
    trace::put(shelf, &mut changes, &row)?;
    at.commit(changes).await
}

/// Reads one.
#[derive(Debug)]
pub struct GetAssessment {
    /// The workspace.
    pub workspace: ResourceId,
    /// The trace.
    pub trace: String,
    /// Its id.
    pub id: String,
}

#[async_trait]
impl Op for GetAssessment {
    const ACTION: Action = READ_TRACES;
    type Output = Assessment;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let trace = find(cx, &shelf, &self.trace).await?.value;
        let found = trace.assessments.into_iter().find(|known| known.id == self.id);
        found.ok_or_else(|| missing(&self.trace, &self.id))
    }
}

/// What to change of an assessment. Its source and its span stay.
#[derive(Clone, Debug, Default)]
pub struct AssessmentPatch {
    /// Another name.
    pub name: Option<String>,
    /// Another verdict, of the same kind.
    pub verdict: Option<Verdict>,
    /// Another reason.
    pub rationale: Option<String>,
    /// More metadata.
    pub metadata: BTreeMap<String, String>,
    /// Whether it is valid.
    pub is_valid: Option<bool>,
}

/// Changes one.
#[derive(Debug)]
pub struct UpdateAssessment {
    /// The workspace.
    pub workspace: ResourceId,
    /// The trace.
    pub trace: String,
    /// Its id.
    pub id: String,
    /// What to change.
    pub patch: AssessmentPatch,
}

#[async_trait]
impl Op for UpdateAssessment {
    const ACTION: Action = WRITE_ASSESSMENTS;
    type Output = Assessment;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        settle(&self, cx).await
    }
}

impl Attempt for UpdateAssessment {
    fn contends_for(&self) -> String {
        contends(&self.trace)
    }

    async fn attempt(&self, cx: &Cx<'_, Self>) -> Result<Assessment> {
        let (shelf, workspace) = workspace_shelf(cx, &self.workspace).await?;
        let mut row = find_writable(cx, &shelf, &self.trace, &WRITE_ANY_ASSESSMENT).await?;
        if let Some(name) = &self.patch.name {
            let is_raised = ownership::is_raised(cx, &shelf, &workspace.value).await?;
            admit_names(cx, is_raised, &[("assessment_name", name)])?;
        }
        let known = row.value.assessments.iter_mut().find(|known| known.id == self.id);
        let known = known.ok_or_else(|| missing(&self.trace, &self.id))?;
        ownership::of_assessment(cx, known).await?;
        self.patch.apply(known)?;
        known.updated_at = cx.now().0;
        known.check()?;
        let changed = known.clone();
        save(cx, &shelf, row, &self.id).await?;
        Ok(changed)
    }
}

impl AssessmentPatch {
    fn apply(&self, known: &mut Assessment) -> Result<()> {
        if let Some(verdict) = &self.verdict {
            match (&known.verdict, verdict) {
                (Verdict::Feedback { .. }, Verdict::Feedback { .. })
                | (Verdict::Expectation(Expected::Plain(_) | Expected::Serialized { .. }), Verdict::Expectation(_)) => {
                }
                (Verdict::Feedback { .. } | Verdict::Expectation(_) | Verdict::Issue(_), _) => {
                    let words = "feedback stays feedback and an expectation an expectation; make another assessment";
                    return Err(Error::new(Kind::Invalid, words));
                }
            }
            known.verdict = verdict.clone();
        }
        if let Some(name) = &self.name {
            known.name.clone_from(name);
        }
        if self.rationale.is_some() {
            known.rationale.clone_from(&self.rationale);
        }
        known.metadata.extend(self.metadata.clone());
        known.is_valid = self.is_valid.unwrap_or(known.is_valid);
        Ok(())
    }
}

/// Deletes one. What it took the place of is valid again; one that is not there is no error.
#[derive(Debug)]
pub struct DeleteAssessment {
    /// The workspace.
    pub workspace: ResourceId,
    /// The trace.
    pub trace: String,
    /// Its id.
    pub id: String,
}

#[async_trait]
impl Op for DeleteAssessment {
    const ACTION: Action = DELETE_ASSESSMENTS;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        settle(&self, cx).await
    }
}

impl Attempt for DeleteAssessment {
    fn contends_for(&self) -> String {
        contends(&self.trace)
    }

    async fn attempt(&self, cx: &Cx<'_, Self>) -> Result<()> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let mut row = find_writable(cx, &shelf, &self.trace, &WRITE_ANY_ASSESSMENT).await?;
        let all = &mut row.value.assessments;
        let Some(place) = all.iter().position(|known| known.id == self.id) else { return Ok(()) };
        let gone = all.remove(place);
        if let Some(old) = gone.overrides.and_then(|old| all.iter_mut().find(|known| known.id == old)) {
            old.is_valid = true;
        }
        save(cx, &shelf, row, &self.id).await
    }
}
