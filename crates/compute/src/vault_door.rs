//! Secrets as the code of a job asks for them while it runs: by name, at the address that people use too, answered by the agent.
//!
//! | call | body | answer |
//! | --- | --- | --- |
//! | `GET $BARTIZAN_VAULT_URL/{name}` | | `{"name", "value", …}`; 404 when there is none |
//! | `POST $BARTIZAN_VAULT_URL:getbatch` | `{"secrets": [{"name"}]}` | `{"secrets": [{"name", "value"}, …], "notFoundSecrets": [name, …]}` |
//!
//! The server decides, for the run and on behalf of who submitted it. **Invariant:** a value of 6 bytes and more is hidden in the run's
//! logs before the program has it; one that is too much to be hidden is not handed out. Shorter ones are handed out and are not hidden:
//! their letters would be found everywhere.

use std::io;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header, request::Parts};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use kernel::Secret;
use serde::Deserialize;
use tokio::time::timeout;

use crate::{
    agent::{
        server::Server,
        transport::{Body, full},
    },
    proxy::{ANSWER_TIME, refusal, strip},
};

/// The largest answer, in bytes: all that may be asked for at once, in JSON's longest escapes.
const LARGEST: usize = 4 << 20;
/// What is asked for all at once.
const BATCH: &str = ":getbatch";

/// Where the secrets of the workspace are, below the server; nothing when the tracking path is that of no workspace.
pub fn place(workspace_path: &str) -> String {
    let workspace = workspace_path.find("/subscriptions/").and_then(|at| workspace_path.get(at..));
    workspace.map(|scope| format!("/credential/v2.0{}/secrets", scope.trim_end_matches('/'))).unwrap_or_default()
}

/// Whether a request asks for values at this place: the two ways in which a run may.
pub fn is_asked(head: &Parts, place: &str) -> bool {
    let Some(below) = head.uri.path().strip_prefix(place).filter(|_| !place.is_empty()) else { return false };
    match head.method {
        Method::GET => below.strip_prefix('/').is_some_and(|name| !name.is_empty() && !name.contains('/')),
        Method::POST => below == BATCH,
        _ => false,
    }
}

/// Asks the server, and hides what it gives before the program gets it.
pub async fn answer(server: &Server, mut head: Parts, body: Incoming) -> Response<Body> {
    strip(&mut head.headers);
    // What is read here is read as it is.
    head.headers.remove(header::ACCEPT_ENCODING);
    let body = body.map_err(io::Error::other).boxed_unsync();
    let asked = async {
        let answer = server.forward(Request::from_parts(head, body), None).await?;
        let (mut head, body) = answer.into_parts();
        head.headers.remove(header::TRANSFER_ENCODING);
        let text = Limited::new(body, LARGEST).collect().await.map_err(io::Error::other)?.to_bytes();
        Ok::<_, io::Error>((head, text))
    };
    let (head, text) = match timeout(ANSWER_TIME, asked).await {
        Ok(Ok(read)) => read,
        Ok(Err(error)) => {
            tracing::warn!(%error, "secrets that the program asked for could not be fetched");
            return refusal(StatusCode::BAD_GATEWAY, "BadGateway", "the server cannot be reached at the moment");
        }
        Err(_) => return refusal(StatusCode::GATEWAY_TIMEOUT, "GatewayTimeout", "the server did not answer in time"),
    };
    if head.status.is_success()
        && let Err(why) = hide(server, &text)
    {
        return refusal(StatusCode::CONFLICT, "Conflict", &why);
    }
    Response::from_parts(head, full(text))
}

/// What is read of an answer: one secret, or many. Nothing prints it.
#[derive(Deserialize)]
struct Given {
    #[serde(default)]
    value: Option<String>,
    #[serde(default)]
    secrets: Vec<Given>,
}

fn hide(server: &Server, text: &Bytes) -> Result<(), String> {
    // The parser's words may quote what it read.
    let given: Given = serde_json::from_slice(text).map_err(|_| String::from("the server's answer cannot be read"))?;
    let many = given.secrets.into_iter().filter_map(|one| one.value);
    let values: Vec<Secret<String>> = given.value.into_iter().chain(many).map(Secret::new).collect();
    server.redactor().hide(values.iter()).map_err(|why| why.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACKING: &str = "/mlflow/v1.0/subscriptions/s/resourceGroups/g/workspaces/ws1";
    const PLACE: &str = "/credential/v2.0/subscriptions/s/resourceGroups/g/workspaces/ws1/secrets";

    fn head(method: &str, path: &str) -> Parts {
        Request::builder().method(method).uri(path).body(()).unwrap().into_parts().0
    }

    #[test]
    fn secrets_lie_beside_the_tracking_path() {
        assert_eq!(place(TRACKING), PLACE);
        assert_eq!(place(""), "");
    }

    #[test]
    fn a_program_asks_for_values_by_name_and_nothing_else() {
        let at = |below: &str| format!("{PLACE}{below}");
        for (method, path) in
            [("GET", at("/db-password")), ("GET", at("/x?systemSecret=false")), ("POST", at(":getbatch"))]
        {
            assert!(is_asked(&head(method, &path), PLACE), "{method} {path}");
        }
        for (method, path) in [
            ("GET", at("")),
            ("GET", at("/")),
            ("GET", at("/a/b")),
            ("GET", at(":getbatch")),
            ("PUT", at("")),
            ("PUT", at(":putbatch")),
            ("POST", at(":deletebatch")),
            ("DELETE", at("/x")),
            ("GET", PLACE.replace("ws1", "ws2") + "/x"),
            ("GET", PLACE.replace("ws1", "ws10") + "/x"),
        ] {
            assert!(!is_asked(&head(method, &path), PLACE), "{method} {path}");
        }
        assert!(!is_asked(&head("GET", "/x"), ""), "no workspace, no secrets");
    }
}
