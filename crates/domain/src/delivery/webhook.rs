//! Events by HTTP: CloudEvents 1.0, one a request or in batches, signed as Standard Webhooks has it.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use kernel::{Error, Result, TenantId, WebMethod, WebRequest};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::{
    Event, SinkKey,
    sink::{ENOUGH, Sent},
};
use crate::gate::Admission;

/// Most bytes of a receiver's answer; nobody reads it.
const MOST_OF_ANSWER: usize = 64 << 10;
/// The media types of CloudEvents, JSON format 1.0, §3 and §4.
const SINGLE: &str = "application/cloudevents+json; charset=utf-8";
const BATCH: &str = "application/cloudevents-batch+json; charset=utf-8";

/// An event as CloudEvents has it. `sequence` is its extension of that name.
pub(super) fn cloud_event(event: &Event, tenant: Option<TenantId>) -> Value {
    json!({
        "specversion": "1.0",
        "id": event.id(),
        "source": event.activity.scope,
        "type": format!("Microsoft.Insights.{}", event.category),
        "subject": event.activity.action,
        "time": event.at().rfc3339(),
        "datacontenttype": "application/json",
        "sequence": format!("{:020}", event.seq),
        "data": event.content(tenant),
    })
}

/// Sends events in their order, and stops at the first that is not taken.
pub(super) async fn send(
    cx: &Admission<'_>,
    (url, key, is_single): (&str, Option<&SinkKey>, bool),
    events: &[Event],
) -> Result<Sent> {
    let tenant = cx.house().tenant();
    let shown: Vec<Value> = events.iter().map(|event| cloud_event(event, tenant)).collect();
    if !is_single {
        let id = events.first().map(Event::id).unwrap_or_default();
        return Ok(match post(cx, url, key, (BATCH, &id), &[], &Value::Array(shown)).await? {
            Some(fault) => Sent::none(fault),
            None => Sent::all(events),
        });
    }
    let begun = Instant::now();
    for (taken, (event, shown)) in events.iter().zip(&shown).enumerate() {
        if begun.elapsed() > ENOUGH {
            return Ok(Sent { taken, fault: None });
        }
        if let Some(fault) = post(cx, url, key, (SINGLE, &event.id()), &[], shown).await? {
            return Ok(Sent { taken, fault: Some(fault) });
        }
    }
    Ok(Sent::all(events))
}

/// Sends a body; why it was not taken, if it was not.
pub(super) async fn post(
    cx: &Admission<'_>,
    url: &str,
    key: Option<&SinkKey>,
    (media_type, id): (&str, &str),
    more: &[(&str, &str)],
    body: &Value,
) -> Result<Option<String>> {
    let body = serde_json::to_vec(body).map_err(Error::internal)?;
    let stamp = cx.now().seconds().to_string();
    let signature = key.map(|key| signature(key, id, &stamp, &body));
    let mut headers = vec![("content-type", media_type), ("webhook-id", id), ("webhook-timestamp", stamp.as_str())];
    headers.extend(more);
    if let Some(signature) = &signature {
        headers.push(("webhook-signature", signature));
    }
    let request =
        WebRequest { method: WebMethod::Post, url, headers: &headers, body: Bytes::from(body), most: MOST_OF_ANSWER };
    Ok(match cx.web().send(request).await {
        Ok(reply) if (200..300).contains(&reply.status) => None,
        Ok(reply) => Some(format!("the receiver answered {}", reply.status)),
        Err(fault) => Some(fault.to_string()),
    })
}

/// `v1,` and the code of `id.timestamp.body` (Standard Webhooks, "Symmetric").
fn signature(key: &SinkKey, id: &str, stamp: &str, body: &[u8]) -> String {
    let message = [id.as_bytes(), b".", stamp.as_bytes(), b".", body].concat();
    format!("v1,{}", STANDARD.encode(seal::message_code(&key.expose(), &message)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::Secret;

    /// The example of Standard Webhooks' own test suites.
    #[test]
    fn the_signature_is_that_of_standard_webhooks() {
        let key = SinkKey::of_webhook(&Secret::new(String::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))).unwrap();
        let body = br#"{"test": 2432232314}"#;
        let signed = signature(&key, "msg_p5jXN8AQM9LWM0D4loKWxJek", "1614265330", body);
        assert_eq!(signed, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
        assert!(SinkKey::of_webhook(&Secret::new(String::from("short"))).is_err());
    }
}
