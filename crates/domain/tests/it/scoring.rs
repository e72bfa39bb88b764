//! Endpoints, deployments and the admission of calls.

use std::{collections::BTreeMap, time::Duration};

use bytes::Bytes;
use domain::{
    compute::AppendLog,
    gate::enter,
    operations::GetOperation,
    resources::{GetResource, Precondition},
    scoring::{
        AuthWords, CallWords, DeleteDeployment, DeleteEndpoint, Deployed, Deployment, DeploymentRequest,
        EndpointRequest, Form, GetEndpoint, GetServiceLog, IssueServiceToken, KeyName, KeyPair, ListRequests,
        ListServiceKeys, PutDeployment, PutEndpoint, RegenerateServiceKey, RequestSettings, Score, ServiceKind,
        ServiceState, Shut, Way, flush_requests, locate, report_probe, supervise,
    },
    tracking::DeleteModelVersion,
};
use kernel::{Caller, Error, Kind, Secret, Source};
use serde_json::Value;

use crate::stand::{Stand, agent_address};

fn of_image(kind: ServiceKind) -> DeploymentRequest {
    DeploymentRequest { kind: Some(kind), image: Some("iris".parse().unwrap()), ..DeploymentRequest::default() }
}

fn words(key: Option<bool>, token: Option<bool>) -> AuthWords {
    AuthWords { key, token }
}

async fn form(stand: &Stand, endpoint: &str) -> Option<Form> {
    let op = GetEndpoint { id: stand.id(&["onlineEndpoints", endpoint]) };
    enter(&stand.house, &stand.owner, op).await.unwrap().row.value.properties.form
}

async fn deployment(stand: &Stand) -> Deployment {
    let op = GetResource::<Deployment>::new(stand.id(&["onlineEndpoints", "svc", "deployments", "blue"]));
    enter(&stand.house, &stand.owner, op).await.unwrap().value.properties
}

/// A call: how it was proved, and where it goes.
async fn call(stand: &Stand, name: &str, credential: Option<&str>) -> Result<(Way, String), Error> {
    let words = CallWords { method: String::from("POST"), path: String::from("/score"), user_agent: "a".repeat(100) };
    let op = Score {
        located: locate(&stand.house, stand.guid, name).await?,
        credential: credential.map(|text| Secret::new(text.to_owned())),
        deployment: None,
        model: None,
        words,
    };
    let mut admission = enter(&stand.house, &Caller::nobody(Source::internal()), op).await?;
    admission.ticket.note_status(200);
    Ok((admission.way, admission.deployment.unwrap_or_default()))
}

async fn keys(stand: &Stand) -> KeyPair {
    let op = ListServiceKeys { endpoint: stand.id(&["onlineEndpoints", "svc"]) };
    enter(&stand.house, &stand.owner, op).await.unwrap()
}

async fn token(stand: &Stand, caller: &Caller) -> Result<domain::identity::ServiceToken, Error> {
    let op = IssueServiceToken { endpoint: stand.id(&["onlineEndpoints", "svc"]) };
    enter(&stand.house, caller, op).await
}

async fn switch(stand: &Stand, form: Form) -> Result<(), Error> {
    let op = PutEndpoint {
        id: stand.id(&["onlineEndpoints", "svc"]),
        request: EndpointRequest { form: Some(form), ..EndpointRequest::default() },
        must_exist: true,
        precondition: Precondition::default(),
    };
    enter(&stand.house, &stand.owner, op).await.map(drop)
}

/// A healthy service `svc` of a kind.
async fn healthy(kind: ServiceKind) -> (Stand, Deployed) {
    let stand = Stand::new().await;
    stand.iris().await;
    stand.endpoint("svc", EndpointRequest::default()).await.unwrap();
    let deployed = stand.deploy("svc", of_image(kind)).await.unwrap();
    stand.begin_launches().await;
    for replica in stand.listening().await {
        report_probe(&stand.house, &replica, true).await.unwrap();
    }
    (stand, deployed)
}

async fn status(stand: &Stand, deployed: &Deployed) -> (String, String) {
    let op = GetOperation { workspace: stand.workspace.clone(), id: deployed.operation.unwrap() };
    let found = enter(&stand.house, &stand.owner, op).await.unwrap();
    let failure = found.end.as_ref().and_then(|end| end.failure.clone());
    (found.status().to_owned(), failure.map(|failure| failure.message).unwrap_or_default())
}

