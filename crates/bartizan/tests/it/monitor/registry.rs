//! Webhooks of a registry, in MLflow's manner: who may make them, what they tell and how it is signed.

use aws_lc_rs::hmac;
use base64::{Engine, engine::general_purpose::STANDARD};
use domain::delivery::deliver_once;
use outbound::Method;
use serde_json::{Value, json};

use super::receiver::{Receiver, Request};
use crate::house::{TestHouse, Who};

const SECRET: &str = "a secret that nobody is shown";

fn below(test: &TestHouse, place: &str) -> String {
    format!("/mlflow/v2.0{}/api/2.0/mlflow/{place}", test.workspace())
}

fn hook(url: &str, events: &[(&str, &str)]) -> Value {
    let events: Vec<Value> =
        events.iter().map(|(entity, action)| json!({"entity": entity, "action": action})).collect();
    json!({"name": "h1", "url": url, "events": events, "secret": SECRET})
}

fn is_signed(request: &Request) -> bool {
    let [id, stamp, signature] =
        ["x-mlflow-delivery-id", "x-mlflow-timestamp", "x-mlflow-signature"].map(|name| &request.headers[name]);
    let message = [id.as_bytes(), b".", stamp.as_bytes(), b".", &request.body].concat();
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET.as_bytes());
    let code = STANDARD.decode(signature.strip_prefix("v1,").unwrap()).unwrap();
    hmac::verify(&key, &message, &code).is_ok()
}

