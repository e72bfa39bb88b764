//! What a storage account holds, as the resource manager shows it: the settings of its Blob service, and its containers. Blobs
//! themselves are asked for at the account's own address.

use std::{collections::BTreeMap, sync::Arc};

use axum::response::{IntoResponse, Response};
use domain::{
    gate::{Op, enter},
    storage::{
        Account, ChangeContainer, Conditions, Container, ContainerChange, ContainerName, CreateContainer,
        DeleteContainer, GetContainer, GetServiceSettings, InAccount, ListContainers, Retention, RevokeDelegationKeys,
        ServiceSettings, SetServiceSettings, account_at, lease_duration, lease_state,
    },
};
use http::{Method, StatusCode};
use kernel::{Caller, Error, Kind, ResourceId, Result};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Fault, GROUP};
use crate::{Doors, Guest};

/// Containers of one page, when no other number is asked for, and at most.
const PAGE: usize = 5000;

/// The doors of Blob services.
pub(super) fn doors(doors: Doors) -> Doors {
    let account = format!("{GROUP}/providers/Microsoft.Storage/storageAccounts/{{companion}}");
    let services = format!("{account}/blobServices");
    let service = format!("{services}/default");
    let containers = format!("{service}/containers");
    let container = format!("{containers}/{{container}}");
    doors
        .open::<RevokeDelegationKeys, _, _>(Method::POST, &format!("{account}/revokeUserDelegationKeys"), revoke)
        .open::<GetServiceSettings, _, _>(Method::GET, &services, list_services)
        .open::<GetServiceSettings, _, _>(Method::GET, &service, get_service)
        .open::<SetServiceSettings, _, _>(Method::PUT, &service, put_service)
        .open::<ListContainers, _, _>(Method::GET, &containers, list_containers)
        .open::<GetContainer, _, _>(Method::GET, &container, get_container)
        .open::<CreateContainer, _, _>(Method::PUT, &container, put_container)
        .open::<ChangeContainer, _, _>(Method::PATCH, &container, patch_container)
        .open::<DeleteContainer, _, _>(Method::DELETE, &container, delete_container)
}

/// Who asks for something below an account, and the account. `above` says how far the account is above what is asked for.
pub(super) async fn arrived<O: Op>(
    guest: &Guest,
    scope: &ResourceId,
    above: usize,
) -> Result<(Caller, Arc<Account>), Fault> {
    let caller = guest.admitted::<O>(scope).await?;
    let account = account_at(guest.house(), &guest.resource(above)?).await?;
    Ok((caller, account))
}

fn view_service(account: &Account, settings: &ServiceSettings) -> Value {
    let retention = match settings.retention_days {
        Some(days) => json!({"enabled": true, "days": days, "allowPermanentDelete": false}),
        None => json!({"enabled": false}),
    };
    json!({
        "id": account.service(),
        "name": "default",
        "type": "Microsoft.Storage/storageAccounts/blobServices",
        "properties": {
            "cors": {"corsRules": []},
            "deleteRetentionPolicy": retention,
            "containerDeleteRetentionPolicy": {"enabled": false},
            "isVersioningEnabled": settings.versioning,
            "changeFeed": {"enabled": false},
            "restorePolicy": {"enabled": false},
            "lastAccessTimeTrackingPolicy": {"enable": false},
        },
    })
}

async fn settings_of(guest: &Guest, scope: ResourceId, above: usize) -> Result<Value, Fault> {
    let (caller, account) = arrived::<GetServiceSettings>(guest, &scope, above).await?;
    let settings = enter(guest.house(), &caller, GetServiceSettings { account: Arc::clone(&account) }).await?;
    Ok(view_service(&account, &settings))
}

/// There is one: `default`.
async fn list_services(guest: Guest) -> Result<Response, Fault> {
    let service =
        guest.resource(1)?.child(["blobServices", "default"]).map_err(|_| Error::not_found("this address"))?;
    let one = settings_of(&guest, service, 1).await?;
    Ok(axum::Json(json!({"value": [one]})).into_response())
}

async fn get_service(guest: Guest) -> Result<Response, Fault> {
    let scope = guest.resource(0)?;
    Ok(axum::Json(settings_of(&guest, scope, 2).await?).into_response())
}

/// What is read of the settings; what is not said stays.
#[derive(Deserialize)]
struct ServiceBody {
    #[serde(default)]
    properties: Value,
}

async fn put_service(guest: Guest) -> Result<Response, Fault> {
    let (caller, account) = arrived::<SetServiceSettings>(&guest, &guest.resource(0)?, 2).await?;
    let shell = guest.shell();
    let body: ServiceBody = guest.json().await?;
    refuse_what_is_not_offered(&body.properties)?;
    let retention = retention(&body.properties)?;
    let versioning = flag(&body.properties, "/isVersioningEnabled")?;
    let op = SetServiceSettings { account: Arc::clone(&account), retention, versioning };
    let settings = enter(shell.house(), &caller, op).await?;
    Ok(axum::Json(view_service(&account, &settings)).into_response())
}

