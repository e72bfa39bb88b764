//! The device grant (RFC 8628): a code here, a browser anywhere.

use std::time::Duration;

use kernel::Secret;
use outbound::Client;
use serde::Deserialize;
use serde_json::Value;

use super::{CLIENT, Provider, Tokens, scope_of};
use crate::{cli::tell, failure::Failure};

/// Seconds between two polls, where the server does not say.
const INTERVAL: u64 = 5;
/// What `slow_down` adds, in seconds (RFC 8628 §3.5).
const SLOWER: u64 = 5;

#[derive(Deserialize)]
struct Started {
    device_code: String,
    user_code: String,
    verification_uri: String,
    #[serde(default)]
    interval: Option<u64>,
    #[serde(default)]
    message: Option<String>,
}

/// Shows a code, and waits until somebody has decided.
pub(super) async fn sign_in(client: &Client, provider: &Provider, claims: Option<&str>) -> Result<Tokens, Failure> {
    let scope = scope_of(client);
    let mut form = vec![("client_id", CLIENT), ("scope", scope.as_str())];
    form.extend(claims.map(|claims| ("claims", claims)));
    let started: Started = client.post(&provider.device_authorization_endpoint).form(&form).send_for_json().await?;
    let sentence = format!("open {} in a browser and enter the code {}", started.verification_uri, started.user_code);
    // What comes from afar goes to a terminal.
    let message: String = started.message.unwrap_or(sentence).chars().filter(|c| !c.is_control()).collect();
    tell(&message);
    let code = Secret::new(started.device_code);
    let mut interval = started.interval.unwrap_or(INTERVAL).clamp(1, 60);
    let mut form = vec![
        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
        ("client_id", CLIENT),
        ("device_code", code.expose().as_str()),
    ];
    form.extend(claims.map(|claims| ("claims", claims)));
    loop {
        tokio::time::sleep(Duration::from_secs(interval)).await;
        let refused = match client.post(&provider.token_endpoint).form(&form).send_for_json::<Tokens>().await {
            Ok(tokens) => return Ok(tokens),
            Err(outbound::Error::Answered { status, body }) => (status, body),
            // The code is still good: whoever lost the network for a moment goes on waiting.
            Err(outbound::Error::TimedOut { .. } | outbound::Error::CutOff { .. }) => continue,
            Err(fault) => return Err(fault.into()),
        };
        match word(&refused.1).as_str() {
            "authorization_pending" => {}
            "slow_down" => interval = interval.saturating_add(SLOWER),
            "authorization_declined" | "access_denied" => {
                return Err(Failure::new("the sign-in was declined in the browser"));
            }
            "expired_token" | "code_expired" => {
                return Err(Failure::new("nobody signed in with the code in time; run `bartizan login` again"));
            }
            _ => return Err(outbound::Error::Answered { status: refused.0, body: refused.1 }.into()),
        }
    }
}

fn word(body: &[u8]) -> String {
    let said: Value = serde_json::from_slice(body).unwrap_or_default();
    said.get("error").and_then(Value::as_str).unwrap_or_default().to_owned()
}
