//! A signed-in connection to a server.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use kernel::Secret;
use outbound::{Answer, Call, Client, Method, Timeouts};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::Value;

use super::account;
use crate::failure::Failure;

/// Where the server is and who signs in.
#[derive(Args, Clone, Debug, Default)]
pub struct SessionOptions {
    /// Address of the server.
    #[arg(long, env = "BARTIZAN_URL", value_name = "URL", global = true, hide_env_values = true)]
    pub url: Option<String>,
    /// The server's certificate authority (`ca.pem` in its data directory).
    #[arg(long, env = "BARTIZAN_CA", value_name = "FILE", global = true, hide_env_values = true)]
    pub ca: Option<PathBuf>,
    /// Tenant.
    #[arg(long, env = "AZURE_TENANT_ID", value_name = "GUID", global = true, hide_env_values = true)]
    pub tenant: Option<String>,
    /// Subscription.
    #[arg(long, env = "AZURE_SUBSCRIPTION_ID", value_name = "GUID", global = true, hide_env_values = true)]
    pub subscription: Option<String>,
    /// Resource group.
    #[arg(
        short = 'g',
        long,
        env = "BARTIZAN_RESOURCE_GROUP",
        value_name = "NAME",
        global = true,
        hide_env_values = true
    )]
    pub resource_group: Option<String>,
    /// Workspace.
    #[arg(short = 'w', long, env = "BARTIZAN_WORKSPACE", value_name = "NAME", global = true, hide_env_values = true)]
    pub workspace: Option<String>,
    /// How to print results.
    #[arg(short = 'o', long, value_enum, default_value = "table", global = true)]
    pub output: super::Format,
}

/// A signed-in connection.
pub struct Session {
    client: Client,
    token: Secret<String>,
    options: SessionOptions,
}

#[derive(Deserialize)]
struct Token {
    access_token: String,
    expires_on: i64,
}

/// What a sign-in gives.
pub struct SignIn {
    /// The token.
    pub token: Secret<String>,
    /// When it expires, epoch seconds.
    pub expires_on: i64,
}

fn missing(what: &str, variable: &str) -> Failure {
    Failure::usage(format!(
        "no {what}: set {variable} (a first start of the server writes a file of such settings beside its data \
         directory, `D.env`, to be sourced), or sign in with `bartizan login`"
    ))
}

/// A connection to the server that the options name, trusting its CA alone.
pub fn connect(options: &SessionOptions) -> Result<Client, Failure> {
    let url = options.url.as_deref().ok_or_else(|| missing("server", "BARTIZAN_URL"))?;
    let ca = options.ca.as_deref().ok_or_else(|| missing("certificate authority", "BARTIZAN_CA"))?;
    let pem = std::fs::read(ca).map_err(|fault| Failure::usage(format!("cannot read {}: {fault}", ca.display())))?;
    let timeouts = Timeouts { connect: Duration::from_secs(10), total: Duration::from_secs(120) };
    Ok(Client::to_server(url, &pem, timeouts)?)
}

/// Signs a service principal in.
pub async fn sign_in(client: &Client, tenant: &str, id: &str, secret: &Secret<String>) -> Result<SignIn, Failure> {
    let scope = format!("{}/.default", client.base().trim_end_matches('/'));
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", id),
        ("client_secret", secret.expose().as_str()),
        ("scope", scope.as_str()),
    ];
    let token: Token = client.post(&format!("/{tenant}/oauth2/v2.0/token")).form(&form).send_for_json().await?;
    Ok(SignIn { token: Secret::new(token.access_token), expires_on: token.expires_on })
}

