//! The tracking room: experiments, runs with their parameters, metrics, tags and files, logged models, and the registry
//! of model versions. What MLflow's clients see lies in its face; what it means lies here.
//!
//! Who may enter: principals by their roles; a run's own code for its own run, what that run made, and reading its
//! workspace. **Invariant:** a name that a client chose is never the name of anything in a store: rows are found by keyed
//! hashes, blobs by random ids. **Invariant:** the files of a registered version are those it was registered with;
//! what a run or logged model does afterwards does not reach them.

mod artifact;
mod artifact_path;
mod experiment;
mod registry;
mod run;
pub mod text;

pub use artifact::{ModelSource, add_artifact};
pub use artifact_path::ArtifactPath;
pub use experiment::Experiment;
pub use registry::{ModelFiles, ModelVersion, NewModelVersion, RegisteredModel, add_model_version, model_files};
pub use run::{Run, RunSeed, RunStatus, begin_run, set_run_status};
