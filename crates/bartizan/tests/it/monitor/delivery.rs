//! Diagnostic settings with real receivers: what they get, what happens when they do not answer, who may set them.

use std::time::Duration;

use domain::delivery::deliver_once;
use kernel::Secret;
use outbound::Method;
use serde_json::{Value, json};

use super::receiver::{Receiver, Syslog};
use crate::house::{TestHouse, Who};

const KEY: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

fn place(scope: &str, name: &str) -> String {
    format!("{scope}/providers/Microsoft.Insights/diagnosticSettings/{name}")
}

async fn put(
    test: &TestHouse,
    who: Option<&Secret<String>>,
    scope: &str,
    name: &str,
    properties: Value,
) -> (u16, Value) {
    test.ask(who, Method::PUT, &place(scope, name), Some(&json!({"properties": properties}))).await
}

/// Makes something happen, and says where.
async fn happen(test: &TestHouse, who: Option<&Secret<String>>, name: &str) -> String {
    let group = format!("{}{name}", test.group());
    assert_eq!(test.ask(who, Method::PUT, &group, Some(&json!({"location": "x"}))).await.0, 201);
    group
}

/// The records that a batch of CloudEvents is about.
fn written(events: &Value) -> Vec<String> {
    let wanted =
        |event: &&Value| event["data"]["operationName"] == "Microsoft.Resources/subscriptions/resourceGroups/write";
    events.as_array().unwrap().iter().filter(wanted).map(|event| event["source"].as_str().unwrap().to_owned()).collect()
}

fn administrative() -> Value {
    json!([{"category": "Administrative", "enabled": true}])
}

