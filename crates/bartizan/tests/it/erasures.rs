//! Certificates of erasure: what is left of a workspace whose key was destroyed (requirement X-15).

use std::time::Duration;

use domain::{
    audit::LogKey,
    erasure::{Certificate, HonourErasure, Honoured, Verified},
    gate::enter,
};
use kernel::{Caller, Kind};
use outbound::Method;
use seal::CheckpointVerifier;
use serde_json::{Value, json};

use crate::house::{TestHouse, Who};

const DAY: Duration = Duration::from_secs(24 * 3600);

fn erased(scope: &str) -> String {
    format!("{scope}/providers/Microsoft.MachineLearningServices/erasedWorkspaces")
}

async fn public_key(test: &TestHouse) -> CheckpointVerifier {
    let line = enter(&test.house, &Caller::house(), LogKey).await.unwrap();
    CheckpointVerifier::from_line(&line).unwrap()
}

/// The certificates of a scope, each of which proves something.
async fn certificates(test: &TestHouse, scope: &str) -> Vec<(Certificate, Verified)> {
    let owner = test.owner_again().await;
    let (status, listed) = test.ask(Some(&owner), Method::GET, &erased(scope), None).await;
    assert_eq!(status, 200, "{listed}");
    let found: Vec<Certificate> = serde_json::from_value(listed["value"].clone()).unwrap();
    let key = public_key(test).await;
    found.into_iter().map(|one| (one.clone(), one.verify(&key).unwrap())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn x15_a_purge_leaves_a_certificate_that_the_public_key_alone_verifies() {
    let (test, callers) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    let create = format!("/mlflow/v1.0{}/api/2.0/mlflow/experiments/create", test.workspace());
    for name in ["a", "b", "c"] {
        assert_eq!(test.ask(owner, Method::POST, &create, Some(&json!({"name": name}))).await.0, 200);
    }
    let guid = test.ask(owner, Method::GET, &test.workspace(), None).await.1["properties"]["workspaceId"].clone();
    assert_eq!(certificates(&test, &test.group()).await, []);
    let purge = format!("{}?forceToPurge=true", test.workspace());
    assert_eq!(test.ask(owner, Method::DELETE, &purge, None).await.0, 200);

    let found = certificates(&test, &test.group()).await;
    assert_eq!(found, certificates(&test, &test.subscription()).await);
    let [(certificate, verified)] = found.as_slice() else { panic!("{found:?}") };
    let erasure = &verified.erasure;
    assert_eq!((json!(erasure.workspace), json!(erasure.workspace_guid)), (json!(test.workspace()), guid.clone()));
    assert_eq!((erasure.keyring.versions.as_slice(), &erasure.keyring.customer_key), ([1].as_slice(), &None));
    assert!(erasure.objects["experiment"] >= 3 && erasure.objects.len() > 1, "{:?}", erasure.objects);
    assert!(erasure.asked_by.id.is_some() && erasure.approved_by.is_empty(), "{erasure:?}");
    assert_eq!(verified.tenant, test.founded.tenant.to_string());
    // One by one, by its GUID; and signed, it stays what it is.
    let one = format!("{}/{}", erased(&test.subscription()), guid.as_str().unwrap());
    domain::erasure::sign_erasures(&test.house).await.unwrap();
    assert_eq!(test.ask(owner, Method::GET, &one, None).await, (200, serde_json::to_value(certificate).unwrap()));
    let absent = format!("{}/{}", erased(&test.subscription()), uuid::Uuid::new_v4());
    assert_eq!(test.ask(owner, Method::GET, &absent, None).await.0, 404);
    // The log says it where the certificate says that it does.
    let log = test.ask(owner, Method::GET, &log_of(&test), None).await.1;
    let told: Vec<&Value> = log["value"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| event.to_string().contains(&erasure.id.to_string()))
        .collect();
    assert_eq!(told.len(), 1, "{log}");

    assert_eq!(test.ask(callers.token(Who::Reader), Method::GET, &one, None).await.0, 200);
    assert_eq!(test.ask(callers.token(Who::Stranger), Method::GET, &one, None).await.0, 404);
    assert_eq!(test.ask(callers.token(Who::Stranger), Method::GET, &erased(&test.group()), None).await.0, 404);
    test.end().await;
}

fn log_of(test: &TestHouse) -> String {
    format!("{}/providers/Microsoft.Insights/eventtypes/management/values", test.subscription())
}

#[tokio::test(flavor = "multi_thread")]
async fn x15_what_rested_its_time_says_who_deleted_it() {
    let (test, callers) = TestHouse::new().await;
    assert_eq!(test.ask(callers.token(Who::Contributor), Method::DELETE, &test.workspace(), None).await.0, 200);
    assert_eq!(certificates(&test, &test.group()).await, [], "it rests");
    let deleted_at = test.house.now();
    test.clock.advance(DAY * 14);
    domain::work::purge_what_is_due(&test.house).await.unwrap();
    let found = certificates(&test, &test.group()).await;
    let [(_, Verified { erasure, .. })] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(erasure.asked_by.name, "contributor");
    assert!(erasure.asked_at <= deleted_at.rfc3339() && erasure.erased_at > erasure.asked_at, "{erasure:?}");
    assert!(!erasure.objects.is_empty());
    test.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn x15_a_certificate_of_this_server_erases_again_what_is_back_and_another_s_nothing() {
    let (test, callers) = TestHouse::new().await;
    let (other, others) = TestHouse::new().await;
    let owner = callers.token(Who::Owner);
    for (house, who) in [(&test, owner), (&other, others.token(Who::Owner))] {
        let purge = format!("{}?forceToPurge=true", house.workspace());
        assert_eq!(house.ask(who, Method::DELETE, &purge, None).await.0, 200);
    }
    let foreign = certificates(&other, &other.group()).await.remove(0).0;
    let refused = enter(&test.house, &Caller::house(), HonourErasure { certificate: foreign }).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Conflict, "{refused}");
    let (own, verified) = certificates(&test, &test.group()).await.remove(0);
    let known = enter(&test.house, &Caller::house(), HonourErasure { certificate: own }).await.unwrap();
    assert_eq!(known, Honoured::Known(verified));
    test.end().await;
    other.end().await;
}
