//! The directory: users, groups, applications, service principals.

mod application;
mod credential;
mod federated;
mod group;
pub(super) mod lookup;
mod service_principal;
mod user;

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};

use super::{Session, SessionOptions, identity_provider, output, policy, sign_in};
use crate::failure::Failure;

/// Where the directory is.
const GRAPH: &str = "/graph/v1.0";

/// Commands on the directory.
#[derive(Subcommand)]
pub enum Command {
    /// People who sign in with a name and a password.
    ///
    /// Users are named by object id or sign-in name. Making and changing them takes the role `User Administrator` or
    /// `Application Administrator` at the root; where a user holds roles, also the right to grant those.
    #[command(subcommand)]
    User(user::Command),
    /// Sets of users, service principals and other groups, that roles are assigned to.
    ///
    /// Groups are named by object id, or by name where only one has it. Whoever is in a group has its roles at once, and
    /// loses them at once.
    #[command(subcommand)]
    Group(group::Command),
    /// Service principals: identities for automation.
    ///
    /// They are named by object id, client id, or by name where only one has it. Roles are assigned to the object id; the
    /// client id signs in.
    #[command(subcommand)]
    Sp(service_principal::Command),
    /// Applications: what service principals are made of, and what people sign in to.
    #[command(subcommand)]
    App(application::Command),
    /// Sign-in policies: of whom a second factor is demanded.
    #[command(subcommand)]
    Policy(policy::Command),
    /// Who signed in, open sessions, lost second factors.
    #[command(subcommand)]
    SignIn(sign_in::Command),
    /// Upstream OpenID providers through which people sign in.
    #[command(subcommand)]
    IdentityProvider(identity_provider::Command),
    /// Make a new key for signing tokens. Tokens under the old one stay valid until they expire.
    RotateSigningKeys(#[command(flatten)] SessionOptions),
}

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::User(command) => command.run().await,
            Self::Group(command) => command.run().await,
            Self::Sp(command) => command.run().await,
            Self::App(command) => command.run().await,
            Self::Policy(command) => command.run().await,
            Self::SignIn(command) => command.run().await,
            Self::IdentityProvider(command) => command.run().await,
            Self::RotateSigningKeys(options) => {
                let session = Session::open(&options).await?;
                let done = session.post(&format!("{GRAPH}/signingKeys/rotate"), &json!({})).await?;
                options.output.done("a new signing key is in force", &done)
            }
        }
    }
}

/// The object id of anybody, for whoever assigns roles. An id is taken as it stands: reading the directory is another right.
pub(super) async fn object_id(session: &Session, named: &str) -> Result<String, Failure> {
    if lookup::is_id(named) { Ok(named.to_owned()) } else { lookup::principal(session, named).await }
}

/// The object id of anybody, client ids included: for questions, which cannot go to somebody else by mistake.
pub(super) async fn anybody(session: &Session, named: &str) -> Result<String, Failure> {
    lookup::principal(session, named).await
}

fn text(value: &Value, pointer: &str) -> String {
    value.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The condition that a field is this text, as `$filter` has it.
fn is(field: &str, value: &str) -> String {
    format!("{field} eq '{}'", value.replace('\'', "''"))
}

/// The condition that a field begins with this text.
fn begins(field: &str, value: &str) -> String {
    format!("startswith({field},'{}')", value.replace('\'', "''"))
}

/// Lists entries whose name begins with a text, or all.
async fn list(
    options: &SessionOptions,
    place: &str,
    field: &str,
    prefix: Option<&str>,
    columns: &[(&str, &str)],
) -> Result<ExitCode, Failure> {
    let session = Session::open(options).await?;
    let found = match prefix {
        Some(prefix) => session.list_where(place, &begins(field, prefix)).await?,
        None => session.list(place).await?,
    };
    options.output.entries(&found, columns)
}

/// What belongs to what: columns of lists of principals of any kind.
const OBJECTS: &[(&str, &str)] =
    &[("Kind", "/kind"), ("Name", "/displayName"), ("Object id", "/id"), ("Signs in as", "/signsInAs")];

/// Prints principals of any kind.
fn print_objects(format: output::Format, mut found: Vec<Value>) -> Result<ExitCode, Failure> {
    if format == output::Format::Table {
        for object in &mut found {
            let kind = text(object, "/@odata.type").trim_start_matches("#microsoft.graph.").to_owned();
            let name = object.get("userPrincipalName").or_else(|| object.get("appId")).cloned();
            if let Some(fields) = object.as_object_mut() {
                fields.insert(String::from("kind"), Value::String(kind));
                fields.insert(String::from("signsInAs"), name.unwrap_or_default());
            }
        }
    }
    format.entries(&found, OBJECTS)
}
