//! Images built from models.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, Subcommand};
use outbound::Method;
use serde_json::{Value, json};

use super::{Session, SessionOptions, session::json_or_null, upload};
use crate::failure::Failure;

/// Commands on images.
#[derive(Subcommand)]
pub enum Command {
    /// Build an OCI image from a model version: same inputs, same digest. No daemon, nothing runs.
    Build(Build),
    /// List images.
    List(#[command(flatten)] SessionOptions),
    /// Show one.
    Show {
        /// Its name.
        name: String,
        #[command(flatten)]
        session: SessionOptions,
    },
}

/// What to build.
#[derive(Args)]
pub struct Build {
    /// Name of the image: 3 to 32 lower-case letters, digits, `-` or `.`.
    #[arg(long)]
    name: String,
    /// The model, `NAME:VERSION`.
    #[arg(long)]
    model: String,
    /// Folder with the entry script; without it the model must be a single ONNX file.
    #[arg(long, requires = "entry_script")]
    code: Option<PathBuf>,
    /// The entry script in that folder, with `init()` and `run(data)`.
    #[arg(long, requires = "code")]
    entry_script: Option<String>,
    #[command(flatten)]
    session: SessionOptions,
}

const COLUMNS: &[(&str, &str)] = &[
    ("Name", "/name"),
    ("Digest", "/properties/digest"),
    ("Model", "/properties/model"),
    ("Engine", "/properties/engine"),
];

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Build(build) => {
                let session = Session::open(&build.session).await?;
                let code = match &build.code {
                    Some(dir) => Some(upload(&session, dir, None).await?.code_id),
                    None => None,
                };
                let made = package(&session, &build.name, &build.model, code, build.entry_script.as_deref()).await?;
                build.session.output.entry(&made, COLUMNS)
            }
            Self::List(options) => {
                let session = Session::open(&options).await?;
                options.output.entries(&session.list(&format!("{}/images", session.workspace()?)).await?, COLUMNS)
            }
            Self::Show { name, session } => {
                let open = Session::open(&session).await?;
                let found: Value = open.get(&format!("{}/images/{name}", open.workspace()?)).await?;
                session.output.entry(&found, COLUMNS)
            }
        }
    }
}

/// Builds an image and waits for it.
pub async fn package(
    session: &Session,
    name: &str,
    model: &str,
    code_id: Option<String>,
    entry_script: Option<&str>,
) -> Result<Value, Failure> {
    let (model, version) =
        model.split_once(':').ok_or_else(|| Failure::usage(format!("`{model}` is not NAME:VERSION")))?;
    let workspace = session.workspace()?;
    let body = json!({"targetImageName": name, "codeId": code_id, "entryScript": entry_script});
    let place = format!("{workspace}/models/{model}/versions/{version}/package");
    let answer = session.call(Method::POST, &place).json(&body).send().await?.success().await?;
    wait(session, answer).await?;
    session.get(&format!("{workspace}/images/{name}")).await
}

/// Waits for a long-running operation (`Azure-AsyncOperation`), if the answer started one. Gives its final status.
pub async fn wait(session: &Session, answer: outbound::Answer) -> Result<Value, Failure> {
    let Some(place) = answer.header("azure-asyncoperation").map(str::to_owned) else {
        return json_or_null(answer).await;
    };
    loop {
        let status: Value = session.get(&place).await?;
        let word = status.get("status").and_then(Value::as_str).unwrap_or_default();
        match word {
            "Succeeded" => return Ok(status),
            "Failed" | "Canceled" => {
                let why = status.pointer("/error/message").and_then(Value::as_str).unwrap_or("no reason was given");
                return Err(Failure::new(why));
            }
            _ => tokio::time::sleep(Duration::from_millis(200)).await,
        }
    }
}
