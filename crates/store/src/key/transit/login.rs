//! Signing in to a transit engine.

use std::time::{Duration, Instant};

use kernel::{Secret, StoreResult};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::Mutex;

use super::{TransitAuth, TransitConfig, engine::Engine};
use crate::key::secret_file;

/// How tokens are had.
pub(super) struct Login {
    auth: TransitAuth,
    held: Mutex<Option<Held>>,
}

/// A token of ours.
struct Held {
    token: Secret<String>,
    /// When it is renewed, and when it has ended.
    renew_at: Instant,
    ends_at: Instant,
    is_renewable: bool,
}

#[derive(Deserialize)]
struct SignedIn {
    auth: Auth,
}

#[derive(Deserialize)]
struct Auth {
    client_token: String,
    /// Seconds; zero: it does not end.
    lease_duration: u64,
    renewable: bool,
}

impl Login {
    pub(super) fn new(config: &TransitConfig) -> Self {
        Self { auth: config.auth.clone(), held: Mutex::default() }
    }

    /// A token that has not ended.
    pub(super) async fn token(&self, engine: &Engine) -> StoreResult<Secret<String>> {
        let (role, secret, mount) = match &self.auth {
            TransitAuth::TokenFile(path) => return secret_file::line(path, "token file"),
            TransitAuth::AppRole { role_id_file, secret_id_file, mount } => (role_id_file, secret_id_file, mount),
        };
        let mut held = self.held.lock().await;
        let now = Instant::now();
        if let Some(known) = held.as_mut().filter(|known| now < known.ends_at) {
            if now >= known.renew_at && known.is_renewable {
                // Whatever came of it, the token is good up to its end.
                match renewed(engine, &known.token).await {
                    Ok(renewed) => *known = renewed,
                    Err(fault) => {
                        tracing::warn!(%fault, "the transit engine's token could not be renewed");
                        known.is_renewable = false;
                    }
                }
            }
            return Ok(known.token.clone());
        }
        let (role, secret) = (secret_file::line(role, "role id file")?, secret_file::line(secret, "secret id file")?);
        let body = Secret::new(json!({"role_id": role.expose(), "secret_id": secret.expose()}).to_string());
        let reply = engine.post(&format!("auth/{mount}/login"), None, body.expose()).await?;
        let fresh = read(engine, &engine.good(reply)?.body)?;
        Ok(held.insert(fresh).token.clone())
    }

    /// Lets go of a token that was refused; whether another can be had.
    pub(super) async fn forget(&self) -> bool {
        self.held.lock().await.take().is_some()
    }
}

async fn renewed(engine: &Engine, token: &Secret<String>) -> StoreResult<Held> {
    let reply = engine.post("auth/token/renew-self", Some(token), "{}").await?;
    read(engine, &engine.good(reply)?.body)
}

fn read(engine: &Engine, body: &[u8]) -> StoreResult<Held> {
    let SignedIn { auth } = serde_json::from_slice(body).map_err(|_| engine.odd())?;
    let lease = match auth.lease_duration {
        0 => Duration::from_secs(365 * 24 * 3600),
        seconds => Duration::from_secs(seconds.min(365 * 24 * 3600)),
    };
    let now = Instant::now();
    let at = |span: Duration| now.checked_add(span).unwrap_or(now);
    Ok(Held {
        token: Secret::new(auth.client_token),
        renew_at: at(lease / 2),
        ends_at: at(lease),
        is_renewable: auth.renewable,
    })
}
