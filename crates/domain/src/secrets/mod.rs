//! Secrets in runs and services: named in environment variables, read for the target alone, and looked for where they should not
//! be.
//!
//! A variable of a job or a deployment may say `secret://name`, a secret of the workspace's own key vault. What is stored and shown
//! is that name. **Invariant:** a value leaves the vault for the agent of a run that names it and for nobody else, and only while
//! whoever submitted the run may read it. **Invariant:** no row, record or error of ours holds a value.

mod detection;
mod literal;
mod policy;
mod read;
mod reference;
mod shapes;

pub use detection::SecretDetection;
pub(crate) use policy::{Given, admit};
pub(crate) use read::{READ, values};
