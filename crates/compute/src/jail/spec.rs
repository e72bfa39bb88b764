//! What a jail is built from: the agent writes it, `bartizan jail` reads it, over a socket that only the two share.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

/// Where the program finds its working directory.
pub const WORK: &str = "/job";
/// Where the prepared environment is mounted.
pub const ENVIRONMENT: &str = "/environment";
/// Where our own executable is mounted, for services.
pub const OWN_BINARY: &str = "/bartizan";
/// Host and user name inside.
pub const NAME: &str = "job";
/// User and group id inside.
pub const INNER_ID: u32 = 1000;

/// A jail and the program in it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Spec {
    /// The process that must live for the jail to live.
    pub parent: i32,
    /// The program and its arguments; the program as an absolute path inside.
    pub argv: Vec<String>,
    /// Its whole environment.
    pub variables: BTreeMap<String, String>,
    /// An empty directory on the agent's private file system; the new root is built there.
    pub root: PathBuf,
    /// What is visible beside the system's libraries.
    pub binds: Vec<Bind>,
    /// Links made in the new root, from path to what it holds.
    pub links: Vec<(String, String)>,
    /// Who the program is outside.
    pub owner: Owner,
    /// `cgroup.procs` files to join before the first fork.
    pub cgroups: Vec<PathBuf>,
    /// Bounds by `setrlimit`.
    pub bounds: Bounds,
    /// What it can reach.
    pub network: Network,
    /// Whether a descriptor comes along that the program finds at number 3.
    pub passes_descriptor: bool,
}

/// A part of the host's tree that is visible inside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bind {
    /// On the host.
    pub source: PathBuf,
    /// Inside, absolute.
    pub target: PathBuf,
    /// Whether the program may write there; only ever parts of its own scratch.
    pub writable: bool,
    /// Whether files there may be executed.
    pub executable: bool,
}

impl Bind {
    /// Visible, and nothing more than readable and executable.
    pub fn read_only(source: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        Self { source: source.into(), target: target.into(), writable: false, executable: true }
    }

    /// Part of the scratch.
    pub fn writable(source: impl Into<PathBuf>, target: impl Into<PathBuf>) -> Self {
        Self { source: source.into(), target: target.into(), writable: true, executable: true }
    }
}

/// Who the program is outside its user namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// User and group id in the agent's own view.
    pub id: u32,
    /// Whether the jail must change to it (started by root), or is it already (started by a plain user).
    pub changes: bool,
}

/// Bounds by `setrlimit`; they are only ever lowered.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Bounds {
    /// Processes and threads of this user in this user namespace.
    pub processes: u64,
    /// Private memory of one process, where no control group bounds the whole.
    pub data_bytes: Option<u64>,
}

/// What a jail can reach.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Network {
    /// Nothing, and it can listen nowhere.
    Nothing,
    /// One port of its own loopback, at which the agent answers.
    Door {
        /// The port.
        port: u16,
    },
    /// Its own loopback; at one port the agent answers.
    Loopback {
        /// The port.
        port: u16,
    },
}

impl Network {
    /// The port at which the agent answers.
    pub fn port(self) -> Option<u16> {
        match self {
            Network::Nothing => None,
            Network::Door { port } | Network::Loopback { port } => Some(port),
        }
    }
}

/// What the jail tells the agent, one JSON object a line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Event {
    /// The walls stand, and the program is being executed.
    Running,
    /// The jail could not be built, so nothing of the user's ran.
    Failed {
        /// At which step, and why.
        why: String,
    },
    /// The program ended by itself.
    Exited {
        /// Its exit code.
        code: i32,
    },
    /// The program was ended by a signal.
    Signaled {
        /// The signal's number.
        signal: i32,
    },
}
