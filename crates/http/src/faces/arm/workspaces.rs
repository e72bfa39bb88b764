//! Workspaces and their compute targets.

use axum::response::{IntoResponse, Response};
use domain::{
    customer_keys::opening_of,
    gate::{Row, enter},
    network::{NetworkRequest, NetworkView, network_of},
    resources::{
        DeleteWorkspace, DeletedWorkspace, Edition, GetResource, ListDeletedWorkspaces, ListResources,
        ListWorkspacesInSubscription, PatchWorkspace, PutWorkspace, Resource, Target, Wanted, Workspace,
        WorkspaceRequest,
    },
    secrets::{ContentScan, ModelScan, SecretDetection},
};
use http::{Method, StatusCode};
use kernel::Error;
use serde_json::{Value, json};
use wire::arm;

use super::{
    Fault, GROUP, WORKSPACE, break_glass, encryption, identities, list, named, network, pages::Pages, precondition,
    show, throughput, view::id_field,
};
use crate::{Doors, Guest};

/// The doors of workspaces.
pub(super) fn doors(doors: Doors) -> Doors {
    let in_group = format!("{GROUP}/providers/Microsoft.MachineLearningServices/workspaces");
    let in_subscription = "/subscriptions/{subscription}/providers/Microsoft.MachineLearningServices/workspaces";
    let deleted = "providers/Microsoft.MachineLearningServices/deletedWorkspaces";
    let subscription = "/subscriptions/{subscription}";
    doors
        .open::<ListDeletedWorkspaces, _, _>(Method::GET, &format!("{subscription}/{deleted}"), list_deleted)
        .open::<ListDeletedWorkspaces, _, _>(Method::GET, &format!("{GROUP}/{deleted}"), list_deleted)
        .open::<ListWorkspacesInSubscription, _, _>(Method::GET, in_subscription, list_in_subscription)
        .open::<ListResources<Workspace>, _, _>(Method::GET, &in_group, list_in_group)
        .open::<GetResource<Workspace>, _, _>(Method::GET, WORKSPACE, get_workspace)
        .open::<PutWorkspace, _, _>(Method::PUT, WORKSPACE, put_workspace)
        .open::<PatchWorkspace, _, _>(Method::PATCH, WORKSPACE, patch_workspace)
        .open::<DeleteWorkspace, _, _>(Method::DELETE, WORKSPACE, delete_workspace)
        .open::<ListResources<Target>, _, _>(Method::GET, &format!("{WORKSPACE}/computes"), list_targets)
        .open::<GetResource<Target>, _, _>(Method::GET, &format!("{WORKSPACE}/computes/{{name}}"), get_target)
}

fn view(guest: &Guest, row: &Row<Resource<Workspace>>) -> arm::Resource<arm::Workspace> {
    let resource = &row.value;
    let workspace = &resource.properties;
    let edition = workspace.edition.word().to_owned();
    arm::Resource {
        identity: Some(arm::Identity {
            kind: String::from("SystemAssigned"),
            principal_id: Some(workspace.identity.to_string()),
            tenant_id: Some(workspace.tenant.to_string()),
            user_assigned_identities: None,
        }),
        sku: Some(arm::Sku { name: edition.clone(), tier: Some(edition), capacity: None }),
        subkind: Some(String::from("Default")),
        ..show(row, properties(guest, resource))
    }
}

/// A deleted one: as it was, with when it was deleted and when it is purged.
fn view_deleted(guest: &Guest, row: &Row<DeletedWorkspace>) -> arm::Resource<arm::Workspace> {
    let deleted = &row.value;
    let mut shown = view(guest, &Row::new(row.id.clone(), deleted.workspace.clone()));
    shown.etag = None;
    shown.properties.provisioning_state = String::from("SoftDeleted");
    shown.properties.soft_deleted_at = Some(deleted.deleted_at.rfc3339());
    shown.properties.scheduled_purge_date = Some(deleted.purge_at.rfc3339());
    shown
}

