//! Approvals: what takes the word of others before it runs, who those are, and what they said (requirement X-25).
//!
//! A rule at a scope says that a kind of operation takes so many approvals there and below. The gate asks before an operation runs
//! (`gate/approval.rs`); the request that it keeps is for exactly that operation of that caller, counts for a time, and is used up
//! in the commit of the change.

mod decide;
mod demand;
mod list;
mod request;
mod rules;
mod sweep;

pub use decide::DecideApproval;
pub(super) use demand::Demand;
pub(crate) use demand::is_invited_to_approve;
pub use list::{ApprovalView, GetApproval, ListApprovals, Progress};
pub use request::{ApprovalRequest, ApprovalState, Decision};
pub(crate) use request::{approved_request, forget_requests_within};
pub use rules::{DeleteApprovalRule, GetApprovalRule, ListApprovalRules, PutApprovalRule};
pub(super) use rules::{check_approvers, remove_rules_within, require_not_named};
pub(crate) use sweep::SweepApprovals;
pub(super) use sweep::remove_old;

use kernel::{Action, Class, PrincipalId, ResourceId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Authored;
use crate::gate::{Guard, Record};

/// Reading requests.
pub(super) const READ: Action = Action::new("Microsoft.Authorization/approvalRequests/read", Class::Read);
/// Approving and denying.
pub(super) const DECIDE: Action =
    Action::new("Microsoft.Authorization/approvalRequests/decisions/write", Class::Control);

/// Who may approve.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approvers {
    /// People, groups of people, and service principals that are named themselves.
    #[serde(default)]
    pub principals: Vec<PrincipalId>,
    /// People who hold one of these roles where the operation is, or above.
    #[serde(default)]
    pub roles: Vec<Uuid>,
}

/// A rule: this kind of operation takes approvals, here and below.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalRule {
    /// Where.
    pub scope: ResourceId,
    /// Of what.
    pub operation: Guard,
    /// How many.
    pub approvals: u8,
    /// Whose.
    pub approvers: Approvers,
    /// How long a request counts, in milliseconds.
    pub lifetime_ms: u64,
    /// Principals, groups among them, who need none.
    #[serde(default)]
    pub bypass: Vec<PrincipalId>,
    /// For people.
    #[serde(default)]
    pub description: String,
    /// Who made it and changed it last.
    pub authored: Option<Authored>,
}

impl Record for ApprovalRule {
    const TABLE: &'static str = "approval-rule";
}
