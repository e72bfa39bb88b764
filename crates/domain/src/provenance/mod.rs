//! The provenance room: signed statements about models and images, the chain that they make, and what hangs on an image.
//!
//! The chain is snapshot → run → model → image → service. **Invariant:** a model version with files and an image have a statement of the
//! workspace's key from the commit that made them. **Invariant:** no replica begins that is not what its statements say; a statement that
//! is missing is a broken link.

mod chain;
mod image;
mod keys;
mod model;
mod read;
mod sbom;
mod statement;
#[cfg(test)]
mod tests;

pub use chain::{Chain, Link, LinkState};
pub(crate) use chain::{require_chain, require_layer, require_service};
pub(crate) use image::{Made, Statements, attach, is_stated, statements};
pub(crate) use model::{SignedFiles, drop_statement, require_model, sign_model};
pub use read::{GetStatementKeys, PublicStatementKey, VerifiedImage, VerifyImage};
