//! Reading the activity log: Azure's filter, its pages, and Azure's own view beside the full one.

use std::time::Duration;

use outbound::Method;
use serde_json::{Value, json};

use super::activities;
use crate::house::{TestHouse, Who};

async fn list(test: &TestHouse, owner: Option<&kernel::Secret<String>>, parameters: &[(&str, &str)]) -> Vec<Value> {
    let (status, log) = activities(test, owner, parameters).await;
    assert_eq!(status, 200, "{log}");
    log["value"].as_array().unwrap().clone()
}

fn actions(log: &[Value]) -> Vec<&str> {
    log.iter().map(|event| event["operationName"]["value"].as_str().unwrap()).collect()
}

/// J-04, J-05: the compat view leaves out what Azure's log leaves out; the full one has it, with its initiator.
#[tokio::test(flavor = "multi_thread")]
async fn azure_s_view_omits_training_and_registration_and_the_full_one_has_them() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let job = json!({"properties": {"jobType": "Command", "command": "true"}});
    let submitted = test.ask(owner, Method::PUT, &format!("{}/jobs/j1", test.workspace()), Some(&job)).await;
    assert_eq!(submitted.0, 201, "{}", submitted.1);
    let mlflow = format!("/mlflow/v1.0{}/api/2.0/mlflow", test.workspace());
    let made =
        test.ask(owner, Method::POST, &format!("{mlflow}/registered-models/create"), Some(&json!({"name": "m"}))).await;
    assert_eq!(made.0, 200, "{}", made.1);
    let experiment =
        test.ask(owner, Method::POST, &format!("{mlflow}/experiments/create"), Some(&json!({"name": "e"}))).await;
    assert_eq!(experiment.0, 200, "{}", experiment.1);

    let full = list(&test, owner, &[]).await;
    let azure = list(&test, owner, &[("view", "azure")]).await;
    let machine_learning = "Microsoft.MachineLearningServices/workspaces";
    for omitted in ["jobs/write", "models/write", "experiments/write"] {
        let action = format!("{machine_learning}/{omitted}");
        let events: Vec<_> = full.iter().filter(|event| event["operationName"]["value"] == action).collect();
        assert_eq!(events.len(), 1, "{action}: {:?}", actions(&full));
        assert_eq!(events[0]["caller"], "bartizan-owner");
        assert!(!actions(&azure).contains(&action.as_str()), "{action}");
    }
    assert!(actions(&azure).contains(&format!("{machine_learning}/write").as_str()));
    assert!(actions(&azure).iter().all(|action| !action.starts_with("Microsoft.Directory/")));
    test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_filter_s_clauses_combine_and_select_leaves_the_chosen_fields() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let start = test.house.now().rfc3339();
    test.clock.advance(Duration::from_secs(60));
    let other = format!("{}2", test.group());
    assert_eq!(test.ask(owner, Method::PUT, &other, Some(&json!({"location": "x"}))).await.0, 201);
    assert_eq!(test.ask(callers.token(Who::Reader), Method::DELETE, &other, None).await.0, 403);
    test.clock.advance(Duration::from_secs(60));
    let recent = format!("eventTimestamp gt '{start}'");
    let cases = [
        (recent.clone(), 2),
        (format!("{recent} and resourceGroupName eq 'RG2'"), 2),
        (format!("{recent} and resourceGroupName eq 'rg'"), 0),
        (format!("{recent} and caller eq 'reader' and status eq 'Denied'"), 1),
        (format!("{recent} and caller eq '{}'", test.founded.principal), 1),
        (format!("{recent} and resourceProvider eq 'Microsoft.Resources' and levels eq 'Warning'"), 1),
        (format!("{recent} and resourceId eq '{other}' and status eq 'succeeded'"), 1),
        (format!("eventTimestamp lt '{start}'"), 0),
    ];
    for (filter, count) in cases {
        let found = list(&test, owner, &[("$filter", &filter)]).await;
        assert_eq!(found.len(), count, "{filter}: {:?}", actions(&found));
    }
    let found = list(&test, owner, &[("$filter", &recent), ("$select", "Caller, eventTimestamp")]).await;
    assert_eq!(found[0].as_object().unwrap().keys().collect::<Vec<_>>(), ["caller", "eventTimestamp"]);
    for bad in [("$filter", "caller like 'x'"), ("$select", "colour"), ("view", "gcp"), ("$top", "many")] {
        let (status, answer) = activities(&test, owner, &[bad]).await;
        assert_eq!((status, &answer["error"]["target"]), (400, &json!(bad.0)), "{answer}");
    }
    test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_follow_one_another_without_gap_or_repetition() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let all: Vec<_> = list(&test, owner, &[]).await.iter().map(|event| event["sequence"].clone()).collect();
    let (_, mut page) = activities(&test, owner, &[("$top", "2")]).await;
    let mut paged = Vec::new();
    loop {
        paged.extend(page["value"].as_array().unwrap().iter().map(|event| event["sequence"].clone()));
        match page["nextLink"].as_str() {
            Some(link) => page = test.ask(owner, Method::GET, link, None).await.1,
            None => break,
        }
    }
    assert_eq!(paged, all);
    test.end().await;
}

/// What a narrow query reads of a long log is bounded: it finds its place by halving.
#[tokio::test(flavor = "multi_thread")]
async fn a_narrow_range_of_a_long_log_is_found_at_once() {
    let (test, _) = TestHouse::new().await;
    let start = test.house.now().rfc3339();
    test.clock.advance(Duration::from_secs(4 * 3600));
    let caller = kernel::Caller::house();
    for _ in 0..45_000 {
        domain::gate::enter(&test.house, &caller, domain::audit::ExportLog { from: u64::MAX, most: 1 }).await.unwrap();
    }
    test.clock.advance(Duration::from_secs(60));
    let until = format!("eventTimestamp le '{start}' and resourceProvider eq 'Microsoft.Resources'");
    let owner = test.owner_again().await;
    let (_, page) = activities(&test, Some(&owner), &[("$filter", &until)]).await;
    // More records than one answer looks at lie in between.
    assert!(!page["value"].as_array().unwrap().is_empty(), "{page}");
    test.end().await;
}
