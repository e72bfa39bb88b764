//! Searching runs.

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use async_trait::async_trait;
use kernel::{Action, Error, Kind, ResourceId, Result};

use super::{
    Experiment, Query, Run, RunStatus, RunView, View,
    action::READ_RUNS,
    experiment,
    metric::Heads,
    recall::{Kept, Slot, begin, recall},
    run,
    run_links::{self, RunLinks},
    scan::STRIDE,
    search::{
        ENTRY, Field, Filter, MOST_BYTES, Ordering, Page, Part, Picker, Schema, Searchable, Value, parse_filter,
        parse_order, size_of, write_token,
    },
    text,
};
use crate::gate::{Admission, Cx, Op, Shelf};

/// Most experiments of one search.
const MOST_EXPERIMENTS: usize = 10_000;

const SCHEMA: Schema = Schema {
    numbers: &["start_time", "end_time"],
    texts: &["run_id", "run_name", "status", "artifact_uri", "user_id", "experiment_id"],
    lists: &["run_id", "experiment_id"],
    aliases: &[
        ("created", "start_time"),
        ("Created", "start_time"),
        ("Run name", "run_name"),
        ("run name", "run_name"),
        ("name", "run_name"),
        ("id", "run_id"),
    ],
    parts: &[Part::Metric, Part::Param, Part::Tag, Part::Dataset],
    order_only: &["lifecycle_stage"],
    absent_differs: false,
};

/// A run as it is compared: read from its rows, or kept in memory.
enum Candidate {
    Read(Box<ReadRun>),
    Kept { kept: Arc<Kept>, among: Arc<Among> },
}

/// A run with as much beside it as the question needs.
struct ReadRun {
    run: Run,
    heads: Heads,
    links: RunLinks,
}

/// The experiment that kept runs belong to, and the numbers of the names that the question asks for.
struct Among {
    slot: Arc<Slot>,
    experiment: Experiment,
    names: Vec<(Field, Option<u32>)>,
}

impl Among {
    fn of(slot: Arc<Slot>, experiment: Experiment, filter: &Filter, order: &Ordering) -> Self {
        let mut names: Vec<(Field, Option<u32>)> = Vec::new();
        {
            let rows = slot.rows();
            for field in filter.fields().chain(order.fields()) {
                if !names.iter().any(|(known, _)| known == field) {
                    names.push((field.clone(), rows.names.number(&field.key)));
                }
            }
        }
        Self { slot, experiment, names }
    }

    fn number(&self, field: &Field) -> Option<u32> {
        self.names.iter().find(|(known, _)| known == field).and_then(|(_, number)| *number)
    }

    fn value<'a>(&'a self, kept: &'a Kept, field: &Field) -> Value<'a> {
        let named = |pick: fn(&'a Kept, u32) -> Option<&'a str>| {
            let text = self.number(field).and_then(|number| pick(kept, number));
            text.map_or(Value::Absent, Value::from)
        };
        let texts = |texts: Vec<&'a str>| Value::Texts(texts.into_iter().map(Cow::Borrowed).collect());
        let datasets = &kept.datasets;
        match (field.part, field.key.as_str()) {
            (Part::Metric, _) => {
                self.number(field).and_then(|number| kept.metric(number)).map_or(Value::Absent, Value::Number)
            }
            (Part::Param, _) => named(Kept::param),
            (Part::Tag, _) => named(Kept::tag),
            (Part::Dataset, "name") => texts(datasets.iter().map(|one| one.name.as_ref()).collect()),
            (Part::Dataset, "digest") => texts(datasets.iter().map(|one| one.digest.as_ref()).collect()),
            (Part::Dataset, _) => texts(datasets.iter().filter_map(|one| one.context.as_deref()).collect()),
            (Part::Attribute, "lifecycle_stage") => stage(kept.run.is_deleted || self.experiment.is_deleted),
            (Part::Attribute, "experiment_id") => Value::from(self.experiment.id.as_str()),
            (Part::Attribute, "artifact_uri") => {
                Value::Text(Cow::Owned(run::artifact_uri(&self.experiment.id, &kept.run.id)))
            }
            (Part::Attribute, key) => attribute(&kept.run, key),
        }
    }
}

/// A kept run on its way through the filter.
struct Passing<'a> {
    kept: &'a Kept,
    among: &'a Among,
}

impl Searchable for Passing<'_> {
    fn value(&self, field: &Field) -> Value<'_> {
        self.among.value(self.kept, field)
    }

    fn size(&self) -> usize {
        self.kept.size()
    }
}

fn stage(is_deleted: bool) -> Value<'static> {
    Value::from(if is_deleted { "deleted" } else { "active" })
}

