//! Runs as Azure's own clients see them (requirements N-01 to N-03, M-08, M-09, L-01).

use outbound::Method;
use serde_json::{Value, json};

use crate::{
    house::{Callers, TestHouse, Who},
    oauth::run_token,
};

struct Stage {
    test: TestHouse,
    callers: Callers,
}

impl Stage {
    async fn new() -> Self {
        let (test, callers) = TestHouse::new().await;
        let stage = Self { test, callers };
        let (status, made) = stage.by(Who::Owner, Method::POST, &stage.history("/experiments/exp"), None).await;
        assert_eq!(status, 200, "{made}");
        stage
    }

    fn history(&self, rest: &str) -> String {
        format!("/history/v1.0{}{rest}", self.test.workspace())
    }

    fn metric(&self, run: &str, rest: &str) -> String {
        format!("/metric/v2.0{}/runs/{run}/{rest}", self.test.workspace())
    }

    fn mlflow(&self, rest: &str) -> String {
        format!("/mlflow/v1.0{}/api/2.0/mlflow/{rest}", self.test.workspace())
    }

    async fn by(&self, who: Who, method: Method, place: &str, body: Option<&Value>) -> (u16, Value) {
        self.test.ask(self.callers.token(who), method, place, body).await
    }

    async fn good(&self, method: Method, place: &str, body: Option<&Value>) -> Value {
        let (status, answer) = self.by(Who::Owner, method.clone(), place, body).await;
        assert_eq!(status, 200, "{method} {place}: {answer}");
        answer
    }

    async fn run(&self, id: &str, more: Value) -> Value {
        let mut body = json!({"runId": id});
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.good(Method::PATCH, &self.history(&format!("/experiments/exp/runs/{id}")), Some(&body)).await
    }

    async fn event(&self, run: &str, name: &str, data: Value) {
        let body = json!({"name": format!("Microsoft.MachineLearning.Run.{name}"), "data": data});
        self.good(Method::POST, &self.history(&format!("/experiments/exp/runs/{run}/events")), Some(&body)).await;
    }

    /// Logs, and gives the errors.
    async fn log(&self, run: &str, values: Value) -> Vec<Value> {
        let body = json!({"values": values, "reportErrors": true});
        let answer = self.good(Method::POST, &self.metric(run, "batch"), Some(&body)).await;
        answer["errors"].as_array().unwrap().clone()
    }

    async fn full(&self, run: &str, name: &str) -> Value {
        self.good(Method::POST, &self.metric(run, "full"), Some(&json!({"metricName": name}))).await
    }
}

fn metric(name: &str, kind: &str, columns: Value, rows: &[Value]) -> Value {
    let row = |(at, data): (usize, &Value)| json!({"metricId": format!("{name}-{at}-{kind}"), "createdUtc": "2026-01-31T12:00:00Z", "data": data});
    let rows: Vec<Value> = rows.iter().enumerate().map(row).collect();
    json!({"name": name, "columns": columns, "value": rows, "properties": {"uxMetricType": kind}})
}

