//! Images built from models.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, Subcommand};
use outbound::Method;
use serde_json::{Value, json};

use super::{Format, Session, SessionOptions, output, session::json_or_null, upload};
use crate::failure::Failure;

/// Commands on images.
#[derive(Subcommand)]
pub enum Command {
    /// Build an OCI image from a model version: same inputs, same digest. No daemon, nothing runs.
    Build(Build),
    /// List images.
    List(#[command(flatten)] SessionOptions),
    /// Look at everything an image rests on: snapshot, run, model, image. Prints each link with its digest and the key that signed it;
    /// fails when one of them is not what was signed.
    ///
    /// A link that is `absent` was deleted since: what follows it still stands on what was signed then. Services look at the same
    /// chain when they are deployed and whenever a replica begins.
    Verify(Verify),
    /// Print the public keys that sign a workspace's statements (PEM), for whoever verifies the envelopes elsewhere.
    Keys(#[command(flatten)] SessionOptions),
    /// Show one.
    Show {
        /// Its name.
        name: String,
        #[command(flatten)]
        session: SessionOptions,
    },
}

/// What to verify.
#[derive(Args)]
pub struct Verify {
    /// The image: `NAME`, `NAME:NUMBER` or `NAME@sha256:…`.
    name: String,
    #[command(flatten)]
    session: SessionOptions,
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

const LINKS: &[(&str, &str)] = &[
    ("Link", "/of"),
    ("Name", "/name"),
    ("State", "/state"),
    ("Digest", "/digest"),
    ("Signed by key", "/key"),
    ("For", "/signedFor"),
    ("At", "/signedAt"),
    ("Why", "/reason"),
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
            Self::Verify(verify) => verify.run().await,
            Self::Keys(options) => {
                let session = Session::open(&options).await?;
                let keys = session.list(&format!("{}/statementKeys", session.workspace()?)).await?;
                if matches!(options.output, Format::Json) {
                    return options.output.entries(&keys, &[]);
                }
                // As they are, for a file: what reads keys passes over lines outside of them.
                for key in &keys {
                    let word = |name: &str| key.get(name).and_then(Value::as_str).unwrap_or_default();
                    output::say(&format!("key {} since {}", word("keyId"), word("createdAt")));
                    output::pour(word("publicKey").as_bytes()).map_err(|fault| Failure::new(fault.to_string()))?;
                }
                Ok(ExitCode::SUCCESS)
            }
            Self::Show { name, session } => {
                let open = Session::open(&session).await?;
                let found: Value = open.get(&format!("{}/images/{name}", open.workspace()?)).await?;
                session.output.entry(&found, COLUMNS)
            }
        }
    }
}

impl Verify {
    async fn run(self) -> Result<ExitCode, Failure> {
        let session = Session::open(&self.session).await?;
        let (name, version) = match (self.name.split_once('@'), self.name.split_once(':')) {
            (Some((name, digest)), _) => (name, Some(digest)),
            (None, Some((name, number))) => (name, Some(number)),
            (None, None) => (self.name.as_str(), None),
        };
        let below = version.map(|version| format!("/versions/{version}")).unwrap_or_default();
        let found: Value = session.get(&format!("{}/images/{name}{below}/chain", session.workspace()?)).await?;
        let links = found.get("links").and_then(Value::as_array).cloned().unwrap_or_default();
        match self.session.output {
            Format::Json => self.session.output.entry(&found, &[])?,
            Format::Table => self.session.output.entries(&links, LINKS)?,
        };
        let is_broken = |link: &&Value| link.get("state").and_then(Value::as_str) == Some("broken");
        match links.iter().find(is_broken) {
            None if found.get("isSound") == Some(&Value::Bool(true)) => Ok(ExitCode::SUCCESS),
            Some(link) => {
                let word = |name: &str| link.get(name).and_then(Value::as_str).unwrap_or_default();
                Err(Failure::new(format!("broken at the {} `{}`: {}", word("of"), word("name"), word("reason"))))
            }
            None => Err(Failure::new("the server did not say that the image is sound")),
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
