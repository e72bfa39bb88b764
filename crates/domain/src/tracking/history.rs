//! Reading the points of metrics: page by page, or sampled for drawing. Memory is bounded by the page, whatever was logged.

use std::collections::HashSet;

use async_trait::async_trait;
use kernel::{Action, Error, ResourceId, Result, RunId};

use super::{
    Run,
    action::READ_RUNS,
    metric::{self, CHUNK, Chunk, Head, chunk_id, prefix},
    point::{self, Point},
    run,
    sample::Pool,
    search::{self, Page},
    text,
};
use crate::{
    gate::{Admission, Cx, Op, Row, Shelf},
    resources::workspace_shelf,
};

/// Most points of one page: as many as MLflow's client asks for at a time.
const MOST_POINTS: usize = 25_000;
/// Most runs of one sample, and most points of each: what MLflow's own server gives.
const MOST_RUNS: usize = 100;
const MOST_SAMPLES: usize = 2500;
/// Chunks read at a time: some 24 000 points.
const STRIDE: usize = 64;

/// Reads the points of one metric of a run, by time, step and value. An unknown metric has none.
#[derive(Debug)]
pub struct GetMetricHistory {
    /// The workspace.
    pub workspace: ResourceId,
    /// The run.
    pub run: RunId,
    /// The metric.
    pub key: String,
    /// At most so many, and never more than 25,000 at a time.
    pub most: Option<usize>,
    /// Where the last page ended.
    pub page_token: Option<String>,
}

#[async_trait]
impl Op for GetMetricHistory {
    const ACTION: Action = READ_RUNS;
    type Output = Page<Point>;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let run = run::find(cx, &shelf, &self.run).await?.value;
        let most = self.most.unwrap_or(MOST_POINTS).min(MOST_POINTS);
        let question = format!("history {}|{}", self.run, self.key);
        let after: Option<Point> = search::read_token(self.page_token.as_deref(), &question)?;
        let Some(series) = Series::find(cx, &shelf, &run, &self.key).await? else {
            return Ok(Page { items: Vec::new(), next: None });
        };
        // One more than asked for tells whether there is a next page.
        let mut items = series.after(cx, after.as_ref(), most.saturating_add(1)).await?;
        let has_more = items.len() > most;
        items.truncate(most);
        let next = items.last().filter(|_| has_more).map(|last| search::write_token(last, &question));
        Ok(Page { items, next })
    }
}

/// Reads one metric of several runs, evenly sampled; for drawing.
#[derive(Debug)]
pub struct SampleMetricHistory {
    /// The workspace.
    pub workspace: ResourceId,
    /// The runs, at most 100. One that is named twice is answered once.
    pub runs: Vec<RunId>,
    /// The metric.
    pub key: String,
    /// Only steps in this range, both ends included.
    pub steps: Option<(i64, i64)>,
    /// At most so many points a run: 1 to 2500.
    pub most: usize,
}

#[async_trait]
impl Op for SampleMetricHistory {
    const ACTION: Action = READ_RUNS;
    type Output = Vec<(RunId, Vec<Point>)>;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(mut self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        if self.runs.is_empty() || self.runs.len() > MOST_RUNS {
            let why = format!("1 to {MOST_RUNS} runs can be asked for at once");
            return Err(text::bad("run_ids", &self.runs.len().to_string(), &why));
        }
        if !(1..=MOST_SAMPLES).contains(&self.most) {
            return Err(text::bad("max_results", &self.most.to_string(), &format!("must be 1 to {MOST_SAMPLES}")));
        }
        let mut seen = HashSet::new();
        self.runs.retain(|run| seen.insert(run.clone()));
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let mut out = Vec::with_capacity(self.runs.len());
        for id in self.runs {
            let run = run::find(cx, &shelf, &id).await?.value;
            let mut pool = Pool::default();
            if let Some(series) = Series::find(cx, &shelf, &run, &self.key).await? {
                let is_asked = |step| self.steps.is_none_or(|(from, to)| (from..=to).contains(&step));
                series
                    .each(cx, |point| {
                        if is_asked(point.step) {
                            pool.add(point)
                        }
                    })
                    .await?;
            }
            out.push((id, pool.draw(self.most)));
        }
        Ok(out)
    }
}

/// At most `most` points of a metric after this one, by time, step and value, and whether there are more.
pub(super) async fn points_after(
    cx: &Admission<'_>,
    shelf: &Shelf,
    run: &Run,
    key: &str,
    after: Option<&Point>,
    most: usize,
) -> Result<(Vec<Point>, bool)> {
    let Some(series) = Series::find(cx, shelf, run, key).await? else { return Ok((Vec::new(), false)) };
    let mut points = series.after(cx, after, most.saturating_add(1)).await?;
    let has_more = points.len() > most;
    points.truncate(most);
    Ok((points, has_more))
}

