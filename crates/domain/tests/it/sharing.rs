//! Several deployments of one endpoint, and keys by name.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use domain::{
    gate::enter,
    scoring::{
        CallWords, CreateNamedKey, DeleteDeployment, DeploymentRequest, EndpointRequest, EndpointView, Form,
        GetEndpoint, IssueServiceToken, ListNamedKeys, ListRequests, ListServiceKeys, NamedKeyRequest, RequestSettings,
        RevokeNamedKey, Score, ScoringAdmission, ServiceKind, Shut, Way, flush_requests, locate, report_probe,
    },
};
use kernel::{Caller, Error, Kind, ResourceId, Secret, Source};

use crate::stand::Stand;

fn of_image() -> DeploymentRequest {
    DeploymentRequest {
        kind: Some(ServiceKind::Cluster),
        image: Some("iris".parse().unwrap()),
        ..DeploymentRequest::default()
    }
}

async fn probe_all(stand: &Stand) {
    for replica in stand.listening().await {
        report_probe(&stand.house, &replica, true).await.unwrap();
    }
}

/// An endpoint `svc` whose deployments all answer.
async fn service(names: &[&str]) -> Stand {
    let stand = Stand::new().await;
    stand.iris().await;
    stand.endpoint("svc", EndpointRequest::default()).await.unwrap();
    for name in names {
        stand.deploy_as("svc", name, of_image()).await.unwrap();
    }
    probe_all(&stand).await;
    stand
}

fn endpoint_id(stand: &Stand) -> ResourceId {
    stand.id(&["onlineEndpoints", "svc"])
}

fn shares(pairs: &[(&str, u8)]) -> BTreeMap<String, u8> {
    pairs.iter().map(|(name, share)| ((*name).to_owned(), *share)).collect()
}

async fn split(stand: &Stand, pairs: &[(&str, u8)]) -> Result<EndpointView, Error> {
    stand.endpoint("svc", EndpointRequest { traffic: Some(shares(pairs)), ..EndpointRequest::default() }).await
}

async fn traffic(stand: &Stand) -> BTreeMap<String, u8> {
    let found = enter(&stand.house, &stand.owner, GetEndpoint { id: endpoint_id(stand) }).await.unwrap();
    found.row.value.properties.traffic
}

async fn primary(stand: &Stand) -> String {
    let op = ListServiceKeys { endpoint: endpoint_id(stand) };
    enter(&stand.house, &stand.owner, op).await.unwrap().primary.expose().clone()
}

async fn admit(
    stand: &Stand,
    key: &str,
    deployment: Option<&str>,
    model: Option<&str>,
) -> Result<ScoringAdmission, Error> {
    let words = CallWords { method: String::from("POST"), path: String::from("/score"), user_agent: String::new() };
    let op = Score {
        located: locate(&stand.house, stand.guid, "svc").await?,
        credential: Some(Secret::new(key.to_owned())),
        deployment: deployment.map(str::to_owned),
        model: model.map(str::to_owned),
        words,
    };
    let mut admission = enter(&stand.house, &Caller::nobody(Source::internal()), op).await?;
    admission.ticket.note_status(200);
    Ok(admission)
}

/// Which deployment answers, or why none does.
async fn call(stand: &Stand, key: &str, deployment: Option<&str>) -> Result<String, Shut> {
    let admission = admit(stand, key, deployment, None).await.unwrap();
    match admission.way {
        Way::Open { .. } => Ok(admission.deployment.unwrap()),
        Way::Shut(shut) => Err(shut),
    }
}

async fn remove(stand: &Stand, name: &str) -> Result<(), Error> {
    let id = stand.id(&["onlineEndpoints", "svc", "deployments", name]);
    enter(&stand.house, &stand.owner, DeleteDeployment { id }).await
}

