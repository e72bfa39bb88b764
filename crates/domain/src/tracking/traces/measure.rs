//! Numbers in groups, and what is told of each group.

use std::collections::BTreeMap;

use kernel::{Error, Kind, Result};

/// Most groups of one request.
const MOST_GROUPS: usize = 10_000;
/// Most numbers that are kept for percentiles (16 MiB).
const MOST_KEPT: usize = 2_000_000;

/// What is told of the numbers of a group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Aggregation {
    /// How many.
    Count,
    /// Their sum.
    Sum,
    /// Their mean.
    Average,
    /// The least.
    Least,
    /// The greatest.
    Greatest,
    /// Below which so many of a hundred lie.
    Percentile(f64),
}

impl Aggregation {
    /// MLflow's name.
    pub fn label(&self) -> String {
        match self {
            Self::Count => String::from("COUNT"),
            Self::Sum => String::from("SUM"),
            Self::Average => String::from("AVG"),
            Self::Least => String::from("MIN"),
            Self::Greatest => String::from("MAX"),
            Self::Percentile(at) => format!("P{at:?}"),
        }
    }
}

/// One group of numbers.
#[derive(Clone, Debug, PartialEq)]
pub struct DataPoint {
    /// What they have in common.
    pub dimensions: BTreeMap<String, String>,
    /// What is told of them.
    pub values: BTreeMap<String, f64>,
}

#[derive(Debug, Default)]
struct Group {
    count: u32,
    sum: f64,
    least: Option<f64>,
    greatest: Option<f64>,
    /// All of them, where percentiles are asked for.
    kept: Vec<f64>,
}

/// Numbers on their way into groups.
pub(super) struct Groups {
    groups: BTreeMap<Vec<String>, Group>,
    keeps: bool,
    kept: usize,
}

impl Groups {
    pub(super) fn new(aggregations: &[Aggregation]) -> Self {
        let keeps = aggregations.iter().any(|one| matches!(one, Aggregation::Percentile(_)));
        Self { groups: BTreeMap::new(), keeps, kept: 0 }
    }

    /// Takes a number.
    pub(super) fn take(&mut self, dimensions: Vec<String>, number: f64) -> Result<()> {
        if self.groups.len() >= MOST_GROUPS && !self.groups.contains_key(&dimensions) {
            let words = format!("more than {MOST_GROUPS} groups: choose another dimension or a shorter time");
            return Err(Error::new(Kind::Invalid, words));
        }
        let group = self.groups.entry(dimensions).or_default();
        group.count = group.count.saturating_add(1);
        group.sum += number;
        group.least = Some(group.least.map_or(number, |least| least.min(number)));
        group.greatest = Some(group.greatest.map_or(number, |greatest| greatest.max(number)));
        if self.keeps {
            self.kept = self.kept.saturating_add(1);
            if self.kept > MOST_KEPT {
                let words = format!("percentiles of more than {MOST_KEPT} numbers: choose a shorter time");
                return Err(Error::new(Kind::Invalid, words));
            }
            group.kept.push(number);
        }
        Ok(())
    }

    /// What is told of each group, in the order of their dimensions; at most so many.
    pub(super) fn tell(self, names: &[String], aggregations: &[Aggregation], most: usize) -> Vec<DataPoint> {
        let tell = |(dimensions, mut group): (Vec<String>, Group)| {
            group.kept.sort_by(f64::total_cmp);
            let values = aggregations.iter().filter_map(|one| Some((one.label(), group.tell(one)?)));
            DataPoint { dimensions: names.iter().cloned().zip(dimensions).collect(), values: values.collect() }
        };
        self.groups.into_iter().take(most).map(tell).collect()
    }
}

impl Group {
    fn tell(&self, what: &Aggregation) -> Option<f64> {
        match what {
            Aggregation::Count => Some(f64::from(self.count)),
            Aggregation::Sum => Some(self.sum),
            Aggregation::Average => Some(self.sum / f64::from(self.count)),
            Aggregation::Least => self.least,
            Aggregation::Greatest => self.greatest,
            Aggregation::Percentile(at) => percentile(&self.kept, *at),
        }
    }
}

/// Between two neighbours a percentile lies in proportion, as SQL's `percentile_cont` has it.
#[expect(clippy::as_conversions, reason = "places among at most two million numbers, within 0 and their count")]
fn percentile(sorted: &[f64], at: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let place = (at / 100.0).clamp(0.0, 1.0) * last as f64;
    let below = place.floor() as usize;
    let (low, high) = (*sorted.get(below)?, *sorted.get(below.saturating_add(1).min(last))?);
    Some(low + (high - low) * place.fract())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_tell_what_is_asked() {
        let asked = [
            Aggregation::Count,
            Aggregation::Sum,
            Aggregation::Average,
            Aggregation::Least,
            Aggregation::Greatest,
            Aggregation::Percentile(50.0),
            Aggregation::Percentile(95.0),
        ];
        let mut groups = Groups::new(&asked);
        for number in [4.0, 1.0, 3.0, 2.0] {
            groups.take(vec![String::from("a")], number).unwrap();
        }
        groups.take(vec![String::from("b")], 7.0).unwrap();
        let told = groups.tell(&[String::from("name")], &asked, 10);
        let expected = [4.0, 10.0, 2.5, 1.0, 4.0, 2.5, 3.85];
        let labels = ["COUNT", "SUM", "AVG", "MIN", "MAX", "P50.0", "P95.0"];
        for (label, expected) in labels.iter().zip(expected) {
            assert!((told[0].values[*label] - expected).abs() < 1e-9, "{label}");
        }
        assert_eq!((told[1].dimensions["name"].as_str(), told[1].values["P95.0"]), ("b", 7.0));
    }

    #[test]
    fn groups_are_bounded() {
        let mut groups = Groups::new(&[Aggregation::Count]);
        for at in 0..MOST_GROUPS {
            groups.take(vec![at.to_string()], 1.0).unwrap();
        }
        groups.take(vec![String::from("0")], 1.0).unwrap();
        assert!(groups.take(vec![String::from("one more")], 1.0).is_err());
    }
}
