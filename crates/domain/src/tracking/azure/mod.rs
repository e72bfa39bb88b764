//! What Azure's own clients (`azureml-core`, `azureml-mlflow`) know of the same runs and MLflow does not: properties, errors and
//! warnings beside a run, metrics that are no plain numbers, and addresses of single files that can be opened without a token.
//!
//! **Invariant:** there is one run, one experiment, one file. Numbers that Azure's clients log are points of the run's metrics, and
//! points that MLflow logged are numbers here; tags, names, parents and files are the same. What MLflow has no form for lies in rows
//! of this module, and is read by Azure's clients alone.

mod address;
mod facts;
mod file;
mod filter;
mod kinds;
mod list;
mod patch;
mod read_series;
mod rows;
mod series;
mod token;

pub use address::{AddressFiles, AddressNewFiles, AddressProof, FileAddress, NewFileAddresses, arrive_with_address};
pub use facts::{RunFacts, RunStory, RunWarning};
pub use file::{FilePart, GetFilePart, ListRunFiles};
pub use filter::{Relation, RunFilter, run_type, status_word};
pub use kinds::{NewSeries, SeriesKind};
pub use list::{ListRunStories, RunOrder};
pub use patch::{GetRunStory, PatchRun, RunPatch};
pub use read_series::{GetSeries, ListSeries, Series};
pub use rows::SeriesRow;
pub use series::{LogSeries, Refused};
pub use token::GetRunToken;