#[tokio::test]
async fn calls_are_shared_by_traffic_and_the_header_picks_one() {
    let stand = service(&["blue", "green"]).await;
    assert_eq!(traffic(&stand).await, shares(&[("blue", 100)]), "a second deployment gets nothing by itself");
    let key = primary(&stand).await;
    assert_eq!(call(&stand, &key, None).await.unwrap(), "blue");
    assert_eq!(call(&stand, &key, Some("green")).await.unwrap(), "green", "without traffic it can be tried by name");
    assert_eq!(call(&stand, &key, Some("elsewhere")).await.unwrap(), "blue", "an unknown name is routed by traffic");
    split(&stand, &[("blue", 90), ("green", 10)]).await.unwrap();
    let mut green = 0;
    for _ in 0..200 {
        green += usize::from(call(&stand, &key, None).await.unwrap() == "green");
    }
    assert_eq!(green, 20);
    for bad in [&[("blue", 90)][..], &[("blue", 100), ("green", 1)], &[("red", 100)]] {
        assert_eq!(split(&stand, bad).await.unwrap_err().kind(), Kind::Invalid, "{bad:?}");
    }
    split(&stand, &[]).await.unwrap();
    assert_eq!(call(&stand, &key, None).await, Err(Shut::NoDeployment));
    assert_eq!(call(&stand, &key, Some("blue")).await.unwrap(), "blue");
}

#[tokio::test]
async fn the_first_is_the_default_and_gets_the_rest() {
    let stand = service(&["green", "blue", "red"]).await;
    let rest =
        |pairs: &[(&str, u8)]| EndpointRequest { percentiles: Some(shares(pairs)), ..EndpointRequest::default() };
    stand.endpoint("svc", rest(&[("blue", 20), ("red", 10)])).await.unwrap();
    assert_eq!(traffic(&stand).await, shares(&[("blue", 20), ("green", 70), ("red", 10)]));
    let both = EndpointRequest { traffic: Some(shares(&[])), ..rest(&[]) };
    assert_eq!(stand.endpoint("svc", both).await.unwrap_err().kind(), Kind::Invalid);
    let default = |name: &str| EndpointRequest { default_deployment: Some(name.to_owned()), ..rest(&[("red", 10)]) };
    assert_eq!(stand.endpoint("svc", default("white")).await.unwrap_err().kind(), Kind::Invalid);
    stand.endpoint("svc", default("blue")).await.unwrap();
    assert_eq!(traffic(&stand).await, shares(&[("blue", 90), ("red", 10)]));
}

#[tokio::test]
async fn what_is_called_and_the_default_stay() {
    let stand = service(&["blue", "green"]).await;
    split(&stand, &[("blue", 50), ("green", 50)]).await.unwrap();
    assert_eq!(remove(&stand, "green").await.unwrap_err().kind(), Kind::Conflict, "it has traffic");
    split(&stand, &[("green", 100)]).await.unwrap();
    let fault = remove(&stand, "blue").await.unwrap_err();
    assert_eq!(fault.kind(), Kind::Conflict);
    assert!(fault.public().contains("default"), "{fault}");
    let moved = EndpointRequest { default_deployment: Some(String::from("green")), ..EndpointRequest::default() };
    stand.endpoint("svc", moved).await.unwrap();
    remove(&stand, "blue").await.unwrap();
    assert_eq!(stand.listening().await.len(), 1);
    assert_eq!(call(&stand, &primary(&stand).await, None).await.unwrap(), "green");
}

#[tokio::test]
async fn six_deployments_of_one_kind() {
    let stand = service(&["one", "two", "three", "four", "five"]).await;
    let other = DeploymentRequest { kind: Some(ServiceKind::SingleContainer), ..of_image() };
    assert_eq!(stand.deploy_as("svc", "six", other).await.unwrap_err().kind(), Kind::Invalid);
    stand.deploy_as("svc", "six", of_image()).await.unwrap();
    let fault = stand.deploy_as("svc", "seven", of_image()).await.unwrap_err();
    assert_eq!(fault.kind(), Kind::Conflict);
    assert!(fault.public().contains('6'), "{fault}");
    // Those that are there can still be changed.
    stand.deploy_as("svc", "six", of_image()).await.unwrap();
    assert_eq!(stand.listening().await.len(), 6);
}

#[tokio::test]
async fn a_call_that_waited_while_its_deployment_went_is_answered_by_another() {
    let stand = Stand::new().await;
    stand.iris().await;
    stand.endpoint("svc", EndpointRequest::default()).await.unwrap();
    let requests = Some(RequestSettings { concurrent: 1, wait_ms: 20_000, timeout_ms: 60_000 });
    for name in ["green", "blue"] {
        stand.deploy_as("svc", name, DeploymentRequest { requests, ..of_image() }).await.unwrap();
    }
    probe_all(&stand).await;
    let key = primary(&stand).await;
    split(&stand, &[("blue", 100)]).await.unwrap();
    let first = admit(&stand, &key, None, None).await.unwrap();
    assert_eq!(first.deployment.as_deref(), Some("blue"));
    let changing = async {
        // The other call is in the queue of `blue` by then.
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
        split(&stand, &[("green", 100)]).await.unwrap();
        remove(&stand, "blue").await.unwrap();
        drop(first);
    };
    let (second, ()) = tokio::join!(admit(&stand, &key, None, None), changing);
    let second = second.unwrap();
    assert_eq!(second.deployment.as_deref(), Some("green"));
    assert!(matches!(second.way, Way::Open { .. }), "{:?}", second.way);
}

