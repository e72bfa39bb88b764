//! Where the services of a workspace are, as Azure's clients ask before anybody signs in. The answer is the same for every id, so
//! that it tells nobody which workspaces there are.

use axum::response::Response;
use domain::{gate::enter, resources::GetCloud};
use http::Method;
use kernel::Result;
use serde_json::{Map, Value, json};

use super::{Fault, reply};
use crate::{Doors, Guest};

/// The services that clients look up.
const SERVICES: [&str; 13] = [
    "api",
    "artifact",
    "content",
    "credential",
    "datasets",
    "execution",
    "experimentation",
    "history",
    "hyperdrive",
    "metrics",
    "modelmanagement",
    "pipelines",
    "studio",
];

/// The door.
pub(super) fn doors(doors: Doors) -> Doors {
    doors.open::<GetCloud, _, _>(Method::GET, "/discovery/workspaces/{workspace}", get)
}

async fn get(guest: Guest) -> Result<Response, Fault> {
    let cloud = enter(guest.house(), &guest.anyone(), GetCloud).await?;
    let services: Map<String, Value> = SERVICES.iter().map(|name| ((*name).to_owned(), json!(cloud.url))).collect();
    Ok(reply(services))
}
