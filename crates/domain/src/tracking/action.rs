//! The permissions of this room, as Azure spells them. A run's own code passes the gate for most of them; what it may touch
//! behind it, `ownership` decides.

use kernel::{Action, Class};

const fn principals(name: &'static str, class: Class) -> Action {
    Action::new(name, class)
}

/// Read experiments.
pub const READ_EXPERIMENTS: Action =
    Action::new("Microsoft.MachineLearningServices/workspaces/experiments/read", Class::Read).open_to_runs();
/// Create and change experiments.
pub const WRITE_EXPERIMENTS: Action = WRITE_ANY_EXPERIMENT.open_to_runs();
/// The same, of experiments that a run does not use.
pub(super) const WRITE_ANY_EXPERIMENT: Action =
    principals("Microsoft.MachineLearningServices/workspaces/experiments/write", Class::Control);
/// Delete experiments.
pub const DELETE_EXPERIMENTS: Action =
    principals("Microsoft.MachineLearningServices/workspaces/experiments/delete", Class::Control);

/// Read runs.
pub const READ_RUNS: Action =
    Action::new("Microsoft.MachineLearningServices/workspaces/experiments/runs/read", Class::Read).open_to_runs();
/// Create runs and write what belongs to them.
pub const WRITE_RUNS: Action = WRITE_ANY_RUN.open_to_runs();
/// The same, of runs that are not the caller's own.
pub(super) const WRITE_ANY_RUN: Action =
    principals("Microsoft.MachineLearningServices/workspaces/experiments/runs/write", Class::DataWrite);
/// Delete runs.
pub const DELETE_RUNS: Action = DELETE_ANY_RUN.open_to_runs();
/// The same, of runs that are not the caller's own.
pub(super) const DELETE_ANY_RUN: Action =
    principals("Microsoft.MachineLearningServices/workspaces/experiments/runs/delete", Class::Control);

/// Read files of runs and models.
pub const READ_ARTIFACTS: Action =
    Action::new("Microsoft.MachineLearningServices/workspaces/metadata/artifacts/read", Class::Read).open_to_runs();
/// Write files of runs and models.
pub const WRITE_ARTIFACTS: Action = WRITE_ANY_ARTIFACT.open_to_runs();
/// The same, of runs that are not the caller's own.
pub(super) const WRITE_ANY_ARTIFACT: Action =
    principals("Microsoft.MachineLearningServices/workspaces/metadata/artifacts/write", Class::DataWrite);
/// Delete files of runs and models.
pub const DELETE_ARTIFACTS: Action = DELETE_ANY_ARTIFACT.open_to_runs();
/// The same, of runs that are not the caller's own.
pub(super) const DELETE_ANY_ARTIFACT: Action =
    principals("Microsoft.MachineLearningServices/workspaces/metadata/artifacts/delete", Class::DataWrite);

/// Read logged and registered models.
pub const READ_MODELS: Action =
    Action::new("Microsoft.MachineLearningServices/workspaces/models/read", Class::Read).open_to_runs();
/// Register models and versions, and change them.
pub const WRITE_MODELS: Action = WRITE_ANY_MODEL.open_to_runs();
/// The same, of models that a run did not make.
pub(super) const WRITE_ANY_MODEL: Action =
    principals("Microsoft.MachineLearningServices/workspaces/models/write", Class::Control);
/// Write what belongs to a run's logged models: data of the run, recorded like it.
pub const WRITE_LOGGED_MODELS: Action =
    Action::new("Microsoft.MachineLearningServices/workspaces/models/write", Class::DataWrite).open_to_runs();
/// Delete logged and registered models and versions.
pub const DELETE_MODELS: Action =
    principals("Microsoft.MachineLearningServices/workspaces/models/delete", Class::Control);

/// Read traces, their spans and what is thought of them.
pub const READ_TRACES: Action =
    Action::new("Microsoft.MachineLearningServices/workspaces/experiments/traces/read", Class::Read).open_to_runs();
/// Write traces, their spans and tags.
pub const WRITE_TRACES: Action = WRITE_ANY_TRACE.open_to_runs();
/// The same, beyond what a run's code may.
pub(super) const WRITE_ANY_TRACE: Action =
    principals("Microsoft.MachineLearningServices/workspaces/experiments/traces/write", Class::DataWrite);
/// Delete traces. Not for a run's code: they cannot be had back.
pub const DELETE_TRACES: Action =
    principals("Microsoft.MachineLearningServices/workspaces/experiments/traces/delete", Class::Control);
/// Say what one thinks of traces.
pub const WRITE_ASSESSMENTS: Action = WRITE_ANY_ASSESSMENT.open_to_runs();
/// The same, beyond what a run's code may.
pub(super) const WRITE_ANY_ASSESSMENT: Action =
    principals("Microsoft.MachineLearningServices/workspaces/experiments/traces/assessments/write", Class::DataWrite);
/// Delete what somebody thinks of traces.
pub const DELETE_ASSESSMENTS: Action =
    principals("Microsoft.MachineLearningServices/workspaces/experiments/traces/assessments/delete", Class::DataWrite);