fn flag(properties: &Value, pointer: &str) -> Result<Option<bool>> {
    match properties.pointer(pointer) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Bool(flag)) => Ok(Some(*flag)),
        Some(_) => Err(Error::invalid(format!("properties{}", pointer.replace('/', ".")), "must be true or false")),
    }
}

fn retention(properties: &Value) -> Result<Retention> {
    match flag(properties, "/deleteRetentionPolicy/enabled")? {
        None => Ok(Retention::Kept),
        Some(false) => Ok(Retention::Off),
        Some(true) => {
            let days = properties.pointer("/deleteRetentionPolicy/days").and_then(Value::as_u64);
            let days = days.and_then(|days| u32::try_from(days).ok());
            let days =
                days.ok_or_else(|| Error::invalid("properties.deleteRetentionPolicy.days", "must be 1 to 365"))?;
            Ok(Retention::Days(days))
        }
    }
}

/// Whoever asks for a wall, or for something that is kept, must not believe that it is there.
fn refuse_what_is_not_offered(properties: &Value) -> Result<()> {
    const SWITCHES: [&str; 5] = [
        "/containerDeleteRetentionPolicy/enabled",
        "/changeFeed/enabled",
        "/restorePolicy/enabled",
        "/lastAccessTimeTrackingPolicy/enable",
        "/deleteRetentionPolicy/allowPermanentDelete",
    ];
    let refused = |pointer: &str| {
        let field = pointer.trim_start_matches('/').replace('/', ".");
        Err(Error::new(Kind::Unsupported, format!("`properties.{field}` is not offered here")))
    };
    for pointer in SWITCHES {
        if flag(properties, pointer)? == Some(true) {
            return refused(pointer);
        }
    }
    let rules = properties.pointer("/cors/corsRules").and_then(Value::as_array);
    if rules.is_some_and(|rules| !rules.is_empty()) {
        return refused("/cors/corsRules");
    }
    Ok(())
}

fn name_of(scope: &ResourceId) -> Result<ContainerName> {
    ContainerName::parse(scope.name())
}

fn view_container(guest: &Guest, account: &Account, container: &Container) -> Value {
    let now = guest.house().now();
    let state = lease_state(container.lease.as_ref(), now);
    let id = ContainerName::parse(&container.name).map(|name| account.container(&name)).ok();
    let mut properties = json!({
        "publicAccess": "None",
        "metadata": container.metadata,
        "lastModifiedTime": container.modified_at.rfc3339(),
        "leaseStatus": if state.is_locked() { "Locked" } else { "Unlocked" },
        "leaseState": capital(state.word()),
        "hasImmutabilityPolicy": false,
        "hasLegalHold": false,
        "deleted": false,
        "defaultEncryptionScope": "$account-encryption-key",
        "denyEncryptionScopeOverride": false,
    });
    if let (Some(duration), Some(fields)) = (lease_duration(container.lease.as_ref(), now), properties.as_object_mut())
    {
        fields.insert(String::from("leaseDuration"), json!(capital(duration)));
    }
    json!({
        "id": id,
        "name": container.name,
        "type": "Microsoft.Storage/storageAccounts/blobServices/containers",
        "etag": format!("\"0x{:016X}\"", container.etag),
        "properties": properties,
    })
}

/// The resource manager writes these words with a capital letter.
fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map(|first| first.to_ascii_uppercase().to_string() + letters.as_str()).unwrap_or_default()
}

async fn list_containers(guest: Guest) -> Result<Response, Fault> {
    let (caller, account) = arrived::<ListContainers>(&guest, &guest.resource(1)?, 3).await?;
    let asked = |name: &str| guest.query(name).unwrap_or_default();
    let most = match asked("$maxpagesize").as_str() {
        "" => PAGE,
        text => {
            let bad = || Error::invalid("$maxpagesize", "must be a number from 1 on");
            text.parse::<usize>().ok().filter(|most| *most > 0).ok_or_else(bad)?.min(PAGE)
        }
    };
    let op =
        ListContainers { account: Arc::clone(&account), prefix: asked("$filter"), from: asked("$skipToken"), most };
    let (found, next) = enter(guest.house(), &caller, op).await?;
    let value: Vec<Value> = found.iter().map(|container| view_container(&guest, &account, container)).collect();
    let mut answer = json!({"value": value});
    if let (Some(next), Some(fields)) = (next, answer.as_object_mut()) {
        fields.insert(String::from("nextLink"), json!(guest.link_with("$skipToken", &next)));
    }
    Ok(axum::Json(answer).into_response())
}

async fn get_container(guest: Guest) -> Result<Response, Fault> {
    let scope = guest.resource(0)?;
    let (caller, account) = arrived::<GetContainer>(&guest, &scope, 4).await?;
    let at = InAccount { account: Arc::clone(&account), name: name_of(&scope)? };
    let container = enter(guest.house(), &caller, GetContainer { at, lease: None }).await?;
    Ok(axum::Json(view_container(&guest, &account, &container)).into_response())
}

