//! Turns of those who open the same keyring at once: one does, and the others find it done.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, Weak},
};

use tokio::sync::{Mutex as Turn, OwnedMutexGuard};
use uuid::Uuid;

/// Beyond so many, those that nobody takes any more are put away.
const ENOUGH: usize = 256;

/// A turn for each keyring that somebody opens just now.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<Uuid, Weak<Turn<()>>>>);

impl Turns {
    /// Waits for the turn to open this one; it ends with the guard.
    pub(super) async fn take(&self, id: Uuid) -> OwnedMutexGuard<()> {
        self.of(id).lock_owned().await
    }

    fn of(&self, id: Uuid) -> Arc<Turn<()>> {
        let mut turns = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(turn) = turns.get(&id).and_then(Weak::upgrade) {
            return turn;
        }
        if turns.len() >= ENOUGH {
            turns.retain(|_, turn| turn.strong_count() > 0);
        }
        let turn = Arc::new(Turn::default());
        turns.insert(id, Arc::downgrade(&turn));
        turn
    }
}
