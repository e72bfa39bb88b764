//! Deliveries beside each other: nobody's events are lost or held up by another's, nor by a clock that was set back.

use std::time::Duration;

use domain::delivery::deliver_once;
use kernel::Secret;
use outbound::Method;
use serde_json::{Value, json};

use super::receiver::Receiver;
use crate::house::{TestHouse, Who};

fn place(scope: &str, name: &str) -> String {
    format!("{scope}/providers/Microsoft.Insights/diagnosticSettings/{name}")
}

async fn put(test: &TestHouse, owner: Option<&Secret<String>>, scope: &str, name: &str, mut properties: Value) {
    properties["logs"] = json!([{"categoryGroup": "allLogs", "enabled": true}]);
    let (status, answer) =
        test.ask(owner, Method::PUT, &place(scope, name), Some(&json!({"properties": properties}))).await;
    assert_eq!(status, 200, "{answer}");
}

async fn happen(test: &TestHouse, owner: Option<&Secret<String>>, group: &str) {
    assert_eq!(test.ask(owner, Method::PUT, group, Some(&json!({"location": "x"}))).await.0, 201);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_settings_with_one_archive_lose_nothing() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let (_, workspace) = test.ask(owner, Method::GET, &test.workspace(), None).await;
    let account = workspace["properties"]["storageAccount"].as_str().unwrap();
    for name in ["one", "two", "three"] {
        put(&test, owner, &test.subscription(), name, json!({"storageAccountId": account})).await;
    }
    let group = format!("{}-seen", test.group());
    happen(&test, owner, &group).await;
    test.clock.advance(Duration::from_secs(11));
    deliver_once(&test.house).await.unwrap();
    let (_, blobs) = test.ask(owner, Method::GET, &format!("{account}/archives"), None).await;
    let name = blobs["value"][0]["name"].as_str().unwrap();
    let read = test.client().get(&format!("{account}/archives/content")).bearer(owner.unwrap());
    let read = read.query(&[("container", "insights-activity-logs"), ("blob", name)]).send().await.unwrap();
    let text = read.success().await.unwrap().bytes(1 << 20).await.unwrap();
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let lines = lines.map(|line| serde_json::from_slice::<Value>(line).unwrap());
    let made = lines
        .filter(|line| line["resourceId"] == group.to_ascii_uppercase().as_str() && line["resultType"] == "Succeeded");
    assert_eq!(made.count(), 3, "each setting brings the event once");
    test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_is_made_again_has_nothing_of_the_archive_of_the_one_before() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let account = format!("{}/providers/Microsoft.Storage/storageAccounts/logs", test.group());
    let body = json!({"location": "x", "kind": "StorageV2", "sku": {"name": "Standard_LRS"}});
    let archives = format!("{account}/archives");
    let make = async || {
        let (status, made) = test.ask(owner, Method::PUT, &account, Some(&body)).await;
        assert!((200..300).contains(&status), "{made}");
    };
    make().await;
    put(&test, owner, &test.subscription(), "s", json!({"storageAccountId": account})).await;
    happen(&test, owner, &format!("{}-seen", test.group())).await;
    test.clock.advance(Duration::from_secs(11));
    deliver_once(&test.house).await.unwrap();
    let (_, before) = test.ask(owner, Method::GET, &archives, None).await;
    let name = before["value"][0]["name"].as_str().unwrap();
    assert_eq!(test.ask(owner, Method::DELETE, &account, None).await.0, 200);
    make().await;
    let (status, after) = test.ask(owner, Method::GET, &archives, None).await;
    assert_eq!((status, &after["value"]), (200, &json!([])));
    let read = test.client().get(&format!("{archives}/content")).bearer(owner.unwrap());
    let read = read.query(&[("container", "insights-activity-logs"), ("blob", name)]).send().await.unwrap();
    assert_eq!(read.status().as_u16(), 404);
    test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn receivers_that_hang_hold_up_nobody_of_another_scope() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let (hanging, good) = (Receiver::start().await, Receiver::start().await);
    test.elsewhere.open_to(&[hanging.url.clone(), good.url.clone()]);
    let second = format!("{}-2", test.workspace());
    assert_eq!(test.ask(owner, Method::PUT, &second, Some(&json!({"location": "x"}))).await.0, 201);
    for scope in [test.workspace(), second.clone()] {
        for number in 0..5 {
            let both = json!({"webhook": {"url": hanging.url}, "otlp": {"url": hanging.url}});
            put(&test, owner, &scope, &format!("s{number}"), both).await;
        }
    }
    put(&test, owner, &test.subscription(), "good", json!({"webhook": {"url": good.url}})).await;
    deliver_once(&test.house).await.unwrap();
    hanging.take();
    good.take();
    hanging.answers("nothing");
    for scope in [test.workspace(), second] {
        let create = format!("/mlflow/v1.0{scope}/api/2.0/mlflow/registered-models/create");
        assert_eq!(test.ask(owner, Method::POST, &create, Some(&json!({"name": "m"}))).await.0, 200);
    }
    happen(&test, owner, &format!("{}-seen", test.group())).await;
    let house = test.house.clone();
    let delivering = tokio::spawn(async move { deliver_once(&house).await });
    good.arrival().await;
    assert!(hanging.take().len() <= 8, "four places a scope");
    delivering.abort();
    let _ = delivering.await;
    test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everybody_has_a_turn_when_there_are_more_than_places() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let (first, second) = (Receiver::start().await, Receiver::start().await);
    test.elsewhere.open_to(&[first.url.clone(), second.url.clone()]);
    for number in 0..5 {
        let both = json!({"webhook": {"url": first.url}, "otlp": {"url": second.url}});
        put(&test, owner, &test.subscription(), &format!("s{number}"), both).await;
    }
    deliver_once(&test.house).await.unwrap();
    first.take();
    second.take();
    happen(&test, owner, &format!("{}-seen", test.group())).await;
    deliver_once(&test.house).await.unwrap();
    assert_eq!((first.take().len(), second.take().len()), (5, 5));
    test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_was_set_back_stops_no_delivery() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let webhook = Receiver::start().await;
    test.elsewhere.open_to(std::slice::from_ref(&webhook.url));
    let (_, workspace) = test.ask(owner, Method::GET, &test.workspace(), None).await;
    let account = workspace["properties"]["storageAccount"].as_str().unwrap();
    let both = json!({"webhook": {"url": webhook.url}, "storageAccountId": account});
    webhook.answers("500 Internal Server Error");
    put(&test, owner, &test.subscription(), "s", both).await;
    happen(&test, owner, &format!("{}-seen", test.group())).await;
    deliver_once(&test.house).await.unwrap();
    assert_eq!(webhook.take().len(), 1);
    // The event waits in the archive's queue, and the webhook's pause has begun.
    let now = kernel::Clock::now(&*test.clock);
    test.clock.set(now.less(Duration::from_secs(60)));
    webhook.answers("204 No Content");
    deliver_once(&test.house).await.unwrap();
    let arrived = webhook.take().len();
    // Back to a time at which the owner's token is valid, for the look at what is there.
    test.clock.set(now);
    assert_eq!(arrived, 0, "a pause of a minute may still be one");
    test.clock.set(now.less(Duration::from_secs(24 * 3600)));
    deliver_once(&test.house).await.unwrap();
    let arrived = webhook.take().len();
    test.clock.set(now);
    assert_eq!(arrived, 1);
    let (_, blobs) = test.ask(owner, Method::GET, &format!("{account}/archives"), None).await;
    assert_eq!(blobs["value"].as_array().unwrap().len(), 1, "{blobs}");
    test.end().await;
}
