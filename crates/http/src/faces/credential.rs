//! Secrets of a workspace by name, as the `Keyvault` class of `azureml-core` (1.60) asks for them:
//! `/credential/v2.0/subscriptions/…/workspaces/{workspace}/secrets…`.
//!
//! | call | body | answer |
//! | --- | --- | --- |
//! | `PUT …/secrets` | one: `{"name", "value", "contentType"}` | the same without the value |
//! | `GET …/secrets` | | `{"value": [{"name"}], "continuationToken"}` |
//! | `GET …/secrets/{name}` | | one, with its value |
//! | `DELETE …/secrets/{name}` | | |
//! | `PUT …/secrets:putbatch` | `{"secrets": [one, …]}` | the same without values |
//! | `POST …/secrets:getbatch` | `{"secrets": [{"name"}]}` | `{"secrets": [one, …], "notFoundSecrets": [name, …]}` |
//! | `POST …/secrets:deletebatch` | `{"secrets": [{"name"}]}` | |

use axum::response::{IntoResponse, Response};
use domain::{
    gate::{Op, enter},
    secrets::{DeleteSecrets, GetSecrets, ListSecrets, NamedSecret, NewSecret, SetSecrets},
};
use http::{HeaderValue, Method, StatusCode, header};
use kernel::{Error, Kind, Secret, Timestamp};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::arm::{Fault, WORKSPACE};
use crate::{Doors, Guest, guest::parse_json};

/// Bytes of a body: what may be set at once, in JSON's longest escapes.
const BODY: usize = 2 << 20;
/// What the client says of a value whose kind nobody told.
const NOT_PROVIDED: &str = "application/NotProvided";

/// The doors of this face.
pub fn doors(doors: Doors) -> Doors {
    let all = format!("/credential/v2.0{WORKSPACE}/secrets");
    let one = format!("{all}/{{name}}");
    doors
        .open::<SetSecrets, _, _>(Method::PUT, &all, set)
        .open::<ListSecrets, _, _>(Method::GET, &all, list)
        .open::<GetSecrets, _, _>(Method::GET, &one, get)
        .open::<DeleteSecrets, _, _>(Method::DELETE, &one, delete)
        .open::<SetSecrets, _, _>(Method::PUT, &format!("{all}:putbatch"), set_many)
        .open::<GetSecrets, _, _>(Method::POST, &format!("{all}:getbatch"), get_many)
        .open::<DeleteSecrets, _, _>(Method::POST, &format!("{all}:deletebatch"), delete_many)
}

/// One secret as clients send it; what only the server says is not looked at. Values go into the hands of what wipes them.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct One {
    name: String,
    #[serde(default)]
    value: Option<String>,
    #[serde(default)]
    content_type: Option<String>,
}

/// Many.
#[derive(Deserialize)]
struct Many {
    #[serde(default)]
    secrets: Vec<One>,
}

impl One {
    fn new_secret(self) -> Result<NewSecret, Error> {
        let value = self.value.ok_or_else(|| Error::invalid("value", "is required"))?;
        let content_type = self.content_type.filter(|kind| kind != NOT_PROVIDED);
        Ok(NewSecret { name: self.name, value: Secret::new(value), content_type })
    }
}

fn shown(secret: &NamedSecret) -> Map<String, Value> {
    let time = |seconds: i64| Timestamp(seconds.saturating_mul(1000)).rfc3339();
    let mut out = Map::new();
    out.insert(String::from("name"), json!(secret.name));
    out.insert(String::from("value"), json!(secret.value.expose()));
    out.insert(String::from("contentType"), json!(secret.content_type.as_deref().unwrap_or(NOT_PROVIDED)));
    out.insert(String::from("createdTime"), json!(time(secret.created)));
    out.insert(String::from("modifiedTime"), json!(time(secret.updated)));
    out
}

