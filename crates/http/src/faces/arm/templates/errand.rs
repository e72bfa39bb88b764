//! Requests that a deployment makes in its caller's name: by the same doors, with the caller's own credential.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use domain::{deployments::DeploymentFault, gate::House};
use http::{HeaderValue, Method, Request, StatusCode, header};
use kernel::{Error, Kind, ResourceId, Result};
use serde_json::Value;

use crate::{Guest, inside::Inside};

/// Most bytes of an answer.
const LARGEST: usize = 16 << 20;

/// Who asks, and how.
#[derive(Clone)]
pub(super) struct Errand {
    house: Arc<House>,
    inside: Inside,
    credential: HeaderValue,
    host: HeaderValue,
    correlation: String,
}

/// An answer.
pub(super) struct Reply {
    pub status: StatusCode,
    /// Where the operation that it began can be asked about.
    pub operation: Option<String>,
    pub body: Value,
}

impl Errand {
    /// Everything that follows is asked with the credential that this request came with. When that expires or is revoked, so is
    /// what has not been done yet.
    pub(super) fn of(guest: &Guest) -> Result<Self> {
        let refused = || Error::new(Kind::Unauthenticated, "a bearer token in the `Authorization` header is required");
        let mut credential =
            HeaderValue::from_str(&format!("Bearer {}", guest.bearer().ok_or_else(refused)?)).map_err(|_| refused())?;
        credential.set_sensitive(true);
        let url = &guest.house().settings().url;
        let host = url.split("://").nth(1).unwrap_or_default();
        Ok(Self {
            house: Arc::clone(guest.house()),
            inside: guest.inside().ok_or_else(|| Error::internal("a request without the doors it came by"))?,
            credential,
            host: HeaderValue::from_str(host).map_err(Error::internal)?,
            correlation: guest.source().correlation.to_string(),
        })
    }

    /// How many deployments this request is nested in.
    pub(super) fn depth(&self) -> u8 {
        self.inside.depth()
    }

    pub(super) fn house(&self) -> &House {
        &self.house
    }

    /// Asks for a resource by its id.
    pub(super) async fn ask(
        &self,
        method: Method,
        id: &ResourceId,
        api_version: &str,
        body: Option<&Value>,
    ) -> Result<Reply> {
        let version: String = api_version.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
        self.send(method, &format!("{}?api-version={version}", id.as_str().replace(' ', "%20")), body).await
    }

    /// Asks where an operation stands, at the address that its beginning gave.
    pub(super) async fn ask_operation(&self, address: &str) -> Result<Reply> {
        let path = address.strip_prefix(self.house.settings().url.as_str()).unwrap_or(address);
        self.send(Method::GET, path, None).await
    }

    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> Result<Reply> {
        let content = match body {
            Some(body) => Body::from(serde_json::to_vec(body).map_err(Error::internal)?),
            None => Body::empty(),
        };
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header(header::HOST, self.host.clone())
            .header(header::AUTHORIZATION, self.credential.clone())
            .header(header::CONTENT_TYPE, "application/json")
            .header("x-ms-correlation-request-id", &self.correlation)
            .body(content)
            .map_err(|_| Error::invalid("name", "holds characters that no address can have"))?;
        let response = self.inside.ask(request).await;
        let status = response.status();
        let operation = response.headers().get("azure-asyncoperation").and_then(|value| value.to_str().ok());
        let operation = operation.map(str::to_owned);
        let bytes = to_bytes(response.into_body(), LARGEST).await.map_err(Error::internal)?;
        let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).unwrap_or(Value::Null) };
        Ok(Reply { status, operation, body })
    }
}

impl Reply {
    /// Why it is a refusal, in the words of the door that refused.
    pub(super) fn fault(&self, id: &ResourceId) -> DeploymentFault {
        let text = |field: &str| self.body.get("error").and_then(|error| error.get(field)).and_then(Value::as_str);
        DeploymentFault {
            code: text("code").unwrap_or("ResourceDeploymentFailure").to_owned(),
            message: text("message").unwrap_or("the resource could not be deployed").to_owned(),
            target: Some(id.clone()),
        }
    }
}
