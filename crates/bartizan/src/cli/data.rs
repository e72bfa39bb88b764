//! Data assets.

use std::{collections::BTreeMap, process::ExitCode};

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::{Session, SessionOptions, tell};
use crate::failure::Failure;

/// Commands on data assets.
#[derive(Subcommand)]
pub enum Command {
    /// Register where data lies as the next version of a name. Nothing is copied or opened.
    ///
    /// A version never means other data: its type and path are for good. Upload first (`bartizan storage blob upload`), then name the
    /// place. A job reads it by name: `bartizan job submit --input train=azureml:NAME:VERSION`.
    #[command(
        after_help = "Examples:\n  bartizan data create taxi --type uri_folder --path azureml://datastores/workspaceblobstore/paths/taxi/2026\n  bartizan data create labels --type uri_file --path azureml://jobs/prepare_1/outputs/artifacts/paths/outputs/labels.csv\n  bartizan data create taxi --version 2026-01 --type uri_folder --path azureml://datastores/workspaceblobstore/paths/taxi/jan --tag season=winter"
    )]
    Create(Create),
    /// List data assets; with a name, its versions, newest first.
    List {
        /// Name of an asset, to list its versions.
        name: Option<String>,
        /// Archived ones too.
        #[arg(long)]
        all: bool,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Show a version, or with --runs the runs that used it.
    Show {
        /// Its name.
        name: String,
        /// Its version; the newest that is not archived when it is left out.
        #[arg(long)]
        version: Option<String>,
        /// The runs that used it as an input, newest first, each with the digest of what it read.
        #[arg(long)]
        runs: bool,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Leave a version, or a whole name, out of lists. Whoever names it can use it still; runs that used it say so as before.
    Archive {
        /// Its name.
        name: String,
        /// The version; the whole name when it is left out.
        #[arg(long)]
        version: Option<String>,
        /// Take it back into the lists.
        #[arg(long)]
        restore: bool,
        #[command(flatten)]
        session: SessionOptions,
    },
}

/// What to register.
#[derive(Args)]
pub struct Create {
    /// Name of the asset: letters, digits, `-`, `_` or `.`.
    name: String,
    /// A file, a folder, or a folder with a file `MLTable`. Of one name all versions are the same.
    #[arg(long = "type", value_enum)]
    kind: Kind,
    /// Where it lies: azureml://datastores/NAME/paths/PATH or azureml://jobs/NAME/outputs/artifacts/paths/PATH.
    #[arg(long)]
    path: String,
    /// What the version is called. Default: the next number.
    #[arg(long)]
    version: Option<String>,
    /// For people.
    #[arg(long)]
    description: Option<String>,
    /// A label, NAME=VALUE; can be given several times.
    #[arg(long, value_name = "NAME=VALUE")]
    tag: Vec<String>,
    #[command(flatten)]
    session: SessionOptions,
}

/// The types of data, in Azure's words.
#[derive(Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Kind {
    /// One file.
    UriFile,
    /// A folder.
    UriFolder,
    /// A folder with a file `MLTable`.
    #[value(name = "mltable")]
    MlTable,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Self::UriFile => "uri_file",
            Self::UriFolder => "uri_folder",
            Self::MlTable => "mltable",
        }
    }
}

