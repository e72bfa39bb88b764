//! Deleting traces, for good: as MLflow does, there is no way back.

use async_trait::async_trait;
use kernel::{Action, Error, Kind, ResourceId, Result};

use super::{
    Trace, pages,
    trace::{look, remove},
};
use crate::{
    gate::{Changes, Cx, Op, Row, Shelf},
    resources::workspace_shelf,
    tracking::{action::DELETE_TRACES, attempt, experiment, scan::STRIDE},
};

/// Most traces of one commit.
const BATCH: usize = 20;
/// Rows of a commit after which no further trace belongs to it. One trace has two, and two for each of its pages.
const ROWS: u32 = 10_000;
/// Most traces of one request.
const MOST: usize = 100_000;

/// Deletes traces of an experiment: those named, or the oldest up to a time, or both.
#[derive(Debug)]
pub struct DeleteTraces {
    /// The workspace.
    pub workspace: ResourceId,
    /// The experiment's id.
    pub experiment: String,
    /// Only those that began no later, in milliseconds since the epoch.
    pub until: Option<i64>,
    /// At most so many, the oldest first.
    pub most: Option<usize>,
    /// Only these; none: of any id.
    pub ids: Vec<String>,
}

#[async_trait]
impl Op for DeleteTraces {
    const ACTION: Action = DELETE_TRACES;
    type Output = usize;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        if self.until.is_none() && self.ids.is_empty() {
            let words = "Either `max_timestamp_millis` or `trace_ids` must be specified.";
            return Err(Error::new(Kind::Invalid, words));
        }
        if self.until.is_some() && !self.ids.is_empty() {
            let words = "Only one of `max_timestamp_millis` and `trace_ids` can be specified.";
            return Err(Error::new(Kind::Invalid, words));
        }
        if self.most.is_some() && !self.ids.is_empty() {
            return Err(Error::new(Kind::Invalid, "`max_traces` can't be specified if `trace_ids` is specified."));
        }
        if self.most == Some(0) {
            return Err(Error::new(Kind::Invalid, "`max_traces` must be a positive integer, received 0."));
        }
        let mut named = self.ids.clone();
        named.sort();
        named.dedup();
        if named.len() > MOST {
            return Err(Error::new(Kind::Invalid, format!("at most {MOST} traces can be deleted at once")));
        }
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let chosen = match self.ids.is_empty() {
            true => self.oldest(cx, &shelf).await?,
            false => named,
        };
        cx.note("experiment", self.experiment.clone());
        let (mut rest, mut deleted) = (chosen.as_slice(), 0_usize);
        while !rest.is_empty() {
            // Others' turn comes after each commit.
            let _turn = attempt::turn(&format!("{}|deleted traces|{}", cx.scope(), self.experiment)).await;
            let (done, gone) = self.delete(cx, &shelf, rest, deleted).await?;
            (rest, deleted) = (rest.get(done..).unwrap_or_default(), gone);
        }
        Ok(deleted)
    }
}

impl DeleteTraces {
    /// Deletes the first ones in one commit. How many those were, and how many are gone by then.
    async fn delete(
        &self,
        cx: &Cx<'_, Self>,
        shelf: &Shelf,
        chosen: &[String],
        before: usize,
    ) -> Result<(usize, usize)> {
        for _ in 0..attempt::MOST {
            let (mut changes, mut blobs, mut deleted) = (Changes::new(), Vec::new(), before);
            let (mut done, mut rows) = (0_usize, 0_u32);
            for id in chosen.iter().take(BATCH) {
                if rows > ROWS {
                    break;
                }
                done = done.saturating_add(1);
                let Some(row) = look(cx, shelf, id).await? else { continue };
                if row.value.experiment != self.experiment {
                    continue;
                }
                blobs.extend(pages::remove(cx, shelf, &mut changes, id).await?);
                remove(cx, shelf, &mut changes, &row).await?;
                deleted = deleted.saturating_add(1);
                rows = rows.saturating_add(row.value.pages.saturating_add(1).saturating_mul(2));
            }
            if changes.is_empty() {
                return Ok((done, before));
            }
            cx.note("traces", deleted.to_string());
            match cx.commit(changes).await {
                Err(fault) if fault.kind() == Kind::Stale => {}
                Err(fault) => return Err(fault),
                Ok(()) => {
                    for blob in blobs {
                        cx.drop_blob(&blob).await;
                    }
                    return Ok((done, deleted));
                }
            }
        }
        Err(attempt::too_busy())
    }

    /// The ids of those up to the time, the oldest first.
    async fn oldest(&self, cx: &Cx<'_, Self>, shelf: &Shelf) -> Result<Vec<String>> {
        let prefix = experiment::row_id(shelf, &self.experiment);
        let until = self.until.unwrap_or(i64::MAX);
        let mut found: Vec<(i64, String)> = Vec::new();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let rows: Vec<Row<Trace>> = cx.page(shelf, &prefix, after.as_deref(), STRIDE).await?;
            let was_last = rows.len() < STRIDE;
            after = rows.last().map(|row| row.id.clone());
            let old = rows.into_iter().map(|row| row.value).filter(|trace| trace.started_at <= until);
            found.extend(old.map(|trace| (trace.started_at, trace.id)));
            if was_last {
                break;
            }
        }
        found.sort();
        found.truncate(self.most.unwrap_or(MOST).min(MOST));
        Ok(found.into_iter().map(|(_, id)| id).collect())
    }
}