fn properties(guest: &Guest, resource: &Resource<Workspace>) -> arm::Workspace {
    let url = &guest.house().settings().url;
    let workspace = &resource.properties;
    let host = url.trim_start_matches("https://");
    let NetworkView { rules: network, connections } = network_of(guest.house(), &resource.id);
    let connection = |one| network::view_connection(guest, &resource.id, one);
    arm::Workspace {
        friendly_name: workspace.friendly_name.clone(),
        description: workspace.description.clone(),
        workspace_id: resource.guid.to_string(),
        provisioning_state: String::from("Succeeded"),
        tenant_id: workspace.tenant.to_string(),
        creation_time: resource.system.created_at.rfc3339(),
        hbi_workspace: workspace.hbi,
        send_diagnostics: workspace.may_send_diagnostics(),
        storage_account: workspace.storage_account.to_string(),
        key_vault: workspace.key_vault.to_string(),
        application_insights: workspace.application_insights.to_string(),
        container_registry: workspace.container_registry.as_ref().map(ToString::to_string),
        public_network_access: String::from(if network.public_access { "Enabled" } else { "Disabled" }),
        private_endpoint_connections: connections.iter().map(connection).collect(),
        ip_allowlist: network.ip_allow.iter().map(ToString::to_string).collect(),
        storage_hns_enabled: false,
        discovery_url: format!("{url}/discovery/workspaces/{}", resource.guid),
        ml_flow_tracking_uri: format!("azureml://{host}/mlflow/v1.0{}", resource.id),
        soft_delete_enabled: true,
        soft_delete_retention_in_days: workspace.retention_days,
        secret_detection: workspace.secret_detection.word().to_owned(),
        content_scan: workspace.content_scan.word().to_owned(),
        model_scan: workspace.model_scan.word().to_owned(),
        soft_deleted_at: None,
        scheduled_purge_date: None,
        encryption: workspace.encryption.as_ref().map(encryption::view),
        service_managed_resources_settings: throughput::shown(workspace.throughput),
        break_glass: opening_of(guest.house(), resource.guid).as_ref().map(break_glass::opening),
    }
}

async fn list_in_subscription(guest: Guest) -> Result<Response, Fault> {
    let pages = Pages::of(&guest, "$skip")?;
    let op = ListWorkspacesInSubscription { subscription: guest.param("subscription")? };
    let rows = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(pages.answer(&guest, rows, |row| &row.value.id, |row| view(&guest, row)))
}

async fn list_in_group(guest: Guest) -> Result<Response, Fault> {
    let pages = Pages::of(&guest, "$skip")?;
    let op = ListResources::<Workspace>::new(guest.resource(3)?);
    let rows = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(pages.answer(&guest, rows, |row| &row.value.id, |row| view(&guest, row)))
}

async fn list_deleted(guest: Guest) -> Result<Response, Fault> {
    let op = ListDeletedWorkspaces { parent: guest.resource(3)? };
    let rows = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(list(rows.iter().map(|row| view_deleted(&guest, row)).collect()))
}

async fn get_workspace(guest: Guest) -> Result<Response, Fault> {
    let op = GetResource::<Workspace>::new(guest.resource(0)?);
    let row = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(named(StatusCode::OK, view(&guest, &row)))
}

async fn put_workspace(guest: Guest) -> Result<Response, Fault> {
    let id = guest.resource(0)?;
    let (caller, precondition) = (guest.admitted::<PutWorkspace>(&id).await?, precondition(&guest)?);
    let api_version = guest.query("api-version").unwrap_or_default();
    let shell = guest.shell();
    let body: arm::WorkspacePut = guest.json().await?;
    let network = network_of_request(&body.properties);
    let op = PutWorkspace {
        id,
        location: body.location.unwrap_or_default(),
        tags: body.tags.unwrap_or_default(),
        request: WorkspaceRequest {
            friendly_name: body.properties.friendly_name,
            description: body.properties.description,
            storage_account: id_field("properties.storageAccount", body.properties.storage_account)?,
            key_vault: id_field("properties.keyVault", body.properties.key_vault)?,
            application_insights: id_field("properties.applicationInsights", body.properties.application_insights)?,
            container_registry: id_field("properties.containerRegistry", body.properties.container_registry)?,
            network,
            retention_days: body.properties.soft_delete_retention_in_days,
            edition: edition(body.sku.as_ref())?,
            secret_detection: secret_detection(body.properties.secret_detection.as_deref())?,
            content_scan: content_scan(body.properties.content_scan.as_deref())?,
            model_scan: model_scan(body.properties.model_scan.as_deref())?,
            encryption: encryption::asked(body.properties.encryption)?,
            hbi: body.properties.hbi_workspace,
            sends_diagnostics: body.properties.send_diagnostics,
            throughput: throughput::asked(body.properties.service_managed_resources_settings),
            recover: is_true(body.properties.allow_recover_soft_deleted_workspace.as_ref())?,
        },
        precondition,
    };
    let written = enter(shell.house(), &caller, op).await?;
    // Clients of newer api-versions refuse 201 (`wire/azure.md` §0.7).
    let is_old = api_version.get(..4).is_none_or(|year| year < "2022");
    let status = if written.is_new && is_old { StatusCode::CREATED } else { StatusCode::OK };
    Ok(named(status, view(&shell, &written.row)))
}

