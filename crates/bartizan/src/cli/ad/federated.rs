//! Federated credentials of applications.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Map, Value, json};

use super::application::One;
use crate::failure::Failure;

/// Commands on federated credentials.
#[derive(Subcommand)]
pub enum Command {
    /// Let tokens of another issuer stand for an application: exact issuer, subject and audience.
    ///
    /// Whoever gets such a token acts as the application, so this takes the right to grant all roles that it has.
    Add {
        #[command(flatten)]
        one: One,
        /// Names it within the application.
        #[arg(long)]
        name: String,
        /// The `iss` of its tokens, an https address.
        #[arg(long)]
        issuer: String,
        /// The `sub` of its tokens.
        #[arg(long)]
        subject: String,
        /// The `aud` of its tokens. Default: `api://AzureADTokenExchange`.
        #[arg(long)]
        audience: Option<String>,
    },
    /// List them.
    List(#[command(flatten)] One),
    /// Change whose tokens stand for the application. Tokens that the old ones brought end.
    Update {
        #[command(flatten)]
        one: One,
        /// Which one.
        #[arg(long)]
        name: String,
        /// The `iss` of its tokens.
        #[arg(long)]
        issuer: Option<String>,
        /// The `sub` of its tokens.
        #[arg(long)]
        subject: Option<String>,
        /// The `aud` of its tokens.
        #[arg(long)]
        audience: Option<String>,
    },
    /// Remove one. Tokens that it brought end.
    Remove {
        #[command(flatten)]
        one: One,
        /// Which one.
        #[arg(long)]
        name: String,
    },
}

const ROWS: &[(&str, &str)] =
    &[("Name", "/name"), ("Issuer", "/issuer"), ("Subject", "/subject"), ("Audience", "/audiences/0"), ("Id", "/id")];

impl Command {
    pub(super) async fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::Add { one, name, issuer, subject, audience } => {
                let (open, place) = one.open().await?;
                let mut body = form(Some(issuer), Some(subject), audience);
                body.insert(String::from("name"), Value::String(name));
                let made = open.post(&all(&place), &Value::Object(body)).await?;
                one.session.output.entry(&made, ROWS)
            }
            Self::List(one) => {
                let (open, place) = one.open().await?;
                one.session.output.entries(&open.list(&all(&place)).await?, ROWS)
            }
            Self::Update { one, name, issuer, subject, audience } => {
                let (open, place) = one.open().await?;
                let place = named(&place, &name)?;
                open.patch(&place, &Value::Object(form(issuer, subject, audience))).await?;
                one.session.output.done("the federated credential was changed", &Value::Null)
            }
            Self::Remove { one, name } => {
                let (open, place) = one.open().await?;
                open.delete(&named(&place, &name)?).await?;
                one.session.output.done("the federated credential was removed", &Value::Null)
            }
        }
    }
}

fn all(place: &str) -> String {
    format!("{place}/federatedIdentityCredentials")
}

fn named(place: &str, name: &str) -> Result<String, Failure> {
    let is_plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_');
    match is_plain {
        true => Ok(format!("{}/{name}", all(place))),
        false => Err(Failure::usage("a federated credential's name has letters, digits, `-` and `_` only")),
    }
}

fn form(issuer: Option<String>, subject: Option<String>, audience: Option<String>) -> Map<String, Value> {
    let fields = [("issuer", issuer), ("subject", subject)];
    let mut body: Map<String, Value> =
        fields.into_iter().filter_map(|(name, text)| Some((name.to_owned(), Value::String(text?)))).collect();
    if let Some(audience) = audience {
        body.insert(String::from("audiences"), json!([audience]));
    }
    body
}
