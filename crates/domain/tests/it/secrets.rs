//! Secrets of services: named in a deployment's variables, read for its replicas, in the name of who deployed it.

use std::collections::BTreeMap;

use domain::{
    compute::GetRunSecrets,
    gate::enter,
    resources::{Addressed, GetResource, KeyVault, Precondition, Workspace},
    scoring::{Deployed, DeploymentRequest, EndpointRequest, PutDeployment, ServiceKind},
    vault::{AttributesForm, ObjectName, SetSecret},
};
use kernel::{Caller, Kind, Result, Secret};

use crate::stand::{Stand, agent_address};

async fn set(stand: &Stand, name: &str, value: &str) {
    let workspace =
        enter(&stand.house, &stand.owner, GetResource::<Workspace>::new(stand.workspace.clone())).await.unwrap();
    let vault = workspace.value.properties.key_vault;
    let vault = enter(&stand.house, &stand.owner, GetResource::<KeyVault>::new(vault)).await.unwrap().value;
    let op = SetSecret {
        vault: Addressed { id: vault.id, guid: vault.guid },
        name: ObjectName::new(name).unwrap(),
        value: Secret::new(value.to_owned()),
        content_type: None,
        attributes: AttributesForm::default(),
        tags: BTreeMap::new(),
    };
    enter(&stand.house, &Caller::house(), op).await.unwrap();
}

fn with(variables: &[(&str, &str)]) -> DeploymentRequest {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    DeploymentRequest {
        kind: Some(ServiceKind::Cluster),
        image: Some("iris".parse().unwrap()),
        variables: Some(variables),
        ..DeploymentRequest::default()
    }
}

async fn patch(stand: &Stand, caller: &Caller, request: DeploymentRequest) -> Result<Deployed> {
    let id = stand.id(&["onlineEndpoints", "svc", "deployments", "blue"]);
    let op = PutDeployment { id, request, is_patch: true, precondition: Precondition::default() };
    enter(&stand.house, caller, op).await
}

#[tokio::test]
async fn a_replica_is_handed_the_secrets_that_its_deployment_names() {
    let stand = Stand::new().await;
    stand.iris().await;
    stand.endpoint("svc", EndpointRequest::default()).await.unwrap();
    let missing = stand.deploy("svc", with(&[("DB", "secret://db-password")])).await.unwrap_err();
    assert!(missing.kind() == Kind::Invalid && missing.public().contains("`DB`"), "{missing}");
    set(&stand, "db-password", "canary-of-a-service").await;
    let deployed = stand.deploy("svc", with(&[("DB", "secret://db-password"), ("THRESHOLD", "0.5")])).await.unwrap();
    let plan = &deployed.row.value.properties.plan;
    assert_eq!(plan.variables["DB"], "secret://db-password");
    assert!(deployed.row.value.properties.warnings.is_empty());

    let replica = stand.begin_launches().await.remove(0);
    let found = enter(&stand.house, &replica, GetRunSecrets { address: agent_address(&replica) }).await.unwrap();
    let found: Vec<(&str, &str)> = found.iter().map(|(name, value)| (name.as_str(), value.expose().as_str())).collect();
    assert_eq!(found, [("DB", "canary-of-a-service")]);
    // Whoever changes the deployment deploys with its secrets, whether they name them or not.
    let reader = stand.reader().await;
    let fault = patch(&stand, &reader, with(&[])).await.unwrap_err();
    assert_eq!(fault.kind(), Kind::Denied);
    let description = DeploymentRequest { description: Some(String::from("d")), ..DeploymentRequest::default() };
    let kept = patch(&stand, &stand.owner, description).await.unwrap();
    assert_eq!(kept.row.value.properties.plan.variables["DB"], "secret://db-password");
}

#[tokio::test]
async fn a_deployment_with_a_secret_written_out_says_so_until_it_is_gone() {
    let stand = Stand::new().await;
    stand.iris().await;
    stand.endpoint("svc", EndpointRequest::default()).await.unwrap();
    let deployed = stand.deploy("svc", with(&[("DB_PASSWORD", "hunter2hunter2")])).await.unwrap();
    let warnings = &deployed.row.value.properties.warnings;
    assert!(
        warnings.len() == 1 && warnings[0].contains("`DB_PASSWORD`") && !warnings[0].contains("hunter2"),
        "{warnings:?}"
    );
    let description = DeploymentRequest { description: Some(String::from("d")), ..DeploymentRequest::default() };
    let kept = patch(&stand, &stand.owner, description).await.unwrap();
    assert_eq!(kept.row.value.properties.warnings.len(), 1);
    let changed = patch(&stand, &stand.owner, with(&[("LR", "0.1")])).await.unwrap();
    assert!(changed.row.value.properties.warnings.is_empty());
}
