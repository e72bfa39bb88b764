//! Numbers about many traces: `traces/metrics` and `traces/calculate-filter-correlation`.

use axum::response::Response;
use domain::{
    gate::enter,
    tracking::{Aggregation, CorrelateTraces, MeasureTraces, Measured, text},
};
use http::Method;
use kernel::Result;
use wire::mlflow::{Double, MetricDataPoint, TraceCorrelation, TraceMetrics};

use super::{Fault, Fields, arrive, reply};
use crate::{Doors, Guest};

/// The doors below `…/api/3.0/mlflow/traces`.
pub(super) fn doors(doors: Doors, base: &str) -> Doors {
    doors
        .open::<MeasureTraces, _, _>(Method::POST, &format!("{base}/metrics"), measure_traces)
        .open::<CorrelateTraces, _, _>(Method::POST, &format!("{base}/calculate-filter-correlation"), correlate_traces)
}

fn aggregation(fields: &Fields) -> Result<Aggregation> {
    let word = fields.need("aggregation_type")?;
    match word.as_str() {
        "COUNT" => Ok(Aggregation::Count),
        "SUM" => Ok(Aggregation::Sum),
        "AVG" => Ok(Aggregation::Average),
        "MIN" => Ok(Aggregation::Least),
        "MAX" => Ok(Aggregation::Greatest),
        "PERCENTILE" => {
            let at = fields.number("percentile_value")?.ok_or_else(|| text::missing("percentile_value"))?;
            if !(0.0..=100.0).contains(&at) {
                return Err(text::bad("percentile_value", &at.to_string(), "it must be at least 0 and at most 100"));
            }
            Ok(Aggregation::Percentile(at))
        }
        other => {
            let why = "it must be COUNT, SUM, AVG, MIN, MAX or PERCENTILE";
            Err(text::bad("aggregation_type", other, why))
        }
    }
}

async fn measure_traces(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<MeasureTraces>(&guest).await?;
    let fields = Fields::posted(guest).await?;
    let word = fields.need("view_type")?;
    let of = match word.as_str() {
        "TRACES" => Measured::Traces,
        "SPANS" => Measured::Spans,
        "ASSESSMENTS" => Measured::Assessments,
        other => return Err(text::bad("view_type", other, "it must be TRACES, SPANS or ASSESSMENTS").into()),
    };
    let aggregations: Result<Vec<Aggregation>> = fields.objects("aggregations")?.iter().map(aggregation).collect();
    let metric = fields.need("metric_name")?;
    let op = MeasureTraces {
        workspace,
        experiments: fields.texts("experiment_ids")?,
        of,
        metric: metric.clone(),
        aggregations: aggregations?,
        dimensions: fields.texts("dimensions")?,
        filters: fields.texts("filters")?,
        seconds: fields.integer("time_interval_seconds")?,
        from: fields.integer("start_time_ms")?,
        until: fields.integer("end_time_ms")?,
        most: fields.count("max_results", 1000)?,
    };
    let points = enter(&house, &caller, op).await?.into_iter().map(|point| MetricDataPoint {
        metric_name: metric.clone(),
        dimensions: point.dimensions,
        values: point.values.into_iter().map(|(label, value)| (label, Double(value))).collect(),
    });
    Ok(reply(TraceMetrics { data_points: points.collect() }))
}

async fn correlate_traces(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<CorrelateTraces>(&guest).await?;
    let fields = Fields::posted(guest).await?;
    let op = CorrelateTraces {
        workspace,
        experiments: fields.texts("experiment_ids")?,
        first: fields.need("filter_string1")?,
        second: fields.need("filter_string2")?,
        base: fields.text_or_empty("base_filter")?,
    };
    let found = enter(&house, &caller, op).await?;
    Ok(reply(TraceCorrelation {
        npmi: Double(found.npmi),
        npmi_smoothed: Double(found.smoothed),
        filter1_count: found.first,
        filter2_count: found.second,
        joint_count: found.both,
        total_count: found.all,
    }))
}
