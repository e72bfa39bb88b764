//! Named keys of web services: one for each client.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Session, SessionOptions};
use crate::failure::Failure;

/// Commands on the named keys of a service.
#[derive(Subcommand)]
pub enum Command {
    /// Make a key for one client and show it: it is not shown again. The endpoint takes named keys from then on, beside its two
    /// keys or its tokens.
    Create(Create),
    /// List the keys by name, without what their holders show.
    List {
        /// Name of the endpoint.
        endpoint: String,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Revoke a key: its holder is refused at once, and nobody else notices.
    Revoke {
        /// Name of the endpoint.
        endpoint: String,
        /// Name of the key.
        name: String,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Refuse all named keys of an endpoint, without revoking them: one form of proof alone, as Azure has it.
    Disable {
        /// Name of the endpoint.
        endpoint: String,
        #[command(flatten)]
        session: SessionOptions,
    },
}

/// What key to make.
#[derive(Args)]
pub struct Create {
    /// Name of the endpoint.
    endpoint: String,
    /// Name of the key: 3 to 32 lower-case letters, digits or `-`. Records of calls name it.
    name: String,
    /// When it ends, as in `2026-12-31T00:00:00Z`; never without this.
    #[arg(long, value_name = "TIME")]
    expires: Option<String>,
    /// A deployment that it may call; may be repeated. All of them without this.
    #[arg(long = "deployment", value_name = "DEPLOYMENT")]
    deployments: Vec<String>,
    /// How many calls it has in a minute.
    #[arg(long, value_name = "CALLS")]
    calls_per_minute: Option<u32>,
    #[command(flatten)]
    session: SessionOptions,
}

const ROWS: &[(&str, &str)] = &[
    ("Name", "/name"),
    ("Created", "/createdOn"),
    ("Expires", "/expiresOn"),
    ("Deployments", "/deployments"),
    ("Calls a minute", "/callsPerMinute"),
];

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Create(create) => create.run().await,
            Self::List { endpoint, session } => {
                let open = Session::open(&session).await?;
                let found = open.list(&format!("{}/namedKeys", super::endpoint::place(&open, &endpoint)?)).await?;
                session.output.entries(&found, ROWS)
            }
            Self::Revoke { endpoint, name, session } => {
                let open = Session::open(&session).await?;
                open.delete(&format!("{}/namedKeys/{name}", super::endpoint::place(&open, &endpoint)?)).await?;
                session.output.done(&format!("the key {name} is revoked"), &Value::Null)
            }
            Self::Disable { endpoint, session } => {
                let open = Session::open(&session).await?;
                let body = json!({"properties": {"namedKeysEnabled": false}});
                open.patch(&super::endpoint::place(&open, &endpoint)?, &body).await?;
                session.output.done(&format!("{endpoint} refuses named keys"), &Value::Null)
            }
        }
    }
}

impl Create {
    async fn run(self) -> Result<ExitCode, Failure> {
        let session = Session::open(&self.session).await?;
        let place = super::endpoint::place(&session, &self.endpoint)?;
        let present: Value = session.get(&place).await?;
        if present.pointer("/properties/namedKeysEnabled") != Some(&Value::Bool(true)) {
            session.patch(&place, &json!({"properties": {"namedKeysEnabled": true}})).await?;
        }
        let body = json!({
            "expiresOn": self.expires,
            "deployments": self.deployments,
            "callsPerMinute": self.calls_per_minute,
        });
        let made = session.put(&format!("{place}/namedKeys/{}", self.name), &body).await?;
        let mut rows = vec![("Key", "/key")];
        rows.extend_from_slice(ROWS);
        self.session.output.entry(&made, &rows)
    }
}
