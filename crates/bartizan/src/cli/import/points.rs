//! Histories of metrics, read exactly: a number is taken from its digits, not by way of JSON's reader, which rounds.

use std::collections::BTreeSet;

use outbound::Method;
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use super::{fault::Fault, server::Server};

/// Points that a page of a history has at most: what MLflow's client asks for.
const PAGE: &str = "25000";
/// Most points of one metric of one run.
const MOST: usize = 5_000_000;

/// A point of a metric: step, time in milliseconds, and the bits of its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Point {
    step: i64,
    timestamp: i64,
    bits: u64,
}

impl Point {
    /// The point in the form of a request.
    pub fn of(self, key: &str) -> Value {
        json!({"key": key, "value": words(f64::from_bits(self.bits)), "timestamp": self.timestamp, "step": self.step})
    }
}

/// A number as digits that give exactly it again.
fn words(value: f64) -> String {
    match value {
        value if value.is_nan() => String::from("NaN"),
        f64::INFINITY => String::from("Infinity"),
        f64::NEG_INFINITY => String::from("-Infinity"),
        value => format!("{value:e}"),
    }
}

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow, default)]
    metrics: Vec<Raw<'a>>,
    next_page_token: Option<String>,
}

/// A metric as a reply has it.
#[derive(Deserialize)]
pub struct Raw<'a> {
    #[serde(borrow)]
    value: Option<&'a RawValue>,
    #[serde(default)]
    timestamp: Value,
    #[serde(default)]
    step: Value,
    /// The metric's name.
    pub key: Option<String>,
    /// Who measured it, where a model is what was measured.
    pub run_id: Option<String>,
    /// On what.
    pub dataset_name: Option<String>,
    /// That data set's digest.
    pub dataset_digest: Option<String>,
}

impl Raw<'_> {
    /// The point. MLflow's own server keeps an infinity as the largest number there is: with `unbounds` it is one again.
    pub fn point(&self, unbounds: bool) -> Result<Point, Fault> {
        let digits = self.value.map_or("0", RawValue::get).trim_matches('"');
        let value: f64 = match digits {
            "NaN" | "nan" => f64::NAN,
            "Infinity" => f64::INFINITY,
            "-Infinity" => f64::NEG_INFINITY,
            digits => digits.parse().map_err(|_| Fault::new("a metric has a value that is no number"))?,
        };
        let value = match value {
            value if value.is_nan() => f64::NAN,
            f64::MAX if unbounds => f64::INFINITY,
            f64::MIN if unbounds => f64::NEG_INFINITY,
            0.0 => 0.0,
            value => value,
        };
        Ok(Point { step: whole(&self.step)?, timestamp: whole(&self.timestamp)?, bits: value.to_bits() })
    }
}

fn whole(value: &Value) -> Result<i64, Fault> {
    let number = match value {
        Value::Null => Some(0),
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    number.ok_or_else(|| Fault::new("a metric has a time or step that is no integer"))
}

/// All points of one metric of one run.
pub async fn read(server: &Server, run: &str, key: &str, unbounds: bool) -> Result<BTreeSet<Point>, Fault> {
    let mut points = BTreeSet::new();
    let (mut token, mut seen) = (String::new(), 0_usize);
    loop {
        let mut query = vec![("run_id", run), ("metric_key", key), ("max_results", PAGE)];
        if !token.is_empty() {
            query.push(("page_token", &token));
        }
        let bytes = server.bytes(Method::GET, "/api/2.0/mlflow/metrics/get-history", &query, None).await?;
        let page: Page<'_> =
            serde_json::from_slice(&bytes).map_err(|fault| Fault::new(format!("a history is not one: {fault}")))?;
        for raw in &page.metrics {
            points.insert(raw.point(unbounds)?);
        }
        seen = seen.saturating_add(page.metrics.len());
        let next = page.next_page_token.unwrap_or_default();
        if next.is_empty() {
            return Ok(points);
        }
        if next == token || page.metrics.is_empty() || seen > MOST {
            return Err(Fault::new(format!("a history does not end, or has more than {MOST} points")));
        }
        token = next;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_taken_from_their_digits() {
        let read = |json: &str| {
            serde_json::from_str::<Raw<'_>>(json).unwrap().point(true).map(|point| f64::from_bits(point.bits))
        };
        for exact in [0.1_f64 + 0.2, 5e-324, 1.0 / 3.0, 123_456_789.123_456_78, 2.225_073_858_507_201e-308] {
            assert_eq!(read(&format!("{{\"value\": {exact}}}")).unwrap().to_bits(), exact.to_bits());
            assert_eq!(words(exact).parse::<f64>().unwrap().to_bits(), exact.to_bits());
        }
        assert!(read(r#"{"value": "NaN"}"#).unwrap().is_nan());
        assert_eq!(read(r#"{"value": 1.7976931348623157e+308}"#).unwrap(), f64::INFINITY);
        assert_eq!(read(r#"{"value": -1.7976931348623157e+308}"#).unwrap(), f64::NEG_INFINITY);
        assert_eq!(read("{}").unwrap(), 0.0);
        for bad in [r#"{"value": "x"}"#, r#"{"value": {}}"#, r#"{"step": 1.5}"#, r#"{"timestamp": []}"#] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
