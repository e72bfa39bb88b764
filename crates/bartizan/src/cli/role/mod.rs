//! Role assignments and definitions.

mod definition;
mod elevation;

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Session, SessionOptions, ad};
use crate::failure::Failure;

/// Commands on roles.
#[derive(Subcommand)]
pub enum Command {
    /// Who holds which role where.
    #[command(subcommand)]
    Assignment(Assignment),
    /// What roles there are, and roles of your own.
    #[command(subcommand)]
    Definition(definition::Definition),
    /// Who may activate which role, for a time and with a reason.
    #[command(subcommand)]
    Eligibility(elevation::Eligibility),
    Activate(elevation::Activate),
    Deactivate(elevation::Deactivate),
}

/// Commands on assignments.
#[derive(Subcommand)]
pub enum Assignment {
    /// Assign a role.
    Create {
        /// Object id; or a user's sign-in name, or the name of a group or service principal that only one has.
        #[arg(long)]
        assignee: String,
        /// Name or id of the role: Owner, Contributor, Reader, one of your own; at the root (`--scope /`) also those of the
        /// directory.
        #[arg(long)]
        role: String,
        /// Resource id. Default: the workspace if one is set, else the group, else the subscription.
        #[arg(long)]
        scope: Option<String>,
        /// Only for so long (ISO 8601): `PT4H`, `P1D`. Then it ends by itself.
        #[arg(long, value_name = "DURATION")]
        duration: Option<String>,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// List the assignments at a scope, above and below it.
    List {
        /// Resource id. Default as for `create`.
        #[arg(long)]
        scope: Option<String>,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Take an assignment back.
    Delete {
        /// Its full id, as `list` shows it.
        #[arg(long)]
        id: String,
        #[command(flatten)]
        session: SessionOptions,
    },
}

/// Where a command works when it is not told: the workspace, else the group, else the subscription.
pub(super) fn scope_of(session: &Session, given: Option<String>) -> Result<String, Failure> {
    match given {
        Some(scope) => Ok(scope),
        None => session.workspace().or_else(|_| session.group()).or_else(|_| session.subscription()),
    }
}

/// The role with this name or id.
pub(super) async fn definition(session: &Session, scope: &str, role: &str) -> Result<Value, Failure> {
    let all = format!("{scope}/providers/Microsoft.Authorization/roleDefinitions");
    let all = session.list(&all).await?;
    // Ids come first: a name is chosen by whoever makes a role.
    let is = |entry: &&Value, pointer: &str| {
        entry.pointer(pointer).and_then(Value::as_str).is_some_and(|text| text.eq_ignore_ascii_case(role))
    };
    let by_id = all.iter().find(|entry| is(entry, "/name"));
    let found = by_id.or_else(|| all.iter().find(|entry| is(entry, "/properties/roleName"))).cloned();
    found
        .ok_or_else(|| Failure::usage(format!("there is no role `{role}`; `bartizan role definition list` shows them")))
}

/// The id of the role with this name or id.
pub async fn definition_id(session: &Session, role: &str) -> Result<String, Failure> {
    definition_id_of(&definition(session, &session.subscription()?, role).await?)
}

fn definition_id_of(found: &Value) -> Result<String, Failure> {
    let id = found.get("name").and_then(Value::as_str);
    Ok(id.ok_or_else(|| Failure::new("the answer has no role id"))?.to_owned())
}

/// A role that there is, at a scope that there is.
pub struct Grant {
    scope: String,
    definition: Value,
}

impl Grant {
    /// Finds a role by its name or id.
    pub async fn find(session: &Session, scope: &str, role: &str) -> Result<Self, Failure> {
        let scope = scope.trim_end_matches('/').to_owned();
        let definition = definition(session, &scope, role).await?.get("id").cloned().unwrap_or_default();
        Ok(Self { scope, definition })
    }

    /// Assigns it.
    pub async fn to(&self, session: &Session, principal: &str) -> Result<Value, Failure> {
        let place = format!("{}/providers/Microsoft.Authorization/roleAssignments/{}", self.scope, Uuid::new_v4());
        let body = json!({"properties": {"roleDefinitionId": self.definition, "principalId": principal}});
        session.put(&place, &body).await
    }
}

/// Assigns a role by its name.
pub async fn assign(session: &Session, scope: &str, role: &str, principal: &str) -> Result<Value, Failure> {
    Grant::find(session, scope, role).await?.to(session, principal).await
}

const COLUMNS: &[(&str, &str)] = &[
    ("Principal", "/properties/principalId"),
    ("Type", "/properties/principalType"),
    ("Role", "/roleName"),
    ("Scope", "/properties/scope"),
    ("Assignment", "/name"),
];

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Assignment(command) => command.run().await,
            Self::Definition(command) => command.run().await,
            Self::Eligibility(command) => command.run().await,
            Self::Activate(command) => command.run().await,
            Self::Deactivate(command) => command.run().await,
        }
    }
}

impl Assignment {
    async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Create { assignee, role, scope, duration, session } => {
                let open = Session::open(&session).await?;
                let scope = scope_of(&open, scope)?;
                let assignee = ad::object_id(&open, &assignee).await?;
                let (made, how_long) = match duration {
                    Some(duration) => {
                        let made = elevation::assign(&open, &scope, &role, &assignee, &duration).await?;
                        (made, format!(" for {duration}"))
                    }
                    None => (assign(&open, &scope, &role, &assignee).await?, String::new()),
                };
                session.output.done(&format!("{assignee} holds {role} at {scope}{how_long}"), &made)
            }
            Self::List { scope, session } => {
                let open = Session::open(&session).await?;
                let scope = scope_of(&open, scope)?;
                let base = format!("{}/providers/Microsoft.Authorization", scope.trim_end_matches('/'));
                let roles = open.list(&format!("{base}/roleDefinitions")).await?;
                let mut found = open.list(&format!("{base}/roleAssignments")).await?;
                for entry in &mut found {
                    let id = entry.pointer("/properties/roleDefinitionId").and_then(Value::as_str).unwrap_or_default();
                    let guid = id.rsplit('/').next().unwrap_or_default().to_owned();
                    let role = roles.iter().find(|role| role.get("name").and_then(Value::as_str) == Some(&guid));
                    let name = role.and_then(|role| role.pointer("/properties/roleName")).cloned();
                    if let Some(object) = entry.as_object_mut() {
                        object.insert(String::from("roleName"), name.unwrap_or(Value::String(guid)));
                    }
                }
                session.output.entries(&found, COLUMNS)
            }
            Self::Delete { id, session } => {
                Session::open(&session).await?.delete(&id).await?;
                session.output.done("the assignment was taken back", &Value::Null)
            }
        }
    }
}
