//! Data assets: names with versions, what is said of them, and runs that use them (requirement M-11).

use std::collections::BTreeMap;

use domain::work::look_once;
use outbound::Method;
use serde_json::{Value, json};

use crate::{
    blobs::told,
    house::{Callers, TestHouse, Who},
};

/// A house, and what its owner asks of the workspace's data.
struct Stand {
    test: TestHouse,
    callers: Callers,
}

impl Stand {
    async fn new() -> Self {
        let (test, callers) = TestHouse::new().await;
        Self { test, callers }
    }

    async fn ask(&self, who: Who, method: Method, place: &str, body: Option<&Value>) -> (u16, Value) {
        let place = format!("{}/{place}", self.test.workspace());
        self.test.ask(self.callers.token(who), method, &place, body).await
    }

    async fn get(&self, place: &str) -> (u16, Value) {
        self.ask(Who::Owner, Method::GET, place, None).await
    }

    /// Registers a version as the owner.
    async fn put(&self, place: &str, properties: &Value) -> (u16, Value) {
        self.ask(Who::Owner, Method::PUT, &format!("data/{place}"), Some(&json!({"properties": properties}))).await
    }

    /// Puts blobs into the workspace's own datastore, with the signature that it gives.
    async fn fill(&self, blobs: &[(&str, &str)]) {
        let (_, workspace) =
            self.test.ask(self.callers.token(Who::Owner), Method::GET, &self.test.workspace(), None).await;
        let account = workspace["properties"]["storageAccount"].as_str().unwrap().to_owned();
        let name = account.rsplit('/').next().unwrap();
        let (_, store) = self.get("datastores/workspaceblobstore").await;
        let container = store["properties"]["containerName"].as_str().unwrap();
        let place = format!("{account}/blobServices/default/containers/{container}");
        let owner = self.callers.token(Who::Owner);
        let (status, made) = self.test.ask(owner, Method::PUT, &place, Some(&json!({"properties": {}}))).await;
        assert!(status < 300, "{made}");
        let (place, body) = ("datastores/workspaceblobstore/listSecrets", json!({}));
        let (_, secrets) = self.ask(Who::Owner, Method::POST, place, Some(&body)).await;
        let sas = secrets["sasToken"].as_str().unwrap().to_owned();
        for (path, content) in blobs {
            let call = self.test.client().call(Method::PUT, &format!("/blob/{name}/{container}/{path}?{sas}"));
            let call = call.header("x-ms-blob-type", "BlockBlob");
            let answer = told(call.body("application/octet-stream", content.as_bytes().to_vec())).await;
            assert_eq!(answer.status, 201, "{path}");
        }
    }

    /// Submits a job with these inputs.
    async fn submit(&self, who: Who, name: &str, command: &str, inputs: &Value) -> (u16, Value) {
        let body = json!({"properties": {"jobType": "Command", "command": command, "inputs": inputs}});
        self.ask(who, Method::PUT, &format!("jobs/{name}"), Some(&body)).await
    }

    /// Starts what is queued, and speaks its agent's first word. Gives the run token and the assignment.
    async fn begin(&self, run: &str) -> (kernel::Secret<String>, Value) {
        look_once(&self.test.house, true).await.unwrap();
        let message: Value = {
            let started = self.test.computer.started.lock().unwrap();
            let mut messages = started.values().map(|spec| serde_json::from_str(spec.bootstrap.expose()).unwrap());
            messages.find(|message: &Value| message["run"] == run).expect("the run was started")
        };
        let bootstrap = kernel::Secret::new(message["token"].as_str().unwrap().to_owned());
        let body = json!({"version": "0", "missing_walls": []});
        let (status, assignment) =
            self.test.ask(Some(&bootstrap), Method::POST, &format!("/agent/v1/runs/{run}/start"), Some(&body)).await;
        assert_eq!(status, 200, "{assignment}");
        (kernel::Secret::new(assignment["run_token"].as_str().unwrap().to_owned()), assignment)
    }

    /// What an agent is answered for a file of an input.
    async fn file(&self, token: &kernel::Secret<String>, run: &str, rest: &str) -> (u16, String) {
        let place = format!("/agent/v1/runs/{run}/inputs/{rest}");
        let answer = self.test.client().call(Method::GET, &place).bearer(token).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, String::from_utf8(answer.bytes(1 << 20).await.unwrap().to_vec()).unwrap())
    }
}

