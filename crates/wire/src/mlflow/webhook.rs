//! Webhooks of the registry.

use serde::{Deserialize, Serialize};

/// An event that a webhook is told of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookEvent {
    /// In capitals, for example `MODEL_VERSION`.
    pub entity: String,
    /// In capitals, for example `CREATED`.
    pub action: String,
}

/// A webhook. Its secret is in no answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    /// Its id.
    pub webhook_id: String,
    /// For people.
    pub name: String,
    /// For people.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub description: String,
    /// Where events go.
    pub url: String,
    /// Which.
    pub events: Vec<WebhookEvent>,
    /// `ACTIVE` or `DISABLED`.
    pub status: String,
    /// When it was made, in milliseconds.
    pub creation_timestamp: i64,
    /// When it was changed last, in milliseconds.
    pub last_updated_timestamp: i64,
}

/// An answer with one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookReply {
    /// The webhook.
    pub webhook: Webhook,
}

/// A page of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhooks {
    /// The webhooks.
    pub webhooks: Vec<Webhook>,
    /// Where the next page begins, if there is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub next_page_token: Option<String>,
}

/// What a receiver said to a test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookTest {
    /// Whether it took the event.
    pub success: bool,
    /// Its status, when there was an answer.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub response_status: Option<u16>,
    /// The beginning of its answer.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub response_body: Option<String>,
    /// Why there was none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub error_message: Option<String>,
}

/// An answer with that.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WebhookTestReply {
    /// What the receiver said.
    pub result: WebhookTest,
}
