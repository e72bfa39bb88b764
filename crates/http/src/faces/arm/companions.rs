//! The companions of workspaces as resources of their own: storage accounts, registries, telemetry stores. Vaults
//! have a file of their own.

use std::collections::BTreeMap;

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use domain::{
    gate::{Row, enter},
    resources::{
        AccountKey, CheckCompanionName, Companion, DeleteCompanion, GetManaged, GetResource, Keyed, ListAccountKeys,
        ListInSubscription, ListResources, NameAnswer, PutCompanion, RegenerateAccountKey, Registry, Resource,
        StorageAccount, Telemetry, is_managed_name,
    },
};
use http::{Method, StatusCode};
use kernel::{Error, Kind, ResourceId};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Fault, GROUP, list, managed_groups, named, precondition, registries, show, storage_accounts};
use crate::{Doors, Guest};

/// The doors of companions.
pub(super) fn doors(doors: Doors) -> Doors {
    let account = format!("{GROUP}/providers/Microsoft.Storage/storageAccounts/{{companion}}");
    let registry = format!("{GROUP}/providers/Microsoft.ContainerRegistry/registries/{{companion}}");
    let names = "/subscriptions/{subscription}/providers/Microsoft.Storage/checkNameAvailability";
    doors
        .open::<CheckCompanionName<StorageAccount>, _, _>(Method::POST, names, check_name)
        .face(made_plainly::<Telemetry>)
        .face(companion::<StorageAccount>)
        .face(storage_accounts::doors)
        .face(companion::<Registry>)
        .face(registries::doors)
        .face(companion::<Telemetry>)
        .open::<ListAccountKeys<StorageAccount>, _, _>(Method::POST, &format!("{account}/listKeys"), list_keys)
        .open::<RegenerateAccountKey<StorageAccount>, _, _>(
            Method::POST,
            &format!("{account}/regenerateKey"),
            regenerate_key,
        )
        .open::<ListAccountKeys<Registry>, _, _>(Method::POST, &format!("{registry}/listCredentials"), list_credentials)
        .open::<RegenerateAccountKey<Registry>, _, _>(
            Method::POST,
            &format!("{registry}/regenerateCredential"),
            regenerate_credential,
        )
}

fn companion<P: Shown>(doors: Doors) -> Doors {
    let all = format!("{GROUP}/providers/{}", P::TYPE);
    let one = format!("{all}/{{companion}}");
    let everywhere = format!("/subscriptions/{{subscription}}/providers/{}", P::TYPE);
    doors
        .open::<ListInSubscription<P>, _, _>(Method::GET, &everywhere, list_everywhere::<P>)
        .open::<ListResources<P>, _, _>(Method::GET, &all, list_all::<P>)
        .open::<GetResource<P>, _, _>(Method::GET, &one, get::<P>)
        .open::<DeleteCompanion<P>, _, _>(Method::DELETE, &one, delete::<P>)
}

/// Those of which nothing is set beside their labels.
fn made_plainly<P: Shown>(doors: Doors) -> Doors {
    let one = format!("{GROUP}/providers/{}/{{companion}}", P::TYPE);
    doors.open::<PutCompanion<P>, _, _>(Method::PUT, &one, put::<P>)
}

/// What ARM shows of a companion.
trait Shown: Companion {
    /// What a PUT that made one is answered with: clients differ (`wire/azure.md` §0.7).
    const CREATED: StatusCode;

    fn view(guest: &Guest, row: &Row<Resource<Self>>) -> Value;

    /// The whole resource.
    fn whole(guest: &Guest, row: &Row<Resource<Self>>) -> wire::arm::Resource<Value> {
        show(row, Self::view(guest, row))
    }
}

impl Shown for StorageAccount {
    const CREATED: StatusCode = StatusCode::OK;

    fn view(guest: &Guest, row: &Row<Resource<Self>>) -> Value {
        storage_accounts::view(guest, row)
    }

    fn whole(guest: &Guest, row: &Row<Resource<Self>>) -> wire::arm::Resource<Value> {
        storage_accounts::whole(guest, row)
    }
}

impl Shown for Registry {
    const CREATED: StatusCode = StatusCode::CREATED;

    fn view(guest: &Guest, row: &Row<Resource<Self>>) -> Value {
        registries::view(guest, row)
    }

    fn whole(guest: &Guest, row: &Row<Resource<Self>>) -> wire::arm::Resource<Value> {
        registries::whole(guest, row)
    }
}

impl Shown for Telemetry {
    const CREATED: StatusCode = StatusCode::OK;

    fn view(_: &Guest, row: &Row<Resource<Self>>) -> Value {
        json!({"InstrumentationKey": row.value.properties.instrumentation_key, "provisioningState": "Succeeded"})
    }
}

async fn list_all<P: Shown>(guest: Guest) -> Result<Response, Fault> {
    let op = ListResources::<P>::new(guest.resource(3)?);
    let rows = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(list(rows.iter().map(|row| P::whole(&guest, row)).collect()))
}

async fn list_everywhere<P: Shown>(guest: Guest) -> Result<Response, Fault> {
    let op = ListInSubscription::<P>::new(guest.param("subscription")?);
    let rows = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(list(rows.iter().map(|row| P::whole(&guest, row)).collect()))
}

async fn get<P: Shown>(guest: Guest) -> Result<Response, Fault> {
    let (id, caller) = (guest.resource(0)?, guest.caller().await?);
    let found = enter(guest.house(), &caller, GetResource::<P>::new(id.clone())).await;
    if found.as_ref().is_err_and(|fault| fault.kind() == Kind::NotFound) && is_managed_name(&id) {
        let managed = enter(guest.house(), &caller, GetManaged { id }).await?;
        return Ok(Json(managed_groups::view(&managed)).into_response());
    }
    Ok(named(StatusCode::OK, P::whole(&guest, &found?)))
}

