//! Endpoints: the lasting addresses of services, with the form of proof they ask for.

use std::collections::BTreeMap;

use async_trait::async_trait;
use kernel::{Action, Caller, Class, Error, Kind, ResourceId, Result, WorkspaceId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::{
    Deployment, Form, ServiceKind, auth, index,
    keys::{self, KeyPair},
    name, traffic,
};
use crate::{
    gate::{Admission, Changes, Cx, Guard, Guarded, House, Op, Row, Shelf},
    governance::amend,
    resources::{Precondition, Resource, ResourceType, SystemData, Workspace, collection, row_id, workspace_shelf},
};

pub(super) const READ: Action =
    Action::new("Microsoft.MachineLearningServices/workspaces/onlineEndpoints/read", Class::Read);
/// How often concurrent changes of one endpoint try again.
pub(super) const ATTEMPTS: usize = 8;

/// An endpoint.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Endpoint {
    /// For people.
    pub description: String,
    /// The form of proof; open until someone says or a deployment's kind decides.
    pub form: Option<Form>,
    /// Share of each deployment, in percent: 100 in sum, or 0.
    pub traffic: BTreeMap<String, u8>,
    /// Free properties.
    pub properties: BTreeMap<String, String>,
    /// The deployment that gets what is not assigned: the first one, or one that was named since.
    #[serde(default)]
    pub default_deployment: Option<String>,
    /// Whether named keys are valid beside the form of proof.
    #[serde(default)]
    pub named_keys: bool,
}

impl ResourceType for Endpoint {
    const TYPE: &'static str = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints";
    const READ: Action = READ;
    const WRITE: Action =
        Action::new("Microsoft.MachineLearningServices/workspaces/onlineEndpoints/write", Class::Control);
    const DELETE: Action =
        Action::new("Microsoft.MachineLearningServices/workspaces/onlineEndpoints/delete", Class::Control);
}

/// An endpoint with what its address needs.
#[derive(Clone, Debug)]
pub struct EndpointView {
    /// The endpoint.
    pub row: Row<Resource<Endpoint>>,
    /// The workspace's GUID.
    pub workspace: WorkspaceId,
    /// The kind of its deployment, once it has one.
    pub kind: Option<ServiceKind>,
    /// Whether this request made it.
    pub is_new: bool,
}

/// Reads an endpoint that must exist.
pub(super) async fn find_endpoint(
    cx: &Admission<'_>,
    shelf: &Shelf,
    id: &ResourceId,
) -> Result<Row<Resource<Endpoint>>> {
    let row = cx.get::<Resource<Endpoint>>(shelf, &row_id::<Endpoint>(shelf, id)).await?;
    row.ok_or_else(|| Error::not_found(format_args!("the resource `{id}`")))
}

/// The deployments of an endpoint.
pub(super) async fn deployments_of(
    cx: &Admission<'_>,
    shelf: &Shelf,
    endpoint: &ResourceId,
) -> Result<Vec<Row<Resource<Deployment>>>> {
    cx.all::<Resource<Deployment>>(shelf, &collection::<Deployment>(shelf, endpoint)).await
}

/// The kind of an endpoint's deployment.
pub(super) async fn kind_of(cx: &Admission<'_>, shelf: &Shelf, endpoint: &ResourceId) -> Result<Option<ServiceKind>> {
    let deployments = deployments_of(cx, shelf, endpoint).await?;
    Ok(deployments.first().map(|row| row.value.properties.kind))
}

/// Reads one.
#[derive(Debug)]
pub struct GetEndpoint {
    /// Its id.
    pub id: ResourceId,
}

#[async_trait]
impl Op for GetEndpoint {
    const ACTION: Action = READ;
    type Output = EndpointView;

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<EndpointView> {
        let (shelf, workspace) = workspace_shelf(cx, &self.id).await?;
        let row = find_endpoint(cx, &shelf, &self.id).await?;
        let kind = kind_of(cx, &shelf, &row.value.id).await?;
        Ok(EndpointView { row, workspace: WorkspaceId::from(workspace.value.guid), kind, is_new: false })
    }
}

/// Lists those of a workspace, by name.
#[derive(Debug)]
pub struct ListEndpoints {
    /// The workspace.
    pub workspace: ResourceId,
}