impl Session {
    /// Signs in by the environment, or by what `bartizan login` remembers.
    pub async fn open(options: &SessionOptions) -> Result<Self, Failure> {
        let mut options = options.clone();
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        if let (Some(id), Some(secret)) = (variable("AZURE_CLIENT_ID"), variable("AZURE_CLIENT_SECRET")) {
            let client = connect(&options)?;
            let tenant = options.tenant.clone().ok_or_else(|| missing("tenant", "AZURE_TENANT_ID"))?;
            let signed = sign_in(&client, &tenant, &id, &Secret::new(secret)).await?;
            return Ok(Self { client, token: signed.token, options });
        }
        let remembered =
            account::remembered()?.ok_or_else(|| missing("sign-in", "AZURE_CLIENT_ID and AZURE_CLIENT_SECRET"))?;
        let token = remembered.fill(&mut options)?;
        Ok(Self { client: connect(&options)?, token, options })
    }

    /// A session with a token at hand.
    pub fn with(client: Client, token: Secret<String>, options: SessionOptions) -> Self {
        Self { client, token, options }
    }

    /// The connection itself.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The access token.
    pub fn token(&self) -> &Secret<String> {
        &self.token
    }

    /// The subscription's scope.
    pub fn subscription(&self) -> Result<String, Failure> {
        let id =
            self.options.subscription.as_deref().ok_or_else(|| missing("subscription", "AZURE_SUBSCRIPTION_ID"))?;
        Ok(format!("/subscriptions/{id}"))
    }

    /// The resource group's scope.
    pub fn group(&self) -> Result<String, Failure> {
        let name = self.options.resource_group.as_deref();
        let name = name.ok_or_else(|| missing("resource group", "BARTIZAN_RESOURCE_GROUP (or -g NAME)"))?;
        Ok(format!("{}/resourceGroups/{name}", self.subscription()?))
    }

    /// The workspaces of the group.
    pub fn workspaces(&self) -> Result<String, Failure> {
        Ok(format!("{}/providers/Microsoft.MachineLearningServices/workspaces", self.group()?))
    }

    /// The workspace's scope.
    pub fn workspace(&self) -> Result<String, Failure> {
        let name = self.options.workspace.as_deref();
        let name = name.ok_or_else(|| missing("workspace", "BARTIZAN_WORKSPACE (or -w NAME)"))?;
        Ok(format!("{}/{name}", self.workspaces()?))
    }

    /// A call with the bearer token.
    pub fn call(&self, method: Method, place: &str) -> Call {
        self.client.call(method, place).bearer(&self.token)
    }

    /// GET for JSON.
    pub async fn get<T: DeserializeOwned>(&self, place: &str) -> Result<T, Failure> {
        Ok(self.call(Method::GET, place).send_for_json().await?)
    }

    /// The entries of a list, all pages.
    pub async fn list(&self, place: &str) -> Result<Vec<Value>, Failure> {
        let mut entries = Vec::new();
        let mut next = Some(place.to_owned());
        while let Some(place) = next {
            let mut page: Value = self.get(&place).await?;
            if let Some(Value::Array(found)) = page.get_mut("value").map(Value::take) {
                entries.extend(found);
            }
            next = page.get("nextLink").and_then(Value::as_str).map(str::to_owned);
        }
        Ok(entries)
    }

    /// PUT of JSON for JSON.
    pub async fn put(&self, place: &str, body: &Value) -> Result<Value, Failure> {
        Ok(self.call(Method::PUT, place).json(body).send_for_json().await?)
    }

    /// POST of JSON for JSON; an empty answer is null.
    pub async fn post(&self, place: &str, body: &Value) -> Result<Value, Failure> {
        let answer = self.call(Method::POST, place).json(body).send().await?.success().await?;
        json_or_null(answer).await
    }

    /// DELETE.
    pub async fn delete(&self, place: &str) -> Result<(), Failure> {
        self.call(Method::DELETE, place).send().await?.success().await?;
        Ok(())
    }
}

/// The JSON of an answer; null when it is empty.
pub async fn json_or_null(answer: Answer) -> Result<Value, Failure> {
    let body = answer.bytes(16 << 20).await?;
    if body.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&body).map_err(|fault| Failure::new(format!("the answer cannot be understood: {fault}")))
}
