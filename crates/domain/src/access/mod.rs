//! The access room: who may do what. Roles are assigned at management scopes and inherited downwards; deny assignments win; a
//! decision is a pure function over a compiled snapshot.

mod approvals;
mod assignments;
mod built_in;
mod catalogue;
mod definitions;
mod deny;
mod elevation;
mod explain;
mod granting;
mod lasting;
mod lint;
mod managed_grants;
mod pattern;
mod removal;
mod role;
mod snapshot;
mod standing;
mod suggest;
#[cfg(test)]
mod tests;
mod timed;
mod vault_roles;
mod what_if;

pub use approvals::{
    ApprovalRequest, ApprovalRule, ApprovalState, ApprovalView, Approvers, DecideApproval, Decision,
    DeleteApprovalRule, GetApproval, GetApprovalRule, ListApprovalRules, ListApprovals, Progress, PutApprovalRule,
};
pub(crate) use approvals::{SweepApprovals, approved_request, forget_requests_within, is_invited_to_approve};
pub use assignments::{
    DeleteRoleAssignment, GetRoleAssignment, ListRoleAssignments, PutRoleAssignment, RoleAssignment,
};
pub use built_in::{
    ACR_DELETE, ACR_PULL, ACR_PUSH, APPLICATION_ADMINISTRATOR, BACKUP_OPERATOR, BLOB_DATA_CONTRIBUTOR, BLOB_DATA_OWNER,
    BLOB_DATA_READER, BLOB_DELEGATOR, COMPUTE_OPERATOR, CONTRIBUTOR, DATA_SCIENTIST, DIRECTORY_READER, OWNER, READER,
    RESOURCE_POLICY_CONTRIBUTOR, USER_ACCESS_ADMINISTRATOR, USER_ADMINISTRATOR,
};
pub use catalogue::{Catalogue, Entry};
pub use definitions::{
    DeleteRoleDefinition, GetRoleDefinition, ListOperations, ListRoleDefinitions, PutRoleDefinition, RoleForm,
};
pub use deny::{DeleteDenyAssignment, DenyAssignment, GetDenyAssignment, ListDenyAssignments, PutDenyAssignment};
pub(crate) use elevation::SweepRoleRequests;
pub use elevation::{
    ActivationApproval, ActivationTerms, Asked, Bounds, Eligibility, EligibilityInstances, EligibilityRequests,
    EligibilitySchedules, Expiry, GetSchedule, GetScheduleRequest, ListScheduleRequests, ListSchedules,
    RequestEligibility, RequestKind, RequestRole, RequestType, RoleInstances, RoleRequests, RoleSchedules, Schedule,
    ScheduleRequest, ScheduleType, Ticket, Whose, Window, end_what_has_ended,
};
pub use explain::{Because, DeniedBy, ExplainAccess, Explanation, Offer};
pub(crate) use granting::{require_all_of, require_lasting, require_power_over, require_power_to_end};
pub(crate) use lasting::Lasting;
pub use lint::{Finding, LintRoles, Linted, Rule};
pub(crate) use managed_grants::{grant_managed, move_managed_grant};
pub(crate) use removal::{
    holders_of_kept, remove_of, remove_of_managed, remove_of_managed_but, remove_within, require_other_holders,
};
pub use role::{Authored, Permissions, RoleDefinition};
pub use snapshot::{Access, Rows};
pub use suggest::{SuggestRole, Suggestion};
pub use vault_roles::{
    KEY_VAULT_ADMINISTRATOR, KEY_VAULT_CERTIFICATE_USER, KEY_VAULT_CERTIFICATES_OFFICER, KEY_VAULT_CONTRIBUTOR,
    KEY_VAULT_CRYPTO_OFFICER, KEY_VAULT_CRYPTO_SERVICE_ENCRYPTION_USER, KEY_VAULT_CRYPTO_USER, KEY_VAULT_READER,
    KEY_VAULT_SECRETS_OFFICER, KEY_VAULT_SECRETS_USER,
};
pub(crate) use what_if::compiled;
pub use what_if::{Changed, Comparison, Proposal, WhatIf};

use kernel::{Action, Class};

use crate::{gate::Record, identity::Membership};

/// A commit that touches one of these tables recompiles the snapshot.
pub(crate) const TABLES: &[&str] = &[
    RoleAssignment::TABLE,
    RoleDefinition::TABLE,
    DenyAssignment::TABLE,
    Membership::TABLE,
    Eligibility::TABLE,
    ApprovalRule::TABLE,
];

/// Reading a workspace: what tells whether a caller may know of things around a scope in one.
const READ_WORKSPACE: Action = Action::new("Microsoft.MachineLearningServices/workspaces/read", Class::Read);
const READ_GROUP: Action = Action::new("Microsoft.Resources/subscriptions/resourceGroups/read", Class::Read);

/// Reading what is not secret in a vault: whoever may any of it knows that there is the vault.
const READ_IN_VAULT: [Action; 3] = [
    Action::data("Microsoft.KeyVault/vaults/secrets/readMetadata/action", Class::Vault),
    Action::data("Microsoft.KeyVault/vaults/keys/read", Class::Vault),
    Action::data("Microsoft.KeyVault/vaults/certificates/read", Class::Vault),
];

/// Giving or taking a role of the directory: only its full administrators may, so that no lesser one makes itself more.
pub(crate) const GRANT_DIRECTORY: Action = Action::new("Microsoft.Directory/roleAssignments/write", Class::Control);
