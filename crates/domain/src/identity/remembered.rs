//! What was found out before and is asked again at once: tokens that verified, applications that were read. All of it is
//! forgotten when something it depends on changes.

use std::{
    collections::HashMap,
    hash::Hash,
    sync::{Mutex, MutexGuard, PoisonError},
};

/// Entries kept in memory.
const MOST: usize = 10_000;

/// Findings by key.
pub(crate) struct Remembered<K, V>(Mutex<Kept<K, V>>);

struct Kept<K, V> {
    found: HashMap<K, V>,
    /// How often all were forgotten.
    times: u64,
}

impl<K, V> Default for Remembered<K, V> {
    fn default() -> Self {
        Self(Mutex::new(Kept { found: HashMap::new(), times: 0 }))
    }
}

/// From when on what is found out counts.
#[derive(Clone, Copy)]
pub(crate) struct Since(u64);

impl<K: Eq + Hash, V: Clone> Remembered<K, V> {
    fn lock(&self) -> MutexGuard<'_, Kept<K, V>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was found out before.
    pub(crate) fn get(&self, key: &K) -> Option<V> {
        self.lock().found.get(key).cloned()
    }

    /// To be taken before anything is found out.
    pub(crate) fn since(&self) -> Since {
        Since(self.lock().times)
    }

    /// Keeps what was found out, unless all was forgotten meanwhile: it may have changed just after it was looked at.
    pub(crate) fn remember(&self, since: Since, key: K, found: V) {
        let mut kept = self.lock();
        if kept.times != since.0 {
            return;
        }
        if kept.found.len() >= MOST {
            kept.found.clear();
        }
        kept.found.insert(key, found);
    }

    /// Forgets all: each is looked at anew.
    pub(crate) fn forget(&self) {
        let mut kept = self.lock();
        kept.times = kept.times.wrapping_add(1);
        kept.found.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changed_while_it_was_looked_at_is_not_kept() {
        let remembered = Remembered::default();
        let since = remembered.since();
        remembered.remember(since, 1, "one");
        assert_eq!(remembered.get(&1), Some("one"));
        remembered.forget();
        remembered.remember(since, 1, "stale");
        assert_eq!(remembered.get(&1), None);
        remembered.remember(remembered.since(), 1, "new");
        assert_eq!(remembered.get(&1), Some("new"));
    }
}
