//! A root key in an Azure key vault: Azure's, another Bartizan server's, or another that speaks Key Vault's REST (7.4).
//!
//! ```text
//! 05 ‖ 01 ‖ u16 length ‖ version of the key ‖ u16 length ‖ ciphertext of the vault      head
//! sealed under the 32 random bytes that the vault wrapped
//! ```
//!
//! The vault wraps by RSA-OAEP-256 (RFC 7518 §4.3), which binds nothing; purpose and head are bound by what is sealed here.

mod login;
mod vault;

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use kernel::{Agreement, KeyProvider, Sealed, Sealing, Secret, StoreError, StoreResult};
use serde::Deserialize;
use serde_json::json;

use self::vault::Vault;
use super::envelope::{self, Head, count};

const FORMAT: u8 = 5;
const OAEP: u8 = 1;
const ALGORITHM: &str = "RSA-OAEP-256";
const WHAT: &str = "an Azure key vault";

/// Which key of which vault.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AzureVaultConfig {
    /// The vault's address: `https://myvault.vault.azure.net`. No redirect is followed.
    pub address: String,
    /// The key's name. A holder of customers' keys leaves it out, and each of them names its own.
    #[serde(default)]
    pub key: String,
    /// The version that wraps; the newest one when none is named. Rotation takes that none is.
    #[serde(default)]
    pub version: Option<String>,
    /// Who signs us in: `https://login.microsoftonline.com/<tenant>`. The vault's challenge must name the same.
    pub authority: String,
    /// For whom tokens are, as the challenge says it; without it, a host that the vault's own host lies below:
    /// `https://vault.azure.net`.
    #[serde(default)]
    pub resource: Option<String>,
    /// The client id of our application.
    pub client_id: String,
    /// File of its secret, which only we can read.
    pub secret_file: PathBuf,
    /// PEM file of the only authorities that may vouch for both; the system's own when none is named.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// A private network in which they are, when they are named by no address: `10.1.0.0/16`.
    #[serde(default)]
    pub networks: Vec<String>,
}

/// Wraps with a key that never leaves its vault.
pub struct AzureVault {
    vault: Vault,
    sealing: Arc<dyn Sealing>,
}

/// What wrapping and unwrapping answer.
#[derive(Deserialize)]
struct Answer {
    /// The address of the key version that did it.
    kid: String,
    /// Base64url.
    value: String,
}

impl Drop for Answer {
    fn drop(&mut self) {
        drop(Secret::new(std::mem::take(&mut self.value)));
    }
}

impl AzureVault {
    /// Prepares calls to the vault; makes none.
    ///
    /// # Errors
    /// `Key` with one sentence on what in `config` cannot be.
    pub fn new(config: AzureVaultConfig, sealing: Arc<dyn Sealing>) -> StoreResult<Self> {
        Ok(Self { vault: Vault::new(config)?, sealing })
    }

    fn odd(&self) -> StoreError {
        self.vault.odd()
    }
}

#[async_trait]
impl KeyProvider for AzureVault {
    async fn wrap(&self, purpose: Agreement<'_>, key: &Secret<Vec<u8>>) -> StoreResult<Sealed> {
        let inner = self.sealing.fresh()?;
        let body = json!({"alg": ALGORITHM, "value": URL_SAFE_NO_PAD.encode(inner.expose())});
        let place = match &self.vault.config.version {
            Some(version) => format!("{version}/wrapkey"),
            None => String::from("wrapkey"),
        };
        let answer: Answer = self.vault.call(&place, body).await?;
        let version =
            answer.kid.rsplit('/').next().filter(|version| vault::is_word(version)).ok_or_else(|| self.odd())?;
        let protected = URL_SAFE_NO_PAD.decode(&answer.value).map_err(|_| self.odd())?;
        let mut head = vec![FORMAT, OAEP];
        count(&mut head, version.as_bytes())?;
        count(&mut head, &protected)?;
        envelope::seal(self.sealing.as_ref(), &inner, purpose, &head, key)
    }

    async fn unwrap(&self, purpose: Agreement<'_>, wrapped: &Sealed) -> StoreResult<Secret<Vec<u8>>> {
        let damaged = || StoreError::Key(String::from("a key wrapped by an Azure key vault is damaged"));
        let mut head = Head::of(wrapped, FORMAT, WHAT)?;
        if head.byte()? != OAEP {
            return Err(damaged());
        }
        let version = std::str::from_utf8(head.counted()?).ok().filter(|text| vault::is_word(text));
        let version = version.ok_or_else(damaged)?;
        let body = json!({"alg": ALGORITHM, "value": URL_SAFE_NO_PAD.encode(head.counted()?)});
        let answer: Answer = self.vault.call(&format!("{version}/unwrapkey"), body).await?;
        let inner = URL_SAFE_NO_PAD.decode(&answer.value).map(Secret::new).map_err(|_| self.odd())?;
        let (head, sealed) = head.end();
        envelope::open(self.sealing.as_ref(), &inner, purpose, head, sealed)
    }

    async fn rotate(&self) -> StoreResult<()> {
        if self.vault.config.version.is_some() {
            let why = "the configuration names one version of the key; name none, so that the newest one is used";
            return Err(StoreError::Key(String::from(why)));
        }
        self.vault.rotate().await
    }

    fn version(&self, wrapped: &Sealed) -> Option<String> {
        let mut head = Head::of(wrapped, FORMAT, WHAT).ok()?;
        head.byte().ok()?;
        std::str::from_utf8(head.counted().ok()?).ok().map(str::to_owned)
    }

    fn describe(&self) -> String {
        let AzureVaultConfig { address, key, .. } = &self.vault.config;
        format!("key `{key}` of the vault at {address}")
    }
}