fn scalar(name: &str, value: Value) -> Value {
    metric(name, "azureml.v1.scalar", json!({name: "double"}), &[json!({name: value})])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_is_the_same_for_both_kinds_of_clients() {
    let stage = Stage::new().await;
    let made =
        stage.run("run-1", json!({"name": "first", "tags": {"a": "1", "b": null}, "properties": {"p": "x"}})).await;
    assert_eq!(
        (&made["status"], &made["displayName"], &made["rootRunId"]),
        (&json!("NotStarted"), &json!("first"), &json!("run-1"))
    );
    assert_eq!((&made["tags"], &made["properties"]), (&json!({"a": "1", "b": null}), &json!({"p": "x"})));
    stage.event("run-1", "Start", json!({"RunId": "run-1"})).await;
    stage
        .event("run-1", "Error", json!({"ErrorResponse": {"error": {"code": "UserError", "message": "it broke"}}}))
        .await;
    stage.event("run-1", "Warning", json!({"Source": "me", "Message": "look"})).await;
    stage.event("run-1", "Failed", json!({"EndTime": "2026-01-31T12:00:00Z"})).await;
    let seen = stage.good(Method::GET, &stage.history("/runs/run-1"), None).await;
    assert_eq!(
        (&seen["status"], &seen["error"]["error"]["message"], &seen["warnings"][0]["source"]),
        (&json!("Failed"), &json!("it broke"), &json!("me"))
    );
    let (_, mlflow) = stage.by(Who::Reader, Method::GET, &stage.mlflow("runs/get?run_id=run-1"), None).await;
    assert_eq!(
        (&mlflow["run"]["info"]["status"], &mlflow["run"]["info"]["run_name"]),
        (&json!("FAILED"), &json!("first"))
    );
    // Properties are given once; tags change.
    let place = stage.history("/experiments/exp/runs/run-1");
    let twice =
        stage.by(Who::Owner, Method::PATCH, &place, Some(&json!({"runId": "run-1", "properties": {"p": "y"}}))).await;
    assert_eq!(twice.0, 409, "{}", twice.1);
    assert_eq!(stage.run("run-1", json!({"tags": {"a": "2"}})).await["tags"]["a"], "2");
    let place = stage.history("/experiments/exp/runs/run-1/tags");
    assert_eq!(stage.good(Method::DELETE, &place, Some(&json!(["a"]))).await["tags"], json!({"b": null}));
    // What MLflow's client makes is there too, under the experiment's id as well.
    let experiment = made["experimentId"].as_str().unwrap();
    let other = stage
        .good(
            Method::POST,
            &stage.mlflow("runs/create"),
            Some(&json!({"experiment_id": experiment, "run_name": "second"})),
        )
        .await;
    let id = other["run"]["info"]["run_id"].as_str().unwrap();
    for place in ["experiments/exp", &format!("experimentids/{experiment}"), &format!("experiments/{experiment}")] {
        let seen = stage.good(Method::GET, &stage.history(&format!("/{place}/runs/{id}")), None).await;
        assert_eq!((&seen["displayName"], &seen["status"]), (&json!("second"), &json!("Running")), "{place}");
    }
    let (status, _) =
        stage.by(Who::Owner, Method::GET, &stage.history(&format!("/experiments/Default/runs/{id}")), None).await;
    assert_eq!(status, 404, "a run lies in its own experiment");
    stage.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_listed_by_family_tag_and_time() {
    let stage = Stage::new().await;
    stage.run("root", json!({"status": "Running"})).await;
    for (id, parent) in [("child-1", "root"), ("child-2", "root"), ("grandchild", "child-1")] {
        stage.run(id, json!({"parentRunId": parent, "tags": {"kind": id}})).await;
    }
    let ids = |answer: &Value| {
        let mut ids: Vec<String> =
            answer["value"].as_array().unwrap().iter().map(|run| run["runId"].as_str().unwrap().to_owned()).collect();
        ids.sort();
        ids
    };
    let children = stage.good(Method::GET, &stage.history("/experiments/exp/runs/root/children"), None).await;
    assert_eq!(ids(&children), ["child-1", "child-2"]);
    for (filter, due) in [
        ("RootRunId eq root", vec!["child-1", "child-2", "grandchild", "root"]),
        ("(RootRunId eq root and (Tags/kind eq \"child-2\"))", vec!["child-2"]),
        ("(ParentRunId eq null)", vec!["root"]),
        ("(Status eq Running)", vec!["root"]),
    ] {
        let found = stage
            .good(Method::POST, &stage.history("/experiments/exp/runs:query"), Some(&json!({"filter": filter})))
            .await;
        assert_eq!(ids(&found), due, "{filter}");
    }
    let mut seen = Vec::new();
    let mut token = Value::Null;
    for _ in 0..4 {
        let body = json!({"top": 1, "orderby": "RunId asc", "continuationToken": token});
        let page = stage.good(Method::POST, &stage.history("/experiments/exp/runs:query"), Some(&body)).await;
        seen.extend(ids(&page));
        token = page["continuationToken"].clone();
    }
    assert_eq!((seen, token), (["child-1", "child-2", "grandchild", "root"].map(String::from).to_vec(), Value::Null));
    let bad = stage
        .by(
            Who::Owner,
            Method::POST,
            &stage.history("/experiments/exp/runs:query"),
            Some(&json!({"filter": "Nonsense"})),
        )
        .await;
    assert_eq!(bad.0, 400, "{}", bad.1);
    // Many at once, each with its own fate.
    let runs =
        json!({"runs": [{"runId": "many-1", "parentRunId": "root"}, {"runId": "child-1", "properties": {"x": "1"}}]});
    let made = stage.good(Method::PATCH, &stage.history("/experiments/exp/batch/runs"), Some(&runs)).await;
    assert_eq!((made["runs"].as_object().unwrap().len(), &made["errors"]), (2, &json!({})));
    let events = json!({"events": [{"name": "Microsoft.MachineLearning.Run.Start", "data": {"RunId": "many-1"}}]});
    assert_eq!(
        stage.good(Method::POST, &stage.history("/experiments/exp/batch/events"), Some(&events)).await["errors"],
        json!([])
    );
    stage.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn n02_each_kind_of_metric_keeps_its_order_and_numbers_are_the_same_for_mlflow() {
    let stage = Stage::new().await;
    stage.run("r", json!({"status": "Running"})).await;
    let list: Vec<Value> = [3.0, 1.0, 3.0, 2.0].iter().map(|value| json!({"list": value})).collect();
    let errors = stage
        .log(
            "r",
            json!([
                scalar("loss", json!(0.5)),
                scalar("loss2", json!("NaN")),
                metric("list", "azureml.v1.list", json!({"list": "double"}), &list),
                metric(
                    "words",
                    "azureml.v1.list",
                    json!({"words": "string"}),
                    &[json!({"words": "b"}), json!({"words": "a"})]
                ),
                metric(
                    "table",
                    "azureml.v1.table",
                    json!({"x": "int", "y": "string", "z": "bool"}),
                    &[json!({"x": 2, "y": "q", "z": true}), json!({"x": 1, "y": null, "z": false})]
                ),
                metric(
                    "matrix",
                    "azureml.v2.confusion_matrix",
                    json!({"matrix": "Artifact"}),
                    &[json!({"matrix": "aml://artifactId/ExperimentRun/dcid.r/matrix"})]
                ),
            ]),
        )
        .await;
    assert_eq!(errors, Vec::<Value>::new());
    let column = |answer: &Value, name: &str| -> Vec<Value> {
        answer["value"].as_array().unwrap().iter().map(|row| row["data"][name].clone()).collect()
    };
    assert_eq!(column(&stage.full("r", "list").await, "list"), [json!(3.0), json!(1.0), json!(3.0), json!(2.0)]);
    assert_eq!(column(&stage.full("r", "words").await, "words"), [json!("b"), json!("a")]);
    let table = stage.full("r", "table").await;
    assert_eq!(
        (column(&table, "x"), column(&table, "y"), column(&table, "z")),
        (vec![json!(2), json!(1)], vec![json!("q"), Value::Null], vec![json!(true), json!(false)])
    );
    assert_eq!(table["properties"]["uxMetricType"], "azureml.v1.table");
    assert_eq!(column(&stage.full("r", "loss2").await, "loss2"), [json!("NaN")]);
    // The same request again changes nothing.
    assert_eq!(
        stage.log("r", json!([metric("list", "azureml.v1.list", json!({"list": "double"}), &list)])).await.len(),
        0
    );
    assert_eq!(stage.full("r", "list").await["value"].as_array().unwrap().len(), 4);
    // MLflow sees the numbers, and what it logs is seen here.
    let place = stage.mlflow("metrics/get-history?run_id=r&metric_key=list");
    let history = stage.good(Method::GET, &place, None).await;
    let values: Vec<&Value> = history["metrics"].as_array().unwrap().iter().map(|point| &point["value"]).collect();
    assert_eq!(values, [&json!(3.0), &json!(1.0), &json!(3.0), &json!(2.0)]);
    let body = json!({"run_id": "r", "key": "theirs", "value": 7.5, "timestamp": 1_769_860_800_000_i64, "step": 3});
    stage.good(Method::POST, &stage.mlflow("runs/log-metric"), Some(&body)).await;
    let theirs = stage.full("r", "theirs").await;
    assert_eq!((column(&theirs, "theirs"), &theirs["value"][0]["step"]), (vec![json!(7.5)], &json!(3)));
    let listed = stage.good(Method::POST, &stage.metric("r", "list"), Some(&json!({}))).await;
    let names: Vec<&str> =
        listed["value"].as_array().unwrap().iter().map(|one| one["metricKey"]["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["list", "loss", "loss2", "matrix", "table", "theirs", "words"]);
    let (status, _) =
        stage.by(Who::Owner, Method::POST, &stage.metric("r", "full"), Some(&json!({"metricName": "none"}))).await;
    assert_eq!(status, 404);
    stage.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn n03_what_is_beyond_a_limit_is_told_and_the_rest_is_logged() {
    let stage = Stage::new().await;
    stage.run("r", json!({"status": "Running"})).await;
    let many: Vec<Value> = (0..51).map(|number| scalar(&format!("m{number}"), json!(1.0))).collect();
    let errors = stage.log("r", json!(many)).await;
    assert_eq!(errors.len(), 1, "50 metrics of a run");
    assert_eq!(errors[0]["metric"]["name"], "m50");
    assert!(errors[0]["errorResponse"]["error"]["message"].as_str().unwrap().contains("at most 50"), "{errors:?}");
    // Without `reportErrors` nothing of it is done.
    stage.run("s", json!({"status": "Running"})).await;
    let body = json!({"values": [scalar("fine", json!(1.0)), scalar("bad", json!("x"))]});
    let (status, _) = stage.by(Who::Owner, Method::POST, &stage.metric("s", "batch"), Some(&body)).await;
    assert_eq!(status, 400);
    let listed = stage.good(Method::POST, &stage.metric("s", "list"), Some(&json!({}))).await;
    assert_eq!(listed["value"], json!([]));
    for (count, due) in [(250, 200), (251, 400)] {
        let values: Vec<Value> = (0..count)
            .map(|at| metric("one", "azureml.v1.scalar", json!({"one": "int"}), &[json!({"one": at})]))
            .collect();
        let (status, answer) =
            stage.by(Who::Owner, Method::POST, &stage.metric("s", "batch"), Some(&json!({"values": values}))).await;
        assert_eq!(status, due, "{count}: {answer}");
    }
    // 50 tags, and a description of 5000 characters.
    let tags = |count: usize| -> Value {
        (0..count).map(|at| (format!("t{at}"), json!("x"))).collect::<serde_json::Map<_, _>>().into()
    };
    let place = stage.history("/experiments/exp/runs/s");
    for (body, due) in [
        (json!({"tags": tags(50)}), 200),
        (json!({"tags": tags(51)}), 400),
        (json!({"description": "d".repeat(5000)}), 200),
        (json!({"description": "d".repeat(5001)}), 400),
    ] {
        let (status, answer) = stage.by(Who::Owner, Method::PATCH, &place, Some(&body)).await;
        assert_eq!(status, due, "{answer}");
    }
    stage.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_s_address_opens_that_file_for_its_time_and_its_holder() {
    let stage = Stage::new().await;
    stage.run("r", json!({"status": "Running"})).await;
    let artifact = |rest: &str| format!("/artifact/v2.0{}/artifacts/{rest}", stage.test.workspace());
    let paths = json!({"paths": [{"path": "out/a b.txt"}, {"path": "other.txt"}]});
    let given = stage.good(Method::POST, &artifact("batch/metadata/ExperimentRun/dcid.r"), Some(&paths)).await;
    let uri = |path: &str| given["artifactContentInformation"][path]["contentUri"].as_str().unwrap().to_owned();
    let own = |uri: &str| {
        let (host, rest) = uri.strip_prefix("https://").unwrap().split_once('/').unwrap();
        assert!(host.starts_with("run-files.blob.core.bartizan.test:"), "{uri}");
        format!("/run-files/{rest}")
    };
    let send = async |place: &str, text: &str| {
        let call = stage.test.client().call(Method::PUT, place).header("x-ms-blob-type", "BlockBlob");
        call.body("application/octet-stream", text.to_owned()).send().await.unwrap().status().as_u16()
    };
    let (first, second) = (own(&uri("out/a b.txt")), own(&uri("other.txt")));
    assert_eq!(send(&first, "hello").await, 201);
    assert_eq!(send(&first, "again").await, 409, "a file is not replaced by its address");
    let swapped = format!("{}?{}", second.split('?').next().unwrap(), first.split_once('?').unwrap().1);
    assert_eq!(send(&swapped, "x").await, 403, "a signature is for one file");
    assert_eq!(send(&second.replace("sp=rcw", "sp=rcwd"), "x").await, 403, "its letters are signed");
    assert_eq!(stage.test.ask(None, Method::GET, &first, None).await.0, 200, "who wrote it looks at it");
    assert_eq!(stage.test.ask(None, Method::GET, &second, None).await.0, 404);
    let again = stage.good(Method::POST, &artifact("batch/metadata/ExperimentRun/dcid.r"), Some(&paths)).await;
    assert!(again["errors"]["out/a b.txt"]["error"]["message"].is_string(), "{again}");
    // MLflow's client sees the file, and so does whoever may read.
    let place = format!("/mlflow/v1.0{}/api/2.0/mlflow/artifacts/list?run_id=r&path=out", stage.test.workspace());
    assert_eq!(stage.good(Method::GET, &place, None).await["files"][0]["path"], "out/a b.txt");
    let (status, read) =
        stage.by(Who::Reader, Method::GET, &artifact("contentinfo/ExperimentRun/dcid.r/out/a%20b.txt"), None).await;
    assert_eq!(status, 200, "{read}");
    let address = own(read["contentUri"].as_str().unwrap());
    let text = stage.test.client().call(Method::GET, &address).send().await.unwrap();
    assert_eq!(text.bytes(100).await.unwrap(), "hello");
    let part = stage.test.client().call(Method::GET, &address).header("x-ms-range", "bytes=1-2").send().await.unwrap();
    assert_eq!(
        (part.status().as_u16(), part.header("content-range").map(str::to_owned)),
        (206, Some(String::from("bytes 1-2/5")))
    );
    assert_eq!(send(&address, "x").await, 403, "reading is not writing");
    let (status, _) =
        stage.by(Who::Reader, Method::POST, &artifact("batch/metadata/ExperimentRun/dcid.r"), Some(&paths)).await;
    assert_eq!(status, 403);
    stage.test.clock.advance(std::time::Duration::from_secs(3601));
    assert_eq!(stage.test.ask(None, Method::GET, &address, None).await.0, 403, "it ends after an hour");
    stage.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_s_token_reaches_its_own_run_and_what_it_began() {
    let stage = Stage::new().await;
    stage.run("foreign", json!({"status": "Running"})).await;
    let token = run_token(&stage.test, stage.callers.token(Who::Owner).unwrap()).await;
    let ask = async |method: Method, place: String, body: Value| {
        stage.test.ask(Some(&token), method, &place, Some(&body)).await
    };
    let (_, mine) = {
        let body = json!({"filter": "", "top": 10});
        ask(Method::POST, stage.history("/experiments/Default/runs:query"), body).await
    };
    let own = mine["value"][0]["runId"].as_str().unwrap().to_owned();
    assert!(mine["value"][0]["properties"].is_object());
    let scalar = || json!({"values": [scalar("m", json!(1.0))]});
    assert_eq!(ask(Method::POST, stage.metric(&own, "batch"), scalar()).await.0, 200);
    assert_eq!(ask(Method::POST, stage.metric("foreign", "batch"), scalar()).await.0, 403);
    let child = |parent: &str| json!({"runId": "c", "parentRunId": parent});
    assert_eq!(ask(Method::PATCH, stage.history("/experiments/Default/runs/c"), child("foreign")).await.0, 403);
    let made = ask(Method::PATCH, stage.history("/experiments/Default/runs/c"), child(&own)).await;
    assert_eq!((made.0, &made.1["rootRunId"]), (200, &json!(own)), "{}", made.1);
    assert_eq!(ask(Method::POST, stage.metric("c", "batch"), scalar()).await.0, 200);
    assert_eq!(
        ask(Method::PATCH, stage.history("/experiments/exp/runs/foreign"), json!({"tags": {"a": "1"}})).await.0,
        403
    );
    // Its addresses say nothing: the proxy adds the token.
    let place = format!("/artifact/v2.0{}/artifacts/batch/metadata/ExperimentRun/dcid.{own}", stage.test.workspace());
    let (status, given) = ask(Method::POST, place, json!({"paths": [{"path": "f.txt"}]})).await;
    assert_eq!(status, 200, "{given}");
    let uri = given["artifactContentInformation"]["f.txt"]["contentUri"].as_str().unwrap();
    assert!(uri.ends_with("&sig=proxy"), "{uri}");
    let place = format!("/run-files/{}", uri.splitn(4, '/').nth(3).unwrap());
    assert_eq!(stage.test.ask(None, Method::PUT, &place, Some(&json!("x"))).await.0, 403);
    assert_eq!(stage.test.ask(Some(&token), Method::PUT, &place, Some(&json!("x"))).await.0, 201);
    // A token for the proxy, for the run alone; it opens nothing.
    let place = stage.history(&format!("/experiments/Default/runs/{own}/token"));
    let (status, shown) = stage.test.ask(Some(&token), Method::GET, &place, None).await;
    assert_eq!(status, 200, "{shown}");
    let worthless = kernel::Secret::new(shown["token"].as_str().unwrap().to_owned());
    assert_eq!(stage.test.ask(Some(&worthless), Method::GET, &place, None).await.0, 401);
    assert_eq!(stage.by(Who::Owner, Method::GET, &place, None).await.0, 400);
    stage.test.end().await;
}