/// J-09: archive and streams receive the same event.
#[tokio::test(flavor = "multi_thread")]
async fn all_sinks_receive_the_same_event() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let (webhook, otlp, syslog) = (Receiver::start().await, Receiver::start().await, Syslog::start().await);
    test.elsewhere.open_to(&[webhook.url.clone(), otlp.url.clone(), syslog.place.clone()]);
    let (_, workspace) = test.ask(owner, Method::GET, &test.workspace(), None).await;
    let account = workspace["properties"]["storageAccount"].as_str().unwrap();
    let properties = json!({
        "storageAccountId": account,
        "webhook": {"url": format!("{}/hook", webhook.url), "key": KEY},
        "syslog": {"server": syslog.place},
        "otlp": {"url": format!("{}/v1/logs", otlp.url), "token": "a-token"},
        "logs": administrative(),
    });
    let (status, made) = put(&test, owner, &test.subscription(), "all", properties).await;
    assert_eq!(status, 200, "{made}");
    let group = happen(&test, owner, "-seen").await;
    test.clock.advance(Duration::from_secs(11));
    deliver_once(&test.house).await.unwrap();

    let [hooked] = &webhook.take()[..] else { panic!("one request") };
    assert_eq!(hooked.method, "POST");
    assert_eq!(hooked.headers["content-type"], "application/cloudevents-batch+json; charset=utf-8");
    let signed = [&hooked.headers["webhook-id"], ".", &hooked.headers["webhook-timestamp"], "."].concat();
    let key = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, &KEY[6..]).unwrap();
    let code = seal::message_code(&Secret::new(key), &[signed.as_bytes(), &hooked.body].concat());
    let code = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, code);
    assert_eq!(hooked.headers["webhook-signature"], format!("v1,{code}"));
    let events = hooked.json();
    assert_eq!(written(&events), std::slice::from_ref(&group));
    let event = events.as_array().unwrap().iter().find(|event| event["source"] == group.as_str()).unwrap();
    assert_eq!((&event["specversion"], &event["type"]), (&json!("1.0"), &json!("Microsoft.Insights.Administrative")));
    let content = &event["data"];
    assert_eq!(content["identity"]["caller"], "bartizan-owner");

    let [collected] = &otlp.take()[..] else { panic!("one request") };
    assert_eq!(collected.headers["authorization"], "Bearer a-token");
    let records = &collected.json()["resourceLogs"][0]["scopeLogs"][0]["logRecords"];
    let bodies = records.as_array().unwrap().iter().map(|record| record["body"]["stringValue"].as_str().unwrap());
    assert!(bodies.map(|body| serde_json::from_str::<Value>(body).unwrap()).any(|body| body == *content), "{records}");

    let messages = syslog.take();
    let message = messages.iter().find(|message| message.ends_with(&content.to_string())).unwrap();
    assert!(
        message.starts_with("<110>1 ") && message.contains(" localhost bartizan - Administrative [bartizan@32473 ")
    );

    let (status, blobs) = test.ask(owner, Method::GET, &format!("{account}/archives"), None).await;
    assert_eq!(status, 200, "{blobs}");
    let blob = &blobs["value"][0];
    let name = blob["name"].as_str().unwrap();
    assert_eq!(blob["container"], "insights-activity-logs");
    let folder = format!("resourceId={}/y=", test.subscription().to_ascii_uppercase());
    assert!(name.starts_with(&folder) && name.ends_with("/m=00/PT1H.json"), "{name}");
    let read = test.client().get(&format!("{account}/archives/content")).bearer(owner.unwrap());
    let read = read.query(&[("container", "insights-activity-logs"), ("blob", name)]).send().await.unwrap();
    let lines = read.success().await.unwrap().bytes(1 << 20).await.unwrap();
    let lines: Vec<Value> = lines
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    assert!(lines.contains(content));
    test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_receiver_did_not_take_comes_again_in_order_and_nobody_waits_for_it() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let webhook = Receiver::start().await;
    test.elsewhere.open_to(std::slice::from_ref(&webhook.url));
    let properties = json!({"webhook": {"url": webhook.url, "mode": "single"}, "logs": administrative()});
    assert_eq!(put(&test, owner, &test.subscription(), "s", properties).await.0, 200);
    deliver_once(&test.house).await.unwrap();
    webhook.take();

    webhook.answers("500 Internal Server Error");
    let first = happen(&test, owner, "1").await;
    deliver_once(&test.house).await.unwrap();
    assert_eq!(webhook.take().len(), 1);
    let (_, seen) = test.ask(owner, Method::GET, &place(&test.subscription(), "s"), None).await;
    let state = &seen["properties"]["delivery"][0];
    assert_eq!((&state["state"], &state["failures"]), (&json!("Failing"), &json!(1)), "{state}");
    assert_eq!(state["lastError"], "the receiver answered 500");
    // Not before its time.
    deliver_once(&test.house).await.unwrap();
    assert_eq!(webhook.take().len(), 0);

    webhook.answers("nothing");
    test.clock.advance(Duration::from_secs(2));
    let house = test.house.clone();
    let hanging = tokio::spawn(async move { deliver_once(&house).await });
    webhook.arrival().await;
    let second = happen(&test, owner, "2").await;
    hanging.abort();
    // It ended in the middle: what was sent and not noted is sent again, by an engine that knows nothing of the first.
    let _ = hanging.await;
    webhook.take();
    webhook.answers("202 Accepted");
    test.clock.advance(Duration::from_secs(600));
    deliver_once(&test.house).await.unwrap();
    let sources: Vec<Value> = webhook.take().iter().map(|request| request.json()["source"].clone()).collect();
    assert_eq!(sources, [json!(first), json!(second)]);
    let (_, seen) = test.ask(owner, Method::GET, &place(&test.subscription(), "s"), None).await;
    assert_eq!(seen["properties"]["delivery"][0]["state"], "Delivering");
    deliver_once(&test.house).await.unwrap();
    assert_eq!(webhook.take().len(), 0);
    test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_s_setting_gets_its_events_and_ends_with_it() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let webhook = Receiver::start().await;
    test.elsewhere.open_to(std::slice::from_ref(&webhook.url));
    let logs = json!([{"categoryGroup": "audit", "enabled": true}, {"category": "AmlRunEvent", "enabled": false}]);
    let made =
        put(&test, owner, &test.workspace(), "models", json!({"webhook": {"url": webhook.url}, "logs": logs})).await;
    assert_eq!(made.0, 200, "{}", made.1);
    let mlflow = format!("/mlflow/v1.0{}/api/2.0/mlflow/registered-models/create", test.workspace());
    assert_eq!(test.ask(owner, Method::POST, &mlflow, Some(&json!({"name": "m"}))).await.0, 200);
    happen(&test, owner, "-elsewhere").await;
    deliver_once(&test.house).await.unwrap();
    let [request] = &webhook.take()[..] else { panic!("one request") };
    let categories: Vec<Value> =
        request.json().as_array().unwrap().iter().map(|event| event["data"]["category"].clone()).collect();
    assert_eq!(categories, [json!("AmlModelsEvent")]);
    let purged = format!("{}?forceToPurge=true", test.workspace());
    assert_eq!(test.ask(owner, Method::DELETE, &purged, None).await.0, 200);
    let again = test.ask(owner, Method::PUT, &test.workspace(), Some(&json!({"location": "x"}))).await;
    assert_eq!(again.0, 201);
    let all = place(&test.workspace(), "");
    assert_eq!(test.ask(owner, Method::GET, all.trim_end_matches('/'), None).await.1["value"], json!([]));
    test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_are_checked_their_secrets_never_shown_and_readers_cannot_make_them() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let webhook = Receiver::start().await;
    test.elsewhere.open_to(std::slice::from_ref(&webhook.url));
    let hook = |url: &str| json!({"webhook": {"url": url}, "logs": administrative()});
    let cases = [
        (json!({"logs": administrative()}), "properties"),
        (hook("http://127.0.0.1:1/"), "outbound-host"),
        (hook("https://evil.example/"), "outbound-host"),
        (hook("tcp://localhost:1"), "another kind"),
        (json!({"webhook": {"url": webhook.url, "key": "short"}}), "key"),
        (json!({"webhook": {"url": webhook.url, "mode": "loud"}}), "mode"),
        (json!({"webhook": {"url": webhook.url}, "logs": [{"category": "Weather", "enabled": true}]}), "Weather"),
        (json!({"webhook": {"url": webhook.url}, "logs": [{"enabled": true}]}), "categoryGroup"),
        (json!({"storageAccountId": "/subscriptions/x"}), "storageAccountId"),
        (json!({"eventHubName": "hub"}), "event hubs"),
        (json!({"colour": "red"}), "colour"),
    ];
    for (properties, word) in cases {
        let (status, answer) = put(&test, owner, &test.subscription(), "bad", properties).await;
        assert!((400..500).contains(&status) && status != 404, "{answer}");
        assert!(answer["error"]["message"].as_str().unwrap().contains(word), "{word}: {answer}");
    }
    let keyed = json!({"webhook": {"url": webhook.url, "key": KEY}, "logs": administrative()});
    let (_, made) = put(&test, owner, &test.subscription(), "s0", keyed).await;
    assert!(!made.to_string().contains("MfKQ") && made["properties"]["webhook"]["hasKey"] == true, "{made}");
    // What was read can be written back: the secret stays.
    let (status, again) = test.ask(owner, Method::PUT, &place(&test.subscription(), "S0"), Some(&made)).await;
    assert_eq!((status, &again["properties"]["webhook"]["hasKey"]), (200, &json!(true)), "{again}");
    // A query in the address may be a secret: it is not shown, and kept with the key when the address comes back without.
    let tokened =
        json!({"webhook": {"url": format!("{}/hook?code=hidden", webhook.url), "key": KEY}, "logs": administrative()});
    let (_, made) = put(&test, owner, &test.subscription(), "s0", tokened).await;
    assert_eq!(made["properties"]["webhook"]["url"], format!("{}/hook", webhook.url));
    let (_, seen) = test.ask(callers.token(Who::Reader), Method::GET, &place(&test.subscription(), "s0"), None).await;
    assert!(!seen.to_string().contains("hidden"), "{seen}");
    let (_, again) = test.ask(owner, Method::PUT, &place(&test.subscription(), "s0"), Some(&made)).await;
    assert_eq!(again["properties"]["webhook"]["hasKey"], true);
    webhook.take();
    deliver_once(&test.house).await.unwrap();
    let sent = webhook.take();
    assert!(!sent.is_empty() && sent.iter().all(|request| request.target == "/hook?code=hidden"), "{sent:?}");
    for number in 1..5 {
        assert_eq!(put(&test, owner, &test.subscription(), &format!("s{number}"), hook(&webhook.url)).await.0, 200);
    }
    assert_eq!(put(&test, owner, &test.subscription(), "s5", hook(&webhook.url)).await.0, 409);
    assert_eq!(put(&test, callers.token(Who::Reader), &test.subscription(), "s0", hook(&webhook.url)).await.0, 403);
    assert_eq!(put(&test, callers.token(Who::Stranger), &test.subscription(), "s0", hook(&webhook.url)).await.0, 404);
    let gone = place(&test.subscription(), "s0");
    assert_eq!(test.ask(owner, Method::DELETE, &gone, None).await.0, 200);
    assert_eq!(test.ask(owner, Method::GET, &gone, None).await.0, 404);
    test.end().await;
}
