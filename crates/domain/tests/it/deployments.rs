//! Deployments while they are under way, and what is told of one that was cut off.

use std::collections::BTreeMap;

use domain::{
    deployments::{
        BeginDeployment, Begun, CancelDeployment, DeleteTemplateDeployment, DeploymentState, EndDeployment,
        ExportTemplate, TemplateDeployment, TemplateRequest, standing,
    },
    gate::enter,
    resources::GetResource,
};
use kernel::{Caller, Kind, ResourceId, Result};
use serde_json::{Map, Value, json};

use crate::stand::Stand;

fn template() -> Value {
    json!({"$schema": "x", "contentVersion": "1.0.0.0", "resources": []})
}

impl Stand {
    fn deployment_id(&self) -> ResourceId {
        self.workspace.parent().child(["providers", "Microsoft.Resources", "deployments", "d"]).unwrap()
    }

    async fn begin_deployment(&self) -> Result<Begun> {
        let request = TemplateRequest { template: template(), ..TemplateRequest::default() };
        let begin =
            BeginDeployment { id: self.deployment_id(), location: String::new(), tags: BTreeMap::new(), request };
        enter(&self.house, &self.owner, begin).await
    }

    async fn deployment_stands(&self) -> (DeploymentState, Option<String>) {
        let read = GetResource::<TemplateDeployment>::new(self.deployment_id());
        let row = enter(&self.house, &self.owner, read).await.unwrap();
        let (state, fault) = standing(&self.house, &row.value.properties);
        (state, fault.map(|fault| fault.code))
    }
}

#[tokio::test]
async fn one_runs_at_a_time_under_a_name_and_can_be_told_to_stop() {
    let stand = Stand::new().await;
    let begun = stand.begin_deployment().await.unwrap();
    assert_eq!(stand.deployment_stands().await, (DeploymentState::Running, None));
    for refusal in [
        stand.begin_deployment().await.err().unwrap(),
        enter(&stand.house, &stand.owner, DeleteTemplateDeployment { id: stand.deployment_id() }).await.unwrap_err(),
    ] {
        assert_eq!((refusal.kind(), refusal.code()), (Kind::Conflict, Some("DeploymentActive")));
    }
    assert!(!begun.under_way.is_cancelled());
    enter(&stand.house, &stand.owner, CancelDeployment { id: stand.deployment_id() }).await.unwrap();
    assert!(begun.under_way.is_cancelled());
    let run = begun.written.row.value.properties.run;
    let end = EndDeployment {
        id: stand.deployment_id(),
        run,
        state: DeploymentState::Canceled,
        fault: None,
        outputs: Map::new(),
    };
    enter(&stand.house, &Caller::house(), end).await.unwrap();
    drop(begun);
    assert_eq!(stand.deployment_stands().await, (DeploymentState::Canceled, None));
    let late = enter(&stand.house, &stand.owner, CancelDeployment { id: stand.deployment_id() }).await.unwrap_err();
    assert_eq!(late.code(), Some("DeploymentNotActive"));
    let kept = enter(&stand.house, &stand.owner, ExportTemplate { id: stand.deployment_id() }).await.unwrap();
    assert_eq!(kept, template());
    enter(&stand.house, &stand.owner, DeleteTemplateDeployment { id: stand.deployment_id() }).await.unwrap();
}

#[tokio::test]
async fn one_that_was_cut_off_has_failed_and_can_be_begun_again() {
    let stand = Stand::new().await;
    // Whoever carried it out is gone, as after a stop of the server.
    drop(stand.begin_deployment().await.unwrap());
    assert_eq!(stand.deployment_stands().await, (DeploymentState::Failed, Some(String::from("DeploymentInterrupted"))));
    let again = stand.begin_deployment().await.unwrap();
    assert!(!again.written.is_new);
    assert_eq!(stand.deployment_stands().await.0, DeploymentState::Running);
    // The run before has nothing to say any more.
    let end = EndDeployment {
        id: stand.deployment_id(),
        run: uuid::Uuid::nil(),
        state: DeploymentState::Succeeded,
        fault: None,
        outputs: Map::new(),
    };
    assert_eq!(enter(&stand.house, &Caller::house(), end).await.unwrap_err().kind(), Kind::Conflict);
}
