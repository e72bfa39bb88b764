//! The need for keys that customers hold elsewhere: holders that the operator named, each with keys of its own.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{Agreement, ResourceId, Secret, StoreError, StoreResult};

/// A key at a holder elsewhere.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct KeyElsewhere {
    /// The holder's name, as the operator gave it.
    pub holder: String,
    /// The key's name there.
    pub key: String,
    /// The version that wraps; the newest one when none is named. Where a holder's keys have no versions that can be chosen, none
    /// is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
}

/// Whether a holder may be used somewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HolderRule {
    /// It may.
    Open,
    /// The operator named it for other places.
    NotHere,
    /// There is none of that name.
    Unknown,
}

/// Holders of customers' keys. Nothing is ever asked of anybody whom the operator did not name. Each answers within 30 seconds:
/// `KeyAway` when it cannot be reached, and `Key` when it says no.
#[async_trait]
pub trait KeyHolders: std::fmt::Debug + Send + Sync {
    /// The key that an address leads to, `https://<vault>/keys/<name>[/<version>]`, when it begins with the address of a holder.
    fn by_address(&self, address: &str) -> Option<KeyElsewhere>;

    /// Whether what lies at a place may be held by a holder.
    fn rule(&self, holder: &str, place: &ResourceId) -> HolderRule;

    /// Whether people may be named who open, two together, what a holder locks. It is the operator's word, given for each holder: whose
    /// a key elsewhere is cannot be told here, so nobody else can agree in its owner's place.
    fn may_be_opened_without(&self, _holder: &str) -> bool {
        false
    }

    /// Wraps a key for a purpose.
    async fn wrap(&self, key: &KeyElsewhere, purpose: Agreement<'_>, plain: &Secret<Vec<u8>>) -> StoreResult<Vec<u8>>;

    /// Unwraps what `wrap` made for the same purpose.
    async fn unwrap(&self, key: &KeyElsewhere, purpose: Agreement<'_>, wrapped: &[u8]) -> StoreResult<Secret<Vec<u8>>>;
}

/// No holder at all: what a server has whose operator named none.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoKeyHolders;

impl NoKeyHolders {
    fn refusal(key: &KeyElsewhere) -> StoreError {
        StoreError::Key(format!("the operator of this server names no holder `{}` of keys", key.holder))
    }
}

#[async_trait]
impl KeyHolders for NoKeyHolders {
    fn by_address(&self, _: &str) -> Option<KeyElsewhere> {
        None
    }

    fn rule(&self, _: &str, _: &ResourceId) -> HolderRule {
        HolderRule::Unknown
    }

    async fn wrap(&self, key: &KeyElsewhere, _: Agreement<'_>, _: &Secret<Vec<u8>>) -> StoreResult<Vec<u8>> {
        Err(Self::refusal(key))
    }

    async fn unwrap(&self, key: &KeyElsewhere, _: Agreement<'_>, _: &[u8]) -> StoreResult<Secret<Vec<u8>>> {
        Err(Self::refusal(key))
    }
}
