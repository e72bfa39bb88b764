//! Datastores.

use std::collections::BTreeMap;

use axum::response::{IntoResponse, Response};
use domain::{
    gate::{Row, enter},
    resources::{
        Datastore, DatastoreKind, DeleteDatastore, GetResource, ListDatastoreSecrets, ListResources, PutDatastore,
        Resource,
    },
};
use http::{Method, StatusCode};
use kernel::{Error, Kind, Secret};
use serde::Deserialize;
use serde_json::{Value, json};
use wire::arm;

use super::{Fault, WORKSPACE, list, named, precondition, show};
use crate::{Doors, Guest};

/// The doors of datastores.
pub(super) fn doors(doors: Doors) -> Doors {
    let all = format!("{WORKSPACE}/datastores");
    let one = format!("{all}/{{name}}");
    doors
        .open::<ListResources<Datastore>, _, _>(Method::GET, &all, list_datastores)
        .open::<GetResource<Datastore>, _, _>(Method::GET, &one, get_datastore)
        .open::<PutDatastore, _, _>(Method::PUT, &one, put_datastore)
        .open::<DeleteDatastore, _, _>(Method::DELETE, &one, delete_datastore)
        .open::<ListDatastoreSecrets, _, _>(Method::POST, &format!("{one}/listSecrets"), list_secrets)
}

fn view(row: &Row<Resource<Datastore>>) -> arm::Resource<Value> {
    let datastore = &row.value.properties;
    let (kind, place) = match datastore.kind {
        DatastoreKind::AzureBlob => ("AzureBlob", "containerName"),
        DatastoreKind::AzureFile => ("AzureFile", "fileShareName"),
    };
    let credentials = if datastore.has_key { "AccountKey" } else { "None" };
    let properties = json!({
        "datastoreType": kind,
        "accountName": datastore.account,
        place: datastore.container,
        "isDefault": datastore.is_default,
        "protocol": "https",
        "credentials": {"credentialsType": credentials},
        "serviceDataAccessAuthIdentity": "None",
    });
    show(row, properties)
}

async fn list_datastores(guest: Guest) -> Result<Response, Fault> {
    let op = ListResources::<Datastore>::new(guest.resource(1)?);
    let rows = enter(guest.house(), &guest.caller().await?, op).await?;
    let only_default = guest.query("isDefault").is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let wanted = rows.iter().filter(|row| row.value.properties.is_default || !only_default);
    Ok(list(wanted.map(view).collect()))
}

async fn get_datastore(guest: Guest) -> Result<Response, Fault> {
    let op = GetResource::<Datastore>::new(guest.resource(0)?);
    let row = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(named(StatusCode::OK, view(&row)))
}

/// What callers say of a datastore; what SDKs echo is not bound.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Input {
    datastore_type: String,
    account_name: String,
    #[serde(alias = "fileShareName")]
    container_name: String,
    #[serde(default)]
    is_default: bool,
    #[serde(default)]
    tags: Option<BTreeMap<String, String>>,
    #[serde(default)]
    credentials: Option<Credentials>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Credentials {
    credentials_type: String,
    #[serde(default)]
    secrets: Option<Secrets>,
}

#[derive(Deserialize)]
struct Secrets {
    #[serde(default)]
    key: Option<String>,
}

impl Credentials {
    fn key(self) -> Result<Option<Secret<String>>, Error> {
        match self.credentials_type.to_ascii_lowercase().as_str() {
            "none" => Ok(None),
            "accountkey" => {
                let key = self.secrets.and_then(|secrets| secrets.key).map(Secret::new);
                key.map(Some).ok_or_else(|| Error::invalid("properties.credentials.secrets.key", "is missing"))
            }
            _ => {
                let why = "`properties.credentials.credentialsType`: only `None` and `AccountKey` are supported";
                Err(Error::new(Kind::Unsupported, why))
            }
        }
    }
}

async fn put_datastore(guest: Guest) -> Result<Response, Fault> {
    let (house, id) = (guest.house().clone(), guest.resource(0)?);
    let (caller, precondition) = (guest.admitted::<PutDatastore>(&id).await?, precondition(&guest)?);
    let input = guest.json::<arm::Put<Input>>().await?.properties;
    let kind = match input.datastore_type.to_ascii_lowercase().as_str() {
        "azureblob" => DatastoreKind::AzureBlob,
        "azurefile" => DatastoreKind::AzureFile,
        _ => {
            let why = "`properties.datastoreType`: only `AzureBlob` and `AzureFile` are supported";
            return Err(Error::new(Kind::Unsupported, why).into());
        }
    };
    let (account, container, is_default) = (input.account_name, input.container_name, input.is_default);
    let op = PutDatastore {
        id,
        tags: input.tags.unwrap_or_default(),
        datastore: Datastore { kind, account, container, is_default, has_key: false },
        key: input.credentials.map(Credentials::key).transpose()?.flatten(),
        precondition,
    };
    let written = enter(&house, &caller, op).await?;
    let status = if written.is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(named(status, view(&written.row)))
}

async fn delete_datastore(guest: Guest) -> Result<Response, Fault> {
    let op = DeleteDatastore { id: guest.resource(0)? };
    enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(StatusCode::OK.into_response())
}

async fn list_secrets(guest: Guest) -> Result<Response, Fault> {
    let op = ListDatastoreSecrets { id: guest.resource(1)? };
    let token = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(axum::Json(json!({"secretsType": "Sas", "sasToken": token.expose()})).into_response())
}
