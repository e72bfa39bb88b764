//! Writing and reading assignments.

use async_trait::async_trait;
use kernel::{Action, Class, Error, Kind, ResourceId, Result};
use serde_json::{Map, Value};

use super::{
    PolicyAssignment, PolicyDefinition, built_in,
    definitions::{check_name, check_words, row_id as definition_row},
    effect::{Effect, Target},
    snapshot::{Assigned, found},
};
use crate::{
    access::{Authored, Lasting, require_all_of, require_lasting},
    gate::{Admission, Changes, Cx, Op, Row},
    network::{PrivateEndpoint, VirtualNetwork},
    resources::{
        Datastore, KeyVault, LogStore, Registry, ResourceGroup, ResourceType, StorageAccount, Target as Compute,
        Telemetry, UserAssignedIdentity, Workspace, require_scope_around,
    },
    scoring::{Deployment, Endpoint},
};

const READ: Action = Action::new("Microsoft.Authorization/policyAssignments/read", Class::Read);
const WRITE: Action = Action::new("Microsoft.Authorization/policyAssignments/write", Class::Control);
const DELETE: Action = Action::new("Microsoft.Authorization/policyAssignments/delete", Class::Control);
/// Assignments at one scope; Azure's bound.
const MOST: usize = 200;
/// Exclusions of one assignment.
const MOST_EXCLUDED: usize = 100;
/// Bytes of one assignment.
const LARGEST: usize = 64 * 1024;

/// Types whose tags a policy can change, with what writing one takes.
const WRITES: [(&str, Action); 14] = [
    (ResourceGroup::TYPE, ResourceGroup::WRITE),
    (Workspace::TYPE, Workspace::WRITE),
    (Datastore::TYPE, Datastore::WRITE),
    (Compute::TYPE, Compute::WRITE),
    (Endpoint::TYPE, Endpoint::WRITE),
    (Deployment::TYPE, Deployment::WRITE),
    (KeyVault::TYPE, KeyVault::WRITE),
    (StorageAccount::TYPE, StorageAccount::WRITE),
    (Registry::TYPE, Registry::WRITE),
    (Telemetry::TYPE, Telemetry::WRITE),
    (LogStore::TYPE, LogStore::WRITE),
    (UserAssignedIdentity::TYPE, UserAssignedIdentity::WRITE),
    (VirtualNetwork::TYPE, VirtualNetwork::WRITE),
    (PrivateEndpoint::TYPE, PrivateEndpoint::WRITE),
];

fn row_id(cx: &Admission<'_>, scope: &ResourceId, name: &str) -> Vec<u8> {
    cx.system().name_id::<PolicyAssignment>(&format!("{}|{}", scope.folded(), name.to_ascii_lowercase()))
}

/// What a caller says of an assignment.
#[derive(Clone, Debug, Default)]
pub struct AssignmentWanted {
    /// For people.
    pub display_name: String,
    /// For people.
    pub description: String,
    /// The definition's full id.
    pub definition: String,
    /// Values of its parameters.
    pub parameters: Map<String, Value>,
    /// Where it does not count.
    pub not_scopes: Vec<ResourceId>,
    /// Whether it has its effect, or is only reported.
    pub is_enforced: bool,
    /// Said to whoever is refused.
    pub message: Option<String>,
    /// Free words.
    pub metadata: Map<String, Value>,
}

/// Assigns a definition at a scope, or changes an assignment.
#[derive(Debug)]
pub struct PutPolicyAssignment {
    /// Where.
    pub scope: ResourceId,
    /// Its name.
    pub name: String,
    /// What it shall be.
    pub wanted: AssignmentWanted,
}

#[async_trait]
impl Op for PutPolicyAssignment {
    const ACTION: Action = WRITE;
    type Output = PolicyAssignment;

