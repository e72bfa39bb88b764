//! Signing in at the command line: people through a browser, here or on another device; service principals by their secret.

mod browser;
mod device;
mod loopback;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use clap::Args;
use kernel::Secret;
use outbound::Client;
use serde::Deserialize;
use serde_json::Value;

use super::{
    SessionOptions,
    account::COLUMNS,
    remembered::Remembered,
    secret,
    session::{Tokens, User, connect, default_scope},
    tell,
};
use crate::failure::Failure;

/// The client id of this command line, which every server knows.
const CLIENT: &str = "5b1f0c52-7d3e-4a8e-9c61-2f0eb4179a03";
/// What makes a sign-in show a second factor.
const SECOND_FACTOR: &str = r#"{"access_token":{"acrs":{"essential":true,"value":"c1"}}}"#;

/// Sign in, and remember it until it is ended.
///
/// A person signs in with a browser: on this machine where there is one, else with a code on any other device. Tokens are
/// kept in a file that only you can read, below ~/.config/bartizan, and renewed as long as the server allows. Passwords
/// and secrets are not kept.
///
/// AZURE_CLIENT_ID and AZURE_CLIENT_SECRET win over a remembered sign-in while they are set.
#[derive(Args)]
pub struct Login {
    /// Show a code to be typed into a browser on any device, instead of opening one here.
    #[arg(long, conflicts_with = "service_principal")]
    use_device_code: bool,
    /// Sign in with a second factor even where none is demanded: for operations whose policy demands one.
    #[arg(long, conflicts_with = "service_principal")]
    mfa: bool,
    /// Sign in as a service principal. Its token is remembered until it expires, and its secret is not.
    #[arg(long)]
    service_principal: bool,
    /// Client id of the service principal. Default: AZURE_CLIENT_ID.
    #[arg(short = 'u', long, value_name = "CLIENT_ID", visible_alias = "client-id", requires = "service_principal")]
    username: Option<String>,
    /// `-`: read its secret from standard input. The secret itself is not taken here, where the list of processes shows it.
    /// Default: AZURE_CLIENT_SECRET.
    #[arg(short = 'p', long, value_name = "-", requires = "service_principal", conflicts_with = "secret_file")]
    password: Option<Secret<String>>,
    /// File that holds its secret; `-` reads it from standard input.
    #[arg(long, value_name = "FILE", requires = "service_principal")]
    secret_file: Option<PathBuf>,
    #[command(flatten)]
    session: SessionOptions,
}

/// What the discovery document says (OpenID Connect Discovery 1.0 §3).
#[derive(Deserialize)]
struct Provider {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    device_authorization_endpoint: String,
}

/// What an ID token says of who signed in. It came from the server itself over TLS, so its signature says nothing more (OpenID
/// Connect Core §3.1.3.7).
#[derive(Deserialize)]
struct IdToken {
    iss: String,
    aud: String,
    tid: String,
    preferred_username: String,
    #[serde(default)]
    nonce: Option<String>,
}

impl Login {
    /// Signs in and remembers it.
    pub async fn run(self) -> Result<ExitCode, Failure> {
        let client = connect(&self.session)?;
        if self.service_principal {
            return self.service_principal(&client).await;
        }
        let named = self.session.tenant.clone().unwrap_or_else(|| String::from("organizations"));
        let provider: Provider =
            client.get(&format!("/{named}/v2.0/.well-known/openid-configuration")).send_for_json().await?;
        let claims = self.mfa.then_some(SECOND_FACTOR);
        let (tokens, nonce) = match !self.use_device_code && browser::is_here() {
            true => browser::sign_in(&client, &provider, claims).await?,
            false => (device::sign_in(&client, &provider, claims).await?, None),
        };
        let said = tokens.id_token.as_deref().and_then(read_id_token).ok_or_else(unexpected)?;
        let is_ours = said.iss == provider.issuer && said.aud == CLIENT && said.nonce == nonce;
        if !is_ours {
            return Err(unexpected());
        }
        let user = User { name: said.preferred_username, kind: String::from("user") };
        self.remember(&client, &said.tid, CLIENT, user, tokens).await
    }