#[tokio::test]
async fn a_model_is_asked_for_by_name() {
    let stand = service(&["blue"]).await;
    let key = primary(&stand).await;
    assert!(matches!(admit(&stand, &key, None, Some("iris")).await.unwrap().way, Way::Open { .. }));
    for deployment in [None, Some("blue")] {
        let way = admit(&stand, &key, deployment, Some("rose")).await.unwrap().way;
        assert!(matches!(way, Way::Shut(Shut::NoModel)), "{way:?}");
    }
}

async fn enable(stand: &Stand, form: Form) {
    let request = EndpointRequest { named_keys: Some(true), form: Some(form), ..EndpointRequest::default() };
    stand.endpoint("svc", request).await.unwrap();
}

async fn make(stand: &Stand, who: &Caller, name: &str, request: NamedKeyRequest) -> Result<String, Error> {
    let op = CreateNamedKey { endpoint: endpoint_id(stand), name: name.to_owned(), request };
    Ok(enter(&stand.house, who, op).await?.text.expose().clone())
}

async fn revoke(stand: &Stand, name: &str) -> Result<(), Error> {
    let op = RevokeNamedKey { endpoint: endpoint_id(stand), name: name.to_owned() };
    enter(&stand.house, &stand.owner, op).await
}

async fn is_refused(stand: &Stand, credential: &str) -> bool {
    matches!(admit(stand, credential, None, None).await, Err(fault) if fault.kind() == Kind::Unauthenticated)
}

#[tokio::test]
async fn named_keys_and_tokens_are_valid_at_once_and_each_call_says_whose_it_was() {
    let stand = service(&["blue"]).await;
    let pair = primary(&stand).await;
    let fault = make(&stand, &stand.owner, "batch-7", NamedKeyRequest::default()).await.unwrap_err();
    assert_eq!(fault.kind(), Kind::Invalid, "the endpoint does not say so");
    enable(&stand, Form::Token).await;
    assert!(is_refused(&stand, &pair).await, "the form in force stays the only other one");
    let seven = make(&stand, &stand.owner, "batch-7", NamedKeyRequest::default()).await.unwrap();
    let eight = make(&stand, &stand.owner, "batch-8", NamedKeyRequest::default()).await.unwrap();
    let op = IssueServiceToken { endpoint: endpoint_id(&stand) };
    let token = enter(&stand.house, &stand.owner, op).await.unwrap().token.expose().clone();
    for credential in [&seven, &eight, &token] {
        assert_eq!(call(&stand, credential, None).await.unwrap(), "blue");
    }
    revoke(&stand, "batch-7").await.unwrap();
    assert!(is_refused(&stand, &seven).await);
    assert!(!is_refused(&stand, &eight).await && !is_refused(&stand, &token).await);
    assert_eq!(revoke(&stand, "batch-7").await.unwrap_err().kind(), Kind::NotFound);
    // A new key of the same name is another one.
    let again = make(&stand, &stand.owner, "batch-7", NamedKeyRequest::default()).await.unwrap();
    assert!(is_refused(&stand, &seven).await && !is_refused(&stand, &again).await);
    // Switched off, they are refused, and the form stays.
    let off = EndpointRequest { named_keys: Some(false), ..EndpointRequest::default() };
    stand.endpoint("svc", off).await.unwrap();
    assert!(is_refused(&stand, &eight).await && !is_refused(&stand, &token).await);
    flush_requests(&stand.house).await.unwrap();
    let op = ListRequests { endpoint: endpoint_id(&stand), most: 100 };
    let found = enter(&stand.house, &stand.owner, op).await.unwrap();
    let callers: BTreeSet<_> = found.iter().map(|record| record.caller.as_str()).collect();
    let owner = format!("principal {}", stand.owner.principal().unwrap().id);
    assert_eq!(callers, BTreeSet::from(["key batch-7", "key batch-8", owner.as_str()]));
}

