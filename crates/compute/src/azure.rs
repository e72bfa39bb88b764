//! What Azure's libraries find around them in a job: who they are, where they ask, and what they may ask there (requirement M-08).

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Value};
use wire::agent::{PROXY_TOKEN, PROXY_TOKEN_ENDS};

use crate::{
    agent::transport::{Body, full},
    jail_tls,
};

/// Where the program asks which services there are.
pub(crate) const DISCOVERY: &str = "/discovery";
/// Where the program asks what this cloud is called and where its files are.
pub(crate) const CLOUDS: &str = "/metadata/endpoints";
/// In what the agent tells the server how the program reaches it.
pub(crate) const DOOR_HEADER: &str = "x-bartizan-door";
/// Where the server keeps single files of runs.
pub(crate) const FILES: &str = "/run-files";

/// What this cloud is called.
const CLOUD: &str = "Bartizan";
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
    // Before it fetches a file, `azureml-mlflow` looks whether the address is one of the cloud that it is in.
    all.insert(String::from("ARM_CLOUD_METADATA_URL"), format!("{door}{CLOUDS}?api-version=2019-05-01"));
    all.insert(String::from("AZUREML_CURRENT_CLOUD"), CLOUD.to_owned());
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
    answer(&Value::Object(services))
}

/// The only cloud that there is: as much of it as the program can reach.
pub(crate) fn clouds(door: &str, port: u16) -> Response<Body> {
    let storage = jail_tls::FILES.split_once(".blob.").map_or(jail_tls::FILES, |(_, endpoint)| endpoint);
    answer(&serde_json::json!([{
        "name": CLOUD,
        "portal": door,
        "authentication": {"loginEndpoint": door, "audiences": [door], "tenant": "common", "identityProvider": "AAD"},
        "resourceManager": door,
        "graph": door,
        "graphAudience": door,
        "suffixes": {"storage": format!("{storage}:{port}"), "keyVaultDns": storage, "acrLoginServer": storage},
    }]))
}

fn answer(view: &Value) -> Response<Body> {
    let mut response = Response::new(full(Bytes::from(view.to_string())));
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
