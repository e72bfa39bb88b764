//! Nothing changes without its record: every door that may change something is walked through, and the log is counted.

use http_faces::faces;
use kernel::{Caller, Class};
use outbound::Method;
use serde_json::{Value, json};

use crate::{
    gate::fill,
    house::{TestHouse, Who},
};

async fn log_length(test: &TestHouse) -> u64 {
    test.house.flush_reads().await.unwrap();
    let export = domain::audit::ExportLog { from: 1, most: 5000 };
    // The export leaves a record of its own, after what it read.
    let rows = domain::gate::enter(&test.house, &Caller::house(), export).await.unwrap();
    u64::try_from(rows.len()).unwrap()
}

/// An operation that changes state names a recorded class; `Open` and `Read` cannot commit unseen.
#[test]
fn every_changing_door_has_a_recorded_class() {
    for door in faces::doors().list() {
        let changes = !matches!(door.method.as_str(), "GET" | "HEAD");
        let reads = door.action.name().to_ascii_lowercase().ends_with("/read");
        if changes && !reads && !door.action.is_public() {
            assert_ne!(door.action.class(), Class::Open, "{} {} leaves no record", door.method, door.path);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_change_leaves_exactly_one_record_with_its_initiator() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let group = format!("{}2", test.group());
    let steps: Vec<(Method, String, Option<Value>, &str)> = vec![
        (
            Method::PUT,
            group.clone(),
            Some(json!({"location": "x"})),
            "Microsoft.Resources/subscriptions/resourceGroups/write",
        ),
        (
            Method::PATCH,
            test.workspace(),
            Some(json!({"tags": {"a": "b"}})),
            "Microsoft.MachineLearningServices/workspaces/write",
        ),
        (Method::DELETE, group.clone(), None, "Microsoft.Resources/subscriptions/resourceGroups/delete"),
    ];
    for (method, place, body, action) in steps {
        let before = log_length(&test).await;
        let (status, answer) = test.ask(owner, method, &place, body.as_ref()).await;
        assert!((200..300).contains(&status), "{place}: {answer}");
        let after = log_length(&test).await;
        // One for the change, one for the counting before it.
        assert_eq!(after - before, 2, "{action}");
        let (_, log) = test.ask(owner, Method::GET, &log_place(&test), None).await;
        assert_eq!(log["value"][0]["operationName"]["value"], action);
        assert_eq!(log["value"][0]["caller"], "bartizan-owner");
        assert_eq!(log["value"][0]["status"]["value"], "Succeeded");
    }
    test.end().await;
}

fn log_place(test: &TestHouse) -> String {
    format!("{}/providers/Microsoft.Insights/eventtypes/management/values?api-version=2015-04-01", test.subscription())
}

#[tokio::test(flavor = "multi_thread")]
async fn denials_are_recorded_and_a_client_s_claims_about_itself_are_not() {
    let (test, callers) = TestHouse::new().await;
    let place = format!("{}x", test.group());
    let call = test.client().put(&place).bearer(callers.token(Who::Reader).unwrap());
    let call = call.header("x-forwarded-for", "203.0.113.9").header("x-ms-client-principal-name", "root");
    assert_eq!(call.json(&json!({"location": "x"})).send().await.unwrap().status().as_u16(), 403);
    let (_, log) = test.ask(callers.token(Who::Owner), Method::GET, &log_place(&test), None).await;
    let denied = log["value"].as_array().unwrap().iter().find(|event| event["status"]["value"] == "Denied").unwrap();
    assert_eq!(denied["caller"], "reader");
    assert_eq!(denied["httpRequest"]["clientIpAddress"], "127.0.0.1");
    test.end().await;
}

/// Every door that changes something and says so has left its record by then.
#[tokio::test(flavor = "multi_thread")]
async fn no_door_answers_a_change_without_its_record() {
    let (test, callers) = TestHouse::new().await;
    let mut walked = 0;
    for door in faces::doors().list() {
        let changes = !matches!(door.method.as_str(), "GET" | "HEAD" | "DELETE") && !door.action.is_public();
        if !changes || door.action.class() == Class::Open {
            continue;
        }
        let place = fill(&test, &door.path);
        let method = Method::from_bytes(door.method.as_str().as_bytes()).unwrap();
        let before = log_length(&test).await;
        let (status, _) = test.ask(callers.token(Who::Owner), method, &place, Some(&json!({}))).await;
        let added = log_length(&test).await - before;
        if (200..300).contains(&status) {
            walked += 1;
            assert!(added >= 2, "{} {} answered {status} and left no record", door.method, door.path);
        }
    }
    assert!(walked >= 5, "only {walked} doors could be walked through");
    test.end().await;
}

/// A stranger cannot fill the log.
#[tokio::test(flavor = "multi_thread")]
async fn anonymous_denials_are_counted_and_not_recorded() {
    let (test, _) = TestHouse::new().await;
    let before = log_length(&test).await;
    for _ in 0..20 {
        assert_eq!(test.ask(None, Method::GET, &test.workspace(), None).await.0, 401);
    }
    assert_eq!(log_length(&test).await - before, 1);
    assert!(test.house.anonymous_denials() >= 20);
    test.end().await;
}
