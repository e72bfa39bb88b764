//! What the room keeps in memory: keys that were used a moment ago, and places for making new ones.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use kernel::{Error, Kind as Fault, Result, Timestamp};
use seal::{VaultKey, VaultKeyFault};
use tokio::{sync::Semaphore, task::spawn_blocking};
use uuid::Uuid;

use super::{KeyContent, VersionId};

/// Keys that are held.
const MOST: usize = 256;
/// How long after its last use one is held. Reading a private half checks its numbers, which costs as much as using it.
const WHILE: Duration = Duration::from_secs(60);
/// RSA keys that are made at once: each takes a processor for up to some seconds.
const MAKING: usize = 2;
/// Bundles under a password that are read at once.
const READING: usize = 1;
/// Those that wait for it, too.
const WAITING: usize = 16;

/// Keys ready for work, by vault and version. Whether one may be used is decided anew each time; what is held here never
/// changes, since a version never does.
pub(crate) struct HeldKeys {
    keys: Mutex<HashMap<(Uuid, VersionId), Held>>,
    making: Arc<Semaphore>,
    waiting: Arc<Semaphore>,
    reading: Arc<Semaphore>,
    readers: Arc<Semaphore>,
}

struct Held {
    key: Arc<VaultKey>,
    used_at: Timestamp,
}

impl Default for HeldKeys {
    fn default() -> Self {
        let place = |size| Arc::new(Semaphore::new(size));
        Self {
            keys: Mutex::default(),
            making: place(MAKING),
            waiting: place(WAITING),
            reading: place(READING),
            readers: place(WAITING),
        }
    }
}

impl HeldKeys {
    /// The key of a version that was just read.
    pub(super) fn key(
        &self,
        vault: Uuid,
        version: VersionId,
        content: &KeyContent,
        now: Timestamp,
    ) -> Result<Arc<VaultKey>> {
        if let Some(held) = self.keys().get_mut(&(vault, version)) {
            held.used_at = now;
            return Ok(Arc::clone(&held.key));
        }
        let key = Arc::new(content.opened()?);
        let mut keys = self.keys();
        if keys.len() >= MOST {
            let oldest = keys.iter().min_by_key(|(_, held)| held.used_at).map(|(id, _)| *id);
            oldest.and_then(|id| keys.remove(&id));
        }
        keys.insert((vault, version), Held { key: Arc::clone(&key), used_at: now });
        Ok(key)
    }

    /// Wipes what was not used for a minute.
    pub(crate) fn forget_idle(&self, now: Timestamp) {
        self.keys().retain(|_, held| now.since(held.used_at) < WHILE && held.used_at <= now);
    }

    fn keys(&self) -> std::sync::MutexGuard<'_, HashMap<(Uuid, VersionId), Held>> {
        self.keys.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does what takes long, apart from what serves requests, in one of a few places.
    ///
    /// # Errors
    /// `Throttled` when too many wait already.
    pub(in crate::vault) async fn make<T: Send + 'static>(
        &self,
        task: impl FnOnce() -> Result<T, VaultKeyFault> + Send + 'static,
    ) -> Result<T> {
        self.work(&self.waiting, &self.making, task).await
    }

    /// Reads what somebody brings under a password, which can be made to take long: in a place of its own, so that nobody's keys wait
    /// for it.
    ///
    /// # Errors
    /// `Throttled` when too many wait already.
    pub(in crate::vault) async fn read<T: Send + 'static>(
        &self,
        task: impl FnOnce() -> Result<T, VaultKeyFault> + Send + 'static,
    ) -> Result<T> {
        self.work(&self.readers, &self.reading, task).await
    }

    async fn work<T: Send + 'static>(
        &self,
        waiting: &Arc<Semaphore>,
        working: &Arc<Semaphore>,
        task: impl FnOnce() -> Result<T, VaultKeyFault> + Send + 'static,
    ) -> Result<T> {
        let busy = |_| Error::new(Fault::Throttled, "too many keys are being made; try again in a few seconds");
        let waits = Arc::clone(waiting).try_acquire_owned().map_err(busy)?;
        let works = Arc::clone(working).acquire_owned().await.map_err(Error::internal)?;
        // The places go along: whoever hangs up does not make room while the key is still being made.
        let made = spawn_blocking(move || {
            let made = task();
            drop((waits, works));
            made
        });
        Ok(made.await.map_err(Error::internal)??)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vault::keys::KeyType;
    use seal::VaultKeyShape;

    #[test]
    fn a_key_is_held_for_a_minute_and_few_are() {
        let held = HeldKeys::default();
        let key = VaultKey::generate(VaultKeyShape::Symmetric(128)).unwrap();
        let content = KeyContent::new(KeyType::Oct, Vec::new(), &key);
        let (vault, version) = (Uuid::from_u128(1), VersionId::random());
        let second = Timestamp(1000);
        let first = held.key(vault, version, &content, Timestamp(0)).unwrap();
        assert!(Arc::ptr_eq(&first, &held.key(vault, version, &content, second).unwrap()));
        held.forget_idle(Timestamp(60_999));
        assert_eq!(held.keys().len(), 1);
        held.forget_idle(Timestamp(61_000));
        assert_eq!(held.keys().len(), 0);
        for at in 0..300 {
            held.key(vault, VersionId::random(), &content, Timestamp(at)).unwrap();
        }
        assert_eq!(held.keys().len(), MOST);
        // A clock that went back does not hold keys for longer.
        held.forget_idle(Timestamp(-1));
        assert_eq!(held.keys().len(), 0);
    }
}