fn reply(view: &Value) -> Response {
    let mut response = axum::Json(view).into_response();
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// Who asks, before the body is read; the body; and the workspace.
async fn body_of<O: Op>(guest: Guest) -> Result<(Guest, kernel::Caller, kernel::ResourceId, bytes::Bytes), Fault> {
    let workspace = guest.workspace()?;
    let caller = guest.admitted::<O>(&workspace).await?;
    let shell = guest.shell();
    check_kind(&shell)?;
    Ok((shell, caller, workspace, guest.bytes_to(BODY).await?))
}

/// The services' own secrets are nobody's to ask for here.
fn check_kind(guest: &Guest) -> Result<(), Fault> {
    if guest.query("systemSecret").is_some_and(|word| word.eq_ignore_ascii_case("true")) {
        let why = "`systemSecret`: the server's own secrets are not in the workspace's vault; leave it out";
        return Err(Error::new(Kind::Unsupported, why).into());
    }
    Ok(())
}

async fn set(guest: Guest) -> Result<Response, Fault> {
    let (guest, caller, workspace, body) = body_of::<SetSecrets>(guest).await?;
    let secret = parse_json::<One>(&body)?.new_secret()?;
    let name = secret.name.clone();
    enter(guest.house(), &caller, SetSecrets { workspace, secrets: vec![secret] }).await?;
    Ok(reply(&json!({"name": name})))
}

async fn set_many(guest: Guest) -> Result<Response, Fault> {
    let (guest, caller, workspace, body) = body_of::<SetSecrets>(guest).await?;
    let secrets = parse_json::<Many>(&body)?.secrets.into_iter().map(One::new_secret);
    let secrets = secrets.collect::<Result<Vec<_>, Error>>()?;
    let names = enter(guest.house(), &caller, SetSecrets { workspace, secrets }).await?;
    let secrets: Vec<Value> = names.iter().map(|name| json!({"name": name})).collect();
    Ok(reply(&json!({"secrets": secrets, "notFoundSecrets": []})))
}

async fn get(guest: Guest) -> Result<Response, Fault> {
    check_kind(&guest)?;
    let name: String = guest.param("name")?;
    let op = GetSecrets { workspace: guest.workspace()?, names: vec![name.clone()] };
    let answer = enter(guest.house(), &guest.caller().await?, op).await?;
    let missing = || Error::not_found(format_args!("the secret `{name}` in the workspace's key vault"));
    let found = answer.found.first().ok_or_else(missing)?;
    Ok(reply(&Value::Object(shown(found))))
}

async fn get_many(guest: Guest) -> Result<Response, Fault> {
    let (guest, caller, workspace, body) = body_of::<GetSecrets>(guest).await?;
    let names = parse_json::<Many>(&body)?.secrets.into_iter().map(|secret| secret.name).collect();
    let answer = enter(guest.house(), &caller, GetSecrets { workspace, names }).await?;
    let secrets: Vec<Value> = answer.found.iter().map(|secret| Value::Object(shown(secret))).collect();
    Ok(reply(&json!({"secrets": secrets, "notFoundSecrets": answer.missing})))
}

async fn list(guest: Guest) -> Result<Response, Fault> {
    check_kind(&guest)?;
    let op = ListSecrets { workspace: guest.workspace()?, after: guest.query("continuationToken") };
    let page = enter(guest.house(), &guest.caller().await?, op).await?;
    let names: Vec<Value> = page.entries.iter().map(|name| json!({"name": name})).collect();
    Ok(reply(&json!({"value": names, "continuationToken": page.next})))
}

async fn delete(guest: Guest) -> Result<Response, Fault> {
    check_kind(&guest)?;
    let op = DeleteSecrets { workspace: guest.workspace()?, names: vec![guest.param("name")?] };
    enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(StatusCode::OK.into_response())
}

async fn delete_many(guest: Guest) -> Result<Response, Fault> {
    let (guest, caller, workspace, body) = body_of::<DeleteSecrets>(guest).await?;
    let names = parse_json::<Many>(&body)?.secrets.into_iter().map(|secret| secret.name).collect();
    enter(guest.house(), &caller, DeleteSecrets { workspace, names }).await?;
    Ok(StatusCode::OK.into_response())
}
