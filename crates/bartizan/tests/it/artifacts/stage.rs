//! A workspace with a run, and requests for its files.

use std::collections::BTreeMap;

use kernel::Secret;
use outbound::{Call, Method};
use serde_json::{Value, json};

use crate::house::{Callers, TestHouse, Who};

pub struct Stage {
    pub test: TestHouse,
    pub callers: Callers,
    /// `{experiment}/{run}/artifacts`.
    pub root: String,
    pub run: String,
}

/// An answer.
#[derive(Debug)]
pub struct Told {
    pub status: u16,
    pub headers: BTreeMap<&'static str, String>,
    pub body: Vec<u8>,
}

const KEPT: [&str; 11] = [
    "etag",
    "content-length",
    "content-range",
    "content-type",
    "content-disposition",
    "content-security-policy",
    "x-content-type-options",
    "accept-ranges",
    "retry-after",
    "www-authenticate",
    "cache-control",
];

impl Told {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or(Value::Null)
    }

    #[track_caller]
    pub fn is(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{}", String::from_utf8_lossy(&self.body));
        self
    }

    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(String::as_str).unwrap_or_default()
    }
}

pub async fn told(call: Call) -> Told {
    let answer = call.send().await.unwrap();
    let status = answer.status().as_u16();
    let headers = KEPT.iter().filter_map(|name| Some((*name, answer.header(name)?.to_owned()))).collect();
    let body = answer.bytes(64 << 20).await.unwrap().to_vec();
    Told { status, headers, body }
}

impl Stage {
    pub async fn new() -> Self {
        let (test, callers) = TestHouse::new().await;
        let mut stage = Self { test, callers, root: String::new(), run: String::new() };
        let (root, run) = stage.begin("files").await;
        (stage.root, stage.run) = (root, run);
        stage
    }

    /// A new experiment with a run: the run's files and its id.
    pub async fn begin(&self, name: &str) -> (String, String) {
        let made = self.post("mlflow/experiments/create", json!({"name": name})).await;
        let experiment = made["experiment_id"].as_str().unwrap().to_owned();
        let run = self.post("mlflow/runs/create", json!({"experiment_id": experiment})).await;
        let run = run["run"]["info"]["run_id"].as_str().unwrap().to_owned();
        (format!("{experiment}/{run}/artifacts"), run)
    }

    pub fn owner(&self) -> &Secret<String> {
        self.callers.token(Who::Owner).unwrap()
    }

    /// An address below `…/api/2.0`.
    pub fn api(&self, below: &str) -> String {
        format!("/mlflow/v1.0{}/api/2.0/{below}", self.test.workspace())
    }

    pub fn file(&self, path: &str) -> String {
        self.api(&format!("mlflow-artifacts/artifacts/{}/{path}", self.root))
    }

    pub async fn ask(&self, token: &Secret<String>, method: Method, below: &str, body: Value) -> (u16, Value) {
        let body = (!body.is_null()).then_some(&body);
        self.test.ask(Some(token), method, &self.api(below), body).await
    }

    /// As the owner; it must be done.
    pub async fn post(&self, below: &str, body: Value) -> Value {
        let (status, said) = self.ask(self.owner(), Method::POST, below, body).await;
        assert_eq!(status, 200, "{below}: {said}");
        said
    }

    pub async fn put(&self, path: &str, content: impl Into<Vec<u8>>) {
        let call = self.test.client().call(Method::PUT, &self.file(path)).bearer(self.owner());
        told(call.body("application/octet-stream", content.into())).await.is(200);
    }

    pub fn call(&self, method: Method, path: &str) -> Call {
        self.test.client().call(method, &self.file(path)).bearer(self.owner())
    }

    /// What the activity log shows of an action.
    pub async fn records(&self, action: &str) -> Vec<Value> {
        self.test.house.flush_reads().await.unwrap();
        let place = "/providers/Microsoft.Insights/eventtypes/management/values?api-version=2015-04-01";
        let place = format!("{}{place}", self.test.subscription());
        let (status, log) = self.test.ask(Some(self.owner()), Method::GET, &place, None).await;
        assert_eq!(status, 200, "{log}");
        let all = log["value"].as_array().unwrap().iter();
        all.filter(|event| event["operationName"]["value"] == action).cloned().collect()
    }
}
