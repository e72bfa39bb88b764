//! Copies of the log: one JSON object a line, each with what verification needs.

use axum::response::{IntoResponse, Response};
use base64::{Engine, engine::general_purpose::STANDARD};
use domain::{
    audit::{ExportActivities, ExportLog, Listed},
    gate::enter,
};
use http::header;
use kernel::{Error, LogRow};
use serde_json::{Value, json};

use super::{activities, ocsf};
use crate::{Guest, faces::arm::Fault};

/// `format`: `rows` as they are stored, `jsonl` with the record opened beside them, `ocsf` the other way around.
pub(super) async fn export(guest: Guest) -> Result<Response, Fault> {
    let number =
        |name: &str| guest.query(name).map(|text| text.parse()).transpose().map_err(|why| Error::invalid(name, why));
    let from = number("from")?.unwrap_or(1);
    let most = usize::try_from(number("limit")?.unwrap_or(1000)).unwrap_or(usize::MAX);
    let format = guest.query("format").unwrap_or_else(|| String::from("rows"));
    if !matches!(format.as_str(), "rows" | "jsonl" | "ocsf") {
        return Err(Error::invalid("format", "is `rows`, `jsonl` or `ocsf`").into());
    }
    let (house, caller) = (guest.house(), guest.caller().await?);
    let mut out = String::new();
    let mut add = |line: Value| {
        out.push_str(&line.to_string());
        out.push('\n');
    };
    if format == "rows" {
        for row in enter(house, &caller, ExportLog { from, most }).await? {
            add(stored(&row));
        }
    } else {
        for (row, activity) in enter(house, &caller, ExportActivities { from, most }).await? {
            let mut line = stored(&row);
            if format == "ocsf" {
                add(ocsf::event(row.seq, &activity, house.tenant(), line));
                continue;
            }
            if let Some(fields) = line.as_object_mut() {
                let listed = Listed { seq: row.seq, activity };
                fields.insert(String::from("event"), Value::Object(activities::view(&guest, &listed)));
            }
            add(line);
        }
    }
    Ok(([(header::CONTENT_TYPE, "application/x-ndjson")], out).into_response())
}

/// A row as it is stored: all that the chain covers.
fn stored(row: &LogRow) -> Value {
    json!({"seq": row.seq, "link": STANDARD.encode(row.link), "record": STANDARD.encode(row.record.bytes())})
}
