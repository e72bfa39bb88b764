//! Signatures that the resource manager makes with the keys of a storage account.

use axum::response::{IntoResponse, Response};
use domain::{
    gate::enter,
    storage::{AccountSas, ListAccountSas, ListServiceSas, ServiceSas},
};
use http::Method;
use serde::Deserialize;
use serde_json::json;

use super::{Fault, GROUP, blob_services::arrived};
use crate::{Doors, Guest};

/// The doors of signatures.
pub(super) fn doors(doors: Doors) -> Doors {
    let account = format!("{GROUP}/providers/Microsoft.Storage/storageAccounts/{{companion}}");
    doors
        .open::<ListAccountSas, _, _>(Method::POST, &format!("{account}/listAccountSas"), list_account_sas)
        .open::<ListServiceSas, _, _>(Method::POST, &format!("{account}/listServiceSas"), list_service_sas)
}

/// What both kinds of signatures say, as `azure-mgmt-storage` sends it.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SasBody {
    signed_services: String,
    signed_resource_types: String,
    signed_permission: String,
    signed_ip: String,
    signed_protocol: String,
    signed_start: String,
    signed_expiry: String,
    signed_identifier: String,
    canonicalized_resource: String,
    signed_resource: String,
    key_to_sign: String,
    rscc: String,
    rscd: String,
    rsce: String,
    rscl: String,
    rsct: String,
}

async fn list_account_sas(guest: Guest) -> Result<Response, Fault> {
    let (caller, account) = arrived::<ListAccountSas>(&guest, &guest.resource(1)?, 1).await?;
    let shell = guest.shell();
    let body: SasBody = guest.json().await?;
    let wanted = AccountSas {
        services: body.signed_services,
        resource_types: body.signed_resource_types,
        permissions: body.signed_permission,
        addresses: body.signed_ip,
        protocol: body.signed_protocol,
        start: body.signed_start,
        expiry: body.signed_expiry,
        key: body.key_to_sign,
    };
    let token = enter(shell.house(), &caller, ListAccountSas { account, wanted }).await?;
    Ok(axum::Json(json!({"accountSasToken": token.expose()})).into_response())
}

async fn list_service_sas(guest: Guest) -> Result<Response, Fault> {
    let (caller, account) = arrived::<ListServiceSas>(&guest, &guest.resource(1)?, 1).await?;
    let shell = guest.shell();
    let body: SasBody = guest.json().await?;
    let wanted = ServiceSas {
        resource: body.canonicalized_resource,
        kind: body.signed_resource,
        permissions: body.signed_permission,
        addresses: body.signed_ip,
        protocol: body.signed_protocol,
        start: body.signed_start,
        expiry: body.signed_expiry,
        policy: body.signed_identifier,
        key: body.key_to_sign,
        answers: [body.rscc, body.rscd, body.rsce, body.rscl, body.rsct],
    };
    let token = enter(shell.house(), &caller, ListServiceSas { account, wanted }).await?;
    Ok(axum::Json(json!({"serviceSasToken": token.expose()})).into_response())
}