fn attribute<'a>(run: &'a Run, key: &str) -> Value<'a> {
    match key {
        "run_id" => Value::from(run.id.as_str()),
        "run_name" => Value::from(run.name.as_str()),
        "user_id" => Value::from(run.user.as_str()),
        "experiment_id" => Value::from(run.experiment.as_str()),
        "status" => Value::from(run.status.word()),
        "artifact_uri" => Value::Text(Cow::Owned(run.artifact_uri())),
        "start_time" => Value::from(Some(run.started_at.0)),
        "end_time" => Value::from(run.ended_at.map(|at| at.0)),
        "lifecycle_stage" => stage(run.is_deleted),
        _ => Value::Absent,
    }
}

impl Searchable for Candidate {
    fn value(&self, field: &Field) -> Value<'_> {
        match self {
            Self::Read(read) => read.value(field),
            Self::Kept { kept, among } => among.value(kept, field),
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::Read(read) => size(&read.run, read.heads.metrics.keys(), &read.links),
            Self::Kept { kept, .. } => kept.size(),
        }
    }
}

/// About how many bytes a run takes, with what lies beside it.
fn size<'a>(run: &Run, metrics: impl Iterator<Item = &'a String>, links: &RunLinks) -> usize {
    let metrics = metrics.fold(0, |sum: usize, key| sum.saturating_add(ENTRY).saturating_add(key.len()));
    [size_of(&run.params), size_of(&run.tags), metrics, links.size(), ENTRY].iter().sum()
}

impl ReadRun {
    fn value(&self, field: &Field) -> Value<'_> {
        let run = &self.run;
        match (field.part, field.key.as_str()) {
            (Part::Metric, key) => {
                self.heads.metrics.get(key).map_or(Value::Absent, |head| Value::Number(head.latest.value))
            }
            (Part::Param, key) => Value::from(run.params.get(key)),
            (Part::Tag, key) => Value::from(run.tags.get(key)),
            (Part::Dataset, "name") => self.datasets(|one| Some(&one.name)),
            (Part::Dataset, "digest") => self.datasets(|one| Some(&one.digest)),
            (Part::Dataset, _) => self.datasets(|one| one.context()),
            (Part::Attribute, key) => attribute(run, key),
        }
    }

    fn datasets<'a>(&'a self, pick: impl Fn(&'a super::DatasetInput) -> Option<&'a str>) -> Value<'a> {
        Value::Texts(self.links.datasets.iter().filter_map(pick).map(Cow::Borrowed).collect())
    }
}

impl Candidate {
    /// The run with all that lies beside it.
    async fn open(self, cx: &Admission<'_>, shelf: &Shelf) -> Result<RunView> {
        let (kept, among) = match self {
            Self::Read(read) => return RunView::open(cx, shelf, read.run).await,
            Self::Kept { kept, among } => (kept, among),
        };
        let (mut run, metrics) = kept.unpack(&among.experiment.id, &among.slot.rows().names);
        let links = match kept.has_links() {
            true => run_links::links(cx, shelf, &run).await?.value,
            false => RunLinks::default(),
        };
        run.is_deleted |= among.experiment.is_deleted;
        Ok(RunView { run, metrics, links })
    }
}

impl RunStatus {
    /// MLflow's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Scheduled => "SCHEDULED",
            Self::Finished => "FINISHED",
            Self::Failed => "FAILED",
            Self::Killed => "KILLED",
        }
    }

    /// From MLflow's word or number.
    pub fn from_word(word: &str) -> Option<Self> {
        Some(match word {
            "RUNNING" | "1" => Self::Running,
            "SCHEDULED" | "2" => Self::Scheduled,
            "FINISHED" | "3" => Self::Finished,
            "FAILED" | "4" => Self::Failed,
            "KILLED" | "5" => Self::Killed,
            _ => return None,
        })
    }
}

/// Searches the runs of some experiments; the newest first unless asked otherwise.
#[derive(Debug)]
pub struct SearchRuns {
    /// The workspace.
    pub workspace: ResourceId,
    /// Ids of the experiments; none finds nothing.
    pub experiments: Vec<String>,
    /// Which and how.
    pub query: Query,
    /// Living or deleted.
    pub view: View,
}

