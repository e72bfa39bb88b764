//! Compute targets.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};

use super::{Session, SessionOptions, identity};
use crate::failure::Failure;

/// Commands on compute targets.
#[derive(Subcommand)]
pub enum Command {
    /// List those of the workspace.
    List(#[command(flatten)] SessionOptions),
    /// Show what one can enforce around a job.
    Show {
        /// Its name.
        name: String,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Say which managed identities its jobs can act as; replaces what it has.
    Update {
        /// Its name.
        name: String,
        /// `SystemAssigned`, `UserAssigned`, `SystemAssigned,UserAssigned` or `None`.
        #[arg(long, default_value = "UserAssigned")]
        identity_type: String,
        /// A user-assigned identity, by name in the resource group or by id; can be given several times.
        #[arg(long, value_name = "NAME|ID")]
        user_assigned_identities: Vec<String>,
        #[command(flatten)]
        session: SessionOptions,
    },
}

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::List(options) => {
                let session = Session::open(&options).await?;
                let found = session.list(&format!("{}/computes", session.workspace()?)).await?;
                options.output.entries(
                    &found,
                    &[
                        ("Name", "/name"),
                        ("Type", "/properties/computeType"),
                        ("State", "/properties/provisioningState"),
                    ],
                )
            }
            Self::Show { name, session } => {
                let open = Session::open(&session).await?;
                let found: Value = open.get(&format!("{}/computes/{name}", open.workspace()?)).await?;
                if session.output == super::Format::Json {
                    return session.output.done("", &found);
                }
                let walls = found.pointer("/properties/properties/walls").and_then(Value::as_array);
                session.output.entries(
                    walls.map_or(&[], Vec::as_slice),
                    &[("Wall", "/name"), ("Stands", "/stands"), ("Note", "/note")],
                )
            }
            Self::Update { name, identity_type, user_assigned_identities, session } => {
                let open = Session::open(&session).await?;
                let mut identity = json!({"type": identity_type});
                let ids = user_assigned_identities.iter().map(|named| Ok((identity::place(&open, named)?, json!({}))));
                let ids: serde_json::Map<String, Value> = ids.collect::<Result<_, Failure>>()?;
                if let Some(object) = identity.as_object_mut().filter(|_| !ids.is_empty()) {
                    object.insert(String::from("userAssignedIdentities"), Value::Object(ids));
                }
                let place = format!("{}/computes/{name}", open.workspace()?);
                let body = json!({"identity": identity});
                let found: Value = open.call(outbound::Method::PATCH, &place).json(&body).send_for_json().await?;
                session.output.entry(
                    &found,
                    &[
                        ("Name", "/name"),
                        ("Identity", "/identity/type"),
                        ("Principal id", "/identity/principalId"),
                        ("User-assigned", "/identity/userAssignedIdentities"),
                    ],
                )
            }
        }
    }
}
