//! Platform metrics at Azure's `Microsoft.Insights` address (Azure Monitor REST, `metrics` and `metricDefinitions`, 2024-02-01),
//! and at `/metrics` in Prometheus' text format.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use domain::{
    gate::enter,
    platform_metrics::{
        DescribeMetrics, Dimensions, Metric, Point, Question, ReadMetrics, Scrape, ScrapeMetrics, Series, Unit,
    },
};
use http::{Method, header};
use kernel::{Error, Result, Timestamp};
use serde_json::{Map, Value, json};

use super::{super::arm::Fault, activities::both};
use crate::{Doors, Guest};

/// Widths of a point that may be asked for.
const INTERVALS: [(&str, u64); 8] = [
    ("PT1M", 60),
    ("PT5M", 300),
    ("PT15M", 900),
    ("PT30M", 1800),
    ("PT1H", 3600),
    ("PT6H", 6 * 3600),
    ("PT12H", 12 * 3600),
    ("P1D", 24 * 3600),
];
/// How long metrics are kept.
const RETENTION: &str = "P93D";
const NAMESPACE: &str = "Microsoft.MachineLearningServices/workspaces";

/// The doors of metrics.
pub(super) fn doors(doors: Doors) -> Doors {
    let at = |what: &str| {
        let workspace = "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.MachineLearningServices/workspaces/{workspace}";
        format!("{workspace}/providers/Microsoft.Insights/{what}")
    };
    doors
        .open::<ReadMetrics, _, _>(Method::GET, &at("metrics"), read)
        .open::<DescribeMetrics, _, _>(Method::GET, &at("metricDefinitions"), describe)
        .open::<ScrapeMetrics, _, _>(Method::GET, "/metrics", scrape)
}

async fn read(guest: Guest) -> Result<Response, Fault> {
    let workspace = guest.workspace()?;
    let caller = guest.admitted::<ReadMetrics>(&workspace).await?;
    let (question, interval) = question(&guest)?;
    let shown = shown(&guest)?;
    let span = format!("{}/{}", question.from.rfc3339(), question.until.rfc3339());
    let metrics = question.metrics.clone();
    let found = enter(guest.house(), &caller, ReadMetrics { workspace: workspace.clone(), question }).await?;
    let value = metrics.into_iter().map(|metric| {
        let of_it = found.iter().filter(|series| series.metric == metric);
        let series: Vec<Value> = of_it.map(|series| show(series, &shown)).collect();
        json!({
            "id": format!("{workspace}/providers/Microsoft.Insights/metrics/{}", metric.name()),
            "type": "Microsoft.Insights/metrics",
            "name": both(&metric.name()),
            "unit": unit(metric),
            "errorCode": "Success",
            "timeseries": series,
        })
    });
    let value: Vec<Value> = value.collect();
    let body = json!({"cost": 0, "timespan": span, "interval": interval, "namespace": NAMESPACE, "resourceregion": "local", "value": value});
    Ok(axum::Json(body).into_response())
}

fn question(guest: &Guest) -> Result<(Question, &'static str)> {
    let now = guest.house().now();
    let (from, until) = match guest.query("timespan") {
        Some(text) => span(&text)?,
        None => last_hour(now),
    };
    let asked = guest.query("interval").unwrap_or_else(|| String::from("PT1M"));
    let (interval, seconds) =
        INTERVALS.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(&asked)).ok_or_else(|| {
            let names: Vec<&str> = INTERVALS.iter().map(|(name, _)| *name).collect();
            Error::invalid("interval", format_args!("one of {}", names.join(", ")))
        })?;
    let metrics = match guest.query("metricnames").filter(|names| !names.is_empty()) {
        Some(names) => names.split(',').map(|name| named(name.trim())).collect::<Result<Vec<Metric>>>()?,
        None => Metric::ALL.to_vec(),
    };
    if metrics.len() > Metric::ALL.len() {
        return Err(Error::invalid("metricnames", "more names than there are metrics"));
    }
    let dimensions = dimensions(&guest.query("$filter").unwrap_or_default(), &metrics)?;
    Ok((Question { metrics, from, until, step: Duration::from_secs(seconds), dimensions }, interval))
}

/// The sixty minutes of which this one is the last.
fn last_hour(now: Timestamp) -> (Timestamp, Timestamp) {
    let minute = now.0.saturating_sub(now.0.rem_euclid(60_000));
    (Timestamp(minute.saturating_sub(59 * 60_000)), Timestamp(minute.saturating_add(60_000)))
}

