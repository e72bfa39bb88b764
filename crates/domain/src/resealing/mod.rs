//! The resealing room: a new key for a workspace's data, under which all of it is sealed anew while it is in use, and after which
//! the old key is destroyed (requirement X-13).
//!
//! A new version of the keyring seals from its commit on; then the server goes through the workspace's rows, table by table, and
//! seals anew what an older version sealed. Rows stay what they are: no version counts up, nobody's `If-Match` fails. Blobs are
//! sealed under keys of their own, which lie in rows: with these, those keys are wrapped anew. When no row names an older version,
//! these are taken out of the keyring, a minute later, so that whoever read a row before can still open it.
//!
//! **Invariant:** an older version is destroyed only when no row of the workspace names it.

mod start;
mod state;
mod status;
mod work;

pub use start::StartReseal;
pub(crate) use state::forget;
pub use state::{Reseal, TableProgress};
pub use status::{GetReseal, ResealStatus};
pub use work::reseal_what_is_due;
