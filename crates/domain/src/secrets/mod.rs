//! Secrets in runs and services: named in environment variables, read for the target alone, and looked for where they should not
//! be.
//!
//! A variable of a job or a deployment may say `secret://name`, a secret of the workspace's own key vault. What is stored and shown
//! is that name. The code of a job may also ask for secrets by name while it runs, and people set and read them by name.
//! **Invariant:** a value leaves the vault for runs whose submitter may read it, while they may, and for people who could submit
//! such a run. **Invariant:** no row, record or error of ours holds a value.

mod by_name;
mod detection;
mod keeper;
mod literal;
mod policy;
mod read;
mod reference;
mod scan;
mod shapes;

pub use by_name::{DeleteSecrets, FoundSecrets, GetSecrets, ListSecrets, NamedSecret, NewSecret, SetSecrets};
pub use detection::{ContentScan, ModelScan, SecretDetection};
pub(crate) use policy::{Given, admit};
pub(crate) use read::{READ, values};
pub(crate) use scan::{Hit, LARGEST, RULES, scan};
