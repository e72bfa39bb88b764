//! Models, images, endpoints and deployments as Azure's clients see them.

use std::sync::Arc;

use axum::body::Body;
use domain::work::look_once;
use http::{Method, Request, StatusCode};
use http_faces::faces::score::probe_replicas;
use serde_json::{Value, json};

use crate::{
    client::{Answer, Served},
    replica::listen,
    stand::Stand,
};

struct Client {
    stand: Stand,
    served: Served,
    bearer: String,
    _dir: tempfile::TempDir,
}

impl Client {
    async fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket_dir = dir.path().to_str().unwrap().to_owned();
        let stand = Stand::with(domain::gate::Settings { socket_dir, ..Default::default() }).await;
        let bearer = stand.bearer().await;
        let served = Served::new(Arc::clone(&stand.house)).await;
        Self { stand, served, bearer, _dir: dir }
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> Answer {
        let uri = match path.strip_prefix('/') {
            Some(_) => path.to_owned(),
            None => format!("{}/{path}?api-version=2023-04-01", self.stand.workspace),
        };
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        self.send(method, &uri, &self.bearer, body).await
    }

    async fn send(&self, method: Method, uri: &str, bearer: &str, body: Body) -> Answer {
        let request = Request::builder().method(method).uri(uri);
        self.served.send(request.header("authorization", format!("Bearer {bearer}")).body(body).unwrap()).await
    }

    /// Submits a job with the least scratch.
    async fn submit(&self, name: &str) {
        let put = json!({"properties": {"jobType": "Command", "command": "true", "resources": {"scratchMiB": 16}}});
        let made = self.call(Method::PUT, &format!("jobs/{name}"), put).await;
        assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    }

    /// Where the files of a run are written.
    async fn proxied(&self, run: &str) -> String {
        let base = format!("/mlflow/v1.0{}/api/2.0", self.stand.workspace);
        let listed = self.call(Method::GET, &format!("{base}/mlflow/artifacts/list?run_id={run}"), Value::Null).await;
        let root = listed.json()["root_uri"].as_str().unwrap().replace("mlflow-artifacts:/", "");
        format!("{base}/mlflow-artifacts/artifacts/{root}")
    }
}

