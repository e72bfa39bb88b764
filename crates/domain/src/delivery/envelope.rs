//! The two envelopes of pushed events, and how a receiver agrees to get them.

use bytes::Bytes;
use kernel::{Error, Kind, ResourceId, Result, WebMethod, WebRequest};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Event, news::News, webhook};
use crate::gate::Admission;

const MOST_OF_ANSWER: usize = 64 << 10;

/// How an event is wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Envelope {
    /// Event Grid's own schema: arrays, and a validation event before the first.
    EventGrid,
    /// CloudEvents 1.0: one a request, and the handshake of its webhook specification before the first.
    CloudEvents,
}

impl Envelope {
    /// The media type of a delivery.
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::EventGrid => "application/json; charset=utf-8",
            Self::CloudEvents => "application/cloudevents+json; charset=utf-8",
        }
    }

    /// One event's delivery.
    pub(super) fn wrap(self, scope: &ResourceId, event: &Event, news: &News) -> Value {
        let (id, time) = (event.id(), event.at().rfc3339());
        match self {
            Self::EventGrid => json!([{
                "id": id,
                "topic": scope,
                "subject": news.subject,
                "eventType": news.kind,
                "eventTime": time,
                "data": news.data,
                "dataVersion": "1.0",
                "metadataVersion": "1",
            }]),
            Self::CloudEvents => json!({
                "specversion": "1.0",
                "id": id,
                "source": scope,
                "subject": news.subject,
                "type": news.kind,
                "time": time,
                "datacontenttype": "application/json",
                "data": news.data,
            }),
        }
    }
}

/// Asks a receiver whether it wants events from here.
pub(super) async fn shake_hands(cx: &Admission<'_>, scope: &ResourceId, url: &str, envelope: Envelope) -> Result<()> {
    let agreed = match envelope {
        Envelope::EventGrid => validate(cx, scope, url).await?,
        Envelope::CloudEvents => ask(cx, url).await?,
    };
    agreed.map_err(|why| {
        let why = format!("the webhook did not agree to get events: {why}");
        Error::new(Kind::Invalid, format!("`properties.destination.properties.endpointUrl`: {why}"))
    })
}

/// Azure Event Grid, endpoint validation: the code comes back in the answer.
async fn validate(cx: &Admission<'_>, scope: &ResourceId, url: &str) -> Result<Result<(), String>> {
    let code = seal::hex(&seal::random::<16>()?);
    let body = json!([{
        "id": Uuid::new_v4(),
        "topic": scope,
        "subject": "",
        "data": {"validationCode": code},
        "eventType": "Microsoft.EventGrid.SubscriptionValidationEvent",
        "eventTime": cx.now().rfc3339(),
        "metadataVersion": "1",
        "dataVersion": "2",
    }]);
    let body = Bytes::from(serde_json::to_vec(&body).map_err(Error::internal)?);
    let headers = [("content-type", "application/json; charset=utf-8"), ("aeg-event-type", "SubscriptionValidation")];
    let request = WebRequest { method: WebMethod::Post, url, headers: &headers, body, most: MOST_OF_ANSWER };
    Ok(match cx.web().send(request).await {
        Ok(reply) if reply.status == 200 => {
            let answer: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
            match answer.get("validationResponse").and_then(Value::as_str) == Some(code.as_str()) {
                true => Ok(()),
                false => Err(String::from("its answer lacks `validationResponse` with the code it was sent")),
            }
        }
        Ok(reply) => Err(format!("it answered {}", reply.status)),
        Err(fault) => Err(fault.to_string()),
    })
}

/// HTTP 1.1 Web Hooks for Event Delivery, §4: the origin that may send.
async fn ask(cx: &Admission<'_>, url: &str) -> Result<Result<(), String>> {
    let own = &cx.settings().url;
    let origin = own.trim_start_matches("https://").split([':', '/']).next().unwrap_or_default();
    let headers = [("webhook-request-origin", origin)];
    let request =
        WebRequest { method: WebMethod::Options, url, headers: &headers, body: Bytes::new(), most: MOST_OF_ANSWER };
    Ok(match cx.web().send(request).await {
        Ok(reply) if (200..300).contains(&reply.status) => {
            let allowed = reply.headers.get("webhook-allowed-origin").map(String::as_str).unwrap_or_default();
            match allowed.trim() == "*" || allowed.trim().eq_ignore_ascii_case(origin) {
                true => Ok(()),
                false => Err(format!("its `WebHook-Allowed-Origin` does not allow `{origin}`")),
            }
        }
        Ok(reply) => Err(format!("it answered {} to OPTIONS", reply.status)),
        Err(fault) => Err(fault.to_string()),
    })
}

/// Delivers one event; why it was not taken, if it was not.
pub(super) async fn deliver(
    cx: &Admission<'_>,
    (url, envelope): (&str, Envelope),
    id: &str,
    body: &Value,
) -> Result<Option<String>> {
    let more: &[(&str, &str)] = match envelope {
        Envelope::EventGrid => &[("aeg-event-type", "Notification"), ("aeg-data-version", "1.0")],
        Envelope::CloudEvents => &[],
    };
    webhook::post(cx, url, None, (envelope.media_type(), id), more, body).await
}
