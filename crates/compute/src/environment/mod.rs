//! Python environments: built in a jail from wheels, kept read-only, addressed by what was asked for.
//!
//! ```text
//! <cache>/environments/<address>/           complete as soon as it has this name
//!     pyvenv.cfg  bin/python → the host's interpreter  lib/python3.x/site-packages/…  manifest.json
//! <cache>/environments/<address>.lock       held by the one that builds it
//! <cache>/environments/.building-<agent>/   swept by the next build when its agent is gone
//! ```
//!
//! An environment is a virtual environment made by hand: Python finds its packages by itself, and none of the host's.

mod build;
mod gate;
mod interpreter;
mod key;
mod pip;
mod tree;

use std::{
    io,
    path::{Path, PathBuf},
};

pub use build::{Builder, Prepared};
pub use interpreter::{Interpreter, PYTHON_VARIABLE};

/// Why there is no environment.
#[derive(Debug, thiserror::Error)]
pub enum EnvironmentError {
    /// No interpreter on this host.
    #[error("there is no `python3` in PATH on this target; install Python 3.9 or newer, or set {PYTHON_VARIABLE}")]
    NoPython,
    /// An interpreter that does not work.
    #[error("the interpreter `{path}` does not work: {why}", path = .0.display(), why = .1)]
    BadPython(PathBuf, String),
    /// The interpreter lacks pip.
    #[error("the interpreter `{}` has no pip; install it, or prepare the environment where there is one", .0.display())]
    NoPip(PathBuf),
    /// A requirement that is not taken.
    #[error("requirement {0}")]
    Requirement(String),
    /// The host's index settings cannot be used.
    #[error("{0}; change pip's settings on this target")]
    Index(String),
    /// Not cached, and no index may be reached.
    #[error(
        "the environment is not in this target's cache and no package index may be reached; run once with the index \
         allowed, or copy the cache directory from a host that has it"
    )]
    Offline,
    /// pip failed.
    #[error("the packages could not be installed: {0}")]
    Install(String),
    /// The build jail failed.
    #[error("the build jail could not be built")]
    Jail(#[from] crate::jail::Failure),
    /// The cache cannot be used.
    #[error("the cache of environments cannot be used at `{}`", .0.display())]
    Cache(PathBuf, #[source] io::Error),
    /// Somebody asked for an end.
    #[error("stopped while the environment was prepared")]
    Stopped,
}

impl EnvironmentError {
    fn cache(error: io::Error) -> Self {
        Self::Cache(PathBuf::from("."), error)
    }

    fn cache_at(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_path_buf();
        move |error| Self::Cache(path, error)
    }
}
