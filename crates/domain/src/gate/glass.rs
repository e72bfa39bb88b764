//! What two custodians open in the stead of a customer's key, as the house's keyrings see it.

use kernel::{PrincipalId, Result, Secret};
use uuid::Uuid;

use super::House;
use crate::customer_keys::Opening;

impl House {
    /// What people call somebody of the directory.
    pub fn display_name(&self, of: PrincipalId) -> Option<String> {
        self.identity.name_of(of)
    }

    /// From now on this key opens the keyring of what has this GUID, for as long as the opening says. The wish that was approved must
    /// still be there.
    pub(crate) fn break_glass(&self, of: Uuid, wish: Uuid, opening: Opening, inner: Secret<Vec<u8>>) -> Result<()> {
        self.glass.open(of, wish, opening, inner, self.now())?;
        self.turn_glass(of);
        Ok(())
    }

    /// Ends an opening, and what was asked for: whoever holds what it opened is locked out. Gives what was open.
    pub(crate) fn end_opening(&self, of: Uuid) -> Option<Opening> {
        let ended = self.glass.end(of);
        if ended.is_some() {
            self.turn_glass(of);
        }
        ended
    }

    /// Locks out whoever holds what an opening opened whose time is over. What was asked for or opened since stays.
    pub(crate) fn lock_what_is_over(&self, of: Uuid) {
        if self.glass.is_over(of, self.now()) {
            self.turn_glass(of);
        }
    }

    fn turn_glass(&self, of: Uuid) {
        if self.keys().glass_turned(of) {
            self.scoring.forget_services();
            self.recall.forget_locked();
        }
    }

    /// Keyrings were made, changed or destroyed: no opening outlives that.
    pub(super) fn forget_keyrings(&self, ids: &[Vec<u8>]) {
        for of in ids.iter().filter_map(|id| Uuid::from_slice(id).ok()) {
            self.end_opening(of);
        }
        self.keys().forget_opened(ids);
        self.recall.forget_shelves(ids);
    }
}
