//! Creating and changing deployments.

use std::collections::BTreeMap;

use async_trait::async_trait;
use kernel::{Action, Caller, Class, Error, Kind, PrincipalId, ResourceId, Result, Who, WorkspaceId};
use uuid::Uuid;

use super::{
    Deployment, DeploymentRequest, Endpoint, Form, Plan, Provisioning, ServiceKind, ServiceState, auth,
    deployment_request::{check_words, mebibytes},
    endpoint::{ATTEMPTS, deployments_of, find_endpoint, is_set},
    index, keys, name, replica,
    traffic::MOST_DEPLOYMENTS,
};
use crate::{
    compute::{end_launch, wake},
    diagnostics::{Fact, collect},
    gate::{Admission, Changes, Cx, Guard, Guarded, Happening, House, Op, Row, Shelf},
    governance::amend,
    images::{self, Built, Image, ImageRef, Recipe},
    operations::{self, Failure},
    provenance::require_chain,
    resources::{Precondition, Resource, ResourceType, SystemData, row_id, workspace_shelf},
    tracking::{hold_model_version, release_model_version},
};

const WRITE_ACI: Action =
    Action::new("Microsoft.MachineLearningServices/workspaces/services/aci/write", Class::Control);
const WRITE_AKS: Action =
    Action::new("Microsoft.MachineLearningServices/workspaces/services/aks/write", Class::Control);

/// A deployment, and the operation that tells about its change, if that is not over at once.
#[derive(Clone, Debug)]
pub struct Deployed {
    /// The deployment.
    pub row: Row<Resource<Deployment>>,
    /// The operation under way.
    pub operation: Option<Uuid>,
    /// Whether this request made it.
    pub is_new: bool,
}

/// Creates a deployment or changes it.
#[derive(Debug)]
pub struct PutDeployment {
    /// Its id.
    pub id: ResourceId,
    /// What it shall be.
    pub request: DeploymentRequest,
    /// Whether what is not said stays (PATCH) rather than getting its default (PUT).
    pub is_patch: bool,
    /// What must hold.
    pub precondition: Precondition,
}

/// Where a deployment's image comes from.
enum Source {
    /// As before.
    Present,
    /// It is there.
    Ready(Box<Image>),
    /// It was just built.
    Built(Box<Built>),
}

#[async_trait]
impl Op for PutDeployment {
    const ACTION: Action = Deployment::WRITE;
    const GUARDS: &'static [Guard] = &[Guard::Deploy, Guard::KeyChange];
    type Output = Deployed;

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    fn guarded(&self, _: &House, _: &Caller) -> Result<Guarded> {
        Ok(self.request.guarded(&self.id, self.is_patch))
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Deployed> {
        name::check("deploymentName", self.id.name())?;
        check_words(&self.request)?;
        let (shelf, _) = workspace_shelf(cx, &self.id).await?;
        let present = cx.get::<Resource<Deployment>>(&shelf, &row_id::<Deployment>(&shelf, &self.id)).await?;
        let kind = self.kind(present.as_ref())?;
        keys::require_for_kind(cx, Some(kind), &WRITE_ACI, &WRITE_AKS, &self.id).await?;
        // Before anything is built, all that may refuse the request is asked.
        let endpoint = find_endpoint(cx, &shelf, &self.id.parent()).await?;
        auth::decide(kind, endpoint.value.properties.form, self.request.auth)?;
        self.is_first(cx, &shelf, kind).await?;
        let kept = present.as_ref().filter(|_| self.is_patch).map(|row| &row.value.properties.plan.variables);
        let warnings = self.request.admit_secrets(cx, &self.id, kept).await?;
        let source = self.source(cx, &shelf, present.is_some()).await?;
        let mut attempt = 0;
        loop {
            attempt += 1;
            match self.apply(cx, &source, &warnings).await {
                Err(fault) if fault.kind() == Kind::Stale && attempt < ATTEMPTS && !is_set(&self.precondition) => {}
                other => return other,
            }
        }
    }
}

impl PutDeployment {
    fn kind(&self, present: Option<&Row<Resource<Deployment>>>) -> Result<ServiceKind> {
        let before = present.map(|row| row.value.properties.kind);
        match (self.request.kind, before) {
            (Some(kind), Some(before)) if kind != before => {
                let why = "the kind of a deployment cannot change; delete it and deploy again";
                Err(Error::invalid("properties.endpointComputeType", why))
            }
            (kind, before) => Ok(kind.or(before).unwrap_or(ServiceKind::Cluster)),
        }
    }

