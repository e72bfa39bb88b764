//! Just-in-time elevation: requests, and the schedules that come of them (api-version 2020-10-01).

use std::marker::PhantomData;

use axum::response::{IntoResponse, Response};
use domain::{
    access::{
        ActivationApproval, ActivationTerms, Asked, EligibilityInstances, EligibilityRequests, EligibilitySchedules,
        Expiry, GetSchedule, GetScheduleRequest, ListScheduleRequests, ListSchedules, RequestEligibility, RequestKind,
        RequestRole, RequestType, RoleInstances, RoleRequests, RoleSchedules, Schedule, ScheduleRequest, ScheduleType,
        Ticket, Whose,
    },
    gate::enter,
};
use http::{Method, StatusCode};
use kernel::{Error, ResourceId, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;
use wire::{arm, elevation};

use super::{
    Fault,
    approvals::{approvers, approvers_view},
    definition_id, duration, guid_of, list,
};
use crate::{Doors, Guest};

/// The doors at one scope.
pub(super) fn doors(doors: Doors, base: &str) -> Doors {
    let at = |place: &str| format!("{base}/{place}");
    let doors = doors
        .open::<RequestEligibility, _, _>(
            Method::PUT,
            &at("roleEligibilityScheduleRequests/{name}"),
            request_eligibility,
        )
        .open::<RequestRole, _, _>(Method::PUT, &at("roleAssignmentScheduleRequests/{name}"), request_role);
    let doors = requests::<EligibilityRequests>(doors, &at("roleEligibilityScheduleRequests"));
    let doors = requests::<RoleRequests>(doors, &at("roleAssignmentScheduleRequests"));
    let doors = schedules::<EligibilitySchedules>(doors, &at("roleEligibilitySchedules"));
    let doors = schedules::<EligibilityInstances>(doors, &at("roleEligibilityScheduleInstances"));
    let doors = schedules::<RoleSchedules>(doors, &at("roleAssignmentSchedules"));
    schedules::<RoleInstances>(doors, &at("roleAssignmentScheduleInstances"))
}

fn requests<T: ScheduleType>(doors: Doors, all: &str) -> Doors {
    doors
        .open::<ListScheduleRequests<T>, _, _>(Method::GET, all, list_requests::<T>)
        .open::<GetScheduleRequest<T>, _, _>(Method::GET, &format!("{all}/{{name}}"), get_request::<T>)
}

fn schedules<T: ScheduleType>(doors: Doors, all: &str) -> Doors {
    doors.open::<ListSchedules<T>, _, _>(Method::GET, all, list_schedules::<T>).open::<GetSchedule<T>, _, _>(
        Method::GET,
        &format!("{all}/{{name}}"),
        get_schedule::<T>,
    )
}

async fn request_eligibility(guest: Guest) -> Result<Response, Fault> {
    let (house, scope) = (guest.house().clone(), guest.resource(4)?);
    let caller = guest.admitted::<RequestEligibility>(&scope).await?;
    let (name, asked) = asked(guest).await?;
    let made = enter(&house, &caller, RequestEligibility { name, scope, asked }).await?;
    Ok((StatusCode::CREATED, axum::Json(request_view(name, &made))).into_response())
}

async fn request_role(guest: Guest) -> Result<Response, Fault> {
    let (house, scope) = (guest.house().clone(), guest.resource(4)?);
    let caller = guest.admitted::<RequestRole>(&scope).await?;
    let (name, asked) = asked(guest).await?;
    let made = enter(&house, &caller, RequestRole { name, scope, asked }).await?;
    Ok((StatusCode::CREATED, axum::Json(request_view(name, &made))).into_response())
}

/// What a client asks, under which name.
async fn asked(guest: Guest) -> Result<(Uuid, Asked), Error> {
    let name: Uuid = guest.param("name").map_err(|_| Error::invalid("the request's name", "must be a GUID"))?;
    let body: arm::Put<elevation::ScheduleRequestInput> = guest.json().await?;
    let given = body.properties;
    if given.condition.is_some() || given.condition_version.is_some() {
        // Left out, it would give more than was asked for.
        let why = "is not supported: a role counts at its scope without conditions";
        return Err(Error::invalid("properties.condition", why));
    }
    let schedule = given.schedule_info.unwrap_or_default();
    let ticket = given.ticket_info.unwrap_or_default();
    let linked = given.linked_role_eligibility_schedule_id;
    let asked = Asked {
        request_type: request_type(&given.request_type)?,
        role: guid_of("properties.roleDefinitionId", &given.role_definition_id)?,
        principal: given.principal_id.parse().map_err(|why| Error::invalid("properties.principalId", why))?,
        start: schedule.start_date_time.as_deref().map(|text| time("startDateTime", text)).transpose()?,
        expiry: schedule.expiration.map_or(Ok(Expiry::Unsaid), expiry)?,
        justification: given.justification.unwrap_or_default(),
        ticket: Ticket {
            number: ticket.ticket_number.unwrap_or_default(),
            system: ticket.ticket_system.unwrap_or_default(),
        },
        linked: linked.as_deref().map(|id| guid_of("properties.linkedRoleEligibilityScheduleId", id)).transpose()?,
        terms: given.activation_rules.map(terms).transpose()?,
    };
    Ok((name, asked))
}

fn request_type(word: &str) -> Result<RequestType, Error> {
    let known = [
        RequestType::AdminAssign,
        RequestType::AdminUpdate,
        RequestType::AdminRemove,
        RequestType::SelfActivate,
        RequestType::SelfDeactivate,
    ];
    let found = known.into_iter().find(|known| format!("{known:?}").eq_ignore_ascii_case(word));
    found.ok_or_else(|| {
        let why = "must be `AdminAssign`, `AdminUpdate`, `AdminRemove`, `SelfActivate` or `SelfDeactivate`";
        Error::invalid("properties.requestType", why)
    })
}

fn time(field: &str, text: &str) -> Result<Timestamp, Error> {
    let field = format!("properties.scheduleInfo.{field}");
    Timestamp::parse_rfc3339(text).ok_or_else(|| Error::invalid(field, "must be a time such as 2026-01-31T08:00:00Z"))
}

fn expiry(given: elevation::Expiration) -> Result<Expiry, Error> {
    let field = "properties.scheduleInfo.expiration";
    let missing = |name: &str| Error::invalid(format!("{field}.{name}"), "goes with this type of expiration");
    match given.kind.as_deref() {
        None if given.duration.is_none() && given.end_date_time.is_none() => Ok(Expiry::Unsaid),
        Some("AfterDuration") => {
            let text = given.duration.ok_or_else(|| missing("duration"))?;
            Ok(Expiry::After(duration::parse(&format!("{field}.duration"), &text)?))
        }
        Some("AfterDateTime") => {
            let text = given.end_date_time.ok_or_else(|| missing("endDateTime"))?;
            Ok(Expiry::At(time("expiration.endDateTime", &text)?))
        }
        Some("NoExpiration") => Ok(Expiry::Never),
        _ => Err(Error::invalid(format!("{field}.type"), "must be `AfterDuration`, `AfterDateTime` or `NoExpiration`")),
    }
}

fn terms(given: elevation::ActivationRules) -> Result<ActivationTerms, Error> {
    let mut terms = ActivationTerms::default();
    if let Some(text) = given.maximum_duration {
        let longest = duration::parse("properties.activationRules.maximumDuration", &text)?;
        terms.longest_ms = longest.as_secs().saturating_mul(1000);
    }
    if let Some(approval) = given.approval {
        let approvers = approvers("properties.activationRules.approval.approvers", &approval.approvers)?;
        terms.approval = Some(ActivationApproval { approvals: approval.approvals, approvers });
    }
    for rule in given.enabled_rules {
        match rule.as_str() {
            "Justification" => {}
            "MultiFactorAuthentication" => terms.needs_mfa = true,
            "Ticketing" => terms.needs_ticket = true,
            _ => {
                let why = "must be of `Justification`, `MultiFactorAuthentication`, `Ticketing`";
                return Err(Error::invalid("properties.activationRules.enabledRules", why));
            }
        }
    }
    Ok(terms)
}

fn terms_view(terms: &ActivationTerms) -> elevation::ActivationRules {
    let rules =
        [("Justification", true), ("MultiFactorAuthentication", terms.needs_mfa), ("Ticketing", terms.needs_ticket)];
    elevation::ActivationRules {
        maximum_duration: Some(duration::show(terms.longest())),
        approval: terms.approval.as_ref().map(|approval| elevation::ActivationApproval {
            approvals: approval.approvals,
            approvers: approvers_view(&approval.approvers),
        }),
        enabled_rules: rules.into_iter().filter(|(_, is_on)| *is_on).map(|(rule, _)| rule.to_owned()).collect(),
    }
}

/// The word for what a request, schedule or instance is about, in Azure's types.
fn word(about: RequestKind) -> &'static str {
    match about {
        RequestKind::Eligibility => "roleEligibility",
        RequestKind::Assignment => "roleAssignment",
    }
}

