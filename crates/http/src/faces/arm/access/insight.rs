//! Questions about access: why, what if, what misleads, and what would have been enough. Ours; Azure has no such addresses.

use axum::response::{IntoResponse, Response};
use domain::{
    access::{Because, Changed, ExplainAccess, Explanation, LintRoles, Proposal, SuggestRole, WhatIf},
    gate::enter,
};
use kernel::{Error, ResourceId, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;
use wire::authorization::{self, Change};

use super::{
    Fault, assignment_id, definition_id,
    definitions::{form, permission},
    guid_of, list,
};
use crate::Guest;

/// Most changes of one question.
const MOST_CHANGES: usize = 100;

/// `POST {scope}/providers/Microsoft.Authorization/explain`.
pub(super) async fn explain(guest: Guest) -> Result<Response, Fault> {
    let (house, scope) = (guest.house().clone(), guest.resource(3)?);
    let caller = guest.admitted::<ExplainAccess>(&scope).await?;
    let body: authorization::ExplainInput = guest.json().await?;
    let principal = body.principal_id.parse().map_err(|why| Error::invalid("principalId", why))?;
    let op = ExplainAccess { scope: scope.clone(), principal, action: body.action };
    let said = enter(&house, &caller, op).await?;
    Ok(axum::Json(view(&said, &scope, body.principal_id)).into_response())
}

fn view(said: &Explanation, scope: &ResourceId, principal_id: String) -> authorization::Explanation {
    let because = |list: &[Because]| -> Vec<authorization::Because> {
        let one = |because: &Because| authorization::Because {
            role_assignment_id: assignment_id(&because.scope, because.assignment),
            scope: because.scope.to_string(),
            role_definition_id: definition_id(&because.scope, because.role),
            role_name: because.role_name.clone(),
            through_groups: because.through.iter().map(ToString::to_string).collect(),
            pattern: because.pattern.clone(),
        };
        list.iter().map(one).collect()
    };
    let denied_by = said.denied_by.iter().map(|denied| authorization::DeniedBy {
        deny_assignment_id: assignment_id(&denied.scope, denied.assignment)
            .replace("/roleAssignments/", "/denyAssignments/"),
        deny_assignment_name: denied.deny_name.clone(),
        scope: denied.scope.to_string(),
    });
    let would_allow = said.would_allow.iter().map(|offer| authorization::Offer {
        role_definition_id: definition_id(scope, offer.role),
        role_name: offer.role_name.clone(),
        actions: offer.actions,
    });
    authorization::Explanation {
        decision: if said.is_allowed { "Allowed" } else { "Denied" },
        is_disabled: said.is_disabled,
        action: said.action.to_owned(),
        scope: scope.to_string(),
        principal_id,
        allowed_by: because(&said.allowed_by),
        denied_by: denied_by.collect(),
        taken_back_by: because(&said.taken_back_by),
        held_elsewhere: because(&said.held_elsewhere),
        would_allow: would_allow.collect(),
    }
}

/// `POST {scope}/providers/Microsoft.Authorization/whatIf`: what the changes would change at this scope, for whom.
pub(super) async fn what_if(guest: Guest) -> Result<Response, Fault> {
    let (house, scope) = (guest.house().clone(), guest.resource(3)?);
    let caller = guest.admitted::<WhatIf>(&scope).await?;
    let body: authorization::WhatIfInput = guest.json().await?;
    if body.changes.is_empty() || body.changes.len() > MOST_CHANGES {
        return Err(Error::invalid("changes", format_args!("1 to {MOST_CHANGES} changes")).into());
    }
    let proposals = body.changes.into_iter().map(|change| proposal(&scope, change)).collect::<Result<_, _>>()?;
    let compared = enter(&house, &caller, WhatIf { scope, proposals }).await?;
    let words = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    let one = |changed: &Changed| authorization::Changed {
        principal_id: changed.principal.to_string(),
        gained: words(&changed.gained),
        lost: words(&changed.lost),
    };
    let changed: Vec<_> = compared.changed.iter().map(one).collect();
    Ok(axum::Json(json!({"value": changed, "isComplete": compared.is_complete})).into_response())
}

fn proposal(at: &ResourceId, change: Change) -> Result<Proposal, Error> {
    let principal = |field: &str, id: &str| id.parse().map_err(|why| Error::invalid(field, why));
    Ok(match change {
        Change::AssignRole { role_definition_id, principal_id, scope } => Proposal::Assign {
            scope: match scope {
                Some(text) => text.parse().map_err(|why| Error::invalid("scope", why))?,
                None => at.clone(),
            },
            role: guid_of("roleDefinitionId", &role_definition_id)?,
            principal: principal("principalId", &principal_id)?,
        },
        Change::RemoveRoleAssignment { role_assignment_id } => {
            Proposal::Unassign { assignment: guid_of("roleAssignmentId", &role_assignment_id)? }
        }
        Change::DefineRole { role_definition_id, properties } => Proposal::Define {
            id: match role_definition_id {
                Some(id) => guid_of("roleDefinitionId", &id)?,
                None => Uuid::new_v4(),
            },
            form: form(properties)?,
        },
        Change::AddMember { group_id, principal_id } => Proposal::Enter {
            group: principal("groupId", &group_id)?,
            member: principal("principalId", &principal_id)?,
        },
        Change::RemoveMember { group_id, principal_id } => Proposal::Leave {
            group: principal("groupId", &group_id)?,
            member: principal("principalId", &principal_id)?,
        },
    })
}

/// `POST {scope}/providers/Microsoft.Authorization/lintRoles`: what misleads in the roles that are offered here.
pub(super) async fn lint_roles(guest: Guest) -> Result<Response, Fault> {
    let op = LintRoles { scope: guest.resource(3)? };
    let at = op.scope.clone();
    let linted = enter(guest.house(), &guest.caller().await?, op).await?;
    let mut findings: Vec<Value> = Vec::new();
    for one in &linted {
        for finding in &one.findings {
            findings.push(json!(authorization::Finding {
                role_definition_id: definition_id(&at, one.role.id),
                role_name: one.role.role_name.clone(),
                rule: finding.rule.name(),
                list: finding.list,
                pattern: finding.pattern.clone(),
                message: finding.message.clone(),
            }));
        }
    }
    Ok(list(findings))
}

/// `POST {scope}/providers/Microsoft.Authorization/suggestRole`: the least role for what somebody did, as a role definition's
/// `properties`.
pub(super) async fn suggest_role(guest: Guest) -> Result<Response, Fault> {
    let (house, scope) = (guest.house().clone(), guest.resource(3)?);
    let caller = guest.admitted::<SuggestRole>(&scope).await?;
    let body: authorization::SuggestInput = guest.json().await?;
    let at = |field: &str, text: Option<String>| match text {
        Some(text) => match Timestamp::parse_rfc3339(&text) {
            Some(at) => Ok(Some(at)),
            None => Err(Error::invalid(field, "must be a time such as 2026-01-31T08:00:00Z")),
        },
        None => Ok(None),
    };
    let op = SuggestRole {
        scope,
        principal: body.principal_id.parse().map_err(|why| Error::invalid("principalId", why))?,
        from: at("from", body.from)?,
        until: at("until", body.until)?,
    };
    let said = enter(&house, &caller, op).await?;
    let properties = authorization::RoleDefinition {
        role_name: said.form.role_name,
        kind: String::from("CustomRole"),
        description: said.form.description,
        assignable_scopes: said.form.assignable_scopes.iter().map(ToString::to_string).collect(),
        permissions: vec![permission(&said.form.permissions)],
        created_on: None,
        updated_on: None,
        created_by: None,
        updated_by: None,
    };
    let answer = json!({"properties": properties, "counts": said.counts, "isComplete": said.is_complete});
    Ok(axum::Json(answer).into_response())
}
