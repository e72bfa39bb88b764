//! Why a jail could not be built, in words that name the step.

use std::{fmt::Display, io, path::Path};

/// A step that failed.
#[derive(Debug, thiserror::Error)]
#[error("{step}: {cause}")]
pub struct Failure {
    step: String,
    cause: io::Error,
}

impl Failure {
    /// Names the step.
    pub fn new(step: impl Into<String>, cause: impl Into<io::Error>) -> Self {
        Self { step: step.into(), cause: cause.into() }
    }
}

/// Gives an error the name of the step at which it happened.
pub trait Step<T> {
    /// With the step's name.
    fn step(self, name: &str) -> Result<T, Failure>;
    /// With the step's name and the path it was about.
    fn step_about(self, name: &str, path: &Path) -> Result<T, Failure>;
}

impl<T, E: Into<io::Error>> Step<T> for Result<T, E> {
    fn step(self, name: &str) -> Result<T, Failure> {
        self.map_err(|cause| Failure::new(name, cause))
    }

    fn step_about(self, name: &str, path: &Path) -> Result<T, Failure> {
        self.map_err(|cause| Failure::new(format!("{name} {}", shown(path.display())), cause))
    }
}

fn shown(path: impl Display) -> String {
    format!("`{path}`")
}
