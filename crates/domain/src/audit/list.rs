//! Reading the activity log.

use kernel::{Action, Class, CorrelationId, LogRow, ResourceId, Result, Timestamp};

use crate::gate::{Activity, Cx, Op};

/// What to show.
#[derive(Clone, Debug, Default)]
pub struct ActivityFilter {
    /// Not before.
    pub from: Option<Timestamp>,
    /// Not after.
    pub until: Option<Timestamp>,
    /// Only what one request caused.
    pub correlation: Option<CorrelationId>,
    /// Only below this resource (a group's or resource's id).
    pub within: Option<ResourceId>,
    /// Only of this resource provider (`Microsoft.MachineLearningServices`).
    pub provider: Option<String>,
    /// Also reads; by default only changes, denials and failures, as Azure's activity log has them.
    pub reads: bool,
    /// At most this many, newest first.
    pub most: usize,
    /// Only records with a smaller number: the next page.
    pub before: Option<u64>,
}

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
const PAGE: usize = 500;
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

impl Op for ListActivities {
    const ACTION: Action = Action::new("Microsoft.Insights/eventtypes/values/Read", Class::Read);
    type Output = Page;

    fn scope(&self) -> ResourceId {
        self.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Page> {
        scan(cx, self.filter.before, self.filter.most, |activity| self.wants(activity)).await
    }
}

/// A page of the records that are wanted: at most so many, with numbers below `before`.
pub(crate) async fn scan<O: Op>(
    cx: &Cx<'_, O>,
    before: Option<u64>,
    most: usize,
    wants: impl Fn(&Activity) -> bool + Send,
) -> Result<Page> {
    let house = cx.house();
    // What was read until now shall be seen by whoever asks now.
    house.flush_reads().await?;
    let (head, _) = house.log_head().await?;
    let mut next = before.map_or(head, |before| head.min(before.saturating_sub(1)));
    let last = next.saturating_sub(SCANNED);
    let mut found = Vec::new();
    while next > last && found.len() < most {
        let page = u64::try_from(PAGE).unwrap_or(500);
        let first = next.saturating_sub(page).saturating_add(1);
        let rows = house.log_page(first, PAGE).await?;
        let newest = next;
        for row in rows.iter().rev().filter(|row| row.seq <= newest) {
            let activity = house.open_record(row)?;
            next = row.seq.saturating_sub(1);
            if wants(&activity) {
                found.push(Listed { seq: row.seq, activity });
            }
            if found.len() >= most {
                break;
            }
        }
        if found.len() < most {
            next = first.saturating_sub(1);
        }
    }
    Ok(Page { found, before: (next > 0).then(|| next.saturating_add(1)) })
}

impl ListActivities {
    fn wants(&self, activity: &Activity) -> bool {
        let filter = &self.filter;
        let is_read = activity.action.to_ascii_lowercase().ends_with("/read") && activity.outcome.word() == "Succeeded";
        activity.scope.is_within(&self.scope)
            && (filter.reads || !is_read)
            && filter.from.is_none_or(|from| activity.at >= from)
            && filter.until.is_none_or(|until| activity.at <= until)
            && filter.correlation.is_none_or(|correlation| activity.correlation == correlation)
            && filter.within.as_ref().is_none_or(|within| activity.scope.is_within(within))
            && filter.provider.as_ref().is_none_or(|provider| {
                activity.action.split('/').next().is_some_and(|named| named.eq_ignore_ascii_case(provider))
            })
    }
}

/// Copies rows of the log as they are stored, for keeping elsewhere and for offline verification.
#[derive(Debug)]
pub struct ExportLog {
    /// First number.
    pub from: u64,
    /// At most this many.
    pub most: usize,
}

impl Op for ExportLog {
    const ACTION: Action = Action::new("Microsoft.Insights/eventtypes/export/read", Class::Vault);
    type Output = Vec<LogRow>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Vec<LogRow>> {
        cx.house().log_page(self.from.max(1), self.most.min(5000)).await
    }
}
