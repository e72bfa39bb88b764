//! A signed-in connection to a server.

use std::{path::PathBuf, time::Duration};

use clap::Args;
use kernel::{Clock, Secret, SystemClock};
use outbound::{Answer, Call, Client, Method, Timeouts};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;

use super::remembered::{self, Remembered};
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
    user: User,
    app: String,
}

/// What the token endpoint gives. No `Debug`: it holds tokens.
#[derive(Deserialize)]
pub struct Tokens {
    /// The access token.
    pub access_token: String,
    /// Seconds that it lives.
    pub expires_in: i64,
    /// The next ones are had with this; none for service principals.
    #[serde(default)]
    pub refresh_token: Option<String>,
    /// Who signed in; none for service principals.
    #[serde(default)]
    pub id_token: Option<String>,
}

/// What a sign-in gives.
pub struct SignIn {
    /// The token.
    pub token: Secret<String>,
    /// When it expires, epoch seconds.
    pub expires_on: i64,
}

/// Who is signed in.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct User {
    /// Sign-in name, or client id.
    pub name: String,
    /// `user` or `servicePrincipal`.
    #[serde(rename = "type")]
    pub kind: String,
}

fn missing(what: &str, variable: &str) -> Failure {
    Failure::usage(format!(
        "no {what}: set {variable} (a first start of the server writes such settings to a file beside its data \
         directory, `DATA-DIR.env`, to be sourced), or sign in with `bartizan login`"
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
    sign_in_to(client, client.base(), tenant, id, secret).await
}

/// Signs a service principal in to one resource.
async fn sign_in_to(
    client: &Client,
    resource: &str,
    tenant: &str,
    id: &str,
    secret: &Secret<String>,
) -> Result<SignIn, Failure> {
    let scope = default_scope(resource);
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", id),
        ("client_secret", secret.expose().as_str()),
        ("scope", scope.as_str()),
    ];
    let tokens: Tokens = client.post(&format!("/{tenant}/oauth2/v2.0/token")).form(&form).send_for_json().await?;
    Ok(tokens.into())
}

/// Everything that a resource offers, as Entra names it.
pub fn default_scope(resource: &str) -> String {
    format!("{}/.default", resource.trim_end_matches('/'))
}

impl From<Tokens> for SignIn {
    fn from(tokens: Tokens) -> Self {
        let expires_on = SystemClock.now().seconds().saturating_add(tokens.expires_in);
        Self { token: Secret::new(tokens.access_token), expires_on }
    }
}

/// A service principal whose credentials are in the environment: such a sign-in wins over a remembered one.
fn in_environment() -> Option<(String, Secret<String>)> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    Some((variable("AZURE_CLIENT_ID")?, Secret::new(variable("AZURE_CLIENT_SECRET")?)))
}

impl Session {
    /// Signs in by the environment, or by what `bartizan login` remembers.
    pub async fn open(options: &SessionOptions) -> Result<Self, Failure> {
        let (session, _) = Self::open_to(options, None).await?;
        Ok(session)
    }

    /// The same, with a token for a resource of the caller's choice; also says when it expires, and whether there is a
    /// refresh token behind it.
    pub async fn open_to(options: &SessionOptions, resource: Option<&str>) -> Result<(Self, (i64, bool)), Failure> {
        let mut options = options.clone();
        if let Some((id, secret)) = in_environment() {
            let client = connect(&options)?;
            let tenant = options.tenant.clone().ok_or_else(|| missing("tenant", "AZURE_TENANT_ID"))?;
            let resource = resource.unwrap_or(client.base());
            let signed = sign_in_to(&client, resource, &tenant, &id, &secret).await?;
            let user = User { name: id.clone(), kind: String::from("servicePrincipal") };
            let session = Self { client, token: signed.token, options, user, app: id };
            return Ok((session, (signed.expires_on, false)));
        }
        let none = || missing("sign-in", "AZURE_CLIENT_ID and AZURE_CLIENT_SECRET");
        let remembered: Remembered = remembered::read()?.ok_or_else(none)?;
        remembered.fill(&mut options)?;
        let client = connect(&options)?;
        let resource = resource.unwrap_or(client.base()).trim_end_matches('/').to_owned();
        let signed = remembered.token(&client, &resource).await?;
        let (user, app, has_more) = (remembered.user.clone(), remembered.client.clone(), remembered.can_refresh());
        Ok((Self { client, token: signed.token, options, user, app }, (signed.expires_on, has_more)))
    }

    /// A session of a service principal whose token is at hand.
    pub fn with(client: Client, token: Secret<String>, options: SessionOptions, app: &str) -> Self {
        let user = User { name: app.to_owned(), kind: String::from("servicePrincipal") };
        Self { client, token, options, user, app: app.to_owned() }
    }

    /// The connection itself.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// The access token.
    pub fn token(&self) -> &Secret<String> {
        &self.token
    }

    /// Who is signed in.
    pub fn user(&self) -> &User {
        &self.user
    }

    /// Client id of the application that signed in.
    pub fn app(&self) -> &str {
        &self.app
    }

    /// The tenant; none when the server's only one was taken.
    pub fn tenant(&self) -> Option<&str> {
        self.options.tenant.as_deref()
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
        let name = name.ok_or_else(|| {
            Failure::usage(
                "no resource group: say -g NAME or set BARTIZAN_RESOURCE_GROUP; `bartizan group list` shows them",
            )
        })?;
        Ok(format!("{}/resourceGroups/{name}", self.subscription()?))
    }

    /// The workspaces of the group.
    pub fn workspaces(&self) -> Result<String, Failure> {
        Ok(format!("{}/providers/Microsoft.MachineLearningServices/workspaces", self.group()?))
    }

    /// The workspace's scope.
    pub fn workspace(&self) -> Result<String, Failure> {
        let name = self.options.workspace.as_deref();
        let name = name.ok_or_else(|| {
            Failure::usage("no workspace: say -w NAME or set BARTIZAN_WORKSPACE; `bartizan workspace list` shows them")
        })?;
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
        self.pages(self.call(Method::GET, place)).await
    }

    /// The entries of a list for which an OData condition holds, all pages.
    pub async fn list_where(&self, place: &str, filter: &str) -> Result<Vec<Value>, Failure> {
        self.pages(self.call(Method::GET, place).query(&[("$filter", filter)])).await
    }

    async fn pages(&self, first: Call) -> Result<Vec<Value>, Failure> {
        let mut entries = Vec::new();
        let mut call = first;
        loop {
            let mut page: Value = call.send_for_json().await?;
            if let Some(Value::Array(found)) = page.get_mut("value").map(Value::take) {
                entries.extend(found);
            }
            let next = page.get("nextLink").or_else(|| page.get("@odata.nextLink")).and_then(Value::as_str);
            match next {
                Some(next) => call = self.call(Method::GET, next),
                None => return Ok(entries),
            }
        }
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

    /// PATCH of JSON.
    pub async fn patch(&self, place: &str, body: &Value) -> Result<(), Failure> {
        self.call(Method::PATCH, place).json(body).send().await?.success().await?;
        Ok(())
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
