//! The directory in the form of Microsoft Graph v1.0: users, groups, applications, service principals.

mod applications;
mod credentials;
mod error;
mod federated;
mod filter;
mod groups;
mod members;
mod objects;
mod odata;
mod policies;
mod service_principals;
mod sessions;
mod sign_ins;
mod users;

use axum::response::{IntoResponse, Response};
use domain::{gate::enter, identity::RotateSigningKeys};
use http::{Method, StatusCode};
use kernel::ResourceId;

use crate::{Doors, Guest};
pub(super) use error::Fault;

/// The doors of this face.
pub fn doors(doors: Doors) -> Doors {
    doors
        .face(users::doors)
        .face(groups::doors)
        .face(members::doors)
        .face(objects::doors)
        .face(applications::doors)
        .face(service_principals::doors)
        .face(credentials::doors)
        .face(federated::doors)
        .face(policies::doors)
        .face(sessions::doors)
        .face(sign_ins::doors)
        .open::<RotateSigningKeys, _, _>(Method::POST, "/graph/v1.0/signingKeys/rotate", rotate_keys)
}

/// The scope of the whole directory.
fn root() -> ResourceId {
    ResourceId::root()
}

/// An answer that says no more than that it was done.
fn done() -> Response {
    StatusCode::NO_CONTENT.into_response()
}

async fn rotate_keys(guest: Guest) -> Result<Response, Fault> {
    let kid = enter(guest.house(), &guest.caller().await?, RotateSigningKeys).await?;
    Ok(axum::Json(serde_json::json!({"kid": kid})).into_response())
}
