//! A root key in a transit engine: HashiCorp Vault's, OpenBao's, or another that speaks their HTTP API.
//!
//! ```text
//! 03 ‖ flags ‖ u16 length ‖ ciphertext of the engine      head; `vault:v3:…` names the key's version
//! sealed under the 32 random bytes that the engine encrypted
//! ```
//!
//! Flag 01 says that the engine itself bound the purpose too, as `associated_data`. Each wrapping has 32 random bytes of its own.

mod engine;
mod login;

use std::{path::PathBuf, sync::Arc};

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use kernel::{Agreement, KeyProvider, Sealed, Sealing, Secret, StoreError, StoreResult};
use serde::Deserialize;
use serde_json::{Value, json};

use self::engine::Engine;
use super::envelope::{self, Head, count};

const FORMAT: u8 = 3;
const WHAT: &str = "a transit engine";
const BOUND: u8 = 1;

/// Which key of which engine.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransitConfig {
    /// The engine's origin: `https://vault.example.org:8200`. No other host is called, and no redirect followed.
    pub address: String,
    /// Where the engine is mounted.
    #[serde(default = "transit")]
    pub mount: String,
    /// The key's name. A holder of customers' keys leaves it out, and each of them names its own.
    #[serde(default)]
    pub key: String,
    /// The namespace, where there are any.
    #[serde(default)]
    pub namespace: Option<String>,
    /// PEM file of the only authorities that may vouch for the engine; the system's own when none is named.
    #[serde(default)]
    pub ca: Option<PathBuf>,
    /// A private network in which the engine is, when it is named by no address: `10.1.0.0/16`.
    #[serde(default)]
    pub networks: Vec<String>,
    /// Whether the key's type takes `associated_data` (`aes256-gcm96` and `chacha20-poly1305` do, RSA does not). The purpose is
    /// bound either way.
    #[serde(default = "yes")]
    pub associated_data: bool,
    /// How we sign in.
    pub auth: TransitAuth,
}

fn transit() -> String {
    String::from("transit")
}

fn yes() -> bool {
    true
}

/// How we sign in to the engine.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum TransitAuth {
    /// By the token in a file that only we can read. It is read for each call: whoever renews it may replace it.
    TokenFile(PathBuf),
    /// By an AppRole. Its token is renewed, and drawn anew when it ended.
    #[serde(rename_all = "kebab-case")]
    AppRole {
        /// File of the role id.
        role_id_file: PathBuf,
        /// File of the secret id.
        secret_id_file: PathBuf,
        /// Where AppRole is mounted.
        #[serde(default = "approle")]
        mount: String,
    },
}

fn approle() -> String {
    String::from("approle")
}

/// Wraps with a key that never leaves its engine.
pub struct Transit {
    engine: Engine,
    sealing: Arc<dyn Sealing>,
}

#[derive(Deserialize)]
struct Encrypted {
    ciphertext: String,
}

#[derive(Deserialize)]
struct Decrypted {
    plaintext: String,
}

impl Drop for Decrypted {
    fn drop(&mut self) {
        drop(Secret::new(std::mem::take(&mut self.plaintext)));
    }
}

impl Transit {
    /// Prepares calls to the engine; makes none.
    ///
    /// # Errors
    /// `Key` with one sentence on what in `config` cannot be.
    pub fn new(config: TransitConfig, sealing: Arc<dyn Sealing>) -> StoreResult<Self> {
        Ok(Self { engine: Engine::new(config)?, sealing })
    }

    fn bind(&self, body: &mut Value, purpose: &[u8], is_bound: bool) {
        if let Some(fields) = body.as_object_mut().filter(|_| is_bound) {
            fields.insert(String::from("associated_data"), Value::String(STANDARD.encode(purpose)));
        }
    }
}

#[async_trait]
impl KeyProvider for Transit {
    async fn wrap(&self, purpose: Agreement<'_>, key: &Secret<Vec<u8>>) -> StoreResult<Sealed> {
        let inner = self.sealing.fresh()?;
        let is_bound = self.engine.config.associated_data;
        let mut body = json!({"plaintext": STANDARD.encode(inner.expose())});
        self.bind(&mut body, purpose, is_bound);
        let Encrypted { ciphertext } = self.engine.call("encrypt", body).await?;
        let mut head = vec![FORMAT, if is_bound { BOUND } else { 0 }];
        count(&mut head, ciphertext.as_bytes())?;
        envelope::seal(self.sealing.as_ref(), &inner, purpose, &head, key)
    }

    async fn unwrap(&self, purpose: Agreement<'_>, wrapped: &Sealed) -> StoreResult<Secret<Vec<u8>>> {
        let mut head = Head::of(wrapped, FORMAT, WHAT)?;
        let flags = head.byte()?;
        let ciphertext =
            std::str::from_utf8(head.counted()?).ok().filter(|text| text.is_ascii() && flags & !BOUND == 0);
        let unknown = || StoreError::Key(String::from("a key wrapped by a transit engine is damaged"));
        let ciphertext = ciphertext.ok_or_else(unknown)?;
        let mut body = json!({"ciphertext": ciphertext});
        self.bind(&mut body, purpose, flags & BOUND != 0);
        let decrypted: Decrypted = self.engine.call("decrypt", body).await?;
        let inner = STANDARD.decode(&decrypted.plaintext).map(Secret::new).map_err(|_| unknown())?;
        let (head, sealed) = head.end();
        envelope::open(self.sealing.as_ref(), &inner, purpose, head, sealed)
    }

    async fn rotate(&self) -> StoreResult<()> {
        self.engine.rotate().await
    }

    fn version(&self, wrapped: &Sealed) -> Option<String> {
        let mut head = Head::of(wrapped, FORMAT, WHAT).ok()?;
        head.byte().ok()?;
        // `vault:v3:…`
        let version = std::str::from_utf8(head.counted().ok()?).ok()?.split(':').nth(1)?;
        version.starts_with('v').then(|| version.to_owned())
    }

    fn describe(&self) -> String {
        let TransitConfig { address, mount, key, .. } = &self.engine.config;
        format!("transit key `{mount}/{key}` at {address}")
    }
}