/// What is read of a PUT; kinds, tiers and what SDKs echo are not bound.
#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    location: Option<String>,
    #[serde(default)]
    tags: Option<BTreeMap<String, String>>,
    #[serde(default)]
    properties: Value,
}

async fn put<P: Shown>(guest: Guest) -> Result<Response, Fault> {
    let id = guest.resource(0)?;
    let (caller, precondition) = (guest.admitted::<PutCompanion<P>>(&id).await?, precondition(&guest)?);
    let shell = guest.shell();
    let body: Body = guest.json().await?;
    refuse_what_is_not_offered(&body.properties)?;
    let op = PutCompanion::<P>::new(id, body.location.unwrap_or_default(), body.tags.unwrap_or_default(), precondition);
    let written = enter(shell.house(), &caller, op).await?;
    let status = if written.is_new { P::CREATED } else { StatusCode::OK };
    Ok(named(status, P::whole(&shell, &written.row)))
}

/// Whoever asks for a wall must not believe that it stands.
fn refuse_what_is_not_offered(properties: &Value) -> Result<(), Error> {
    let word = |pointer: &str| properties.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
    let is = |pointer: &str, value: &str| word(pointer).eq_ignore_ascii_case(value);
    let refused = |field: &str| {
        let why = format!("`properties.{field}`: network rules and customer-managed keys are not supported yet");
        Err(Error::new(Kind::Unsupported, why))
    };
    if is("/networkAcls/defaultAction", "Deny") || is("/networkRuleSet/defaultAction", "Deny") {
        return refused("networkAcls");
    }
    if is("/publicNetworkAccess", "Disabled") || is("/publicNetworkAccess", "SecuredByPerimeter") {
        return refused("publicNetworkAccess");
    }
    if is("/encryption/keySource", "Microsoft.Keyvault") || is("/encryption/status", "enabled") {
        return refused("encryption");
    }
    Ok(())
}

async fn delete<P: Shown>(guest: Guest) -> Result<Response, Fault> {
    let op = DeleteCompanion::<P>::new(guest.resource(0)?);
    enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(StatusCode::OK.into_response())
}

fn view_keys(keys: &[AccountKey]) -> Response {
    let view = |key: &AccountKey| {
        json!({
            "keyName": key.name,
            "value": key.value.expose(),
            "permissions": "FULL",
            "creationTime": key.made_at.rfc3339(),
        })
    };
    axum::Json(json!({"keys": keys.iter().map(view).collect::<Vec<_>>()})).into_response()
}

fn view_credentials(registry: &Resource<Registry>, keys: &[AccountKey]) -> Response {
    let view = |key: &AccountKey| json!({"name": key.name, "value": key.value.expose()});
    let passwords: Vec<Value> = keys.iter().map(view).collect();
    axum::Json(json!({"username": registry.id.name(), "passwords": passwords})).into_response()
}

async fn list_keys(guest: Guest) -> Result<Response, Fault> {
    let op = ListAccountKeys::<StorageAccount>::new(guest.resource(1)?);
    Ok(view_keys(&enter(guest.house(), &guest.caller().await?, op).await?.1))
}

async fn list_credentials(guest: Guest) -> Result<Response, Fault> {
    let op = ListAccountKeys::<Registry>::new(guest.resource(1)?);
    let (registry, keys) = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(view_credentials(&registry, &keys))
}

/// Which key: `keyName` of a storage account, `name` of a registry.
#[derive(Deserialize)]
struct Which {
    #[serde(alias = "keyName")]
    name: String,
}

async fn regenerate<P: Keyed>(guest: Guest) -> Result<(Resource<P>, Vec<AccountKey>), Fault> {
    let (house, id) = (guest.house().clone(), guest.resource(1)?);
    let caller = guest.admitted::<RegenerateAccountKey<P>>(&id).await?;
    let which: Which = guest.json().await?;
    Ok(enter(&house, &caller, RegenerateAccountKey::<P>::new(id, which.name)).await?)
}

async fn regenerate_key(guest: Guest) -> Result<Response, Fault> {
    Ok(view_keys(&regenerate::<StorageAccount>(guest).await?.1))
}

async fn regenerate_credential(guest: Guest) -> Result<Response, Fault> {
    let (registry, keys) = regenerate::<Registry>(guest).await?;
    Ok(view_credentials(&registry, &keys))
}

/// Which name a client would like to have.
#[derive(Deserialize)]
struct WantedName {
    name: String,
}

/// `POST …/checkNameAvailability` of storage accounts.
async fn check_name(guest: Guest) -> Result<Response, Fault> {
    let (shell, subscription) = (guest.shell(), guest.param("subscription")?);
    let caller = guest.admitted::<CheckCompanionName<StorageAccount>>(&ResourceId::subscription(subscription)).await?;
    let wanted: WantedName = guest.json().await?;
    let answer =
        enter(shell.house(), &caller, CheckCompanionName::<StorageAccount>::new(subscription, wanted.name)).await?;
    let (reason, message) = match answer {
        NameAnswer::Free => return Ok(axum::Json(json!({"nameAvailable": true})).into_response()),
        NameAnswer::Unfit(why) => ("AccountNameInvalid", why),
        NameAnswer::Taken => ("AlreadyExists", String::from("the storage account's name is already taken")),
    };
    Ok(axum::Json(json!({"nameAvailable": false, "reason": reason, "message": message})).into_response())
}
