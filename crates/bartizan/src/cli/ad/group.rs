//! Groups and their members.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::{GRAPH, list, lookup, print_objects};
use crate::{
    cli::{Session, SessionOptions},
    failure::Failure,
};

/// Commands on groups.
#[derive(Subcommand)]
pub enum Command {
    /// Create a group without members.
    ///
    /// Give it rights with `bartizan role assignment create --assignee OBJECT_ID`.
    Create {
        /// For people.
        #[arg(long, value_name = "NAME")]
        display_name: String,
        /// What it is for.
        #[arg(long)]
        description: Option<String>,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// List groups.
    List {
        /// Only those whose name begins so.
        #[arg(long, value_name = "PREFIX")]
        display_name: Option<String>,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Show a group.
    Show(#[command(flatten)] One),
    /// Change a group's name or description.
    Update {
        #[command(flatten)]
        one: One,
        /// For people.
        #[arg(long, value_name = "NAME")]
        display_name: Option<String>,
        /// What it is for.
        #[arg(long)]
        description: Option<String>,
    },
    /// Delete a group with its roles: whoever was in it loses what it gave, at once.
    Delete(#[command(flatten)] One),
    /// Put somebody into a group: a user, a service principal, or another group.
    ///
    /// Where the group holds roles, directly or through other groups, this takes the right to grant them.
    AddMember {
        #[command(flatten)]
        one: One,
        /// Who: object id, sign-in name of a user, client id of a service principal, or a name that only one has.
        #[arg(long, value_name = "MEMBER")]
        member: String,
    },
    /// Take somebody out of a group.
    RemoveMember {
        #[command(flatten)]
        one: One,
        /// Who, as for `add-member`.
        #[arg(long, value_name = "MEMBER")]
        member: String,
    },
    /// List who belongs to a group.
    ListMembers {
        #[command(flatten)]
        one: One,
        /// Through other groups, too.
        #[arg(long)]
        transitive: bool,
    },
    /// List the groups that a group belongs to.
    ListGroups {
        #[command(flatten)]
        one: One,
        /// Through other groups, too.
        #[arg(long)]
        transitive: bool,
    },
}

/// A group.
#[derive(Args)]
pub struct One {
    /// Object id, or a name that only one group has.
    #[arg(value_name = "GROUP")]
    group: String,
    #[command(flatten)]
    session: SessionOptions,
}

const ROWS: &[(&str, &str)] = &[("Name", "/displayName"), ("Object id", "/id"), ("Description", "/description")];

impl Command {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Create { display_name, description, session } => {
                let open = Session::open(&session).await?;
                let mut body = form(Some(display_name), description);
                body.insert(String::from("mailEnabled"), Value::Bool(false));
                body.insert(String::from("securityEnabled"), Value::Bool(true));
                session.output.entry(&open.post(&format!("{GRAPH}/groups"), &Value::Object(body)).await?, ROWS)
            }
            Self::List { display_name, session } => {
                list(&session, &format!("{GRAPH}/groups"), "displayName", display_name.as_deref(), ROWS).await
            }
            Self::Show(one) => {
                let (open, place) = one.open().await?;
                one.session.output.entry(&open.get(&place).await?, ROWS)
            }
            Self::Update { one, display_name, description } => {
                let (open, place) = one.open().await?;
                open.patch(&place, &Value::Object(form(display_name, description))).await?;
                one.session.output.done("the group was changed", &Value::Null)
            }
            Self::Delete(one) => {
                let (open, place) = one.open().await?;
                open.delete(&place).await?;
                one.session.output.done("the group was deleted", &Value::Null)
            }
            Self::AddMember { one, member } => {
                let (open, place) = one.open().await?;
                let member = lookup::principal(&open, &member).await?;
                let address = format!("{}{GRAPH}/directoryObjects/{member}", open.client().base());
                open.post(&format!("{place}/members/$ref"), &json!({"@odata.id": address})).await?;
                one.session.output.done(&format!("{member} belongs to the group"), &Value::Null)
            }
            Self::RemoveMember { one, member } => {
                let (open, place) = one.open().await?;
                let member = lookup::principal(&open, &member).await?;
                open.delete(&format!("{place}/members/{member}/$ref")).await?;
                one.session.output.done(&format!("{member} does not belong to the group any more"), &Value::Null)
            }
            Self::ListMembers { one, transitive } => {
                let (open, place) = one.open().await?;
                let list = if transitive { "transitiveMembers" } else { "members" };
                print_objects(one.session.output, open.list(&format!("{place}/{list}")).await?)
            }
            Self::ListGroups { one, transitive } => {
                let (open, place) = one.open().await?;
                let list = if transitive { "transitiveMemberOf" } else { "memberOf" };
                print_objects(one.session.output, open.list(&format!("{place}/{list}")).await?)
            }
        }
    }
}

fn form(display_name: Option<String>, description: Option<String>) -> Map<String, Value> {
    let fields = [("displayName", display_name), ("description", description)];
    fields.into_iter().filter_map(|(name, text)| Some((name.to_owned(), Value::String(text?)))).collect()
}

impl One {
    async fn open(&self) -> Result<(Session, String), Failure> {
        let session = Session::open(&self.session).await?;
        let group = lookup::group(&session, &self.group).await?;
        Ok((session, format!("{GRAPH}/groups/{group}")))
    }
}
