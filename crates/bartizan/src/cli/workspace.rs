//! Workspaces.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};

use super::{Session, SessionOptions, network_rule, role};
use crate::failure::Failure;

/// Commands on workspaces.
#[derive(Subcommand)]
pub enum Command {
    /// Create one in the resource group, with its vault, storage account, telemetry store, datastores and local target.
    Create {
        /// Its name: 3 to 32 letters, digits, `-` or `_`.
        name: String,
        /// Where; any name.
        #[arg(long, default_value = "local")]
        location: String,
        /// For people.
        #[arg(long)]
        friendly_name: Option<String>,
        /// Create the resource group too.
        #[arg(long)]
        create_resource_group: bool,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// List those of the resource group, or of the subscription when no group is set.
    List(#[command(flatten)] SessionOptions),
    /// Show one.
    Show {
        /// Its name.
        name: String,
        #[command(flatten)]
        session: SessionOptions,
    },
    Update(network_rule::Update),
    /// The addresses that may reach one.
    #[command(subcommand)]
    NetworkRule(network_rule::Command),
    /// Share one: assign a role on it.
    Share {
        /// Its name.
        name: String,
        /// Object id of a user, group or service principal.
        #[arg(long)]
        user: String,
        /// Name of the role.
        #[arg(long)]
        role: String,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Delete one, and destroy its key: its data can never be read again.
    Delete {
        /// Its name.
        name: String,
        /// Do not ask.
        #[arg(long, required = true)]
        yes: bool,
        #[command(flatten)]
        session: SessionOptions,
    },
}

const COLUMNS: &[(&str, &str)] = &[("Name", "/name"), ("Location", "/location"), ("Id", "/id")];
const ROWS: &[(&str, &str)] = &[
    ("Name", "/name"),
    ("Id", "/id"),
    ("Workspace GUID", "/properties/workspaceId"),
    ("Storage account", "/properties/storageAccount"),
    ("Key vault", "/properties/keyVault"),
    ("Telemetry store", "/properties/applicationInsights"),
    ("Registry", "/properties/containerRegistry"),
    ("Created", "/properties/creationTime"),
];

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Create { name, location, friendly_name, create_resource_group, session } => {
                let open = Session::open(&session).await?;
                if create_resource_group {
                    open.put(&open.group()?, &json!({"location": location})).await?;
                }
                let place = format!("{}/{name}", open.workspaces()?);
                let body = json!({"location": location, "properties": {"friendlyName": friendly_name}});
                session.output.entry(&open.put(&place, &body).await?, ROWS)
            }
            Self::List(session) => {
                let open = Session::open(&session).await?;
                let below = "providers/Microsoft.MachineLearningServices/workspaces";
                let place = match session.resource_group {
                    Some(_) => open.workspaces()?,
                    None => format!("{}/{below}", open.subscription()?),
                };
                session.output.entries(&open.list(&place).await?, COLUMNS)
            }
            Self::Show { name, session } => {
                let open = Session::open(&session).await?;
                let found: Value = open.get(&format!("{}/{name}", open.workspaces()?)).await?;
                session.output.entry(&found, ROWS)
            }
            Self::Update(update) => update.run().await,
            Self::NetworkRule(command) => command.run().await,
            Self::Share { name, user, role, session } => {
                let open = Session::open(&session).await?;
                let scope = format!("{}/{name}", open.workspaces()?);
                let made = role::assign(&open, &scope, &role, &user).await?;
                session.output.done(&format!("{user} holds {role} on {name}"), &made)
            }
            Self::Delete { name, yes: _, session } => {
                let open = Session::open(&session).await?;
                open.delete(&format!("{}/{name}", open.workspaces()?)).await?;
                session.output.done(&format!("workspace {name} is gone, and its key with it"), &Value::Null)
            }
        }
    }
}
