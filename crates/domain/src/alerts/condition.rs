//! What a rule waits for: static thresholds over one aggregated value of a metric.

use std::collections::BTreeMap;

use kernel::{Error, Kind, Result};
use serde::{Deserialize, Serialize};

use crate::platform_metrics::{Metric, Point};

/// Conditions of one rule (Azure's limit).
const MOST: usize = 5;

/// A span of time that rules may name: whole minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Span {
    /// How many.
    pub minutes: u32,
}

const SPANS: [(&str, u32); 8] = [
    ("PT1M", 1),
    ("PT5M", 5),
    ("PT15M", 15),
    ("PT30M", 30),
    ("PT1H", 60),
    ("PT6H", 6 * 60),
    ("PT12H", 12 * 60),
    ("P1D", 24 * 60),
];
/// The longest time between two evaluations.
const SELDOM: Span = Span { minutes: 60 };

impl Span {
    /// The span of this name, as ISO 8601 has it.
    ///
    /// # Errors
    /// `Invalid` for one that is not offered.
    pub fn named(field: &str, name: &str) -> Result<Self> {
        let name = if name.eq_ignore_ascii_case("PT24H") { "P1D" } else { name };
        let found = SPANS.into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, minutes)| Self { minutes }).ok_or_else(|| {
            let names: Vec<&str> = SPANS.iter().map(|(name, _)| *name).collect();
            Error::invalid(field, format_args!("is one of {}", names.join(", ")))
        })
    }

    /// Its name.
    pub fn word(self) -> String {
        let found = SPANS.into_iter().find(|(_, minutes)| *minutes == self.minutes);
        found.map_or_else(|| format!("PT{}M", self.minutes), |(name, _)| name.to_owned())
    }

    /// Its length in milliseconds.
    pub(super) fn milliseconds(self) -> i64 {
        i64::from(self.minutes).saturating_mul(60_000)
    }

    /// Refuses a time between evaluations that is too long, or longer than what is looked at.
    pub(super) fn check(frequency: Self, window: Self) -> Result<()> {
        if frequency > SELDOM {
            return Err(Error::invalid("properties.evaluationFrequency", "is at most PT1H"));
        }
        if window < frequency {
            return Err(Error::invalid("properties.windowSize", "is at least as long as `evaluationFrequency`"));
        }
        Ok(())
    }
}

/// How a value is compared with the threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operator {
    /// The same.
    Equals,
    /// More.
    GreaterThan,
    /// As much or more.
    GreaterThanOrEqual,
    /// Less.
    LessThan,
    /// As much or less.
    LessThanOrEqual,
}

impl Operator {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Equals, Self::GreaterThan, Self::GreaterThanOrEqual, Self::LessThan, Self::LessThanOrEqual];

    fn holds(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::Equals => (value - threshold).abs() < f64::EPSILON,
            Self::GreaterThan => value > threshold,
            Self::GreaterThanOrEqual => value >= threshold,
            Self::LessThan => value < threshold,
            Self::LessThanOrEqual => value <= threshold,
        }
    }
}

/// What is made of the values of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Aggregation {
    /// Their mean; of a level, over the time that it stood.
    Average,
    /// How many they are.
    Count,
    /// The least.
    Minimum,
    /// The greatest.
    Maximum,
    /// Their sum; of a level, as its average.
    Total,
}

impl Aggregation {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Average, Self::Count, Self::Minimum, Self::Maximum, Self::Total];

    pub(super) fn of(self, point: &Point) -> f64 {
        match self {
            Self::Average => point.average,
            Self::Count => point.count,
            Self::Minimum => point.minimum,
            Self::Maximum => point.maximum,
            Self::Total => point.total,
        }
    }
}

/// One condition.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Condition {
    /// Its name within the rule.
    pub name: String,
    /// Of what.
    pub metric: Metric,
    /// How it is compared.
    pub operator: Operator,
    /// With what.
    pub threshold: f64,
    /// What is made of the window's values.
    pub aggregation: Aggregation,
    /// Only what has these values of dimensions.
    pub dimensions: BTreeMap<String, String>,
}

impl Condition {
    pub(super) fn holds(&self, value: f64) -> bool {
        self.operator.holds(value, self.threshold)
    }
}

/// The conditions of a rule: all must hold.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Conditions {
    /// Whether the rule may name several workspaces.
    pub is_multiple: bool,
    /// The conditions.
    pub all_of: Vec<Condition>,
}

impl Conditions {
    /// Azure's name of the kind.
    pub fn kind(&self) -> &'static str {
        match self.is_multiple {
            true => "MultipleResourceMultipleMetricCriteria",
            false => "SingleResourceMultipleMetricCriteria",
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        let field = "properties.criteria.allOf";
        if !(1..=MOST).contains(&self.all_of.len()) {
            return Err(Error::invalid(field, format_args!("has 1 to {MOST} criteria")));
        }
        for (place, condition) in self.all_of.iter().enumerate() {
            if condition.name.is_empty() || condition.name.len() > 128 {
                return Err(Error::invalid(field, "gives each criterion a name of 1 to 128 characters"));
            }
            if self.all_of.iter().skip(place.saturating_add(1)).any(|other| other.name == condition.name) {
                return Err(Error::invalid(field, format_args!("has two criteria named `{}`", condition.name)));
            }
            if !condition.threshold.is_finite() {
                return Err(Error::invalid(field, "has a threshold that is no number"));
            }
            let known = condition.metric.dimensions();
            if let Some(unknown) = condition.dimensions.keys().find(|name| !known.contains(&name.as_str())) {
                let why = format_args!("`{}` has no dimension `{unknown}`", condition.metric.name());
                return Err(Error::invalid(field, why));
            }
            if condition.dimensions.values().any(|value| value == "*") {
                let why = format!("`{field}`: a dimension is compared with one value; make a rule for each");
                return Err(Error::new(Kind::Unsupported, why));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_known_by_their_names_and_a_window_covers_its_evaluations() {
        for (name, minutes) in SPANS {
            let span = Span::named("x", &name.to_lowercase()).unwrap();
            assert_eq!((span.minutes, span.word()), (minutes, name.to_owned()));
        }
        assert_eq!(Span::named("x", "PT24H").unwrap().word(), "P1D");
        assert!(Span::named("x", "PT7M").is_err());
        let of = |minutes| Span { minutes };
        assert!(Span::check(of(5), of(5)).is_ok());
        assert!(Span::check(of(15), of(5)).is_err() && Span::check(of(360), of(1440)).is_err());
    }

    #[test]
    fn thresholds_are_compared_as_they_say() {
        let holding = |value| Operator::ALL.map(|operator| operator.holds(value, 90.0));
        assert_eq!(holding(90.0), [true, false, true, false, true]);
        assert_eq!(holding(91.0), [false, true, true, false, false]);
        assert_eq!(holding(0.0), [false, false, false, true, true]);
    }
}