fn span(text: &str) -> Result<(Timestamp, Timestamp)> {
    let wrong =
        || Error::invalid("timespan", "two times with a slash between: 2026-01-31T00:00:00Z/2026-01-31T12:00:00Z");
    // `az monitor metrics list` escapes it twice. A time has no `%` of its own.
    let text = text.replace("%3A", ":").replace("%2F", "/").replace("%2B", "+");
    let (from, until) = text.split_once('/').ok_or_else(wrong)?;
    let time = |text: &str| super::time(text).ok_or_else(wrong);
    Ok((time(from)?, time(until)?))
}

fn named(name: &str) -> Result<Metric> {
    Metric::named(name).ok_or_else(|| {
        let names: Vec<String> = Metric::ALL.into_iter().map(Metric::name).collect();
        Error::invalid("metricnames", format_args!("no metric has that name; there are: {}", names.join(", ")))
    })
}

/// Clauses `Dimension eq 'value'` joined by `and`; the value `*` splits.
fn dimensions(filter: &str, metrics: &[Metric]) -> Result<Dimensions> {
    let mut dimensions = Dimensions::new();
    for clause in filter.split(" and ").map(str::trim).filter(|clause| !clause.is_empty()) {
        let wrong = || Error::invalid("$filter", "`Dimension eq 'value'` clauses, joined by `and`");
        let (name, value) = clause.split_once(" eq ").ok_or_else(wrong)?;
        let value = value.trim().strip_prefix('\'').and_then(|value| value.strip_suffix('\'')).ok_or_else(wrong)?;
        let known = metrics.iter().flat_map(|metric| metric.dimensions());
        let Some(name) = known.into_iter().find(|known| known.eq_ignore_ascii_case(name.trim())) else {
            return Err(Error::invalid("$filter", "the metrics have no such dimension; ask for `metricDefinitions`"));
        };
        if dimensions.insert((*name).to_owned(), value.to_owned()).is_some() {
            return Err(Error::invalid("$filter", "each dimension may be named once"));
        }
    }
    Ok(dimensions)
}

/// The aggregations to show; by default the one that is usual for a metric.
fn shown(guest: &Guest) -> Result<Vec<Aggregation>> {
    let Some(text) = guest.query("aggregation").filter(|text| !text.is_empty()) else { return Ok(Vec::new()) };
    let find = |word: &str| {
        let found = AGGREGATIONS.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(word));
        found.ok_or_else(|| Error::invalid("aggregation", "Total, Average, Minimum, Maximum, Count"))
    };
    text.split(',').map(|word| find(word.trim())).collect()
}

type Aggregation = (&'static str, fn(&Point) -> f64);

const AGGREGATIONS: [Aggregation; 5] = [
    ("Total", |point| point.total),
    ("Average", |point| point.average),
    ("Minimum", |point| point.minimum),
    ("Maximum", |point| point.maximum),
    ("Count", |point| point.count),
];

fn usual(metric: Metric) -> &'static str {
    if metric.is_level() { "Average" } else { "Total" }
}

fn show(series: &Series, shown: &[Aggregation]) -> Value {
    let usual = AGGREGATIONS.into_iter().find(|(name, _)| *name == usual(series.metric));
    let shown: Vec<Aggregation> = if shown.is_empty() { usual.into_iter().collect() } else { shown.to_vec() };
    let data = series.points.iter().map(|point| {
        let mut datum = Map::from_iter([(String::from("timeStamp"), Value::from(point.at.rfc3339()))]);
        for (name, value) in &shown {
            datum.insert(name.to_ascii_lowercase(), Value::from(value(point)));
        }
        Value::Object(datum)
    });
    let data: Vec<Value> = data.collect();
    let metadata = series.dimensions.iter().map(|(name, value)| json!({"name": both(name), "value": value}));
    json!({"metadatavalues": metadata.collect::<Vec<_>>(), "data": data})
}

fn unit(metric: Metric) -> &'static str {
    match metric.unit() {
        Unit::Count => "Count",
        Unit::Percent => "Percent",
    }
}

