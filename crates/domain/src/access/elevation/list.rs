//! Reading schedules and the requests that made them. Whoever may read assignments sees all of them; everybody else their own.

use std::marker::PhantomData;

use async_trait::async_trait;
use kernel::{Action, Class, Error, PrincipalId, PrincipalKind, ResourceId, Result, Timestamp};
use uuid::Uuid;

use super::{Eligibility, RequestKind, ScheduleRequest, Window};
use crate::{
    access::{RoleAssignment, assignments::READ},
    gate::{Admission, Cx, Op, Row},
};

const READ_ASSIGNMENTS: Action = Action::new(READ, Class::Read);

/// What is read, under a name of Azure's: what is scheduled, and its instances, are the same things here.
pub trait ScheduleType: Send + Sync + 'static {
    /// The permission.
    const READ: Action;
    /// What it is about: eligibility, or assignments, those for good among them.
    const ABOUT: RequestKind;
}

/// `roleEligibilitySchedules`.
#[derive(Debug)]
pub struct EligibilitySchedules;
/// `roleEligibilityScheduleInstances`.
#[derive(Debug)]
pub struct EligibilityInstances;
/// `roleEligibilityScheduleRequests`.
#[derive(Debug)]
pub struct EligibilityRequests;
/// `roleAssignmentSchedules`.
#[derive(Debug)]
pub struct RoleSchedules;
/// `roleAssignmentScheduleInstances`.
#[derive(Debug)]
pub struct RoleInstances;
/// `roleAssignmentScheduleRequests`.
#[derive(Debug)]
pub struct RoleRequests;

impl ScheduleType for EligibilitySchedules {
    const READ: Action = Action::new("Microsoft.Authorization/roleEligibilitySchedules/read", Class::Read);
    const ABOUT: RequestKind = RequestKind::Eligibility;
}
impl ScheduleType for EligibilityInstances {
    const READ: Action = Action::new("Microsoft.Authorization/roleEligibilityScheduleInstances/read", Class::Read);
    const ABOUT: RequestKind = RequestKind::Eligibility;
}
impl ScheduleType for EligibilityRequests {
    const READ: Action = Action::new("Microsoft.Authorization/roleEligibilityScheduleRequests/read", Class::Read);
    const ABOUT: RequestKind = RequestKind::Eligibility;
}
impl ScheduleType for RoleSchedules {
    const READ: Action = Action::new("Microsoft.Authorization/roleAssignmentSchedules/read", Class::Read);
    const ABOUT: RequestKind = RequestKind::Assignment;
}
impl ScheduleType for RoleInstances {
    const READ: Action = Action::new("Microsoft.Authorization/roleAssignmentScheduleInstances/read", Class::Read);
    const ABOUT: RequestKind = RequestKind::Assignment;
}
impl ScheduleType for RoleRequests {
    const READ: Action = Action::new("Microsoft.Authorization/roleAssignmentScheduleRequests/read", Class::Read);
    const ABOUT: RequestKind = RequestKind::Assignment;
}

/// Whose schedules are asked for (`$filter`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// Everybody's.
    Anybody,
    /// The caller's, by itself and through groups (`asTarget()`).
    Own,
    /// Of this principal by itself (`principalId eq`).
    Of(PrincipalId),
    /// Of this principal and its groups (`assignedTo`).
    Reaching(PrincipalId),
}

/// A schedule: who has, or may activate, which role where and when.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// Its name: the eligibility's, or the assignment's.
    pub name: Uuid,
    /// Where.
    pub scope: ResourceId,
    /// Which role.
    pub role: Uuid,
    /// The role's name, as long as there is such a role.
    pub role_name: Option<String>,
    /// Who.
    pub principal: PrincipalId,
    /// What that is.
    pub kind: PrincipalKind,
    /// The principal's name, as long as it is there.
    pub principal_name: Option<String>,
    /// When; none for an assignment without bounds.
    pub window: Option<Window>,
    /// Whether it counts now.
    pub is_in_force: bool,
    /// Whether it lies above the scope that was asked about.
    pub is_inherited: bool,
    /// Whether it is a group's.
    pub is_of_group: bool,
    /// The eligibility that was activated.
    pub linked: Option<Uuid>,
    /// The request that made it.
    pub request: Option<Uuid>,
    /// The terms of an eligibility.
    pub terms: Option<super::ActivationTerms>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

