//! Asking for metrics: series over time, and where everything stands.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use kernel::{Action, Class, Error, ResourceId, Result, Timestamp};

use super::{
    Dimensions, Metric,
    count::be_current,
    levels::{self, Machine},
    sheet::{HOUR, Hour, MINUTE, Standing, hour_id, hour_of, workspace_id},
};
use crate::{
    gate::{Admission, Cx, Op, Row},
    resources::{Subscription, signed_in, workspace_shelf},
};

/// Reading metrics, as Azure's roles name it.
pub(crate) const READ: Action = Action::new("Microsoft.Insights/metrics/read", Class::Read);
/// Points of one series.
const MOST_POINTS: i64 = 10_000;
/// Points of all series of an answer.
const MOST_TOGETHER: i64 = 50_000;
/// Rows of one question.
const MOST_HOURS: usize = 93 * 24 + 2;

/// What is asked of the metrics of a workspace.
#[derive(Clone, Debug)]
pub struct Question {
    /// Which.
    pub metrics: Vec<Metric>,
    /// From here, rounded down to a minute.
    pub from: Timestamp,
    /// Up to here, not included.
    pub until: Timestamp,
    /// The width of a point: whole minutes.
    pub step: Duration,
    /// Only series with these values of dimensions; a value of `*` asks for a series for each value.
    pub dimensions: Dimensions,
}

/// One series.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Of which metric.
    pub metric: Metric,
    /// The dimensions that were asked for one by one.
    pub dimensions: Dimensions,
    /// In time order, without gaps.
    pub points: Vec<Point>,
}

/// What held from a time on, for one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Point {
    /// The step's beginning.
    pub at: Timestamp,
    /// The sum.
    pub total: f64,
    /// How many values it is made of.
    pub count: f64,
    /// Their mean; of a level, over the time that it stood.
    pub average: f64,
    /// The least.
    pub minimum: f64,
    /// The greatest.
    pub maximum: f64,
}

/// Reads metrics of a workspace.
#[derive(Clone, Debug)]
pub struct ReadMetrics {
    /// The workspace.
    pub workspace: ResourceId,
    /// What is asked.
    pub question: Question,
}

#[async_trait]
impl Op for ReadMetrics {
    const ACTION: Action = READ;
    type Output = Vec<Series>;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        workspace_shelf(cx, &self.workspace).await?;
        be_current(cx).await?;
        answer(cx, &self.workspace, &self.question).await
    }
}

/// The series that a question asks for.
///
/// # Errors
/// `Invalid` when the question is without sense or too large.
pub(crate) async fn answer(cx: &Admission<'_>, workspace: &ResourceId, question: &Question) -> Result<Vec<Series>> {
    let frame = Frame::new(question, cx.now())?;
    frame.afford(question.metrics.len())?;
    let system = cx.system();
    let id = workspace_id(system, workspace);
    let standing = cx.get::<Standing>(system, &id).await?;
    let level = standing.map(|row| row.value.level()).unwrap_or_default();
    let before = hour_id(&id, Timestamp(frame.from.saturating_sub(HOUR)));
    // To the present, since how it stood at the end may only be told by the next change.
    let hours = cx.page::<Hour>(system, &id, Some(&before), MOST_HOURS).await?;
    let machine = Machine { cores: u32::from(cx.compute().capabilities().cores) };
    let mut found = Vec::new();
    for metric in &question.metrics {
        if metric.is_level() {
            found.extend(levels::series(*metric, question, &frame, machine, &hours, level));
        } else {
            found.extend(counted(*metric, question, &frame, &hours)?);
        }
        frame.afford(found.len())?;
    }
    Ok(found)
}

/// The steps of an answer, in milliseconds.
pub(super) struct Frame {
    pub from: i64,
    pub until: i64,
    pub step: i64,
}

impl Frame {
    /// Refuses more series than an answer can hold.
    fn afford(&self, series: usize) -> Result<()> {
        let points = i64::try_from(series).unwrap_or(i64::MAX).saturating_mul(self.steps());
        if points > MOST_TOGETHER {
            let why = format!(
                "that is more than {MOST_TOGETHER} points in all series; ask for fewer metrics, a longer interval or a \
                 shorter time span"
            );
            return Err(Error::invalid("metricnames", why));
        }
        Ok(())
    }

    fn new(question: &Question, now: Timestamp) -> Result<Self> {
        let step = i64::try_from(question.step.as_millis()).unwrap_or(i64::MAX);
        if step < MINUTE || step.checked_rem(MINUTE) != Some(0) {
            return Err(Error::invalid("interval", "an interval is a whole number of minutes: PT1M, PT5M, PT1H, P1D"));
        }
        let from = question.from.0.saturating_sub(question.from.0.rem_euclid(MINUTE));
        let until = question.until.0.min(now.0.saturating_add(MINUTE));
        if from >= question.until.0 {
            return Err(Error::invalid("timespan", "the time span ends before it begins"));
        }
        let frame = Self { from, until, step };
        if frame.steps() > MOST_POINTS {
            let why =
                format!("that is more than {MOST_POINTS} points; ask for a longer interval or a shorter time span");
            return Err(Error::invalid("timespan", why));
        }
        Ok(frame)
    }

    /// How many points there are.
    pub(super) fn steps(&self) -> i64 {
        let span = self.until.saturating_sub(self.from).max(0);
        span.saturating_add(self.step).saturating_sub(1).checked_div(self.step).unwrap_or_default()
    }

