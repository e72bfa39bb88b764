//! Approvals: the rules, the requests that operations wait for, and what is said to them.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
use domain::{
    access::{
        ApprovalRule, ApprovalState, ApprovalView, Approvers, DecideApproval, DeleteApprovalRule, GetApproval,
        GetApprovalRule, ListApprovalRules, ListApprovals, PutApprovalRule,
    },
    gate::{Guard, enter},
};
use http::{Method, StatusCode};
use kernel::{Error, PrincipalId, ResourceId, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;
use wire::{approval, arm};

use super::{Fault, duration, guid_of, list};
use crate::{Doors, Guest};

/// How long a request counts when a rule says nothing.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// The doors at one scope.
pub(super) fn doors(doors: Doors, base: &str) -> Doors {
    let at = |place: &str| format!("{base}/{place}");
    doors
        .open::<ListApprovalRules, _, _>(Method::GET, &at("approvalRules"), list_rules)
        .open::<GetApprovalRule, _, _>(Method::GET, &at("approvalRules/{name}"), get_rule)
        .open::<PutApprovalRule, _, _>(Method::PUT, &at("approvalRules/{name}"), put_rule)
        .open::<DeleteApprovalRule, _, _>(Method::DELETE, &at("approvalRules/{name}"), delete_rule)
        .open::<ListApprovals, _, _>(Method::GET, &at("approvalRequests"), list_requests)
        .open::<GetApproval, _, _>(Method::GET, &at("approvalRequests/{name}"), get_request)
        .open::<DecideApproval, _, _>(Method::POST, &at("approvalRequests/{name}/approve"), approve)
        .open::<DecideApproval, _, _>(Method::POST, &at("approvalRequests/{name}/deny"), deny)
}

/// Who may approve, from what was sent.
pub(super) fn approvers(field: &str, given: &approval::Approvers) -> Result<Approvers, Error> {
    let roles = given.roles.iter().map(|id| guid_of(field, id)).collect::<Result<_, _>>()?;
    Ok(Approvers { principals: principals(field, &given.principals)?, roles })
}

fn principals(field: &str, ids: &[String]) -> Result<Vec<PrincipalId>, Error> {
    ids.iter().map(|id| id.parse().map_err(|why| Error::invalid(field, why))).collect()
}

pub(super) fn approvers_view(approvers: &Approvers) -> approval::Approvers {
    approval::Approvers {
        principals: approvers.principals.iter().map(ToString::to_string).collect(),
        roles: approvers.roles.iter().map(ToString::to_string).collect(),
    }
}

fn rule_view(name: Uuid, rule: &ApprovalRule) -> Value {
    let base = if rule.scope.is_root() { "" } else { rule.scope.as_str() };
    let authored = rule.authored;
    json!({
        "id": format!("{base}/providers/Microsoft.Authorization/approvalRules/{name}"),
        "name": name,
        "type": "Microsoft.Authorization/approvalRules",
        "properties": approval::Rule {
            scope: rule.scope.to_string(),
            operation: json!(rule.operation),
            approvals: rule.approvals,
            approvers: approvers_view(&rule.approvers),
            request_lifetime: duration::show(Duration::from_millis(rule.lifetime_ms)),
            bypass: rule.bypass.iter().map(ToString::to_string).collect(),
            description: rule.description.clone(),
            created_by: authored.map(|authored| authored.created_by.to_string()),
            created_on: authored.map(|authored| authored.created_at.rfc3339()),
            updated_by: authored.map(|authored| authored.updated_by.to_string()),
            updated_on: authored.map(|authored| authored.updated_at.rfc3339()),
        },
    })
}

async fn list_rules(guest: Guest) -> Result<Response, Fault> {
    let op = ListApprovalRules { scope: guest.resource(3)? };
    let found = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(list(found.iter().map(|(name, rule)| rule_view(*name, rule)).collect()))
}

async fn get_rule(guest: Guest) -> Result<Response, Fault> {
    let op = GetApprovalRule { name: guest.param("name")?, scope: guest.resource(4)? };
    let name = op.name;
    let found = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(axum::Json(rule_view(name, &found)).into_response())
}

async fn put_rule(guest: Guest) -> Result<Response, Fault> {
    let (house, scope) = (guest.house().clone(), guest.resource(4)?);
    let caller = guest.admitted::<PutApprovalRule>(&scope).await?;
    let name: Uuid = guest.param("name").map_err(|_| Error::invalid("the rule's name", "must be a GUID"))?;
    let body: arm::Put<approval::RuleInput> = guest.json().await?;
    let rule = rule(scope, body.properties)?;
    let made = enter(&house, &caller, PutApprovalRule { name, rule }).await?;
    Ok((StatusCode::CREATED, axum::Json(rule_view(name, &made))).into_response())
}

fn rule(scope: ResourceId, given: approval::RuleInput) -> Result<ApprovalRule, Error> {
    let operation = match given.operation.as_str() {
        "deploy" => Guard::Deploy,
        "roleGrant" => Guard::RoleGrant,
        "keyChange" => Guard::KeyChange,
        "purge" => Guard::Purge,
        _ => {
            let why = "must be `deploy`, `roleGrant`, `keyChange` or `purge`";
            return Err(Error::invalid("properties.operation", why));
        }
    };
    let lifetime = match given.request_lifetime {
        Some(text) => duration::parse("properties.requestLifetime", &text)?,
        None => LIFETIME,
    };
    Ok(ApprovalRule {
        scope,
        operation,
        approvals: given.approvals,
        approvers: approvers("properties.approvers", &given.approvers)?,
        lifetime_ms: lifetime.as_secs().saturating_mul(1000),
        bypass: principals("properties.bypass", &given.bypass)?,
        description: given.description,
        authored: None,
    })
}

async fn delete_rule(guest: Guest) -> Result<Response, Fault> {
    let op = DeleteApprovalRule { name: guest.param("name")?, scope: guest.resource(4)? };
    let name = op.name;
    let gone = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(axum::Json(rule_view(name, &gone)).into_response())
}

fn request_view(view: &ApprovalView) -> Value {
    let request = &view.request;
    let decisions = request.decisions.iter().map(|decision| approval::Decision {
        principal_id: decision.by.to_string(),
        principal_name: decision.name.clone(),
        decision: if decision.approves { "approved" } else { "denied" },
        comment: decision.comment.clone(),
        decided_on: decision.at.rfc3339(),
    });
    let demands = view.progress.iter().map(|progress| approval::Progress {
        demanded_by: progress.source.to_string(),
        approvals: progress.approvals,
        approved_by: progress.approved_by.iter().map(ToString::to_string).collect(),
    });
    json!({
        "id": request.id(),
        "name": request.name,
        "type": "Microsoft.Authorization/approvalRequests",
        "properties": approval::Request {
            status: match (view.state, view.is_approved) {
                (ApprovalState::Open, true) => "Approved",
                (ApprovalState::Open, false) => "Pending",
                (ApprovalState::Denied, _) => "Denied",
                (ApprovalState::Expired, _) => "Expired",
                (ApprovalState::Used, _) => "Used",
            },
            action: request.action.clone(),
            scope: request.scope.to_string(),
            operation: request.body.clone(),
            digest: request.digest.clone(),
            requestor_id: request.requester.to_string(),
            requestor_name: request.requester_name.clone(),
            created_on: request.created_at.rfc3339(),
            expires_on: request.expires_at.rfc3339(),
            used_on: request.used_at.map(Timestamp::rfc3339),
            decisions: decisions.collect(),
            demands: demands.collect(),
        },
    })
}

async fn list_requests(guest: Guest) -> Result<Response, Fault> {
    let only_open = match guest.query("$filter").unwrap_or_default().as_str() {
        "" => false,
        "status eq 'Pending'" => true,
        _ => return Err(Error::invalid("$filter", "use `status eq 'Pending'`").into()),
    };
    let op = ListApprovals { scope: guest.resource(3)?, only_open };
    let found = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(list(found.iter().map(request_view).collect()))
}

async fn get_request(guest: Guest) -> Result<Response, Fault> {
    let op = GetApproval { name: guest.param("name")?, scope: guest.resource(4)? };
    let found = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(axum::Json(request_view(&found)).into_response())
}

async fn approve(guest: Guest) -> Result<Response, Fault> {
    decide(guest, true).await
}

async fn deny(guest: Guest) -> Result<Response, Fault> {
    decide(guest, false).await
}

async fn decide(guest: Guest, approves: bool) -> Result<Response, Fault> {
    let (house, scope) = (guest.house().clone(), guest.resource(5)?);
    let caller = guest.admitted::<DecideApproval>(&scope).await?;
    let name: Uuid = guest.param("name")?;
    let bytes = guest.bytes().await?;
    let said: approval::DecisionInput =
        if bytes.is_empty() { approval::DecisionInput::default() } else { crate::guest::parse_json(&bytes)? };
    let op = DecideApproval { name, scope, approves, comment: said.comment };
    let decided = enter(&house, &caller, op).await?;
    Ok(axum::Json(request_view(&decided)).into_response())
}
