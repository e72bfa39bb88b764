//! What becomes of a deployment: its steps, its end, its cancellation; and what is kept of it.

use async_trait::async_trait;
use kernel::{Action, Class, Error, Kind, ResourceId, Result};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    DeploymentFault, DeploymentState, StepRecord, TemplateDeployment,
    begin::{is_running, remove_template},
    record::KeptTemplate,
};
use crate::{
    gate::{Admission, Changes, Cx, House, Op, Row},
    resources::{Resource, ResourceType, find},
};

/// Notes that a resource was made, or failed to be. Entered by the server itself, which carries the plan out.
#[derive(Debug)]
pub struct NoteStep {
    /// The deployment.
    pub id: ResourceId,
    /// Which run of it.
    pub run: Uuid,
    /// How it went.
    pub step: StepRecord,
}

#[async_trait]
impl Op for NoteStep {
    const ACTION: Action = TemplateDeployment::WRITE;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let mut row = of_run(cx, &self.id, self.run).await?;
        cx.note("resource", self.step.target.as_str());
        cx.note("state", self.step.state.word());
        row.value.properties.steps.push(self.step);
        let mut changes = Changes::new();
        changes.put(cx.system(), &row)?;
        cx.commit(changes).await
    }
}

/// Ends a deployment. Entered by the server itself.
#[derive(Debug)]
pub struct EndDeployment {
    /// The deployment.
    pub id: ResourceId,
    /// Which run of it.
    pub run: Uuid,
    /// How it ended.
    pub state: DeploymentState,
    /// Why it failed.
    pub fault: Option<DeploymentFault>,
    /// What it gives.
    pub outputs: Map<String, Value>,
}

#[async_trait]
impl Op for EndDeployment {
    const ACTION: Action = TemplateDeployment::WRITE;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let mut row = of_run(cx, &self.id, self.run).await?;
        cx.note("state", self.state.word());
        let deployment = &mut row.value.properties;
        deployment.state = self.state;
        deployment.fault = self.fault;
        deployment.outputs = self.outputs;
        deployment.ended_at = Some(cx.now());
        let mut changes = Changes::new();
        changes.put(cx.system(), &row)?;
        cx.commit(changes).await?;
        cx.house().deployments.end(self.run);
        Ok(())
    }
}

async fn of_run(cx: &Admission<'_>, id: &ResourceId, run: Uuid) -> Result<Row<Resource<TemplateDeployment>>> {
    let (_, row) = find::<TemplateDeployment>(cx, id).await?;
    if row.value.properties.run == run {
        return Ok(row);
    }
    Err(Error::new(Kind::Conflict, "another run of this deployment took its place"))
}

/// Asks a deployment to stop before its next resource. What was made stays.
#[derive(Debug)]
pub struct CancelDeployment {
    /// The deployment.
    pub id: ResourceId,
}

#[async_trait]
impl Op for CancelDeployment {
    const ACTION: Action = Action::new("Microsoft.Resources/deployments/cancel/action", Class::Control);
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let (_, row) = find::<TemplateDeployment>(cx, &self.id).await?;
        if cx.house().deployments.cancel(row.value.properties.run) {
            return Ok(());
        }
        let why = format!("the deployment `{}` is not under way", self.id.name());
        Err(Error::new(Kind::Conflict, why).coded("DeploymentNotActive"))
    }
}

/// Removes what is kept of a deployment. What it made stays.
#[derive(Debug)]
pub struct DeleteTemplateDeployment {
    /// The deployment.
    pub id: ResourceId,
}

#[async_trait]
impl Op for DeleteTemplateDeployment {
    const ACTION: Action = TemplateDeployment::DELETE;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let (system, row) = find::<TemplateDeployment>(cx, &self.id).await?;
        if is_running(cx, &row.value.properties) {
            let why = format!("the deployment `{}` is under way; cancel it first", self.id.name());
            return Err(Error::new(Kind::Conflict, why).coded("DeploymentActive"));
        }
        let mut changes = Changes::new();
        changes.delete(&system, &row);
        remove_template(cx, &mut changes, row.value.properties.run).await?;
        cx.commit(changes).await
    }
}

/// The template of a deployment.
#[derive(Debug)]
pub struct ExportTemplate {
    /// The deployment.
    pub id: ResourceId,
}

#[async_trait]
impl Op for ExportTemplate {
    const ACTION: Action = Action::new("Microsoft.Resources/deployments/exportTemplate/action", Class::Read);
    type Output = Value;

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Value> {
        let (system, row) = find::<TemplateDeployment>(cx, &self.id).await?;
        let kept = cx.get::<KeptTemplate>(&system, row.value.properties.run.as_bytes()).await?;
        Ok(kept.ok_or_else(|| Error::not_found("the template"))?.value.template)
    }
}

/// The operations of a deployment: what was done, in order.
#[derive(Debug)]
pub struct ListDeploymentOperations {
    /// The deployment.
    pub id: ResourceId,
}

#[async_trait]
impl Op for ListDeploymentOperations {
    const ACTION: Action = Action::new("Microsoft.Resources/deployments/operations/read", Class::Read);
    type Output = Vec<StepRecord>;

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Vec<StepRecord>> {
        Ok(find::<TemplateDeployment>(cx, &self.id).await?.1.value.properties.steps)
    }
}

/// A deployment as it stands: one that a stop of the server cut off has failed.
pub fn standing(house: &House, deployment: &TemplateDeployment) -> (DeploymentState, Option<DeploymentFault>) {
    if deployment.state != DeploymentState::Running || house.deployments.held(deployment.run) {
        return (deployment.state, deployment.fault.clone());
    }
    let message = String::from("the server stopped while this deployment was under way; deploy the template again");
    let fault = DeploymentFault { code: String::from("DeploymentInterrupted"), message, target: None };
    (DeploymentState::Failed, Some(fault))
}
