//! Calls to a transit engine, and what its answers mean.

use bytes::Bytes;
use kernel::{Secret, StoreError, StoreResult, Web, WebError, WebMethod, WebReply, WebRequest};
use outbound::WebClient;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::{TransitConfig, login::Login};
use crate::key::reach;

/// The longest answer, bytes.
const MOST: usize = 64 << 10;

/// A way to one engine.
pub(super) struct Engine {
    pub(super) config: TransitConfig,
    web: WebClient,
    login: Login,
}

/// The part of an answer that holds it.
#[derive(Deserialize)]
struct Data<T> {
    data: T,
}

#[derive(Deserialize)]
struct Faults {
    errors: Vec<String>,
}

impl Engine {
    pub(super) fn new(config: TransitConfig) -> StoreResult<Self> {
        let refused = |why: String| StoreError::Key(format!("the transit engine's configuration: {why}"));
        let is_path = |text: &str| {
            !text.is_empty()
                && text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c))
                && !text.contains("..")
        };
        if !is_path(&config.mount) || !is_path(&config.key) || config.key.contains('/') {
            return Err(refused(String::from("`mount` and `key` are names of letters, digits, `-`, `_` and `.`")));
        }
        let web = reach::client("the transit engine", &[&config.address], &config.networks, config.ca.as_ref())?;
        Ok(Self { login: Login::new(&config), web, config })
    }

    /// `encrypt` or `decrypt` with our key.
    pub(super) async fn call<T: DeserializeOwned>(&self, verb: &str, body: Value) -> StoreResult<T> {
        let reply = self.signed_in(&format!("{}/{verb}/{}", self.config.mount, self.config.key), body).await?;
        let answer: Data<T> = serde_json::from_slice(&reply.body).map_err(|_| self.odd())?;
        Ok(answer.data)
    }

    /// Makes a new version of our key.
    pub(super) async fn rotate(&self) -> StoreResult<()> {
        let path = format!("{}/keys/{}/rotate", self.config.mount, self.config.key);
        self.signed_in(&path, Value::Object(serde_json::Map::new())).await.map(drop)
    }

    /// A call with our token. A token that is refused may have ended before its time: where another can be had, that is
    /// tried once.
    async fn signed_in(&self, path: &str, body: Value) -> StoreResult<WebReply> {
        let body = Secret::new(body.to_string());
        let token = self.login.token(self).await?;
        let mut reply = self.post(path, Some(&token), body.expose()).await?;
        if reply.status == 403 && self.login.forget().await {
            let token = self.login.token(self).await?;
            reply = self.post(path, Some(&token), body.expose()).await?;
        }
        self.good(reply)
    }

    pub(super) async fn post(&self, path: &str, token: Option<&Secret<String>>, body: &str) -> StoreResult<WebReply> {
        let url = format!("{}/v1/{path}", self.config.address.trim_end_matches('/'));
        let mut headers = vec![("content-type", "application/json"), ("x-vault-request", "true")];
        headers.extend(token.map(|token| ("x-vault-token", token.expose().as_str())));
        headers.extend(self.config.namespace.as_deref().map(|name| ("x-vault-namespace", name)));
        let body = Bytes::copy_from_slice(body.as_bytes());
        let request = WebRequest { method: WebMethod::Post, url: &url, headers: &headers, body, most: MOST };
        self.web.send(request).await.map_err(|fault| match fault {
            WebError::Unreachable { .. } => StoreError::KeyAway(format!("the transit engine: {fault}")),
            WebError::Refused(_) | WebError::TooLarge { .. } => StoreError::Key(format!("the transit engine: {fault}")),
        })
    }

    /// An answer that says yes.
    pub(super) fn good(&self, reply: WebReply) -> StoreResult<WebReply> {
        let said = said(&reply.body);
        let at = &self.config.address;
        match reply.status {
            200..=299 => Ok(reply),
            400 if said.contains("not found") => Err(StoreError::Key(format!(
                "the transit engine at {at} has no such key, or no such version of it{said}"
            ))),
            400 => {
                Err(StoreError::Key(format!("the transit engine at {at} refused: key or ciphertext do not fit{said}")))
            }
            401 | 403 => Err(StoreError::Key(format!(
                "the transit engine at {at} denied us: the token or role was revoked, has ended, or may not use this key{said}"
            ))),
            404 => Err(StoreError::Key(format!("the transit engine at {at} has no such mount or key{said}"))),
            300..=399 => Err(StoreError::Key(format!(
                "the transit engine at {at} sends us elsewhere, where we do not follow; name that address"
            ))),
            429 | 472 | 473 | 500.. => {
                Err(StoreError::KeyAway(format!("the transit engine at {at} is sealed, standing by, or failed{said}")))
            }
            _ => Err(self.odd()),
        }
    }

    pub(super) fn odd(&self) -> StoreError {
        StoreError::Key(format!("`{}` does not answer like a transit engine", self.config.address))
    }
}

/// The engine's own sentence.
fn said(body: &[u8]) -> String {
    let faults: Vec<String> = serde_json::from_slice::<Faults>(body).map(|faults| faults.errors).unwrap_or_default();
    reach::said(&faults.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::TransitAuth;

    #[test]
    fn an_empty_file_of_authorities_is_refused_and_trusts_nobody_else() {
        let dir = tempfile::tempdir().unwrap();
        let ca = dir.path().join("ca.pem");
        for text in ["", "\n \n"] {
            std::fs::write(&ca, text).unwrap();
            let config = TransitConfig {
                address: String::from("https://vault.example.org:8200"),
                mount: String::from("transit"),
                key: String::from("k"),
                namespace: None,
                ca: Some(ca.clone()),
                networks: Vec::new(),
                associated_data: true,
                auth: TransitAuth::TokenFile(dir.path().join("token")),
            };
            let made = Engine::new(config);
            assert!(matches!(made.map(drop), Err(StoreError::Key(why)) if why.contains("ca.pem` is empty")));
        }
    }
}
