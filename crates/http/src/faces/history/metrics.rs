//! `/metric/v2.0{workspace}/runs/{run}`: metrics with kinds and columns.

use std::collections::BTreeMap;

use axum::response::Response;
use domain::{
    gate::enter,
    tracking::azure::{GetSeries, ListSeries, LogSeries, NewSeries, Refused, Series, SeriesKind, SeriesRow},
};
use http::Method;
use kernel::{Error, Result, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Fault, arrive, body, container_of, reply, run_of, runs::error_of};
use crate::{Doors, Guest};

/// Bytes of a body: ten thousand rows of fifteen cells, about.
const BODY: usize = 32 << 20;

/// The doors below `/metric/v2.0{workspace}/runs/{run}`.
pub(super) fn doors(doors: Doors, base: &str) -> Doors {
    doors
        .open::<LogSeries, _, _>(Method::POST, &format!("{base}/batch"), log)
        .open::<ListSeries, _, _>(Method::POST, &format!("{base}/list"), list)
        .open::<GetSeries, _, _>(Method::POST, &format!("{base}/full"), get)
}

/// Metrics as clients send them.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Batch {
    #[serde(default)]
    values: Vec<Sent>,
    #[serde(default)]
    report_errors: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sent {
    name: String,
    #[serde(default)]
    columns: Map<String, Value>,
    #[serde(default)]
    value: Vec<SentRow>,
    #[serde(default)]
    properties: Properties,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Properties {
    ux_metric_type: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SentRow {
    #[serde(default)]
    metric_id: Option<String>,
    #[serde(default)]
    created_utc: Option<String>,
    #[serde(default)]
    step: Option<i64>,
    #[serde(default)]
    data: BTreeMap<String, Value>,
}

/// The kind of what says none.
pub(super) const SCALAR: &str = "azureml.v1.scalar";

pub(super) fn time(text: Option<&str>, now: Timestamp) -> Result<i64> {
    let bad = || Error::invalid("createdUtc", "must be a time like `2026-01-31T12:00:00Z`");
    text.map_or(Ok(now.0), |text| Timestamp::parse_rfc3339(text).map(|at| at.0).ok_or_else(bad))
}

impl Sent {
    fn series(self, now: Timestamp) -> Result<NewSeries> {
        let column = |(name, kind): (String, Value)| match kind {
            Value::String(kind) => Ok((name, kind)),
            _ => Err(Error::invalid("columns", "the type of a column is a text")),
        };
        let row = |row: SentRow| {
            let at = time(row.created_utc.as_deref(), now)?;
            Ok::<_, Error>(SeriesRow { id: row.metric_id.unwrap_or_default(), at, step: row.step, data: row.data })
        };
        Ok(NewSeries {
            name: self.name,
            kind: self.properties.ux_metric_type.unwrap_or_else(|| SCALAR.to_owned()),
            columns: self.columns.into_iter().map(column).collect::<Result<_>>()?,
            rows: self.value.into_iter().map(row).collect::<Result<_>>()?,
        })
    }
}

async fn log(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<LogSeries>(&guest).await?;
    let run = run_of(&guest)?;
    let batch: Batch = body::read(&guest.bytes_to(BODY).await?)?;
    let now = house.now();
    let tells_refused = batch.report_errors;
    let series = batch.values.into_iter().map(|one| one.series(now)).collect::<Result<Vec<_>>>()?;
    let names: Vec<String> = series.iter().map(|one| one.name.clone()).collect();
    let refused = enter(&house, &caller, LogSeries { workspace, run, series, tells_refused }).await?;
    let error = |refused: &Refused| {
        let name = names.get(refused.at).cloned().unwrap_or_default();
        json!({"metric": {"name": name}, "errorResponse": error_of(&refused.why)})
    };
    Ok(reply(json!({"errors": refused.iter().map(error).collect::<Vec<_>>()})))
}

fn columns(kind: &SeriesKind) -> Map<String, Value> {
    kind.columns.iter().map(|(name, kind)| (name.clone(), json!(kind))).collect()
}

async fn list(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<ListSeries>(&guest).await?;
    let found = enter(&house, &caller, ListSeries { workspace, run: run_of(&guest)? }).await?;
    let value: Vec<Value> = found
        .iter()
        .map(|kind| {
            json!({
                "metricKey": {"name": kind.name, "labels": {}},
                "columns": columns(kind),
                "properties": {"uxMetricType": kind.kind},
            })
        })
        .collect();
    Ok(reply(json!({"value": value, "continuationToken": null})))
}

/// What a metric is asked for with.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Asked {
    metric_name: String,
    #[serde(default)]
    start_time: Option<String>,
    #[serde(default)]
    end_time: Option<String>,
    #[serde(default)]
    continuation_token: Option<String>,
}

async fn get(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<GetSeries>(&guest).await?;
    let run = run_of(&guest)?;
    let asked: Asked = body::read(&guest.bytes().await?)?;
    let bound = |text: &Option<String>| text.as_deref().map(|text| time(Some(text), house.now())).transpose();
    let between = (bound(&asked.start_time)?, bound(&asked.end_time)?);
    let op = GetSeries {
        workspace,
        run: run.clone(),
        name: asked.metric_name,
        between,
        page_token: asked.continuation_token,
    };
    let Series { what, rows, next } = enter(&house, &caller, op).await?;
    let row = |row: SeriesRow| {
        // A row may lack a column that came later; the client wants each of them.
        let mut data = row.data;
        for (column, _) in &what.columns {
            data.entry(column.clone()).or_insert(Value::Null);
        }
        json!({"metricId": row.id, "createdUtc": Timestamp(row.at).rfc3339(), "step": row.step, "data": data})
    };
    Ok(reply(json!({
        "dataContainerId": container_of(&run),
        "name": what.name,
        "columns": columns(&what),
        "value": rows.into_iter().map(row).collect::<Vec<_>>(),
        "continuationToken": next,
        "properties": {"uxMetricType": what.kind},
    })))
}