    fn scope(&self) -> ResourceId {
        self.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<PolicyAssignment> {
        check_name("policyAssignmentName", &self.name)?;
        require_lasting(cx, &WRITE, &self.scope, Lasting::ForGood)?;
        require_scope_around(cx, "scope", &self.scope).await?;
        let mut changes = Changes::new();
        let definition = definition(cx, &self.scope, &self.wanted.definition, &mut changes).await?;
        let row_id = row_id(cx, &self.scope, &self.name);
        let present = cx.get::<PolicyAssignment>(cx.system(), &row_id).await?;
        if present.is_none() {
            let all = cx.all::<PolicyAssignment>(cx.system(), b"").await?;
            if all.iter().filter(|row| row.value.scope == self.scope).count() >= MOST {
                return Err(Error::new(Kind::TooLarge, format!("a scope has {MOST} assignments, and no more")));
            }
        }
        let authored = Authored::now(cx, present.as_ref().and_then(|row| row.value.authored));
        let assignment = assignment(self.scope, self.name, self.wanted, &definition, authored);
        check(&assignment)?;
        let assigned = Assigned::of(&assignment, &definition)?;
        require_rights_to_modify(cx, &assigned).await?;
        let row = match present {
            Some(row) => Row { value: assignment.clone(), ..row },
            None => Row::new(row_id, assignment.clone()),
        };
        cx.note("policyAssignment", &assigned.id);
        cx.note("policyDefinition", &assigned.definition);
        cx.note("policyEffect", assigned.bound.effect.word());
        changes.put(cx.system(), &row)?;
        cx.commit(changes).await?;
        Ok(assignment)
    }
}

fn assignment(
    scope: ResourceId,
    name: String,
    wanted: AssignmentWanted,
    definition: &PolicyDefinition,
    authored: Option<Authored>,
) -> PolicyAssignment {
    let AssignmentWanted { display_name, description, parameters, not_scopes, is_enforced, message, metadata, .. } =
        wanted;
    let definition = definition.id();
    PolicyAssignment {
        scope,
        name,
        display_name,
        description,
        definition,
        parameters,
        not_scopes,
        is_enforced,
        message,
        metadata,
        authored,
    }
}

fn check(assignment: &PolicyAssignment) -> Result<()> {
    check_words(&assignment.display_name, &assignment.description)?;
    if assignment.message.as_ref().is_some_and(|words| words.chars().count() > 512) {
        return Err(Error::invalid("properties.nonComplianceMessages", "at most 512 characters"));
    }
    if assignment.not_scopes.len() > MOST_EXCLUDED {
        return Err(Error::invalid("properties.notScopes", format_args!("at most {MOST_EXCLUDED}")));
    }
    if let Some(outside) = assignment.not_scopes.iter().find(|place| !place.is_within(&assignment.scope)) {
        return Err(Error::invalid(
            "properties.notScopes",
            format_args!("`{outside}` is not within the assignment's scope"),
        ));
    }
    if serde_json::to_vec(assignment).map_err(Error::internal)?.len() > LARGEST {
        return Err(Error::new(Kind::TooLarge, format!("an assignment has at most {LARGEST} bytes")));
    }
    Ok(())
}

/// The definition that is named. One of the subscription's is written unchanged with the assignment: it cannot be changed or
/// deleted meanwhile.
async fn definition(
    cx: &Admission<'_>,
    scope: &ResourceId,
    id: &str,
    changes: &mut Changes,
) -> Result<PolicyDefinition> {
    if let Some(ships) = found(built_in::all().iter(), id) {
        return Ok(ships.clone());
    }
    let row = cx.get::<PolicyDefinition>(cx.system(), &definition_row(cx, id)).await?;
    let row = row.filter(|row| row.value.subscription == scope.subscription_id()).ok_or_else(|| {
        let shown: String = id.chars().take(200).collect();
        let why = format_args!("there is no definition `{shown}` among those that ship and those of the subscription");
        Error::invalid("properties.policyDefinitionId", why)
    })?;
    changes.put(cx.system(), &row)?;
    Ok(row.value)
}

/// Refuses a policy that changes what the caller could not change: whoever has it written must be allowed to write it.
pub(super) async fn require_rights_to_modify(cx: &Admission<'_>, assigned: &Assigned) -> Result<()> {
    if assigned.bound.effect != Effect::Modify {
        return Ok(());
    }
    let is_touched = |kind: &str| {
        assigned.bound.details.operations.iter().any(|operation| match &operation.target {
            Target::Tag(_) => true,
            Target::Alias(alias) => alias.of == kind,
        })
    };
    let actions: Vec<Action> = WRITES.iter().filter(|(kind, _)| is_touched(kind)).map(|(_, action)| *action).collect();
    require_all_of(cx, &actions, &assigned.scope, Lasting::ForGood).await
}

/// Removes the assignments at a scope that is going away, and below it.
pub(crate) async fn remove_assignments_within(
    cx: &Admission<'_>,
    scope: &ResourceId,
    changes: &mut Changes,
) -> Result<()> {
    for row in cx.all::<PolicyAssignment>(cx.system(), b"").await? {
        if row.value.scope.is_within(scope) {
            changes.delete(cx.system(), &row);
        }
    }
    Ok(())
}

async fn find(cx: &Admission<'_>, scope: &ResourceId, name: &str) -> Result<Row<PolicyAssignment>> {
    let row = cx.get::<PolicyAssignment>(cx.system(), &row_id(cx, scope, name)).await?;
    let shown: String = name.chars().take(64).collect();
    let missing =
        || Error::not_found(format_args!("the policy assignment `{shown}`")).coded("PolicyAssignmentNotFound");
    row.ok_or_else(missing)
}

/// Removes an assignment: what it refused is allowed from then on.
#[derive(Debug)]
pub struct DeletePolicyAssignment {
    /// Where.
    pub scope: ResourceId,
    /// Its name.
    pub name: String,
}

#[async_trait]
impl Op for DeletePolicyAssignment {
    const ACTION: Action = DELETE;
    type Output = PolicyAssignment;