#[tokio::test]
async fn the_outputs_of_a_job_come_page_by_page() {
    let client = Client::new().await;
    client.submit("j").await;
    let proxied = client.proxied("j").await;
    for path in ["outputs/deep/er/b", "outputs/a", "c"] {
        let put = client.send(Method::PUT, &format!("{proxied}/{path}"), &client.bearer, Body::from("abc")).await;
        assert_eq!(put.status, StatusCode::OK, "{put:?}");
    }
    let whole = client.call(Method::GET, "jobs/j/outputs", Value::Null).await.json();
    let file = |path: &str| json!({"path": path, "length": 3});
    let due = json!([file("c"), file("outputs/a"), file("outputs/deep/er/b")]);
    assert_eq!(whole, json!({"value": due, "nextLink": null}));

    let mut path = format!("{}/jobs/j/outputs?api-version=2023-04-01&$top=1", client.stand.workspace);
    let mut files = Vec::new();
    for rest in [2, 1, 0] {
        let page = client.call(Method::GET, &path, Value::Null).await.json();
        files.extend(page["value"].as_array().unwrap().clone());
        assert_eq!(page["nextLink"].is_string(), rest > 0, "{page}");
        path = page["nextLink"].as_str().unwrap_or_default().trim_start_matches("https://localhost:8443").to_owned();
        assert!(rest == 0 || path.contains("$top=1&") && !path.contains("deep"), "{path}");
    }
    files.sort_by_key(|file| file["path"].to_string());
    assert_eq!(json!(files), due);
    for wrong in ["$skipToken=*", "$top=many"] {
        let path = format!("{}/jobs/j/outputs?{wrong}", client.stand.workspace);
        assert_eq!(client.call(Method::GET, &path, Value::Null).await.status, StatusCode::BAD_REQUEST, "{wrong}");
    }
    assert_eq!(client.call(Method::GET, "jobs/none/outputs", Value::Null).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_run_that_brings_too_much_is_told_in_each_protocol_s_words() {
    let client = Client::new().await;
    client.submit("j").await;
    look_once(&client.stand.house, true).await.unwrap();
    let message: Value =
        serde_json::from_str(client.stand.target.started.lock().unwrap()[0].bootstrap.expose()).unwrap();
    let start = Body::from(json!({"version": "0", "missing_walls": []}).to_string());
    let started =
        client.send(Method::POST, "/agent/v1/runs/j/start", message["token"].as_str().unwrap(), start).await.json();
    let token = started["run_token"].as_str().unwrap();

    let agent = String::from("/agent/v1/runs/j/artifacts/outputs/x");
    let proxied = format!("{}/x", client.proxied("j").await);
    for (path, word, code) in [(agent, "code", "TooLarge"), (proxied, "error_code", "INVALID_PARAMETER_VALUE")] {
        let fits = client.send(Method::PUT, &path, token, Body::from("fits")).await;
        assert!(fits.status.is_success(), "{path}: {fits:?}");
        let answer = client.send(Method::PUT, &path, token, Body::from(vec![0; (16 << 20) + 1])).await;
        assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE, "{path}: {answer:?}");
        assert_eq!(answer.json()[word], code, "{path}");
    }
}

#[tokio::test]
async fn a_model_becomes_a_scored_service_and_its_form_switches() {
    let client = Client::new().await;
    let run = client.stand.run_with(&[("model.onnx", b"not parsed here")]).await;
    let uri = format!("azureml://jobs/{run}/outputs/artifacts/paths/model");
    let put = json!({"properties": {"modelUri": uri, "modelType": "custom_model", "tags": {"a": "b"}}});
    let made = client.call(Method::PUT, "models/iris/versions/1", put.clone()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let made = made.json();
    assert_eq!(made["properties"]["flavors"], json!({}));
    assert_eq!(made["properties"]["modelUri"], uri);
    let again = client.call(Method::PUT, "models/iris/versions/1", put).await;
    assert_eq!((again.status, &again.json()["error"]["code"]), (StatusCode::CONFLICT, &json!("Conflict")));
    let all = client.call(Method::GET, "models", Value::Null).await.json();
    assert_eq!(all["value"][0]["properties"]["nextVersion"], "2");
    let versions = client.call(Method::GET, "models/iris/versions", Value::Null).await.json();
    assert_eq!(versions["value"][0]["name"], "1");

    let image = client.call(Method::POST, "models/iris/versions/1/package", json!({"targetImageName": "iris"})).await;
    assert_eq!(image.status, StatusCode::OK, "{image:?}");
    let image = image.json();
    assert_eq!(image["properties"]["engine"], "onnx");
    let manifest = client.call(Method::GET, "images/iris/versions/1/manifest", Value::Null).await;
    assert_eq!(manifest.header("content-type"), Some("application/vnd.oci.image.manifest.v1+json"));
    let layer = manifest.json()["layers"][0]["digest"].as_str().unwrap().to_owned();
    let path = format!("images/iris/versions/1/layers/{layer}");
    assert_eq!(client.call(Method::GET, &path, Value::Null).await.status, StatusCode::OK);

    let put = json!({"location": "local", "properties": {"authMode": "Key", "traffic": {}}});
    let made = client.call(Method::PUT, "onlineEndpoints/svc", put).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let scoring = made.json()["properties"]["scoringUri"].as_str().unwrap().to_owned();
    let put = json!({"properties": {"endpointComputeType": "Managed", "image": image["properties"]["reference"]}});
    let made = client.call(Method::PUT, "onlineEndpoints/svc/deployments/blue", put.clone()).await;
    assert_eq!(made.status, StatusCode::CREATED, "{made:?}");
    let polled = made.header("azure-asyncoperation").unwrap().trim_start_matches("https://localhost:8443").to_owned();
    let properties = made.json()["properties"].clone();
    assert_eq!(properties["scaleSettings"], json!({"scaleType": "Default"}));
    assert_eq!(
        (&properties["provisioningState"], &properties["endpointComputeType"]),
        (&json!("Creating"), &json!("Managed"))
    );
    let status = client.call(Method::GET, &polled, Value::Null).await;
    assert_eq!((&status.json()["status"], status.header("retry-after")), (&json!("InProgress"), Some("1")));

    let _seen = listen(&client.stand.listening().await[0].socket);
    probe_replicas(&client.stand.house).await.unwrap();
    assert_eq!(client.call(Method::GET, &polled, Value::Null).await.json()["status"], "Succeeded");
    let found = client.call(Method::GET, "onlineEndpoints/svc/deployments/blue", Value::Null).await.json();
    assert_eq!(
        (&found["properties"]["state"], &found["properties"]["provisioningState"]),
        (&json!("Healthy"), &json!("Succeeded"))
    );

    let keys = client.call(Method::POST, "onlineEndpoints/svc/listKeys", json!({})).await.json();
    let path = scoring.trim_start_matches("https://localhost:8443").to_owned();
    let score = |credential: String| {
        let request = Request::post(&path).header("authorization", format!("Bearer {credential}"));
        client.served.send(request.body(Body::from("{\"data\":[1]}")).unwrap())
    };
    let key = keys["primaryKey"].as_str().unwrap().to_owned();
    assert_eq!(score(key.clone()).await.status, StatusCode::OK);
    let refused = client.call(Method::POST, "onlineEndpoints/svc/token", json!({})).await;
    assert_eq!(refused.status, StatusCode::BAD_REQUEST);

    let put = json!({"properties": {"authMode": "AMLToken"}});
    assert_eq!(client.call(Method::PUT, "onlineEndpoints/svc", put).await.status, StatusCode::OK);
    assert_eq!(score(key.clone()).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        client.call(Method::POST, "onlineEndpoints/svc/listKeys", json!({})).await.status,
        StatusCode::BAD_REQUEST
    );
    let token = client.call(Method::POST, "onlineEndpoints/svc/token", json!({})).await.json();
    assert!(token["expiryTimeUtc"].is_i64() && token["refreshAfterTimeUtc"].is_i64());
    assert_eq!(token["tokenType"], "Bearer");
    assert_eq!(score(token["accessToken"].as_str().unwrap().to_owned()).await.status, StatusCode::OK);
    let put = json!({"properties": {"authMode": "Key"}});
    client.call(Method::PATCH, "onlineEndpoints/svc", put).await;
    assert_eq!(score(key.clone()).await.status, StatusCode::OK);

    let body = json!({"keyType": "primary", "keyValue": key});
    assert_eq!(client.call(Method::POST, "onlineEndpoints/svc/regenerateKeys", body).await.status, StatusCode::OK);
    assert_eq!(score(key).await.status, StatusCode::UNAUTHORIZED);

    let logs = client.call(Method::POST, "onlineEndpoints/svc/deployments/blue/getLogs", json!({"tail": 10})).await;
    assert_eq!(logs.json(), json!({"content": ""}));
    let records = client.call(Method::GET, "onlineEndpoints/svc/requests", Value::Null).await.json();
    assert_eq!(records["value"].as_array().unwrap().len(), 3);
    for field in ["HTTPMethod", "UserAgent", "ComputeType", "RequestUrl", "StatusCode", "RequestId", "Duration"] {
        assert!(records["value"][0].get(field).is_some(), "{field}: {records}");
    }
    let in_use = client.call(Method::DELETE, "models/iris/versions/1", Value::Null).await;
    assert_eq!(in_use.status, StatusCode::CONFLICT);
    // What has traffic is not deleted by itself.
    for (path, status) in [
        ("onlineEndpoints/svc/deployments/blue", StatusCode::CONFLICT),
        ("onlineEndpoints/svc", StatusCode::NO_CONTENT),
    ] {
        assert_eq!(client.call(Method::DELETE, path, Value::Null).await.status, status);
    }
    assert_eq!(client.call(Method::DELETE, "models/iris/versions/1", Value::Null).await.status, StatusCode::OK);
}

#[tokio::test]
async fn what_cannot_be_is_refused_with_400() {
    let client = Client::new().await;
    client.stand.iris().await;
    client.stand.endpoint("svc", Default::default()).await.unwrap();
    let deployments = [
        json!({"endpointComputeType": "SingleContainer", "image": "iris", "tokenAuthEnabled": true}),
        json!({"image": "iris", "authEnabled": true, "tokenAuthEnabled": true}),
        json!({"endpointComputeType": "Toaster", "image": "iris"}),
        json!({"image": "docker.io/library/iris"}),
        json!({"model": "x", "environmentId": "y"}),
        json!({"image": "iris", "requestSettings": {"requestTimeout": "60"}}),
        json!({"image": "iris", "memoryInGB": 1e9}),
        json!({"image": "iris", "environmentVariables": {"AZUREML_MODEL_DIR": "/elsewhere"}}),
        json!({}),
    ];
    for properties in deployments {
        let answer =
            client.call(Method::PUT, "onlineEndpoints/svc/deployments/blue", json!({"properties": properties})).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{properties} {answer:?}");
    }
    let wrong = json!({"properties": {"authMode": "AADToken"}});
    assert_eq!(client.call(Method::PUT, "onlineEndpoints/svc", wrong).await.status, StatusCode::BAD_REQUEST);
    let wrong = json!({"targetImageName": "img", "surprise": 1});
    assert_eq!(
        client.call(Method::POST, "models/iris/versions/1/package", wrong).await.status,
        StatusCode::BAD_REQUEST
    );
    let answer = client.call(Method::GET, "operationStatuses/not-an-id", Value::Null).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
}