fn id_of(scope: &ResourceId, kind: &str, name: Uuid) -> String {
    let base = if scope.is_root() { "" } else { scope.as_str() };
    format!("{base}/providers/Microsoft.Authorization/{kind}/{name}")
}

fn request_view(name: Uuid, request: &ScheduleRequest) -> Value {
    let kind = format!("{}ScheduleRequests", word(request.about));
    let target = |about: RequestKind| {
        let kind = format!("{}Schedules", word(about));
        (request.about == about).then(|| id_of(&request.scope, &kind, request.target))
    };
    let said = |text: &String| (!text.is_empty()).then(|| text.clone());
    let schedule = request.window.map(|window| elevation::ScheduleInfo {
        start_date_time: Some(window.from.rfc3339()),
        expiration: Some(elevation::Expiration {
            kind: Some(String::from(if window.until.is_some() { "AfterDateTime" } else { "NoExpiration" })),
            end_date_time: window.until.map(Timestamp::rfc3339),
            duration: window.until.map(|until| duration::show(until.since(window.from))),
        }),
    });
    let ticket = elevation::TicketInfo {
        ticket_number: said(&request.ticket.number),
        ticket_system: said(&request.ticket.system),
    };
    json!({
        "id": id_of(&request.scope, &kind, name),
        "name": name,
        "type": format!("Microsoft.Authorization/{kind}"),
        "properties": elevation::ScheduleRequest {
            scope: request.scope.to_string(),
            role_definition_id: definition_id(&request.scope, request.role),
            principal_id: request.principal.to_string(),
            principal_type: format!("{:?}", request.kind),
            request_type: format!("{:?}", request.request_type),
            status: request.status(),
            schedule_info: schedule,
            target_role_eligibility_schedule_id: target(RequestKind::Eligibility),
            target_role_assignment_schedule_id: target(RequestKind::Assignment),
            linked_role_eligibility_schedule_id: linked(&request.scope, request.linked),
            justification: said(&request.justification),
            ticket_info: (!request.ticket.number.is_empty()).then_some(ticket),
            created_on: request.created_at.rfc3339(),
            requestor_id: request.requestor.to_string(),
        },
    })
}

