//! The data assets room: data under a name with versions. A version says where files lie, in a datastore of the workspace or among
//! the files of a run, and never says anything else; what is said about it may change.
//!
//! Registering moves and copies nothing, and opens nothing: whoever reads the data needs the rights to it. Who may enter:
//! principals by their roles. **Invariant:** kind and place of a version never change. **Invariant:** a version that a run used
//! is there as long as the workspace is: what the run read can be said.

mod container;
mod inputs;
mod kind;
mod list;
mod place;
mod remove;
mod resolve;
mod used;
mod version;

pub use container::{DataContainer, NewDataContainer, PutDataContainer};
pub(crate) use inputs::{inputs_of, open_input, record_inputs};
pub use kind::DataKind;
pub use list::{ListDataContainers, ListDataVersions};
pub use place::DataPlace;
pub use remove::{DeleteDataContainer, DeleteDataVersion};
pub(crate) use resolve::{Given, MOST_INPUTS, resolve};
pub use resolve::{InputWanted, RunInput};
pub use used::{DataUse, ListDataUses};
pub use version::{DataVersion, NewDataVersion, PutDataVersion};
