//! Users.

use std::{path::PathBuf, process::ExitCode};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{GRAPH, list, lookup, print_objects, text};
use crate::{
    cli::{Format, Session, SessionOptions, say, secret},
    failure::Failure,
};

/// Graph's name of the way to sign in that a password is.
const PASSWORD: &str = "28c10230-6103-485e-b985-444c60001490";

/// Commands on users.
#[derive(Subcommand)]
pub enum Command {
    /// Create a user.
    ///
    /// Without --password-file the server draws a password and shows it this once. The user is asked for a new one at the
    /// first sign-in. A new user may do nothing: assign a role with `bartizan role assignment create`, or put the user
    /// into a group that has one.
    Create {
        /// Sign-in name, like `ann` or `ann@example.com`.
        #[arg(long, value_name = "NAME", alias = "upn")]
        user_principal_name: String,
        /// For people.
        #[arg(long, value_name = "NAME")]
        display_name: String,
        /// The user cannot sign in until enabled.
        #[arg(long)]
        disabled: bool,
        #[command(flatten)]
        password: Password,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// List users.
    List {
        /// Only those whose display name begins so.
        #[arg(long, value_name = "PREFIX")]
        display_name: Option<String>,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Show a user.
    Show(#[command(flatten)] One),
    /// Change a user.
    Update {
        #[command(flatten)]
        one: One,
        /// For people.
        #[arg(long, value_name = "NAME")]
        display_name: Option<String>,
        /// Whether a second factor is demanded of this user whatever the policies say.
        #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
        require_mfa: Option<bool>,
    },
    /// Set a new password, and end the user's sessions and tokens. Second factors stay.
    ResetPassword {
        #[command(flatten)]
        one: One,
        #[command(flatten)]
        password: Password,
    },
    /// Let a user sign in again.
    Enable(#[command(flatten)] One),
    /// Shut a user out: sessions and tokens end at once. Roles stay, for when the user is enabled again.
    Disable(#[command(flatten)] One),
    /// End a user's sessions and tokens. The user may sign in again.
    RevokeSessions(#[command(flatten)] One),
    /// Delete a user with all roles and memberships. The sign-in name is free; the object id is never given again.
    Delete(#[command(flatten)] One),
    /// List the groups that a user belongs to.
    ListGroups {
        #[command(flatten)]
        one: One,
        /// Through other groups, too.
        #[arg(long)]
        transitive: bool,
    },
}

/// A user.
#[derive(Args)]
pub struct One {
    /// Object id or sign-in name.
    #[arg(value_name = "USER")]
    user: String,
    #[command(flatten)]
    session: SessionOptions,
}

/// How a password comes about.
#[derive(Args)]
pub struct Password {
    /// File that holds the password; `-` reads it from standard input. Without it, the server draws one.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Do not ask for a new password at the next sign-in.
    #[arg(long)]
    keep_password: bool,
}

const ROWS: &[(&str, &str)] = &[
    ("Sign-in name", "/userPrincipalName"),
    ("Display name", "/displayName"),
    ("Object id", "/id"),
    ("Enabled", "/accountEnabled"),
];

const DETAILS: &[(&str, &str)] = &[
    ("Sign-in name", "/userPrincipalName"),
    ("Display name", "/displayName"),
    ("Object id", "/id"),
    ("Enabled", "/accountEnabled"),
    ("Created", "/createdDateTime"),
    ("Password set", "/lastPasswordChangeDateTime"),
    ("Must change it", "/passwordProfile/forceChangePasswordNextSignIn"),
    ("Second factor", "/perUserMfaState"),
];

impl Command {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Create { user_principal_name, display_name, disabled, password, session } => {
                let open = Session::open(&session).await?;
                let chosen = password.password_file.as_deref().map(secret::read).transpose()?;
                let mut profile = json!({"forceChangePasswordNextSignIn": !password.keep_password});
                if let (Some(chosen), Some(fields)) = (&chosen, profile.as_object_mut()) {
                    fields.insert(String::from("password"), Value::String(chosen.expose().clone()));
                }
                let body = json!({
                    "userPrincipalName": user_principal_name,
                    "displayName": display_name,
                    "accountEnabled": !disabled,
                    "passwordProfile": profile,
                });
                let made = open.post(&format!("{GRAPH}/users"), &body).await?;
                let code = session.output.entry(&made, ROWS)?;
                show_password(session.output, &text(&made, "/passwordProfile/password"));
                Ok(code)
            }
            Self::List { display_name, session } => {
                list(&session, &format!("{GRAPH}/users"), "displayName", display_name.as_deref(), ROWS).await
            }
            Self::Show(one) => {
                let (open, place) = one.open().await?;
                let mut found: Value = open.get(&place).await?;
                let demanded: Value = open.get(&format!("{place}/authentication/requirements")).await?;
                if let (Some(found), Value::Object(demanded)) = (found.as_object_mut(), demanded) {
                    found.extend(demanded);
                }
                one.session.output.entry(&found, DETAILS)
            }
            Self::Update { one, display_name, require_mfa } => {
                let (open, place) = one.open().await?;
                if let Some(name) = display_name {
                    open.patch(&place, &json!({"displayName": name})).await?;
                }
                if let Some(required) = require_mfa {
                    let body = json!({"perUserMfaState": if required { "enforced" } else { "disabled" }});
                    open.patch(&format!("{place}/authentication/requirements"), &body).await?;
                }
                one.session.output.done("the user was changed", &Value::Null)
            }
            Self::Enable(one) => one.patch(&json!({"accountEnabled": true}), "the user may sign in").await,
            Self::Disable(one) => one.patch(&json!({"accountEnabled": false}), "the user is shut out").await,
            Self::ResetPassword { one, password } => {
                let (open, place) = one.open().await?;
                let chosen = password.password_file.as_deref().map(secret::read).transpose()?;
                let body = json!({
                    "newPassword": chosen.as_ref().map(|chosen| chosen.expose().clone()),
                    "requireChangeOnNextSignIn": !password.keep_password,
                });
                let place = format!("{place}/authentication/methods/{PASSWORD}/resetPassword");
                let done = open.post(&place, &body).await?;
                let code = one.session.output.done("the password was set; sessions and tokens have ended", &done)?;
                show_password(one.session.output, &text(&done, "/newPassword"));
                Ok(code)
            }
            Self::RevokeSessions(one) => {
                let (open, place) = one.open().await?;
                let done = open.post(&format!("{place}/revokeSignInSessions"), &json!({})).await?;
                one.session.output.done("the user's sessions and tokens have ended", &done)
            }
            Self::Delete(one) => {
                let (open, place) = one.open().await?;
                open.delete(&place).await?;
                one.session.output.done("the user was deleted", &Value::Null)
            }
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
        let place = lookup::user(&self.user)?;
        Ok((Session::open(&self.session).await?, place))
    }

    async fn patch(self, body: &Value, sentence: &str) -> Result<ExitCode, Failure> {
        let (open, place) = self.open().await?;
        open.patch(&place, body).await?;
        self.session.output.done(sentence, &Value::Null)
    }
}

/// Shows a password that the server drew. JSON has it already.
fn show_password(format: Format, password: &str) {
    if format == Format::Table && !password.is_empty() {
        say("the password is shown this once; give it to the user in a safe way");
        say(&format!("Password  {password}"));
    }
}