    /// Refuses one too many, and another kind beside the others. Whether there are no others.
    async fn is_first(&self, cx: &Admission<'_>, shelf: &Shelf, kind: ServiceKind) -> Result<bool> {
        let mut others = deployments_of(cx, shelf, &self.id.parent()).await?;
        others.retain(|other| other.value.id != self.id);
        if others.len() >= MOST_DEPLOYMENTS {
            let why = format!("an endpoint has at most {MOST_DEPLOYMENTS} deployments; delete one that is not called");
            return Err(Error::new(Kind::Conflict, why));
        }
        if let Some(other) = others.iter().find(|other| other.value.properties.kind != kind) {
            let word = other.value.properties.kind.word();
            let why =
                format!("the deployments of an endpoint are of one kind, and `{}` is `{word}`", other.value.id.name());
            return Err(Error::invalid("properties.endpointComputeType", why));
        }
        Ok(others.is_empty())
    }

    async fn source(&self, cx: &Cx<'_, Self>, shelf: &Shelf, is_present: bool) -> Result<Source> {
        let named = self.request.model.as_ref().map(images::parse_version).transpose()?;
        if let Some(image) = &self.request.image {
            let image = images::resolve(cx, shelf, image).await?;
            if named.is_some_and(|(model, version)| model != image.model || version != image.model_version) {
                let why = format!("the image holds version {} of the model `{}`", image.model_version, image.model);
                return Err(Error::invalid("properties.model", why));
            }
            return Ok(Source::Ready(Box::new(image)));
        }
        let Some((model, version)) = named else {
            if is_present && self.request.code.is_none() {
                return Ok(Source::Present);
            }
            let why = "name an image (`image`) or a registered model's version (`model`)";
            return Err(Error::invalid("properties.image", why));
        };
        if self.request.code.is_none()
            && let Some(image) = images::newest_of_model(cx, shelf, &model, version).await?
        {
            return Ok(Source::Ready(Box::new(image)));
        }
        images::require_build(cx, &self.id).await?;
        let recipe =
            Recipe { name: image_name(&model), model, version, code: self.request.code.clone(), requirements: None };
        Ok(Source::Built(Box::new(images::build(cx, shelf, recipe).await?)))
    }

    async fn apply(&self, cx: &Cx<'_, Self>, source: &Source, warnings: &[String]) -> Result<Deployed> {
        let (shelf, workspace) = workspace_shelf(cx, &self.id).await?;
        let mut endpoint = find_endpoint(cx, &shelf, &self.id.parent()).await?;
        let id = row_id::<Deployment>(&shelf, &self.id);
        let present = cx.get::<Resource<Deployment>>(&shelf, &id).await?;
        self.precondition.hold(present.as_ref())?;
        let kind = self.kind(present.as_ref())?;
        let is_first = self.is_first(cx, &shelf, kind).await?;
        let mut changes = Changes::new();
        let image = match (source, &present) {
            (Source::Ready(image), _) => image.as_ref().clone(),
            (Source::Built(built), _) => built.keep(cx, &shelf, workspace.clone(), &mut changes).await?,
            (Source::Present, Some(row)) => image_of(cx, &shelf, &row.value.properties).await?,
            (Source::Present, None) => {
                return Err(Error::new(Kind::Stale, "the deployment was just deleted; try again"));
            }
        };
        // What was just built is signed by this very commit.
        if !matches!(source, Source::Built(_)) {
            require_chain(cx, &shelf, &image).await?;
        }
        let is_new = present.is_none();
        let mut row = match present {
            Some(mut row) => {
                row.value.system.touch(cx);
                row
            }
            None => Row::new(id, fresh(cx, &self.id, &endpoint, &image, kind)?),
        };
        self.plan(&mut row.value)?;
        if self.request.variables.is_some() || !self.is_patch {
            row.value.properties.warnings = warnings.to_vec();
        }
        self.hold(cx, &shelf, &mut changes, &row.value, &image, is_new).await?;
        let workspace_id = workspace.value.id.clone();
        let operation = self.roll(cx, &shelf, &workspace_id, &mut changes, &mut row.value, &image, is_new).await?;

        self.secure(cx, &shelf, &mut changes, &mut endpoint, kind).await?;
        if is_new && is_first {
            endpoint.value.properties.begin_with(row.value.id.name());
        }
        changes.put(&shelf, &endpoint)?;
        let mut listed = index::row_of(cx, WorkspaceId::from(workspace.value.guid), &endpoint.value.id).await?;
        listed.value.add(&row.value.id);
        changes.put(cx.system(), &listed)?;
        amend(cx, &mut row.value, None)?;
        changes.put(&shelf, &row)?;
        cx.note("image", format!("{}@{}", image.name, image.digest));
        cx.note("model", format!("{}:{}", image.model, image.model_version));
        if workspace.value.properties.may_send_diagnostics() {
            let fact = Fact::ServiceDeployed { variables: &row.value.properties.plan.variables };
            collect(cx, (workspace.value.guid, &workspace.value.id), fact, &mut changes).await?;
        }
        cx.commit(changes).await?;
        wake(cx);
        row.version = row.version.saturating_add(1);
        Ok(Deployed { row, operation, is_new })
    }