    /// The beginning of each step.
    pub(super) fn starts(&self) -> impl Iterator<Item = i64> + use<> {
        let (from, step) = (self.from, self.step);
        (0..self.steps()).map(move |number| from.saturating_add(number.saturating_mul(step)))
    }

    fn step_of(&self, at: i64) -> Option<i64> {
        let is_inside = (self.from..self.until).contains(&at);
        is_inside.then(|| at.saturating_sub(self.from).checked_div(self.step).unwrap_or_default())
    }
}

/// The dimensions by which a series is told apart, when it is wanted at all.
pub(super) fn part(question: &Question, of: &Dimensions) -> Option<Dimensions> {
    let mut part = Dimensions::new();
    for (name, wanted) in &question.dimensions {
        let value = of.get(name).cloned().unwrap_or_default();
        if wanted == "*" {
            part.insert(name.clone(), value);
        } else if !wanted.eq_ignore_ascii_case(&value) {
            return None;
        }
    }
    Some(part)
}

fn counted(metric: Metric, question: &Question, frame: &Frame, hours: &[Row<Hour>]) -> Result<Vec<Series>> {
    let mut sums: BTreeMap<Dimensions, BTreeMap<i64, u64>> = BTreeMap::new();
    let is_split = question.dimensions.values().any(|value| value == "*");
    if !is_split {
        // What never happened is a series of zeros.
        sums.insert(Dimensions::new(), BTreeMap::new());
    }
    for hour in hours {
        for counted in hour.value.counts.iter().filter(|it| it.metric == metric) {
            let Some(part) = part(question, &counted.dimensions) else { continue };
            for (minute, count) in &counted.minutes {
                let at = hour_of(&hour.id).0.saturating_add(i64::from(*minute).saturating_mul(MINUTE));
                let Some(step) = frame.step_of(at) else { continue };
                let sum = sums.entry(part.clone()).or_default().entry(step).or_default();
                *sum = sum.saturating_add(*count);
            }
        }
    }
    let series = |(dimensions, sums): (Dimensions, BTreeMap<i64, u64>)| {
        let points =
            (0..).zip(frame.starts()).map(|(step, at)| point(at, sums.get(&step).copied().unwrap_or_default()));
        Series { metric, dimensions, points: points.collect() }
    };
    frame.afford(sums.len())?;
    Ok(sums.into_iter().map(series).collect())
}

/// Each thing that happened is a value of one.
fn point(at: i64, count: u64) -> Point {
    let total = f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    let one = if count > 0 { 1.0 } else { 0.0 };
    Point { at: Timestamp(at), total, count: total, average: one, minimum: one, maximum: one }
}

/// Where every workspace stands that the caller may see, and the server itself.
#[derive(Debug)]
pub struct ScrapeMetrics;

/// Everything that is counted, as it stands now.
#[derive(Clone, Debug)]
pub struct Scrape {
    /// Workspace, metric, dimensions, value: counts since the log began, and levels.
    pub values: Vec<(ResourceId, Metric, Dimensions, f64)>,
    /// For whoever may read the metrics of a subscription: the number of records in the activity log, and of requests without any
    /// credential that were refused since the start.
    pub server: Option<(u64, u64)>,
}

#[async_trait]
impl Op for ScrapeMetrics {
    /// Any signed-in principal may ask; the answer holds only what is theirs.
    const ACTION: Action = Action::public("Microsoft.Insights/metrics/scrape/read", Class::Read);
    type Output = Scrape;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Scrape> {
        signed_in(cx)?;
        be_current(cx).await?;
        let machine = Machine { cores: u32::from(cx.compute().capabilities().cores) };
        let mut values = Vec::new();
        for row in cx.all::<Standing>(cx.system(), b"").await? {
            let standing = row.value;
            if !cx.may(&READ, &standing.workspace) {
                continue;
            }
            for total in &standing.totals {
                let count = f64::from(u32::try_from(total.count).unwrap_or(u32::MAX));
                values.push((standing.workspace.clone(), total.metric, total.dimensions.clone(), count));
            }
            for metric in Metric::ALL.into_iter().filter(|metric| metric.is_level()) {
                let value = machine.value(metric, standing.level());
                values.push((standing.workspace.clone(), metric, levels::of_local(), value));
            }
        }
        values.sort_by(|a, b| (a.1, &a.0, &a.2).cmp(&(b.1, &b.0, &b.2)));
        let subscriptions = cx.all::<Subscription>(cx.system(), b"").await?;
        let sees_server = subscriptions.iter().any(|row| cx.may(&READ, &ResourceId::subscription(row.value.id)));
        let server = match sees_server {
            true => Some((cx.house().log_head().await?.0, cx.house().anonymous_denials())),
            false => None,
        };
        Ok(Scrape { values, server })
    }
}

/// Says which metrics a workspace has: all there are.
#[derive(Debug)]
pub struct DescribeMetrics {
    /// The workspace.
    pub workspace: ResourceId,
}

#[async_trait]
impl Op for DescribeMetrics {
    const ACTION: Action = Action::new("Microsoft.Insights/metricDefinitions/read", Class::Read);
    type Output = [Metric; 21];

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        workspace_shelf(cx, &self.workspace).await?;
        Ok(Metric::ALL)
    }
}
