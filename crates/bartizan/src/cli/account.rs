//! Who is signed in, and tokens for other tools.

use std::process::ExitCode;

use clap::Subcommand;
use kernel::{Clock, SystemClock, Timestamp};
use serde_json::{Value, json};

use super::{Format, Session, SessionOptions, remembered, say};
use crate::failure::Failure;

/// Commands on the present sign-in.
#[derive(Subcommand)]
pub enum Command {
    /// Show who is signed in, where, and the subscriptions.
    Show(#[command(flatten)] SessionOptions),
    /// Print an access token for other tools. Whoever has it acts as you until it expires: keep it out of files and logs.
    GetAccessToken {
        /// What it is for, like `https://storage.azure.com`. Default: this server's own interfaces.
        #[arg(long, value_name = "URL")]
        resource: Option<String>,
        #[command(flatten)]
        session: SessionOptions,
    },
}

pub(super) const COLUMNS: &[(&str, &str)] =
    &[("Subscription", "/subscriptionId"), ("Name", "/displayName"), ("Tenant", "/tenantId"), ("State", "/state")];

/// Forgets the remembered sign-in.
pub fn logout() -> Result<ExitCode, Failure> {
    say(if remembered::forget()? { "signed out" } else { "nobody was signed in" });
    Ok(ExitCode::SUCCESS)
}

impl Command {
    /// Runs the command.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Show(options) => show(&options).await,
            Self::GetAccessToken { resource, session } => get_access_token(resource.as_deref(), &session).await,
        }
    }
}

async fn show(options: &SessionOptions) -> Result<ExitCode, Failure> {
    let session = Session::open(options).await?;
    let subscriptions: Vec<Value> = session.list("/subscriptions").await?;
    let (server, user) = (session.client().base(), session.user());
    match options.output {
        Format::Json => {
            let document = json!({
                "server": server,
                "tenantId": session.tenant(),
                "user": user,
                "subscriptions": subscriptions,
            });
            options.output.done("", &document)
        }
        Format::Table => {
            say(&format!("{} is signed in to {server}", user.name));
            options.output.entries(&subscriptions, COLUMNS)
        }
    }
}

async fn get_access_token(resource: Option<&str>, options: &SessionOptions) -> Result<ExitCode, Failure> {
    let (session, (expires_on, has_refresh_token)) = Session::open_to(options, resource).await?;
    let tenant = session.tenant().unwrap_or("organizations");
    let document = json!({
        "tokenType": "Bearer",
        "expiresIn": expires_on.saturating_sub(SystemClock.now().seconds()),
        "expiresOn": Timestamp(expires_on.saturating_mul(1000)).rfc3339(),
        "expires_on": expires_on,
        "resource": resource.unwrap_or(session.client().base()).trim_end_matches('/'),
        "accessToken": session.token().expose(),
        "isMRRT": has_refresh_token,
        "_clientId": session.app(),
        "_authority": format!("{}/{tenant}", session.client().base()),
        "tenant": tenant,
        "subscription": options.subscription,
    });
    options.output.entry(&document, &[("Access token", "/accessToken"), ("Expires", "/expiresOn")])
}
