//! What was looked at, for the attempts of one operation.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU64},
};

use serde::{Deserialize, Serialize};

use super::{content::Form, names::Danger};
use crate::{
    gate::{BlobRef, Record},
    secrets::Hit,
};

/// Files of one version that are looked at; contents that were looked at before do not count.
const MOST_FILES: usize = 2000;
/// Bytes that are read for one version.
const MOST_BYTES: u64 = 512 << 20;
/// Bytes that come out of all that is compressed in one version.
const MOST_INFLATED: u64 = 1 << 30;

/// What was found in one content.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Look {
    /// The numbers of the rules it was looked at by: those about names, and those about texts; 0 when it was not.
    pub(super) rules: (u32, u32),
    pub(super) names: Vec<(Danger, String)>,
    pub(super) hits: Vec<Hit>,
}

impl Record for Look {
    const TABLE: &'static str = "model-look";
}

/// Whether rules answer for others.
pub(super) fn covers(rules: (u32, u32), wanted: (u32, u32)) -> bool {
    (wanted.0 == 0 || rules.0 == wanted.0) && (wanted.1 == 0 || rules.1 == wanted.1)
}

/// What was found in one content, and whether that is to be kept for others.
#[derive(Clone, Debug)]
pub(super) struct Sight {
    pub(super) look: Look,
    pub(super) is_to_keep: bool,
}

/// What an operation looked at. Its further attempts look at nothing again, and what it may read counts for all of them together.
#[derive(Clone, Debug, Default)]
pub struct Seen(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    sights: BTreeMap<(String, Form), Sight>,
    /// Bytes that may still be read.
    left: u64,
    /// Files that may still be looked at.
    room: usize,
    /// Bytes that may still be inflated.
    inflated: Arc<AtomicU64>,
}

impl Default for State {
    fn default() -> Self {
        let inflated = Arc::new(AtomicU64::new(MOST_INFLATED));
        Self { sights: BTreeMap::new(), left: MOST_BYTES, room: MOST_FILES, inflated }
    }
}

impl Seen {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn find(&self, blob: &BlobRef, form: Form, wanted: (u32, u32)) -> Option<Sight> {
        let state = self.state();
        let sight = state.sights.get(&(blob.sha256.clone(), form));
        sight.filter(|sight| covers(sight.look.rules, wanted)).cloned()
    }

    pub(super) fn put(&self, blob: &BlobRef, form: Form, sight: Sight) -> Sight {
        self.state().sights.insert((blob.sha256.clone(), form), sight.clone());
        sight
    }

    /// Begins to look at one more content: bytes that may be read, and inflated; none when there is no more room.
    pub(super) fn begin(&self) -> Option<(u64, Arc<AtomicU64>)> {
        let mut state = self.state();
        let rest = state.room.checked_sub(1).filter(|_| state.left > 0)?;
        state.room = rest;
        Some((state.left, Arc::clone(&state.inflated)))
    }

    /// Says how many bytes may still be read.
    pub(super) fn end(&self, left: u64) {
        self.state().left = left;
    }
}
