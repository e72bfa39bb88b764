//! Certificates: `/certificates` and `/deletedcertificates`.

mod making;
mod of_vault;
mod pending;
mod policy;

use std::collections::BTreeMap;

use axum::response::{IntoResponse, Response};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::vault::{Certificate, CertificatePatch, GetObject, Kind as _, Shown, UpdateObject};
use http::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use self::policy::PolicyBody;
use super::{
    AttributesBody, Fault, Visit, attributes,
    objects::{self, Seen, shown},
    tags,
};
use crate::{Doors, Guest};

const NOT_FOUND: &str = Certificate::NOT_FOUND;

/// The doors of certificates.
pub(super) fn doors(doors: Doors) -> Doors {
    let one = "/vaults/{vault}/certificates/{name}";
    let newest = "/vaults/{vault}/certificates/{name}/";
    let version = "/vaults/{vault}/certificates/{name}/{version}";
    doors
        .face(objects::doors::<Certificate>)
        .face(making::doors)
        .face(of_vault::doors)
        .face(pending::doors)
        .face(policy::doors)
        .open::<GetObject<Certificate>, _, _>(Method::GET, one, get)
        .open::<GetObject<Certificate>, _, _>(Method::GET, newest, get)
        .open::<GetObject<Certificate>, _, _>(Method::GET, version, get)
        .open::<UpdateObject<Certificate>, _, _>(Method::PATCH, one, update)
        .open::<UpdateObject<Certificate>, _, _>(Method::PATCH, newest, update)
        .open::<UpdateObject<Certificate>, _, _>(Method::PATCH, version, update)
}

impl Seen for Certificate {
    const NO_POST: &'static str =
        "a certificate takes no POST by itself; it is made at `create` below its address, and brought at `import`";

    fn item(visit: &Visit, shown: &Shown<Self>, is_version_named: bool) -> Map<String, Value> {
        let mut id = format!("{}/certificates/{}", visit.base, shown.name);
        if is_version_named {
            id = format!("{id}/{}", shown.version.id);
        }
        let mut out = Map::new();
        out.insert(String::from("id"), json!(id));
        // What is stored was read once, and so has one.
        let thumbprint = shown.version.content.thumbprint().unwrap_or_default();
        out.insert(String::from("x5t"), json!(URL_SAFE_NO_PAD.encode(thumbprint)));
        out.insert(String::from("attributes"), json!(attributes(&shown.version.attributes, shown.recovery)));
        tags(&mut out, &shown.version.tags);
        out
    }

    fn view(visit: &Visit, shown: &Shown<Self>) -> Map<String, Value> {
        let mut out = Self::item(visit, shown, true);
        let (base, name, version) = (&visit.base, &shown.name, shown.version.id);
        let mut say = |name: &str, value: Value| out.insert(name.to_owned(), value);
        say("kid", json!(format!("{base}/keys/{name}/{version}")));
        say("sid", json!(format!("{base}/secrets/{name}/{version}")));
        say("cer", json!(shown.version.content.own()));
        if let Some(policy) = &shown.whole.policy {
            say("contentType", json!(policy.format.name()));
            say("policy", policy::view(visit, name, policy));
        }
        say("pending", json!({"id": format!("{base}/certificates/{name}/pending")}));
        out
    }
}

async fn get(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<GetObject<Certificate>>(guest).await?;
    let (name, version) = (visit.name()?, visit.version(NOT_FOUND)?);
    let op = GetObject { vault: visit.vault.clone(), name, version, kind: Visit::kind::<Certificate>() };
    let found = visit.enter(op).await?;
    if version.is_none() {
        return Ok(shown(&visit, &found));
    }
    // The policy is the certificate's, not a version's; as in Azure.
    let mut out = Certificate::view(&visit, &found);
    out.retain(|name, _| name != "policy" && name != "pending");
    Ok(axum::Json(out).into_response())
}

/// `attributes` of a certificate as clients send them: its times are what it says itself.
#[derive(Clone, Copy, Default, Deserialize)]
struct EnabledBody {
    #[serde(default)]
    enabled: Option<bool>,
}

/// What is read of a `PATCH`.
#[derive(Deserialize)]
struct UpdateBody {
    #[serde(default)]
    policy: Option<PolicyBody>,
    #[serde(default)]
    attributes: Option<EnabledBody>,
    #[serde(default)]
    tags: Option<BTreeMap<String, String>>,
}

async fn update(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<UpdateObject<Certificate>>(guest).await?;
    let (name, version) = (visit.name()?, visit.version(NOT_FOUND)?);
    visit.knock::<UpdateObject<Certificate>>(&visit.scope("certificates", &name)?).await?;
    let (visit, body): (_, UpdateBody) = visit.body().await?;
    let op = UpdateObject {
        vault: visit.vault.clone(),
        name,
        version,
        attributes: AttributesBody::enabled(body.attributes.unwrap_or_default().enabled).into(),
        tags: body.tags,
        patch: CertificatePatch { policy: body.policy.map(PolicyBody::form).transpose()? },
        kind: Visit::kind::<Certificate>(),
    };
    let changed = visit.enter(op).await?;
    Ok(shown(&visit, &changed))
}
