//! A root key in a PKCS#11 token: a hardware module, a smart card, or SoftHSM.
//!
//! ```text
//! 04 ‖ 01 ‖ u32 version ‖ u16 length ‖ nonce (12) ‖ ciphertext ‖ tag (16)      head
//! sealed under the 32 random bytes that the token encrypted
//! ```
//!
//! The token encrypts by AES-256-GCM (`CKM_AES_GCM`), with  "bartizan root v1" ‖ 00 ‖ purpose  as associated data. Its keys share
//! a label; `CKA_ID` is the version, u32, and the newest one wraps. They are sensitive and not extractable.

mod token;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, LazyLock, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use kernel::{Agreement, KeyProvider, Sealed, Sealing, Secret, StoreError, StoreResult};
use serde::Deserialize;
use tokio::sync::Semaphore;

use self::token::Token;
use super::envelope::{self, Head, count};

const FORMAT: u8 = 4;
const GCM: u8 = 1;
const WHAT: &str = "a PKCS#11 token";
/// What a token may take for one call. One that takes longer is left to it: nobody can call it back.
const PATIENCE: Duration = Duration::from_secs(20);

/// One call at a time for each module, so that one that hangs costs one thread, however often it is asked.
static LANES: LazyLock<Mutex<HashMap<PathBuf, Arc<Semaphore>>>> = LazyLock::new(Mutex::default);

/// Which key of which token.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pkcs11Config {
    /// The module: `/usr/lib/softhsm/libsofthsm2.so`. It is loaded into the server, so it is trusted with everything.
    pub module: PathBuf,
    /// The token's label.
    pub token: String,
    /// The key's label. A holder of customers' keys leaves it out, and each of them names its own.
    #[serde(default)]
    pub key: String,
    /// File of the user's PIN.
    pub pin_file: PathBuf,
}

/// Wraps with a key that never leaves its token.
pub struct Pkcs11 {
    token: Arc<Token>,
    sealing: Arc<dyn Sealing>,
}

impl Pkcs11 {
    /// Prepares calls to the token; makes none.
    pub fn new(config: Pkcs11Config, sealing: Arc<dyn Sealing>) -> Self {
        Self { token: Arc::new(Token::new(config)), sealing }
    }

    /// Makes the key's first version, unless there is one.
    ///
    /// # Errors
    /// `KeyAway` when the token cannot be reached, `Key` when it refuses.
    pub async fn make(&self) -> StoreResult<()> {
        self.call(|token| token.make_first()).await
    }

    /// Runs a call on a thread of its own, after those before it: it may take long, or for ever.
    async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Token) -> StoreResult<T> + Send + 'static,
    ) -> StoreResult<T> {
        let token = Arc::clone(&self.token);
        let lane = lane(&token.config().module);
        let away = || StoreError::KeyAway(format!("{} did not answer in time", self.describe()));
        let called = async {
            let turn = lane.acquire_owned().await.map_err(|_| away())?;
            let (answer, answered) = tokio::sync::oneshot::channel();
            let thread = std::thread::Builder::new().name(String::from("pkcs11"));
            // The turn is the thread's: nobody else asks a module before it has answered, even if nobody waits for that any more.
            let started = thread.spawn(move || {
                drop(answer.send(work(&token)));
                drop(turn);
            });
            started.map_err(|cause| StoreError::KeyAway(format!("no thread could be made for the token ({cause})")))?;
            answered.await.map_err(|_| away())?
        };
        tokio::time::timeout(PATIENCE, called).await.unwrap_or_else(|_| Err(away()))
    }

    fn nonce(&self) -> StoreResult<[u8; 12]> {
        let random = self.sealing.fresh()?;
        let nonce = random.expose().first_chunk::<12>().copied();
        nonce.ok_or_else(|| StoreError::Key(String::from("no nonce could be drawn")))
    }
}

fn lane(module: &Path) -> Arc<Semaphore> {
    let mut lanes = LANES.lock().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(lanes.entry(module.to_owned()).or_insert_with(|| Arc::new(Semaphore::new(1))))
}

fn aad(purpose: &[u8]) -> Vec<u8> {
    [b"bartizan root v1\0", purpose].concat()
}

#[async_trait]
impl KeyProvider for Pkcs11 {
    async fn wrap(&self, purpose: Agreement<'_>, key: &Secret<Vec<u8>>) -> StoreResult<Sealed> {
        let (inner, nonce, bound) = (self.sealing.fresh()?, self.nonce()?, aad(purpose));
        let plain = inner.clone();
        let (version, protected) = self.call(move |token| token.encrypt(nonce, &bound, &plain)).await?;
        let mut head = vec![FORMAT, GCM];
        head.extend_from_slice(&version.to_be_bytes());
        count(&mut head, &protected)?;
        envelope::seal(self.sealing.as_ref(), &inner, purpose, &head, key)
    }

    async fn unwrap(&self, purpose: Agreement<'_>, wrapped: &Sealed) -> StoreResult<Secret<Vec<u8>>> {
        let mut head = Head::of(wrapped, FORMAT, WHAT)?;
        let (mechanism, version) = (head.byte()?, u32::from_be_bytes(head.array()?));
        let protected = head.counted()?.to_vec();
        if mechanism != GCM {
            return Err(StoreError::Key(String::from("a key wrapped by a PKCS#11 token is damaged")));
        }
        let (bound, (head, sealed)) = (aad(purpose), head.end());
        let inner = self.call(move |token| token.decrypt(version, &bound, &protected)).await?;
        envelope::open(self.sealing.as_ref(), &inner, purpose, head, sealed)
    }

    async fn rotate(&self) -> StoreResult<()> {
        self.call(|token| token.make_next()).await
    }

    fn version(&self, wrapped: &Sealed) -> Option<String> {
        let mut head = Head::of(wrapped, FORMAT, WHAT).ok()?;
        head.byte().ok()?;
        Some(format!("v{}", u32::from_be_bytes(head.array().ok()?)))
    }

    fn describe(&self) -> String {
        let Pkcs11Config { module, token, key, .. } = self.token.config();
        format!("key `{key}` of the PKCS#11 token `{token}` by {}", module.display())
    }
}
