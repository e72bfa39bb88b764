//! Searching traces.

use async_trait::async_trait;
use kernel::{Action, ResourceId, Result};

use super::{
    Trace,
    filter::parse_order,
    sieve::{Budget, Sieve, places, some},
};
use crate::{
    gate::{Cx, Op},
    resources::workspace_shelf,
    tracking::{
        Query,
        action::READ_TRACES,
        search::{Field, Ordering, Page, Part, Picker, Searchable, Value},
        text,
    },
};

/// Most traces of one page.
const MOST: usize = 500;

impl Searchable for Trace {
    fn value(&self, field: &Field) -> Value<'_> {
        match (field.part, field.key.as_str()) {
            (Part::Tag, key) => Value::from(self.tags.get(key)),
            (Part::Param, key) => Value::from(self.metadata.get(key)),
            (Part::Attribute, "timestamp_ms") => Value::from(Some(self.started_at)),
            (Part::Attribute, "execution_time_ms") => Value::from(self.duration),
            (Part::Attribute, "end_time_ms") => Value::from(Some(self.ended_at())),
            (Part::Attribute, "request_id") => Value::from(self.id.as_str()),
            (Part::Attribute, "experiment_id") => Value::from(self.experiment.as_str()),
            (Part::Attribute, "status") => Value::from(self.state.word()),
            _ => Value::Absent,
        }
    }

    fn size(&self) -> usize {
        Self::size(self)
    }
}

/// Searches traces; the newest first unless asked otherwise.
#[derive(Debug)]
pub struct SearchTraces {
    /// The workspace.
    pub workspace: ResourceId,
    /// Ids of the experiments.
    pub experiments: Vec<String>,
    /// Which and how.
    pub query: Query,
}

#[async_trait]
impl Op for SearchTraces {
    const ACTION: Action = READ_TRACES;
    type Output = Page<Trace>;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let query = &self.query;
        if !(1..=MOST).contains(&query.most) {
            let why = format!("it must be at least 1 and at most {MOST}");
            return Err(text::bad("max_results", &query.most.to_string(), &why));
        }
        let sieve = Sieve::parse(&query.filter)?;
        let usual = Ordering::by("timestamp_ms", false).then(Ordering::by("request_id", true));
        let order = parse_order(&query.order_by)?.then(usual);
        let experiments = places(self.experiments)?;
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let question = query.identity(&format!("traces {experiments:?}"));
        let mut picker = Picker::new(&order, query, &question)?;
        let mut budget = Budget::new();
        for experiment in &experiments {
            let mut after: Option<Vec<u8>> = None;
            loop {
                let (traces, next) = some(cx, &shelf, experiment, after.as_deref()).await?;
                for trace in traces {
                    if sieve.admits(cx, &shelf, &trace, &mut budget).await? {
                        picker.offer(trace);
                    }
                }
                after = next;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(picker.page())
    }
}
