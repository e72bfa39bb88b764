//! Calls to a vault over Key Vault's REST, and what its answers mean.

use bytes::Bytes;
use kernel::{Secret, StoreError, StoreResult, Web, WebError, WebMethod, WebReply, WebRequest};
use outbound::WebClient;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::{AzureVaultConfig, login::Login};
use crate::key::reach;

/// The longest answer, bytes.
const MOST: usize = 64 << 10;
const VERSION: &str = "api-version=7.4";

/// A way to one key of one vault.
pub(super) struct Vault {
    pub(super) config: AzureVaultConfig,
    web: WebClient,
    login: Login,
}

#[derive(Deserialize)]
struct Faults {
    error: Said,
}

#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    code: String,
    #[serde(default)]
    message: String,
}

/// Whether a text can be a part of a path, as names and versions of keys are.
pub(super) fn is_word(text: &str) -> bool {
    (1..=127).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}

/// Scheme, host and port of an address.
pub(super) fn origin(address: &str) -> &str {
    let host = address.find("://").map_or(0, |at| at.saturating_add(3));
    let end = address.get(host..).and_then(|rest| rest.find('/')).map(|at| host.saturating_add(at));
    end.and_then(|end| address.get(..end)).unwrap_or(address)
}

impl Vault {
    pub(super) fn new(config: AzureVaultConfig) -> StoreResult<Self> {
        let refused = |why: &str| StoreError::Key(format!("the Azure key vault's configuration: {why}"));
        if !is_word(&config.key) || config.version.as_deref().is_some_and(|version| !is_word(version)) {
            return Err(refused("`key` and `version` are names of letters, digits and `-`"));
        }
        let is_address = |text: &str| {
            let path = text.get(origin(text).len()..).unwrap_or_default();
            text.starts_with("https://")
                && !path.contains("..")
                && path.chars().all(|c| c.is_ascii_alphanumeric() || "-_./".contains(c))
        };
        if !is_address(&config.address) || !is_address(&config.authority) {
            return Err(refused("`address` and `authority` are addresses that begin with `https://`"));
        }
        let origins = [origin(&config.address), origin(&config.authority)];
        let web = reach::client("the Azure key vault", &origins, &config.networks, config.ca.as_ref())?;
        Ok(Self { login: Login::new(&config), web, config })
    }

    /// `{version}/wrapkey`, `{version}/unwrapkey` or `wrapkey` of our key.
    pub(super) async fn call<T: DeserializeOwned>(&self, verb: &str, body: Value) -> StoreResult<T> {
        let reply = self.signed_in(verb, body).await?;
        serde_json::from_slice(&reply.body).map_err(|_| self.odd())
    }

    /// Makes a new version of our key.
    pub(super) async fn rotate(&self) -> StoreResult<()> {
        self.signed_in("rotate", Value::Object(serde_json::Map::new())).await.map(drop)
    }

    /// A call with our token. One that is refused as no token at all is drawn anew once: it may have ended before its time.
    async fn signed_in(&self, verb: &str, body: Value) -> StoreResult<WebReply> {
        let address = self.config.address.trim_end_matches('/');
        let url = format!("{address}/keys/{}/{verb}?{VERSION}", self.config.key);
        let body = Secret::new(body.to_string());
        let token = self.login.token(self, &url).await?;
        let mut reply = self.post(&url, Some(&token), body.expose(), "application/json").await?;
        if reply.status == 401 {
            self.login.forget().await;
            let token = self.login.token(self, &url).await?;
            reply = self.post(&url, Some(&token), body.expose(), "application/json").await?;
        }
        self.good(reply)
    }

    pub(super) async fn post(
        &self,
        url: &str,
        token: Option<&Secret<String>>,
        body: &str,
        media_type: &str,
    ) -> StoreResult<WebReply> {
        let bearer = token.map(|token| Secret::new(format!("Bearer {}", token.expose())));
        let mut headers = vec![("content-type", media_type)];
        headers.extend(bearer.as_ref().map(|bearer| ("authorization", bearer.expose().as_str())));
        let body = Bytes::copy_from_slice(body.as_bytes());
        let request = WebRequest { method: WebMethod::Post, url, headers: &headers, body, most: MOST };
        self.web.send(request).await.map_err(|fault| match fault {
            WebError::Unreachable { .. } => StoreError::KeyAway(format!("the Azure key vault: {fault}")),
            WebError::Refused(_) | WebError::TooLarge { .. } => {
                StoreError::Key(format!("the Azure key vault: {fault}"))
            }
        })
    }

    /// An answer that says yes.
    fn good(&self, reply: WebReply) -> StoreResult<WebReply> {
        let said = said(&reply.body);
        let (at, key) = (&self.config.address, &self.config.key);
        match reply.status {
            200..=299 => Ok(reply),
            400 | 409 => Err(StoreError::Key(format!(
                "the vault at {at} refused: key `{key}` and what it wrapped do not fit, or it is not for wrapping{said}"
            ))),
            401 | 403 => Err(StoreError::Key(format!(
                "the vault at {at} denied us: key `{key}` is disabled or not within its time, or our application may not use it{said}"
            ))),
            404 => {
                Err(StoreError::Key(format!("the vault at {at} has no key `{key}`, or no such version of it{said}")))
            }
            300..=399 => Err(StoreError::Key(format!(
                "the vault at {at} sends us elsewhere, where we do not follow; name that address"
            ))),
            429 | 500.. => Err(StoreError::KeyAway(format!("the vault at {at} has failed or is too busy{said}"))),
            _ => Err(self.odd()),
        }
    }

    pub(super) fn odd(&self) -> StoreError {
        StoreError::Key(format!("`{}` does not answer like an Azure key vault", self.config.address))
    }
}

/// The vault's own sentence.
fn said(body: &[u8]) -> String {
    let fault =
        serde_json::from_slice::<Faults>(body).map(|faults| format!("{}: {}", faults.error.code, faults.error.message));
    reach::said(&fault.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> AzureVaultConfig {
        AzureVaultConfig {
            address: String::from("https://v.vault.azure.net"),
            key: String::from("k"),
            version: None,
            authority: String::from("https://login.microsoftonline.com/t"),
            resource: None,
            client_id: String::from("c"),
            secret_file: "/nowhere".into(),
            ca: None,
            networks: Vec::new(),
        }
    }

    #[test]
    fn an_address_that_leads_elsewhere_is_refused() {
        assert!(Vault::new(config()).is_ok());
        for address in
            ["http://v.vault.azure.net", "https://v/../x", "https://u:p@v.vault.azure.net", "https://v?x=1", "v"]
        {
            assert!(Vault::new(AzureVaultConfig { address: address.to_owned(), ..config() }).is_err(), "{address}");
            assert!(Vault::new(AzureVaultConfig { authority: address.to_owned(), ..config() }).is_err(), "{address}");
        }
        for key in ["", "a/b", "a_b", "..", "k?x"] {
            assert!(Vault::new(AzureVaultConfig { key: key.to_owned(), ..config() }).is_err(), "{key}");
        }
    }

    #[test]
    fn an_origin_ends_before_the_path() {
        for (address, cut) in
            [("https://a:1/vaults/v", "https://a:1"), ("https://a/", "https://a"), ("https://a", "https://a")]
        {
            assert_eq!(origin(address), cut);
        }
    }
}