#[tokio::test]
async fn defaults_differ_by_kind() {
    let stand = Stand::new().await;
    stand.iris().await;
    for (name, kind, due) in
        [("one", ServiceKind::SingleContainer, Form::Off), ("two", ServiceKind::Cluster, Form::Key)]
    {
        stand.endpoint(name, EndpointRequest::default()).await.unwrap();
        assert_eq!(form(&stand, name).await, None);
        stand.deploy(name, of_image(kind)).await.unwrap();
        assert_eq!(form(&stand, name).await, Some(due));
        // Neither kind asks for tokens unless told to.
        let op = IssueServiceToken { endpoint: stand.id(&["onlineEndpoints", name]) };
        assert_eq!(enter(&stand.house, &stand.owner, op).await.unwrap_err().kind(), Kind::Invalid);
    }
}

#[tokio::test]
async fn both_forms_at_once_are_refused_and_change_nothing() {
    let (stand, _) = healthy(ServiceKind::Cluster).await;
    let request = DeploymentRequest { auth: words(Some(true), Some(true)), ..of_image(ServiceKind::Cluster) };
    let fault = stand.deploy("svc", request).await.unwrap_err();
    assert!(fault.public().contains("cannot both be true"), "{fault}");
    assert_eq!(form(&stand, "svc").await, Some(Form::Key));
    let request = DeploymentRequest { auth: words(None, Some(true)), ..of_image(ServiceKind::SingleContainer) };
    stand.endpoint("one", EndpointRequest::default()).await.unwrap();
    let fault = stand.deploy("one", request).await.unwrap_err();
    assert_eq!(fault.kind(), Kind::Unsupported);
    assert!(fault.public().contains("not supported"), "{fault}");
}

#[tokio::test]
async fn both_keys_are_valid_and_each_can_be_made_anew() {
    let (stand, _) = healthy(ServiceKind::Cluster).await;
    let before = keys(&stand).await;
    for key in [&before.primary, &before.secondary] {
        assert!(matches!(call(&stand, "svc", Some(key.expose())).await.unwrap().0, Way::Open { .. }));
    }
    let regenerate = |key, value: Option<&str>| RegenerateServiceKey {
        endpoint: stand.id(&["onlineEndpoints", "svc"]),
        key,
        value: value.map(|text| Secret::new(text.to_owned())),
    };
    // Some clients echo the old key; it must not stay.
    let op = regenerate(KeyName::Primary, Some(before.primary.expose()));
    enter(&stand.house, &stand.owner, op).await.unwrap();
    let after = keys(&stand).await;
    assert_ne!(after.primary.expose(), before.primary.expose());
    assert_eq!(after.secondary.expose(), before.secondary.expose());
    assert_eq!(call(&stand, "svc", Some(before.primary.expose())).await.unwrap_err().kind(), Kind::Unauthenticated);
    assert!(call(&stand, "svc", Some(after.primary.expose())).await.is_ok());
    assert!(call(&stand, "svc", Some(after.secondary.expose())).await.is_ok());
    let chosen = "c".repeat(40);
    enter(&stand.house, &stand.owner, regenerate(KeyName::Secondary, Some(&chosen))).await.unwrap();
    assert!(call(&stand, "svc", Some(&chosen)).await.is_ok());
    let fault = enter(&stand.house, &stand.owner, regenerate(KeyName::Secondary, Some("short"))).await.unwrap_err();
    assert_eq!(fault.kind(), Kind::Invalid);
    assert!("Tertiary".parse::<KeyName>().is_err() && "PRIMARY".parse::<KeyName>().is_ok());
}