    /// Keeps the model version from being deleted as long as the deployment names it.
    async fn hold(
        &self,
        cx: &Cx<'_, Self>,
        shelf: &Shelf,
        changes: &mut Changes,
        resource: &Resource<Deployment>,
        image: &Image,
        is_new: bool,
    ) -> Result<()> {
        let before = &resource.properties.image;
        let holder = resource.id.as_str();
        let is_same = before.model == image.model && before.version == image.model_version;
        if !is_new && !is_same {
            release_model_version(cx, shelf, changes, (&before.model, before.version), holder).await?;
        }
        match hold_model_version(cx, shelf, changes, (&image.model, image.model_version), holder).await {
            // An image outlives the model version it was built from.
            Err(fault) if fault.kind() == Kind::NotFound => Ok(()),
            other => other,
        }
    }

    /// Writes what was said into the plan.
    fn plan(&self, resource: &mut Resource<Deployment>) -> Result<()> {
        let said = self.request.clone();
        if let Some(place) = said.location.filter(|place| !place.is_empty()) {
            resource.location = place;
        }
        if !self.is_patch || said.tags.is_some() {
            resource.tags = said.tags.unwrap_or_default();
        }
        let before = if self.is_patch { resource.properties.plan.clone() } else { Plan::default() };
        let memory_limit_mib = match (said.memory_limit_gb, said.memory_gb) {
            (Some(limit), _) => mebibytes(limit)?,
            // A request above the limit raises it.
            (None, Some(asked)) => mebibytes(asked)?.max(before.memory_limit_mib),
            (None, None) => before.memory_limit_mib,
        };
        let plan = Plan {
            description: said.description.unwrap_or(before.description),
            variables: said.variables.unwrap_or(before.variables),
            cpu: said.cpu.unwrap_or(before.cpu),
            memory_gb: said.memory_gb.unwrap_or(before.memory_gb),
            memory_limit_mib,
            requests: said.requests.unwrap_or(before.requests),
            app_insights: said.app_insights.unwrap_or(before.app_insights),
            instance_type: said.instance_type.or(before.instance_type),
            kind_word: said.kind_word.or(before.kind_word),
            properties: said.properties.unwrap_or(before.properties),
        };
        if mebibytes(plan.memory_gb)? > plan.memory_limit_mib {
            return Err(Error::invalid("properties.memoryInGBLimit", "must not be less than `memoryInGB`"));
        }
        resource.properties.plan = plan;
        Ok(())
    }

