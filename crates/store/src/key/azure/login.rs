//! Signing in to a vault: the vault's challenge says for whom the token is, and our own configuration who gives it (OAuth 2.0 client
//! credentials, RFC 6749 §4.4).

use std::time::{Duration, Instant};

use kernel::{Secret, StoreError, StoreResult};
use serde::Deserialize;
use tokio::sync::Mutex;

use super::{
    AzureVaultConfig,
    vault::{Vault, origin},
};
use crate::key::{reach, secret_file};

/// The longest life that a token is believed to have.
const MOST: Duration = Duration::from_secs(24 * 3600);

/// How tokens are had.
pub(super) struct Login {
    config: AzureVaultConfig,
    held: Mutex<Option<Held>>,
}

/// A token of ours.
struct Held {
    token: Secret<String>,
    /// It is drawn anew from then on.
    renew_at: Instant,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    /// Seconds.
    expires_in: u64,
}

#[derive(Deserialize)]
struct Refused {
    error: String,
}

impl Login {
    pub(super) fn new(config: &AzureVaultConfig) -> Self {
        Self { config: config.clone(), held: Mutex::default() }
    }

    /// A token that has not ended. `url` is what is to be called with it.
    pub(super) async fn token(&self, vault: &Vault, url: &str) -> StoreResult<Secret<String>> {
        let mut held = self.held.lock().await;
        let now = Instant::now();
        if let Some(known) = held.as_ref().filter(|known| now < known.renew_at) {
            return Ok(known.token.clone());
        }
        let resource = self.challenged(vault, url).await?;
        let secret = secret_file::line(&self.config.secret_file, "file of the client's secret")?;
        let scope = format!("{resource}/.default");
        let fields = [
            ("grant_type", "client_credentials"),
            ("client_id", self.config.client_id.as_str()),
            ("client_secret", secret.expose().as_str()),
            ("scope", scope.as_str()),
        ];
        let authority = self.config.authority.trim_end_matches('/');
        let place = format!("{authority}/oauth2/v2.0/token");
        let form = Secret::new(form(&fields));
        let reply = vault.post(&place, None, form.expose(), "application/x-www-form-urlencoded").await?;
        let granted: Granted = match reply.status {
            200 => serde_json::from_slice(&reply.body).map_err(|_| vault.odd())?,
            429 | 500.. => return Err(StoreError::KeyAway(format!("{authority} has failed or is too busy"))),
            _ => {
                let fault = serde_json::from_slice::<Refused>(&reply.body).map(|refused| refused.error);
                let said = reach::said(&fault.unwrap_or_default());
                return Err(StoreError::Key(format!(
                    "{authority} does not sign us in: client or secret are wrong{said}"
                )));
            }
        };
        let life = Duration::from_secs(granted.expires_in).min(MOST);
        // Before its end, so that no call is under way with one that ends.
        let renew_at = now.checked_add(life / 2).unwrap_or(now);
        Ok(held.insert(Held { token: Secret::new(granted.access_token), renew_at }).token.clone())
    }

    /// Lets go of a token that was refused.
    pub(super) async fn forget(&self) {
        self.held.lock().await.take();
    }

    /// For whom the vault wants tokens. What it says is checked against what the operator said: a vault that was taken over must not
    /// be given a token for anything else.
    async fn challenged(&self, vault: &Vault, url: &str) -> StoreResult<String> {
        let reply = vault.post(url, None, "", "application/json").await?;
        let header = reply.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("www-authenticate"));
        let challenge = match (reply.status, header) {
            (401, Some((_, value))) => value,
            (429 | 500.., _) => {
                return Err(StoreError::KeyAway(format!(
                    "the vault at {} has failed or is too busy",
                    self.config.address
                )));
            }
            _ => return Err(vault.odd()),
        };
        let authority = parameter(challenge, "authorization").or_else(|| parameter(challenge, "authorization_uri"));
        let same =
            |text: &str| text.trim_end_matches('/').eq_ignore_ascii_case(self.config.authority.trim_end_matches('/'));
        if !authority.is_some_and(same) {
            return Err(StoreError::Key(format!(
                "the vault at {} sends us to another authority than `{}` to sign in; name that one, if it is right",
                self.config.address, self.config.authority
            )));
        }
        let resource = parameter(challenge, "resource").ok_or_else(|| vault.odd())?.trim_end_matches('/');
        let is_right = match &self.config.resource {
            Some(named) => named.trim_end_matches('/').eq_ignore_ascii_case(resource),
            None => is_above(resource, &self.config.address),
        };
        if is_right {
            return Ok(resource.to_owned());
        }
        Err(StoreError::Key(format!(
            "the vault at {} wants tokens for another resource than its own; name that as `resource`, if it is right",
            self.config.address
        )))
    }
}

/// Whether the vault's host lies below the host of what tokens are for: `v.vault.azure.net` below `vault.azure.net`.
fn is_above(resource: &str, address: &str) -> bool {
    let host = |text: &str| origin(text).strip_prefix("https://").map(str::to_ascii_lowercase);
    let (Some(above), Some(below)) = (host(resource), host(address)) else { return false };
    origin(resource) == resource && below.strip_suffix(&above).is_some_and(|rest| rest.len() > 1 && rest.ends_with('.'))
}

/// A parameter of a challenge (RFC 9110 §11.2): `Bearer authorization="…", resource="…"`.
fn parameter<'a>(challenge: &'a str, name: &str) -> Option<&'a str> {
    let parameters = challenge.trim().strip_prefix("Bearer ")?;
    parameters.split([',', ' ']).filter_map(|part| part.split_once('=')).find_map(|(key, value)| {
        key.eq_ignore_ascii_case(name).then(|| value.trim_matches('"')).filter(|value| !value.is_empty())
    })
}

/// The fields of a form, escaped (WHATWG URL, "application/x-www-form-urlencoded").
fn form(fields: &[(&str, &str)]) -> String {
    let escaped = |text: &str| {
        let mut out = String::with_capacity(text.len());
        for byte in text.bytes() {
            match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'*' => out.push(char::from(byte)),
                _ => out.push_str(&format!("%{byte:02X}")),
            }
        }
        out
    };
    fields.iter().map(|(name, value)| format!("{name}={}", escaped(value))).collect::<Vec<_>>().join("&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_challenge_is_read() {
        let azure = r#"Bearer authorization="https://login.microsoftonline.com/t", resource="https://vault.azure.net""#;
        assert_eq!(parameter(azure, "authorization"), Some("https://login.microsoftonline.com/t"));
        assert_eq!(parameter(azure, "resource"), Some("https://vault.azure.net"));
        assert_eq!(parameter(azure, "scope"), None);
        assert_eq!(parameter("Basic resource=x", "resource"), None);
    }

    #[test]
    fn a_token_is_for_what_the_vault_lies_below() {
        assert!(is_above("https://vault.azure.net", "https://v.vault.azure.net"));
        for other in [
            "https://management.azure.com",
            "https://v.vault.azure.net",
            "https://ault.azure.net",
            "https://",
            "https://net/x",
        ] {
            assert!(!is_above(other, "https://v.vault.azure.net"), "{other}");
        }
    }

    #[test]
    fn what_a_secret_holds_is_escaped() {
        assert_eq!(form(&[("a", "x~y+ &=%"), ("b", "")]), "a=x%7Ey%2B%20%26%3D%25&b=");
    }
}
