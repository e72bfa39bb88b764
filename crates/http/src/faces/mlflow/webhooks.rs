//! `webhooks/…`.

use axum::response::Response;
use domain::{
    gate::enter,
    tracking::{
        text,
        webhooks::{
            CreateWebhook, DeleteWebhook, GetWebhook, ListWebhooks, TestResult, TestWebhook, UpdateWebhook, Webhook,
            WebhookChange, event_of,
        },
    },
};
use http::Method;
use kernel::{Error, Kind, Result, Secret};
use uuid::Uuid;
use wire::mlflow;

use super::{
    Fault, arrive,
    fields::Fields,
    view::{done, reply},
};
use crate::{Doors, Guest};

/// MLflow's numbers for entities and actions, from 1.
const ENTITIES: [&str; 9] = [
    "REGISTERED_MODEL",
    "MODEL_VERSION",
    "MODEL_VERSION_TAG",
    "MODEL_VERSION_ALIAS",
    "PROMPT",
    "PROMPT_VERSION",
    "PROMPT_TAG",
    "PROMPT_VERSION_TAG",
    "PROMPT_ALIAS",
];
const ACTIONS: [&str; 5] = ["CREATED", "UPDATED", "DELETED", "SET", "EXCEEDED"];

/// The doors below `…/api/2.0/mlflow`.
pub(super) fn doors(doors: Doors, base: &str) -> Doors {
    let all = format!("{base}/webhooks");
    let one = format!("{all}/{{webhook}}");
    doors
        .open::<CreateWebhook, _, _>(Method::POST, &all, create_webhook)
        .open::<ListWebhooks, _, _>(Method::GET, &all, list_webhooks)
        .open::<GetWebhook, _, _>(Method::GET, &one, get_webhook)
        .open::<UpdateWebhook, _, _>(Method::PATCH, &one, update_webhook)
        .open::<DeleteWebhook, _, _>(Method::DELETE, &one, delete_webhook)
        .open::<TestWebhook, _, _>(Method::POST, &format!("{one}/test"), test_webhook)
}

fn id(guest: &Guest) -> Result<Uuid> {
    let given: String = guest.param("webhook")?;
    let missing = || Error::new(Kind::NotFound, format!("Webhook with ID {} not found.", text::echo(&given)));
    given.parse().map_err(|_| missing())
}

/// A word of an enumeration, or its number.
fn word(fields: &Fields, name: &str, words: &[&str]) -> Result<String> {
    let given = match fields.integer(name) {
        Ok(Some(number)) => usize::try_from(number).ok().and_then(|number| words.get(number.checked_sub(1)?)),
        _ => None,
    };
    match given {
        Some(word) => Ok(word.to_ascii_lowercase()),
        None => Ok(fields.need(name)?.to_ascii_lowercase()),
    }
}

fn event(fields: &Fields) -> Result<&'static str> {
    let (entity, action) = (word(fields, "entity", &ENTITIES)?, word(fields, "action", &ACTIONS)?);
    event_of(&entity, &action).ok_or_else(|| {
        let why = "there is no such event here; see MLflow's documentation of webhooks for those there are";
        text::bad("events", &format!("{entity}.{action}"), why)
    })
}

fn wanted(fields: &Fields) -> Result<WebhookChange> {
    let events: Result<Vec<&'static str>> = fields.objects("events")?.iter().map(event).collect();
    let events = events?;
    let is_active = match fields.has("status") {
        false => None,
        true => match word(fields, "status", &["ACTIVE", "DISABLED"])?.as_str() {
            "active" => Some(true),
            "disabled" => Some(false),
            other => return Err(text::bad("status", other, "it must be ACTIVE or DISABLED")),
        },
    };
    Ok(WebhookChange {
        name: fields.text("name")?.filter(|name| !name.is_empty()),
        description: fields.text("description")?,
        url: fields.text("url")?.filter(|url| !url.is_empty()),
        events: (!events.is_empty()).then_some(events),
        secret: fields.text("secret")?.map(Secret::new),
        is_active,
    })
}

fn shown(hook: Webhook) -> mlflow::Webhook {
    let event = |word: &String| {
        let (entity, action) = word.split_once('.').unwrap_or_default();
        mlflow::WebhookEvent { entity: entity.to_ascii_uppercase(), action: action.to_ascii_uppercase() }
    };
    mlflow::Webhook {
        webhook_id: hook.id.to_string(),
        name: hook.name,
        description: hook.description,
        events: hook.events.iter().map(event).collect(),
        url: hook.url,
        status: String::from(if hook.is_active { "ACTIVE" } else { "DISABLED" }),
        creation_timestamp: hook.created_at.0,
        last_updated_timestamp: hook.updated_at.0,
    }
}

fn show(hook: Webhook) -> Response {
    reply(mlflow::WebhookReply { webhook: shown(hook) })
}

async fn create_webhook(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<CreateWebhook>(&guest).await?;
    let fields = Fields::posted(guest).await?;
    fields.need("name")?;
    fields.need("url")?;
    Ok(show(enter(&house, &caller, CreateWebhook { workspace, wanted: wanted(&fields)? }).await?))
}

async fn list_webhooks(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<ListWebhooks>(&guest).await?;
    let fields = Fields::query(&guest, &["max_results", "page_token"]);
    let op =
        ListWebhooks { workspace, most: fields.count("max_results", 100)?, page_token: fields.text("page_token")? };
    let page = enter(&house, &caller, op).await?;
    Ok(reply(mlflow::Webhooks { webhooks: page.items.into_iter().map(shown).collect(), next_page_token: page.next }))
}

async fn get_webhook(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<GetWebhook>(&guest).await?;
    Ok(show(enter(&house, &caller, GetWebhook { workspace, id: id(&guest)? }).await?))
}

async fn update_webhook(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<UpdateWebhook>(&guest).await?;
    let id = id(&guest)?;
    let fields = Fields::body(guest).await?;
    Ok(show(enter(&house, &caller, UpdateWebhook { workspace, id, wanted: wanted(&fields)? }).await?))
}

async fn delete_webhook(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<DeleteWebhook>(&guest).await?;
    enter(&house, &caller, DeleteWebhook { workspace, id: id(&guest)? }).await?;
    Ok(done())
}

async fn test_webhook(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<TestWebhook>(&guest).await?;
    let id = id(&guest)?;
    let event = Fields::posted(guest).await?.object("event")?.map(|fields| event(&fields)).transpose()?;
    let TestResult { success, status, body, fault } =
        enter(&house, &caller, TestWebhook { workspace, id, event }).await?;
    let result = mlflow::WebhookTest { success, response_status: status, response_body: body, error_message: fault };
    Ok(reply(mlflow::WebhookTestReply { result }))
}
