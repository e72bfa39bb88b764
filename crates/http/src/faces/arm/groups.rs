//! Tenants, subscriptions and resource groups.

use axum::response::{IntoResponse, Response};
use domain::{
    gate::{Row, enter},
    resources::{
        DeleteResourceGroup, GetGroup, GetSubscription, Group, ListGroups, ListSubscriptions, ListTenants,
        PutResourceGroup, Resource, ResourceGroup, Subscription,
    },
};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use wire::arm;

use super::{
    Fault, GROUP, list, named,
    pages::{Clauses, Pages},
    show,
};
use crate::{Doors, Guest};

/// The doors of subscriptions and groups.
pub(super) fn doors(doors: Doors) -> Doors {
    let groups = "/subscriptions/{subscription}/resourceGroups";
    doors
        .open::<ListTenants, _, _>(Method::GET, "/tenants", list_tenants)
        .open::<ListSubscriptions, _, _>(Method::GET, "/subscriptions", list_subscriptions)
        .open::<GetSubscription, _, _>(Method::GET, "/subscriptions/{subscription}", get_subscription)
        .open::<ListGroups, _, _>(Method::GET, groups, list_groups)
        .open::<GetGroup, _, _>(Method::GET, GROUP, get_group)
        .open::<GetGroup, _, _>(Method::HEAD, GROUP, head_group)
        .open::<PutResourceGroup, _, _>(Method::PUT, GROUP, put_group)
        .open::<DeleteResourceGroup, _, _>(Method::DELETE, GROUP, delete_group)
}

async fn list_tenants(guest: Guest) -> Result<Response, Fault> {
    let tenants = enter(guest.house(), &guest.caller().await?, ListTenants).await?;
    let view = |(id, name): (kernel::TenantId, String)| json!({"id": format!("/tenants/{id}"), "tenantId": id, "displayName": name, "tenantCategory": "Home"});
    Ok(list(tenants.into_iter().map(view).collect()))
}

fn view_subscription(guest: &Guest, subscription: &Subscription) -> Value {
    json!({
        "id": format!("/subscriptions/{}", subscription.id),
        "subscriptionId": subscription.id,
        "tenantId": guest.house().tenant(),
        "displayName": subscription.name,
        "state": "Enabled",
        "authorizationSource": "RoleBased",
        "managedByTenants": [],
        "subscriptionPolicies": {"locationPlacementId": "Public_2014-09-01", "quotaId": "Bartizan", "spendingLimit": "Off"},
    })
}

async fn list_subscriptions(guest: Guest) -> Result<Response, Fault> {
    let found = enter(guest.house(), &guest.caller().await?, ListSubscriptions).await?;
    let value: Vec<Value> = found.iter().map(|subscription| view_subscription(&guest, subscription)).collect();
    let count = json!({"type": "Total", "value": value.len()});
    Ok(axum::Json(json!({"value": value, "count": count})).into_response())
}

async fn get_subscription(guest: Guest) -> Result<Response, Fault> {
    let op = GetSubscription { id: guest.param("subscription")? };
    let found = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(axum::Json(view_subscription(&guest, &found)).into_response())
}

fn view_group(row: &Row<Resource<ResourceGroup>>) -> arm::Resource<Value> {
    show(row, json!({"provisioningState": "Succeeded"}))
}

/// A group, with who manages it; one that is managed has no ETag, since nobody writes it.
fn view_any(group: &Group) -> Value {
    let mut shown = json!(view_group(&group.row));
    if let (Some(fields), Some(by)) = (shown.as_object_mut(), &group.managed_by) {
        fields.insert(String::from("managedBy"), json!(by));
        fields.remove("etag");
    }
    shown
}

async fn list_groups(guest: Guest) -> Result<Response, Fault> {
    let (pages, filter) = (Pages::of(&guest, "$skiptoken")?, Clauses::of(&guest, &["tagName", "tagValue"])?);
    let op = ListGroups { subscription: guest.resource(1)? };
    let groups = enter(guest.house(), &guest.caller().await?, op).await?;
    let chosen = groups.into_iter().filter(|group| filter.fit_tags(&group.row.value.tags));
    Ok(pages.answer(&guest, chosen, |group| &group.row.value.id, view_any))
}

async fn get_group(guest: Guest) -> Result<Response, Fault> {
    let op = GetGroup { id: guest.resource(0)? };
    let group = enter(guest.house(), &guest.caller().await?, op).await?;
    match group.managed_by {
        None => Ok(named(StatusCode::OK, view_group(&group.row))),
        Some(_) => Ok(axum::Json(view_any(&group)).into_response()),
    }
}

async fn head_group(guest: Guest) -> Result<Response, Fault> {
    let op = GetGroup { id: guest.resource(0)? };
    enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn put_group(guest: Guest) -> Result<Response, Fault> {
    let (house, id) = (guest.house().clone(), guest.resource(0)?);
    let caller = guest.admitted::<PutResourceGroup>(&id).await?;
    let body: arm::PutGroup = guest.json().await?;
    let op = PutResourceGroup { id, location: body.location.unwrap_or_default(), tags: body.tags.unwrap_or_default() };
    let written = enter(&house, &caller, op).await?;
    let status = if written.is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(named(status, view_group(&written.row)))
}

async fn delete_group(guest: Guest) -> Result<Response, Fault> {
    let op = DeleteResourceGroup { id: guest.resource(0)? };
    enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(StatusCode::OK.into_response())
}