fn told(requests: &[Request]) -> Vec<(String, Value)> {
    let one = |request: &Request| {
        let body = request.json();
        let word = |name: &str| body[name].as_str().unwrap().to_owned();
        (format!("{}.{}", word("entity"), word("action")), body["data"].clone())
    };
    requests.iter().map(one).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registry_s_webhook_is_told_what_it_asked_for_signed_and_again_until_it_is_taken() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let receiver = Receiver::start().await;
    test.elsewhere.open_to(std::slice::from_ref(&receiver.url));
    let events = [
        ("REGISTERED_MODEL", "CREATED"),
        ("MODEL_VERSION_ALIAS", "CREATED"),
        ("PROMPT", "CREATED"),
        ("PROMPT_VERSION", "CREATED"),
        ("PROMPT_TAG", "SET"),
        ("PROMPT_ALIAS", "DELETED"),
    ];
    let (status, made) =
        test.ask(owner, Method::POST, &below(&test, "webhooks"), Some(&hook(&receiver.url, &events))).await;
    assert_eq!((status, &made["webhook"]["status"]), (200, &json!("ACTIVE")), "{made}");
    let id = made["webhook"]["webhook_id"].as_str().unwrap().to_owned();
    let one = below(&test, &format!("webhooks/{id}"));

    let post = async |place: &str, body: Value| {
        let (status, said) = test.ask(owner, Method::POST, &below(&test, place), Some(&body)).await;
        assert_eq!(status, 200, "{place}: {said}");
    };
    post("registered-models/create", json!({"name": "wine", "tags": [{"key": "a", "value": "b"}]})).await;
    post("registered-models/set-tag", json!({"name": "wine", "key": "x", "value": "y"})).await;
    let is_prompt = json!([{"key": "mlflow.prompt.is_prompt", "value": "true"}]);
    post("registered-models/create", json!({"name": "greeting", "tags": is_prompt})).await;
    let version_tags = json!([
        {"key": "mlflow.prompt.is_prompt", "value": "true"},
        {"key": "mlflow.prompt.text", "value": "Hello {{name}}"},
        {"key": "tone", "value": "kind"},
    ]);
    post("model-versions/create", json!({"name": "greeting", "source": "dummy-source", "tags": version_tags})).await;
    post("registered-models/set-tag", json!({"name": "greeting", "key": "x", "value": "y"})).await;
    post("registered-models/alias", json!({"name": "greeting", "alias": "best", "version": "1"})).await;
    let gone = json!({"name": "greeting", "alias": "best"});
    assert_eq!(test.ask(owner, Method::DELETE, &below(&test, "registered-models/alias"), Some(&gone)).await.0, 200);

    receiver.answers("503 Busy");
    deliver_once(&test.house).await.unwrap();
    let refused = receiver.take();
    assert_eq!(refused.len(), 1, "nothing behind one that was not taken");
    receiver.answers("200 OK");
    test.clock.advance(std::time::Duration::from_secs(600));
    deliver_once(&test.house).await.unwrap();
    let came = receiver.take();
    let expected = [
        ("registered_model.created", json!({"name": "wine", "tags": {"a": "b", "x": "y"}, "description": null})),
        ("prompt.created", json!({"name": "greeting", "tags": {"x": "y"}, "description": null})),
        (
            "prompt_version.created",
            json!({"name": "greeting", "version": "1", "template": "Hello {{name}}", "tags": {"tone": "kind"}, "description": null}),
        ),
        ("prompt_tag.set", json!({"name": "greeting", "key": "x", "value": "y"})),
        ("prompt_alias.deleted", json!({"name": "greeting", "alias": "best"})),
    ];
    assert_eq!(told(&came), expected.map(|(event, data)| (event.to_owned(), data)));
    assert!(came.iter().chain(&refused).all(is_signed));
    assert_eq!(refused[0].headers["x-mlflow-delivery-id"], came[0].headers["x-mlflow-delivery-id"]);
    let mut ids: Vec<&String> = came.iter().map(|request| &request.headers["x-mlflow-delivery-id"]).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), came.len());

    // While it is disabled nothing is told, nor afterwards what happened meanwhile.
    assert_eq!(test.ask(owner, Method::PATCH, &one, Some(&json!({"status": "DISABLED"}))).await.0, 200);
    post("registered-models/create", json!({"name": "quiet"})).await;
    deliver_once(&test.house).await.unwrap();
    let on = json!({"status": "ACTIVE", "secret": ""});
    assert_eq!(test.ask(owner, Method::PATCH, &one, Some(&on)).await.1["webhook"]["status"], "ACTIVE");
    post("registered-models/create", json!({"name": "loud"})).await;
    deliver_once(&test.house).await.unwrap();
    let came = receiver.take();
    assert_eq!(
        told(&came),
        [(String::from("registered_model.created"), json!({"name": "loud", "tags": {}, "description": null}))]
    );
    assert!(!came[0].headers.contains_key("x-mlflow-signature"));
    // A test is sent at once, and what the receiver says is shown.
    let asked = json!({"event": {"entity": "MODEL_VERSION_TAG", "action": "SET"}});
    let (_, said) = test.ask(owner, Method::POST, &format!("{one}/test"), Some(&asked)).await;
    assert_eq!((&said["result"]["success"], &said["result"]["response_status"]), (&json!(true), &json!(200)), "{said}");
    assert_eq!(told(&receiver.take())[0].0, "model_version_tag.set");
    assert_eq!(test.ask(owner, Method::DELETE, &one, Some(&json!({}))).await.0, 200);
    post("registered-models/create", json!({"name": "last"})).await;
    deliver_once(&test.house).await.unwrap();
    assert_eq!(receiver.take().len(), 0);
    assert_eq!(test.ask(owner, Method::GET, &one, None).await.0, 404);
    test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn webhooks_of_a_registry_are_checked_bounded_and_never_show_their_secret() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let receiver = Receiver::start().await;
    test.elsewhere.open_to(std::slice::from_ref(&receiver.url));
    let all = below(&test, "webhooks");
    let good = hook(&format!("{}/hook?sig=hidden", receiver.url), &[("REGISTERED_MODEL", "CREATED")]);
    let with = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body
    };
    for (bad, word) in [
        (with("url", json!("https://evil.example/")), "url"),
        (with("url", json!("http://169.254.169.254/latest/meta-data")), "url"),
        (with("url", json!("file:///etc/passwd")), "url"),
        (with("name", json!("-x")), "1 to 63"),
        (with("name", json!("x".repeat(64))), "1 to 63"),
        (with("name", json!("../x")), "1 to 63"),
        (with("events", json!([])), "events"),
        (with("events", json!([{"entity": "MODEL_VERSION", "action": "EXCEEDED"}])), "model_version.exceeded"),
        (with("status", json!("SLEEPING")), "status"),
        (with("secret", json!("x".repeat(1001))), "secret"),
    ] {
        let (status, said) = test.ask(owner, Method::POST, &all, Some(&bad)).await;
        assert_eq!(status, 400, "{said}");
        assert!(said["message"].as_str().unwrap().contains(word), "{word}: {said}");
    }
    assert_eq!(test.ask(callers.token(Who::Reader), Method::POST, &all, Some(&good)).await.0, 403);
    let mut shown = Vec::new();
    for number in 0..50 {
        let (status, made) =
            test.ask(owner, Method::POST, &all, Some(&with("name", json!(format!("h{number}"))))).await;
        assert_eq!(status, 200, "{made}");
        shown.push(made);
    }
    assert_eq!(test.ask(owner, Method::POST, &all, Some(&good)).await.0, 409, "a workspace has at most so many");
    let (_, first) = test.ask(callers.token(Who::Reader), Method::GET, &format!("{all}?max_results=30"), None).await;
    let token = first["next_page_token"].as_str().unwrap().to_owned();
    let (_, rest) = test.ask(owner, Method::GET, &format!("{all}?max_results=30&page_token={token}"), None).await;
    assert_eq!(first["webhooks"].as_array().unwrap().len() + rest["webhooks"].as_array().unwrap().len(), 50);
    assert!(rest.get("next_page_token").is_none());
    assert!(rest.to_string().contains("/hook?sig=hidden"), "who may write it sees all of its address");
    assert!(first.to_string().contains("/hook\"") && !first.to_string().contains("hidden"), "who may not, does not");
    let one = format!("{all}/{}", first["webhooks"][0]["webhook_id"].as_str().unwrap());
    let (_, one) = test.ask(callers.token(Who::Reader), Method::GET, &one, None).await;
    assert_eq!(one["webhook"]["url"], format!("{}/hook", receiver.url));
    shown.extend([first, rest]);
    assert!(shown.iter().all(|said| !said.to_string().contains(SECRET)));
    let parameters = [("$filter", "eventTimestamp ge 2020-01-01T00:00:00Z")];
    let (_, log) = super::activities(&test, owner, &parameters).await;
    assert!(!log.to_string().contains(SECRET) && log.to_string().contains("workspaces/webhooks/write"));
    test.end().await;
}
