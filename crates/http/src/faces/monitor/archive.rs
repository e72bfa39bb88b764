//! What diagnostic settings put into a storage account's archive.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use domain::{
    delivery::{ListArchive, ReadArchive},
    gate::enter,
};
use http::{HeaderName, HeaderValue, Method, header};
use kernel::Error;
use serde_json::{Value, json};

use crate::{
    Doors, Guest,
    faces::arm::{Fault, GROUP},
};

/// Names the block after which the next part of a blob begins.
const CONTINUATION: HeaderName = HeaderName::from_static("x-ms-continuation");

pub(super) fn doors(doors: Doors) -> Doors {
    let all = format!("{GROUP}/providers/Microsoft.Storage/storageAccounts/{{account}}/archives");
    doors.open::<ListArchive, _, _>(Method::GET, &all, list_archive).open::<ReadArchive, _, _>(
        Method::GET,
        &format!("{all}/content"),
        read_archive,
    )
}

async fn list_archive(guest: Guest) -> Result<Response, Fault> {
    let after = guest.query("after").map(|text| decode(&text)).transpose()?;
    let op = ListArchive { account: guest.resource(1)?, after };
    let page = enter(guest.house(), &guest.caller().await?, op).await?;
    let view = |blob: &domain::delivery::ArchiveBlob| {
        json!({
            "container": blob.container,
            "name": blob.name,
            "contentLength": blob.length,
            "events": blob.events,
            "lastModified": blob.modified_at.rfc3339(),
        })
    };
    let value: Vec<Value> = page.blobs.iter().map(view).collect();
    let next_link = page.after.map(|after| guest.link_with("after", &encode(&after)));
    Ok(axum::Json(wire::arm::List { value, next_link }).into_response())
}

async fn read_archive(guest: Guest) -> Result<Response, Fault> {
    let needed = |name: &str| guest.query(name).ok_or_else(|| Error::invalid(name, "is needed"));
    let after =
        guest.query("after").map(|text| text.parse()).transpose().map_err(|why| Error::invalid("after", why))?;
    let account = guest.resource(2)?;
    let caller = guest.admitted::<ReadArchive>(&account).await?;
    let op = ReadArchive {
        account,
        container: needed("container")?,
        name: needed("blob")?,
        after: after.unwrap_or_default(),
    };
    let part = enter(guest.house(), &caller, op).await?;
    let mut answer = Body::from_stream(part.content).into_response();
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/x-ndjson"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(part.length));
    if let Some(after) = part.after {
        headers.insert(CONTINUATION, HeaderValue::from(after));
    }
    Ok(answer)
}

fn encode(id: &[u8]) -> String {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    URL_SAFE_NO_PAD.encode(id)
}

fn decode(text: &str) -> Result<Vec<u8>, Error> {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    URL_SAFE_NO_PAD.decode(text).map_err(|_| Error::invalid("after", "is no mark of a page"))
}