fn linked(scope: &ResourceId, name: Option<Uuid>) -> Option<String> {
    name.map(|name| id_of(scope, "roleEligibilitySchedules", name))
}

/// A schedule under the type it was asked for by: `kind` is the last word of that.
fn schedule_view<T: ScheduleType>(schedule: &Schedule, kind: &str) -> Value {
    let scope = &schedule.scope;
    let of = |about: RequestKind, kind: &str, name: Option<Uuid>| {
        let kind = format!("{}{kind}", word(about));
        name.filter(|_| T::ABOUT == about).map(|name| id_of(scope, &kind, name))
    };
    let is_instance = kind.ends_with("Instances");
    let of_schedule = |about| of(about, "Schedules", is_instance.then_some(schedule.name));
    let of_request = |about| of(about, "ScheduleRequests", schedule.request);
    let is_assignment = T::ABOUT == RequestKind::Assignment;
    let assignment_type = if schedule.linked.is_some() { "Activated" } else { "Assigned" };
    json!({
        "id": id_of(scope, kind, schedule.name),
        "name": schedule.name,
        "type": format!("Microsoft.Authorization/{kind}"),
        "properties": elevation::Schedule {
            scope: scope.to_string(),
            role_definition_id: definition_id(scope, schedule.role),
            principal_id: schedule.principal.to_string(),
            principal_type: format!("{:?}", schedule.kind),
            status: if schedule.is_in_force { "Provisioned" } else { "Accepted" },
            start_date_time: schedule.window.map_or(schedule.created_at, |window| window.from).rfc3339(),
            end_date_time: schedule.window.and_then(|window| window.until).map(Timestamp::rfc3339),
            member_type: match (schedule.is_inherited, schedule.is_of_group) {
                (true, _) => "Inherited",
                (false, true) => "Group",
                (false, false) => "Direct",
            },
            assignment_type: is_assignment.then_some(assignment_type),
            linked_role_eligibility_schedule_id: linked(scope, schedule.linked),
            role_eligibility_schedule_id: of_schedule(RequestKind::Eligibility),
            role_assignment_schedule_id: of_schedule(RequestKind::Assignment),
            role_eligibility_schedule_request_id: of_request(RequestKind::Eligibility),
            role_assignment_schedule_request_id: of_request(RequestKind::Assignment),
            activation_rules: schedule.terms.as_ref().map(terms_view),
            created_on: schedule.created_at.rfc3339(),
            updated_on: schedule.updated_at.rfc3339(),
            expanded_properties: json!({
                "scope": {"id": scope.to_string(), "displayName": scope.name()},
                "roleDefinition": {
                    "id": definition_id(scope, schedule.role),
                    "displayName": schedule.role_name,
                },
                "principal": {
                    "id": schedule.principal.to_string(),
                    "displayName": schedule.principal_name,
                    "type": format!("{:?}", schedule.kind),
                },
            }),
        },
    })
}

