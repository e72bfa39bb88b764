//! Typed ids: one cannot be passed where another is meant. Random ids are never reused (invariant I8).

use std::{fmt, hash::Hash, marker::PhantomData, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A text that is not an id of the kind asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a {kind}")]
pub struct InvalidId {
    /// What was expected, in words.
    pub kind: &'static str,
    /// The offending text, shortened.
    pub text: String,
}

/// What a GUID names; its implementors are only used as type parameters of [`Guid`].
pub trait Noun: Copy + Eq + Ord + Hash + Send + Sync + 'static {
    /// The noun in words, for errors and debugging.
    const WORDS: &'static str;
}

/// A GUID that names an `N`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Guid<N: Noun>(pub Uuid, #[serde(skip)] PhantomData<N>);

/// The nouns themselves.
pub mod noun {
    /// The directory that principals belong to (`tid`).
    #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub struct Tenant;
    impl super::Noun for Tenant {
        const WORDS: &'static str = "tenant id";
    }
    /// A user, group, service principal or managed identity (`oid`).
    #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub struct Principal;
    impl super::Noun for Principal {
        const WORDS: &'static str = "principal id";
    }
    /// An application registration (`appid`, the OAuth client id).
    #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub struct App;
    impl super::Noun for App {
        const WORDS: &'static str = "client id";
    }
    /// A subscription.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub struct Subscription;
    impl super::Noun for Subscription {
        const WORDS: &'static str = "subscription id";
    }
    /// The GUID of a workspace; also the name of the shelf its data is sealed for.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub struct Workspace;
    impl super::Noun for Workspace {
        const WORDS: &'static str = "workspace id";
    }
    /// One blob version: the name under which ciphertext lies in a `BlobStore`; says nothing about its content.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub struct Blob;
    impl super::Noun for Blob {
        const WORDS: &'static str = "blob id";
    }
    /// Ties together everything that one request caused.
    #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
    pub struct Correlation;
    impl super::Noun for Correlation {
        const WORDS: &'static str = "correlation id";
    }
}

/// The directory that principals belong to (`tid`).
pub type TenantId = Guid<noun::Tenant>;
/// A user, group, service principal or managed identity (`oid`).
pub type PrincipalId = Guid<noun::Principal>;
/// An application registration (`appid`, the OAuth client id).
pub type AppId = Guid<noun::App>;
/// A subscription.
pub type SubscriptionId = Guid<noun::Subscription>;
/// The GUID of a workspace; also the name of the shelf its data is sealed for.
pub type WorkspaceId = Guid<noun::Workspace>;
/// One blob version: the name under which ciphertext lies in a `BlobStore`; says nothing about its content.
pub type BlobId = Guid<noun::Blob>;
/// Ties together everything that one request caused.
pub type CorrelationId = Guid<noun::Correlation>;

impl<N: Noun> Guid<N> {
    /// A fresh random id.
    pub fn random() -> Self {
        Self::from(Uuid::new_v4())
    }

    /// The sixteen bytes of the id.
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl<N: Noun> From<Uuid> for Guid<N> {
    fn from(guid: Uuid) -> Self {
        Self(guid, PhantomData)
    }
}

impl<N: Noun> From<Guid<N>> for Uuid {
    fn from(guid: Guid<N>) -> Self {
        guid.0
    }
}

impl<N: Noun> FromStr for Guid<N> {
    type Err = InvalidId;
    /// Only the hyphenated form: one spelling per id, so that comparing texts never disagrees with comparing ids.
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        match Uuid::try_parse(text) {
            Ok(guid) if text.len() == 36 => Ok(Self::from(guid)),
            _ => Err(InvalidId { kind: N::WORDS, text: text.chars().take(80).collect() }),
        }
    }
}

impl<N: Noun> fmt::Display for Guid<N> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.hyphenated(), out)
    }
}

impl<N: Noun> fmt::Debug for Guid<N> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {self}", N::WORDS)
    }
}

/// A run (a job's execution) as MLflow and Azure name it: `^[a-zA-Z0-9][\w-]{0,255}$` (MLflow's `validation.py`,
/// Azure's limit of 256 characters).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct RunId(String);

impl RunId {
    /// A fresh random id in MLflow's form: 32 hex digits.
    pub fn random() -> Self {
        Self(Uuid::new_v4().simple().to_string())
    }
    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RunId {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        let mut letters = text.chars();
        let starts_well = letters.next().is_some_and(|first| first.is_ascii_alphanumeric());
        let goes_on_well = letters.all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
        if starts_well && goes_on_well && text.len() <= 256 {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidId { kind: "run id", text: text.chars().take(80).collect() })
        }
    }
}
impl TryFrom<String> for RunId {
    type Error = InvalidId;
    fn try_from(text: String) -> Result<Self, InvalidId> {
        text.parse()
    }
}
impl From<RunId> for String {
    fn from(id: RunId) -> Self {
        id.0
    }
}
impl fmt::Display for RunId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_has_one_spelling() {
        let guid = "6f9619ff-8b86-d011-b42d-00c04fc964ff";
        assert_eq!(guid.parse::<TenantId>().unwrap().to_string(), guid);
        assert!("6f9619ff8b86d011b42d00c04fc964ff".parse::<TenantId>().is_err());
        assert!("{6f9619ff-8b86-d011-b42d-00c04fc964ff}".parse::<TenantId>().is_err());
    }

    #[test]
    fn a_run_id_is_never_a_path() {
        for bad in ["", "..", "a/b", "-a", "a b", "a\0", "a%2f", &"a".repeat(257)] {
            assert!(bad.parse::<RunId>().is_err(), "{bad:?}");
        }
        assert!("exp_1700000000_0a1b2c3d".parse::<RunId>().is_ok());
    }
}
