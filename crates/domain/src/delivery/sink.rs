//! Where events go: a storage account's archive, a webhook, a syslog server, an OpenTelemetry collector.

use std::time::Duration;

use kernel::{Error, ResourceId, Result, Secret};
use serde::{Deserialize, Serialize};

use super::Event;
use crate::gate::Admission;

/// Shortest key of a webhook, in bytes (Standard Webhooks, "Secrets").
const SHORTEST_KEY: usize = 24;
const LONGEST_KEY: usize = 256;

/// A sink.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub enum Sink {
    /// Blobs of JSON Lines in a storage account of ours, sealed.
    Archive {
        /// The account.
        account: ResourceId,
    },
    /// CloudEvents by HTTP.
    Webhook {
        /// Where.
        url: String,
        /// What signs them; shared with the receiver.
        key: Option<SinkKey>,
        /// One event a request, instead of batches.
        is_single: bool,
    },
    /// Messages of RFC 5424.
    Syslog {
        /// `tls://host:port`.
        server: String,
    },
    /// OTLP/HTTP with JSON.
    Otlp {
        /// The collector's address for logs, usually `…/v1/logs`.
        url: String,
        /// The bearer token it asks for.
        token: Option<SinkKey>,
    },
}

/// A secret of a sink: sealed where it lies, wiped where it was, never shown.
#[derive(Clone, Serialize, Deserialize)]
pub struct SinkKey(Vec<u8>);

impl SinkKey {
    /// Reads a webhook's key: text, or `whsec_` and base64 (Standard Webhooks).
    pub fn of_webhook(text: &Secret<String>) -> Result<Self> {
        use base64::{Engine, engine::general_purpose::STANDARD};
        let wrong = |why: String| Error::invalid("properties.webhook.key", why);
        let bytes = match text.expose().strip_prefix("whsec_") {
            Some(encoded) => {
                STANDARD.decode(encoded).map_err(|_| wrong(String::from("has no base64 behind `whsec_`")))?
            }
            None => text.expose().as_bytes().to_vec(),
        };
        if !(SHORTEST_KEY..=LONGEST_KEY).contains(&bytes.len()) {
            return Err(wrong(format!("must have {SHORTEST_KEY} to {LONGEST_KEY} bytes")));
        }
        Ok(Self(bytes))
    }

    /// Takes the secret of a registry's webhook: its text is the key.
    pub(crate) fn of_text(text: &Secret<String>) -> Result<Self> {
        if !(1..=1000).contains(&text.expose().len()) {
            return Err(Error::invalid("secret", "must have 1 to 1000 bytes"));
        }
        Ok(Self(text.expose().as_bytes().to_vec()))
    }

    /// Takes a bearer token.
    pub fn of_token(text: &Secret<String>) -> Result<Self> {
        let is_token = text.expose().bytes().all(|c| c.is_ascii_graphic()) && (1..=4096).contains(&text.expose().len());
        if !is_token {
            return Err(Error::invalid("properties.otlp.token", "is no bearer token"));
        }
        Ok(Self(text.expose().as_bytes().to_vec()))
    }

    pub(super) fn expose(&self) -> Secret<Vec<u8>> {
        Secret::new(self.0.clone())
    }
}

impl Drop for SinkKey {
    fn drop(&mut self) {
        drop(Secret::new(std::mem::take(&mut self.0)));
    }
}

impl std::fmt::Debug for SinkKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("SinkKey(***)")
    }
}

impl Sink {
    /// Its name: a setting has one of each at most.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Archive { .. } => "storageAccount",
            Self::Webhook { .. } => "webhook",
            Self::Syslog { .. } => "syslog",
            Self::Otlp { .. } => "otlp",
        }
    }

    /// The address, if it is elsewhere.
    pub(super) fn address(&self) -> Option<&str> {
        match self {
            Self::Archive { .. } => None,
            Self::Webhook { url, .. } | Self::Otlp { url, .. } => Some(url),
            Self::Syslog { server } => Some(server),
        }
    }

    /// Takes what is not shown again from `before`, when it comes without: the query of the same address, and the secret that goes
    /// there.
    pub(super) fn keep_secrets(&mut self, before: &[Self]) {
        match self {
            Self::Webhook { url, key, .. } => {
                let old = before.iter().find_map(|old| match old {
                    Self::Webhook { url, key, .. } => Some((url, key)),
                    _ => None,
                });
                keep(url, key, old);
            }
            Self::Otlp { url, token } => {
                let old = before.iter().find_map(|old| match old {
                    Self::Otlp { url, token } => Some((url, token)),
                    _ => None,
                });
                keep(url, token, old);
            }
            Self::Archive { .. } | Self::Syslog { .. } => {}
        }
    }

    /// Refuses addresses that may not be reached, before anything is stored.
    pub(super) fn check(&self, cx: &Admission<'_>) -> Result<()> {
        let Some(address) = self.address() else { return Ok(()) };
        let field = format!("properties.{}", self.word());
        let is_line = address.starts_with("tls://") || address.starts_with("tcp://");
        if is_line != matches!(self, Self::Syslog { .. }) {
            return Err(Error::invalid(field, "has an address of another kind"));
        }
        if address.len() > 2048 {
            return Err(Error::invalid(field, "has an address of more than 2048 characters"));
        }
        cx.web().permits(address).map_err(|why| Error::invalid(field, why))
    }

    /// How many events it takes at once.
    pub(super) fn most(&self) -> usize {
        match self {
            Self::Archive { .. } => 2000,
            Self::Webhook { is_single: true, .. } => 20,
            Self::Webhook { .. } => 100,
            Self::Syslog { .. } | Self::Otlp { .. } => 500,
        }
    }
}

/// An address without its query, which may be its owner's secret: what is shown of it.
pub fn open_part(address: &str) -> &str {
    address.split(['?', '#']).next().unwrap_or_default()
}

fn keep(url: &mut String, key: &mut Option<SinkKey>, old: Option<(&String, &Option<SinkKey>)>) {
    let Some((old_url, old_key)) = old else { return };
    if url == open_part(old_url) {
        url.clone_from(old_url);
    }
    if key.is_none() && url == old_url {
        key.clone_from(old_key);
    }
}

/// A sink that takes events one by one gets no further one in a delivery after this long.
pub(super) const ENOUGH: Duration = Duration::from_secs(30);

/// How a delivery went: how many events, from the first on, are safe with the receiver, and why not more:
/// without a reason the rest comes in the next.
pub(super) struct Sent {
    pub taken: usize,
    pub fault: Option<String>,
}

impl Sent {
    pub(super) fn all(events: &[Event]) -> Self {
        Self { taken: events.len(), fault: None }
    }

    pub(super) fn none(why: impl ToString) -> Self {
        Self { taken: 0, fault: Some(why.to_string()) }
    }
}
