//! Reading the activity log.

use std::time::Duration;

use async_trait::async_trait;
use kernel::{Action, Class, ResourceId, Result, Timestamp};

use super::filter::ActivityFilter;
use crate::gate::{Activity, Admission, Cx, House, Op};

/// One record with its number.
#[derive(Clone, Debug)]
pub struct Listed {
    /// Its number in the log.
    pub seq: u64,
    /// The record.
    pub activity: Activity,
}

/// Lists records at and below a scope, newest first.
#[derive(Debug)]
pub struct ListActivities {
    /// The scope: the root, a subscription or anything below.
    pub scope: ResourceId,
    /// What to show.
    pub filter: ActivityFilter,
}

/// Scanned per call to the store.
const PAGE: u64 = 500;
/// Scanned for one page of results: a filter that matches little must not decrypt the whole log at once.
const SCANNED: u64 = 20_000;

/// A page of records, newest first.
#[derive(Clone, Debug)]
pub struct Page {
    /// The records.
    pub found: Vec<Listed>,
    /// Where the next page begins (`ActivityFilter::before`); none when the log's first record was reached.
    pub before: Option<u64>,
}

#[async_trait]
impl Op for ListActivities {
    const ACTION: Action = Action::new("Microsoft.Insights/eventtypes/values/Read", Class::Read);
    type Output = Page;

    fn scope(&self) -> ResourceId {
        self.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Page> {
        let Self { scope, filter } = &self;
        let catalogue = cx.house().catalogue();
        let span = Span { from: filter.from, until: filter.until, before: filter.before };
        scan(cx, span, filter.most, |activity| filter.wants(scope, &catalogue, activity)).await
    }
}

/// Where in the log to look.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Span {
    /// Not before.
    pub from: Option<Timestamp>,
    /// Not after.
    pub until: Option<Timestamp>,
    /// Only records with a smaller number.
    pub before: Option<u64>,
}

/// How far a record's time may lie from its neighbours': reads are written late, and clocks are set. A clock that was set
/// back further hides records from queries with a time range, never from those without.
pub(super) const SLACK: Duration = Duration::from_secs(3600);

/// A page of the records that are wanted: at most so many, newest first.
pub(crate) async fn scan(
    cx: &Admission<'_>,
    span: Span,
    most: usize,
    wants: impl Fn(&Activity) -> bool + Send,
) -> Result<Page> {
    let house = cx.house();
    // What was read until now shall be seen by whoever asks now.
    house.flush_reads().await?;
    let mut next = newest(house, span).await?;
    let oldest = span.from.map(|from| from.less(SLACK));
    let last = next.saturating_sub(SCANNED);
    let mut found = Vec::new();
    while next > last && found.len() < most {
        let first = next.saturating_sub(PAGE).saturating_add(1);
        let rows = house.log_page(first, usize::try_from(PAGE).unwrap_or(500)).await?;
        let newest = next;
        let mut is_over = rows.first().is_none_or(|row| row.seq > newest);
        for row in rows.iter().rev().filter(|row| row.seq <= newest) {
            let activity = house.open_record(row)?;
            next = row.seq.saturating_sub(1);
            is_over = oldest.is_some_and(|oldest| activity.at < oldest);
            if !is_over && wants(&activity) {
                found.push(Listed { seq: row.seq, activity });
            }
            if is_over || found.len() >= most {
                break;
            }
        }
        if is_over {
            return Ok(Page { found, before: None });
        }
        if found.len() < most {
            next = first.saturating_sub(1);
        }
    }
    Ok(Page { found, before: (next > 0).then(|| next.saturating_add(1)) })
}

/// The newest record that can be wanted, found by halving, so that a narrow range of time does not cost the whole log.
pub(super) async fn newest(house: &House, span: Span) -> Result<u64> {
    let (head, _) = house.log_head().await?;
    let mut high = span.before.map_or(head, |before| head.min(before.saturating_sub(1)));
    let Some(until) = span.until.map(|until| until.plus(SLACK)) else { return Ok(high) };
    let mut low = 0;
    while low < high {
        let middle = low.midpoint(high).saturating_add(1).min(high);
        // Records that were cut off are as good as older ones.
        let row = house.log_page(middle, 1).await?.into_iter().next();
        let is_later = match &row {
            Some(row) => house.open_record(row)?.at > until,
            None => true,
        };
        if is_later {
            high = middle.saturating_sub(1);
        } else {
            low = middle;
        }
    }
    Ok(low)
}
