//! What Azure's libraries find around them in a job: who they are, where they ask, and what they may ask there (requirement M-08).

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Value};
use wire::agent::{PROXY_TOKEN, PROXY_TOKEN_ENDS};

use crate::agent::transport::{Body, full};

/// Where the program asks which services there are.
pub(crate) const DISCOVERY: &str = "/discovery";
/// In what the agent tells the server how the program reaches it.
pub(crate) const DOOR_HEADER: &str = "x-bartizan-door";
/// Where the server keeps single files of runs.
pub(crate) const FILES: &str = "/run-files";

/// The services that clients look up.
const SERVICES: [&str; 13] = [
    "api",
    "artifact",
    "content",
    "credential",
    "datasets",
    "execution",
    "experimentation",
    "history",
    "hyperdrive",
    "metrics",
    "modelmanagement",
    "pipelines",
    "studio",
];

/// The paths that the program may ask below: all views of its own workspace's runs. `tracking` is the first of them.
pub(crate) fn allowed(tracking: &str) -> Vec<String> {
    let tracking = tracking.trim_end_matches('/');
    let mut all = vec![tracking.to_owned()];
    let Some(workspace) = tracking.find("/subscriptions/").and_then(|at| tracking.get(at..)) else { return all };
    let views = ["/mlflow/v1.0", "/mlflow/v2.0", "/history/v1.0", "/metric/v2.0", "/artifact/v2.0"];
    all.extend(views.iter().map(|view| format!("{view}{workspace}")));
    all.push(format!("{FILES}/{}", URL_SAFE_NO_PAD.encode(workspace)));
    all.dedup();
    all
}

/// The variables that say who the run is and where it asks. The token is worth nothing: the agent adds the real one outside.
pub(crate) fn variables(door: &str, trusted: Option<&str>) -> BTreeMap<String, String> {
    let mut all: BTreeMap<String, String> = [
        ("AZUREML_RUN_TOKEN", PROXY_TOKEN.to_owned()),
        ("AZUREML_RUN_TOKEN_EXPIRY", PROXY_TOKEN_ENDS.to_string()),
        ("AZUREML_SERVICE_ENDPOINT", door.to_owned()),
        ("AZUREML_DISCOVERY_SERVICE_ENDPOINT", format!("{door}{DISCOVERY}")),
        ("MLFLOW_TRACKING_TOKEN", PROXY_TOKEN.to_owned()),
    ]
    .into_iter()
    .map(|(name, value)| (name.to_owned(), value))
    .collect();
    if let Some(file) = trusted {
        for name in ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"] {
            all.insert(name.to_owned(), file.to_owned());
        }
    }
    all
}

/// Every service is behind the same door.
pub(crate) fn discovery(door: &str) -> Response<Body> {
    let services: Map<String, Value> = SERVICES.iter().map(|name| ((*name).to_owned(), Value::from(door))).collect();
    let mut response = Response::new(full(Bytes::from(Value::Object(services).to_string())));
    *response.status_mut() = StatusCode::OK;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_asks_below_its_own_workspace_alone() {
        let all = allowed("/mlflow/v1.0/subscriptions/s/resourceGroups/g/workspaces/w/");
        assert_eq!(all[0], "/mlflow/v1.0/subscriptions/s/resourceGroups/g/workspaces/w");
        assert!(all.contains(&String::from("/history/v1.0/subscriptions/s/resourceGroups/g/workspaces/w")));
        assert!(all.iter().all(|path| path.len() > 20), "{all:?}");
        assert_eq!(allowed("/elsewhere"), ["/elsewhere"]);
    }
}
