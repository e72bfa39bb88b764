//! Secrets and certificates, of applications and of their service principals alike.

use axum::response::{IntoResponse, Response};
use domain::{
    gate::enter,
    identity::{
        AddCertificate, AddClientSecret, ApplicationKey, CertificateEntry, CertificateView, NewSecret,
        RemoveCertificate, RemoveClientSecret, SecretView,
    },
};
use http::Method;
use kernel::{Error, Timestamp};
use uuid::Uuid;
use wire::graph;

use super::{Fault, applications, done, root};
use crate::{Doors, Guest};

/// The doors of credentials.
pub(super) fn doors(mut doors: Doors) -> Doors {
    for one in ["/graph/v1.0/servicePrincipals/{principal}", "/graph/v1.0/applications/{app}"] {
        doors = doors
            .open::<AddClientSecret, _, _>(Method::POST, &format!("{one}/addPassword"), add_password)
            .open::<RemoveClientSecret, _, _>(Method::POST, &format!("{one}/removePassword"), remove_password)
            .open::<AddCertificate, _, _>(Method::POST, &format!("{one}/addKey"), add_key)
            .open::<RemoveCertificate, _, _>(Method::POST, &format!("{one}/removeKey"), remove_key);
    }
    doors
}

pub(super) fn view_secret(secret: &SecretView) -> graph::PasswordCredential {
    graph::PasswordCredential {
        key_id: secret.id.to_string(),
        display_name: (!secret.name.is_empty()).then(|| secret.name.clone()),
        hint: secret.hint.clone(),
        start_date_time: Some(secret.created_at.rfc3339()),
        end_date_time: secret.expires_at.rfc3339(),
        secret_text: None,
    }
}

/// A secret that was just made: the only time that its text is known.
pub(super) fn view_new(made: &NewSecret) -> graph::PasswordCredential {
    graph::PasswordCredential { secret_text: Some(made.secret.expose().clone()), ..view_secret(&made.kept) }
}

pub(super) fn view_certificate(certificate: &CertificateView) -> graph::KeyCredential {
    graph::KeyCredential {
        key_id: certificate.id.to_string(),
        display_name: (!certificate.name.is_empty()).then(|| certificate.name.clone()),
        kind: String::from("AsymmetricX509Cert"),
        usage: String::from("Verify"),
        custom_key_identifier: certificate.thumbprint.iter().map(|byte| format!("{byte:02X}")).collect(),
        start_date_time: certificate.created_at.rfc3339(),
        end_date_time: certificate.expires_at.rfc3339(),
    }
}

/// The application that the address names.
fn of(guest: &Guest) -> Result<ApplicationKey, Error> {
    let principal = guest.param("principal").map(ApplicationKey::Principal);
    principal.or_else(|_| guest.param("app").map(ApplicationKey::Client))
}

fn time(field: &str, text: Option<String>) -> Result<Option<Timestamp>, Error> {
    let read = |text: String| {
        Timestamp::parse_rfc3339(&text)
            .ok_or_else(|| Error::invalid(field, "must be a time like `2027-01-31T12:00:00Z`"))
    };
    text.map(read).transpose()
}

fn key_id(body: &graph::RemoveKey) -> Result<Uuid, Error> {
    body.key_id.parse().map_err(|_| Error::invalid("keyId", "must be a GUID"))
}

async fn add_password(guest: Guest) -> Result<Response, Fault> {
    let caller = guest.admitted::<AddClientSecret>(&root()).await?;
    let (house, of) = (guest.house().clone(), of(&guest)?);
    let body: graph::AddPassword = guest.json().await?;
    let form = body.password_credential.unwrap_or_default();
    let starts_at = time("passwordCredential.startDateTime", form.start_date_time)?;
    if starts_at.is_some_and(|start| start > house.now()) {
        let why = "must not be in the future: a secret is good at once";
        return Err(Error::invalid("passwordCredential.startDateTime", why).into());
    }
    let expires_at = time("passwordCredential.endDateTime", form.end_date_time)?;
    let op = AddClientSecret { of, name: form.display_name.unwrap_or_default(), expires_at };
    let made = enter(&house, &caller, op).await?;
    Ok(axum::Json(view_new(&made)).into_response())
}

async fn remove_password(guest: Guest) -> Result<Response, Fault> {
    let caller = guest.admitted::<RemoveClientSecret>(&root()).await?;
    let (house, of) = (guest.house().clone(), of(&guest)?);
    let body: graph::RemoveKey = guest.json().await?;
    enter(&house, &caller, RemoveClientSecret { of, key: key_id(&body)? }).await?;
    Ok(done())
}

async fn add_key(guest: Guest) -> Result<Response, Fault> {
    let caller = guest.admitted::<AddCertificate>(&root()).await?;
    let (house, of) = (guest.house().clone(), of(&guest)?);
    let body: graph::AddKey = guest.json().await?;
    let CertificateEntry::New { name, document } = applications::entry(body.key_credential)? else {
        return Err(Error::invalid("keyCredential.key", "is needed: base64 of the certificate").into());
    };
    let made = enter(&house, &caller, AddCertificate { of, name, document }).await?;
    Ok(axum::Json(view_certificate(&made)).into_response())
}

async fn remove_key(guest: Guest) -> Result<Response, Fault> {
    let caller = guest.admitted::<RemoveCertificate>(&root()).await?;
    let (house, of) = (guest.house().clone(), of(&guest)?);
    let body: graph::RemoveKey = guest.json().await?;
    enter(&house, &caller, RemoveCertificate { of, key: key_id(&body)? }).await?;
    Ok(done())
}
