//! Managed identities as code in a jail asks for them: the instance metadata service's token address, answered by the agent
//! (Azure's "How to use managed identities … on an Azure VM to acquire an access token", api-version 2018-02-01).
//!
//! No secret is in the environment or on a disk: being in the jail is what proves. A token given here may be used through the
//! same door; tokens from elsewhere may not.

use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header, request::Parts};
use kernel::Secret;
use serde_json::{Value, json};

use crate::agent::{
    server::{Server, ServerError},
    transport::{Body, full},
};

/// Where tokens are.
pub const PATH: &str = "/metadata/identity/oauth2/token";
/// Tokens of one run that are remembered; an older one has to be asked for again.
const MOST_GIVEN: usize = 64;
/// Names of parameters that may choose an identity. The second of a pair is an older spelling.
const CHOICES: &[(&str, &str)] = &[
    ("client_id", "client_id"),
    ("object_id", "object_id"),
    ("msi_res_id", "msi_res_id"),
    ("mi_res_id", "msi_res_id"),
];

/// The tokens that were given to this run's code.
#[derive(Default)]
pub struct Given(Mutex<Vec<Secret<String>>>);

impl Given {
    fn keep(&self, token: &str) {
        let mut given = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if given.len() >= MOST_GIVEN {
            given.remove(0);
        }
        given.push(Secret::new(token.to_owned()));
    }

    /// Whether a request carries one of them.
    pub fn is_in(&self, headers: &HeaderMap) -> bool {
        let mut values = headers.get_all(header::AUTHORIZATION).iter();
        let (Some(Ok(value)), None) = (values.next().map(HeaderValue::to_str), values.next()) else { return false };
        let Some((scheme, token)) = value.split_once(' ') else { return false };
        let given = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        scheme.eq_ignore_ascii_case("bearer") && given.iter().any(|known| known.expose() == token.trim())
    }
}

/// Answers a request for a token.
pub async fn answer(server: &Server, given: &Given, head: &Parts) -> Response<Body> {
    let query = match wanted(head) {
        Ok(query) => query,
        Err(why) => return refusal(StatusCode::BAD_REQUEST, "invalid_request", why),
    };
    match server.identity_token(&query).await {
        Ok(token) => {
            given.keep(&token.access_token);
            let view = json!({
                "access_token": token.access_token,
                // Texts, as the original sends them.
                "expires_in": token.expires_in.to_string(),
                "expires_on": token.expires_on.to_string(),
                "ext_expires_in": token.expires_in.to_string(),
                "not_before": token.not_before.to_string(),
                "resource": token.resource,
                "token_type": "Bearer",
                "client_id": token.client_id,
            });
            reply(StatusCode::OK, &view)
        }
        Err(ServerError::Refused(why)) => refusal(StatusCode::BAD_REQUEST, "invalid_request", &why),
        Err(ServerError::Over) => refusal(StatusCode::BAD_REQUEST, "invalid_request", "the run is over"),
        Err(ServerError::Away(error)) => {
            tracing::warn!(%error, "a token of a managed identity could not be fetched");
            refusal(StatusCode::SERVICE_UNAVAILABLE, "temporarily_unavailable", "the server cannot be reached")
        }
    }
}

/// The parameters for the server; or why the request is refused. The header and the ban on forwarding are what the original
/// has against requests that somebody else's page or proxy makes.
fn wanted(head: &Parts) -> Result<Vec<(&'static str, String)>, &'static str> {
    if head.method != Method::GET {
        return Err("tokens are asked for with GET");
    }
    let metadata = head.headers.get("metadata").and_then(|value| value.to_str().ok());
    if !metadata.is_some_and(|value| value.eq_ignore_ascii_case("true")) {
        return Err("the header `Metadata: true` is required");
    }
    if head.headers.contains_key("x-forwarded-for") {
        return Err("forwarded requests are not answered");
    }
    let text = head.uri.query().unwrap_or_default();
    let mut query: Vec<(&'static str, String)> = Vec::new();
    for (name, value) in form_urlencoded::parse(text.as_bytes()) {
        let known = if name == "resource" { Some("resource") } else { choice(&name) };
        let Some(known) = known else { continue };
        if query.iter().any(|(name, _)| *name == known) {
            return Err("a parameter comes twice");
        }
        query.push((known, value.into_owned()));
    }
    if !query.iter().any(|(name, value)| *name == "resource" && !value.is_empty()) {
        return Err("the parameter `resource` is required");
    }
    Ok(query)
}

fn choice(name: &str) -> Option<&'static str> {
    CHOICES.iter().find(|(spelling, _)| *spelling == name).map(|(_, known)| *known)
}

fn refusal(status: StatusCode, error: &str, why: &str) -> Response<Body> {
    reply(status, &json!({"error": error, "error_description": why}))
}

fn reply(status: StatusCode, view: &Value) -> Response<Body> {
    let mut response = Response::new(full(Bytes::from(view.to_string())));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    fn head(method: &str, query: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri(format!("{PATH}?{query}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(()).unwrap().into_parts().0
    }

    #[test]
    fn a_request_in_the_original_s_form_is_understood() {
        let metadata = [("Metadata", "true")];
        let query =
            "api-version=2018-02-01&resource=https%3A%2F%2Fmanagement.azure.com%2F&mi_res_id=%2Fsubscriptions%2Fs";
        let found = wanted(&head("GET", query, &metadata)).unwrap();
        let right = [("resource", "https://management.azure.com/"), ("msi_res_id", "/subscriptions/s")];
        assert_eq!(found, right.map(|(name, value)| (name, value.to_owned())));
    }

    #[test]
    fn what_a_page_or_a_proxy_could_send_is_refused() {
        let good = "resource=r";
        let metadata = ("Metadata", "true");
        for (method, query, headers) in [
            ("POST", good, vec![metadata]),
            ("GET", good, vec![]),
            ("GET", good, vec![("Metadata", "yes")]),
            ("GET", good, vec![metadata, ("X-Forwarded-For", "1.2.3.4")]),
            ("GET", "", vec![metadata]),
            ("GET", "resource=", vec![metadata]),
            ("GET", "resource=r&resource=q", vec![metadata]),
            ("GET", "resource=r&msi_res_id=a&mi_res_id=b", vec![metadata]),
        ] {
            assert!(wanted(&head(method, query, &headers)).is_err(), "{method} {query} {headers:?}");
        }
    }

    #[test]
    fn only_tokens_that_were_given_are_known() {
        let given = Given::default();
        given.keep("abc");
        let with = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::AUTHORIZATION, HeaderValue::from_str(value).unwrap());
            }
            given.is_in(&headers)
        };
        assert!(with(&["Bearer abc"]) && with(&["bearer abc"]));
        assert!(!with(&[]) && !with(&["Bearer abd"]) && !with(&["Bearer abc", "Bearer abc"]) && !with(&["Basic abc"]));
    }
}
