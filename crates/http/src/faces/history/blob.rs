//! One file of a run as a blob: as much of the blob service as Azure's clients use to send a file and to fetch it.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use domain::{
    gate::{Op, enter, knock},
    tracking::{
        ArtifactPlace, PutArtifact,
        azure::{AddressProof, GetFilePart, arrive_with_address},
    },
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use kernel::{Caller, Error, ResourceId, Result, Who};

use super::{
    Fault,
    address::{self, ACCOUNT, Named},
    unsupported,
};
use crate::{Doors, Guest};

/// The version of the blob service's interface that is spoken.
const VERSION: &str = "2022-11-02";

/// The doors of single files.
pub(super) fn doors(doors: Doors) -> Doors {
    let one = format!("/{ACCOUNT}/{{workspace}}/{{run}}/{{file}}");
    doors.open::<GetFilePart, _, _>(Method::GET, &one, get).open::<PutArtifact, _, _>(Method::PUT, &one, put)
}

/// Who asks, and for which file: whoever has a token, or whoever shows an address that was signed. Nobody learns from the answer
/// whether an address is one at all.
async fn arrive<O: Op>(guest: &Guest, writes: bool) -> Result<(Caller, Option<AddressProof>, Named)> {
    if guest.bearer().is_some() || guest.query("sig").is_none() {
        let caller = guest.caller().await?;
        let place = match caller.who {
            Who::Nobody => ResourceId::root(),
            _ => address::read(guest)?.workspace,
        };
        knock::<O>(guest.house(), &caller, &place).await?;
        return Ok((caller, None, address::read(guest)?));
    }
    let named = address::read(guest)?;
    let file = (&named.run, &named.path);
    let field = |name: &str| guest.query(name).unwrap_or_default();
    let (caller, proof) =
        arrive_with_address(guest.house(), guest.source(), &named.workspace, file, writes, field).await?;
    knock::<O>(guest.house(), &caller, &named.workspace).await?;
    Ok((caller, Some(proof), named))
}

/// `bytes=0-99` or `bytes=100-`. Any other form asks for all, as at Azure.
fn range(guest: &Guest) -> Option<(u64, Option<u64>)> {
    let text = guest.header("x-ms-range").or_else(|| guest.header("range"))?;
    let (from, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let last = if last.is_empty() { None } else { Some(last.parse().ok()?) };
    Some((from.parse().ok()?, last))
}

async fn get(guest: Guest) -> Result<Response, Fault> {
    let (caller, _, named) = arrive::<GetFilePart>(&guest, false).await?;
    let (range, is_head) = (range(&guest), *guest.method() == Method::HEAD);
    let op = GetFilePart {
        workspace: named.workspace,
        run: named.run,
        path: named.path,
        range: range.filter(|_| !is_head),
        wants_body: !is_head,
    };
    let file = match enter(guest.house(), &caller, op).await {
        // Azure's word for it, which makes the client ask for an empty file without a range.
        Err(fault) if fault.code() == Some("InvalidRange") => {
            let mut response = Fault::from(fault).into_response();
            *response.status_mut() = StatusCode::RANGE_NOT_SATISFIABLE;
            return Ok(response);
        }
        other => other?,
    };
    let mut headers = common(&file.etag);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment"));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(file.length));
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(HeaderName::from_static("x-ms-blob-type"), HeaderValue::from_static("BlockBlob"));
    let status = match range {
        Some(_) if !is_head => {
            let last = file.from.saturating_add(file.length).saturating_sub(1);
            let text = format!("bytes {}-{last}/{}", file.from, file.whole);
            headers.insert(header::CONTENT_RANGE, HeaderValue::from_str(&text).map_err(Error::internal)?);
            StatusCode::PARTIAL_CONTENT
        }
        _ => StatusCode::OK,
    };
    Ok((status, headers, Body::from_stream(file.body)).into_response())
}

fn common(etag: &str) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Ok(etag) = HeaderValue::from_str(etag) {
        headers.insert(header::ETAG, etag);
    }
    headers.insert(HeaderName::from_static("x-ms-version"), HeaderValue::from_static(VERSION));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers
}

async fn put(guest: Guest) -> Result<Response, Fault> {
    let (caller, address, named) = arrive::<PutArtifact>(&guest, true).await?;
    if guest.query("comp").is_some() {
        let why = "a file is sent in one piece here: files of more than 64 MiB are kept when they lie in `./outputs` at the \
                   job's end, or sent by MLflow's own client";
        return Err(unsupported(why).into());
    }
    if guest.header("x-ms-blob-type").is_some_and(|kind| kind != "BlockBlob") {
        return Err(unsupported("`x-ms-blob-type` must be `BlockBlob`").into());
    }
    let Named { workspace, run, path } = named;
    // An address is given for a file that is not there; a token is good for more.
    let is_new_only = address.is_some() || guest.header("if-none-match").is_some_and(|tag| tag.trim() == "*");
    let (place, most) = (ArtifactPlace::of_run(run, path), guest.limits().stream);
    let house = guest.house().clone();
    let op = PutArtifact { workspace, place, most, body: guest.stream(), is_new_only, address };
    enter(&house, &caller, op).await?;
    let mut headers = common("\"0x1\"");
    let encrypted = HeaderName::from_static("x-ms-request-server-encrypted");
    headers.insert(encrypted, HeaderValue::from_static("true"));
    Ok((StatusCode::CREATED, headers).into_response())
}
