//! Service principals.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};

use super::{Format, Session, SessionOptions, role, say};
use crate::failure::Failure;

const PRINCIPALS: &str = "/graph/v1.0/servicePrincipals";

/// Commands on the directory.
#[derive(Subcommand)]
pub enum Command {
    /// Service principals: identities for automation.
    #[command(subcommand)]
    Sp(ServicePrincipal),
    /// Make a new key for signing tokens. Tokens under the old one stay valid until they expire.
    RotateSigningKeys(#[command(flatten)] SessionOptions),
}

/// Commands on service principals.
#[derive(Subcommand)]
pub enum ServicePrincipal {
    /// Create one with a secret, which is shown this once.
    Create {
        /// For people.
        #[arg(long)]
        name: String,
        /// Also assign this role at --scope.
        #[arg(long)]
        role: Option<String>,
        /// Where to assign the role: a resource id. Default: the subscription.
        #[arg(long)]
        scope: Option<String>,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Add a secret to one; it is shown this once, and the others stay valid.
    AddSecret {
        /// Object id.
        id: String,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// List them.
    List(#[command(flatten)] SessionOptions),
    /// Show one.
    Show {
        /// Object id.
        id: String,
        #[command(flatten)]
        session: SessionOptions,
    },
}

const ROWS: &[(&str, &str)] = &[("Name", "/displayName"), ("Object id", "/id"), ("Client id", "/appId")];

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Sp(command) => command.run().await,
            Self::RotateSigningKeys(options) => {
                let session = Session::open(&options).await?;
                let done = session.post("/graph/v1.0/signingKeys/rotate", &json!({})).await?;
                options.output.done("a new signing key is in force", &done)
            }
        }
    }
}

impl ServicePrincipal {
    async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Create { name, role, scope, session } => {
                let open = Session::open(&session).await?;
                let made = open.post(PRINCIPALS, &json!({"displayName": name})).await?;
                if let Some(role) = role {
                    let scope = scope.map_or_else(|| open.subscription(), Ok)?;
                    let id = text(&made, "/id");
                    role::assign(&open, &scope, &role, &id).await?;
                }
                show_secret(&open, &made, session.output, session.tenant.as_deref(), session.subscription.as_deref())
            }
            Self::AddSecret { id, session } => {
                let open = Session::open(&session).await?;
                let made = open.post(&format!("{PRINCIPALS}/{id}/addPassword"), &json!({})).await?;
                show_secret(&open, &made, session.output, session.tenant.as_deref(), session.subscription.as_deref())
            }
            Self::List(session) => {
                let found = Session::open(&session).await?.list(PRINCIPALS).await?;
                session.output.entries(&found, ROWS)
            }
            Self::Show { id, session } => {
                let found: Value = Session::open(&session).await?.get(&format!("{PRINCIPALS}/{id}")).await?;
                session.output.entry(&found, ROWS)
            }
        }
    }
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The document that Azure's tools print and read (`clientId, clientSecret, subscriptionId, tenantId` and addresses).
fn show_secret(
    open: &Session,
    made: &Value,
    output: Format,
    tenant: Option<&str>,
    subscription: Option<&str>,
) -> Result<ExitCode, Failure> {
    let secrets = made.pointer("/passwordCredentials").and_then(Value::as_array);
    let secret = secrets.and_then(|all| all.iter().find_map(|secret| secret.get("secretText")?.as_str()));
    let document = json!({
        "clientId": text(made, "/appId"),
        "clientSecret": secret,
        "objectId": text(made, "/id"),
        "subscriptionId": subscription,
        "tenantId": tenant,
        "activeDirectoryEndpointUrl": open.client().base(),
        "resourceManagerEndpointUrl": open.client().base(),
    });
    if output == Format::Table {
        say("the secret is shown this once; keep it in a safe place");
    }
    output.entry(
        &document,
        &[
            ("Client id", "/clientId"),
            ("Client secret", "/clientSecret"),
            ("Object id", "/objectId"),
            ("Tenant", "/tenantId"),
        ],
    )
}
