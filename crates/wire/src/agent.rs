//! What `bartizan agent` and the server say to each other, below `/agent/v1/runs/{run}`.
//!
//! | call | body | answer |
//! | --- | --- | --- |
//! | `POST …/start` (bearer: bootstrap token, works once) | [`Start`] | [`Assignment`] |
//! | `GET …/files/{sha256}` | | raw bytes of one file of the assignment |
//! | `GET …/inputs/{name}/{index}` | | raw bytes of one file of an input of the assignment |
//! | `GET …/layers/{digest}` | | raw bytes of one image layer (services) |
//! | `POST …/status` | [`Status`] | 204 |
//! | `POST …/heartbeat` (answers at once when there are orders, else after `wait_seconds`) | [`Heartbeat`] | [`Orders`] |
//! | `POST …/logs/{name}?offset=N` | raw bytes | 204; bytes the server already has are skipped |
//! | `PUT …/artifacts/{path}` | raw bytes | 204 |
//! | `GET …/identity?resource=R[&client_id= \| &object_id= \| &msi_res_id=]` | | [`IdentityToken`] |
//! | `GET …/secrets` | | [`Secrets`]: what the run's own variables name with `secret://…` |
//! | `POST …/finish` | [`Finish`] | 204 |
//!
//! All but `start` carry the run token as bearer. Errors are [`Problem`] with a 4xx; 404 or 401 after `finish`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// What a job's code shows where Azure's libraries demand a token that they can read: one without a signature, which says when it
/// ends and nothing else. It opens nothing anywhere; the agent takes it away and adds the run's own.
pub const PROXY_TOKEN: &str =
    "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJleHAiOjIxNDU5MTY4MDAsImlzcyI6ImluLWphaWwtcHJveHkifQ.";
/// When that token says it ends, in seconds since the epoch: in the year 2038, so that nobody asks for another
/// one. A later end would be more than the libraries' parser of dates can stand (32 bits).
pub const PROXY_TOKEN_ENDS: i64 = 2_145_916_800;

/// The message a launcher hands to the agent on an inherited descriptor: one JSON object, then end of file.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bootstrap {
    /// Base URL of the server: `https://host:port`.
    pub url: String,
    /// PEM of the only certificate authority the agent trusts.
    pub ca_pem: String,
    /// The run (or replica) this agent is for.
    pub run: String,
    /// Works once, for `start`, within ten minutes.
    pub token: String,
    /// Where prepared environments are cached on this target.
    pub cache_dir: String,
    /// For services: the Unix socket the replica listens on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub socket: Option<String>,
}

/// A token of a managed identity, for the code of the run.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IdentityToken {
    /// The token.
    pub access_token: String,
    /// Seconds until it expires.
    pub expires_in: i64,
    /// Epoch seconds.
    pub expires_on: i64,
    /// Epoch seconds.
    pub not_before: i64,
    /// The audience.
    pub resource: String,
    /// The identity's client id.
    pub client_id: String,
}

/// The secrets that the variables of a run name. It has no `Debug`: nothing prints it.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Secrets {
    /// Values by variable; variables that name no secret are not among them.
    pub values: BTreeMap<String, String>,
}

/// First words of an agent.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// The agent's version.
    pub version: String,
    /// Names of walls that this target cannot build (`own-uid-range`, `memory-limit` …).
    pub missing_walls: Vec<String>,
    /// Where the run's scratch will be; agents of before did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scratch: Option<Scratch>,
}

/// Where an agent keeps all that a run writes: its working directory, temporary files and shared memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Scratch {
    /// What it is made of.
    pub medium: Medium,
    /// Whether the kernel may write it to a disk after all.
    pub swap: Swap,
}

/// What scratch is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Medium {
    /// A file system in memory: it has no copy on any disk, and so no key.
    Memory,
}

/// Whether memory can reach a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Swap {
    /// The kernel was told never to swap it out (`noswap`, Linux 6.4).
    Forbidden,
    /// The host has no swap.
    NoneOnHost,
    /// The host may swap it out, in clear.
    Possible,
}

/// What the agent is to do.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assignment {
    /// Bearer for everything else; never shown to the user's program.
    pub run_token: String,
    /// When it expires, in epoch seconds. `Orders` bring fresh ones.
    pub run_token_expires: i64,
    /// The job or the replica.
    pub work: Work,
    /// The Python environment it runs in.
    pub environment: Environment,
    /// Environment variables of the user's program, beside those the agent sets itself. Secrets are only named here
    /// (`secret://name`): the agent fetches their values apart ([`Secrets`]).
    pub variables: BTreeMap<String, String>,
    /// Data that the program finds below `/inputs`, read-only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<Input>,
    /// Path below the server that user code may call through the in-jail proxy, with the run token added; nothing else
    /// passes. For example `/mlflow/v1.0/subscriptions/…/workspaces/ws1`.
    pub workspace_path: String,
    /// Bounds of the jail.
    pub limits: JailLimits,
    /// Walls without which this work must not start; the agent refuses when one is missing.
    pub required_walls: Vec<String>,
}