    fn scope(&self) -> ResourceId {
        self.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<PolicyAssignment> {
        let row = find(cx, &self.scope, &self.name).await?;
        require_lasting(cx, &DELETE, &self.scope, Lasting::ForGood)?;
        cx.note("policyAssignment", row.value.id());
        cx.note("policyDefinition", &row.value.definition);
        let mut changes = Changes::new();
        changes.delete(cx.system(), &row);
        cx.commit(changes).await?;
        Ok(row.value)
    }
}

/// Reads one.
#[derive(Debug)]
pub struct GetPolicyAssignment {
    /// Where.
    pub scope: ResourceId,
    /// Its name.
    pub name: String,
}

#[async_trait]
impl Op for GetPolicyAssignment {
    const ACTION: Action = READ;
    type Output = PolicyAssignment;

    fn scope(&self) -> ResourceId {
        self.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<PolicyAssignment> {
        find(cx, &self.scope, &self.name).await.map(|row| row.value)
    }
}

/// Lists those that count at a scope: its own, those above, and unless told otherwise those below that the caller may read.
#[derive(Debug)]
pub struct ListPolicyAssignments {
    /// Where.
    pub scope: ResourceId,
    /// Leave out those below.
    pub at_scope: bool,
}

#[async_trait]
impl Op for ListPolicyAssignments {
    const ACTION: Action = READ;
    type Output = Vec<PolicyAssignment>;

    fn scope(&self) -> ResourceId {
        self.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Vec<PolicyAssignment>> {
        let all = cx.all::<PolicyAssignment>(cx.system(), b"").await?;
        let is_below = |one: &PolicyAssignment| one.scope.is_within(&self.scope) && cx.may(&READ, &one.scope);
        let is_wanted = |one: &PolicyAssignment| self.scope.is_within(&one.scope) || (!self.at_scope && is_below(one));
        let mut found: Vec<_> = all.into_iter().map(|row| row.value).filter(is_wanted).collect();
        found.sort_by_key(PolicyAssignment::id);
        Ok(found)
    }
}
