//! Nodes and cores over time. There is one node, this machine, in one cluster, the workspace's local target.

use kernel::Timestamp;

use super::{
    Dimensions, Metric, Point, Question, Series,
    read::{Frame, part},
    sheet::{Hour, Level, hour_of},
};
use crate::gate::Row;

/// What the node is.
#[derive(Clone, Copy)]
pub(super) struct Machine {
    pub cores: u32,
}

impl Machine {
    /// What a level says of a metric. The machine has work, or has none, or starts nothing.
    pub(super) fn value(self, metric: Metric, level: Level) -> f64 {
        use Metric::{
            ActiveCores, ActiveNodes, IdleCores, IdleNodes, LeavingCores, LeavingNodes, PreemptedCores, PreemptedNodes,
            QuotaUtilizationPercentage, TotalCores, TotalNodes, UnusableCores, UnusableNodes,
        };
        let is_active = level.agents > 0;
        let is_unusable = !is_active && level.is_refusing;
        let nodes = |holds: bool| if holds { 1.0 } else { 0.0 };
        let cores = |holds: bool| if holds { f64::from(self.cores) } else { 0.0 };
        match metric {
            TotalNodes => nodes(true),
            TotalCores => cores(true),
            ActiveNodes => nodes(is_active),
            ActiveCores => cores(is_active),
            UnusableNodes => nodes(is_unusable),
            UnusableCores => cores(is_unusable),
            IdleNodes => nodes(!is_active && !is_unusable),
            IdleCores => cores(!is_active && !is_unusable),
            QuotaUtilizationPercentage => nodes(is_active) * 100.0,
            // This machine is never given back, nor taken away.
            LeavingCores | LeavingNodes | PreemptedCores | PreemptedNodes => 0.0,
            _ => 0.0,
        }
    }
}

/// The dimensions of the local target.
pub(super) fn of_local() -> Dimensions {
    let pairs = [("ClusterName", "local"), ("VmFamilyName", "local"), ("VmPriority", "Dedicated")];
    pairs.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

/// A level's course, over the hours from the frame's first one to the present.
pub(super) fn series(
    metric: Metric,
    question: &Question,
    frame: &Frame,
    machine: Machine,
    hours: &[Row<Hour>],
    present: Level,
) -> Option<Series> {
    let dimensions = part(question, &of_local())?;
    let mut course = Course::new(hours, present);
    let points = frame.starts().map(|at| {
        let end = at.saturating_add(frame.step).min(frame.until);
        let (mut weighted, mut minimum, mut maximum) = (0.0, f64::INFINITY, f64::NEG_INFINITY);
        let mut values = 0_u32;
        for (span, level) in course.between(at, end) {
            let value = machine.value(metric, level);
            weighted += value * span;
            minimum = minimum.min(value);
            maximum = maximum.max(value);
            values = values.saturating_add(1);
        }
        let length = milliseconds(end.saturating_sub(at)).max(1.0);
        let average = weighted / length;
        Point { at: Timestamp(at), total: average, count: f64::from(values), average, minimum, maximum }
    });
    Some(Series { metric, dimensions, points: points.collect() })
}

fn milliseconds(span: i64) -> f64 {
    f64::from(u32::try_from(span).unwrap_or(u32::MAX))
}

/// How it stood, from one change to the next.
struct Course {
    now: Level,
    /// What comes, the next one last.
    to_come: Vec<(i64, Level)>,
}

impl Course {
    fn new(hours: &[Row<Hour>], present: Level) -> Self {
        let opening = hours.iter().find_map(|hour| hour.value.opening);
        let mut to_come: Vec<(i64, Level)> = hours
            .iter()
            .flat_map(|hour| {
                let begun = hour_of(&hour.id).0;
                hour.value.changes.iter().map(move |(at, level)| (begun.saturating_add(*at), *level))
            })
            .collect();
        to_come.reverse();
        Self { now: opening.unwrap_or(present), to_come }
    }

    /// The levels of a span and how many milliseconds each stood; to be called for one span after the other. A level that stood
    /// for no time at all is there too.
    fn between(&mut self, from: i64, until: i64) -> Vec<(f64, Level)> {
        let mut found = Vec::new();
        let mut at = from;
        while let Some((next, level)) = self.to_come.last().copied().filter(|(next, _)| *next < until) {
            if next > from {
                found.push((milliseconds(next.saturating_sub(at)), self.now));
                at = next;
            }
            self.now = level;
            self.to_come.pop();
        }
        found.push((milliseconds(until.saturating_sub(at)), self.now));
        found
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{super::sheet::HOUR, *};

    fn level(agents: u64) -> Level {
        Level { agents, is_refusing: false }
    }

    #[test]
    fn a_level_stands_until_it_changes() {
        let minute = 60_000;
        let hour = Hour {
            counts: Vec::new(),
            opening: Some(level(0)),
            changes: vec![(90_000, level(1)), (105_000, level(2)), (150_000, level(0))],
        };
        let rows = [Row::new(u64::try_from(5).unwrap().to_be_bytes().as_slice(), hour)];
        let from = 5 * HOUR;
        let frame = Frame { from, until: from + 4 * minute, step: minute };
        let question = Question {
            metrics: vec![Metric::ActiveNodes],
            from: Timestamp(from),
            until: Timestamp(frame.until),
            step: Duration::from_secs(60),
            dimensions: Dimensions::from([(String::from("ClusterName"), String::from("*"))]),
        };
        let found = series(Metric::ActiveCores, &question, &frame, Machine { cores: 4 }, &rows, level(0)).unwrap();
        assert_eq!(found.dimensions["ClusterName"], "local");
        let averages: Vec<f64> = found.points.iter().map(|point| point.average).collect();
        assert_eq!(averages, [0.0, 2.0, 2.0, 0.0]);
        assert_eq!((found.points[1].minimum, found.points[1].maximum), (0.0, 4.0));
        // Another cluster has no such series.
        let other = Question { dimensions: [("ClusterName".into(), "x".into())].into(), ..question };
        assert!(series(Metric::ActiveCores, &other, &frame, Machine { cores: 4 }, &rows, level(0)).is_none());
    }

    #[test]
    fn before_the_first_change_it_stood_as_that_change_found_it() {
        let none = Course::new(&[], level(3)).between(0, 10);
        assert_eq!(none, [(10.0, level(3))]);
    }
}
