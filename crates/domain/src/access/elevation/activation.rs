//! Activating a role that one is eligible for, ending that, and assigning a role for a time.

use async_trait::async_trait;
use kernel::{Action, Caller, Error, Kind, PrincipalId, PrincipalKind, ResourceId, Result};
use uuid::Uuid;

use super::{
    ACTIVATE, Asked, Bounds, Eligibility, Expiry, RequestKind, RequestType, ScheduleRequest, Window,
    request::{keep, requestor, require_new},
};
use crate::{
    access::{
        DeleteRoleAssignment, PutRoleAssignment, RoleAssignment,
        assignments::{Epoch, require_room},
        granting::{require_lasting, require_right_to_grant},
        lasting::Lasting,
    },
    gate::{Admission, Changes, Cx, Guard, Guarded, House, Op, Row},
    identity::require_mfa,
    resources,
};

/// Asks for a role: `SelfActivate` and `SelfDeactivate` by whoever is eligible, `AdminAssign` and `AdminRemove` by whoever may grant
/// it.
#[derive(Debug)]
pub struct RequestRole {
    /// The request's own name, which the caller chooses.
    pub name: Uuid,
    /// Where.
    pub scope: ResourceId,
    /// What.
    pub asked: Asked,
}

/// What a request comes to.
struct Outcome {
    target: Uuid,
    kind: PrincipalKind,
    window: Option<Window>,
    linked: Option<Uuid>,
}

#[async_trait]
impl Op for RequestRole {
    const ACTION: Action = ACTIVATE;
    const GUARDS: &'static [Guard] = &[Guard::RoleGrant];
    type Output = ScheduleRequest;

    fn scope(&self) -> ResourceId {
        self.scope.clone()
    }

    fn guarded(&self, house: &House, caller: &Caller) -> Result<Guarded> {
        let body = self.asked.in_words(house);
        let mut guarded = Guarded::at(Guard::RoleGrant, &self.scope, body);
        match (self.asked.request_type, caller.principal()) {
            (RequestType::AdminAssign, _) => {}
            (RequestType::SelfActivate, Some(principal)) => {
                guarded.places.eligibility = Some(self.eligibility(house, principal.id)?.0);
            }
            _ => return Ok(Guarded::default()),
        }
        Ok(guarded)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<ScheduleRequest> {
        self.asked.check()?;
        // Of two who ask at once, one waits here; of two servers, the epoch refuses one.
        let _turn = cx.house().assigning.lock().await;
        let epoch = Epoch::read(cx).await?;
        cx.require(&Self::ACTION, &self.scope).await?;
        require_new(cx, self.name).await?;
        let all = cx.all::<RoleAssignment>(cx.system(), b"").await?;
        let mut changes = Changes::new();
        let outcome = match self.asked.request_type {
            RequestType::SelfActivate => self.activate(cx, &all, &mut changes).await?,
            RequestType::SelfDeactivate => self.deactivate(cx, &all, &mut changes)?,
            RequestType::AdminAssign => self.assign(cx, &all, &mut changes).await?,
            RequestType::AdminRemove => self.remove(cx, &all, &mut changes).await?,
            RequestType::AdminUpdate => {
                let why = "use `SelfActivate`, `SelfDeactivate`, `AdminAssign` or `AdminRemove`";
                return Err(Error::invalid("properties.requestType", why));
            }
        };
        let asked = self.asked;
        let request = ScheduleRequest {
            about: RequestKind::Assignment,
            request_type: asked.request_type,
            scope: self.scope,
            role: asked.role,
            principal: asked.principal,
            kind: outcome.kind,
            window: outcome.window,
            justification: asked.justification,
            ticket: asked.ticket,
            target: outcome.target,
            linked: outcome.linked,
            requestor: requestor(cx)?,
            created_at: cx.now(),
        };
        if let Some(role) = cx.house().access().role(request.role) {
            cx.note("role", &role.role_name);
        }
        keep(cx, &mut changes, self.name, &request)?;
        changes.put(cx.system(), &epoch)?;
        cx.commit(changes).await?;
        Ok(request)
    }
}

impl RequestRole {
    /// Assigns what the caller is eligible for, to the caller.
    async fn activate(&self, cx: &Cx<'_, Self>, all: &[Row<RoleAssignment>], changes: &mut Changes) -> Result<Outcome> {
        let principal = self.own(cx)?;
        if self.asked.justification.trim().is_empty() {
            return Err(Error::invalid("properties.justification", "an activation says why it is needed"));
        }
        let (linked, eligibility) = self.eligibility(cx.house(), principal)?;
        if eligibility.terms.approval.is_some() && cx.approved_eligibility() != Some(linked) {
            let why = "what is eligible here changed at this moment, and takes approval now; ask again";
            return Err(Error::new(Kind::Conflict, why));
        }
        if eligibility.terms.needs_mfa {
            require_mfa(cx.caller())?;
        }
        if eligibility.terms.needs_ticket && self.asked.ticket.number.trim().is_empty() {
            return Err(Error::invalid("properties.ticketInfo.ticketNumber", "this role takes the number of a ticket"));
        }
        let window = self.activation_window(cx, &eligibility)?;
        // Whoever comes to the same role by two groups, or asks twice, has it once.
        if all.iter().any(|row| self.is_activation(&row.value, principal) && !is_over(cx, &row.value)) {
            let why = "the role is active here already, or about to be; end that first with `SelfDeactivate`";
            return Err(Error::new(Kind::Exists, why));
        }
        require_room(cx, all, &self.scope)?;
        let kind = cx.house().identity.kind_of(principal).ok_or_else(|| Error::not_found("the principal"))?;
        let target = self.put(cx, changes, kind, window, Some(linked))?;
        Ok(Outcome { target, kind, window: Some(window), linked: Some(linked) })
    }