#[tokio::test]
async fn a_stranger_learns_nothing() {
    let (stand, _) = healthy(ServiceKind::Cluster).await;
    for credential in [None, Some("bzk_wrong"), Some("")] {
        let known = call(&stand, "svc", credential).await.unwrap_err();
        let unknown = call(&stand, "nosuch", credential).await.unwrap_err();
        let impossible = call(&stand, "No Such/Name", credential).await.unwrap_err();
        assert_eq!(known.kind(), Kind::Unauthenticated);
        assert_eq!(known.public(), unknown.public());
        assert_eq!(known.public(), impossible.public());
    }
    // The owner's own access token is no key of the service.
    let bearer = stand.bearer().await;
    assert_eq!(call(&stand, "svc", Some(&bearer)).await.unwrap_err().kind(), Kind::Unauthenticated);
    let management = token(&stand, &stand.owner).await.unwrap_err();
    assert_eq!(management.kind(), Kind::Invalid);
}

#[tokio::test]
async fn a_token_is_for_one_service_and_one_hour() {
    let (stand, _) = healthy(ServiceKind::Cluster).await;
    switch(&stand, Form::Token).await.unwrap();
    let reader = stand.reader().await;
    let made = token(&stand, &reader).await.unwrap();
    let now = stand.house.now().seconds();
    assert_eq!((made.expires_on - now, made.refresh_after - now), (3600, 2700));
    let payload = made.token.expose().split('.').nth(1).unwrap().to_owned();
    let claims: Value = serde_json::from_slice(&unpadded(&payload)).unwrap();
    assert_eq!(claims["exp"], made.expires_on);
    assert!(claims["aud"].as_str().unwrap().starts_with("urn:bartizan:service:"));
    assert!(call(&stand, "svc", Some(made.token.expose())).await.is_ok());
    // It opens no other service, and nothing else at all.
    stand.endpoint("other", EndpointRequest { form: Some(Form::Token), ..EndpointRequest::default() }).await.unwrap();
    assert!(call(&stand, "other", Some(made.token.expose())).await.is_err());
    assert!(domain::identity::identify(&stand.house, made.token.expose(), Source::internal()).await.is_err());
    stand.clock.advance(Duration::from_secs(3599));
    assert!(call(&stand, "svc", Some(made.token.expose())).await.is_ok());
    stand.clock.advance(Duration::from_secs(1));
    assert!(call(&stand, "svc", Some(made.token.expose())).await.is_err());
    let next = token(&stand, &reader).await.unwrap();
    assert!(call(&stand, "svc", Some(next.token.expose())).await.is_ok());
}

fn unpadded(text: &str) -> Vec<u8> {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    URL_SAFE_NO_PAD.decode(text).unwrap()
}

#[tokio::test]
async fn the_form_switches_at_once_and_without_a_gap() {
    let (stand, _) = healthy(ServiceKind::Cluster).await;
    let pair = keys(&stand).await;
    let replica = deployment(&stand).await.current.unwrap();
    switch(&stand, Form::Token).await.unwrap();
    assert!(call(&stand, "svc", Some(pair.primary.expose())).await.is_err());
    let bearer = token(&stand, &stand.owner).await.unwrap();
    assert!(matches!(call(&stand, "svc", Some(bearer.token.expose())).await.unwrap().0, Way::Open { .. }));
    let op = ListServiceKeys { endpoint: stand.id(&["onlineEndpoints", "svc"]) };
    assert_eq!(enter(&stand.house, &stand.owner, op).await.unwrap_err().kind(), Kind::Invalid);
    // The same switch by the deployment's own words.
    let request = DeploymentRequest { auth: words(Some(true), None), ..of_image(ServiceKind::Cluster) };
    let deployed = stand.deploy("svc", request).await.unwrap();
    assert_eq!(deployed.operation, None);
    assert!(call(&stand, "svc", Some(bearer.token.expose())).await.is_err());
    assert!(call(&stand, "svc", Some(pair.primary.expose())).await.is_ok());
    assert_eq!(deployment(&stand).await.current.unwrap(), replica);
}

#[tokio::test]
async fn a_reader_gets_tokens_and_no_keys() {
    let (stand, _) = healthy(ServiceKind::Cluster).await;
    let reader = stand.reader().await;
    let op = ListServiceKeys { endpoint: stand.id(&["onlineEndpoints", "svc"]) };
    assert_eq!(enter(&stand.house, &reader, op).await.unwrap_err().kind(), Kind::Denied);
    let put = PutDeployment {
        id: stand.id(&["onlineEndpoints", "svc", "deployments", "blue"]),
        request: of_image(ServiceKind::Cluster),
        is_patch: false,
        precondition: Precondition::default(),
    };
    assert_eq!(enter(&stand.house, &reader, put).await.unwrap_err().kind(), Kind::Denied);
    switch(&stand, Form::Token).await.unwrap();
    assert!(token(&stand, &reader).await.is_ok());
}

