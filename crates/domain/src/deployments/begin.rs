//! The beginning of a deployment, and its rehearsals.

use std::collections::BTreeMap;

use async_trait::async_trait;
use kernel::{Action, Class, Error, Kind, ResourceId, Result};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    DeploymentState, TemplateDeployment, UnderWay,
    expression::Surroundings,
    fault::unsupported,
    record::{KeptTemplate, check_name},
    template::Plan,
};
use crate::{
    gate::{Admission, Changes, Cx, Op, Row},
    resources::{
        Precondition, PutResource, Resource, ResourceGroup, ResourceType, Subscription, Written, collection, find,
        row_id,
    },
};

/// Deployments that a group or subscription keeps; the oldest ended ones make room.
const MOST_KEPT: usize = 200;

/// What is to be deployed.
#[derive(Clone, Debug, Default)]
pub struct TemplateRequest {
    /// The template.
    pub template: Value,
    /// `{"name": {"value": …}}`
    pub parameters: Map<String, Value>,
    /// `Incremental`, which is the default.
    pub mode: Option<String>,
}

/// Begins a deployment. What it makes is made by whoever carries the plan out, as the caller.
pub struct BeginDeployment {
    /// Its id, in a resource group or subscription.
    pub id: ResourceId,
    /// Where its record lies; for deployments to subscriptions.
    pub location: String,
    /// Free labels.
    pub tags: BTreeMap<String, String>,
    /// What.
    pub request: TemplateRequest,
}

/// A deployment that began.
pub struct Begun {
    /// Its record.
    pub written: Written<Resource<TemplateDeployment>>,
    /// What is to be made.
    pub plan: Plan,
    /// Held while it is under way.
    pub under_way: UnderWay,
}

#[async_trait]
impl Op for BeginDeployment {
    const ACTION: Action = TemplateDeployment::WRITE;
    type Output = Begun;

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Begun> {
        let run = Uuid::new_v4();
        // Before it is read: what reading makes is bounded for each that is under way.
        let under_way = cx.house().deployments.begin(run, cx.caller())?;
        let plan = plan(cx, &self.id, &self.request).await?;
        let system = cx.system();
        let present = row_id::<TemplateDeployment>(system, &self.id);
        let present = cx.get::<Resource<TemplateDeployment>>(system, &present).await?;
        let mut changes = Changes::new();
        if let Some(row) = &present {
            if is_running(cx, &row.value.properties) {
                let why = format!("the deployment `{}` is under way; cancel it, or wait", self.id.name());
                return Err(Error::new(Kind::Conflict, why).coded("DeploymentActive"));
            }
            remove_template(cx, &mut changes, row.value.properties.run).await?;
        }
        make_room(cx, &self.id, &mut changes).await?;
        let text = serde_json::to_vec(&self.request.template).map_err(Error::internal)?;
        let properties = TemplateDeployment {
            run,
            state: DeploymentState::Running,
            parameters: plan.parameters().clone(),
            outputs: Map::new(),
            template_hash: seal::sha256_hex(&text),
            correlation: cx.caller().source.correlation.to_string(),
            started_at: cx.now(),
            ended_at: None,
            fault: None,
            steps: Vec::new(),
        };
        let template = KeptTemplate { template: self.request.template };
        changes.put(system, &Row::new(run.as_bytes().as_slice(), template))?;
        cx.note("templateHash", properties.template_hash.as_str());
        cx.note("resources", plan.steps().len().to_string());
        let Self { id, location, tags, .. } = self;
        // The row that was judged above is the one that is replaced: another that began meanwhile is not overwritten.
        let version = present.map(|row| row.version);
        let precondition = Precondition { version, absent: version.is_none(), present: false };
        let put = PutResource { id, location, tags, properties, precondition };
        let written = put.apply_with(cx, changes).await?;
        Ok(Begun { written, plan, under_way })
    }
}

/// A deployment that makes nothing. It counts among those of its caller that are under way for as long as it is held.
pub struct Rehearsal {
    /// What would be made.
    pub plan: Plan,
    _under_way: UnderWay,
}

/// Reads a template as a deployment would, and makes nothing.
pub struct ValidateDeployment {
    /// The deployment's id.
    pub id: ResourceId,
    /// What.
    pub request: TemplateRequest,
}

#[async_trait]
impl Op for ValidateDeployment {
    const ACTION: Action = Action::new("Microsoft.Resources/deployments/validate/action", Class::Read);
    type Output = Rehearsal;

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Rehearsal> {
        rehearse(cx, &self.id, &self.request).await
    }
}