/// The stored points of one metric of a run.
pub(super) struct Series<'a> {
    pub(super) shelf: &'a Shelf,
    pub(super) prefix: Vec<u8>,
    pub(super) head: Head,
}

impl<'a> Series<'a> {
    /// None when nothing was ever logged.
    async fn find(cx: &Admission<'_>, shelf: &'a Shelf, run: &Run, key: &str) -> Result<Option<Self>> {
        let head = metric::heads(cx, shelf, run).await?.value.metrics.remove(key);
        Ok(head.map(|head| Self { shelf, prefix: prefix(shelf, &run.id, key), head }))
    }

    /// At most `most` chunks from number `first` on.
    async fn chunks(&self, cx: &Admission<'_>, first: u32, most: usize) -> Result<Vec<Row<Chunk>>> {
        let after = first.checked_sub(1).map(|number| chunk_id(&self.prefix, number));
        cx.page::<Chunk>(self.shelf, &self.prefix, after.as_deref(), most).await
    }

    /// Looks at every point, in the order of arrival.
    async fn each(&self, cx: &Admission<'_>, look: impl FnMut(Point)) -> Result<()> {
        self.each_from(cx, 0, look).await
    }

    /// The same from a chunk on.
    pub(super) async fn each_from(
        &self,
        cx: &Admission<'_>,
        mut first: u32,
        mut look: impl FnMut(Point),
    ) -> Result<()> {
        loop {
            let rows = self.chunks(cx, first, STRIDE).await?;
            for row in &rows {
                point::unpack(&row.value.points)?.into_iter().for_each(&mut look);
            }
            if rows.len() < STRIDE {
                return Ok(());
            }
            first = first.saturating_add(u32::try_from(rows.len()).unwrap_or(u32::MAX));
        }
    }

    /// The first `most` points after this one, in the order of histories.
    async fn after(&self, cx: &Admission<'_>, after: Option<&Point>, most: usize) -> Result<Vec<Point>> {
        let is_wanted = |point: &Point| after.is_none_or(|after| point.by_time(after).is_gt());
        let mut points: Vec<Point> = Vec::new();
        if self.head.is_in_order {
            let mut first = match after {
                Some(after) => self.chunk_of(cx, after).await?,
                None => 0,
            };
            loop {
                let missing = most.saturating_sub(points.len());
                // The first chunk may end with the point itself, and the last one may be wanted for one point.
                let stride = missing.div_ceil(CHUNK).saturating_add(1).min(STRIDE);
                let rows = self.chunks(cx, first, stride).await?;
                for row in &rows {
                    points.extend(point::unpack(&row.value.points)?.into_iter().filter(is_wanted));
                }
                if points.len() >= most || rows.len() < stride {
                    points.truncate(most);
                    return Ok(points);
                }
                first = first.saturating_add(u32::try_from(rows.len()).unwrap_or(u32::MAX));
            }
        }
        // Anything may lie anywhere: all is looked at, and twice a page is kept at most.
        let room = most.saturating_mul(2);
        let keep = |points: &mut Vec<Point>| {
            points.sort_unstable_by(Point::by_time);
            points.truncate(most);
        };
        self.each(cx, |point| {
            if is_wanted(&point) {
                points.push(point);
                if points.len() >= room {
                    keep(&mut points);
                }
            }
        })
        .await?;
        keep(&mut points);
        Ok(points)
    }

    /// Those of some points that are there, of points in order.
    pub(super) async fn holding(&self, cx: &Admission<'_>, mut points: Vec<Point>) -> Result<HashSet<(i64, i64, u64)>> {
        points.sort_unstable_by(Point::by_time);
        let (mut found, mut held) = (HashSet::new(), Vec::<Point>::new());
        for point in points {
            if held.last().is_none_or(|last| last.by_time(&point).is_lt()) {
                let id = chunk_id(&self.prefix, self.chunk_of(cx, &point).await?);
                let row = cx.get::<Chunk>(self.shelf, &id).await?;
                held = row.map(|row| point::unpack(&row.value.points)).transpose()?.unwrap_or_default();
            }
            if held.binary_search_by(|one| one.by_time(&point)).is_ok() {
                found.insert(point.identity());
            }
        }
        Ok(found)
    }

    /// The chunk of points in order from which on there are points after this one: the last that begins at or before it.
    async fn chunk_of(&self, cx: &Admission<'_>, point: &Point) -> Result<u32> {
        let (mut low, mut high) = (0, self.head.chunk);
        while low < high {
            let middle = high.saturating_sub(high.saturating_sub(low) / 2);
            let row = cx.get::<Chunk>(self.shelf, &chunk_id(&self.prefix, middle)).await?;
            let row = row.ok_or_else(|| Error::internal("a chunk of a metric is missing"))?;
            match point::unpack(&row.value.points)?.first() {
                Some(first) if first.by_time(point).is_le() => low = middle,
                _ => high = middle.saturating_sub(1),
            }
        }
        Ok(low)
    }
}