    /// The caller, who asks for nobody else.
    fn own(&self, cx: &Cx<'_, Self>) -> Result<PrincipalId> {
        let caller =
            cx.caller().principal().ok_or_else(|| Error::new(Kind::Denied, "only a principal activates roles"))?;
        if caller.proof.run.is_some() {
            return Err(Error::new(Kind::Denied, "the code of a run activates no roles"));
        }
        match caller.id == self.asked.principal {
            true => Ok(caller.id),
            false => Err(Error::new(Kind::Denied, "nobody activates a role for somebody else")),
        }
    }

    /// What the caller is eligible for: what was named, or the one of this role and scope that lasts longest.
    fn eligibility(&self, house: &House, principal: PrincipalId) -> Result<(Uuid, Eligibility)> {
        let access = house.access();
        let now = house.now();
        let fits = |(name, held): &(Uuid, &Eligibility)| {
            held.role == self.asked.role
                && held.scope == self.scope
                && held.window.holds(now)
                && self.asked.linked.is_none_or(|linked| linked == *name)
        };
        let mut found: Vec<_> = access.eligibilities_of(principal).into_iter().filter(fits).collect();
        // None is longer than any end; the name makes the choice the same every time.
        found.sort_by_key(|(name, held)| (held.window.until.is_some(), held.window.until.map(|until| -until.0), *name));
        let first = found.first().map(|(name, held)| (*name, (*held).clone()));
        first.ok_or_else(|| {
            let why = "you are not eligible for this role here at this time; `roleEligibilityScheduleInstances` with \
                       `$filter=asTarget()` shows what you can activate";
            Error::new(Kind::Denied, why)
        })
    }

    /// When the activation counts. It ends with its eligibility at the latest; what is asked for beyond the terms is refused.
    fn activation_window(&self, cx: &Cx<'_, Self>, eligibility: &Eligibility) -> Result<Window> {
        let field = "properties.scheduleInfo.expiration";
        let longest = eligibility.terms.longest();
        if self.asked.expiry == Expiry::Never {
            return Err(Error::invalid(field, "an activation has an end; use `AfterDuration` or `AfterDateTime`"));
        }
        let asked = self.asked.window(cx.now())?;
        let until = asked.until.unwrap_or_else(|| asked.from.plus(longest));
        if until > asked.from.plus(longest) {
            let why = format_args!("an activation of this role lasts at most {} minutes", longest.as_secs() / 60);
            return Err(Error::invalid(field, why));
        }
        let last = eligibility.window.until.unwrap_or(until);
        if asked.from >= last {
            return Err(Error::invalid("properties.scheduleInfo.startDateTime", "the eligibility has ended by then"));
        }
        Ok(Window { from: asked.from, until: Some(until.min(last)) })
    }

    fn is_activation(&self, held: &RoleAssignment, principal: PrincipalId) -> bool {
        held.scope == self.scope
            && (held.role, held.principal) == (self.asked.role, principal)
            && held.bounds.as_ref().is_some_and(|bounds| bounds.eligibility.is_some())
    }

    fn deactivate(&self, cx: &Cx<'_, Self>, all: &[Row<RoleAssignment>], changes: &mut Changes) -> Result<Outcome> {
        let principal = self.own(cx)?;
        let found = all.iter().find(|row| self.is_activation(&row.value, principal) && !is_over(cx, &row.value));
        self.take_back(cx, changes, found)
    }