#[tokio::test]
async fn a_deployment_becomes_healthy_and_its_operation_ends() {
    let stand = Stand::new().await;
    stand.iris().await;
    stand.endpoint("svc", EndpointRequest::default()).await.unwrap();
    let deployed = stand.deploy("svc", of_image(ServiceKind::Cluster)).await.unwrap();
    assert!(deployed.is_new);
    assert_eq!(status(&stand, &deployed).await.0, "InProgress");
    assert_eq!(deployment(&stand).await.state, ServiceState::Transitioning);
    let pair = keys(&stand).await;
    let (way, _) = call(&stand, "svc", Some(pair.primary.expose())).await.unwrap();
    assert!(matches!(way, Way::Shut(Shut::NoReplica)));

    stand.begin_launches().await;
    let replica = stand.listening().await.remove(0);
    report_probe(&stand.house, &replica, false).await.unwrap();
    supervise(&stand.house).await.unwrap();
    assert_eq!(deployment(&stand).await.state, ServiceState::Transitioning);
    report_probe(&stand.house, &replica, true).await.unwrap();
    assert_eq!(status(&stand, &deployed).await.0, "Succeeded");
    assert_eq!(deployment(&stand).await.state, ServiceState::Healthy);
    let (way, name) = call(&stand, "svc", Some(pair.primary.expose())).await.unwrap();
    assert_eq!(name, "blue");
    let Way::Open { socket, .. } = way else { panic!("{way:?}") };
    assert_eq!(socket, replica.socket);
}

#[tokio::test]
async fn a_script_that_fails_fails_the_deployment_with_its_log() {
    let stand = Stand::new().await;
    stand.iris().await;
    stand.endpoint("svc", EndpointRequest::default()).await.unwrap();
    let deployed = stand.deploy("svc", of_image(ServiceKind::Cluster)).await.unwrap();
    let agent = stand.begin_launches().await.remove(0);
    let log = AppendLog {
        address: agent_address(&agent),
        name: String::from("user_logs/std_log.txt"),
        offset: 0,
        bytes: Bytes::from_static(b"loading\ninit: ValueError: no such file\n"),
    };
    enter(&stand.house, &agent, log).await.unwrap();
    stand.finish(&agent, "the program ended with exit code 4").await;
    supervise(&stand.house).await.unwrap();
    let found = deployment(&stand).await;
    assert_eq!(found.state, ServiceState::Failed);
    let reason = found.reason.unwrap();
    assert!(reason.contains("exit code 4") && reason.contains("ValueError"), "{reason}");
    let (word, message) = status(&stand, &deployed).await;
    assert_eq!((word.as_str(), message), ("Failed", reason));
    let id = stand.id(&["onlineEndpoints", "svc", "deployments", "blue"]);
    let log = enter(&stand.house, &stand.owner, GetServiceLog { deployment: id, tail: 2 }).await.unwrap();
    assert!(log.contains("ValueError") && log.lines().count() == 2, "{log}");
    // Deploying again starts anew.
    assert!(stand.deploy("svc", of_image(ServiceKind::Cluster)).await.unwrap().operation.is_some());
}

#[tokio::test]
async fn a_replica_that_dies_is_replaced() {
    let (stand, _) = healthy(ServiceKind::Cluster).await;
    let first = deployment(&stand).await.current.unwrap();
    let who = kernel::RunCaller {
        run: first.launch.clone(),
        workspace: stand.guid,
        scope: stand.workspace.clone(),
        on_behalf_of: kernel::PrincipalId::random(),
        only: Vec::new(),
    };
    let agent = Caller { who: kernel::Who::Run(who), source: Source::internal() };
    stand.finish(&agent, "killed").await;
    supervise(&stand.house).await.unwrap();
    assert_eq!(deployment(&stand).await.state, ServiceState::Unhealthy);
    let pair = keys(&stand).await;
    let (way, _) = call(&stand, "svc", Some(pair.primary.expose())).await.unwrap();
    assert!(matches!(way, Way::Shut(Shut::NoReplica)));
    supervise(&stand.house).await.unwrap();
    assert!(stand.listening().await.is_empty());
    stand.clock.advance(Duration::from_secs(1));
    supervise(&stand.house).await.unwrap();
    let replica = stand.listening().await.remove(0);
    report_probe(&stand.house, &replica, true).await.unwrap();
    let found = deployment(&stand).await;
    assert_eq!(found.state, ServiceState::Healthy);
    assert_ne!(found.current.unwrap().launch, first.launch);
    assert!(matches!(call(&stand, "svc", Some(pair.primary.expose())).await.unwrap().0, Way::Open { .. }));
}