/// `$filter`, and whether it says `atScope()`.
fn filter(guest: &Guest) -> Result<(Whose, bool), Error> {
    let text = guest.query("$filter").unwrap_or_default();
    let (mut whose, mut at_scope) = (Whose::Anybody, false);
    for term in text.split(" and ").map(str::trim).filter(|term| !term.is_empty()) {
        let id = |rest: &str| {
            let quoted = rest.trim().trim_start_matches('(').trim_end_matches(')').trim_matches('\'');
            quoted.parse().map_err(|why| Error::invalid("$filter", why))
        };
        whose = match term {
            "atScope()" => {
                at_scope = true;
                continue;
            }
            "asTarget()" | "asRequestor()" => Whose::Own,
            _ => match (term.strip_prefix("principalId eq "), term.strip_prefix("assignedTo")) {
                (Some(rest), _) => Whose::Of(id(rest)?),
                (None, Some(rest)) => Whose::Reaching(id(rest)?),
                (None, None) => {
                    let why = "use `asTarget()`, `atScope()`, `principalId eq '…'` or `assignedTo('…')`";
                    return Err(Error::invalid("$filter", why));
                }
            },
        };
    }
    Ok((whose, at_scope))
}

/// The collection that a request's path names.
fn collection(guest: &Guest, drop: usize) -> Result<String, Error> {
    Ok(guest.resource(drop)?.name().to_owned())
}

async fn list_schedules<T: ScheduleType>(guest: Guest) -> Result<Response, Fault> {
    let (whose, at_scope) = filter(&guest)?;
    let kind = collection(&guest, 0)?;
    let op = ListSchedules::<T> { of: PhantomData, scope: guest.resource(3)?, whose, at_scope };
    let found = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(list(found.iter().map(|schedule| schedule_view::<T>(schedule, &kind)).collect()))
}

async fn get_schedule<T: ScheduleType>(guest: Guest) -> Result<Response, Fault> {
    let kind = collection(&guest, 1)?;
    let op = GetSchedule::<T> { of: PhantomData, name: guest.param("name")?, scope: guest.resource(4)? };
    let found = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(axum::Json(schedule_view::<T>(&found, &kind)).into_response())
}

async fn list_requests<T: ScheduleType>(guest: Guest) -> Result<Response, Fault> {
    let op = ListScheduleRequests::<T> { of: PhantomData, scope: guest.resource(3)?, whose: filter(&guest)?.0 };
    let found = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(list(found.iter().map(|(name, request)| request_view(*name, request)).collect()))
}

async fn get_request<T: ScheduleType>(guest: Guest) -> Result<Response, Fault> {
    let op = GetScheduleRequest::<T> { of: PhantomData, name: guest.param("name")?, scope: guest.resource(4)? };
    let name = op.name;
    let found = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(axum::Json(request_view(name, &found)).into_response())
}
