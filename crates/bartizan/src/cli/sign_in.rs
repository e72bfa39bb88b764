//! Who signed in, whose sessions are open, and lost second factors.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Session, SessionOptions, ad::lookup};
use crate::failure::Failure;

/// Commands on sign-ins and sessions.
#[derive(Subcommand)]
pub enum Command {
    /// List sign-ins, newest first: who, how, from where, with what result.
    List {
        /// Only this person's or application's (user name or object id).
        #[arg(long, value_name = "USER")]
        user: Option<String>,
        /// Only those that failed.
        #[arg(long)]
        failed: bool,
        /// Only people in a browser, without tokens of applications.
        #[arg(long)]
        interactive: bool,
        /// Not before this time (RFC 3339).
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
        /// At most this many.
        #[arg(long, default_value_t = 100)]
        top: usize,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// List a person's open sessions.
    Sessions {
        /// User name or object id.
        user: String,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// End one of a person's sessions, with the tokens that came from it.
    End {
        /// User name or object id.
        user: String,
        /// The session's id.
        id: String,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Take all second factors from a person who lost them, and end their sessions. They enrol anew at the next sign-in.
    ResetMfa {
        /// User name or object id.
        user: String,
        #[command(flatten)]
        session: SessionOptions,
    },
}

const SIGN_INS: &[(&str, &str)] = &[
    ("Time", "/createdDateTime"),
    ("Who", "/userPrincipalName"),
    ("From", "/ipAddress"),
    ("Operation", "/operation"),
    ("Method", "/authenticationMethod"),
    ("Result", "/status/result"),
    ("Reason", "/status/failureReason"),
];
const SESSIONS: &[(&str, &str)] = &[
    ("Began", "/createdDateTime"),
    ("Last seen", "/lastSeenDateTime"),
    ("From", "/ipAddress"),
    ("Browser", "/userAgent"),
    ("Proved", "/authenticationMethods"),
    ("Id", "/id"),
];

/// A person's address, by the object id: what is done is done to who was found, whatever they are called meanwhile.
async fn person(session: &Session, user: &str) -> Result<String, Failure> {
    lookup::user(&object_id(session, user).await?)
}

/// The object id of a person named by user name or object id.
async fn object_id(session: &Session, user: &str) -> Result<String, Failure> {
    let found: Value = session.get(&lookup::user(user)?).await?;
    let id = found.get("id").and_then(Value::as_str);
    Ok(id.ok_or_else(|| Failure::new("the answer has no object id"))?.to_owned())
}

/// A session's name as one segment of an address. What is no id is not put into one.
fn session_id(named: &str) -> Result<Uuid, Failure> {
    let unknown =
        |_| Failure::usage(format!("`{}` is not the id of a session; `sessions` shows them", named.escape_debug()));
    Uuid::try_parse(named).map_err(unknown)
}

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::List { user, failed, interactive, since, top, session } => {
                let open = Session::open(&session).await?;
                let mut clauses = Vec::new();
                if let Some(user) = user {
                    clauses.push(format!("userId eq '{}'", object_id(&open, &user).await?));
                }
                if failed {
                    clauses.push(String::from("status eq 'failure'"));
                }
                if interactive {
                    clauses.push(String::from("isInteractive eq true"));
                }
                if let Some(since) = since {
                    clauses.push(format!("createdDateTime ge {since}"));
                }
                let (filter, top) = (clauses.join(" and "), top.to_string());
                let call = open.call(outbound::Method::GET, "/graph/v1.0/auditLogs/signIns");
                let page: Value = call.query(&[("$filter", &filter), ("$top", &top)]).send_for_json().await?;
                let found = page.get("value").and_then(Value::as_array);
                session.output.entries(found.map_or(&[], Vec::as_slice), SIGN_INS)
            }
            Self::Sessions { user, session } => {
                let open = Session::open(&session).await?;
                let place = format!("{}/sessions", person(&open, &user).await?);
                session.output.entries(&open.list(&place).await?, SESSIONS)
            }
            Self::End { user, id, session } => {
                let id = session_id(&id)?;
                let open = Session::open(&session).await?;
                open.delete(&format!("{}/sessions/{id}", person(&open, &user).await?)).await?;
                session.output.done(&format!("session {id} has ended"), &Value::Null)
            }
            Self::ResetMfa { user, session } => {
                let open = Session::open(&session).await?;
                let place = format!("{}/authentication/reset", person(&open, &user).await?);
                open.post(&place, &json!({})).await?;
                session.output.done(&format!("{user} has no second factor any more"), &Value::Null)
            }
        }
    }
}
