//! Just-in-time elevation: who may activate which role where, what was activated until when, and its end (Azure PIM's role
//! eligibility and role assignment schedules, api-version 2020-10-01).
//!
//! Eligibility gives nothing. Activating it assigns the role to whoever asks, with bounds; `timed.rs` keeps decisions to them to the
//! millisecond, and the house's own work removes what is over and records its end.

mod activation;
mod eligibility;
mod ending;
mod list;
mod request;
mod sweep;

pub use activation::RequestRole;
pub use eligibility::RequestEligibility;
pub use ending::end_what_has_ended;
pub(super) use ending::{remove_eligibilities, remove_eligibilities_of};
pub use list::{
    EligibilityInstances, EligibilityRequests, EligibilitySchedules, GetSchedule, GetScheduleRequest,
    ListScheduleRequests, ListSchedules, RoleInstances, RoleRequests, RoleSchedules, Schedule, ScheduleType, Whose,
};
pub use request::{Asked, Expiry, RequestKind, RequestType, ScheduleRequest, Ticket};
pub(crate) use sweep::SweepRoleRequests;

use std::time::Duration;

use kernel::{Action, Class, PrincipalId, PrincipalKind, ResourceId, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Approvers;
use crate::gate::Record;

/// Asking for a role, for oneself or for somebody.
pub(super) const ACTIVATE: Action =
    Action::new("Microsoft.Authorization/roleAssignmentScheduleRequests/write", Class::Control);

/// What whoever can activate a role may ask of it without holding one: to see it, and to be told that nobody approves for
/// themselves.
pub(super) const ELIGIBLE_MAY: &[&str] = &[
    "Microsoft.Authorization/approvalRequests/decisions/write",
    "Microsoft.Authorization/approvalRequests/read",
    "Microsoft.Authorization/roleAssignmentScheduleInstances/read",
    "Microsoft.Authorization/roleAssignmentScheduleRequests/read",
    "Microsoft.Authorization/roleAssignmentSchedules/read",
    "Microsoft.Authorization/roleEligibilityScheduleInstances/read",
    "Microsoft.Authorization/roleEligibilityScheduleRequests/read",
    "Microsoft.Authorization/roleEligibilitySchedules/read",
];

/// A span of time: from its beginning up to, and without, its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Its beginning.
    pub from: Timestamp,
    /// Its end; none when it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

impl Window {
    /// Whether the moment lies in it.
    pub fn holds(&self, at: Timestamp) -> bool {
        self.from <= at && !self.is_over(at)
    }

    /// Whether it is over.
    pub fn is_over(&self, at: Timestamp) -> bool {
        self.until.is_some_and(|until| until <= at)
    }
}

/// Somebody may activate a role at a scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Eligibility {
    /// Where.
    pub scope: ResourceId,
    /// Which role.
    pub role: Uuid,
    /// Who: everybody in it when it is a group.
    pub principal: PrincipalId,
    /// What that is.
    pub kind: PrincipalKind,
    /// When it can be activated.
    pub window: Window,
    /// On which terms.
    pub terms: ActivationTerms,
    /// Who said so.
    pub created_by: PrincipalId,
    /// When.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// The request that made it or changed it last.
    pub request: Uuid,
}

impl Record for Eligibility {
    const TABLE: &'static str = "role-eligibility";
}

/// What an activation takes, and how long it lasts at most.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivationTerms {
    /// The longest activation, in milliseconds.
    pub longest_ms: u64,
    /// Whether whoever activates must have shown a second factor.
    #[serde(default)]
    pub needs_mfa: bool,
    /// Whether it takes the number of a ticket beside the reason.
    #[serde(default)]
    pub needs_ticket: bool,
    /// Whose approval it takes; nobody's when nothing is said, beside what rules demand.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ActivationApproval>,
}

/// The approvals that an activation takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActivationApproval {
    /// How many.
    pub approvals: u8,
    /// Whose.
    pub approvers: Approvers,
}

impl Default for ActivationTerms {
    fn default() -> Self {
        Self { longest_ms: 8 * 60 * 60 * 1000, needs_mfa: false, needs_ticket: false, approval: None }
    }
}

impl ActivationTerms {
    /// The longest activation.
    pub fn longest(&self) -> Duration {
        Duration::from_millis(self.longest_ms)
    }
}

/// When an assignment begins and ends, and what it came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bounds {
    /// When it counts.
    pub window: Window,
    /// The eligibility that was activated; none when somebody assigned it so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eligibility: Option<Uuid>,
    /// The request that made it.
    pub request: Uuid,
}
