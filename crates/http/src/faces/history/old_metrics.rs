//! Metrics as `azureml-core` of 1.0.83 and its time logs and reads them: cells with a schema, below the run history.

use std::collections::BTreeMap;

use axum::response::{IntoResponse, Response};
use domain::{
    gate::enter,
    tracking::azure::{GetSeries, ListSeries, LogSeries, NewSeries, RunFilter, Series, SeriesKind, SeriesRow},
};
use http::{HeaderValue, Method, header};
use kernel::{Error, Kind, Result, RunId, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    Fault, arrive, body,
    metrics::{SCALAR, time},
    reply, run_of, unsupported,
};
use crate::{Doors, Guest};

/// Bytes of a body.
const BODY: usize = 32 << 20;
/// Most rows of an answer, those of all its metrics together.
const MOST_ROWS: usize = 100_000;
/// Most bytes of an answer.
const LARGEST: usize = 64 << 20;

/// The doors below `/history/v1.0{workspace}`.
pub(super) fn doors(mut doors: Doors, base: &str) -> Doors {
    for experiment in ["experiments/{experiment}", "experimentids/{experimentId}"] {
        let one = format!("{base}/{experiment}/runs/{{run}}");
        doors = doors
            .open::<LogSeries, _, _>(Method::POST, &format!("{one}/metrics"), log_one)
            .open::<LogSeries, _, _>(Method::POST, &format!("{one}/batch/metrics"), log_many)
            .open::<GetSeries, _, _>(Method::POST, &format!("{base}/{experiment}/metrics:query"), query);
    }
    doors
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sent {
    #[serde(default)]
    metric_id: Option<String>,
    #[serde(default)]
    metric_type: Option<String>,
    #[serde(default)]
    created_utc: Option<String>,
    name: String,
    #[serde(default)]
    data_location: Option<String>,
    #[serde(default)]
    cells: Vec<Map<String, Value>>,
    #[serde(default)]
    schema: Schema,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Schema {
    properties: Vec<Property>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Property {
    property_id: String,
    #[serde(rename = "type")]
    kind: String,
}

impl Sent {
    /// Cells come one value each, column after column; rows are made of those that lie beside each other.
    fn series(self, now: Timestamp) -> Result<NewSeries> {
        let at = time(self.created_utc.as_deref(), now)?;
        let id = self.metric_id.unwrap_or_default();
        let kind = self.metric_type.unwrap_or_else(|| SCALAR.to_owned());
        let mut columns: Vec<(String, String)> = Vec::new();
        let mut rows: Vec<SeriesRow> = Vec::new();
        let new_row = |data| SeriesRow { id: id.clone(), at, step: None, data };
        if let Some(location) = self.data_location.filter(|location| !location.is_empty()) {
            columns.push((self.name.clone(), String::from("Artifact")));
            rows.push(new_row(BTreeMap::from([(self.name.clone(), json!(location))])));
            return Ok(NewSeries { name: self.name, kind, columns, rows });
        }
        for property in self.schema.properties {
            let kind = if property.kind.eq_ignore_ascii_case("float") { String::from("double") } else { property.kind };
            columns.push((property.property_id, kind));
        }
        let mut filled: BTreeMap<String, usize> = BTreeMap::new();
        for (column, value) in self.cells.into_iter().flatten() {
            let at = filled.entry(column.clone()).or_insert(0);
            match rows.get_mut(*at) {
                Some(row) => drop(row.data.insert(column, value)),
                None => rows.push(new_row(BTreeMap::from([(column, value)]))),
            }
            *at = at.saturating_add(1);
        }
        Ok(NewSeries { name: self.name, kind, columns, rows })
    }
}

async fn log(guest: Guest, read: impl FnOnce(&bytes::Bytes) -> Result<Vec<Sent>>) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<LogSeries>(&guest).await?;
    let run = run_of(&guest)?;
    let sent = read(&guest.bytes_to(BODY).await?)?;
    let now = house.now();
    let series = sent.into_iter().map(|one| one.series(now)).collect::<Result<Vec<_>>>()?;
    enter(&house, &caller, LogSeries { workspace, run, series, tells_refused: false }).await?;
    Ok(reply(json!({})))
}

async fn log_one(guest: Guest) -> Result<Response, Fault> {
    log(guest, |text| Ok(vec![body::read(text)?])).await
}

#[derive(Deserialize)]
struct Batch {
    #[serde(default)]
    values: Vec<Sent>,
}

async fn log_many(guest: Guest) -> Result<Response, Fault> {
    log(guest, |text| Ok(body::read::<Batch>(text)?.values)).await
}

/// What they are asked for with.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Asked {
    filter: Option<String>,
}

/// The metrics of one run, those of one name if one is named.
async fn query(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<GetSeries>(&guest).await?;
    let asked: Asked = body::read(&guest.bytes().await?)?;
    let filter = RunFilter::parse(&asked.filter.unwrap_or_default())?;
    let one_run = || unsupported("metrics are asked for one run at a time: `filter` is `RunId eq …`");
    let run: RunId = filter.demanded("RunId").and_then(|run| run.parse().ok()).ok_or_else(one_run)?;
    let all = enter(&house, &caller, ListSeries { workspace: workspace.clone(), run: run.clone() }).await?;
    let wanted = filter.demanded("name");
    let mut answer = Answer::new();
    for kind in all.into_iter().filter(|kind| wanted.is_none_or(|wanted| wanted == kind.name)) {
        let mut page_token = None;
        loop {
            let op = GetSeries {
                workspace: workspace.clone(),
                run: run.clone(),
                name: kind.name.clone(),
                between: (None, None),
                page_token,
            };
            let Series { what, rows, next } = enter(&house, &caller, op).await?;
            for row in &rows {
                let row = shown(&run, &what, row, answer.rows);
                answer.add(&row)?;
            }
            page_token = next;
            if page_token.is_none() {
                break;
            }
        }
    }
    Ok(answer.whole())
}

/// An answer as it grows. Rows are written down as they come: taken apart, they need many times the room of their text.
struct Answer {
    text: Vec<u8>,
    rows: usize,
}

impl Answer {
    fn new() -> Self {
        Self { text: br#"{"value":["#.to_vec(), rows: 0 }
    }

    /// Adds a row. The old client knows no pages, so that what is too much for one answer is refused.
    fn add(&mut self, row: &Value) -> Result<()> {
        if self.rows > 0 {
            self.text.push(b',');
        }
        serde_json::to_writer(&mut self.text, row).map_err(Error::internal)?;
        self.rows = self.rows.saturating_add(1);
        if self.rows > MOST_ROWS || self.text.len() > LARGEST {
            let why = "the run's metrics have more rows than one answer holds; ask for single ones by name (`get_metrics(name=…)`), \
                       or with a newer `azureml-core`";
            return Err(Error::new(Kind::TooLarge, why));
        }
        Ok(())
    }

    fn ended(mut self) -> Vec<u8> {
        self.text.extend_from_slice(br#"],"continuationToken":null}"#);
        self.text
    }

    fn whole(self) -> Response {
        let headers = [
            (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
            (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
        ];
        (headers, self.ended()).into_response()
    }
}

/// A row by itself. The client takes two of one id for the same.
fn shown(run: &RunId, what: &SeriesKind, row: &SeriesRow, number: usize) -> Value {
    let is_file = matches!(what.columns.as_slice(), [(_, kind)] if kind.eq_ignore_ascii_case("artifact"));
    let cell = |(name, _): &(String, String)| json!({name: row.data.get(name)});
    let property = |(name, kind): &(String, String)| json!({"propertyId": name, "name": what.name, "type": kind});
    json!({
        "runId": run.as_str(),
        "metricId": format!("{}-{number}", row.id),
        "metricType": what.kind,
        "createdUtc": Timestamp(row.at).rfc3339(),
        "name": what.name,
        "description": "",
        "numCells": what.columns.len(),
        "dataLocation": row.data.get(&what.name).filter(|_| is_file),
        "cells": what.columns.iter().map(cell).collect::<Vec<_>>(),
        "schema": {
            "numProperties": what.columns.len(),
            "properties": what.columns.iter().map(property).collect::<Vec<_>>(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_one_text_and_holds_so_many_rows_of_all_metrics() {
        let read = |answer: Answer| serde_json::from_slice::<Value>(&answer.ended()).unwrap();
        assert_eq!(read(Answer::new()), json!({"value": [], "continuationToken": null}));
        let mut answer = Answer::new();
        for row in [json!({"name": "a"}), json!({"name": "b"})] {
            answer.add(&row).unwrap();
        }
        assert_eq!(read(answer), json!({"value": [{"name": "a"}, {"name": "b"}], "continuationToken": null}));
        let mut answer = Answer::new();
        answer.rows = 99_999;
        answer.add(&json!({})).unwrap();
        assert_eq!(answer.add(&json!({})).unwrap_err().kind(), Kind::TooLarge);
        let mut answer = Answer::new();
        let large = json!({"text": "x".repeat(LARGEST)});
        assert_eq!(answer.add(&large).unwrap_err().kind(), Kind::TooLarge);
    }
}
