//! Secrets: `/secrets` and `/deletedsecrets`.

use std::collections::BTreeMap;

use axum::response::{IntoResponse, Response};
use domain::vault::{GetObject, Kind as _, Secret, SecretPatch, SetSecret, Shown, UpdateObject};
use http::Method;
use kernel::Secret as Hidden;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{
    AttributesBody, Fault, Visit, attributes,
    objects::{self, Seen, shown},
    tags,
};
use crate::{Doors, Guest};

const NOT_FOUND: &str = Secret::NOT_FOUND;

/// The doors of secrets.
pub(super) fn doors(doors: Doors) -> Doors {
    let one = "/vaults/{vault}/secrets/{name}";
    let newest = "/vaults/{vault}/secrets/{name}/";
    let version = "/vaults/{vault}/secrets/{name}/{version}";
    doors
        .face(objects::doors::<Secret>)
        .open::<SetSecret, _, _>(Method::PUT, one, set)
        .open::<GetObject<Secret>, _, _>(Method::GET, one, get)
        .open::<GetObject<Secret>, _, _>(Method::GET, newest, get)
        .open::<GetObject<Secret>, _, _>(Method::GET, version, get)
        .open::<UpdateObject<Secret>, _, _>(Method::PATCH, one, update)
        .open::<UpdateObject<Secret>, _, _>(Method::PATCH, newest, update)
        .open::<UpdateObject<Secret>, _, _>(Method::PATCH, version, update)
}

impl Seen for Secret {
    const NO_POST: &'static str = "a secret takes no POST; its value is set by PUT";

    fn item(visit: &Visit, shown: &Shown<Self>, is_version_named: bool) -> Map<String, Value> {
        let mut id = format!("{}/secrets/{}", visit.base, shown.name);
        if is_version_named {
            id = format!("{id}/{}", shown.version.id);
        }
        let mut out = Map::new();
        out.insert(String::from("id"), json!(id));
        out.insert(String::from("attributes"), json!(attributes(&shown.version.attributes, shown.recovery)));
        if let Some(kind) = &shown.version.content.content_type {
            out.insert(String::from("contentType"), json!(kind));
        }
        if shown.is_managed {
            out.insert(String::from("managed"), json!(true));
            out.insert(String::from("kid"), json!(format!("{}/keys/{}/{}", visit.base, shown.name, shown.version.id)));
        }
        tags(&mut out, &shown.version.tags);
        out
    }

    fn view(visit: &Visit, shown: &Shown<Self>) -> Map<String, Value> {
        Self::item(visit, shown, true)
    }
}

fn with_value(visit: &Visit, shown: &Shown<Secret>) -> Response {
    let mut out = Secret::view(visit, shown);
    out.insert(String::from("value"), json!(shown.version.content.value()));
    axum::Json(out).into_response()
}

/// What is read of a `PUT`. The value goes into the hands of what wipes it.
#[derive(Deserialize)]
struct SetBody {
    value: String,
    #[serde(default, rename = "contentType")]
    content_type: Option<String>,
    #[serde(default)]
    attributes: Option<AttributesBody>,
    #[serde(default)]
    tags: Option<BTreeMap<String, String>>,
}

async fn set(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<SetSecret>(guest).await?;
    let name = visit.name()?;
    visit.knock::<SetSecret>(&visit.scope("secrets", &name)?).await?;
    let (visit, body): (_, SetBody) = visit.body().await?;
    let op = SetSecret {
        vault: visit.vault.clone(),
        name,
        value: Hidden::new(body.value),
        content_type: body.content_type,
        attributes: body.attributes.unwrap_or_default().into(),
        tags: body.tags.unwrap_or_default(),
    };
    let shown = visit.enter(op).await?;
    Ok(with_value(&visit, &shown))
}

async fn get(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<GetObject<Secret>>(guest).await?;
    let (name, version) = (visit.name()?, visit.version(NOT_FOUND)?);
    let op = GetObject { vault: visit.vault.clone(), name, version, kind: Visit::kind::<Secret>() };
    let shown = visit.enter(op).await?;
    Ok(with_value(&visit, &shown))
}

/// What is read of a `PATCH`.
#[derive(Deserialize)]
struct UpdateBody {
    #[serde(default, rename = "contentType")]
    content_type: Option<String>,
    #[serde(default)]
    attributes: Option<AttributesBody>,
    #[serde(default)]
    tags: Option<BTreeMap<String, String>>,
}

async fn update(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<UpdateObject<Secret>>(guest).await?;
    let (name, version) = (visit.name()?, visit.version(NOT_FOUND)?);
    visit.knock::<UpdateObject<Secret>>(&visit.scope("secrets", &name)?).await?;
    let (visit, body): (_, UpdateBody) = visit.body().await?;
    let op = UpdateObject {
        vault: visit.vault.clone(),
        name,
        version,
        attributes: body.attributes.unwrap_or_default().into(),
        tags: body.tags,
        patch: SecretPatch { content_type: body.content_type },
        kind: Visit::kind::<Secret>(),
    };
    let changed = visit.enter(op).await?;
    Ok(shown(&visit, &changed))
}
