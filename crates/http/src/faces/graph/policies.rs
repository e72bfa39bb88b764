//! Sign-in policies: `/graph/v1.0/identity/conditionalAccess/policies`.

use axum::response::{IntoResponse, Response};
use domain::{
    gate::enter,
    identity::{
        CreateSignInPolicy, DeleteSignInPolicy, GetSignInPolicy, ListSignInPolicies, Network, OperationClass,
        PolicyTerms, SignInPolicy, UpdateSignInPolicy,
    },
};
use http::{Method, StatusCode};
use kernel::{Error, PrincipalId, ResourceId, Result};
use wire::conditional_access::{Conditions, GrantControls, Locations, Policy, PolicyInput, Users};

use super::error::Fault;
use crate::{Doors, Guest};

/// The doors of sign-in policies.
pub(super) fn doors(doors: Doors) -> Doors {
    let all = "/graph/v1.0/identity/conditionalAccess/policies";
    let one = "/graph/v1.0/identity/conditionalAccess/policies/{policy}";
    doors
        .open::<ListSignInPolicies, _, _>(Method::GET, all, list_policies)
        .open::<CreateSignInPolicy, _, _>(Method::POST, all, create_policy)
        .open::<GetSignInPolicy, _, _>(Method::GET, one, get_policy)
        .open::<UpdateSignInPolicy, _, _>(Method::PUT, one, put_policy)
        .open::<DeleteSignInPolicy, _, _>(Method::DELETE, one, delete_policy)
}

fn principals(field: &str, texts: &[String]) -> Result<Vec<PrincipalId>> {
    let parse =
        |text: &String| text.parse().map_err(|_| Error::invalid(field, format_args!("`{text}` is no object id")));
    texts.iter().map(parse).collect()
}

/// What a policy says, from what was sent.
fn terms(input: PolicyInput) -> Result<PolicyTerms> {
    let is_enabled = match input.state.as_str() {
        "enabled" => true,
        "disabled" => false,
        _ => return Err(Error::invalid("state", "must be `enabled` or `disabled`")),
    };
    let controls = &input.grant_controls;
    if controls.built_in_controls != ["mfa"] || !matches!(controls.operator.as_str(), "OR" | "AND") {
        return Err(Error::invalid("grantControls", "must be {\"operator\": \"OR\", \"builtInControls\": [\"mfa\"]}"));
    }
    let Conditions { users, locations, operations } = input.conditions;
    let (all, named): (Vec<String>, Vec<String>) = users.include_users.into_iter().partition(|id| id == "All");
    let mut included = principals("conditions.users.includeUsers", &named)?;
    included.extend(principals("conditions.users.includeGroups", &users.include_groups)?);
    let mut except = principals("conditions.users.excludeUsers", &users.exclude_users)?;
    except.extend(principals("conditions.users.excludeGroups", &users.exclude_groups)?);
    let field = "conditions.users.includeRoles";
    let role = |text: &String| text.parse().map_err(|_| Error::invalid(field, format_args!("`{text}` is no role id")));
    let field = "conditions.locations.excludeNetworks";
    let network = |text: &String| text.parse().map_err(|why| Error::invalid(field, format_args!("`{text}` {why}")));
    Ok(PolicyTerms {
        name: input.display_name,
        is_enabled,
        everyone: !all.is_empty(),
        principals: included,
        roles: users.include_roles.iter().map(role).collect::<Result<_>>()?,
        except,
        trusted_networks: locations.exclude_networks.iter().map(network).collect::<Result<Vec<Network>>>()?,
        operations: operations.iter().map(|text| class(text)).collect::<Result<_>>()?,
    })
}

fn class(text: &str) -> Result<OperationClass> {
    match text {
        "control" => Ok(OperationClass::Control),
        "vault" => Ok(OperationClass::Vault),
        "dataWrite" => Ok(OperationClass::DataWrite),
        "read" => Ok(OperationClass::Read),
        _ => Err(Error::invalid("conditions.operations", "must be `control`, `vault`, `dataWrite` or `read`")),
    }
}

fn class_word(class: OperationClass) -> &'static str {
    match class {
        OperationClass::Control => "control",
        OperationClass::Vault => "vault",
        OperationClass::DataWrite => "dataWrite",
        OperationClass::Read => "read",
    }
}

/// A policy as it is shown. People and groups share one list here, and are shown under `includeUsers` and `excludeUsers`.
fn view(policy: &SignInPolicy) -> Policy {
    let terms = &policy.terms;
    let texts = |ids: &[PrincipalId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
    let mut include_users = texts(&terms.principals);
    if terms.everyone {
        include_users.push(String::from("All"));
    }
    let users = Users {
        include_users,
        include_groups: Vec::new(),
        include_roles: terms.roles.iter().map(ToString::to_string).collect(),
        exclude_users: texts(&terms.except),
        exclude_groups: Vec::new(),
    };
    let exclude_networks = terms.trusted_networks.iter().map(ToString::to_string).collect();
    let operations = terms.operations.iter().map(|class| class_word(*class).to_owned()).collect();
    Policy {
        id: policy.id.to_string(),
        created_date_time: policy.created_at.rfc3339(),
        modified_date_time: policy.modified_at.rfc3339(),
        terms: PolicyInput {
            display_name: terms.name.clone(),
            state: String::from(if terms.is_enabled { "enabled" } else { "disabled" }),
            conditions: Conditions { users, locations: Locations { exclude_networks }, operations },
            grant_controls: GrantControls {
                operator: String::from("OR"),
                built_in_controls: vec![String::from("mfa")],
            },
        },
    }
}

async fn list_policies(guest: Guest) -> Result<Response, Fault> {
    let found = enter(guest.house(), &guest.caller().await?, ListSignInPolicies).await?;
    let value: Vec<Policy> = found.iter().map(view).collect();
    Ok(axum::Json(serde_json::json!({"value": value})).into_response())
}

async fn create_policy(guest: Guest) -> Result<Response, Fault> {
    let house = guest.house().clone();
    let caller = guest.admitted::<CreateSignInPolicy>(&ResourceId::root()).await?;
    let op = CreateSignInPolicy { terms: terms(guest.json().await?)? };
    let made = enter(&house, &caller, op).await?;
    Ok((StatusCode::CREATED, axum::Json(view(&made))).into_response())
}

async fn get_policy(guest: Guest) -> Result<Response, Fault> {
    let op = GetSignInPolicy { id: guest.param("policy")? };
    Ok(axum::Json(view(&enter(guest.house(), &guest.caller().await?, op).await?)).into_response())
}

async fn put_policy(guest: Guest) -> Result<Response, Fault> {
    let (house, id) = (guest.house().clone(), guest.param("policy")?);
    let caller = guest.admitted::<UpdateSignInPolicy>(&ResourceId::root()).await?;
    let op = UpdateSignInPolicy { id, terms: terms(guest.json().await?)? };
    Ok(axum::Json(view(&enter(&house, &caller, op).await?)).into_response())
}

async fn delete_policy(guest: Guest) -> Result<Response, Fault> {
    let op = DeleteSignInPolicy { id: guest.param("policy")? };
    enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
