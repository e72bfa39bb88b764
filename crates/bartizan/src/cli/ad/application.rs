//! Applications.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::{GRAPH, credential, federated, list, lookup};
use crate::{
    cli::{Session, SessionOptions},
    failure::Failure,
};

/// Commands on applications.
#[derive(Subcommand)]
pub enum Command {
    /// Create an application with its service principal, and without a secret.
    ///
    /// A web application proves itself by a secret or a certificate (`credential add`), and answers go to its --redirect-uri. A
    /// program on people's own machines is a --public-client: it has no secret, always uses PKCE, and may use device codes.
    Create {
        /// For people.
        #[arg(long)]
        display_name: String,
        #[command(flatten)]
        form: Form,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// List applications.
    List {
        /// Only those whose name begins so.
        #[arg(long, value_name = "PREFIX")]
        display_name: Option<String>,
        #[command(flatten)]
        session: SessionOptions,
    },
    /// Show an application.
    Show(#[command(flatten)] One),
    /// Change an application.
    Update {
        #[command(flatten)]
        one: One,
        /// For people.
        #[arg(long)]
        display_name: Option<String>,
        #[command(flatten)]
        form: Form,
    },
    /// Delete an application with its service principal, credentials, roles and memberships. Its ids are never given again.
    Delete(#[command(flatten)] One),
    /// Secrets and certificates: several at a time, each with its end.
    #[command(subcommand)]
    Credential(credential::Command),
    /// Tokens of other issuers that stand for an application: no secret anywhere.
    #[command(subcommand)]
    FederatedCredential(federated::Command),
}

/// An application.
#[derive(Args)]
pub struct One {
    /// Client id, object id of its service principal, or a name that only one has.
    #[arg(value_name = "APPLICATION")]
    pub(super) app: String,
    #[command(flatten)]
    pub(super) session: SessionOptions,
}

/// What an application is to be.
#[derive(Args)]
pub struct Form {
    /// Whether it is a program on people's own machines.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    public_client: Option<bool>,
    /// Where answers to sign-ins go, instead of all that were there; may be given several times. Other addresses than
    /// `http://localhost` get tokens of whoever signs in, so naming them takes Owner at the root and directory
    /// administration.
    #[arg(long, value_name = "URI")]
    redirect_uri: Vec<String>,
    /// Whether a web application does without PKCE.
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    without_pkce: Option<bool>,
}

const ROWS: &[(&str, &str)] = &[
    ("Name", "/displayName"),
    ("Client id", "/appId"),
    ("Service principal", "/servicePrincipalId"),
    ("Public client", "/isFallbackPublicClient"),
];

const DETAILS: &[(&str, &str)] = &[
    ("Name", "/displayName"),
    ("Client id", "/appId"),
    ("Service principal", "/servicePrincipalId"),
    ("Created", "/createdDateTime"),
    ("Public client", "/isFallbackPublicClient"),
    ("Without PKCE", "/withoutPkce"),
    ("Web addresses", "/web/redirectUris"),
    ("Public client's addresses", "/publicClient/redirectUris"),
];

impl Command {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Create { display_name, form, session } => {
                let open = Session::open(&session).await?;
                let is_public = form.public_client.unwrap_or(false);
                let body = form.body(Some(display_name), is_public);
                session.output.entry(&open.post(&format!("{GRAPH}/applications"), &body).await?, ROWS)
            }
            Self::List { display_name, session } => {
                list(&session, &format!("{GRAPH}/applications"), "displayName", display_name.as_deref(), ROWS).await
            }
            Self::Show(one) => {
                let (open, place) = one.open().await?;
                one.session.output.entry(&open.get(&place).await?, DETAILS)
            }
            Self::Update { one, display_name, form } => {
                let (open, place) = one.open().await?;
                let now: Value = open.get(&place).await?;
                let was_public = now.get("isFallbackPublicClient").and_then(Value::as_bool).unwrap_or(false);
                let is_public = form.public_client.unwrap_or(was_public);
                open.patch(&place, &form.body(display_name, is_public)).await?;
                one.session.output.done("the application was changed", &Value::Null)
            }
            Self::Delete(one) => {
                let (open, place) = one.open().await?;
                open.delete(&place).await?;
                one.session.output.done("the application was deleted", &Value::Null)
            }
            Self::Credential(command) => command.run(credential::Owner::Application).await,
            Self::FederatedCredential(command) => command.run().await,
        }
    }
}

impl Form {
    fn body(self, display_name: Option<String>, is_public: bool) -> Value {
        let mut body = Map::new();
        let mut put = |name: &str, value: Value| drop(body.insert(name.to_owned(), value));
        if let Some(name) = display_name {
            put("displayName", Value::String(name));
        }
        if let Some(is_public) = self.public_client {
            put("isFallbackPublicClient", Value::Bool(is_public));
        }
        if let Some(without) = self.without_pkce {
            put("withoutPkce", Value::Bool(without));
        }
        if !self.redirect_uri.is_empty() {
            let whose = if is_public { "publicClient" } else { "web" };
            put(whose, json!({"redirectUris": self.redirect_uri}));
        }
        Value::Object(body)
    }
}

impl One {
    pub(super) async fn open(&self) -> Result<(Session, String), Failure> {
        let session = Session::open(&self.session).await?;
        let app = lookup::application(&session, &self.app).await?;
        Ok((session, format!("{GRAPH}/applications/{app}")))
    }
}