/// The same, to tell what a deployment would change.
pub struct PreviewDeployment {
    /// The deployment's id.
    pub id: ResourceId,
    /// What.
    pub request: TemplateRequest,
}

#[async_trait]
impl Op for PreviewDeployment {
    const ACTION: Action = Action::new("Microsoft.Resources/deployments/whatIf/action", Class::Read);
    type Output = Rehearsal;

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Rehearsal> {
        rehearse(cx, &self.id, &self.request).await
    }
}

async fn rehearse(cx: &Admission<'_>, id: &ResourceId, request: &TemplateRequest) -> Result<Rehearsal> {
    let under_way = cx.house().deployments.begin(Uuid::new_v4(), cx.caller())?;
    Ok(Rehearsal { plan: plan(cx, id, request).await?, _under_way: under_way })
}

async fn plan(cx: &Admission<'_>, id: &ResourceId, request: &TemplateRequest) -> Result<Plan> {
    check_name(id.name())?;
    match request.mode.as_deref() {
        None => {}
        Some(mode) if mode.eq_ignore_ascii_case("Incremental") => {}
        Some(mode) if mode.eq_ignore_ascii_case("Complete") => {
            return Err(unsupported("the mode `Complete`, which would delete what the template does not name,"));
        }
        Some(_) => return Err(Error::invalid("properties.mode", "must be `Incremental`")),
    }
    let surroundings = surroundings(cx, id).await?;
    Plan::read(&request.template, &request.parameters, surroundings)
}

/// What a template can ask about the place where it is deployed.
async fn surroundings(cx: &Admission<'_>, id: &ResourceId) -> Result<Surroundings> {
    let scope = id.parent();
    let missing = || Error::not_found(format_args!("the scope `{scope}`"));
    let subscription = scope.subscription_id().ok_or_else(missing)?;
    let row = cx.get::<Subscription>(cx.system(), subscription.as_bytes()).await?.ok_or_else(missing)?;
    let group = match scope.resource_group() {
        Some(group) => Some(find::<ResourceGroup>(cx, &group).await?.1.value),
        None => None,
    };
    Ok(Surroundings {
        subscription: json!({
            "id": format!("/subscriptions/{subscription}"),
            "subscriptionId": subscription,
            "tenantId": cx.house().tenant(),
            "displayName": row.value.name,
        }),
        group: group.map(|group| {
            json!({
                "id": group.id,
                "name": group.id.name(),
                "type": ResourceGroup::TYPE,
                "location": group.location,
                "tags": group.tags,
                "properties": {"provisioningState": "Succeeded"},
            })
        }),
        deployment: json!({"name": id.name(), "properties": {"mode": "Incremental"}}),
        scope,
    })
}

/// Whether this server is at it just now.
pub(super) fn is_running(cx: &Admission<'_>, deployment: &TemplateDeployment) -> bool {
    deployment.state == DeploymentState::Running && cx.house().deployments.holds(deployment.run)
}

pub(super) async fn remove_template(cx: &Admission<'_>, changes: &mut Changes, run: Uuid) -> Result<()> {
    if let Some(row) = cx.get::<KeptTemplate>(cx.system(), run.as_bytes()).await? {
        changes.delete(cx.system(), &row);
    }
    Ok(())
}

/// Removes the oldest ended deployments beside this one when there are too many.
async fn make_room(cx: &Admission<'_>, id: &ResourceId, changes: &mut Changes) -> Result<()> {
    let system = cx.system();
    let prefix = collection::<TemplateDeployment>(system, &id.parent());
    let mut rows = cx.all::<Resource<TemplateDeployment>>(system, &prefix).await?;
    rows.retain(|row| row.value.id != *id);
    let surplus = rows.len().saturating_sub(MOST_KEPT.saturating_sub(1));
    rows.retain(|row| !is_running(cx, &row.value.properties));
    rows.sort_by_key(|row| row.value.properties.started_at);
    for row in rows.iter().take(surplus) {
        changes.delete(system, row);
        remove_template(cx, changes, row.value.properties.run).await?;
    }
    Ok(())
}

/// Forgets all deployments of a group that ends.
pub(crate) async fn forget_deployments(cx: &Admission<'_>, group: &ResourceId, changes: &mut Changes) -> Result<()> {
    let system = cx.system();
    for row in cx.all::<Resource<TemplateDeployment>>(system, &collection::<TemplateDeployment>(system, group)).await? {
        changes.delete(system, &row);
        remove_template(cx, changes, row.value.properties.run).await?;
    }
    Ok(())
}
