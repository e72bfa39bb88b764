//! Traces through the doors: who may do what, what hostile bodies come to, and what is never repeated.

use outbound::Method;
use prost::Message;
use serde_json::{Value, json};
use wire::otlp::{AnyValue, KeyValue, Span};

use crate::house::{Callers, TestHouse, Who};

#[derive(Clone, PartialEq, Message)]
struct Scope {
    #[prost(message, repeated, tag = "2")]
    spans: Vec<Span>,
}

#[derive(Clone, PartialEq, Message)]
struct Place {
    #[prost(message, repeated, tag = "2")]
    scopes: Vec<Scope>,
}

#[derive(Clone, PartialEq, Message)]
struct Export {
    #[prost(message, repeated, tag = "1")]
    places: Vec<Place>,
}

fn export(name: &str, attributes: Vec<KeyValue>) -> Vec<u8> {
    let span = Span {
        trace_id: vec![0xab; 16],
        span_id: vec![1; 8],
        name: name.to_owned(),
        start_time_unix_nano: 1_000_000_000,
        end_time_unix_nano: 2_000_000_000,
        attributes,
        ..Span::default()
    };
    Export { places: vec![Place { scopes: vec![Scope { spans: vec![span] }] }] }.encode_to_vec()
}

fn trace() -> String {
    format!("tr-{}", "ab".repeat(16))
}

struct Scene {
    test: TestHouse,
    callers: Callers,
    base: String,
}

impl Scene {
    async fn new() -> Self {
        let (test, callers) = TestHouse::new().await;
        let base = format!("/mlflow/v1.0{}", test.workspace());
        Self { test, callers, base }
    }

    async fn send(&self, who: Who, kind: &str, headers: &[(&str, &str)], body: Vec<u8>) -> (u16, String, Vec<u8>) {
        let mut call = self.test.client().post(&format!("{}/v1/traces", self.base)).body(kind, body);
        if let Some(token) = self.callers.token(who) {
            call = call.bearer(token);
        }
        for (name, value) in headers {
            call = call.header(name, value);
        }
        let answer = call.send().await.unwrap();
        let (status, kind) = (answer.status().as_u16(), answer.header("content-type").unwrap_or_default().to_owned());
        (status, kind, answer.bytes(1 << 20).await.unwrap().to_vec())
    }

    async fn ask(&self, who: Who, method: Method, place: &str, body: &Value) -> (u16, Value) {
        let place = format!("{}/api/{place}", self.base);
        self.test.ask(self.callers.token(who), method, &place, Some(body).filter(|body| !body.is_null())).await
    }
}

const PROTOBUF: &str = "application/x-protobuf";
const HOME: &[(&str, &str)] = &[("x-mlflow-experiment-id", "0")];

