//! Where passwords are hashed: a few at a time, off the threads that answer requests, and with a bounded queue. One hash
//! takes 46 MiB and some fifty milliseconds of a core, which is what a stranger could spend of ours.

use std::sync::Arc;

use kernel::{Error, Kind, Result, Secret};
use seal::{PasswordHash, SealError};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::spawn_blocking,
};

/// Hashes at a time.
const AT_A_TIME: usize = 2;
/// Those that are hashed and those that wait, together.
const MOST: usize = 34;

/// The places.
#[derive(Debug)]
pub(in crate::identity) struct Hashing {
    waiting: Arc<Semaphore>,
    working: Arc<Semaphore>,
}

impl Default for Hashing {
    fn default() -> Self {
        Self { waiting: Arc::new(Semaphore::new(MOST)), working: Arc::new(Semaphore::new(AT_A_TIME)) }
    }
}

/// A place: while it is held, one hash may be computed.
#[derive(Debug)]
pub(in crate::identity) struct HashingPlace {
    _waited: OwnedSemaphorePermit,
    _works: OwnedSemaphorePermit,
}

impl Hashing {
    /// Waits for a place. `Unavailable` when too many wait already.
    pub(in crate::identity) async fn place(&self) -> Result<HashingPlace> {
        let busy = || Error::new(Kind::Unavailable, "too many people sign in just now; try again in a few seconds");
        let waited = Arc::clone(&self.waiting).try_acquire_owned().map_err(|_| busy())?;
        let works = Arc::clone(&self.working).acquire_owned().await.map_err(Error::internal)?;
        Ok(HashingPlace { _waited: waited, _works: works })
    }
}

impl HashingPlace {
    /// Whether this is the password. Without a hash to compare with it takes as long and the answer is no (invariant I32).
    pub(in crate::identity) async fn matches(
        self,
        hash: Option<PasswordHash>,
        password: Secret<String>,
    ) -> Result<bool> {
        self.work(move || match hash {
            Some(hash) => hash.matches(&password),
            None => PasswordHash::decoy()?.matches(&password),
        })
        .await
    }

    /// Hashes a new password.
    pub(in crate::identity) async fn hash(self, password: Secret<String>) -> Result<PasswordHash> {
        self.work(move || PasswordHash::new(&password)).await
    }

    async fn work<T: Send + 'static>(self, task: impl FnOnce() -> Result<T, SealError> + Send + 'static) -> Result<T> {
        // The place goes along: whoever hangs up does not make room for another while the hash is still computed.
        let done = spawn_blocking(move || {
            let done = task();
            drop(self);
            done
        });
        Ok(done.await.map_err(Error::internal)??)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn beyond_the_queue_nobody_waits() {
        let hashing = Arc::new(Hashing::default());
        let (first, second) = (hashing.place().await.unwrap(), hashing.place().await.unwrap());
        let waiting: Vec<_> = (2..MOST)
            .map(|_| {
                let hashing = Arc::clone(&hashing);
                tokio::spawn(async move { hashing.place().await.map(drop) })
            })
            .collect();
        while hashing.waiting.available_permits() > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(hashing.place().await.unwrap_err().kind(), Kind::Unavailable);
        drop((first, second));
        for waited in waiting {
            waited.await.unwrap().unwrap();
        }
        hashing.place().await.unwrap();
    }

    #[tokio::test]
    async fn a_hash_matches_its_password_and_no_hash_matches_none() {
        let hashing = Hashing::default();
        let password = || Secret::new(String::from("correct horse"));
        let hash = hashing.place().await.unwrap().hash(password()).await.unwrap();
        assert!(hashing.place().await.unwrap().matches(Some(hash.clone()), password()).await.unwrap());
        let other = Secret::new(String::from("incorrect horse"));
        assert!(!hashing.place().await.unwrap().matches(Some(hash), other).await.unwrap());
        assert!(!hashing.place().await.unwrap().matches(None, password()).await.unwrap());
        assert_eq!(hashing.waiting.available_permits(), MOST);
    }
}
