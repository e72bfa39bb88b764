//! Registered models.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};

use super::{Session, SessionOptions};
use crate::failure::Failure;

/// Commands on models.
#[derive(Subcommand)]
pub enum Command {
    /// Register a job's output as the next version of a model.
    Register {
        /// Name of the model.
        #[arg(long)]
        name: String,
        /// The job.
        #[arg(long)]
        job: String,
        /// File or folder among its outputs, for example `outputs/model.onnx`.
        #[arg(long, default_value = "outputs")]
        path: String,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// List models.
    List(#[command(flatten)] SessionOptions),
    /// List the versions of one.
    Show {
        /// Its name.
        name: String,
        #[command(flatten)]
        session: SessionOptions,
    },
}

const VERSIONS: &[(&str, &str)] = &[("Version", "/name"), ("Source", "/properties/modelUri"), ("Id", "/id")];

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Register { name, job, path, session } => {
                let open = Session::open(&session).await?;
                let made = register(&open, &name, &job, &path).await?;
                session.output.entry(&made, VERSIONS)
            }
            Self::List(options) => {
                let session = Session::open(&options).await?;
                let found = session.list(&format!("{}/models", session.workspace()?)).await?;
                options.output.entries(&found, &[("Name", "/name"), ("Latest", "/properties/latestVersion")])
            }
            Self::Show { name, session } => {
                let open = Session::open(&session).await?;
                let found = open.list(&format!("{}/models/{name}/versions", open.workspace()?)).await?;
                session.output.entries(&found, VERSIONS)
            }
        }
    }
}

/// Registers a job's output as the next version.
pub async fn register(session: &Session, name: &str, job: &str, path: &str) -> Result<Value, Failure> {
    let workspace = session.workspace()?;
    let models = session.list(&format!("{workspace}/models")).await?;
    let known = models.iter().find(|model| model.get("name").and_then(Value::as_str) == Some(name));
    let next = known.and_then(|model| model.pointer("/properties/nextVersion")?.as_str()).unwrap_or("1");
    let uri = format!("azureml://jobs/{job}/outputs/artifacts/paths/{path}");
    let body = json!({"properties": {"modelType": "custom_model", "modelUri": uri}});
    session.put(&format!("{workspace}/models/{name}/versions/{next}"), &body).await
}
