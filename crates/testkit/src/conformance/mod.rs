//! The contracts of the ports, as code. A driver conforms when its suite does not panic.
//!
//! A suite opens the driver at numbered places of its own choice. At a new number the driver must be empty. When
//! [`Persistence::Kept`] is said, opening a number again, after the former handle was dropped, must find what was
//! acknowledged there.

mod blob;
mod key;
mod meta;
mod meta_log;

pub use blob::blob;
pub use key::{away, dear_key, key, rotating_key};
pub use meta::meta;

/// Whether what was acknowledged outlives the driver's handle.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Persistence {
    /// It does: the suite opens places again.
    Kept,
    /// It does not: the suite opens each place once.
    Lost,
}