#[async_trait]
impl Op for ListEndpoints {
    const ACTION: Action = READ;
    type Output = Vec<EndpointView>;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Vec<EndpointView>> {
        let (shelf, workspace) = workspace_shelf(cx, &self.workspace).await?;
        let rows = cx.all::<Resource<Endpoint>>(&shelf, &collection::<Endpoint>(&shelf, &self.workspace)).await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in rows.into_iter().filter(|row| cx.may(&READ, &row.value.id)) {
            let kind = kind_of(cx, &shelf, &row.value.id).await?;
            found.push(EndpointView { row, workspace: WorkspaceId::from(workspace.value.guid), kind, is_new: false });
        }
        found.sort_by(|a, b| a.row.value.id.cmp(&b.row.value.id));
        Ok(found)
    }
}

/// What a caller says of an endpoint. What is not said stays, or gets its default.
#[derive(Clone, Debug, Default)]
pub struct EndpointRequest {
    /// Where.
    pub location: Option<String>,
    /// Free labels.
    pub tags: Option<BTreeMap<String, String>>,
    /// For people.
    pub description: Option<String>,
    /// The form of proof.
    pub form: Option<Form>,
    /// Keys that the caller chose.
    pub keys: Option<KeyPair>,
    /// Share of each deployment, in percent.
    pub traffic: Option<BTreeMap<String, u8>>,
    /// Share of some deployments, in percent; the default gets the rest. The article's form, instead of `traffic`.
    pub percentiles: Option<BTreeMap<String, u8>>,
    /// The deployment that shall be the default.
    pub default_deployment: Option<String>,
    /// Whether named keys are valid beside the form of proof.
    pub named_keys: Option<bool>,
    /// Free properties.
    pub properties: Option<BTreeMap<String, String>>,
}

impl EndpointRequest {
    /// All of it but the keys, as approvers read it.
    fn in_words(&self) -> Value {
        let Self { location, tags, description, form, keys, traffic, percentiles, .. } = self;
        json!({
            "location": location,
            "tags": tags,
            "description": description,
            "authMode": form,
            "choosesKeys": keys.is_some(),
            "traffic": traffic,
            "trafficPercentile": percentiles,
            "defaultDeployment": self.default_deployment,
            "namedKeysEnabled": self.named_keys,
            "properties": self.properties,
        })
    }
}

/// Creates an endpoint, or changes one. A change of the form takes effect with the commit: credentials of the other form
/// are refused from then on, and replicas run on.
#[derive(Debug)]
pub struct PutEndpoint {
    /// Its id.
    pub id: ResourceId,
    /// What it shall be.
    pub request: EndpointRequest,
    /// Whether it must exist.
    pub must_exist: bool,
    /// What must hold.
    pub precondition: Precondition,
}