#[tokio::test(flavor = "multi_thread")]
async fn no_door_of_traces_is_open_to_whom_it_is_not_for() {
    let scene = Scene::new().await;
    assert_eq!(scene.send(Who::Contributor, PROTOBUF, HOME, export("step", Vec::new())).await.0, 200);
    let id = trace();
    let one = format!("3.0/mlflow/traces/{id}");
    let location = json!([{"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": "0"}}]);
    let info = json!({"trace_id": "tr-1", "trace_location": location[0], "request_time": "2026-01-01T00:00:00Z", "state": "OK"});
    let judged = json!({"assessment": {
        "assessment_name": "ok", "source": {"source_type": "HUMAN"}, "create_time": "2026-01-01T00:00:00Z", "feedback": {"value": true},
    }});
    let numbers = json!({"experiment_ids": ["0"], "view_type": "TRACES", "metric_name": "trace_count", "aggregations": [{"aggregation_type": "COUNT"}]});
    let reads = [
        (Method::GET, one.clone(), Value::Null),
        (Method::GET, format!("3.0/mlflow/traces/get?trace_id={id}"), Value::Null),
        (Method::GET, format!("3.0/mlflow/traces/batchGet?trace_ids={id}"), Value::Null),
        (Method::POST, String::from("3.0/mlflow/traces/batchGetInfos"), json!({"trace_ids": [id]})),
        (Method::POST, String::from("3.0/mlflow/traces/search"), json!({"locations": location})),
        (Method::POST, String::from("3.0/mlflow/traces/metrics"), numbers),
        (
            Method::POST,
            String::from("3.0/mlflow/traces/calculate-filter-correlation"),
            json!({"experiment_ids": ["0"], "filter_string1": "status = 'OK'", "filter_string2": "status = 'OK'"}),
        ),
    ];
    let writes = [
        (Method::POST, String::from("3.0/mlflow/traces"), json!({"trace": {"trace_info": info}})),
        (Method::PATCH, format!("2.0/mlflow/traces/{id}/tags"), json!({"key": "a", "value": "b"})),
        (Method::PATCH, format!("{one}/tags"), json!({"key": "a", "value": "b"})),
        (Method::DELETE, format!("2.0/mlflow/traces/{id}/tags"), json!({"key": "a"})),
        (Method::POST, format!("{one}/assessments"), judged),
        (Method::POST, String::from("2.0/mlflow/traces/link-prompts"), json!({"trace_id": id, "prompt_versions": []})),
        (
            Method::POST,
            String::from("2.0/mlflow/traces/delete-traces"),
            json!({"experiment_id": "0", "request_ids": [id]}),
        ),
    ];
    for (method, place, body) in &reads {
        for (who, expected) in [(Who::Reader, 200), (Who::Stranger, 404), (Who::Nobody, 401)] {
            let (status, told) = scene.ask(who, method.clone(), place, body).await;
            assert_eq!(status, expected, "{who:?} {method} {place}: {told}");
        }
    }
    for (method, place, body) in &writes {
        for (who, expected) in [(Who::Reader, 403), (Who::Stranger, 404), (Who::Nobody, 401), (Who::Contributor, 200)] {
            let (status, told) = scene.ask(who, method.clone(), place, body).await;
            assert_eq!(status, expected, "{who:?} {method} {place}: {told}");
        }
    }
    for (who, expected) in [(Who::Reader, 403), (Who::Stranger, 404), (Who::Nobody, 401)] {
        let (status, kind, _) = scene.send(who, PROTOBUF, HOME, export("forged", Vec::new())).await;
        assert_eq!((status, kind.as_str()), (expected, PROTOBUF), "{who:?}");
    }
    scene.test.end().await;
}

/// What it is, its type, headers and body, and the status it gets.
type Case<'a> = (&'a str, &'a str, &'a [(&'a str, &'a str)], Vec<u8>, u16);

