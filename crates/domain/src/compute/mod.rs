//! The compute room: jobs, their runs, and the agents that carry them out.
//!
//! A launch is what an agent is to do; whoever records one (a job, a service's deployment) does so in the commit of its own
//! change. The scheduler starts what is queued, the agent reports, the sweep ends what fell silent. Who may enter:
//! principals by their roles for jobs; agents for their own run, with its token; the house for what is due. **Invariant:**
//! the end of a run, the death of its token and its status in the tracking room are one commit. **Invariant:** a
//! bootstrap token works once.

mod agent;
mod agent_files;
mod agent_start;
mod brought;
mod cancel;
mod command;
mod due;
mod identity;
mod job;
mod job_outputs;
mod launch;
mod lease;
mod log;
mod new_job;
mod places;
mod pulse;
mod read_log;
mod rest;
mod run_secrets;
mod scratch;
mod start;
mod state;
mod sweep;
mod tail;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use agent::snapshot_of_run;
pub use agent::{AgentAddress, AppendLog, FinishRun, Heartbeat, Orders, ReportStatus};
pub use agent_files::{GetRunFile, GetRunInput, GetRunLayer, PutRunArtifact};
pub use agent_start::{Assignment, StartRun};
pub(crate) use brought::{charge_file, take_file};
pub use cancel::CancelJob;
pub(crate) use command::{check_variables, is_set_by_us};
pub(crate) use due::{DueRun, ListDueRuns};
pub use identity::{GetRunIdentityToken, IdentityWanted, JobIdentity};
pub use job::{GetJob, Job, JobStatus, ListJobs, PutJob};
pub use job_outputs::ListJobOutputs;
pub(crate) use launch::end_all_launches;
pub use launch::{Engine, JailLimits, Launch, LaunchState, Layer, Work, end_launch, launch_state, record_launch, wake};
pub use lease::Lease;
pub(crate) use lease::{has_ended, is_alive, lives};
pub use log::PROGRAM_LOG;
pub use new_job::{DEFAULT_TIMEOUT, NewJob};
pub(crate) use places::{JOBS_AT_ONCE, running_jobs};
pub(crate) use pulse::Pulses;
pub use read_log::{GetJobLog, ListJobLogs, LogPiece};
pub use rest::RestReplicas;
pub use run_secrets::GetRunSecrets;
pub use scratch::{Destruction, End as ScratchEnd, SCRATCH_WALL, Scratch, Swap};
pub use state::RunState;
pub(crate) use sweep::Task;
pub(crate) use tail::tail_log;