async fn describe(guest: Guest) -> Result<Response, Fault> {
    let workspace = guest.workspace()?;
    let metrics =
        enter(guest.house(), &guest.caller().await?, DescribeMetrics { workspace: workspace.clone() }).await?;
    let availabilities: Vec<Value> =
        INTERVALS.iter().map(|(name, _)| json!({"timeGrain": name, "retention": RETENTION})).collect();
    let names: Vec<&str> = AGGREGATIONS.iter().map(|(name, _)| *name).collect();
    let definition = |metric: Metric| {
        let dimensions: Vec<Value> = metric.dimensions().iter().map(|name| both(name)).collect();
        json!({
            "id": format!("{workspace}/providers/Microsoft.Insights/metricDefinitions/{}", metric.name()),
            "resourceId": workspace,
            "namespace": NAMESPACE,
            "name": both(&metric.name()),
            "category": metric.category(),
            "unit": unit(metric),
            "primaryAggregationType": usual(metric),
            "supportedAggregationTypes": names,
            "metricAvailabilities": availabilities,
            "isDimensionRequired": false,
            "dimensions": dimensions,
        })
    };
    let value: Vec<Value> = metrics.into_iter().map(definition).collect();
    Ok(axum::Json(json!({"value": value})).into_response())
}

async fn scrape(guest: Guest) -> Result<Response, Fault> {
    let scrape = enter(guest.house(), &guest.caller().await?, ScrapeMetrics).await?;
    Ok(([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], exposition(&scrape)).into_response())
}

/// Prometheus' text format: <https://prometheus.io/docs/instrumenting/exposition_formats/>.
fn exposition(scrape: &Scrape) -> String {
    let mut out = String::new();
    let mut before = None;
    for (workspace, metric, dimensions, value) in &scrape.values {
        let kind = if metric.is_level() { "gauge" } else { "counter" };
        let suffix = if metric.is_level() { "" } else { "_total" };
        let name = format!("bartizan_{}{suffix}", snake(&metric.name()));
        if before != Some(*metric) {
            before = Some(*metric);
            out.push_str(&format!("# HELP {name} {} of a workspace.\n# TYPE {name} {kind}\n", metric.name()));
        }
        let mut labels = format!("workspace=\"{}\"", escaped(workspace.as_str()));
        for (dimension, value) in dimensions {
            labels.push_str(&format!(",{}=\"{}\"", snake(&spaced(dimension)), escaped(value)));
        }
        out.push_str(&format!("{name}{{{labels}}} {value}\n"));
    }
    let Some((records, denials)) = scrape.server else { return out };
    let server = [
        ("bartizan_activity_log_records_total", "Records of the activity log.", records),
        ("bartizan_anonymous_denials_total", "Requests without credentials refused since the start.", denials),
    ];
    for (name, help, value) in server {
        out.push_str(&format!("# HELP {name} {help}\n# TYPE {name} counter\n{name} {value}\n"));
    }
    out
}

fn snake(words: &str) -> String {
    words.to_ascii_lowercase().replace(' ', "_")
}

fn spaced(name: &str) -> String {
    let mut words = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.push(letter);
    }
    words
}

fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_names_dimensions_that_the_metrics_have() {
        let runs = [Metric::CompletedRuns];
        let found = dimensions("runtype eq '*' and ComputeType eq 'local'", &runs).unwrap();
        assert_eq!(
            found.into_iter().collect::<Vec<_>>(),
            [(String::from("ComputeType"), String::from("local")), (String::from("RunType"), String::from("*")),]
        );
        for bad in ["ClusterName eq '*'", "RunType = 'x'", "RunType eq x", "RunType eq '*' and runType eq 'x'"] {
            assert!(dimensions(bad, &runs).is_err(), "{bad}");
        }
        assert!(span("2026-01-01T00:00:00Z").is_err() && span("a/b").is_err());
    }

    #[test]
    fn the_text_for_prometheus_is_escaped() {
        let workspace = "/subscriptions/6b1ba1b4-4a5b-4f3c-8a85-0d8c4f1f6a11/resourceGroups/g".parse().unwrap();
        let dimensions = Dimensions::from([(String::from("RunType"), String::from("a\"b\\"))]);
        let scrape = Scrape { values: vec![(workspace, Metric::CompletedRuns, dimensions, 2.0)], server: Some((7, 0)) };
        let text = exposition(&scrape);
        assert!(text.contains("# TYPE bartizan_completed_runs_total counter\n"), "{text}");
        assert!(text.contains(",run_type=\"a\\\"b\\\\\"} 2\n"), "{text}");
        assert!(text.contains("\nbartizan_activity_log_records_total 7\n"), "{text}");
    }
}
