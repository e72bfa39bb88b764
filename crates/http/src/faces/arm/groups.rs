//! Tenants, subscriptions, resource groups, and the companions in them.

use axum::response::{IntoResponse, Response};
use domain::{
    gate::{Row, enter},
    resources::{
        DeleteResourceGroup, GetResource, GetSubscription, KeyVault, ListResources, ListSubscriptions, ListTenants,
        PutResourceGroup, Registry, Resource, ResourceGroup, ResourceType, StorageAccount, Subscription, Telemetry,
    },
};
use http::{Method, StatusCode};
use serde_json::{Value, json};
use wire::arm;

use super::{Fault, GROUP, list, named, show};
use crate::{Doors, Guest};

/// The doors of subscriptions, groups and companions.
pub(super) fn doors(doors: Doors) -> Doors {
    let groups = "/subscriptions/{subscription}/resourceGroups";
    doors
        .open::<ListTenants, _, _>(Method::GET, "/tenants", list_tenants)
        .open::<ListSubscriptions, _, _>(Method::GET, "/subscriptions", list_subscriptions)
        .open::<GetSubscription, _, _>(Method::GET, "/subscriptions/{subscription}", get_subscription)
        .open::<ListResources<ResourceGroup>, _, _>(Method::GET, groups, list_groups)
        .open::<GetResource<ResourceGroup>, _, _>(Method::GET, GROUP, get_group)
        .open::<GetResource<ResourceGroup>, _, _>(Method::HEAD, GROUP, head_group)
        .open::<PutResourceGroup, _, _>(Method::PUT, GROUP, put_group)
        .open::<DeleteResourceGroup, _, _>(Method::DELETE, GROUP, delete_group)
        .face(companion::<KeyVault>)
        .face(companion::<StorageAccount>)
        .face(companion::<Registry>)
        .face(companion::<Telemetry>)
}

fn companion<P: Companion>(doors: Doors) -> Doors {
    let all = format!("{GROUP}/providers/{}", P::TYPE);
    doors.open::<ListResources<P>, _, _>(Method::GET, &all, list_companions::<P>).open::<GetResource<P>, _, _>(
        Method::GET,
        &format!("{all}/{{name}}"),
        get_companion::<P>,
    )
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

async fn list_groups(guest: Guest) -> Result<Response, Fault> {
    let op = ListResources::<ResourceGroup>::new(guest.resource(1)?);
    let rows = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(list(rows.iter().map(view_group).collect()))
}

async fn get_group(guest: Guest) -> Result<Response, Fault> {
    let op = GetResource::<ResourceGroup>::new(guest.resource(0)?);
    let row = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(named(StatusCode::OK, view_group(&row)))
}

async fn head_group(guest: Guest) -> Result<Response, Fault> {
    let op = GetResource::<ResourceGroup>::new(guest.resource(0)?);
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

/// What ARM shows of a companion.
trait Companion: ResourceType {
    fn view(guest: &Guest, row: &Row<Resource<Self>>) -> Value;
}

impl Companion for KeyVault {
    fn view(guest: &Guest, row: &Row<Resource<Self>>) -> Value {
        let uri = format!("{}/vaults/{}/", guest.house().settings().url, row.value.id.name());
        json!({
            "tenantId": row.value.properties.tenant,
            "vaultUri": uri,
            "sku": {"family": "A", "name": "standard"},
            "enableRbacAuthorization": true,
            "provisioningState": "Succeeded",
        })
    }
}

impl Companion for StorageAccount {
    fn view(guest: &Guest, row: &Row<Resource<Self>>) -> Value {
        let blob = format!("{}/blob/{}/", guest.house().settings().url, row.value.id.name());
        json!({"primaryEndpoints": {"blob": blob}, "provisioningState": "Succeeded"})
    }
}

impl Companion for Registry {
    fn view(guest: &Guest, row: &Row<Resource<Self>>) -> Value {
        let server = format!("{}.azurecr.{}", row.value.id.name(), guest.house().settings().suffix);
        json!({"loginServer": server, "provisioningState": "Succeeded"})
    }
}

impl Companion for Telemetry {
    fn view(_: &Guest, row: &Row<Resource<Self>>) -> Value {
        json!({"InstrumentationKey": row.value.properties.instrumentation_key, "provisioningState": "Succeeded"})
    }
}

async fn list_companions<P: Companion>(guest: Guest) -> Result<Response, Fault> {
    let op = ListResources::<P>::new(guest.resource(3)?);
    let rows = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(list(rows.iter().map(|row| show(row, P::view(&guest, row))).collect()))
}

async fn get_companion<P: Companion>(guest: Guest) -> Result<Response, Fault> {
    let op = GetResource::<P>::new(guest.resource(0)?);
    let row = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(named(StatusCode::OK, show(&row, P::view(&guest, &row))))
}
