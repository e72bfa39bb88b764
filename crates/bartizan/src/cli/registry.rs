//! Container registries: their settings, and what is in them.

use std::process::ExitCode;

use clap::Subcommand;
use outbound::Method;
use serde_json::{Map, Value, json};

use super::{Session, SessionOptions, session::json_or_null};
use crate::failure::Failure;

/// What tokens for the contents of registries are asked for.
const RESOURCE: &str = "https://containerregistry.azure.net";

/// Commands on registries.
#[derive(Subcommand)]
pub enum Command {
    /// Create a registry. Push with skopeo, podman or docker, as a service principal with the role `AcrPush` there.
    Create {
        /// 5 to 50 letters and digits; part of an address, so one registry's alone.
        name: String,
        /// Where; any name.
        #[arg(long, default_value = "local")]
        location: String,
        #[command(flatten)]
        settings: Settings,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Change a registry.
    Update {
        /// Its name.
        name: String,
        #[command(flatten)]
        settings: Settings,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Show a registry: its address, and what holds its images.
    Show {
        /// Its name.
        name: String,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// List the repositories of a registry.
    Repositories {
        /// Its name.
        name: String,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// List the tags of a repository, with what they name.
    Tags {
        /// The registry.
        name: String,
        /// The repository.
        repository: String,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// List the manifests of a repository, with their tags.
    Manifests {
        /// The registry.
        name: String,
        /// The repository.
        repository: String,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Delete a tag (`REPOSITORY:TAG`), a manifest with its tags (`REPOSITORY@sha256:…`), or a repository with all that is in it.
    Delete {
        /// The registry.
        name: String,
        /// What of it.
        image: String,
        #[command(flatten)]
        session: SessionOptions,
    },
}

/// What is set of a registry.
#[derive(clap::Args)]
pub struct Settings {
    /// Whether its admin account is on: whoever has one of its two passwords may do everything with the images. A registry that is
    /// brought to a workspace needs it.
    #[arg(long)]
    admin_enabled: Option<bool>,
    /// Address of a key in a vault that shall hold the images; without a version, the newest is followed.
    #[arg(long, conflicts_with = "no_key")]
    key_identifier: Option<String>,
    /// Give the images back to the server's own keyring.
    #[arg(long)]
    no_key: bool,
}

impl Settings {
    fn properties(&self) -> Value {
        let mut properties = Map::new();
        if let Some(enabled) = self.admin_enabled {
            properties.insert(String::from("adminUserEnabled"), json!(enabled));
        }
        if let Some(key) = &self.key_identifier {
            let encryption = json!({"status": "enabled", "keyVaultProperties": {"keyIdentifier": key}});
            properties.insert(String::from("encryption"), encryption);
        } else if self.no_key {
            properties.insert(String::from("encryption"), json!({"status": "disabled"}));
        }
        Value::Object(properties)
    }
}

const ROWS: &[(&str, &str)] = &[
    ("Name", "/name"),
    ("Login server", "/properties/loginServer"),
    ("Admin account", "/properties/adminUserEnabled"),
    ("Encryption", "/properties/encryption/status"),
];
const REPOSITORIES: &[(&str, &str)] = &[("Repository", "")];
const TAGS: &[(&str, &str)] = &[("Tag", "/name"), ("Digest", "/digest"), ("Updated", "/lastUpdateTime")];
const MANIFESTS: &[(&str, &str)] =
    &[("Digest", "/digest"), ("Type", "/mediaType"), ("Pushed", "/createdTime"), ("Tags", "/tags")];

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Create { name, location, settings, session } => {
                let open = Session::open(&session).await?;
                let body = json!({"location": location, "properties": settings.properties()});
                let made = open.put(&place(&open, &name)?, &body).await?;
                session.output.entry(&made, ROWS)
            }
            Self::Update { name, settings, session } => {
                let open = Session::open(&session).await?;
                let place = place(&open, &name)?;
                open.patch(&place, &json!({"properties": settings.properties()})).await?;
                session.output.entry(&open.get::<Value>(&place).await?, ROWS)
            }
            Self::Show { name, session } => {
                let open = Session::open(&session).await?;
                session.output.entry(&open.get::<Value>(&place(&open, &name)?).await?, ROWS)
            }
            Self::Repositories { name, session } => {
                let found = all(&session, &format!("/acr/v1/{name}/_catalog"), "repositories").await?;
                session.output.entries(&found, REPOSITORIES)
            }
            Self::Tags { name, repository, session } => {
                let found = all(&session, &format!("/acr/v1/{name}/{repository}/_tags"), "tags").await?;
                session.output.entries(&found, TAGS)
            }
            Self::Manifests { name, repository, session } => {
                let found = all(&session, &format!("/acr/v1/{name}/{repository}/_manifests"), "manifests").await?;
                session.output.entries(&found, MANIFESTS)
            }
            Self::Delete { name, image, session } => {
                let (open, _) = Session::open_to(&session, Some(RESOURCE)).await?;
                let place = match (image.split_once('@'), image.split_once(':')) {
                    (Some((repository, digest)), _) => format!("/v2/{name}/{repository}/manifests/{digest}"),
                    (None, Some((repository, tag))) => format!("/v2/{name}/{repository}/manifests/{tag}"),
                    (None, None) => format!("/acr/v1/{name}/{image}"),
                };
                open.delete(&place).await?;
                session.output.done(&format!("{image} is gone"), &Value::Null)
            }
        }
    }
}

fn place(session: &Session, name: &str) -> Result<String, Failure> {
    Ok(format!("{}/providers/Microsoft.ContainerRegistry/registries/{name}", session.group()?))
}

/// All entries of a list, which comes in pieces.
async fn all(session: &SessionOptions, place: &str, field: &str) -> Result<Vec<Value>, Failure> {
    let (open, _) = Session::open_to(session, Some(RESOURCE)).await?;
    let mut found = Vec::new();
    let mut next = Some(place.to_owned());
    while let Some(place) = next.take() {
        let answer = open.call(Method::GET, &place).send().await?.success().await?;
        let link = answer.header("link").and_then(|link| link.strip_prefix('<')?.split('>').next());
        next = link.map(str::to_owned);
        let body = json_or_null(answer).await?;
        found.extend(body.get(field).and_then(Value::as_array).into_iter().flatten().cloned());
    }
    Ok(found)
}
