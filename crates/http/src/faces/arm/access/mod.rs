//! Who may do what, at every scope (Microsoft.Authorization, api-version 2022-04-01), with what Bartizan adds to that: why, what
//! if, the role linter, and suggestions.

mod approvals;
mod assignments;
mod definitions;
mod deny;
mod duration;
mod elevation;
mod insight;
mod policies;

use domain::access::{
    DeleteDenyAssignment, DeleteRoleAssignment, DeleteRoleDefinition, ExplainAccess, GetDenyAssignment,
    GetRoleAssignment, GetRoleDefinition, LintRoles, ListDenyAssignments, ListOperations, ListRoleAssignments,
    ListRoleDefinitions, PutDenyAssignment, PutRoleAssignment, PutRoleDefinition, SuggestRole, WhatIf,
};
use domain::resources::{KeyVault, Registry, ResourceType, StorageAccount, Telemetry};
use http::Method;
use kernel::{Error, ResourceId};
use uuid::Uuid;

use super::{Fault, GROUP, WORKSPACE, list};
use crate::Doors;

const ROOT: &str = "";
const SUBSCRIPTION: &str = "/subscriptions/{subscription}";
/// Roles are assigned at companions too: a workspace's identity holds some there.
const COMPANIONS: [&str; 4] = [KeyVault::TYPE, StorageAccount::TYPE, Registry::TYPE, Telemetry::TYPE];
/// And at one object of a vault.
const IN_VAULTS: [&str; 3] = ["certificates", "keys", "secrets"];

/// The doors of role assignments and definitions, deny assignments, and what is asked about them.
pub(super) fn doors(mut doors: Doors) -> Doors {
    for scope in [ROOT, SUBSCRIPTION, GROUP, WORKSPACE] {
        let base = format!("{scope}/providers/Microsoft.Authorization");
        let at = |place: &str| format!("{base}/{place}");
        doors = doors
            .open::<ListRoleAssignments, _, _>(Method::GET, &at("roleAssignments"), assignments::list_assignments)
            .open::<GetRoleAssignment, _, _>(Method::GET, &at("roleAssignments/{name}"), assignments::get_assignment)
            .open::<PutRoleAssignment, _, _>(Method::PUT, &at("roleAssignments/{name}"), assignments::put_assignment)
            .open::<DeleteRoleAssignment, _, _>(
                Method::DELETE,
                &at("roleAssignments/{name}"),
                assignments::delete_assignment,
            )
            .open::<ListRoleDefinitions, _, _>(Method::GET, &at("roleDefinitions"), definitions::list_definitions)
            .open::<GetRoleDefinition, _, _>(Method::GET, &at("roleDefinitions/{name}"), definitions::get_definition)
            .open::<PutRoleDefinition, _, _>(Method::PUT, &at("roleDefinitions/{name}"), definitions::put_definition)
            .open::<DeleteRoleDefinition, _, _>(
                Method::DELETE,
                &at("roleDefinitions/{name}"),
                definitions::delete_definition,
            )
            .open::<ListDenyAssignments, _, _>(Method::GET, &at("denyAssignments"), deny::list_denials)
            .open::<GetDenyAssignment, _, _>(Method::GET, &at("denyAssignments/{name}"), deny::get_denial)
            .open::<PutDenyAssignment, _, _>(Method::PUT, &at("denyAssignments/{name}"), deny::put_denial)
            .open::<DeleteDenyAssignment, _, _>(Method::DELETE, &at("denyAssignments/{name}"), deny::delete_denial)
            .open::<ExplainAccess, _, _>(Method::POST, &at("explain"), insight::explain)
            .open::<WhatIf, _, _>(Method::POST, &at("whatIf"), insight::what_if)
            .open::<LintRoles, _, _>(Method::POST, &at("lintRoles"), insight::lint_roles)
            .open::<SuggestRole, _, _>(Method::POST, &at("suggestRole"), insight::suggest_role);
        doors = approvals::doors(elevation::doors(doors, &base), &base);
        if scope != ROOT {
            doors = policies::assignments(doors, &base);
        }
    }
    let companions = COMPANIONS.iter().map(|kind| format!("{GROUP}/providers/{kind}/{{companion}}"));
    let vault = format!("{GROUP}/providers/{}/{{companion}}", KeyVault::TYPE);
    let objects = IN_VAULTS.iter().map(|kind| format!("{vault}/{kind}/{{object}}"));
    for scope in companions.chain(objects) {
        let at = |place: &str| format!("{scope}/providers/Microsoft.Authorization/{place}");
        let (all, one) = (at("roleAssignments"), at("roleAssignments/{name}"));
        doors = doors
            .open::<ListRoleAssignments, _, _>(Method::GET, &all, assignments::list_assignments)
            .open::<GetRoleAssignment, _, _>(Method::GET, &one, assignments::get_assignment)
            .open::<PutRoleAssignment, _, _>(Method::PUT, &one, assignments::put_assignment)
            .open::<DeleteRoleAssignment, _, _>(Method::DELETE, &one, assignments::delete_assignment)
            .open::<ListRoleDefinitions, _, _>(Method::GET, &at("roleDefinitions"), definitions::list_definitions)
            .open::<GetRoleDefinition, _, _>(Method::GET, &at("roleDefinitions/{name}"), definitions::get_definition)
            .open::<ExplainAccess, _, _>(Method::POST, &at("explain"), insight::explain);
    }
    doors = policies::definitions(doors);
    let operations = "/providers/Microsoft.Authorization/providerOperations";
    doors
        .open::<ListOperations, _, _>(Method::GET, operations, definitions::list_operations)
        .open::<ListOperations, _, _>(Method::GET, &format!("{operations}/{{namespace}}"), definitions::list_operations)
}

/// The id of a role as it is answered at a scope.
fn definition_id(scope: &ResourceId, role: Uuid) -> String {
    let base = scope.subscription_id().map(|id| format!("/subscriptions/{id}")).unwrap_or_default();
    format!("{base}/providers/Microsoft.Authorization/roleDefinitions/{role}")
}

/// The id of an assignment that was made at a scope.
fn assignment_id(scope: &ResourceId, name: Uuid) -> String {
    let base = if scope.is_root() { "" } else { scope.as_str() };
    format!("{base}/providers/Microsoft.Authorization/roleAssignments/{name}")
}

/// The GUID that an id ends in.
fn guid_of(field: &str, id: &str) -> Result<Uuid, Error> {
    let guid = id.rsplit('/').next().and_then(|guid| guid.parse().ok());
    guid.ok_or_else(|| Error::invalid(field, "must end in a GUID"))
}
