//! Making certificates, bringing them, and merging what somebody signed.

use std::collections::BTreeMap;

use axum::response::{IntoResponse, Response};
use base64::{Engine, engine::general_purpose::STANDARD};
use domain::vault::{Certificate, CreateCertificate, ImportCertificate, MergeCertificate, PendingStatus};
use http::{Method, StatusCode};
use kernel::{Error, Result, Secret as Hidden};
use serde::Deserialize;

use super::{EnabledBody, Fault, PolicyBody, Seen as _, Visit, pending, shown};
use crate::{Doors, Guest};

/// Certificates of what is merged.
const MOST: usize = 20;

pub(super) fn doors(doors: Doors) -> Doors {
    let below = |verb: &str| format!("/vaults/{{vault}}/certificates/{{name}}/{verb}");
    doors
        .open::<CreateCertificate, _, _>(Method::POST, &below("create"), create)
        .open::<ImportCertificate, _, _>(Method::POST, &below("import"), import)
        .open::<MergeCertificate, _, _>(Method::POST, &below("pending/merge"), merge)
}

/// What is read of a `POST` to `create`.
#[derive(Deserialize)]
struct CreateBody {
    #[serde(default)]
    policy: Option<PolicyBody>,
    #[serde(default)]
    attributes: Option<EnabledBody>,
    #[serde(default)]
    tags: Option<BTreeMap<String, String>>,
}

async fn create(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<CreateCertificate>(guest).await?;
    let name = visit.name()?;
    visit.knock::<CreateCertificate>(&visit.scope("certificates", &name)?).await?;
    let (visit, body): (_, CreateBody) = visit.body().await?;
    let op = CreateCertificate {
        vault: visit.vault.clone(),
        name,
        policy: body.policy.unwrap_or_default().form()?,
        enabled: body.attributes.unwrap_or_default().enabled,
        tags: body.tags.unwrap_or_default(),
    };
    let mut request = visit.enter(op).await?;
    // Azure's clients fetch the certificate only after they saw the request under way.
    request.status = PendingStatus::InProgress;
    Ok((StatusCode::ACCEPTED, axum::Json(pending::view(&visit, &request))).into_response())
}

/// What is read of a `POST` to `import`. Value and password go into the hands of what wipes them.
#[derive(Deserialize)]
struct ImportBody {
    value: String,
    #[serde(default)]
    pwd: Option<String>,
    #[serde(default)]
    policy: Option<PolicyBody>,
    #[serde(default)]
    attributes: Option<EnabledBody>,
    #[serde(default)]
    tags: Option<BTreeMap<String, String>>,
}

async fn import(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<ImportCertificate>(guest).await?;
    let name = visit.name()?;
    visit.knock::<ImportCertificate>(&visit.scope("certificates", &name)?).await?;
    let (visit, body): (_, ImportBody) = visit.body().await?;
    let op = ImportCertificate {
        vault: visit.vault.clone(),
        name,
        content: Hidden::new(body.value),
        password: body.pwd.map(Hidden::new),
        policy: body.policy.unwrap_or_default().form()?,
        enabled: body.attributes.unwrap_or_default().enabled,
        tags: body.tags.unwrap_or_default(),
    };
    let made = visit.enter(op).await?;
    Ok(shown(&visit, &made))
}

/// What is read of a `POST` to `pending/merge`.
#[derive(Deserialize)]
struct MergeBody {
    x5c: Vec<String>,
    #[serde(default)]
    attributes: Option<EnabledBody>,
    #[serde(default)]
    tags: Option<BTreeMap<String, String>>,
}

async fn merge(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<MergeCertificate>(guest).await?;
    let name = visit.name()?;
    visit.knock::<MergeCertificate>(&visit.scope("certificates", &name)?).await?;
    let (visit, body): (_, MergeBody) = visit.body().await?;
    let unread = || Error::invalid("x5c", format_args!("must be 1 to {MOST} certificates, each DER in base64"));
    if !(1..=MOST).contains(&body.x5c.len()) {
        return Err(unread().into());
    }
    let chain = body.x5c.iter().map(|text| STANDARD.decode(text).map_err(|_| unread()));
    let op = MergeCertificate {
        vault: visit.vault.clone(),
        name,
        chain: chain.collect::<Result<_>>()?,
        enabled: body.attributes.unwrap_or_default().enabled,
        tags: body.tags,
    };
    let made = visit.enter(op).await?;
    Ok((StatusCode::CREATED, axum::Json(Certificate::view(&visit, &made))).into_response())
}
