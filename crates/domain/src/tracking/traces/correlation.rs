//! How much two conditions on traces go together: normalized pointwise mutual information (Bouma 2009), as MLflow counts it.

use async_trait::async_trait;
use kernel::{Action, ResourceId, Result};

use super::sieve::{Budget, Sieve, places, some};
use crate::{
    gate::{Cx, Op},
    resources::workspace_shelf,
    tracking::{action::READ_TRACES, text},
};

/// How much two conditions go together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Correlation {
    /// From -1 (never together) over 0 (independent) to 1 (always together); NaN when one never holds.
    pub npmi: f64,
    /// The same with half a trace added to each count (Jeffreys), for few traces.
    pub smoothed: f64,
    /// Traces of which the first condition holds.
    pub first: u64,
    /// Traces of which the second condition holds.
    pub second: u64,
    /// Traces of which both hold.
    pub both: u64,
    /// Traces in all.
    pub all: u64,
}

/// Compares two conditions.
#[derive(Debug)]
pub struct CorrelateTraces {
    /// The workspace.
    pub workspace: ResourceId,
    /// Ids of the experiments.
    pub experiments: Vec<String>,
    /// The first condition, in the language of searches.
    pub first: String,
    /// The second.
    pub second: String,
    /// Only traces of which this holds count.
    pub base: String,
}

#[async_trait]
impl Op for CorrelateTraces {
    const ACTION: Action = READ_TRACES;
    type Output = Correlation;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        if self.experiments.is_empty() {
            return Err(text::missing("experiment_ids"));
        }
        let [base, first, second] = [&self.base, &self.first, &self.second].map(|filter| Sieve::parse(filter));
        let (base, first, second) = (base?, first?, second?);
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let (mut counts, mut budget) = (Correlation::default(), Budget::new());
        for experiment in &places(self.experiments)? {
            let mut after: Option<Vec<u8>> = None;
            loop {
                let (traces, next) = some(cx, &shelf, experiment, after.as_deref()).await?;
                for trace in &traces {
                    if !base.admits(cx, &shelf, trace, &mut budget).await? {
                        continue;
                    }
                    let is_first = first.admits(cx, &shelf, trace, &mut budget).await?;
                    let is_second = second.admits(cx, &shelf, trace, &mut budget).await?;
                    counts.count(is_first, is_second);
                }
                after = next;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(counts.weigh())
    }
}

impl Correlation {
    fn count(&mut self, is_first: bool, is_second: bool) {
        self.all = self.all.saturating_add(1);
        self.first = self.first.saturating_add(u64::from(is_first));
        self.second = self.second.saturating_add(u64::from(is_second));
        self.both = self.both.saturating_add(u64::from(is_first && is_second));
    }

    fn weigh(self) -> Self {
        if self.first == 0 || self.second == 0 {
            return Self { npmi: f64::NAN, smoothed: f64::NAN, ..self };
        }
        let npmi = if self.both == 0 { -1.0 } else { self.npmi_of(0.0) };
        Self { npmi, smoothed: self.npmi_of(0.5), ..self }
    }

    /// `pmi(x, y) / -log p(x, y)`, with so much added to each of the four counts.
    fn npmi_of(&self, more: f64) -> f64 {
        let only_first = self.first.saturating_sub(self.both);
        let only_second = self.second.saturating_sub(self.both);
        let neither = self.all.saturating_sub(self.both.saturating_add(only_first).saturating_add(only_second));
        if only_first == 0 && only_second == 0 && neither == 0 {
            return 1.0;
        }
        let [both, only_first, only_second, neither] =
            [self.both, only_first, only_second, neither].map(|count| float(count) + more);
        let all = both + only_first + only_second + neither;
        let pmi = both.ln() + all.ln() - (both + only_first).ln() - (both + only_second).ln();
        (pmi / (all.ln() - both.ln())).clamp(-1.0, 1.0)
    }
}

#[expect(
    clippy::as_conversions,
    reason = "counts are compared as the numbers of the language; 2^53 traces are far off"
)]
fn float(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Both, first, second, all; then what MLflow's own `calculate_npmi_from_counts` says.
    #[test]
    fn counts_are_weighed_as_mlflow_does() {
        let table = [
            ((10, 20, 15, 100), 0.522_878_745_280_337_6, 0.497_3),
            ((0, 5, 5, 10), -1.0, -0.622_3),
            ((10, 10, 10, 10), 1.0, 1.0),
            ((25, 50, 50, 100), 0.0, 0.0),
        ];
        for ((both, first, second, all), npmi, _) in table {
            let counted = Correlation { both, first, second, all, ..Correlation::default() }.weigh();
            assert!((counted.npmi - npmi).abs() < 1e-9, "{both} {first} {second} {all}: {}", counted.npmi);
            assert!((-1.0..=1.0).contains(&counted.smoothed));
        }
        let never = Correlation { first: 0, second: 3, all: 9, ..Correlation::default() }.weigh();
        assert!(never.npmi.is_nan() && never.smoothed.is_nan());
    }
}