#[tokio::test(flavor = "multi_thread")]
async fn hostile_exports_are_refused_in_fixed_words() {
    let scene = Scene::new().await;
    let markup = "<script>alert(1)</script>";
    let good = export("step", Vec::new());
    // An attribute whose value lies in a thousand lists.
    let deep = (0..1000).fold(AnyValue::default(), |inner, _| AnyValue {
        value: Some(wire::otlp::Value::ArrayValue(wire::otlp::ArrayValue { values: vec![inner] })),
    });
    let deep = export("deep", vec![KeyValue { key: String::from("k"), value: Some(deep) }]);
    let ids = Span { trace_id: vec![1; 15], span_id: vec![1; 8], ..Span::default() };
    let ids = Export { places: vec![Place { scopes: vec![Scope { spans: vec![ids] }] }] }.encode_to_vec();
    let many = Export { places: vec![Place { scopes: vec![Scope { spans: vec![Span::default(); 20_001] }] }] };
    let packed = [HOME, &[("content-encoding", "gzip")]].concat();
    let cases: [Case<'_>; 11] = [
        ("another type", markup, HOME, good.clone(), 400),
        ("no experiment", PROTOBUF, &[], good.clone(), 400),
        ("an unknown experiment", PROTOBUF, &[("x-mlflow-experiment-id", "7")], good.clone(), 404),
        ("no run", PROTOBUF, &[HOME[0], ("x-mlflow-run-id", "a b")], good.clone(), 400),
        ("an unknown run", PROTOBUF, &[HOME[0], ("x-mlflow-run-id", "0123")], good.clone(), 404),
        ("no gzip", PROTOBUF, &packed, good.clone(), 400),
        ("no spans", PROTOBUF, HOME, Vec::new(), 400),
        ("no protobuf", PROTOBUF, HOME, vec![0xff; 100], 400),
        ("too deep", PROTOBUF, HOME, deep, 400),
        ("bent ids", PROTOBUF, HOME, ids, 400),
        ("too many", PROTOBUF, HOME, many.encode_to_vec(), 413),
    ];
    for (case, kind, headers, body, expected) in cases {
        let (status, answered, told) = scene.send(Who::Owner, kind, headers, body).await;
        assert_eq!((status, answered.as_str()), (expected, PROTOBUF), "{case}: {}", String::from_utf8_lossy(&told));
        assert!(!String::from_utf8_lossy(&told).contains("script"), "{case}");
    }
    let found =
        scene.ask(Who::Owner, Method::POST, "3.0/mlflow/traces/batchGetInfos", &json!({"trace_ids": [trace()]})).await;
    assert_eq!(found, (200, json!({})), "nothing of them was kept");
    scene.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_in_json_are_the_same_spans_and_refused_in_json() {
    let scene = Scene::new().await;
    let json = "application/json; charset=utf-8";
    let body = |spans: Value| json!({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}).to_string().into_bytes();
    let span = json!({
        "traceId": "ab".repeat(16), "spanId": "0101010101010101", "name": "step",
        "startTimeUnixNano": "1000000000", "endTimeUnixNano": "2000000000",
        "attributes": [{"key": "n", "value": {"intValue": "7"}}],
    });
    for (who, expected) in [(Who::Reader, 403), (Who::Stranger, 404), (Who::Nobody, 401), (Who::Contributor, 200)] {
        let (status, kind, told) = scene.send(who, json, HOME, body(json!([span]))).await;
        let told: Value = serde_json::from_slice(&told).unwrap();
        assert_eq!((status, kind.as_str()), (expected, "application/json"), "{who:?}: {told}");
    }
    let place = format!("3.0/mlflow/traces/get?trace_id={}", trace());
    let (status, found) = scene.ask(Who::Reader, Method::GET, &place, &Value::Null).await;
    assert_eq!((status, &found["trace"]["spans"][0]["name"]), (200, &json!("step")), "{found}");
    let many = json!(vec![json!({}); 20_001]);
    for (case, body, expected) in [
        ("nothing", b"{}".to_vec(), 400),
        ("no JSON", b"{".to_vec(), 400),
        ("protobuf", export("step", Vec::new()), 400),
        ("bent ids", body(json!([{"traceId": "ab", "spanId": "01"}])), 400),
        ("markup for an id", body(json!([{"traceId": "<script>alert(1)</script>"}])), 400),
        ("too many", body(many), 413),
    ] {
        let (status, kind, told) = scene.send(Who::Owner, json, HOME, body).await;
        let told: Value = serde_json::from_slice(&told).unwrap();
        assert_eq!((status, kind.as_str()), (expected, "application/json"), "{case}: {told}");
        assert!(told["message"].is_string() && !told.to_string().contains("script"), "{case}: {told}");
    }
    scene.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn long_names_and_costly_questions_are_refused_before_they_cost_anything() {
    let scene = Scene::new().await;
    assert_eq!(scene.send(Who::Owner, PROTOBUF, HOME, export("step", Vec::new())).await.0, 200);
    let long = "x".repeat(300_000);
    let one = format!("3.0/mlflow/traces/{}", trace());
    let location = |id: &str| json!({"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": id}});
    let info = |name: &str, value: Value| {
        let mut info = json!({"trace_id": "tr-1", "trace_location": location("0"), "request_time": "2026-01-01T00:00:00Z", "state": "OK"});
        info[name] = value;
        json!({"trace": {"trace_info": info}})
    };
    let judged = |name: &str, value: Value| {
        let mut one = json!({"assessment_name": "ok", "source": {"source_type": "HUMAN"}, "create_time": "2026-01-01T00:00:00Z", "feedback": {"value": 1}});
        one[name] = value;
        json!({"assessment": one})
    };
    let search = |name: &str, value: Value| {
        let mut search = json!({"locations": [location("0")]});
        search[name] = value;
        search
    };
    let many: Vec<String> = (0..1001).map(|at| format!("tr-{at}")).collect();
    let start = String::from("3.0/mlflow/traces");
    let assess = format!("{one}/assessments");
    let searches = String::from("3.0/mlflow/traces/search");
    for (place, body) in [
        (&start, info("trace_id", json!(long))),
        (&start, info("trace_id", json!("../x"))),
        (&start, info("request_preview", json!(long))),
        (&start, info("tags", json!({long.clone(): "v"}))),
        (&start, info("trace_metadata", json!({"k": long}))),
        (&start, info("request_time", json!("yesterday"))),
        (&start, info("execution_duration", json!("1e9s"))),
        (&start, info("state", json!("FINE"))),
        (&start, info("trace_location", json!({"type": "UC_SCHEMA"}))),
        (&assess, judged("assessment_name", json!(long))),
        (&assess, judged("rationale", json!(long))),
        (&assess, judged("source", json!({"source_type": "ORACLE"}))),
        (&assess, judged("expectation", json!({"value": 1}))),
        (&searches, search("max_results", json!(501))),
        (&searches, search("max_results", json!(0))),
        (&searches, search("filter", json!(format!("name = '{long}'")))),
        (&searches, search("filter", json!("name RLIKE '(x{500}){500}'"))),
        (&searches, search("filter", json!(["name LIKE 'a%'"; 20].join(" AND ")))),
        (&searches, search("page_token", json!("!!"))),
        (&String::from("3.0/mlflow/traces/batchGetInfos"), json!({"trace_ids": many})),
        (&String::from("2.0/mlflow/traces/delete-traces"), json!({"experiment_id": "0"})),
    ] {
        let (status, told) = scene.ask(Who::Owner, Method::POST, place, &body).await;
        assert_eq!((status, &told["error_code"]), (400, &json!("INVALID_PARAMETER_VALUE")), "{place} {told}");
        assert!(told.to_string().len() < 1000, "{place}");
    }
    scene.test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_done_to_traces_is_recorded_and_what_they_say_is_not() {
    let scene = Scene::new().await;
    let secret = KeyValue {
        key: String::from("mlflow.spanInputs"),
        value: Some(AnyValue { value: Some(wire::otlp::Value::StringValue(String::from("canary-in-a-prompt"))) }),
    };
    assert_eq!(scene.send(Who::Owner, PROTOBUF, HOME, export("canary-in-a-name", vec![secret])).await.0, 200);
    let tag = json!({"key": "k", "value": "canary-in-a-tag"});
    let place = format!("2.0/mlflow/traces/{}/tags", trace());
    assert_eq!(scene.ask(Who::Owner, Method::PATCH, &place, &tag).await.0, 200);
    scene.test.house.flush_reads().await.unwrap();
    let place = "/providers/Microsoft.Insights/eventtypes/management/values?api-version=2015-04-01";
    let log = format!("{}{place}", scene.test.subscription());
    let (status, told) = scene.test.ask(scene.callers.token(Who::Owner), Method::GET, &log, None).await;
    assert_eq!(status, 200, "{told}");
    let told = told.to_string();
    assert!(told.contains("experiments/traces/write") && told.contains(&trace()), "{told}");
    assert!(!told.contains("canary"), "{told}");
    scene.test.end().await;
}