fn edition(sku: Option<&arm::Sku>) -> Result<Option<Edition>, Error> {
    sku.map(|sku| sku.name.parse()).transpose()
}

fn secret_detection(word: Option<&str>) -> Result<Option<SecretDetection>, Error> {
    word.map(str::parse).transpose()
}

fn content_scan(word: Option<&str>) -> Result<Option<ContentScan>, Error> {
    word.map(str::parse).transpose()
}

fn model_scan(word: Option<&str>) -> Result<Option<ModelScan>, Error> {
    word.map(str::parse).transpose()
}

/// Azure's clients send this one flag as a word.
fn is_true(flag: Option<&Value>) -> Result<bool, Error> {
    match flag {
        None | Some(Value::Null | Value::Bool(false)) => Ok(false),
        Some(Value::Bool(true)) => Ok(true),
        Some(Value::String(word)) if word.eq_ignore_ascii_case("true") => Ok(true),
        Some(Value::String(word)) if word.eq_ignore_ascii_case("false") => Ok(false),
        Some(_) => Err(Error::invalid("properties.allowRecoverSoftDeletedWorkspace", "must be `True` or `False`")),
    }
}

fn network_of_request(input: &arm::WorkspaceInput) -> NetworkRequest {
    let (public_network_access, ip_allowlist) = (input.public_network_access.clone(), input.ip_allowlist.clone());
    NetworkRequest { public_network_access, ip_allowlist }
}

async fn patch_workspace(guest: Guest) -> Result<Response, Fault> {
    let id = guest.resource(0)?;
    let (caller, precondition) = (guest.admitted::<PatchWorkspace>(&id).await?, precondition(&guest)?);
    let shell = guest.shell();
    let body: arm::WorkspacePut = guest.json().await?;
    let network = network_of_request(&body.properties);
    let op = PatchWorkspace {
        id,
        wanted: Wanted {
            tags: body.tags,
            friendly_name: body.properties.friendly_name,
            description: body.properties.description,
            network,
            retention_days: body.properties.soft_delete_retention_in_days,
            edition: edition(body.sku.as_ref())?,
            secret_detection: secret_detection(body.properties.secret_detection.as_deref())?,
            content_scan: content_scan(body.properties.content_scan.as_deref())?,
            model_scan: model_scan(body.properties.model_scan.as_deref())?,
            encryption: encryption::asked(body.properties.encryption)?,
            hbi: body.properties.hbi_workspace,
            sends_diagnostics: body.properties.send_diagnostics,
            throughput: throughput::asked(body.properties.service_managed_resources_settings),
        },
        precondition,
    };
    let row = enter(shell.house(), &caller, op).await?;
    Ok(named(StatusCode::OK, view(&shell, &row)))
}

async fn delete_workspace(guest: Guest) -> Result<Response, Fault> {
    let (purge, keep) = (flag(&guest, "forceToPurge")?, flag(&guest, "keepForRecovery")?);
    if purge && keep {
        return Err(Error::invalid("keepForRecovery", "cannot be said together with `forceToPurge`").into());
    }
    let op = DeleteWorkspace { id: guest.resource(0)?, purge, keep };
    enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(StatusCode::OK.into_response())
}

/// A word of the query that is `true`, `false`, or not there.
pub(super) fn flag(guest: &Guest, name: &str) -> Result<bool, Error> {
    match guest.query(name) {
        None => Ok(false),
        Some(word) if word.eq_ignore_ascii_case("true") => Ok(true),
        Some(word) if word.eq_ignore_ascii_case("false") => Ok(false),
        Some(_) => Err(Error::invalid(name, "must be `true` or `false`")),
    }
}

pub(super) fn view_target(row: &Row<Resource<Target>>) -> arm::Resource<Value> {
    let properties = json!({
        "computeType": "Local",
        "provisioningState": "Succeeded",
        "properties": {"walls": row.value.properties.capabilities.walls},
    });
    let mut shown = show(row, properties);
    shown.identity = identities::of_target(row);
    shown
}

async fn list_targets(guest: Guest) -> Result<Response, Fault> {
    let op = ListResources::<Target>::new(guest.resource(1)?);
    let rows = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(list(rows.iter().map(view_target).collect()))
}

async fn get_target(guest: Guest) -> Result<Response, Fault> {
    let op = GetResource::<Target>::new(guest.resource(0)?);
    let row = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(named(StatusCode::OK, view_target(&row)))
}
