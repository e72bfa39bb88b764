//! OAuth through the public endpoints: what must work, and every known way to get more than was given.

mod assertions;
mod authorize;
mod behalf;
mod clients;
mod codes;
mod devices;
mod discovery;
mod forgeries;
mod refresh;
mod robot;
mod stage;
mod workload;

pub(crate) use behalf::run_token;
pub use stage::{Stage, Stage as WithPerson, claims_of, pairs, with};
