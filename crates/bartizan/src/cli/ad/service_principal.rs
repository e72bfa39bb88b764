//! Service principals.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{GRAPH, credential, list, lookup, print_objects, text};
use crate::{
    cli::{Session, SessionOptions, role},
    failure::Failure,
};

/// Commands on service principals.
#[derive(Subcommand)]
pub enum Command {
    /// Create one, with its application and a secret, which is shown this once.
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
    /// List them, managed identities among them.
    List {
        /// Only those whose name begins so.
        #[arg(long, value_name = "PREFIX")]
        display_name: Option<String>,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Show one.
    Show(#[command(flatten)] One),
    /// Give one another name.
    Update {
        #[command(flatten)]
        one: One,
        /// For people.
        #[arg(long)]
        name: String,
    },
    /// Let one sign in again.
    Enable(#[command(flatten)] One),
    /// Shut one out: its tokens end at once. Its roles stay, for when it is enabled again.
    Disable(#[command(flatten)] One),
    /// Delete one with its application, credentials, roles and memberships. Its ids are never given again.
    Delete(#[command(flatten)] One),
    /// Add a secret to one; it is shown this once, and the others stay valid. The same as `credential add`.
    AddSecret(#[command(flatten)] One),
    /// Secrets and certificates: several at a time, each with its end.
    #[command(subcommand)]
    Credential(credential::Command),
    /// List the groups that one belongs to.
    ListGroups {
        #[command(flatten)]
        one: One,
        /// Through other groups, too.
        #[arg(long)]
        transitive: bool,
    },
}

/// A service principal.
#[derive(Args)]
pub struct One {
    /// Object id, client id, or a name that only one has.
    #[arg(value_name = "PRINCIPAL")]
    id: String,
    #[command(flatten)]
    session: SessionOptions,
}

const ROWS: &[(&str, &str)] = &[
    ("Name", "/displayName"),
    ("Object id", "/id"),
    ("Client id", "/appId"),
    ("Kind", "/servicePrincipalType"),
    ("Enabled", "/accountEnabled"),
];

impl Command {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Create { name, role, scope, session } => {
                let open = Session::open(&session).await?;
                let grant = match &role {
                    Some(role) => {
                        let scope = scope.map_or_else(|| open.subscription(), Ok)?;
                        Some(role::Grant::find(&open, &scope, role).await?)
                    }
                    None => None,
                };
                let made = open.post(&format!("{GRAPH}/servicePrincipals"), &json!({"displayName": name})).await?;
                let id = text(&made, "/id");
                // The secret is shown this once: whatever comes of the role comes after it.
                let code =
                    credential::show_secret(&open, &session, &made, &text(&made, "/passwordCredentials/0/secretText"))?;
                if let Some(grant) = grant {
                    let refused = |why| {
                        Failure::new(format!(
                            "the service principal {id} was made and its secret is above, but its role was not assigned: \
                             {why}; once you may, use `bartizan role assignment create --assignee {id}`"
                        ))
                    };
                    grant.to(&open, &id).await.map_err(refused)?;
                }
                Ok(code)
            }
            Self::List { display_name, session } => {
                let place = format!("{GRAPH}/servicePrincipals");
                list(&session, &place, "displayName", display_name.as_deref(), ROWS).await
            }
            Self::Show(one) => {
                let (open, place) = one.open().await?;
                one.session.output.entry(&open.get(&place).await?, ROWS)
            }
            Self::Update { one, name } => one.patch(&json!({"displayName": name}), "it has its new name").await,
            Self::Enable(one) => one.patch(&json!({"accountEnabled": true}), "it may sign in").await,
            Self::Disable(one) => one.patch(&json!({"accountEnabled": false}), "it is shut out").await,
            Self::Delete(one) => {
                let (open, place) = one.open().await?;
                open.delete(&place).await?;
                one.session.output.done("it was deleted", &Value::Null)
            }
            Self::AddSecret(one) => {
                let (open, place) = one.open().await?;
                credential::add_secret(&open, &one.session, &place, &json!({})).await
            }
            Self::Credential(command) => command.run(credential::Owner::ServicePrincipal).await,
            Self::ListGroups { one, transitive } => {
                let (open, place) = one.open().await?;
                let list = if transitive { "transitiveMemberOf" } else { "memberOf" };
                print_objects(one.session.output, open.list(&format!("{place}/{list}")).await?)
            }
        }
    }
}

impl One {
    async fn open(&self) -> Result<(Session, String), Failure> {
        let session = Session::open(&self.session).await?;
        let id = lookup::service_principal(&session, &self.id).await?;
        Ok((session, format!("{GRAPH}/servicePrincipals/{id}")))
    }

    async fn patch(self, body: &Value, sentence: &str) -> Result<ExitCode, Failure> {
        let (open, place) = self.open().await?;
        open.patch(&place, body).await?;
        self.session.output.done(sentence, &Value::Null)
    }
}
