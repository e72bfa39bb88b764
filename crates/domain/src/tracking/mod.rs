//! The tracking room: experiments, runs with their parameters, metrics, tags and files, logged models, and the registry
//! of model versions. What MLflow's clients see lies in its face; what it means lies here.
//!
//! Who may enter: principals by their roles; a run's own code for its own run, what that run made, and reading its
//! workspace. **Invariant:** a name that a client chose is never the name of anything in a store: rows are found by keyed
//! hashes, blobs by random ids. **Invariant:** the files of a registered version are those it was registered with;
//! what a run or logged model does afterwards does not reach them.

pub mod action;
mod artifact;
mod artifact_path;
mod attempt;
pub mod azure;
mod experiment;
mod experiments;
mod file_page;
mod files;
mod history;
mod hold;
mod import;
mod log;
mod logged_model;
mod logged_models;
mod look;
mod metric;
mod model_versions;
mod open_file;
mod ownership;
mod point;
mod recall;
mod registered_models;
mod registry;
mod run;
mod run_links;
mod run_name;
mod runs;
mod sample;
mod scan;
mod search;
mod search_models;
mod search_runs;
mod source;
#[cfg(test)]
mod tests;
pub mod text;
mod ticket;
mod traces;
mod uploads;
pub mod webhooks;

#[cfg(test)]
pub(crate) use artifact::Artifact;
pub(crate) use artifact::files_of_run;
pub use artifact::{ModelSource, Owner, add_artifact};
pub use artifact_path::ArtifactPath;
pub use experiment::Experiment;
pub use experiments::{
    CreateExperiment, DeleteExperiment, ExperimentChange, ExperimentKey, GetExperiment, GetTracking, Query,
    SearchExperiments, UpdateExperiment, View,
};
pub use file_page::FilePage;
pub(crate) use file_page::page_of_files;
pub use files::{ArtifactPlace, DeleteArtifact, Entry, ListArtifacts, Listing, PutArtifact};
pub use history::{GetMetricHistory, SampleMetricHistory};
pub use hold::{hold_model_version, release_model_version};
pub use import::{ImportLoggedModel, ImportModelVersion, ImportRun, Origin};
pub use log::{LogBatch, LogModelHistory, check_metric, check_param, check_tag};
pub use logged_model::{LoggedModel, LoggedModelStatus, ModelMetric};
pub use logged_models::{
    CreateLoggedModel, DeleteLoggedModel, GetLoggedModel, LoggedModelChange, SearchLoggedModels, UpdateLoggedModel,
    metric_on,
};
pub use look::Seen;
pub use metric::Metric;
pub use model_versions::{
    CreateModelVersion, DeleteModelVersion, GetModelVersion, SearchModelVersions, UpdateModelVersion, VersionChange,
    VersionKey,
};
pub use open_file::{FileRange, GetArtifact, OpenedArtifact, Served, Wanted};
pub use point::Point;
pub(crate) use recall::{Recall, TABLES, Touch};
pub use registered_models::{
    CreateRegisteredModel, DeleteRegisteredModel, GetLatestVersions, GetRegisteredModel, ModelChange, ModelView,
    UpdateRegisteredModel, VersionView,
};
pub(crate) use registry::registry_shown;
pub use registry::{ModelFiles, ModelVersion, NewModelVersion, RegisteredModel, add_model_version, model_files};
pub(crate) use run::require_run;
pub use run::{Run, RunSeed, RunStatus, begin_run, set_run_status};
pub(crate) use run_links::begin_links;
pub use run_links::{DatasetInput, LogLinks, RunLinks};
pub use runs::{CreateRun, DeleteRun, DeleteRunTag, GetRun, RestoreRun, RunView, UpdateRun};
pub use search::Page;
pub use search_models::SearchRegisteredModels;
pub use search_runs::SearchRuns;
pub use ticket::{FileTicket, IssueFileTicket, ticket_for_file, ticket_for_part};
pub use traces::{
    Aggregation, Assessment, AssessmentFault, AssessmentPatch, CorrelateTraces, Correlation, CreateAssessment,
    DataPoint, DeleteAssessment, DeleteTraces, Expected, GetAssessment, GetTrace, LinkTraces, ListTraces, LogSpans,
    MeasureTraces, Measured, NewSpan, NewTrace, OpenedTrace, OpenedTraces, ReadTraces, SearchTraces, SpanHead,
    SpanStatus, StartTrace, Trace, TraceChange, TraceState, UpdateAssessment, UpdateTrace, Verdict,
};
pub use uploads::{
    AbortUpload, BeginUpload, BegunUpload, CompleteUpload, ListUploadParts, PartTicket, PutUploadPart, ReceivedPart,
    UploadState, sweep_uploads,
};