const ASSETS: &[(&str, &str)] = &[
    ("Name", "/name"),
    ("Type", "/properties/dataType"),
    ("Latest", "/properties/latestVersion"),
    ("Archived", "/properties/isArchived"),
    ("Description", "/properties/description"),
];
const VERSIONS: &[(&str, &str)] = &[
    ("Version", "/name"),
    ("Type", "/properties/dataType"),
    ("Path", "/properties/dataUri"),
    ("Archived", "/properties/isArchived"),
    ("Created", "/systemData/createdAt"),
];
const VERSION: &[(&str, &str)] = &[
    ("Version", "/name"),
    ("Type", "/properties/dataType"),
    ("Path", "/properties/dataUri"),
    ("Description", "/properties/description"),
    ("Tags", "/properties/tags"),
    ("Archived", "/properties/isArchived"),
    ("Created", "/systemData/createdAt"),
    ("Created by", "/systemData/createdBy"),
    ("Id", "/id"),
];
const RUNS: &[(&str, &str)] =
    &[("Run", "/runId"), ("Input", "/input"), ("Digest", "/digest"), ("Submitted", "/usedAt")];

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Create(create) => create.run().await,
            Self::List { name, all, session } => {
                let open = Session::open(&session).await?;
                let shown = if all { "?listViewType=All" } else { "" };
                let data = format!("{}/data", open.workspace()?);
                match name {
                    Some(name) => {
                        let found = open.list(&format!("{data}/{name}/versions{shown}")).await?;
                        session.output.entries(&found, VERSIONS)
                    }
                    None => session.output.entries(&open.list(&format!("{data}{shown}")).await?, ASSETS),
                }
            }
            Self::Show { name, version, runs, session } => {
                let open = Session::open(&session).await?;
                let place = place(&open, &name, version).await?;
                if runs {
                    return session.output.entries(&open.list(&format!("{place}/runs")).await?, RUNS);
                }
                session.output.entry(&open.get::<Value>(&place).await?, VERSION)
            }
            Self::Archive { name, version, restore, session } => {
                let open = Session::open(&session).await?;
                let place = match &version {
                    Some(version) => format!("{}/data/{name}/versions/{version}", open.workspace()?),
                    None => format!("{}/data/{name}", open.workspace()?),
                };
                let mut found: Value = open.get(&place).await?;
                let mut properties = found.get_mut("properties").map(Value::take).unwrap_or_default();
                if let Some(said) = properties.as_object_mut() {
                    said.insert(String::from("isArchived"), json!(!restore));
                }
                let made = open.put(&place, &json!({"properties": properties})).await?;
                session.output.entry(&made, if version.is_some() { VERSION } else { ASSETS })
            }
        }
    }
}

/// The address of a version; of the newest when none is named.
async fn place(session: &Session, name: &str, version: Option<String>) -> Result<String, Failure> {
    let asset = format!("{}/data/{name}", session.workspace()?);
    let version = match version {
        Some(version) => version,
        None => {
            let found: Value = session.get(&asset).await?;
            let latest = found.pointer("/properties/latestVersion").and_then(Value::as_str).map(str::to_owned);
            latest.ok_or_else(|| Failure::usage(format!("`{name}` has no version that is not archived; name one")))?
        }
    };
    Ok(format!("{asset}/versions/{version}"))
}

impl Create {
    async fn run(self) -> Result<ExitCode, Failure> {
        let session = Session::open(&self.session).await?;
        let mut tags = BTreeMap::new();
        for pair in &self.tag {
            let pair = pair.split_once('=').ok_or_else(|| Failure::usage(format!("`{pair}` is not NAME=VALUE")))?;
            tags.insert(pair.0, pair.1);
        }
        let workspace = session.workspace()?;
        let version = match &self.version {
            Some(version) => version.clone(),
            None => {
                let assets = session.list(&format!("{workspace}/data?listViewType=All")).await?;
                let is_it = |asset: &&Value| {
                    asset.get("name").and_then(Value::as_str).is_some_and(|name| name.eq_ignore_ascii_case(&self.name))
                };
                let next = assets.iter().find(is_it).and_then(|asset| asset.pointer("/properties/nextVersion"));
                next.and_then(Value::as_str).unwrap_or("1").to_owned()
            }
        };
        let body = json!({"properties": {
            "dataType": self.kind.word(),
            "dataUri": self.path,
            "description": self.description.unwrap_or_default(),
            "tags": tags,
        }});
        let made = session.put(&format!("{workspace}/data/{}/versions/{version}", self.name), &body).await?;
        tell(&format!("a job reads it with `--input NAME=azureml:{}:{version}`", self.name));
        self.session.output.entry(&made, VERSION)
    }
}
