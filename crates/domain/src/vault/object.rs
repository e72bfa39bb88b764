//! An object with its versions, as it is stored.

use std::{collections::BTreeMap, marker::PhantomData};

use kernel::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Attributes, Kind, VersionId};
use crate::gate::Record;

/// An object: its name and its current version. On the vault's shelf, by its name's keyed hash. The current version lies here,
/// since most reads and every list want just that one.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Object<K: Kind> {
    /// Its name, in the casing it was made with.
    pub name: String,
    /// The newest version.
    pub current: Version<K>,
    /// How many older ones there are.
    #[serde(default)]
    pub older: u32,
    /// What belongs to all versions.
    #[serde(default)]
    pub whole: K::Whole,
    /// Whether it came with a certificate, and is changed with that alone.
    #[serde(default)]
    pub is_managed: bool,
    /// Whether it is deleted; its name is nobody else's meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deletion: Option<Deletion>,
}

impl<K: Kind> Record for Object<K> {
    const TABLE: &'static str = K::TABLE;
}

/// A version.
#[derive(Clone, Serialize, Deserialize)]
#[serde(bound = "")]
pub struct Version<K: Kind> {
    /// Its name.
    pub id: VersionId,
    /// Whether and when it may be used.
    pub attributes: Attributes,
    /// Free labels.
    #[serde(default)]
    pub tags: BTreeMap<String, String>,
    /// What it holds.
    pub content: K::Content,
}

// What a version holds may be secret.
impl<K: Kind> std::fmt::Debug for Version<K> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Version({})", self.id)
    }
}

/// A version that is not the newest. By the id of its object, then its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "", transparent)]
pub(super) struct Older<K: Kind>(pub Version<K>);

impl<K: Kind> Record for Older<K> {
    const TABLE: &'static str = K::VERSIONS;
}

/// That an object is deleted. It lies with the object itself, so that whatever makes, deletes, recovers or purges one of some name
/// changes one row, and of two such changes at once one is refused as stale.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Deletion {
    /// When it was deleted.
    pub deleted_at: Timestamp,
    /// When it is purged by the server itself.
    pub purge_at: Timestamp,
    /// Whether its purge has begun: some of its older versions may be gone already.
    #[serde(default)]
    pub is_going: bool,
}

/// That an object of this id is deleted, for finding all that are. In the same commit as the object's own row.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(bound = "")]
pub(super) struct Resting<K: Kind> {
    /// When it is purged by the server itself.
    pub purge_at: Timestamp,
    #[serde(skip)]
    kind: PhantomData<fn() -> K>,
}

impl<K: Kind> Resting<K> {
    pub(super) fn until(purge_at: Timestamp) -> Self {
        Self { purge_at, kind: PhantomData }
    }
}

impl<K: Kind> Record for Resting<K> {
    const TABLE: &'static str = K::DELETED;
}
