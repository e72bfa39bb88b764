//! What an import is told.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use crate::cli::SessionOptions;

/// Parts that can be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Part {
    /// Files of runs and logged models.
    Artifacts,
    /// Logged models.
    LoggedModels,
    /// Registered models with their versions.
    RegisteredModels,
}

/// What `bartizan import mlflow` is told.
#[derive(Args)]
pub struct Mlflow {
    /// Address of the server: what its clients have as their tracking URI, for example `https://mlflow.example.org`.
    #[arg(long, value_name = "URI")]
    pub from: String,
    /// Only this experiment, by name; may be said more than once.
    #[arg(long = "experiment", value_name = "NAME")]
    pub experiments: Vec<String>,
    /// Not this experiment, by name; may be said more than once.
    #[arg(long = "exclude-experiment", value_name = "NAME", conflicts_with = "experiments")]
    pub excluded: Vec<String>,
    /// Deleted experiments and runs too; they are deleted here as well, until they are restored.
    #[arg(long)]
    pub include_deleted: bool,
    /// Leave this out; may be said more than once.
    #[arg(long, value_enum, value_name = "PART")]
    pub skip: Vec<Part>,
    /// Add to an experiment of the same name that was made here. Without it, such a name is reported and left alone.
    #[arg(long)]
    pub into_existing: bool,
    /// How tags name the source; its address when not said. An import is taken up again under the same name.
    #[arg(long, value_name = "TEXT")]
    pub source_name: Option<String>,
    /// Certificates of authorities to trust at the source, instead of the system's (PEM).
    #[arg(long, value_name = "FILE")]
    pub from_ca: Option<PathBuf>,
    /// Count what there is, and bring nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// How many runs are brought at once.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u8).range(1..=16))]
    pub concurrency: u8,
    /// Print the report as JSON; the same as `-o json`.
    #[arg(long)]
    pub json: bool,
    #[command(flatten)]
    pub session: SessionOptions,
}