fn folder(path: &str) -> Value {
    json!({"dataType": "uri_folder", "dataUri": format!("azureml://datastores/workspaceblobstore/paths/{path}")})
}

fn names(listed: &Value) -> Vec<&str> {
    listed["value"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn m11_a_version_never_means_other_data_and_what_is_said_of_it_changes() {
    let stand = Stand::new().await;
    let said = json!({"dataType": "uri_folder", "dataUri": folder("taxi/1")["dataUri"], "description": "first",
        "tags": {"year": "2026"}, "properties": {"rows": "12"}, "isAnonymous": false});
    let (status, made) = stand.put("taxi/versions/1", &said).await;
    assert_eq!(status, 201, "{made}");
    assert_eq!(made["type"], "Microsoft.MachineLearningServices/workspaces/data/versions");
    for (field, value) in said.as_object().unwrap() {
        assert_eq!(made["properties"][field], *value, "{field}");
    }
    // The same again, with other words: they change. Another type or place: never.
    let mut other = said.clone();
    other["description"] = json!("better words");
    other["tags"] = json!({});
    let (status, changed) = stand.put("taxi/versions/1", &other).await;
    assert_eq!((status, &changed["properties"]["description"]), (200, &json!("better words")), "{changed}");
    for (field, value) in [("dataUri", folder("taxi/2")["dataUri"].clone()), ("dataType", json!("mltable"))] {
        let mut bad = said.clone();
        bad[field] = value;
        let (status, told) = stand.put("taxi/versions/1", &bad).await;
        assert_eq!((status, &told["error"]["code"]), (409, &json!("Conflict")), "{field}: {told}");
    }
    let (_, kept) = stand.get("data/taxi/versions/1").await;
    assert_eq!(kept["properties"]["dataUri"], folder("taxi/1")["dataUri"]);
    // A name holds one kind of data.
    let file = json!({"dataType": "uri_file", "dataUri": "azureml://datastores/workspaceblobstore/paths/x.csv"});
    assert_eq!(stand.put("taxi/versions/2", &file).await.0, 409);
    assert_eq!(stand.put("taxi/versions/7", &folder("taxi/7")).await.0, 201);
    assert_eq!(stand.put("taxi/versions/2026-01", &folder("taxi/b")).await.0, 201);
    let (_, container) = stand.get("data/TAXI").await;
    let container = &container["properties"];
    assert_eq!(
        (&container["latestVersion"], &container["nextVersion"]),
        (&json!("2026-01"), &json!("8")),
        "{container}"
    );
    // What is archived is no longer the latest, and is left out of lists that do not ask for it.
    let mut archived = folder("taxi/b");
    archived["isArchived"] = json!(true);
    assert_eq!(stand.put("taxi/versions/2026-01", &archived).await.0, 200);
    assert_eq!(stand.get("data/taxi").await.1["properties"]["latestVersion"], "7");
    assert_eq!(names(&stand.get("data/taxi/versions").await.1), ["7", "1"]);
    assert_eq!(names(&stand.get("data/taxi/versions?listViewType=ArchivedOnly").await.1), ["2026-01"]);
    assert_eq!(names(&stand.get("data/taxi/versions?listViewType=All&$orderBy=createdtime%20asc").await.1).len(), 3);
    let mut said = stand.get("data/taxi").await.1["properties"].clone();
    said["isArchived"] = json!(true);
    assert_eq!(stand.put("taxi", &said).await.0, 200);
    assert_eq!(names(&stand.get("data").await.1).len(), 0);
    assert_eq!(names(&stand.get("data?listViewType=All").await.1), ["taxi"]);
    // Preconditions hold, and what was deleted is gone.
    let place = format!("{}/data/taxi/versions/7", stand.test.workspace());
    let call = stand.test.client().call(Method::PUT, &place).bearer(stand.callers.token(Who::Owner).unwrap());
    let call = call.header("If-None-Match", "*").json(&json!({"properties": folder("taxi/7")}));
    assert_eq!(call.send().await.unwrap().status().as_u16(), 412);
    assert_eq!(stand.ask(Who::Owner, Method::DELETE, "data/taxi/versions/7", None).await.0, 200);
    assert_eq!(stand.get("data/taxi/versions/7").await.0, 404);
    assert_eq!(stand.get("data/taxi").await.1["properties"]["latestVersion"], "1");
    assert_eq!(stand.get("data/taxi").await.1["properties"]["nextVersion"], "8", "numbers are not used again");
    assert_eq!(stand.ask(Who::Owner, Method::DELETE, "data/taxi", None).await.0, 200);
    assert_eq!(stand.get("data/taxi/versions/1").await.0, 404);
    assert_eq!(stand.get("data/taxi/versions").await.0, 404);
    stand.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn data_is_registered_by_whoever_may_and_only_what_the_workspace_has() {
    let stand = Stand::new().await;
    let body = json!({"properties": folder("a")});
    for (who, expected) in
        [(Who::Nobody, 401), (Who::Stranger, 404), (Who::Reader, 403), (Who::Contributor, 201), (Who::Owner, 200)]
    {
        let (status, told) = stand.ask(who, Method::PUT, "data/a/versions/1", Some(&body)).await;
        assert_eq!(status, expected, "{who:?}: {told}");
    }
    assert_eq!(stand.ask(Who::Reader, Method::GET, "data/a/versions/1", None).await.0, 200);
    assert_eq!(stand.ask(Who::Reader, Method::DELETE, "data/a/versions/1", None).await.0, 403);
    assert_eq!(stand.ask(Who::Stranger, Method::GET, "data/a/versions/1/runs", None).await.0, 404);
    let elsewhere =
        format!("azureml:/{}/datastores/workspaceblobstore/paths/a", stand.test.workspace().replace("ws1", "ws2"));
    for uri in [
        "",
        "azureml://datastores/none/paths/a",
        "azureml://datastores/workspaceblobstore/paths/../a",
        "azureml://datastores/workspaceblobstore/paths/%2e%2e/a",
        "azureml://jobs/none/outputs/artifacts/paths/a",
        "https://example.org/a",
        "file:///etc/passwd",
        &elsewhere,
        &format!("azureml://datastores/workspaceblobstore/paths/{}", "a".repeat(3000)),
    ] {
        let (status, told) = stand.put("b/versions/1", &json!({"dataType": "uri_folder", "dataUri": uri})).await;
        assert_eq!(status, 400, "{uri}: {told}");
    }
    for (place, properties) in [
        ("b/versions/latest", folder("a")),
        ("b/versions/-1", folder("a")),
        (".b/versions/1", folder("a")),
        ("b;c/versions/1", folder("a")),
        ("b/versions/1", json!({"dataType": "table", "dataUri": folder("a")["dataUri"]})),
        ("b/versions/1", json!({"dataType": "uri_file", "dataUri": folder("a/")["dataUri"]})),
        (
            "b/versions/1",
            json!({"dataType": "uri_folder", "dataUri": folder("a")["dataUri"], "description": "x".repeat(6000)}),
        ),
        (
            "b/versions/1",
            json!({"dataType": "uri_folder", "dataUri": folder("a")["dataUri"],
                "tags": (0..51).map(|n| (n.to_string(), String::new())).collect::<BTreeMap<_, _>>()}),
        ),
    ] {
        let (status, told) = stand.put(place, &properties).await;
        assert_eq!(status, 400, "{place} {properties}: {told}");
    }
    assert_eq!(names(&stand.get("data").await.1), ["a"], "nothing was half done");
    stand.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_come_in_parts_and_each_once() {
    let stand = Stand::new().await;
    for number in 1..=5 {
        let (status, made) = stand.put(&format!("a/versions/{number}"), &folder("a")).await;
        assert_eq!(status, 201, "{made}");
        stand.test.clock.advance(std::time::Duration::from_secs(1));
    }
    for (order, expected) in
        [("", ["5", "4", "3", "2", "1"]), ("&$orderBy=createdtime%20asc", ["1", "2", "3", "4", "5"])]
    {
        let mut next = Some(format!("{}/data/a/versions?$top=2{order}", stand.test.workspace()));
        let mut found = Vec::new();
        while let Some(place) = next {
            let (status, page) = stand.test.ask(stand.callers.token(Who::Owner), Method::GET, &place, None).await;
            assert_eq!(status, 200, "{page}");
            found.extend(names(&page).into_iter().map(str::to_owned));
            next = page["nextLink"].as_str().map(str::to_owned);
        }
        assert_eq!(found, expected, "{order}");
    }
    for bad in ["$top=0", "$top=x", "$skipToken=x", "listViewType=Some", "$orderBy=name"] {
        assert_eq!(stand.get(&format!("data/a/versions?{bad}")).await.0, 400, "{bad}");
    }
    stand.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn m11_a_job_gets_its_named_inputs_and_both_sides_say_so() {
    let stand = Stand::new().await;
    stand.fill(&[("taxi/a.csv", "a"), ("taxi/deep/b.csv", "bb"), ("taxi2/c.csv", "ccc"), ("labels.csv", "dddd")]).await;
    assert_eq!(stand.put("taxi/versions/1", &folder("taxi")).await.0, 201);
    let labels = json!({"dataType": "uri_file", "dataUri": "azureml://datastores/workspaceblobstore/paths/labels.csv"});
    assert_eq!(stand.put("labels/versions/3", &labels).await.0, 201);
    let inputs = json!({
        "train": {"jobInputType": "uri_folder", "uri": "azureml:taxi:1", "mode": "ReadOnlyMount"},
        "truth": {"jobInputType": "uri_file", "uri": "azureml:labels@latest"},
        "rate": {"jobInputType": "literal", "value": "0.1"},
    });
    let command = "python t.py ${{inputs.train}} ${{inputs.truth}} ${{inputs.rate}}";
    let (status, job) = stand.submit(Who::Owner, "job1", command, &inputs).await;
    assert_eq!(status, 201, "{job}");
    let shown = &job["properties"]["inputs"];
    assert_eq!((&shown["truth"]["uri"], &shown["train"]["mode"]), (&json!("azureml:labels:3"), &json!("Download")));
    let (token, assignment) = stand.begin("job1").await;
    assert_eq!(
        assignment["inputs"],
        json!([
            {"name": "train", "files": [{"path": "a.csv", "length": 1}, {"path": "deep/b.csv", "length": 2}]},
            {"name": "truth", "files": [{"path": "labels.csv", "length": 4}]},
        ])
    );
    assert_eq!(assignment["work"]["command"], "python t.py '/inputs/train' '/inputs/truth/labels.csv' '0.1'");
    assert_eq!(assignment["variables"]["AZUREML_DATAREFERENCE_train"], "/inputs/train");
    assert_eq!(assignment["variables"]["AZUREML_DATAREFERENCE_truth"], "/inputs/truth/labels.csv");
    for (rest, expected) in [("train/0", "a"), ("train/1", "bb"), ("truth/0", "dddd")] {
        assert_eq!(stand.file(&token, "job1", rest).await, (200, expected.to_owned()), "{rest}");
    }
    for rest in ["train/2", "other/0", "truth/x", "train/-1"] {
        assert_eq!(stand.file(&token, "job1", rest).await.0, 404, "{rest}");
    }
    // Nobody else's agent gets it, and no person at that address.
    assert_eq!(stand.submit(Who::Owner, "job2", "true", &json!({})).await.0, 201);
    let (other, assignment) = stand.begin("job2").await;
    assert_eq!(assignment.get("inputs"), None);
    assert_eq!(stand.file(&other, "job1", "train/0").await.0, 404);
    assert_ne!(stand.file(stand.callers.token(Who::Owner).unwrap(), "job1", "train/0").await.0, 200);
    // What changed since is not passed off as what it was.
    stand.fill(&[("taxi/a.csv", "x")]).await;
    assert_eq!(stand.file(&token, "job1", "train/0").await.0, 409);
    assert_eq!(stand.file(&token, "job1", "train/1").await.0, 200);
    // Both sides of the lineage.
    let (_, uses) = stand.get("data/taxi/versions/1/runs").await;
    let first = &uses["value"][0];
    assert_eq!(
        (&first["runId"], &first["input"], uses["value"].as_array().unwrap().len()),
        (&json!("job1"), &json!("train"), 1)
    );
    let api = format!("/mlflow/v1.0{}/api/2.0/mlflow/runs/get?run_id=job1", stand.test.workspace());
    let (_, run) = stand.test.ask(stand.callers.token(Who::Owner), Method::GET, &api, None).await;
    let datasets = run["run"]["inputs"]["dataset_inputs"].as_array().unwrap();
    assert_eq!(datasets.len(), 2, "{run}");
    assert_eq!(datasets[0]["dataset"]["name"], "taxi");
    let digest = first["digest"].as_str().unwrap();
    assert!(digest.starts_with(datasets[0]["dataset"]["digest"].as_str().unwrap()), "{digest}");
    // A version that a run used is kept; archived, it can still be used by whoever names it.
    assert_eq!(stand.ask(Who::Owner, Method::DELETE, "data/taxi/versions/1", None).await.0, 409);
    assert_eq!(stand.ask(Who::Owner, Method::DELETE, "data/taxi", None).await.0, 409);
    stand.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn inputs_that_cannot_be_had_are_refused_before_anything_is_made() {
    let stand = Stand::new().await;
    stand.fill(&[("a/x", "x"), ("both", "1"), ("both/y", "2"), ("d/both", "1"), ("d/both/y", "2")]).await;
    for (name, path) in [("a", "a"), ("empty", "nothing"), ("both", "d")] {
        assert_eq!(stand.put(&format!("{name}/versions/1"), &folder(path)).await.0, 201);
    }
    let data = |uri: &str| json!({"jobInputType": "uri_folder", "uri": uri});
    let many: BTreeMap<String, Value> = (0..201).map(|n| (format!("i{n}"), data("azureml:a:1"))).collect();
    for (inputs, why) in [
        (json!({"x": data("azureml:a:2")}), "no such version"),
        (json!({"x": data("azureml:b:1")}), "no such asset"),
        (json!({"x": data("azureml:empty:1")}), "nothing lies there"),
        (json!({"x": data("azureml:both:1")}), "file and folder"),
        (json!({"x": data("a:1")}), "no name of an asset"),
        (json!({"x": {"jobInputType": "uri_folder"}}), "no name at all"),
        (json!({"x": {"jobInputType": "uri_file", "uri": "azureml:a:1"}}), "another kind"),
        (json!({"x": {"jobInputType": "uri_folder", "uri": "azureml:a:1", "mode": "ReadWriteMount"}}), "mode"),
        (json!({"x": {"jobInputType": "mlflow_model", "uri": "azureml:a:1"}}), "models"),
        (json!({"../x": data("azureml:a:1")}), "a name that leads elsewhere"),
        (json!(many), "more than 200"),
    ] {
        let (status, told) = stand.submit(Who::Owner, "bad", "true", &inputs).await;
        assert_eq!(status, 400, "{why}: {told}");
        assert_eq!(stand.get("jobs/bad").await.0, 404, "{why}");
    }
    // Whoever may submit and not use the datastore gets nothing out of it.
    let role = json!({"properties": {"roleName": "submitter", "type": "CustomRole",
        "assignableScopes": [stand.test.subscription()], "permissions": [{"actions": [
            "Microsoft.MachineLearningServices/workspaces/*/read",
            "Microsoft.MachineLearningServices/workspaces/jobs/*",
        ], "notActions": [], "dataActions": [], "notDataActions": []}]}});
    let id = uuid::Uuid::new_v4();
    let definition = format!("{}/providers/Microsoft.Authorization/roleDefinitions/{id}", stand.test.subscription());
    let owner = stand.callers.token(Who::Owner).unwrap();
    assert_eq!(stand.test.ask(Some(owner), Method::PUT, &definition, Some(&role)).await.0, 201);
    let scope = stand.test.workspace();
    let (_, token) = stand.test.principal(owner, "submitter", Some((&id.to_string(), &scope))).await;
    let body = |inputs: Value| json!({"properties": {"jobType": "Command", "command": "true", "inputs": inputs}});
    for (inputs, expected) in [(json!({}), 201), (json!({"x": data("azureml:a:1")}), 403)] {
        let place = format!("{scope}/jobs/by{expected}");
        let (status, told) = stand.test.ask(Some(&token), Method::PUT, &place, Some(&body(inputs))).await;
        assert_eq!(status, expected, "{told}");
    }
    stand.test.end().await;
}