/// Lists schedules at the scope, above it (they apply there) and below it.
#[derive(Debug)]
pub struct ListSchedules<T> {
    /// Of what.
    pub of: PhantomData<T>,
    /// The scope asked about.
    pub scope: ResourceId,
    /// Whose.
    pub whose: Whose,
    /// Only at the scope and above (`atScope()`).
    pub at_scope: bool,
}

#[async_trait]
impl<T: ScheduleType> Op for ListSchedules<T> {
    const ACTION: Action = T::READ;
    type Output = Vec<Schedule>;

    fn scope(&self) -> ResourceId {
        self.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let sight = Sight::of(cx, &self.scope, self.whose);
        let mut found = all(cx, T::ABOUT, &self.scope).await?;
        found.retain(|schedule| {
            let applies = self.scope.is_within(&schedule.scope);
            let lies_below = !self.at_scope && schedule.scope.is_within(&self.scope);
            (applies || lies_below) && sight.shows(schedule.principal)
        });
        found.sort_by(|a, b| (&a.scope, a.name).cmp(&(&b.scope, b.name)));
        Ok(found)
    }
}

/// Reads one schedule.
#[derive(Debug)]
pub struct GetSchedule<T> {
    /// Of what.
    pub of: PhantomData<T>,
    /// Its name.
    pub name: Uuid,
    /// Where it was made.
    pub scope: ResourceId,
}

#[async_trait]
impl<T: ScheduleType> Op for GetSchedule<T> {
    const ACTION: Action = T::READ;
    type Output = Schedule;

    fn scope(&self) -> ResourceId {
        self.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Schedule> {
        let sight = Sight::of(cx, &self.scope, Whose::Anybody);
        let found = all(cx, T::ABOUT, &self.scope).await?.into_iter();
        let mut found = found.filter(|schedule| schedule.name == self.name && schedule.scope == self.scope);
        let found = found.next().filter(|schedule| sight.shows(schedule.principal));
        found.ok_or_else(|| Error::not_found(format_args!("the schedule `{}`", self.name)))
    }
}

/// Lists requests made at a scope and below it.
#[derive(Debug)]
pub struct ListScheduleRequests<T> {
    /// About what.
    pub of: PhantomData<T>,
    /// The scope asked about.
    pub scope: ResourceId,
    /// Whose; `Own` shows those that the caller made too.
    pub whose: Whose,
}

#[async_trait]
impl<T: ScheduleType> Op for ListScheduleRequests<T> {
    const ACTION: Action = T::READ;
    type Output = Vec<(Uuid, ScheduleRequest)>;

    fn scope(&self) -> ResourceId {
        self.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let sight = Sight::of(cx, &self.scope, self.whose);
        let rows = cx.all::<ScheduleRequest>(cx.system(), b"").await?.into_iter();
        let rows = rows.filter(|row| {
            row.value.about == T::ABOUT && row.value.scope.is_within(&self.scope) && sight.shows_request(&row.value)
        });
        let mut found: Vec<_> = rows.filter_map(named).collect();
        found.sort_by_key(|(name, request)| (request.created_at, *name));
        Ok(found)
    }
}

/// Reads one request.
#[derive(Debug)]
pub struct GetScheduleRequest<T> {
    /// About what.
    pub of: PhantomData<T>,
    /// Its name.
    pub name: Uuid,
    /// Where it was made.
    pub scope: ResourceId,
}

#[async_trait]
impl<T: ScheduleType> Op for GetScheduleRequest<T> {
    const ACTION: Action = T::READ;
    type Output = ScheduleRequest;