#[async_trait]
impl Op for PutEndpoint {
    const ACTION: Action = Endpoint::WRITE;
    const GUARDS: &'static [Guard] = &[Guard::Deploy, Guard::KeyChange];
    type Output = EndpointView;

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    fn guarded(&self, _: &House, _: &Caller) -> Result<Guarded> {
        let mut guarded = Guarded { body: self.request.in_words(), ..Guarded::default() };
        guarded.secret = self.request.keys.as_ref().map(KeyPair::joined);
        let moves_traffic = self.request.traffic.as_ref().is_some_and(|traffic| !traffic.is_empty())
            || self.request.percentiles.is_some()
            || self.request.default_deployment.is_some();
        let changes_keys =
            self.request.keys.is_some() || self.request.form.is_some() || self.request.named_keys.is_some();
        for (guard, applies) in [(Guard::Deploy, moves_traffic), (Guard::KeyChange, changes_keys)] {
            if applies {
                guarded.places.places.push((guard, self.id.clone()));
            }
        }
        Ok(guarded)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<EndpointView> {
        name::check("endpointName", self.id.name())?;
        check_words(&self.request)?;
        let mut attempt = 0;
        loop {
            attempt += 1;
            match self.apply(cx).await {
                Err(fault) if fault.kind() == Kind::Stale && attempt < ATTEMPTS && !is_set(&self.precondition) => {}
                other => return other,
            }
        }
    }
}

impl PutEndpoint {
    async fn apply(&self, cx: &Cx<'_, Self>) -> Result<EndpointView> {
        let (shelf, workspace) = workspace_shelf(cx, &self.id).await?;
        let workspace_id = WorkspaceId::from(workspace.value.guid);
        let id = row_id::<Endpoint>(&shelf, &self.id);
        let present = cx.get::<Resource<Endpoint>>(&shelf, &id).await?;
        self.precondition.hold(present.as_ref())?;
        let is_new = present.is_none();
        if is_new && self.must_exist {
            return Err(Error::not_found(format_args!("the resource `{}`", self.id)));
        }
        let mut changes = Changes::new();
        let mut row = match present {
            Some(mut row) => {
                row.value.system.touch(cx);
                row
            }
            None => {
                let listed = index::row_of(cx, workspace_id, &self.id).await?;
                changes.put(cx.system(), &listed)?;
                Row::new(id, fresh(cx, &self.id, &workspace)?)
            }
        };
        let deployments = deployments_of(cx, &shelf, &self.id).await?;
        let kind = deployments.first().map(|row| row.value.properties.kind);
        let request = self.request.clone();
        let resource = &mut row.value;
        resource.location =
            request.location.filter(|place| !place.is_empty()).unwrap_or_else(|| resource.location.clone());
        resource.tags = request.tags.unwrap_or_else(|| resource.tags.clone());
        let endpoint = &mut resource.properties;
        if let Some(words) = request.description {
            endpoint.description = words;
        }
        if let Some(properties) = request.properties {
            endpoint.properties = properties;
        }
        let known: Vec<&str> = traffic::names(&deployments).collect();
        if let Some(name) = request.default_deployment {
            if !known.contains(&name.as_str()) {
                return Err(Error::invalid("properties.defaultDeployment", "there is no such deployment"));
            }
            endpoint.default_deployment = Some(name);
        }
        if let Some(shares) = request.traffic {
            traffic::check(&shares, &known)?;
            endpoint.traffic = shares;
        }
        if let Some(said) = request.percentiles {
            let default = endpoint.default_of(known.iter().copied());
            endpoint.traffic = traffic::with_rest(&said, default.as_deref(), &known)?;
        }
        if let Some(are_valid) = request.named_keys {
            if endpoint.named_keys != are_valid {
                cx.note("namedKeysEnabled", if are_valid { "true" } else { "false" });
            }
            endpoint.named_keys = are_valid;
        }
        if let Some(form) = request.form {
            if let Some(kind) = kind {
                auth::check(kind, form)?;
            }
            if endpoint.form != Some(form) {
                cx.note("authMode", form.word());
            }
            endpoint.form = Some(form);
        }
        match (endpoint.form, request.keys) {
            (Some(Form::Key), supplied) => keys::ensure(cx, &shelf, &mut changes, resource.guid, supplied).await?,
            (_, Some(_)) => return Err(Error::invalid("properties.keys", "keys need `authMode` to be `Key`")),
            (_, None) => {}
        }
        amend(cx, &mut row.value, None)?;
        changes.put(&shelf, &row)?;
        cx.commit(changes).await?;
        row.version = row.version.saturating_add(1);
        Ok(EndpointView { row, workspace: workspace_id, kind, is_new })
    }
}

/// A caller who named a version is told when it is not the present one.
pub(super) fn is_set(precondition: &Precondition) -> bool {
    precondition.version.is_some() || precondition.absent
}

fn fresh(cx: &Admission<'_>, id: &ResourceId, workspace: &Row<Resource<Workspace>>) -> Result<Resource<Endpoint>> {
    let id =
        workspace.value.id.child(["onlineEndpoints", id.name()]).map_err(|why| Error::invalid("endpointName", why))?;
    Ok(Resource {
        id,
        guid: Uuid::new_v4(),
        location: workspace.value.location.clone(),
        tags: BTreeMap::new(),
        system: SystemData::new(cx),
        properties: Endpoint::default(),
    })
}

fn check_words(request: &EndpointRequest) -> Result<()> {
    if request.description.as_ref().is_some_and(|words| words.len() > 5000) {
        return Err(Error::invalid("properties.description", "at most 5000 bytes"));
    }
    if request.traffic.is_some() && request.percentiles.is_some() {
        return Err(Error::invalid("properties.trafficPercentile", "say either `traffic` or `trafficPercentile`"));
    }
    check_labels("tags", request.tags.as_ref())?;
    check_labels("properties.properties", request.properties.as_ref())
}

/// Bounds on free labels: 50, names to 512 characters, values to 1000.
pub(super) fn check_labels(field: &str, labels: Option<&BTreeMap<String, String>>) -> Result<()> {
    let Some(labels) = labels else { return Ok(()) };
    let fits = labels.iter().all(|(name, value)| (1..=512).contains(&name.len()) && value.len() <= 1000);
    if fits && labels.len() <= 50 {
        return Ok(());
    }
    Err(Error::invalid(field, "at most 50 entries, names of 1 to 512 and values of at most 1000 bytes"))
}
