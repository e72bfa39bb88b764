//! What a vault has for all its certificates: contacts, and certificate authorities, of which none is connected.

use axum::response::{IntoResponse, Response};
use domain::vault::{
    CertificateContact, DeleteContacts, DeleteIssuer, GetContacts, GetIssuer, ListIssuers, PutContacts, PutIssuer,
};
use http::Method;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Fault, Visit};
use crate::{Doors, Guest};

pub(super) fn doors(doors: Doors) -> Doors {
    let contacts = "/vaults/{vault}/certificates/contacts";
    let issuer = "/vaults/{vault}/certificates/issuers/{issuer}";
    doors
        .open::<GetContacts, _, _>(Method::GET, contacts, get_contacts)
        .open::<PutContacts, _, _>(Method::PUT, contacts, put_contacts)
        .open::<DeleteContacts, _, _>(Method::DELETE, contacts, delete_contacts)
        .open::<ListIssuers, _, _>(Method::GET, "/vaults/{vault}/certificates/issuers", list_issuers)
        .open::<GetIssuer, _, _>(Method::GET, issuer, get_issuer)
        .open::<PutIssuer, _, _>(Method::PUT, issuer, put_issuer)
        .open::<PutIssuer, _, _>(Method::PATCH, issuer, put_issuer)
        .open::<DeleteIssuer, _, _>(Method::DELETE, issuer, delete_issuer)
}

fn view(visit: &Visit, list: &[CertificateContact]) -> Response {
    let id = format!("{}/certificates/contacts", visit.base);
    axum::Json(json!({"id": id, "contacts": list})).into_response()
}

async fn get_contacts(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<GetContacts>(guest).await?;
    let list = visit.enter(GetContacts { vault: visit.vault.clone() }).await?;
    Ok(view(&visit, &list))
}

/// What is read of a `PUT`.
#[derive(Deserialize)]
struct ContactsBody {
    contacts: Vec<ContactBody>,
}

#[derive(Deserialize)]
struct ContactBody {
    email: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    phone: Option<String>,
}

async fn put_contacts(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<PutContacts>(guest).await?;
    visit.knock::<PutContacts>(&visit.vault.id).await?;
    let (visit, body): (_, ContactsBody) = visit.body().await?;
    let list = body.contacts.into_iter();
    let list = list.map(|ContactBody { email, name, phone }| CertificateContact { email, name, phone }).collect();
    let list = visit.enter(PutContacts { vault: visit.vault.clone(), list }).await?;
    Ok(view(&visit, &list))
}

async fn delete_contacts(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<DeleteContacts>(guest).await?;
    let list = visit.enter(DeleteContacts { vault: visit.vault.clone() }).await?;
    Ok(view(&visit, &list))
}

async fn list_issuers(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<ListIssuers>(guest).await?;
    visit.enter(ListIssuers { vault: visit.vault.clone() }).await?;
    Ok(axum::Json(json!({"value": [], "nextLink": Value::Null})).into_response())
}

async fn get_issuer(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<GetIssuer>(guest).await?;
    visit.enter(GetIssuer { vault: visit.vault.clone() }).await?;
    Ok(axum::Json(Value::Null).into_response())
}

async fn put_issuer(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<PutIssuer>(guest).await?;
    visit.enter(PutIssuer { vault: visit.vault.clone() }).await?;
    Ok(axum::Json(Value::Null).into_response())
}

async fn delete_issuer(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<DeleteIssuer>(guest).await?;
    visit.enter(DeleteIssuer { vault: visit.vault.clone() }).await?;
    Ok(axum::Json(Value::Null).into_response())
}
