//! Deletions that wait while blobs are copied.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use kernel::{BlobHold, BlobId, StoreResult};

use super::shelf::Shelf;

/// Who holds the blobs, and what waits for them.
#[derive(Default)]
pub(super) struct Holds(Mutex<Held>);

#[derive(Default)]
struct Held {
    holders: usize,
    waiting: Vec<BlobId>,
}

struct Hold {
    holds: Arc<Holds>,
    shelf: Arc<Shelf>,
}

impl Holds {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn begin(self: &Arc<Self>, shelf: &Arc<Shelf>) -> BlobHold {
        let mut held = self.held();
        held.holders = held.holders.saturating_add(1);
        Box::new(Hold { holds: Arc::clone(self), shelf: Arc::clone(shelf) })
    }

    /// Removes a blob, now or when nobody holds it any more.
    pub(super) fn remove(&self, shelf: &Shelf, id: BlobId) -> StoreResult<()> {
        let mut held = self.held();
        if held.holders > 0 {
            held.waiting.push(id);
            return Ok(());
        }
        // While it is removed nobody begins to hold: a hold finds a blob that is whole, or none.
        shelf.remove(id)
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        let mut held = self.holds.held();
        held.holders = held.holders.saturating_sub(1);
        if held.holders > 0 || held.waiting.is_empty() {
            return;
        }
        let waiting = std::mem::take(&mut held.waiting);
        drop(held);
        let (holds, shelf) = (Arc::clone(&self.holds), Arc::clone(&self.shelf));
        // It may be dropped where requests are served. Whoever begins to hold meanwhile finds the rest whole, and it waits again.
        let removal = std::thread::Builder::new().name(String::from("removal")).spawn(move || {
            for id in waiting {
                if let Err(fault) = holds.remove(&shelf, id) {
                    tracing::warn!(%fault, %id, "a blob that was deleted during a backup stays, and nothing points to it");
                }
            }
        });
        if let Err(cause) = removal {
            tracing::warn!(%cause, "blobs that were deleted during a backup stay, and nothing points to them");
        }
    }
}