#[async_trait]
impl Op for SearchRuns {
    const ACTION: Action = READ_RUNS;
    type Output = Page<RunView>;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(mut self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let query = &self.query;
        text::check_page(query.most, 50_000)?;
        let filter = parse_filter(&query.filter, &SCHEMA)?;
        let usual = Ordering::by("start_time", false).then(Ordering::by("run_id", true));
        let order = parse_order(&query.order_by, &SCHEMA)?.then(usual);
        self.experiments.sort();
        self.experiments.dedup();
        if self.experiments.len() > MOST_EXPERIMENTS {
            return Err(Error::new(
                Kind::Invalid,
                format!("at most {MOST_EXPERIMENTS} experiments can be searched at once"),
            ));
        }
        let (mut shelf, mut moment) = begin(cx, &self.workspace).await?;
        let needs =
            Needs { heads: filter.asks(Part::Metric) || order.asks(Part::Metric), links: filter.asks(Part::Dataset) };
        let question = query.identity(&format!("runs {:?} {:?}", self.view, self.experiments));
        let mut picker = Picker::new(&order, query, &question)?;
        for id in &self.experiments {
            if moment.as_ref().is_some_and(|moment| moment.is_over(cx)) {
                // Something had to go from memory meanwhile, perhaps of this workspace: it is asked again.
                (shelf, moment) = begin(cx, &self.workspace).await?;
            }
            let experiment = match experiment::find(cx, &shelf, id).await {
                Ok(row) => row.value,
                Err(fault) if fault.kind() == Kind::NotFound => continue,
                Err(fault) => return Err(fault),
            };
            let slot = match &moment {
                Some(moment) => recall(cx, &shelf, id, moment).await?,
                None => None,
            };
            if let Some(slot) = slot {
                let among = Arc::new(Among::of(slot, experiment, &filter, &order));
                offer_kept(&among, &filter, self.view, &mut picker);
                // What lies in memory is never waited for, so others get their turn here.
                tokio::task::yield_now().await;
                continue;
            }
            let mut after: Option<Vec<u8>> = None;
            loop {
                let stride = read(cx, &shelf, id, after.as_deref(), &needs).await?;
                let was_last = stride.len() < STRIDE;
                after = stride.last().map(|(row, _)| row.clone());
                for (_, mut one) in stride {
                    one.run.is_deleted |= experiment.is_deleted;
                    let is_shown = self.view.shows(one.run.is_deleted);
                    let one = Candidate::Read(Box::new(one));
                    if is_shown && filter.matches(&one) {
                        picker.offer(one);
                    }
                }
                if was_last {
                    break;
                }
            }
        }
        let (picked, has_more) = picker.finish();
        let (mut views, mut bytes, mut next) = (Vec::with_capacity(picked.len()), 0_usize, None);
        let mut picked = picked.into_iter().peekable();
        while let Some(one) = picked.next() {
            let spot = order.spot(&one);
            let view = one.open(cx, &shelf).await?;
            bytes = bytes.saturating_add(size(&view.run, view.metrics.keys(), &view.links));
            views.push(view);
            // What lies beside the runs may be more than they are: the page ends where it is full.
            if (picked.peek().is_some() && bytes > MOST_BYTES) || (picked.peek().is_none() && has_more) {
                next = Some(write_token(&spot, &question));
                break;
            }
        }
        Ok(Page { items: views, next })
    }
}

/// Offers the runs of an experiment that pass.
fn offer_kept(among: &Arc<Among>, filter: &Filter, view: View, picker: &mut Picker<'_, Candidate>) {
    let rows = among.slot.rows();
    for kept in &rows.rows {
        let is_shown = view.shows(kept.run.is_deleted || among.experiment.is_deleted);
        if is_shown && filter.matches(&Passing { kept, among }) {
            picker.offer(Candidate::Kept { kept: Arc::clone(kept), among: Arc::clone(among) });
        }
    }
}

/// What has to be read beside the runs.
struct Needs {
    heads: bool,
    links: bool,
}

/// The next runs of an experiment, in row order, with what the question needs.
async fn read(
    cx: &Admission<'_>,
    shelf: &Shelf,
    experiment: &str,
    after: Option<&[u8]>,
    needs: &Needs,
) -> Result<Vec<(Vec<u8>, ReadRun)>> {
    let prefix = experiment::row_id(shelf, experiment);
    let rows = cx.page::<Run>(shelf, &prefix, after, STRIDE).await?;
    let last = rows.last().map(|row| row.id.clone()).unwrap_or_default();
    // The rows beside the runs have the runs' ids, so the same stretch of ids holds them.
    let mut heads: HashMap<Vec<u8>, Heads> = HashMap::new();
    if needs.heads {
        let beside = cx.page::<Heads>(shelf, &prefix, after, STRIDE).await?;
        heads = beside.into_iter().filter(|row| row.id <= last).map(|row| (row.id, row.value)).collect();
    }
    let mut links: HashMap<Vec<u8>, RunLinks> = HashMap::new();
    if needs.links {
        let beside = cx.page::<RunLinks>(shelf, &prefix, after, STRIDE).await?;
        links = beside.into_iter().filter(|row| row.id <= last).map(|row| (row.id, row.value)).collect();
    }
    let candidate = |row: crate::gate::Row<Run>| {
        let candidate = ReadRun {
            run: row.value,
            heads: heads.remove(&row.id).unwrap_or_default(),
            links: links.remove(&row.id).unwrap_or_default(),
        };
        (row.id, candidate)
    };
    Ok(rows.into_iter().map(candidate).collect())
}
