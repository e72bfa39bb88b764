//! Keys: `/keys`, `/deletedkeys` and `/rng`.

mod material;
mod rotation;
mod uses;

use axum::response::Response;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::vault::{GetObject, Key, KeyPatch, Kind as _, Shown, UpdateObject, VaultPublicKey};
use http::Method;
use kernel::{Error, Kind as Fault400};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use self::material::{KeyAttributes, operations};
use super::{
    Fault, Visit, attributes,
    objects::{self, Seen, bytes, shown},
    shape,
};
use crate::{Doors, Guest};

const NOT_FOUND: &str = Key::NOT_FOUND;

/// The doors of keys.
pub(super) fn doors(doors: Doors) -> Doors {
    let one = "/vaults/{vault}/keys/{name}";
    let newest = "/vaults/{vault}/keys/{name}/";
    let version = "/vaults/{vault}/keys/{name}/{version}";
    doors
        .face(objects::doors::<Key>)
        .face(material::doors)
        .face(rotation::doors)
        .face(uses::doors)
        .open::<GetObject<Key>, _, _>(Method::GET, one, get)
        .open::<GetObject<Key>, _, _>(Method::GET, newest, get)
        .open::<GetObject<Key>, _, _>(Method::GET, version, get)
        .open::<UpdateObject<Key>, _, _>(Method::PATCH, one, update)
        .open::<UpdateObject<Key>, _, _>(Method::PATCH, newest, update)
        .open::<UpdateObject<Key>, _, _>(Method::PATCH, version, update)
}

impl Seen for Key {
    const NO_POST: &'static str =
        "a key takes no POST by itself; it is made at `create` below its address, and brought by PUT";

    fn item(visit: &Visit, shown: &Shown<Self>, is_version_named: bool) -> Map<String, Value> {
        let mut out = Map::new();
        out.insert(String::from("kid"), json!(kid(visit, shown, is_version_named)));
        out.insert(String::from("attributes"), json!(key_attributes(shown)));
        if shown.is_managed {
            out.insert(String::from("managed"), json!(true));
        }
        shape::tags(&mut out, &shown.version.tags);
        out
    }

    /// With its public half (RFC 7517).
    fn view(visit: &Visit, shown: &Shown<Self>) -> Map<String, Value> {
        let content = &shown.version.content;
        let number = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let names: Vec<_> = content.operations.iter().map(|operation| operation.name()).collect();
        let mut key = json!({"kid": kid(visit, shown, true), "kty": content.kind.name(), "key_ops": names});
        let numbers = match &content.public {
            VaultPublicKey::Rsa { n, e } => json!({"n": number(n), "e": number(e)}),
            VaultPublicKey::Curve { crv, x, y } => json!({"crv": crv.name(), "x": number(x), "y": number(y)}),
            VaultPublicKey::Symmetric { .. } => json!({}),
        };
        if let (Some(key), Value::Object(numbers)) = (key.as_object_mut(), numbers) {
            key.extend(numbers);
        }
        let mut out = Self::item(visit, shown, true);
        out.remove("kid");
        out.insert(String::from("key"), key);
        out
    }
}

fn kid(visit: &Visit, shown: &Shown<Key>, is_version_named: bool) -> String {
    let id = format!("{}/keys/{}", visit.base, shown.name);
    if is_version_named { format!("{id}/{}", shown.version.id) } else { id }
}

/// What is said of all objects, and of keys: none can be exported, and all are kept in software, whatever their `kty` asked for.
fn key_attributes(shown: &Shown<Key>) -> Map<String, Value> {
    let mut out = attributes(&shown.version.attributes, shown.recovery);
    out.insert(String::from("exportable"), json!(false));
    out.insert(String::from("hsmPlatform"), json!("0"));
    out
}

async fn get(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<GetObject<Key>>(guest).await?;
    let (name, version) = (visit.name()?, visit.version(NOT_FOUND)?);
    let op = GetObject { vault: visit.vault.clone(), name, version, kind: Visit::kind::<Key>() };
    let found = visit.enter(op).await?;
    Ok(shown(&visit, &found))
}

/// What is read of a `PATCH`.
#[derive(Deserialize)]
struct UpdateBody {
    #[serde(default)]
    key_ops: Option<Vec<String>>,
    #[serde(default)]
    attributes: Option<KeyAttributes>,
    #[serde(default)]
    tags: Option<std::collections::BTreeMap<String, String>>,
    #[serde(default)]
    release_policy: Option<Value>,
}

async fn update(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<UpdateObject<Key>>(guest).await?;
    let (name, version) = (visit.name()?, visit.version(NOT_FOUND)?);
    visit.knock::<UpdateObject<Key>>(&visit.scope("keys", &name)?).await?;
    let (visit, body): (_, UpdateBody) = visit.body().await?;
    let op = UpdateObject {
        vault: visit.vault.clone(),
        name,
        version,
        attributes: body.attributes.unwrap_or_default().checked(body.release_policy.as_ref())?,
        tags: body.tags,
        patch: KeyPatch { operations: operations(body.key_ops)? },
        kind: Visit::kind::<Key>(),
    };
    let found = visit.enter(op).await?;
    Ok(shown(&visit, &found))
}

/// What is understood and not offered.
fn not_supported(why: impl Into<String>) -> Error {
    Error::new(Fault400::Unsupported, why)
}