#[tokio::test]
async fn a_named_key_expires() {
    let stand = service(&["blue"]).await;
    enable(&stand, Form::Key).await;
    let now = stand.house.now();
    let until = |at| NamedKeyRequest { expires_at: Some(at), ..NamedKeyRequest::default() };
    assert_eq!(make(&stand, &stand.owner, "late", until(now)).await.unwrap_err().kind(), Kind::Invalid);
    let key = make(&stand, &stand.owner, "hour", until(now.plus(Duration::from_secs(3600)))).await.unwrap();
    stand.clock.advance(Duration::from_secs(3599));
    assert!(!is_refused(&stand, &key).await);
    stand.clock.advance(Duration::from_secs(1));
    assert!(is_refused(&stand, &key).await);
    assert!(!is_refused(&stand, &primary(&stand).await).await);
}

#[tokio::test]
async fn a_named_key_is_for_its_deployments_alone() {
    let stand = service(&["blue", "green"]).await;
    enable(&stand, Form::Key).await;
    let request = NamedKeyRequest { deployments: BTreeSet::from([String::from("green")]), ..Default::default() };
    let key = make(&stand, &stand.owner, "green-only", request).await.unwrap();
    assert_eq!(call(&stand, &key, Some("green")).await.unwrap(), "green");
    assert_eq!(call(&stand, &key, Some("blue")).await, Err(Shut::OutOfScope));
    assert_eq!(call(&stand, &key, None).await, Err(Shut::OutOfScope), "all traffic goes to `blue`");
    split(&stand, &[("blue", 90), ("green", 10)]).await.unwrap();
    for _ in 0..20 {
        assert_eq!(call(&stand, &key, None).await.unwrap(), "green");
    }
}

#[tokio::test]
async fn a_named_key_has_its_calls_of_a_minute() {
    let stand = service(&["blue"]).await;
    enable(&stand, Form::Key).await;
    let request = NamedKeyRequest { calls_a_minute: Some(3), ..NamedKeyRequest::default() };
    let key = make(&stand, &stand.owner, "slow", request).await.unwrap();
    for _ in 0..3 {
        assert!(call(&stand, &key, None).await.is_ok());
    }
    // A change of the service does not begin the minute anew.
    split(&stand, &[("blue", 100)]).await.unwrap();
    stand.clock.advance(Duration::from_secs(20));
    assert_eq!(call(&stand, &key, None).await, Err(Shut::Throttled { seconds: 40 }));
    assert!(call(&stand, &primary(&stand).await, None).await.is_ok(), "others go on");
    stand.clock.advance(Duration::from_secs(40));
    assert!(call(&stand, &key, None).await.is_ok());
}

#[tokio::test]
async fn named_keys_are_bounded_and_not_seen_again() {
    let stand = service(&["blue"]).await;
    enable(&stand, Form::Key).await;
    let plain = NamedKeyRequest::default;
    for bad in ["primary", "secondary", "A", "x_y", ""] {
        assert_eq!(make(&stand, &stand.owner, bad, plain()).await.unwrap_err().kind(), Kind::Invalid, "{bad}");
    }
    let too_many = NamedKeyRequest { calls_a_minute: Some(0), ..plain() };
    assert_eq!(make(&stand, &stand.owner, "zero", too_many).await.unwrap_err().kind(), Kind::Invalid);
    let text = make(&stand, &stand.owner, "key-0", plain()).await.unwrap();
    assert_eq!(make(&stand, &stand.owner, "key-0", plain()).await.unwrap_err().kind(), Kind::Exists);
    for number in 1..100 {
        make(&stand, &stand.owner, &format!("key-{number}"), plain()).await.unwrap();
    }
    assert_eq!(make(&stand, &stand.owner, "key-100", plain()).await.unwrap_err().kind(), Kind::Conflict);
    let reader = stand.reader().await;
    let found = enter(&stand.house, &reader, ListNamedKeys { endpoint: endpoint_id(&stand) }).await.unwrap();
    assert_eq!(found.len(), 100);
    assert!(!format!("{found:?}").contains(&text));
    assert_eq!(make(&stand, &reader, "mine", plain()).await.unwrap_err().kind(), Kind::Denied);
}
