//! Events as log records of OpenTelemetry: OTLP/HTTP with JSON (`ExportLogsServiceRequest` in its proto3 mapping).

use bytes::Bytes;
use kernel::{Error, Result, Secret, WebMethod, WebRequest};
use serde_json::{Value, json};

use super::{Event, SinkKey, sink::Sent};
use crate::gate::{Admission, Outcome};

const MOST_OF_ANSWER: usize = 64 << 10;

pub(super) async fn send(cx: &Admission<'_>, url: &str, token: Option<&SinkKey>, events: &[Event]) -> Result<Sent> {
    let body = serde_json::to_vec(&request(cx, events)).map_err(Error::internal)?;
    let bearer = token.map(|token| {
        let text = String::from_utf8_lossy(token.expose().expose()).into_owned();
        Secret::new(["Bearer ", &text].concat())
    });
    let mut headers = vec![("content-type", "application/json")];
    if let Some(bearer) = &bearer {
        headers.push(("authorization", bearer.expose()));
    }
    let request =
        WebRequest { method: WebMethod::Post, url, headers: &headers, body: Bytes::from(body), most: MOST_OF_ANSWER };
    Ok(match cx.web().send(request).await {
        Ok(reply) if (200..300).contains(&reply.status) => {
            // What a collector refused it will refuse again (OTLP, "Partial Success"): that is noted, and not repeated.
            Sent { fault: refused(&reply.body), ..Sent::all(events) }
        }
        Ok(reply) => Sent::none(format!("the collector answered {}", reply.status)),
        Err(fault) => Sent::none(fault),
    })
}

fn request(cx: &Admission<'_>, events: &[Event]) -> Value {
    let tenant = cx.house().tenant();
    let resource = [
        attribute("service.name", "bartizan"),
        attribute("service.version", env!("CARGO_PKG_VERSION")),
        attribute("server.address", &cx.settings().url),
    ];
    let records: Vec<Value> = events.iter().map(|event| record(event, &event.content(tenant))).collect();
    json!({"resourceLogs": [{
        "resource": {"attributes": resource},
        "scopeLogs": [{"scope": {"name": "bartizan.activity-log"}, "logRecords": records}],
    }]})
}

fn record(event: &Event, content: &Value) -> Value {
    let activity = &event.activity;
    // Numbers of severity: OpenTelemetry, logs data model, "SeverityNumber".
    let (number, text) = match activity.outcome {
        Outcome::Succeeded => (9, "INFO"),
        Outcome::Denied => (13, "WARN"),
        Outcome::Failed(_) => (17, "ERROR"),
    };
    let nanos = i128::from(event.at().0).saturating_mul(1_000_000).to_string();
    let (sequence, correlation) = (event.seq.to_string(), activity.correlation.to_string());
    let attributes = [
        attribute("azure.category", event.category),
        attribute("azure.resource_id", activity.scope.as_str()),
        attribute("azure.operation_name", &activity.action),
        attribute("azure.correlation_id", &correlation),
        attribute("azure.result_type", activity.outcome.word()),
        attribute("enduser.id", &activity.actor.label()),
        attribute("bartizan.sequence", &sequence),
    ];
    json!({
        "timeUnixNano": nanos,
        "observedTimeUnixNano": nanos,
        "severityNumber": number,
        "severityText": text,
        "eventName": event.category,
        "body": {"stringValue": content.to_string()},
        "attributes": attributes,
    })
}

fn attribute(key: &str, value: &str) -> Value {
    json!({"key": key, "value": {"stringValue": value}})
}

/// What a collector says it did not take.
fn refused(body: &[u8]) -> Option<String> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let partial = answer.get("partialSuccess")?;
    let count = partial.get("rejectedLogRecords")?;
    // 64-bit numbers are text in proto3's JSON; many collectors send numbers.
    let count = count.as_u64().or_else(|| count.as_str()?.parse().ok()).filter(|count| *count > 0)?;
    Some(format!("the collector took all but {count} of the last events for good"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partial_success_is_read_in_either_spelling() {
        assert!(refused(br#"{"partialSuccess": {"rejectedLogRecords": "3"}}"#).unwrap().contains("but 3"));
        assert!(refused(br#"{"partialSuccess": {"rejectedLogRecords": 1}}"#).is_some());
        for whole in
            [&b"{}"[..], br#"{"partialSuccess": {}}"#, br#"{"partialSuccess": {"rejectedLogRecords": 0}}"#, b"ok"]
        {
            assert_eq!(refused(whole), None);
        }
    }
}
