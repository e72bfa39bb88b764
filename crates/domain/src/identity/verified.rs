//! Bearer tokens that verified, kept in memory, so that a token's signature and grant are looked at once.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use kernel::{Caller, Timestamp};

/// Verified tokens kept in memory.
const MOST: usize = 10_000;

/// Tokens that verified, by digest.
#[derive(Default)]
pub(super) struct Verified(Mutex<Kept>);

#[derive(Default)]
struct Kept {
    callers: HashMap<[u8; 32], (Caller, Timestamp)>,
    /// How often all were forgotten.
    times: u64,
}

/// From when on what is found out about a token counts.
#[derive(Clone, Copy)]
pub(super) struct Since(u64);

impl Verified {
    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who holds the token, and until when, if it verified before.
    pub(super) fn get(&self, digest: &[u8; 32]) -> Option<(Caller, Timestamp)> {
        self.lock().callers.get(digest).cloned()
    }

    /// To be taken before anything is found out about a token.
    pub(super) fn since(&self) -> Since {
        Since(self.lock().times)
    }

    /// Keeps what was found out, unless all were forgotten meanwhile: it may have been revoked just after it was looked at.
    pub(super) fn remember(&self, since: Since, digest: [u8; 32], caller: Caller, end: Timestamp) {
        let mut kept = self.lock();
        if kept.times != since.0 {
            return;
        }
        if kept.callers.len() >= MOST {
            kept.callers.clear();
        }
        kept.callers.insert(digest, (caller, end));
    }

    /// Forgets all: each is checked anew.
    pub(super) fn forget(&self) {
        let mut kept = self.lock();
        kept.times = kept.times.wrapping_add(1);
        kept.callers.clear();
    }
}