    /// Assigns a role for a time.
    async fn assign(&self, cx: &Cx<'_, Self>, all: &[Row<RoleAssignment>], changes: &mut Changes) -> Result<Outcome> {
        cx.require(&PutRoleAssignment::ACTION, &self.scope).await?;
        let kind = cx.house().identity.kind_of(self.asked.principal).ok_or_else(|| {
            let why = format_args!("no principal has object id `{}`", self.asked.principal);
            Error::invalid("properties.principalId", why)
        })?;
        let window = self.asked.window(cx.now())?;
        if window.until.is_none() {
            let why = "say when it ends (`AfterDuration`, `AfterDateTime`); `roleAssignments` assigns a role for good";
            return Err(Error::invalid("properties.scheduleInfo.expiration", why));
        }
        let role = cx.house().access().role(self.asked.role).cloned();
        let role = role.filter(|role| role.is_assignable_at(&self.scope)).ok_or_else(|| {
            let why = format_args!("role `{}` does not exist, or cannot be assigned there", self.asked.role);
            Error::invalid("properties.roleDefinitionId", why)
        })?;
        let lasting = Lasting::through(window.until);
        require_lasting(cx, &PutRoleAssignment::ACTION, &self.scope, lasting)?;
        require_right_to_grant(cx, &role, &self.scope, lasting).await?;
        resources::require_scope_around(cx, "scope", &self.scope).await?;
        if all.iter().any(|row| self.is_assigned_for_a_time(&row.value) && !is_over(cx, &row.value)) {
            let why = "the role is assigned there for a time already; take that back first with `AdminRemove`";
            return Err(Error::new(Kind::Exists, why));
        }
        require_room(cx, all, &self.scope)?;
        let target = self.put(cx, changes, kind, window, None)?;
        Ok(Outcome { target, kind, window: Some(window), linked: None })
    }

    fn is_assigned_for_a_time(&self, held: &RoleAssignment) -> bool {
        held.scope == self.scope
            && (held.role, held.principal) == (self.asked.role, self.asked.principal)
            && held.bounds.as_ref().is_some_and(|bounds| bounds.eligibility.is_none())
    }

    /// Takes back what was assigned, or activated, for a time.
    async fn remove(&self, cx: &Cx<'_, Self>, all: &[Row<RoleAssignment>], changes: &mut Changes) -> Result<Outcome> {
        cx.require(&DeleteRoleAssignment::ACTION, &self.scope).await?;
        let role = cx.house().access().role(self.asked.role).cloned();
        if let Some(role) = role {
            require_right_to_grant(cx, &role, &self.scope, Lasting::Now).await?;
        }
        let is_it =
            |held: &RoleAssignment| self.is_assigned_for_a_time(held) || self.is_activation(held, self.asked.principal);
        let found = all.iter().find(|row| is_it(&row.value) && !is_over(cx, &row.value));
        self.take_back(cx, changes, found)
    }

    fn take_back(
        &self,
        cx: &Cx<'_, Self>,
        changes: &mut Changes,
        found: Option<&Row<RoleAssignment>>,
    ) -> Result<Outcome> {
        let row = found.ok_or_else(|| Error::not_found("such an assignment for a time"))?;
        changes.delete(cx.system(), row);
        let target = Uuid::from_slice(&row.id).map_err(Error::internal)?;
        let linked = row.value.bounds.as_ref().and_then(|bounds| bounds.eligibility);
        Ok(Outcome { target, kind: row.value.kind, window: None, linked })
    }

    fn put(
        &self,
        cx: &Cx<'_, Self>,
        changes: &mut Changes,
        kind: PrincipalKind,
        window: Window,
        eligibility: Option<Uuid>,
    ) -> Result<Uuid> {
        let id = Uuid::new_v4();
        let assignment = RoleAssignment {
            scope: self.scope.clone(),
            role: self.asked.role,
            principal: self.asked.principal,
            kind,
            created_by: requestor(cx)?,
            created_at: cx.now(),
            bounds: Some(Bounds { window, eligibility, request: self.name }),
        };
        changes.put(cx.system(), &Row::new(id.as_bytes().as_slice(), assignment))?;
        Ok(id)
    }
}

fn is_over(cx: &Admission<'_>, held: &RoleAssignment) -> bool {
    held.bounds.as_ref().is_some_and(|bounds| bounds.window.is_over(cx.now()))
}