    async fn service_principal(self, client: &Client) -> Result<ExitCode, Failure> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let id = self.username.clone().or_else(|| variable("AZURE_CLIENT_ID"));
        let id = id.ok_or_else(|| Failure::usage("no service principal: give -u CLIENT_ID, or set AZURE_CLIENT_ID"))?;
        let secret = self.secret()?;
        let tenant = self.session.tenant.clone().unwrap_or_else(|| String::from("organizations"));
        let scope = default_scope(client.base());
        let form = [
            ("grant_type", "client_credentials"),
            ("client_id", id.as_str()),
            ("client_secret", secret.expose().as_str()),
            ("scope", scope.as_str()),
        ];
        let tokens: Tokens = client.post(&format!("/{tenant}/oauth2/v2.0/token")).form(&form).send_for_json().await?;
        let user = User { name: id.clone(), kind: String::from("servicePrincipal") };
        self.remember(client, &tenant, &id, user, tokens).await
    }

    fn secret(&self) -> Result<Secret<String>, Failure> {
        let ways = "give --secret-file FILE, or `-p -` and the secret on standard input, or set AZURE_CLIENT_SECRET";
        match (&self.password, &self.secret_file) {
            (Some(given), _) if given.expose() == "-" => secret::read(Path::new("-")),
            (Some(_), _) => Err(Failure::usage(format!(
                "`-p` takes no secret but `-`, since everybody on this machine can list a program's arguments: {ways}; \
                 and replace the secret that was given, if others use this machine"
            ))),
            (None, Some(file)) => secret::read(file),
            (None, None) => match std::env::var("AZURE_CLIENT_SECRET") {
                Ok(text) => Ok(Secret::new(text)),
                Err(_) => Err(Failure::usage(format!("no client secret: {ways}"))),
            },
        }
    }

    async fn remember(
        self,
        client: &Client,
        tenant: &str,
        app: &str,
        user: User,
        tokens: Tokens,
    ) -> Result<ExitCode, Failure> {
        let token = Secret::new(tokens.access_token.clone());
        Remembered::new(&self.session, client, tenant, app, user)?.keep(client.base(), tokens)?;
        let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        if is_set("AZURE_CLIENT_ID") && is_set("AZURE_CLIENT_SECRET") {
            tell("AZURE_CLIENT_ID and AZURE_CLIENT_SECRET are set and win over this sign-in; unset them to use it");
        }
        let call = client.get("/subscriptions").bearer(&token);
        let page: Value = call.send_for_json().await?;
        let subscriptions = page.get("value").and_then(Value::as_array).cloned().unwrap_or_default();
        self.session.output.entries(&subscriptions, COLUMNS)
    }
}

/// Everything that this server offers, with a refresh token and an ID token.
fn scope_of(client: &Client) -> String {
    format!("{} openid profile offline_access", default_scope(client.base()))
}

fn read_id_token(token: &str) -> Option<IdToken> {
    let payload = token.split('.').nth(1)?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(payload).ok()?).ok()
}

fn unexpected() -> Failure {
    Failure::new("the server's answer to the sign-in is not for this command; nothing was remembered, try again")
}

/// 256 random bits, base64url.
fn draw() -> Result<String, Failure> {
    let bytes = seal::random::<32>().map_err(|fault| Failure::new(fault.to_string()))?;
    Ok(URL_SAFE_NO_PAD.encode(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_is_the_one_that_servers_know() {
        assert_eq!(CLIENT, domain::identity::COMMAND_LINE_CLIENT.to_string());
    }

    #[test]
    fn an_id_token_is_read_or_refused() {
        let claims = serde_json::json!({"iss": "i", "aud": "a", "tid": "t", "preferred_username": "ann", "nonce": "n"});
        let token = format!("x.{}.y", URL_SAFE_NO_PAD.encode(claims.to_string()));
        assert_eq!(read_id_token(&token).unwrap().preferred_username, "ann");
        assert!(read_id_token("x").is_none() && read_id_token("x.e30.y").is_none());
    }
}