#[tokio::test]
async fn a_new_image_takes_over_without_a_gap() {
    let (stand, _) = healthy(ServiceKind::Cluster).await;
    let old = deployment(&stand).await.current.unwrap();
    let pair = keys(&stand).await;
    stand.register("iris", "2", &[("model.onnx", b"better")]).await.unwrap();
    stand.package("iris", "2", "iris").await.unwrap();
    let deployed = stand.deploy("svc", of_image(ServiceKind::Cluster)).await.unwrap();
    assert!(!deployed.is_new && deployed.operation.is_some());
    let Way::Open { socket, .. } = call(&stand, "svc", Some(pair.primary.expose())).await.unwrap().0 else { panic!() };
    assert_eq!(socket, old.socket);
    let replicas = stand.listening().await;
    let coming = replicas.iter().find(|replica| replica.socket != old.socket).unwrap();
    report_probe(&stand.house, coming, true).await.unwrap();
    let Way::Open { socket, .. } = call(&stand, "svc", Some(pair.primary.expose())).await.unwrap().0 else { panic!() };
    assert_eq!(socket, coming.socket);
    assert_eq!(stand.listening().await.len(), 1);
}

#[tokio::test]
async fn three_missed_probes_make_a_replica_unhealthy() {
    let (stand, _) = healthy(ServiceKind::Cluster).await;
    let replica = stand.listening().await.remove(0);
    for due in [ServiceState::Healthy, ServiceState::Healthy, ServiceState::Unhealthy] {
        report_probe(&stand.house, &replica, false).await.unwrap();
        assert_eq!(deployment(&stand).await.state, due);
    }
    let replica = stand.listening().await.remove(0);
    report_probe(&stand.house, &replica, true).await.unwrap();
    assert_eq!(deployment(&stand).await.state, ServiceState::Healthy);
}

#[tokio::test]
async fn a_model_in_use_cannot_be_deleted() {
    let (stand, _) = healthy(ServiceKind::Cluster).await;
    let delete = || DeleteModelVersion { workspace: stand.workspace.clone(), name: String::from("iris"), version: 1 };
    assert_eq!(enter(&stand.house, &stand.owner, delete()).await.unwrap_err().kind(), Kind::Conflict);
    let remove = || DeleteDeployment { id: stand.id(&["onlineEndpoints", "svc", "deployments", "blue"]) };
    let fault = enter(&stand.house, &stand.owner, remove()).await.unwrap_err();
    assert_eq!(fault.kind(), Kind::Conflict, "it is called");
    let none = EndpointRequest { traffic: Some(BTreeMap::new()), ..EndpointRequest::default() };
    stand.endpoint("svc", none).await.unwrap();
    enter(&stand.house, &stand.owner, remove()).await.unwrap();
    enter(&stand.house, &stand.owner, delete()).await.unwrap();
    assert!(stand.listening().await.is_empty());
}

#[tokio::test]
async fn a_service_that_was_deleted_is_gone_and_its_name_is_free() {
    let (stand, _) = healthy(ServiceKind::Cluster).await;
    let pair = keys(&stand).await;
    enter(&stand.house, &stand.owner, DeleteEndpoint { id: stand.id(&["onlineEndpoints", "svc"]) }).await.unwrap();
    assert!(call(&stand, "svc", Some(pair.primary.expose())).await.is_err());
    stand.endpoint("svc", EndpointRequest { form: Some(Form::Key), ..EndpointRequest::default() }).await.unwrap();
    assert_ne!(keys(&stand).await.primary.expose(), pair.primary.expose());
    assert!(call(&stand, "svc", Some(pair.primary.expose())).await.is_err());
}