/// A named input: the program finds its files below `/inputs/{name}`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Input {
    /// Its name, which is a variable's.
    pub name: String,
    /// Its files, in the order in which they are asked for.
    pub files: Vec<InputFile>,
}

/// A file of an input.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputFile {
    /// Below the input's directory.
    pub path: String,
    /// In bytes.
    pub length: u64,
}

/// The kinds of work.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "camelCase", deny_unknown_fields)]
pub enum Work {
    /// Run a command over a snapshot, once.
    Job {
        /// The files of the snapshot.
        files: Vec<SnapshotFile>,
        /// The command line, run by `/bin/sh -c` inside the jail with the snapshot as working directory.
        command: String,
    },
    /// Serve an image until told to stop.
    Service {
        /// Layers of the image, lowest first.
        layers: Vec<Layer>,
        /// How it is served.
        engine: Engine,
    },
}

/// One file of a snapshot.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct SnapshotFile {
    /// Relative path with `/`, without `.` and `..`.
    pub path: String,
    /// Length in bytes.
    pub length: u64,
    /// SHA-256 in lower-case hex; its address.
    pub sha256: String,
    /// Whether it is executable.
    #[serde(default)]
    pub executable: bool,
}

/// One layer of an OCI image.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// `sha256:…` of the blob as stored.
    pub digest: String,
    /// Length in bytes.
    pub size: u64,
    /// `application/vnd.oci.image.layer.v1.tar` or `…tar+gzip`.
    pub media_type: String,
}

/// How a service answers.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(tag = "kind", rename_all = "camelCase", deny_unknown_fields)]
pub enum Engine {
    /// ONNX Runtime, in the model server's own process.
    Onnx {
        /// The model inside the image, absolute.
        model: String,
    },
    /// A Python worker that loads an entry script with `init()` and `run(data)`.
    Python {
        /// The script inside the image, absolute.
        entry: String,
        /// The directory given as `AZUREML_MODEL_DIR`.
        model_dir: String,
    },
}

/// A Python environment.
#[derive(Debug, Clone, Default, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    /// Text of a pip requirements file; none means the bare interpreter.
    pub requirements: Option<String>,
    /// Whether packages without a wheel may be built from source (runs their code, in the build jail).
    #[serde(default)]
    pub allow_source_packages: bool,
    /// Whether a package index may be reached at all; without it only the cache serves.
    #[serde(default)]
    pub offline: bool,
}

/// Bounds of a jail.
#[derive(Debug, Clone, Serialize, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct JailLimits {
    /// Memory, in MiB.
    pub memory_mib: u64,
    /// Processes and threads.
    pub pids: u64,
    /// Scratch space, in MiB.
    pub scratch_mib: u64,
    /// Wall-clock bound of the user's program, in seconds; 0 for none (services).
    pub seconds: u64,
}

/// Where a run stands (Azure's names).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum RunState {
    /// Accepted, not queued yet.
    NotStarted,
    /// Waits for its target.
    Queued,
    /// The environment is being prepared.
    Preparing,
    /// The target is being made ready.
    Provisioning,
    /// Files are fetched, the jail is built.
    Starting,
    /// The user's program runs.
    Running,
    /// Somebody asked for an end.
    CancelRequested,
    /// Ended by request.
    Canceled,
    /// The program ended; outputs are collected.
    Finalizing,
    /// Ended well.
    Completed,
    /// Ended badly.
    Failed,
    /// Waits for an approval that was refused.
    Unapproved,
    /// No sign of life.
    NotResponding,
    /// Is being paused.
    Pausing,
    /// Paused.
    Paused,
}

/// Progress.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Status {
    /// Where the run stands now.
    pub state: RunState,
    /// One line for people: `installing 23 packages`, `environment 3f2a… from the cache`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

/// Sign of life.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heartbeat {
    /// How long the server may hold the answer back, at most 24.
    pub wait_seconds: u64,
}

/// What the server wants.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Orders {
    /// End the user's program now.
    pub cancel: bool,
    /// A fresh run token, when the old one nears its end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_token: Option<String>,
    /// Its expiry, in epoch seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_token_expires: Option<i64>,
}

/// How it ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Finish {
    /// `Completed`, `Failed` or `Canceled`.
    pub state: RunState,
    /// The program's exit code, when it ran and was not killed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i32>,
    /// One line for people, when it did not end well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The walls that did not stand around this run.
    pub missing_walls: Vec<String>,
    /// Whether the scratch was emptied and taken down, and nothing was left in it: looked at after that. Agents of before did not
    /// say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scratch_cleared: Option<bool>,
}

/// An error answer.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Problem {
    /// A stable code.
    pub code: String,
    /// One sentence.
    pub message: String,
}
