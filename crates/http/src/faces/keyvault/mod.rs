//! Key Vault's REST: `https://{vault}.vault.{suffix}/…`, and the same below `/vaults/{vault}`.
//!
//! Every handler begins with `Visit::new`: who asks, at which vault, under which version of the interface. Who shows no token is
//! answered with a challenge before anything else is looked at, since clients send their first request without token and body.

mod certificates;
mod error;
mod keys;
mod objects;
mod secrets;
mod shape;
mod version;
mod visit;

pub(crate) use error::Fault;
pub(crate) use shape::{AttributesBody, attributes, deleted, page, tags};
pub(crate) use visit::Visit;

use crate::Doors;

/// The doors of this face.
pub fn doors(doors: Doors) -> Doors {
    doors.face(certificates::doors).face(keys::doors).face(secrets::doors)
}
