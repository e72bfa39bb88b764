//! What lies in the managed resource groups of workspaces under a customer's key: read, and never changed by itself.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use domain::{
    gate::enter,
    resources::{DeleteManaged, GetManaged, Managed, ManagedPart},
};
use http::{Method, StatusCode};
use serde_json::{Value, json};

use super::{Fault, GROUP};
use crate::{Doors, Guest};

/// The doors. That of the storage account is beside those of all storage accounts.
pub(super) fn doors(doors: Doors) -> Doors {
    [ManagedPart::Metadata, ManagedPart::Search].into_iter().fold(doors, |doors, part| {
        let place = format!("{GROUP}/providers/{}/{{name}}", part.kind());
        doors.open::<GetManaged, _, _>(Method::GET, &place, get).open::<DeleteManaged, _, _>(
            Method::DELETE,
            &place,
            delete,
        )
    })
}

/// A part as a resource.
pub(super) fn view(managed: &Managed) -> Value {
    let workspace = &managed.workspace;
    let key = workspace.properties.encryption.as_ref().map(|key| key.identifier.as_str());
    let mut properties = json!({
        "provisioningState": "Succeeded",
        "keyId": format!("keyrings/{}", workspace.guid),
        "heldBy": key,
    });
    let more = match managed.part {
        ManagedPart::Metadata => Some(("throughput", json!(workspace.properties.throughput))),
        ManagedPart::Search => Some(("searches", json!("the metadata, where it lies"))),
        ManagedPart::Storage => None,
    };
    if let (Some(fields), Some((name, value))) = (properties.as_object_mut(), more) {
        fields.insert(name.to_owned(), value);
    }
    json!({
        "id": managed.id,
        "name": managed.id.name(),
        "type": managed.part.kind(),
        "location": workspace.location,
        "managedBy": workspace.id,
        "properties": properties,
    })
}

async fn get(guest: Guest) -> Result<Response, Fault> {
    let op = GetManaged { id: guest.resource(0)? };
    let found = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(Json(view(&found)).into_response())
}

async fn delete(guest: Guest) -> Result<Response, Fault> {
    let op = DeleteManaged { id: guest.resource(0)? };
    enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
