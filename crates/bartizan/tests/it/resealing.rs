//! A new key for a workspace's data, under which everything is sealed anew while it is in use (requirement X-13).

use std::{
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    time::Duration,
};

use domain::resealing::reseal_what_is_due;
use kernel::Secret;
use outbound::Method;
use serde_json::{Value, json};
use tokio::sync::RwLock;

use crate::house::{TestHouse, Who};

/// Longer than the older key lingers.
const LATER: Duration = Duration::from_secs(61);

fn place(test: &TestHouse) -> String {
    format!("{}/encryption/reseal", test.workspace())
}

fn mlflow(test: &TestHouse) -> String {
    format!("/mlflow/v1.0{}/api/2.0/mlflow", test.workspace())
}

async fn experiment(test: &TestHouse, who: &Secret<String>, name: &str) -> String {
    let create = format!("{}/experiments/create", mlflow(test));
    let (status, made) = test.ask(Some(who), Method::POST, &create, Some(&json!({"name": name}))).await;
    assert_eq!(status, 200, "{made}");
    made["experiment_id"].as_str().unwrap().to_owned()
}

async fn status(test: &TestHouse) -> Value {
    let owner = test.owner_again().await;
    let counted = format!("{}?count=true", place(test));
    let (status, found) = test.ask(Some(&owner), Method::GET, &counted, None).await;
    assert_eq!(status, 200, "{found}");
    found
}

fn older(found: &Value) -> u64 {
    found["tables"].as_array().unwrap().iter().map(|table| table["older"].as_u64().unwrap()).sum()
}

async fn seal_all(test: &TestHouse) {
    while reseal_what_is_due(&test.house).await.unwrap() {}
}

#[tokio::test(flavor = "multi_thread")]
async fn x13_everything_is_sealed_anew_under_load_and_no_request_fails() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner).unwrap();
    let mut kept = Vec::new();
    for number in 0..300 {
        kept.push(experiment(&test, owner, &format!("e{number}")).await);
    }
    let datastores = format!("{}/datastores", test.workspace());
    let seen = async || {
        let owner = test.owner_again().await;
        let mut seen = vec![test.ask(Some(&owner), Method::GET, &datastores, None).await];
        for id in &kept {
            let get = format!("{}/experiments/get?experiment_id={id}", mlflow(&test));
            seen.push(test.ask(Some(&owner), Method::GET, &get, None).await);
        }
        seen
    };
    let before = seen().await;
    assert!(before.iter().all(|(status, _)| *status == 200));

    let (is_over, written, pause) = (AtomicBool::new(false), AtomicUsize::new(0), RwLock::new(()));
    let load = async |worker: usize| {
        let mut number = 0;
        while !is_over.load(Ordering::Relaxed) {
            let _under_way = pause.read().await;
            // `experiment` asks for 200.
            let id = experiment(&test, owner, &format!("w{worker}-{number}")).await;
            let tag = json!({"experiment_id": id, "key": "k", "value": "v"});
            let set = format!("{}/experiments/set-experiment-tag", mlflow(&test));
            assert_eq!(test.ask(Some(owner), Method::POST, &set, Some(&tag)).await.0, 200);
            // One of those that are sealed anew meanwhile is written, too.
            let tag = json!({"experiment_id": kept[worker], "key": "k", "value": number.to_string()});
            let (status, answer) = test.ask(Some(owner), Method::POST, &set, Some(&tag)).await;
            assert_eq!(status, 200, "{answer}");
            written.fetch_add(1, Ordering::Relaxed);
            number += 1;
        }
    };
    let work = async {
        // Several times, so that keys change in the middle of requests.
        for round in 0..3 {
            let begun = test.ask(Some(owner), Method::POST, &place(&test), None).await;
            assert_eq!((begun.0, &begun.1["keyVersion"]), (202, &json!(round + 2)), "{}", begun.1);
            let again = test.ask(Some(owner), Method::POST, &place(&test), None).await;
            assert_eq!((again.0, &again.1["error"]["code"]), (409, &json!("ResealUnderWay")), "{}", again.1);
            seal_all(&test).await;
            let found = test.ask(Some(owner), Method::GET, &format!("{}?count=true", place(&test)), None).await.1;
            assert_eq!((&found["state"], &found["percentComplete"]), (&json!("Sealed"), &json!(100)), "{found}");
            assert_eq!(older(&found), 0, "{found}");
            assert!(found["resealed"].as_u64().unwrap() >= 300, "{found}");
            let operation = found["status"].as_str().unwrap().split_once("/subscriptions").unwrap().1;
            let operation = test.ask(Some(owner), Method::GET, &format!("/subscriptions{operation}"), None).await;
            assert_eq!((operation.0, &operation.1["status"]), (200, &json!("Succeeded")), "{}", operation.1);
            // A minute is over: no request lasts that long.
            let turn = pause.write().await;
            test.clock.advance(LATER);
            drop(turn);
            assert!(!reseal_what_is_due(&test.house).await.unwrap());
            let found = test.ask(Some(owner), Method::GET, &place(&test), None).await.1;
            assert_eq!(found["state"], "Retired", "{found}");
        }
        is_over.store(true, Ordering::Relaxed);
    };
    tokio::join!(work, load(0), load(1), load(2));
    assert!(written.load(Ordering::Relaxed) > 0);
    let after = seen().await;
    // But for those that were written, everything is as it was: no version, no time has changed.
    assert_eq!((&before[0], &before[4..]), (&after[0], &after[4..]));
    assert_eq!(older(&status(&test).await), 0);
    test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn x13_sealing_anew_is_no_edit_and_waits_for_a_workspace_that_rests() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner).unwrap();
    let none = test.ask(Some(owner), Method::GET, &place(&test), None).await;
    assert_eq!(none.0, 404, "{}", none.1);
    assert_eq!(test.ask(callers.token(Who::Reader), Method::POST, &place(&test), None).await.0, 403);
    let datastore = format!("{}/datastores/workspaceblobstore", test.workspace());
    let before = test.ask(Some(owner), Method::GET, &datastore, None).await;
    assert_eq!(test.ask(Some(owner), Method::POST, &place(&test), None).await.0, 202);
    // It rests before anything is sealed anew, and goes on when it is back.
    assert_eq!(test.ask(Some(owner), Method::DELETE, &test.workspace(), None).await.0, 200);
    assert!(!reseal_what_is_due(&test.house).await.unwrap());
    let recover = json!({"properties": {"allowRecoverSoftDeletedWorkspace": "True"}});
    assert_eq!(test.ask(Some(owner), Method::PUT, &test.workspace(), Some(&recover)).await.0, 200);
    assert!(older(&status(&test).await) > 0);
    seal_all(&test).await;
    assert_eq!(older(&status(&test).await), 0);
    test.clock.advance(LATER);
    seal_all(&test).await;
    assert_eq!(status(&test).await["state"], "Retired");
    let again = test.owner_again().await;
    assert_eq!(test.ask(Some(&again), Method::GET, &datastore, None).await, before);
    // What is left of it says which version was destroyed.
    let purge = format!("{}?forceToPurge=true", test.workspace());
    assert_eq!(test.ask(Some(&again), Method::DELETE, &purge, None).await.0, 200);
    let erased = format!("{}/providers/Microsoft.MachineLearningServices/erasedWorkspaces", test.group());
    let listed = test.ask(Some(&again), Method::GET, &erased, None).await.1;
    assert_eq!(listed["value"][0]["erasure"]["keyring"]["versions"], json!([2]), "{listed}");
    assert!(!reseal_what_is_due(&test.house).await.unwrap());
    test.end().await;
}
