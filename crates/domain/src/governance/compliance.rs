//! Compliance: how what exists now stands to what is assigned now. Nothing of it is kept.

use async_trait::async_trait;
use kernel::{Action, Class, Error, Kind, ResourceId, Result, WorkspaceId};

use super::{effect::Effect, facts::Facts, snapshot::Assigned};
use crate::{
    customer_keys::KEY_UNAVAILABLE,
    delivery::has_settings,
    gate::{Admission, Cx, Op, Shelf},
    network::{PrivateEndpoint, VirtualNetwork, network_of},
    resources::{
        Datastore, KeyVault, LogStore, Registry, Resource, ResourceGroup, ResourceType, StorageAccount, Target,
        Telemetry, UserAssignedIdentity, Workspace, collection,
    },
    scoring::{Deployment, Endpoint},
};

const READ: Action = Action::new("Microsoft.PolicyInsights/policyStates/queryResults/read", Class::Read);
/// Resources of one scan.
const MOST: usize = 10_000;

/// How one resource stands to one assignment.
#[derive(Clone, Debug)]
pub struct PolicyState {
    /// The resource.
    pub resource: ResourceId,
    /// Its type.
    pub kind: String,
    /// Where it is.
    pub location: String,
    /// The assignment's full id.
    pub assignment: String,
    /// Its name.
    pub assignment_name: String,
    /// Where it is assigned.
    pub assignment_scope: ResourceId,
    /// The definition's full id.
    pub definition: String,
    /// Its name.
    pub definition_name: String,
    /// Azure's word for the effect.
    pub effect: &'static str,
    /// Whether the resource is as the policy wants it.
    pub is_compliant: bool,
}

/// All states at a scope and below.
#[derive(Clone, Debug)]
pub struct Compliance {
    /// By resource, then by assignment.
    pub states: Vec<PolicyState>,
}

/// Looks at everything at a scope and below that the caller may read.
#[derive(Debug)]
pub struct ScanCompliance {
    /// The subscription, group or workspace.
    pub scope: ResourceId,
}

#[async_trait]
impl Op for ScanCompliance {
    const ACTION: Action = READ;
    type Output = Compliance;

    fn scope(&self) -> ResourceId {
        self.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Compliance> {
        Ok(Compliance { states: states_at(cx, &self.scope).await? })
    }
}

/// How everything at a scope and below stands that the caller may read.
pub(super) async fn states_at(cx: &Admission<'_>, scope: &ResourceId) -> Result<Vec<PolicyState>> {
    if cx.house().policies().assigned()?.is_empty() {
        return Ok(Vec::new());
    }
    let mut scan = Scan { cx, scope, found: Vec::new() };
    scan.everything().await?;
    let found = scan.found;
    let mut states = Vec::new();
    for facts in &found {
        let has_logs = has_settings(cx, &facts.id).await?;
        let policies = cx.house().policies();
        states.extend(policies.assigned()?.iter().filter_map(|one| state(one, facts, has_logs)));
    }
    Ok(states)
}

/// How a resource stands to an assignment; none when the policy is not about such resources.
fn state(one: &Assigned, facts: &Facts, has_logs: bool) -> Option<PolicyState> {
    let kind = facts.kind();
    if !one.covers(facts) || one.bound.condition.by_type(&kind) == Some(false) {
        return None;
    }
    let holds = one.bound.condition.holds(facts);
    let is_compliant = match one.bound.effect {
        Effect::AuditIfNotExists if !holds => return None,
        Effect::AuditIfNotExists => has_logs,
        Effect::Audit | Effect::Deny | Effect::Modify => !holds,
        Effect::Disabled => return None,
    };
    Some(PolicyState {
        resource: facts.id.clone(),
        kind,
        location: facts.location.clone(),
        assignment: one.id.clone(),
        assignment_name: one.name.clone(),
        assignment_scope: one.scope.clone(),
        definition: one.definition.clone(),
        definition_name: one.definition_name.clone(),
        effect: one.bound.effect.word(),
        is_compliant,
    })
}

/// Gathers the facts of resources.
struct Scan<'a, 'c> {
    cx: &'a Admission<'c>,
    scope: &'a ResourceId,
    found: Vec<Facts>,
}

impl Scan<'_, '_> {
    async fn everything(&mut self) -> Result<()> {
        let system = self.cx.system().clone();
        let Some(subscription) = self.scope.subscription_id() else { return Ok(()) };
        let subscription = ResourceId::subscription(subscription);
        for group in self.below::<ResourceGroup>(&system, &subscription).await? {
            self.below::<KeyVault>(&system, &group.id).await?;
            self.below::<StorageAccount>(&system, &group.id).await?;
            self.below::<Registry>(&system, &group.id).await?;
            self.below::<Telemetry>(&system, &group.id).await?;
            self.below::<LogStore>(&system, &group.id).await?;
            self.below::<UserAssignedIdentity>(&system, &group.id).await?;
            self.below::<VirtualNetwork>(&system, &group.id).await?;
            self.below::<PrivateEndpoint>(&system, &group.id).await?;
            for workspace in self.below::<Workspace>(&system, &group.id).await? {
                self.within(&workspace).await?;
            }
        }
        Ok(())
    }

    async fn within(&mut self, workspace: &Resource<Workspace>) -> Result<()> {
        let shelf = match self.cx.shelf(WorkspaceId::from(workspace.guid)).await {
            Ok(shelf) => shelf,
            // Nothing can be said of what is in a workspace whose key is away.
            Err(fault) if fault.code() == Some(KEY_UNAVAILABLE) => return Ok(()),
            // It was deleted since.
            Err(fault) if fault.kind() == Kind::NotFound => return Ok(()),
            Err(fault) => return Err(fault),
        };
        self.below::<Datastore>(&shelf, &workspace.id).await?;
        self.below::<Target>(&shelf, &workspace.id).await?;
        for endpoint in self.below::<Endpoint>(&shelf, &workspace.id).await? {
            self.below::<Deployment>(&shelf, &endpoint.id).await?;
        }
        Ok(())
    }

    /// Takes up those of one type that lie directly below a parent and within the scope; gives all that may hold more of it.
    async fn below<P: ResourceType>(&mut self, shelf: &Shelf, parent: &ResourceId) -> Result<Vec<Resource<P>>> {
        let mut passed = Vec::new();
        for row in self.cx.all::<Resource<P>>(shelf, &collection::<P>(shelf, parent)).await? {
            let resource = row.value;
            let is_within = resource.id.is_within(self.scope);
            if !is_within && !self.scope.is_within(&resource.id) {
                continue;
            }
            if is_within && self.cx.may(&P::READ, &resource.id) {
                let mut facts = Facts::of(serde_json::to_value(&resource).map_err(Error::internal)?)?;
                facts.network = network_of(self.cx.house(), &facts.id);
                self.found.push(facts);
            }
            passed.push(resource);
        }
        if self.found.len() > MOST {
            let why = format!("there are more than {MOST} resources here; ask about a group or a workspace");
            return Err(Error::new(Kind::TooLarge, why));
        }
        Ok(passed)
    }
}
