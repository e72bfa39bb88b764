//! Making somebody eligible for a role, and ending that.

use async_trait::async_trait;
use kernel::{Action, Caller, Class, Error, Kind, PrincipalKind, ResourceId, Result};
use uuid::Uuid;

use super::{
    Asked, Eligibility, RequestKind, RequestType, ScheduleRequest, Window,
    ending::end_activations,
    request::{keep, requestor, require_new},
};
use crate::{
    access::{
        PutRoleAssignment, RoleDefinition,
        approvals::check_approvers,
        assignments::Epoch,
        granting::{require_lasting, require_right_to_grant},
        lasting::Lasting,
    },
    gate::{Changes, Cx, Guard, Guarded, House, Op, Row},
    resources,
};

/// Eligibilities at and below a subscription; and as many above them all.
const MOST: usize = 4000;
/// The longest and the shortest longest activation, in milliseconds: a day, and five minutes.
const LONGEST: u64 = 24 * 60 * 60 * 1000;
const SHORTEST: u64 = 5 * 60 * 1000;

/// Asks for an eligibility to be made, changed or ended. Whoever asks must be allowed to grant the role there, for as long.
#[derive(Debug)]
pub struct RequestEligibility {
    /// The request's own name, which the caller chooses.
    pub name: Uuid,
    /// Where.
    pub scope: ResourceId,
    /// What.
    pub asked: Asked,
}

#[async_trait]
impl Op for RequestEligibility {
    const ACTION: Action = Action::new("Microsoft.Authorization/roleEligibilityScheduleRequests/write", Class::Control);
    const GUARDS: &'static [Guard] = &[Guard::RoleGrant];
    type Output = ScheduleRequest;

    fn scope(&self) -> ResourceId {
        self.scope.clone()
    }

    fn guarded(&self, house: &House, _: &Caller) -> Result<Guarded> {
        Ok(match self.asked.request_type {
            RequestType::AdminAssign | RequestType::AdminUpdate => {
                Guarded::at(Guard::RoleGrant, &self.scope, self.asked.in_words(house))
            }
            RequestType::AdminRemove | RequestType::SelfActivate | RequestType::SelfDeactivate => Guarded::default(),
        })
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<ScheduleRequest> {
        self.asked.check()?;
        let _turn = cx.house().assigning.lock().await;
        let epoch = Epoch::read(cx).await?;
        cx.require(&Self::ACTION, &self.scope).await?;
        cx.require(&PutRoleAssignment::ACTION, &self.scope).await?;
        require_new(cx, self.name).await?;
        let all = cx.all::<Eligibility>(cx.system(), b"").await?;
        let asked = &self.asked;
        let is_it = |row: &&Row<Eligibility>| {
            let held = &row.value;
            (held.role, held.principal) == (asked.role, asked.principal) && held.scope == self.scope
        };
        let present = all.iter().find(is_it).filter(|row| !row.value.window.is_over(cx.now()));
        let mut changes = Changes::new();
        let request = match (asked.request_type, present) {
            (RequestType::AdminAssign, None) => self.assign(cx, &all, &mut changes).await?,
            (RequestType::AdminAssign, Some(_)) => {
                let why = "the principal is eligible for this role here already; `AdminUpdate` changes it";
                return Err(Error::new(Kind::Exists, why));
            }
            (RequestType::AdminUpdate, Some(row)) => self.update(cx, row, &mut changes).await?,
            (RequestType::AdminRemove, Some(row)) => self.remove(cx, row, &mut changes).await?,
            (RequestType::AdminUpdate | RequestType::AdminRemove, None) => {
                return Err(Error::not_found("such an eligibility"));
            }
            (RequestType::SelfActivate | RequestType::SelfDeactivate, _) => {
                let why = "nobody makes themselves eligible; use `AdminAssign`, `AdminUpdate` or `AdminRemove`, and activate with \
                           `roleAssignmentScheduleRequests`";
                return Err(Error::invalid("properties.requestType", why));
            }
        };
        changes.put(cx.system(), &epoch)?;
        cx.commit(changes).await?;
        Ok(request)
    }
}

impl RequestEligibility {
    async fn assign(
        &self,
        cx: &Cx<'_, Self>,
        all: &[Row<Eligibility>],
        changes: &mut Changes,
    ) -> Result<ScheduleRequest> {
        let (kind, window) = self.check_new(cx).await?;
        resources::require_scope_around(cx, "scope", &self.scope).await?;
        let subscription = self.scope.subscription_id();
        if all.iter().filter(|row| row.value.scope.subscription_id() == subscription).count() >= MOST {
            let why = format!("a subscription holds {MOST} eligibilities, and no more; make groups eligible");
            return Err(Error::new(Kind::TooLarge, why));
        }
        let (id, requestor) = (Uuid::new_v4(), requestor(cx)?);
        let eligibility = Eligibility {
            scope: self.scope.clone(),
            role: self.asked.role,
            principal: self.asked.principal,
            kind,
            window,
            terms: self.asked.terms.clone().unwrap_or_default(),
            created_by: requestor,
            created_at: cx.now(),
            updated_at: cx.now(),
            request: self.name,
        };
        changes.put(cx.system(), &Row::new(id.as_bytes().as_slice(), eligibility))?;
        self.request(cx, changes, id, kind, Some(window))
    }

