//! What leaves the house sealed and comes back in a client's hands, such as the backup of a vault's object.

use kernel::{Result, Secret};
use seal::Place;

use super::{Admission, Shelf};

impl Admission<'_> {
    /// Seals under the system's key for a purpose that no table is named like, bound to what it may be opened for.
    pub(crate) fn seal_apart(&self, purpose: &str, bound_to: &[u8], plain: &[u8]) -> Result<Vec<u8>> {
        let place = Place { shelf: &Shelf::SYSTEM, table: purpose, id: bound_to, version: 0 };
        Ok(self.system().ring().seal(place, plain)?.into_bytes().to_vec())
    }

    /// Opens what was sealed for this purpose and bound to this; none for anything else.
    pub(crate) fn open_apart(&self, purpose: &str, bound_to: &[u8], sealed: &[u8]) -> Option<Secret<Vec<u8>>> {
        let place = Place { shelf: &Shelf::SYSTEM, table: purpose, id: bound_to, version: 0 };
        self.system().ring().open_returned(place, sealed).ok().map(Secret::new)
    }
}
