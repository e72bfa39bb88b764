//! Listing the runs of an experiment.

use std::collections::HashMap;

use async_trait::async_trait;
use kernel::{Action, Kind, ResourceId, Result};

use super::{
    facts::{RunFacts, RunStory, told},
    filter::RunFilter,
    patch::experiment_of,
};
use crate::{
    gate::{Admission, Cx, Op, Shelf},
    resources::workspace_shelf,
    tracking::{
        ExperimentKey, Page, Query, Run,
        action::READ_RUNS,
        experiment,
        run::PARENT_TAG,
        scan::STRIDE,
        search::{ENTRY, Field, Ordering, Part, Picker, Searchable, Value, size_of, write_token},
    },
};

/// Most runs of a page (Azure's limit).
const MOST: usize = 500;
/// How far up a family of runs is followed.
const GENERATIONS: usize = 64;

/// In which order runs are listed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RunOrder {
    /// The newest first.
    #[default]
    Newest,
    /// The oldest first.
    Oldest,
    /// By id.
    Id,
    /// By id, the last first.
    LastId,
}

/// Lists the living runs of an experiment, each with what lies beside it.
#[derive(Debug)]
pub struct ListRunStories {
    /// The workspace.
    pub workspace: ResourceId,
    /// The experiment.
    pub experiment: ExperimentKey,
    /// Which of them.
    pub filter: RunFilter,
    /// The filter as it was written: what a page token is bound to.
    pub written: String,
    /// In which order.
    pub order: RunOrder,
    /// At most so many, and never more than 500.
    pub most: usize,
    /// Where the last page ended.
    pub page_token: Option<String>,
}

#[async_trait]
impl Op for ListRunStories {
    const ACTION: Action = READ_RUNS;
    type Output = Page<RunStory>;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let experiment = experiment_of(cx, &shelf, &self.experiment).await?;
        let order = match self.order {
            RunOrder::Newest => Ordering::by("start_time", false).then(Ordering::by("run_id", true)),
            RunOrder::Oldest => Ordering::by("start_time", true).then(Ordering::by("run_id", true)),
            RunOrder::Id => Ordering::by("run_id", true),
            RunOrder::LastId => Ordering::by("run_id", false),
        };
        let most = self.most.clamp(1, MOST);
        let question = format!("stories {}|{:?}|{}", experiment.id, self.order, self.written);
        let query = Query { filter: String::new(), order_by: Vec::new(), most, page_token: self.page_token.clone() };
        let mut picker = Picker::new(&order, &query, &question)?;
        if !experiment.is_deleted {
            let parents = match self.filter.asks("RootRunId") {
                true => parents(cx, &shelf, &experiment.id).await?,
                false => HashMap::new(),
            };
            let prefix = experiment::row_id(&shelf, &experiment.id);
            let mut after: Option<Vec<u8>> = None;
            loop {
                let rows = cx.page::<Run>(&shelf, &prefix, after.as_deref(), STRIDE).await?;
                let was_last = rows.len() < STRIDE;
                let last = rows.last().map(|row| row.id.clone());
                // The rows beside the runs have the runs' ids, so the same stretch of ids holds them.
                let beside = cx.page::<RunFacts>(&shelf, &prefix, after.as_deref(), STRIDE).await?;
                let mut beside: HashMap<Vec<u8>, RunFacts> =
                    beside.into_iter().map(|row| (row.id, row.value)).collect();
                for row in rows.into_iter().filter(|row| !row.value.is_deleted) {
                    // A job's own facts lie with the job.
                    let facts = match row.value.is_job {
                        true => told(cx, &shelf, &row.value).await?,
                        false => beside.remove(&row.id).unwrap_or_default(),
                    };
                    let root = root_of(&parents, row.value.id.as_str());
                    if self.filter.holds(&row.value, &facts, root) {
                        picker.offer(Listed(row.value));
                    }
                }
                after = last;
                if was_last {
                    break;
                }
            }
        }
        let (picked, has_more) = picker.finish();
        let next = picked.last().filter(|_| has_more).map(|last| write_token(&order.spot(last), &question));
        let mut items = Vec::with_capacity(picked.len());
        for Listed(run) in picked {
            match RunStory::open(cx, &shelf, run).await {
                Ok(story) => items.push(story),
                Err(fault) if fault.kind() == Kind::NotFound => {}
                Err(fault) => return Err(fault),
            }
        }
        Ok(Page { items, next })
    }
}

/// A run on its way to a page.
struct Listed(Run);

impl Searchable for Listed {
    fn value(&self, field: &Field) -> Value<'_> {
        match (field.part, field.key.as_str()) {
            (Part::Attribute, "run_id") => Value::from(self.0.id.as_str()),
            (Part::Attribute, "start_time") => Value::from(Some(self.0.started_at.0)),
            _ => Value::Absent,
        }
    }

    fn size(&self) -> usize {
        size_of(&self.0.params).saturating_add(size_of(&self.0.tags)).saturating_add(ENTRY)
    }
}

/// Which run each run of the experiment was begun below, where one was.
async fn parents(cx: &Admission<'_>, shelf: &Shelf, experiment: &str) -> Result<HashMap<String, String>> {
    let mut parents = HashMap::new();
    let prefix = experiment::row_id(shelf, experiment);
    crate::tracking::scan::scan::<Run>(cx, shelf, &prefix, |row| {
        if let Some(parent) = row.value.tags.get(PARENT_TAG).filter(|parent| !parent.is_empty()) {
            parents.insert(row.value.id.to_string(), parent.clone());
        }
    })
    .await?;
    Ok(parents)
}

/// The first of a run's family.
fn root_of<'a>(parents: &'a HashMap<String, String>, run: &'a str) -> &'a str {
    let mut root = run;
    for _ in 0..GENERATIONS {
        match parents.get(root) {
            Some(parent) => root = parent,
            None => break,
        }
    }
    root
}