/// What is read of a container.
#[derive(Deserialize)]
struct ContainerBody {
    #[serde(default)]
    properties: ContainerProperties,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ContainerProperties {
    #[serde(default)]
    metadata: Option<BTreeMap<String, String>>,
    #[serde(default)]
    public_access: Option<String>,
    #[serde(default)]
    immutable_storage_with_versioning: Option<Value>,
    #[serde(default)]
    deny_encryption_scope_override: Option<bool>,
    #[serde(default)]
    default_encryption_scope: Option<String>,
}

impl ContainerProperties {
    /// Labels, when there are any; what is not offered is refused.
    fn labels(self) -> Result<Option<BTreeMap<String, String>>> {
        let refused =
            |field: &str, why: &str| Err(Error::new(Kind::Unsupported, format!("`properties.{field}`: {why}")));
        if self.public_access.is_some_and(|access| !access.eq_ignore_ascii_case("None")) {
            return refused("publicAccess", "nothing is open to nobody here");
        }
        let enabled = self.immutable_storage_with_versioning.as_ref().and_then(|value| value.get("enabled"));
        if enabled == Some(&Value::Bool(true)) {
            return refused("immutableStorageWithVersioning", "is not offered here, and would not hold");
        }
        let is_own_scope = |scope: &String| scope != "$account-encryption-key";
        if self.deny_encryption_scope_override == Some(true)
            || self.default_encryption_scope.is_some_and(|s| is_own_scope(&s))
        {
            return refused("defaultEncryptionScope", "there is one key, of the account");
        }
        let is_name = |name: &String| {
            name.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
                && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        let is_value = |value: &String| value.chars().all(|c| (' '..='~').contains(&c));
        let fits =
            |labels: &BTreeMap<String, String>| labels.iter().all(|(name, value)| is_name(name) && is_value(value));
        if self.metadata.as_ref().is_some_and(|labels| !fits(labels)) {
            let why = "names are letters, digits and `_`, values plain ASCII";
            return Err(Error::invalid("properties.metadata", why));
        }
        // Header names have no case, so that labels set here and there are the same.
        Ok(self
            .metadata
            .map(|labels| labels.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect()))
    }
}

/// Creates a container. One that is there stays, with other labels when some are said.
async fn put_container(guest: Guest) -> Result<Response, Fault> {
    let scope = guest.resource(0)?;
    let (caller, account) = arrived::<CreateContainer>(&guest, &scope, 4).await?;
    let shell = guest.shell();
    let labels = guest.json::<ContainerBody>().await?.properties.labels()?;
    let at = InAccount { account: Arc::clone(&account), name: name_of(&scope)? };
    let op = CreateContainer { at: at.clone(), metadata: labels.clone().unwrap_or_default() };
    let (status, container) = match enter(shell.house(), &caller, op).await {
        Ok(made) => (StatusCode::CREATED, made),
        Err(fault) if fault.kind() == Kind::Exists => (StatusCode::OK, changed(&shell, &caller, at, labels).await?),
        Err(fault) => return Err(fault.into()),
    };
    Ok((status, axum::Json(view_container(&shell, &account, &container))).into_response())
}

async fn changed(
    shell: &Guest,
    caller: &Caller,
    at: InAccount,
    labels: Option<BTreeMap<String, String>>,
) -> Result<Container> {
    let Some(labels) = labels else { return enter(shell.house(), caller, GetContainer { at, lease: None }).await };
    let change = ContainerChange::Metadata(labels);
    let op = ChangeContainer { at, change, conditions: Conditions::default(), lease: None };
    Ok(enter(shell.house(), caller, op).await?.0)
}

async fn patch_container(guest: Guest) -> Result<Response, Fault> {
    let scope = guest.resource(0)?;
    let (caller, account) = arrived::<ChangeContainer>(&guest, &scope, 4).await?;
    let shell = guest.shell();
    let labels = guest.json::<ContainerBody>().await?.properties.labels()?;
    let at = InAccount { account: Arc::clone(&account), name: name_of(&scope)? };
    let container = changed(&shell, &caller, at, labels).await?;
    Ok(axum::Json(view_container(&shell, &account, &container)).into_response())
}

async fn delete_container(guest: Guest) -> Result<Response, Fault> {
    let scope = guest.resource(0)?;
    let (caller, account) = arrived::<DeleteContainer>(&guest, &scope, 4).await?;
    let at = InAccount { account, name: name_of(&scope)? };
    let op = DeleteContainer { at, conditions: Conditions::default(), lease: None };
    match enter(guest.house(), &caller, op).await {
        Ok(()) => Ok(StatusCode::OK.into_response()),
        Err(fault) if fault.code() == Some("ContainerNotFound") => Ok(StatusCode::NO_CONTENT.into_response()),
        Err(fault) => Err(fault.into()),
    }
}

/// `POST …/revokeUserDelegationKeys`.
async fn revoke(guest: Guest) -> Result<Response, Fault> {
    let (caller, account) = arrived::<RevokeDelegationKeys>(&guest, &guest.resource(1)?, 1).await?;
    enter(guest.house(), &caller, RevokeDelegationKeys { account }).await?;
    Ok(StatusCode::OK.into_response())
}