    /// What was activated on the terms before ends: it might not be given on the new ones.
    async fn update(
        &self,
        cx: &Cx<'_, Self>,
        row: &Row<Eligibility>,
        changes: &mut Changes,
    ) -> Result<ScheduleRequest> {
        let (kind, window) = self.check_new(cx).await?;
        let mut row = row.clone();
        row.value.window = window;
        row.value.terms = self.asked.terms.clone().unwrap_or_default();
        row.value.updated_at = cx.now();
        row.value.request = self.name;
        let id = Uuid::from_slice(&row.id).map_err(Error::internal)?;
        end_activations(cx, changes, id).await?;
        changes.put(cx.system(), &row)?;
        self.request(cx, changes, id, kind, Some(window))
    }

    async fn remove(
        &self,
        cx: &Cx<'_, Self>,
        row: &Row<Eligibility>,
        changes: &mut Changes,
    ) -> Result<ScheduleRequest> {
        let id = Uuid::from_slice(&row.id).map_err(Error::internal)?;
        if let Some(role) = self.role(cx) {
            require_right_to_grant(cx, &role, &self.scope, Lasting::Now).await?;
        }
        end_activations(cx, changes, id).await?;
        changes.delete(cx.system(), row);
        self.request(cx, changes, id, row.value.kind, None)
    }

    fn role(&self, cx: &Cx<'_, Self>) -> Option<RoleDefinition> {
        cx.house().access().role(self.asked.role).cloned()
    }

    /// Whether the caller may make this principal eligible for this role here, and for when.
    async fn check_new(&self, cx: &Cx<'_, Self>) -> Result<(PrincipalKind, Window)> {
        let asked = &self.asked;
        let window = asked.window(cx.now())?;
        let kind = cx.house().identity.kind_of(asked.principal).ok_or_else(|| {
            Error::invalid(
                "properties.principalId",
                format_args!("no principal has object id `{}`; a client id is not an object id", asked.principal),
            )
        })?;
        if cx.house().identity.is_managed(asked.principal) {
            let why =
                "a managed identity has no say of its own; assign it the role, or make a person or a group eligible";
            return Err(Error::invalid("properties.principalId", why));
        }
        let role = self.role(cx).filter(|role| role.is_assignable_at(&self.scope)).ok_or_else(|| {
            let why = format_args!("role `{}` does not exist, or cannot be assigned at `{}`", asked.role, self.scope);
            Error::invalid("properties.roleDefinitionId", why)
        })?;
        cx.note("role", &role.role_name);
        let terms = asked.terms.clone().unwrap_or_default();
        if !(SHORTEST..=LONGEST).contains(&terms.longest_ms) {
            let why = "must be from five minutes (`PT5M`) to a day (`P1D`)";
            return Err(Error::invalid("properties.activationRules.maximumDuration", why));
        }
        if terms.needs_mfa && kind == PrincipalKind::ServicePrincipal {
            let why = "a service principal cannot show a second factor";
            return Err(Error::invalid("properties.activationRules.enabledRules", why));
        }
        if let Some(approval) = &terms.approval {
            check_approvers(cx, &approval.approvers, approval.approvals)?;
        }
        let lasting = Lasting::through(window.until);
        require_lasting(cx, &PutRoleAssignment::ACTION, &self.scope, lasting)?;
        require_right_to_grant(cx, &role, &self.scope, lasting).await?;
        Ok((kind, window))
    }

    fn request(
        &self,
        cx: &Cx<'_, Self>,
        changes: &mut Changes,
        target: Uuid,
        kind: PrincipalKind,
        window: Option<Window>,
    ) -> Result<ScheduleRequest> {
        let asked = &self.asked;
        let request = ScheduleRequest {
            about: RequestKind::Eligibility,
            request_type: asked.request_type,
            scope: self.scope.clone(),
            role: asked.role,
            principal: asked.principal,
            kind,
            window,
            justification: asked.justification.clone(),
            ticket: asked.ticket.clone(),
            target,
            linked: None,
            requestor: requestor(cx)?,
            created_at: cx.now(),
        };
        keep(cx, changes, self.name, &request)?;
        Ok(request)
    }
}