#[tokio::test]
async fn every_call_leaves_one_record_with_who_and_which_model() {
    let (stand, _) = healthy(ServiceKind::Cluster).await;
    let pair = keys(&stand).await;
    call(&stand, "svc", Some(pair.primary.expose())).await.unwrap();
    call(&stand, "svc", Some(pair.secondary.expose())).await.unwrap();
    switch(&stand, Form::Token).await.unwrap();
    let reader = stand.reader().await;
    for caller in [&stand.owner, &reader] {
        let bearer = token(&stand, caller).await.unwrap();
        call(&stand, "svc", Some(bearer.token.expose())).await.unwrap();
    }
    assert!(call(&stand, "svc", None).await.is_err());
    flush_requests(&stand.house).await.unwrap();
    let op = ListRequests { endpoint: stand.id(&["onlineEndpoints", "svc"]), most: 100 };
    let found = enter(&stand.house, &reader, op).await.unwrap();
    let mut callers: Vec<_> = found.iter().map(|record| record.caller.clone()).collect();
    callers.sort();
    let principal = |caller: &Caller| format!("principal {}", caller.principal().unwrap().id);
    let mut due =
        vec![String::from("key primary"), String::from("key secondary"), principal(&stand.owner), principal(&reader)];
    due.sort();
    assert_eq!(callers, due);
    for record in &found {
        assert_eq!((record.status, record.user_agent.len()), (200, 70));
        assert_eq!((record.compute_type.as_str(), record.model.as_str()), ("Cluster", "iris:1"));
        assert!(record.model_digest.starts_with("sha256:"));
    }
}

#[tokio::test]
async fn a_full_replica_says_so() {
    let stand = Stand::new().await;
    stand.iris().await;
    stand.endpoint("svc", EndpointRequest::default()).await.unwrap();
    let requests = Some(RequestSettings { concurrent: 1, wait_ms: 1, timeout_ms: 1000 });
    stand.deploy("svc", DeploymentRequest { requests, ..of_image(ServiceKind::SingleContainer) }).await.unwrap();
    let replica = stand.listening().await.remove(0);
    report_probe(&stand.house, &replica, true).await.unwrap();
    let first = call(&stand, "svc", None).await.unwrap();
    assert!(matches!(first.0, Way::Open { .. }));
    assert!(matches!(call(&stand, "svc", None).await.unwrap().0, Way::Shut(Shut::Busy)));
    drop(first);
    assert!(matches!(call(&stand, "svc", None).await.unwrap().0, Way::Open { .. }));
}

#[tokio::test]
async fn what_is_not_offered_is_refused_with_words() {
    let (stand, _) = healthy(ServiceKind::Cluster).await;
    let fault = stand.deploy("svc", of_image(ServiceKind::SingleContainer)).await.unwrap_err();
    assert_eq!(fault.kind(), Kind::Invalid);
    for bad in ["Svc", "a", "x_y", "-ab"] {
        assert_eq!(stand.endpoint(bad, EndpointRequest::default()).await.unwrap_err().kind(), Kind::Invalid, "{bad}");
    }
    let traffic =
        EndpointRequest { traffic: Some(BTreeMap::from([(String::from("green"), 100)])), ..Default::default() };
    assert_eq!(stand.endpoint("svc", traffic).await.unwrap_err().kind(), Kind::Invalid);
    let keys = KeyPair::supplied(Secret::new("a".repeat(32)), Secret::new("a".repeat(32)));
    assert!(keys.is_err());
}

#[tokio::test]
async fn a_model_alone_is_built_on_the_way() {
    let stand = Stand::new().await;
    stand.register("iris", "1", &[("model.onnx", b"1")]).await.unwrap();
    stand.endpoint("svc", EndpointRequest::default()).await.unwrap();
    let model = Some(stand.id(&["models", "iris", "versions", "1"]));
    let deployed = stand.deploy("svc", DeploymentRequest { model, ..DeploymentRequest::default() }).await.unwrap();
    assert_eq!(deployed.row.value.properties.image.name, "iris-model");
}
