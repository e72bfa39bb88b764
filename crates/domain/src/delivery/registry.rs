//! What webhooks of a registry are told, signed as MLflow signs it.

use base64::{Engine, engine::general_purpose::STANDARD};
use bytes::Bytes;
use kernel::{Error, Kind, Result, Secret, Timestamp, WebError, WebMethod, WebReply, WebRequest};
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use uuid::Uuid;

use super::{
    Event,
    sink::{ENOUGH, Sent},
};
use crate::{
    gate::{Activity, Admission, Outcome, Shelf},
    resources::workspace_shelf,
    tracking::{
        registry_shown,
        webhooks::{ALIAS, EVENT, EVENTS, MODEL, TAG, VERSION, Webhook},
    },
};

/// Most bytes of a receiver's answer.
const MOST_OF_ANSWER: usize = 64 << 10;
/// Tags by which MLflow itself keeps what a prompt is: no news of it.
const OF_PROMPTS: [&str; 3] = ["mlflow.prompt.is_prompt", "_mlflow_prompt_type", "mlflow.prompt.text"];

/// The event that a record is, if it is one of a registry.
pub(super) fn of(activity: &Activity) -> Option<&'static str> {
    if activity.outcome != Outcome::Succeeded {
        return None;
    }
    match activity.detail.get(EVENT) {
        Some(word) => EVENTS.into_iter().find(|known| known == word),
        // A version that came by another protocol.
        None => activity.detail.contains_key("registered").then_some("model_version.created"),
    }
}

/// Tells one after the other, and none behind one that was not taken.
pub(super) async fn send(cx: &Admission<'_>, hook: &Webhook, events: &[Event]) -> Result<Sent> {
    let begun = Instant::now();
    let (shelf, _) = workspace_shelf(cx, &hook.scope).await?;
    for (taken, event) in events.iter().enumerate() {
        if begun.elapsed() > ENOUGH {
            return Ok(Sent { taken, fault: None });
        }
        let data = data(cx, &shelf, event).await?;
        // The same in every attempt, and another for every webhook.
        let id = Uuid::from_u128(event.activity.event.as_u128() ^ hook.id.as_u128());
        let fault = match send_registry_event(cx, hook, id, (event.category, event.at()), &data).await? {
            Ok(reply) if (200..300).contains(&reply.status) => continue,
            Ok(reply) => format!("the receiver answered {}", reply.status),
            Err(fault) => fault.to_string(),
        };
        return Ok(Sent { taken, fault: Some(fault) });
    }
    Ok(Sent::all(events))
}

/// Sends one event, once; what became of it.
///
/// # Errors
/// When it could not be made ready.
pub(crate) async fn send_registry_event(
    cx: &Admission<'_>,
    hook: &Webhook,
    id: Uuid,
    (event, at): (&str, Timestamp),
    data: &Value,
) -> Result<std::result::Result<WebReply, WebError>> {
    let (entity, action) = event.split_once('.').unwrap_or_default();
    let body = json!({"entity": entity, "action": action, "timestamp": at.rfc3339(), "data": data});
    let body = serde_json::to_vec(&body).map_err(Error::internal)?;
    let (id, stamp) = (id.to_string(), cx.now().seconds().to_string());
    let signature = hook.secret.as_ref().map(|secret| signature(&secret.expose(), &id, &stamp, &body));
    let mut headers = vec![
        ("content-type", "application/json"),
        ("x-mlflow-delivery-id", id.as_str()),
        ("x-mlflow-timestamp", stamp.as_str()),
    ];
    if let Some(signature) = &signature {
        headers.push(("x-mlflow-signature", signature));
    }
    let request = WebRequest {
        method: WebMethod::Post,
        url: &hook.url,
        headers: &headers,
        body: Bytes::from(body),
        most: MOST_OF_ANSWER,
    };
    Ok(cx.web().send(request).await)
}

/// `v1,` and the code of `id.timestamp.body` in base64, under the secret's own bytes.
fn signature(key: &Secret<Vec<u8>>, id: &str, stamp: &str, body: &[u8]) -> String {
    let message = [id.as_bytes(), b".", stamp.as_bytes(), b".", body].concat();
    format!("v1,{}", STANDARD.encode(seal::message_code(key, &message)))
}

/// What there is to say of an event. The record names what it is about; tags and words are those of now, and are left out when
/// it is gone.
async fn data(cx: &Admission<'_>, shelf: &Shelf, event: &Event) -> Result<Value> {
    let detail = &event.activity.detail;
    let noted = |key: &str| detail.get(key).map(String::as_str).unwrap_or_default();
    let (mut name, mut version) = (noted(MODEL), noted(VERSION));
    if let Some((of, number)) = noted("registered").split_once(':') {
        (name, version) = (of, number);
    }
    let (entity, action) = event.category.split_once('.').unwrap_or_default();
    let mut data = Map::new();
    data.insert(String::from("name"), json!(name));
    let is_of_model = matches!(entity, "registered_model" | "prompt" | "prompt_tag");
    let is_alias_gone = entity.ends_with("_alias") && action == "deleted";
    if !(is_of_model || is_alias_gone) {
        data.insert(String::from("version"), json!(version));
    }
    if entity.ends_with("_alias") {
        data.insert(String::from("alias"), json!(noted(ALIAS)));
        return Ok(Value::Object(data));
    }
    let number = if is_of_model { None } else { version.parse().ok() };
    let shown = match registry_shown(cx, shelf, name, number).await {
        Err(fault) if fault.kind() == Kind::NotFound => None,
        found => Some(found?),
    };
    if entity.ends_with("_tag") {
        data.insert(String::from("key"), json!(noted(TAG)));
        if action == "set" {
            let value = shown.and_then(|shown| shown.tags.get(noted(TAG)).cloned());
            data.insert(String::from("value"), json!(value.unwrap_or_default()));
        }
        return Ok(Value::Object(data));
    }
    let mut shown = shown.unwrap_or_default();
    if entity.starts_with("prompt") {
        let template = shown.tags.get("mlflow.prompt.text").cloned();
        shown.tags.retain(|key, _| !OF_PROMPTS.contains(&key.as_str()));
        if entity == "prompt_version" {
            data.insert(String::from("template"), json!(template.unwrap_or_default()));
        }
    } else if entity == "model_version" {
        data.insert(String::from("source"), json!(shown.source));
        data.insert(String::from("run_id"), json!(shown.run));
    }
    data.insert(String::from("tags"), json!(shown.tags));
    data.insert(String::from("description"), json!(Some(shown.description).filter(|words| !words.is_empty())));
    Ok(Value::Object(data))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Computed with Python: `base64(hmac(b"secret", b"id.1700000000.{}", sha256))`.
    #[test]
    fn the_signature_is_mlflow_s() {
        let key = Secret::new(b"secret".to_vec());
        let signed = signature(&key, "id", "1700000000", b"{}");
        assert_eq!(signed, "v1,GBemBzTgbKoVEGKycqyY3615LbdJbhFLE1oQk+zZ+lo=");
    }
}