    /// Starts a replica when the present one does not serve the plan. Returns the operation that tells about it.
    #[expect(clippy::too_many_arguments, reason = "one change of one resource, written in one place")]
    async fn roll(
        &self,
        cx: &Cx<'_, Self>,
        shelf: &Shelf,
        workspace: &ResourceId,
        changes: &mut Changes,
        resource: &mut Resource<Deployment>,
        image: &Image,
        is_new: bool,
    ) -> Result<Option<Uuid>> {
        let deployment = &mut resource.properties;
        let newest = deployment.coming.as_ref().or(deployment.current.as_ref());
        let serves = newest.is_some_and(|replica| {
            replica.image.digest == image.digest
                && deployment.made_for.as_ref().is_some_and(|plan| deployment.plan.runs_like(plan))
        });
        deployment.image = replica::used(image);
        if serves {
            return Ok(deployment.operation.filter(|_| deployment.coming.is_some()));
        }
        if let Some(replaced) = deployment.coming.take() {
            end_launch(cx, shelf, changes, &replaced.launch).await?;
        }
        if let Some(before) = deployment.operation.take() {
            let failure =
                Failure { code: String::from("Superseded"), message: String::from("a later change took its place") };
            operations::end(cx, shelf, changes, before, Some(failure)).await?;
        }
        deployment.deployed_by = principal(cx);
        let coming = replica::start(cx, shelf, workspace, changes, deployment, image)?;
        deployment.log = Some(coming.launch.clone());
        deployment.made_for = Some(deployment.plan.clone());
        deployment.coming = Some(coming);
        deployment.provisioning = if is_new { Provisioning::Creating } else { Provisioning::Updating };
        if deployment.current.is_none() {
            deployment.state = ServiceState::Transitioning;
        }
        deployment.reason = None;
        deployment.losses = 0;
        deployment.retry_at = None;
        cx.happened(Happening::DeploymentStarted);
        let operation = operations::begin(cx, shelf, changes, &resource.id).await?;
        resource.properties.operation = Some(operation);
        Ok(Some(operation))
    }

    /// Decides the form of proof and sees to its keys.
    async fn secure(
        &self,
        cx: &Cx<'_, Self>,
        shelf: &Shelf,
        changes: &mut Changes,
        endpoint: &mut Row<Resource<Endpoint>>,
        kind: ServiceKind,
    ) -> Result<()> {
        let form = auth::decide(kind, endpoint.value.properties.form, self.request.auth)?;
        if endpoint.value.properties.form != Some(form) {
            cx.note("authMode", form.word());
            endpoint.value.properties.form = Some(form);
        }
        match (form, self.request.keys.clone()) {
            (Form::Key, supplied) => keys::ensure(cx, shelf, changes, endpoint.value.guid, supplied).await,
            (_, Some(_)) => Err(Error::invalid("properties.keys", "keys need key authentication to be enabled")),
            (_, None) => Ok(()),
        }
    }
}

/// The image that a deployment plans.
pub(super) async fn image_of(cx: &Admission<'_>, shelf: &Shelf, deployment: &Deployment) -> Result<Image> {
    let which = images::Which::Digest(deployment.image.digest.clone());
    images::resolve(cx, shelf, &ImageRef { name: deployment.image.name.clone(), which }).await
}

fn fresh(
    cx: &Admission<'_>,
    id: &ResourceId,
    endpoint: &Row<Resource<Endpoint>>,
    image: &Image,
    kind: ServiceKind,
) -> Result<Resource<Deployment>> {
    let id =
        endpoint.value.id.child(["deployments", id.name()]).map_err(|why| Error::invalid("deploymentName", why))?;
    let properties = Deployment {
        plan: Plan::default(),
        made_for: None,
        kind,
        image: replica::used(image),
        deployed_by: principal(cx),
        state: ServiceState::Transitioning,
        provisioning: Provisioning::Creating,
        reason: None,
        current: None,
        coming: None,
        losses: 0,
        retry_at: None,
        operation: None,
        log: None,
        warnings: Vec::new(),
    };
    Ok(Resource {
        id,
        guid: Uuid::new_v4(),
        location: endpoint.value.location.clone(),
        tags: BTreeMap::new(),
        system: SystemData::new(cx),
        properties,
    })
}

fn principal(cx: &Admission<'_>) -> PrincipalId {
    match &cx.caller().who {
        Who::Principal(principal) => principal.id,
        Who::Run(run) => run.on_behalf_of,
        Who::Keyed(_) | Who::House | Who::Nobody => PrincipalId::from(Uuid::nil()),
    }
}

/// A model's name as the name of its image.
fn image_name(model: &str) -> String {
    let fits = |c: char| if c.is_ascii_lowercase() || c.is_ascii_digit() { c } else { '-' };
    let folded: String = model.to_ascii_lowercase().chars().take(26).map(fits).collect();
    let trimmed = folded.trim_matches('-');
    format!("{}-model", if trimmed.is_empty() { "x" } else { trimmed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_s_image_has_a_name() {
        for (model, image) in [("Iris_v1", "iris-v1-model"), ("..", "x-model"), ("a", "a-model")] {
            assert_eq!(image_name(model), image);
        }
        assert!(image_name(&"m".repeat(255)).len() <= 32);
    }
}
