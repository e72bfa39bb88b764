//! The erasure room: what is left to say of a workspace whose key was destroyed, signed, so that it can be shown to others
//! (requirement X-15), and kept to when an older backup is restored.
//!
//! **Invariant:** no workspace's keyring is destroyed without a row here in the same commit.

mod certificate;
mod honour;
mod list;
mod record;
mod sign;

pub use certificate::{Certificate, CertificateFault, ErasedKeyring, Erasure, Party, Verified, Voice};
pub use honour::{HonourErasure, Honoured};
pub use list::{GetErasure, ListErasures};
pub(crate) use record::{Asked, tell};
pub use sign::sign_erasures;
