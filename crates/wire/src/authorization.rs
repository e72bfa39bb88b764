//! Microsoft.Authorization (api-version 2022-04-01), and what Bartizan adds to it: explanations, what-if, the role linter and
//! suggestions.

use serde::{Deserialize, Serialize};

/// A role assignment in a PUT.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoleAssignmentInput {
    /// Resource id of the role definition.
    pub role_definition_id: String,
    /// Object id.
    pub principal_id: String,
    /// Narrows a role elsewhere; refused here.
    #[serde(default)]
    pub condition: Option<serde_json::Value>,
    /// Goes with it.
    #[serde(default)]
    pub condition_version: Option<serde_json::Value>,
    /// Refused too.
    #[serde(default)]
    pub delegated_managed_identity_resource_id: Option<serde_json::Value>,
}

/// A role assignment as answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoleAssignment {
    /// Resource id of the role definition.
    pub role_definition_id: String,
    /// Object id.
    pub principal_id: String,
    /// `User`, `Group`, `ServicePrincipal`.
    pub principal_type: String,
    /// Where.
    pub scope: String,
    /// RFC 3339.
    pub created_on: String,
    /// RFC 3339.
    pub updated_on: String,
    /// Object id.
    pub created_by: String,
    /// Object id.
    pub updated_by: String,
}

/// What a role allows; a custom role has one of these.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Permission {
    /// Patterns of control-plane actions.
    pub actions: Vec<String>,
    /// Patterns taken back.
    pub not_actions: Vec<String>,
    /// Patterns of data-plane actions.
    pub data_actions: Vec<String>,
    /// Patterns taken back.
    pub not_data_actions: Vec<String>,
    /// Narrows a role elsewhere; refused here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub condition: Option<serde_json::Value>,
}

/// A role definition, in a PUT and as answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RoleDefinition {
    /// Its name.
    pub role_name: String,
    /// `BuiltInRole` or `CustomRole`.
    #[serde(rename = "type", default)]
    pub kind: String,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// Where it can be assigned.
    #[serde(default)]
    pub assignable_scopes: Vec<String>,
    /// What it allows.
    #[serde(default)]
    pub permissions: Vec<Permission>,
    /// RFC 3339; none for those that ship.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_on: Option<String>,
    /// RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_on: Option<String>,
    /// Object id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<String>,
    /// Object id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_by: Option<String>,
}

/// Somebody a deny assignment is for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Principal {
    /// Object id; the nil GUID is everyone.
    pub id: String,
    /// `User`, `Group`, `ServicePrincipal`, `Everyone`.
    #[serde(rename = "type", default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
}

/// A deny assignment, in a PUT and as answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DenyAssignment {
    /// For people.
    pub deny_assignment_name: String,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// What is denied.
    #[serde(default)]
    pub permissions: Vec<Permission>,
    /// Where.
    #[serde(default)]
    pub scope: String,
    /// Whether scopes below are left alone.
    #[serde(default)]
    pub do_not_apply_to_child_scopes: bool,
    /// Whom it is for.
    #[serde(default)]
    pub principals: Vec<Principal>,
    /// Whom not.
    #[serde(default)]
    pub exclude_principals: Vec<Principal>,
    /// Whether the system made it: never.
    #[serde(default)]
    pub is_system_protected: bool,
}

/// A question: may they, and why.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ExplainInput {
    /// Object id.
    pub principal_id: String,
    /// The action.
    pub action: String,
}

/// An assignment in an explanation.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Because {
    /// The assignment's id.
    pub role_assignment_id: String,
    /// Its scope.
    pub scope: String,
    /// The role's id.
    pub role_definition_id: String,
    /// The role's name.
    pub role_name: String,
    /// Groups on the way from the principal to the assignment.
    pub through_groups: Vec<String>,
    /// The pattern that decides.
    pub pattern: String,
}

/// A deny assignment in an explanation.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeniedBy {
    /// The deny assignment's id.
    pub deny_assignment_id: String,
    /// For people.
    pub deny_assignment_name: String,
    /// Its scope.
    pub scope: String,
}

/// A role that would allow it.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Offer {
    /// The role's id.
    pub role_definition_id: String,
    /// Its name.
    pub role_name: String,
    /// How many actions it allows in all.
    pub actions: usize,
}

/// Why somebody may, or may not.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// `Allowed` or `Denied`.
    pub decision: &'static str,
    /// Whether the principal is disabled: whatever it holds, it is not let in.
    pub is_disabled: bool,
    /// The action, as it is spelled where it is checked.
    pub action: String,
    /// Where.
    pub scope: String,
    /// Object id.
    pub principal_id: String,
    /// Assignments that allow it.
    pub allowed_by: Vec<Because>,
    /// Deny assignments that take it away.
    pub denied_by: Vec<DeniedBy>,
    /// Assignments whose role takes it back itself.
    pub taken_back_by: Vec<Because>,
    /// Assignments that would allow it, elsewhere.
    pub held_elsewhere: Vec<Because>,
    /// Roles that would allow it here.
    pub would_allow: Vec<Offer>,
}

/// Changes that are proposed, made one after another.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WhatIfInput {
    /// The changes.
    pub changes: Vec<Change>,
}

/// One change.
#[derive(Debug, Clone, Deserialize)]
#[serde(tag = "change", rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Change {
    /// A role is assigned.
    AssignRole {
        /// The role's id, whole or its GUID.
        role_definition_id: String,
        /// Object id.
        principal_id: String,
        /// Where; the scope of the question when left out.
        #[serde(default)]
        scope: Option<String>,
    },
    /// An assignment is taken back.
    RemoveRoleAssignment {
        /// The assignment's id, whole or its GUID.
        role_assignment_id: String,
    },
    /// A role is made or changed.
    DefineRole {
        /// The role's id, whole or its GUID; a new one when left out.
        #[serde(default)]
        role_definition_id: Option<String>,
        /// What it is to be.
        properties: RoleDefinition,
    },
    /// Somebody enters a group.
    AddMember {
        /// The group.
        group_id: String,
        /// Who.
        principal_id: String,
    },
    /// Somebody leaves a group.
    RemoveMember {
        /// The group.
        group_id: String,
        /// Who.
        principal_id: String,
    },
}

/// What would change for somebody.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Changed {
    /// Object id.
    pub principal_id: String,
    /// Allowed then and not now.
    pub gained: Vec<String>,
    /// Allowed now and not then.
    pub lost: Vec<String>,
}

/// Something in a role that misleads.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The role's id.
    pub role_definition_id: String,
    /// Its name.
    pub role_name: String,
    /// Which kind of thing (`segmentWildcard`, `takesNothingBack`, …).
    pub rule: &'static str,
    /// The list it is in.
    pub list: &'static str,
    /// The pattern.
    pub pattern: String,
    /// What to know about it.
    pub message: String,
}

/// Whose least role is asked for.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct SuggestInput {
    /// Object id.
    pub principal_id: String,
    /// RFC 3339; not before.
    #[serde(default)]
    pub from: Option<String>,
    /// RFC 3339; not after.
    #[serde(default)]
    pub until: Option<String>,
}