    fn scope(&self) -> ResourceId {
        self.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<ScheduleRequest> {
        let sight = Sight::of(cx, &self.scope, Whose::Anybody);
        let row = cx.get::<ScheduleRequest>(cx.system(), self.name.as_bytes()).await?;
        let row = row.filter(|row| {
            row.value.about == T::ABOUT && row.value.scope == self.scope && sight.shows_request(&row.value)
        });
        row.map(|row| row.value).ok_or_else(|| Error::not_found(format_args!("the request `{}`", self.name)))
    }
}

fn named(row: Row<ScheduleRequest>) -> Option<(Uuid, ScheduleRequest)> {
    Some((Uuid::from_slice(&row.id).ok()?, row.value))
}

/// Whose schedules the caller is shown.
struct Sight {
    /// None: everybody's.
    wanted: Option<Vec<PrincipalId>>,
    /// None: the caller may see everybody's.
    allowed: Option<Vec<PrincipalId>>,
    caller: Option<PrincipalId>,
}

impl Sight {
    fn of(cx: &Admission<'_>, scope: &ResourceId, whose: Whose) -> Self {
        let access = cx.house().access();
        let caller = cx.caller().principal().map(|principal| principal.id);
        let own = || caller.map(|id| access.selves(id)).unwrap_or_default();
        let wanted = match whose {
            Whose::Anybody => None,
            Whose::Own => Some(own()),
            Whose::Of(id) => Some(vec![id]),
            Whose::Reaching(id) => Some(access.selves(id)),
        };
        let sees_all = caller.is_none_or(|id| access.allows(id, &READ_ASSIGNMENTS, scope));
        let allowed = (!sees_all).then(own);
        Self { wanted, allowed, caller }
    }

    fn shows(&self, principal: PrincipalId) -> bool {
        let is_in = |list: &Option<Vec<PrincipalId>>| list.as_ref().is_none_or(|list| list.contains(&principal));
        is_in(&self.wanted) && is_in(&self.allowed)
    }

    fn shows_request(&self, request: &ScheduleRequest) -> bool {
        self.shows(request.principal) || (self.wanted.is_none() && self.caller == Some(request.requestor))
    }
}

async fn all(cx: &Admission<'_>, about: RequestKind, at: &ResourceId) -> Result<Vec<Schedule>> {
    Ok(match about {
        RequestKind::Eligibility => {
            let rows = cx.all::<Eligibility>(cx.system(), b"").await?;
            rows.iter().filter_map(|row| of_eligibility(cx, row, at)).collect()
        }
        RequestKind::Assignment => {
            let rows = cx.all::<RoleAssignment>(cx.system(), b"").await?;
            rows.iter().filter_map(|row| of_assignment(cx, row, at)).collect()
        }
    })
}

fn of_eligibility(cx: &Admission<'_>, row: &Row<Eligibility>, at: &ResourceId) -> Option<Schedule> {
    let held = &row.value;
    let shown = Held { name: &row.id, scope: &held.scope, role: held.role, whose: (held.principal, held.kind) };
    Some(Schedule {
        request: Some(held.request),
        terms: Some(held.terms.clone()),
        updated_at: held.updated_at,
        ..shown.schedule(cx, at, Some(held.window), held.created_at)?
    })
}

fn of_assignment(cx: &Admission<'_>, row: &Row<RoleAssignment>, at: &ResourceId) -> Option<Schedule> {
    let held = &row.value;
    let bounds = held.bounds.as_ref();
    let shown = Held { name: &row.id, scope: &held.scope, role: held.role, whose: (held.principal, held.kind) };
    Some(Schedule {
        linked: bounds.and_then(|bounds| bounds.eligibility),
        request: bounds.map(|bounds| bounds.request),
        ..shown.schedule(cx, at, bounds.map(|bounds| bounds.window), held.created_at)?
    })
}

/// What an eligibility and an assignment have in common.
struct Held<'a> {
    name: &'a [u8],
    scope: &'a ResourceId,
    role: Uuid,
    whose: (PrincipalId, PrincipalKind),
}

impl Held<'_> {
    /// As it is shown to who asks at a scope; none when it is over.
    fn schedule(
        self,
        cx: &Admission<'_>,
        at: &ResourceId,
        window: Option<Window>,
        created_at: Timestamp,
    ) -> Option<Schedule> {
        let (house, (principal, kind)) = (cx.house(), self.whose);
        (!window.is_some_and(|window| window.is_over(cx.now()))).then_some(())?;
        Some(Schedule {
            name: Uuid::from_slice(self.name).ok()?,
            scope: self.scope.clone(),
            role: self.role,
            role_name: house.access().role(self.role).map(|role| role.role_name.clone()),
            principal,
            kind,
            principal_name: house.identity.name_of(principal),
            window,
            is_in_force: window.is_none_or(|window| window.holds(cx.now())),
            is_inherited: self.scope != at,
            is_of_group: kind == PrincipalKind::Group,
            linked: None,
            request: None,
            terms: None,
            created_at,
            updated_at: created_at,
        })
    }
}
