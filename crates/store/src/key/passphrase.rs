//! A root key that is made from a passphrase (Argon2id) whenever it is needed.
//!
//! ```text
//! 02 ‖ u32 memory, KiB ‖ u32 passes ‖ salt (16)      head
//! sealed under the 32 bytes that Argon2id makes
//! ```
//!
//! Salt and cost are drawn anew for each wrapping and travel with it, so that nothing else has to be kept, and the cost can
//! rise.

use std::sync::Arc;

use async_trait::async_trait;
use kernel::{Agreement, KeyProvider, Sealed, Sealing, Secret, StoreError, StoreResult, Stretch};

use super::envelope::{self, Head};
use crate::fault::blocking;

const FORMAT: u8 = 2;
const WHAT: &str = "a passphrase";
/// 128 MiB and three passes: about half a second.
const COST: Stretch = Stretch { memory_kib: 128 << 10, passes: 3 };
/// What is stored may not ask for more: it is not trusted before it opens.
const MOST: Stretch = Stretch { memory_kib: 1 << 20, passes: 10 };
/// Characters of the shortest passphrase that wraps.
const SHORTEST: usize = 12;

/// Wraps under a key that is made from a passphrase.
pub struct Passphrase {
    words: Secret<String>,
    origin: String,
    cost: Stretch,
    sealing: Arc<dyn Sealing>,
}

impl Passphrase {
    /// Takes a passphrase; `origin` says to people where it came from.
    pub fn new(words: Secret<String>, origin: &str, sealing: Arc<dyn Sealing>) -> Self {
        Self { words, origin: origin.to_owned(), cost: COST, sealing }
    }

    async fn stretched(&self, salt: [u8; 16], cost: Stretch) -> StoreResult<Secret<Vec<u8>>> {
        let (sealing, words) = (Arc::clone(&self.sealing), self.words.clone());
        blocking(move || sealing.stretch(&words, &salt, cost)).await
    }
}

#[async_trait]
impl KeyProvider for Passphrase {
    async fn wrap(&self, purpose: Agreement<'_>, key: &Secret<Vec<u8>>) -> StoreResult<Sealed> {
        if self.words.expose().chars().count() < SHORTEST {
            return Err(StoreError::Key(format!(
                "the passphrase has fewer than {SHORTEST} characters; take a longer one, of several random words"
            )));
        }
        let random = self.sealing.fresh()?;
        let salt = random.expose().first_chunk::<16>().copied();
        let salt = salt.ok_or_else(|| StoreError::Key(String::from("no salt could be drawn")))?;
        let mut head = vec![FORMAT];
        head.extend_from_slice(&self.cost.memory_kib.to_be_bytes());
        head.extend_from_slice(&self.cost.passes.to_be_bytes());
        head.extend_from_slice(&salt);
        let root = self.stretched(salt, self.cost).await?;
        envelope::seal(self.sealing.as_ref(), &root, purpose, &head, key)
    }

    async fn unwrap(&self, purpose: Agreement<'_>, wrapped: &Sealed) -> StoreResult<Secret<Vec<u8>>> {
        let mut head = Head::of(wrapped, FORMAT, WHAT)?;
        let cost = Stretch { memory_kib: u32::from_be_bytes(head.array()?), passes: u32::from_be_bytes(head.array()?) };
        let salt = head.array()?;
        if cost.memory_kib > MOST.memory_kib || cost.passes > MOST.passes {
            return Err(StoreError::Key(String::from(
                "a wrapped key asks for more memory or time than any that was made",
            )));
        }
        let (head, sealed) = head.end();
        let root = self.stretched(salt, cost).await?;
        envelope::open(self.sealing.as_ref(), &root, purpose, head, sealed)
    }

    fn describe(&self) -> String {
        format!("passphrase from {}", self.origin)
    }
}
