//! Calls to the server, each under a correlation id that its activity record will name.

use std::time::Duration;

use kernel::Secret;
use outbound::{Client, Method, Timeouts};
use serde_json::Value;

use crate::server::{Server, Site};

/// A signed-in connection. Cheap to clone.
#[derive(Clone)]
pub struct Session {
    client: Client,
    token: Secret<String>,
    /// `/subscriptions/{id}`.
    pub subscription: String,
}

/// What became of a call.
#[derive(Debug)]
pub enum Outcome {
    /// An answer with this status and body.
    Answered(u16, Value),
    /// No answer: the server may have done it or not.
    Lost,
}

impl Session {
    /// Signs in as the owner.
    pub async fn open(site: &Site, server: &Server) -> Self {
        let variable = |name: &str| site.variable(name).unwrap_or_else(|| panic!("no {name} in the credentials file"));
        let (id, secret) = (variable("AZURE_CLIENT_ID"), variable("AZURE_CLIENT_SECRET"));
        let subscription = format!("/subscriptions/{}", variable("AZURE_SUBSCRIPTION_ID"));
        let timeouts = Timeouts { connect: Duration::from_secs(10), total: Duration::from_secs(20) };
        let client = Client::to_server(&server.url, &site.ca_pem(), timeouts).unwrap();
        let token = sign_in(&client, &variable("AZURE_TENANT_ID"), &id, &secret).await;
        let token = token.unwrap_or_else(|why| panic!("cannot sign in: {why}"));
        Self { client, token, subscription }
    }

    /// The same connection for another service principal; none when it may not sign in.
    pub async fn signed_in_as(&self, site: &Site, app: &str, secret: &str) -> Option<Self> {
        let tenant = site.variable("AZURE_TENANT_ID").unwrap();
        let token = sign_in(&self.client, &tenant, app, secret).await.ok()?;
        Some(Self { token, ..self.clone() })
    }

    pub async fn call(&self, method: &str, place: &str, body: Option<&Value>, correlation: Option<&str>) -> Outcome {
        let mut call = self.client.call(method.parse::<Method>().unwrap(), place).bearer(&self.token);
        if let Some(id) = correlation {
            call = call.header("x-ms-correlation-request-id", id);
        }
        if let Some(body) = body {
            call = call.json(body);
        }
        let Ok(answer) = call.send().await else { return Outcome::Lost };
        let status = answer.status().as_u16();
        let Ok(bytes) = answer.bytes(64 << 20).await else { return Outcome::Lost };
        // A body that is no JSON is kept as text, for the report of a failure.
        let body = serde_json::from_slice(&bytes).unwrap_or_else(|_| String::from_utf8_lossy(&bytes).into());
        Outcome::Answered(status, body)
    }

    /// Reads a place; none when there is nothing.
    ///
    /// # Errors
    /// What came instead of 200 or 404.
    pub async fn read(&self, place: &str) -> Result<Option<Value>, String> {
        match self.call("GET", place, None, None).await {
            Outcome::Answered(200, body) => Ok(Some(body)),
            Outcome::Answered(404, _) => Ok(None),
            other => Err(format!("GET {place}: {other:?}")),
        }
    }

    /// The entries of a list, all pages; none when its parent does not exist.
    pub async fn list(&self, place: &str) -> Result<Vec<Value>, String> {
        let mut all = Vec::new();
        let mut next = Some(place.to_owned());
        while let Some(place) = next {
            let Some(mut page) = self.read(&place).await? else { return Ok(all) };
            match page["value"].take() {
                Value::Array(entries) => all.extend(entries),
                other => return Err(format!("GET {place}: `value` is {other}")),
            }
            next = page["@odata.nextLink"].as_str().map(str::to_owned);
        }
        Ok(all)
    }
}

async fn sign_in(client: &Client, tenant: &str, id: &str, secret: &str) -> Result<Secret<String>, String> {
    let form = [
        ("grant_type", "client_credentials"),
        ("client_id", id),
        ("client_secret", secret),
        ("scope", "https://management.azure.com/.default"),
    ];
    let call = client.post(&format!("/{tenant}/oauth2/v2.0/token")).form(&form);
    let answer: Value = call.send_for_json().await.map_err(|why| why.to_string())?;
    let token = answer["access_token"].as_str().ok_or("no token in the answer")?;
    Ok(Secret::new(token.to_owned()))
}
