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
    search::{self, Page},
    text,
};
use crate::{
    gate::{Cx, Op, Row, Shelf},
    resources::workspace_shelf,
};

/// Most points of one page: as many as MLflow's client asks for at a time.
const MOST_POINTS: usize = 25_000;
/// Most runs of one sample, and most points of each: what MLflow's own server gives.
const MOST_RUNS: usize = 100;
const MOST_SAMPLES: usize = 2500;
/// Points that a sample is drawn from (1.5 MiB); of longer histories every second is looked at, or every fourth, and so on.
const POOL: usize = 1 << 16;
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
pub(super) async fn points_after<O: Op>(
    cx: &Cx<'_, O>,
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
struct Series<'a> {
    shelf: &'a Shelf,
    prefix: Vec<u8>,
    head: Head,
}

impl<'a> Series<'a> {
    /// None when nothing was ever logged.
    async fn find<O: Op>(cx: &Cx<'_, O>, shelf: &'a Shelf, run: &Run, key: &str) -> Result<Option<Self>> {
        let head = metric::heads(cx, shelf, run).await?.value.metrics.remove(key);
        Ok(head.map(|head| Self { shelf, prefix: prefix(shelf, &run.id, key), head }))
    }

    /// At most `most` chunks from number `first` on.
    async fn chunks<O: Op>(&self, cx: &Cx<'_, O>, first: u32, most: usize) -> Result<Vec<Row<Chunk>>> {
        let after = first.checked_sub(1).map(|number| chunk_id(&self.prefix, number));
        cx.page::<Chunk>(self.shelf, &self.prefix, after.as_deref(), most).await
    }

    /// Looks at every point, in the order of arrival.
    async fn each<O: Op>(&self, cx: &Cx<'_, O>, mut look: impl FnMut(Point)) -> Result<()> {
        let mut first = 0_u32;
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
    async fn after<O: Op>(&self, cx: &Cx<'_, O>, after: Option<&Point>, most: usize) -> Result<Vec<Point>> {
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

    /// The chunk of points in order from which on there are points after this one: the last that begins at or before it.
    async fn chunk_of<O: Op>(&self, cx: &Cx<'_, O>, point: &Point) -> Result<u32> {
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

/// What a sample is drawn from: evenly thinned when there is more than fits. The ends are kept apart.
struct Pool {
    points: Vec<Point>,
    seen: usize,
    /// Of how many points one is kept: a power of two.
    every: usize,
    ends: Option<(Point, Point)>,
}

impl Default for Pool {
    fn default() -> Self {
        Self { points: Vec::new(), seen: 0, every: 1, ends: None }
    }
}

impl Pool {
    fn add(&mut self, point: Point) {
        self.ends = Some(match self.ends {
            Some((first, last)) if point.by_step(&first).is_lt() => (point, last),
            Some((first, last)) if point.by_step(&last).is_gt() => (first, point),
            Some(ends) => ends,
            None => (point, point),
        });
        if self.seen.is_multiple_of(self.every) {
            self.points.push(point);
        }
        self.seen = self.seen.saturating_add(1);
        if self.points.len() >= POOL {
            let mut is_kept = false;
            self.points.retain(|_| {
                is_kept = !is_kept;
                is_kept
            });
            self.every = self.every.saturating_mul(2);
        }
    }

    /// At most so many, by step.
    fn draw(mut self, most: usize) -> Vec<Point> {
        self.points.extend(self.ends.into_iter().flat_map(|(first, last)| [first, last]));
        self.points.sort_unstable_by(Point::by_step);
        self.points.dedup_by_key(|point| point.identity());
        sample(&self.points, most)
    }
}

/// At most `most` of the points, evenly spread; the first and the last are always among them.
fn sample(points: &[Point], most: usize) -> Vec<Point> {
    if points.len() <= most {
        return points.to_vec();
    }
    let last = points.len().saturating_sub(1);
    let gaps = most.saturating_sub(1).max(1);
    let at = |number: usize| number.saturating_mul(last).checked_div(gaps).unwrap_or(0);
    (0..most).filter_map(|number| points.get(at(number)).copied()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_keeps_both_ends() {
        let points: Vec<Point> = (0..1000).map(|at| Point::new(at, at, 0.0)).collect();
        let few = sample(&points, 10);
        assert_eq!(few.len(), 10);
        assert_eq!((few[0].step, few[9].step), (0, 999));
        assert_eq!(sample(&points[..5], 10).len(), 5);
        assert_eq!(sample(&points, 1).len(), 1);
    }

    #[test]
    fn a_pool_is_bounded_and_stays_even() {
        let mut pool = Pool::default();
        let count: i64 = 1_000_003;
        for at in 0..count {
            pool.add(Point::new(at, at, 0.0));
            assert!(pool.points.len() < POOL);
        }
        let drawn = pool.draw(101);
        assert_eq!((drawn.len(), drawn[0].step, drawn[100].step), (101, 0, count - 1));
        let even = drawn.windows(2).all(|pair| (9_900..10_100).contains(&(pair[1].step - pair[0].step)));
        assert!(even, "{drawn:?}");
    }
}
