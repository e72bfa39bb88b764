//! What becomes of the services of a workspace that is deleted.

use std::collections::BTreeMap;

use domain::{
    gate::enter,
    resources::{DeleteWorkspace, Precondition, PutWorkspace, WorkspaceRequest},
    scoring::{
        CallWords, DeploymentRequest, EndpointRequest, Form, ListEndpoints, ListServiceKeys, Score, ServiceKind,
        locate, report_probe, supervise,
    },
    tracking::DeleteModelVersion,
};
use kernel::{Caller, Kind, Result, Secret, Source};

use crate::stand::Stand;

async fn call(stand: &Stand, key: &Secret<String>) -> Result<()> {
    let words = CallWords { method: String::from("POST"), path: String::from("/score"), user_agent: String::new() };
    let op = Score {
        located: locate(&stand.house, stand.guid, "svc").await?,
        credential: Some(Secret::new(key.expose().clone())),
        deployment: None,
        model: None,
        words,
    };
    let mut admission = enter(&stand.house, &Caller::nobody(Source::internal()), op).await?;
    admission.ticket.note_status(200);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_workspace_s_services_are_gone_for_good_and_its_models_are_not() {
    let stand = Stand::new().await;
    stand.iris().await;
    let request = EndpointRequest { form: Some(Form::Key), ..EndpointRequest::default() };
    stand.endpoint("svc", request).await.unwrap();
    let image = Some("iris".parse().unwrap());
    let request = DeploymentRequest { kind: Some(ServiceKind::Cluster), image, ..DeploymentRequest::default() };
    stand.deploy("svc", request).await.unwrap();
    supervise(&stand.house).await.unwrap();
    stand.begin_launches().await;
    for listening in stand.listening().await {
        report_probe(&stand.house, &listening, true).await.unwrap();
    }
    let endpoint = stand.id(&["onlineEndpoints", "svc"]);
    let keys = enter(&stand.house, &stand.owner, ListServiceKeys { endpoint }).await.unwrap();
    call(&stand, &keys.primary).await.unwrap();

    let delete = DeleteWorkspace { id: stand.workspace.clone(), purge: false, keep: false };
    enter(&stand.house, &stand.owner, delete).await.unwrap();
    let refused = call(&stand, &keys.primary).await.unwrap_err();
    assert_eq!(refused.kind(), Kind::Unauthenticated, "as for a service that never was");
    assert!(stand.listening().await.is_empty());
    supervise(&stand.house).await.unwrap();

    let recover = PutWorkspace {
        id: stand.workspace.clone(),
        location: String::new(),
        tags: BTreeMap::new(),
        request: WorkspaceRequest { recover: true, ..WorkspaceRequest::default() },
        precondition: Precondition::default(),
    };
    enter(&stand.house, &stand.owner, recover).await.unwrap();
    let list = ListEndpoints { workspace: stand.workspace.clone() };
    assert!(enter(&stand.house, &stand.owner, list).await.unwrap().is_empty());
    assert_eq!(call(&stand, &keys.primary).await.unwrap_err().kind(), Kind::Unauthenticated);
    // The model is there, and no service that ended keeps it from being deleted.
    let delete = DeleteModelVersion { workspace: stand.workspace.clone(), name: String::from("iris"), version: 1 };
    enter(&stand.house, &stand.owner, delete).await.unwrap();
}
