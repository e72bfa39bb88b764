//! `artifacts/list`, and the artifact proxy `mlflow-artifacts/artifacts/…`.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use domain::{
    gate::{enter, knock},
    tracking::{
        ArtifactPath, ArtifactPlace, DeleteArtifact, Entry, GetArtifact, ListArtifacts, OpenedArtifact, PutArtifact,
        Served, text, ticket_for_file,
    },
};
use http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use kernel::{Error, Kind, Result};
use wire::mlflow::{FileInfo, Files};

use super::{
    Fault, arrive,
    fields::Fields,
    media_type::media_type,
    range,
    runs::run_id,
    uploads::ticket,
    view::{done, reply},
};
use crate::{Doors, Guest, path};

/// The header that carries a ticket, where MLflow's client sends no token.
pub(super) const TICKET: &str = "x-bartizan-ticket";

/// The doors below `…/api/2.0`.
pub(super) fn doors(doors: Doors, base: &str) -> Doors {
    let proxy = format!("{base}/mlflow-artifacts/artifacts");
    let one = format!("{proxy}/{{*path}}");
    doors
        .open::<ListArtifacts, _, _>(Method::GET, &format!("{base}/mlflow/artifacts/list"), list_run)
        .open::<ListArtifacts, _, _>(Method::GET, &proxy, list_proxied)
        .open::<GetArtifact, _, _>(Method::GET, &one, get_artifact)
        .open::<PutArtifact, _, _>(Method::PUT, &one, put_artifact)
        .open::<DeleteArtifact, _, _>(Method::DELETE, &one, delete_artifact)
}

/// The file that the address names.
pub(super) fn place(guest: &Guest) -> Result<ArtifactPlace> {
    let path: String = guest.param("path")?;
    place_of(path)
}

fn place_of(path: String) -> Result<ArtifactPlace> {
    let missing = || Error::new(Kind::NotFound, format!("No such artifact: '{}'", text::echo(&path)));
    ArtifactPlace::parse(&path)?.ok_or_else(missing)
}

/// The path that the query has under this name: what does not decode is no path, and must not count as none.
pub(super) fn path_asked(guest: &Guest, wanted: &str) -> Result<String> {
    let bad = || Error::new(Kind::Invalid, "Invalid path");
    let mut found = None;
    for pair in guest.query_text().split('&') {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        if path::unescape(name, true).as_deref() == Some(wanted) {
            let value = path::unescape(value, true).ok_or_else(bad)?;
            if found.replace(value).is_some() {
                return Err(bad());
            }
        }
    }
    Ok(found.unwrap_or_default())
}

/// One slash at the end means the directory itself.
fn directory(path: &str) -> &str {
    path.strip_suffix('/').unwrap_or(path)
}

async fn list_run(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<ListArtifacts>(&guest).await?;
    let fields = Fields::query(&guest, &["run_id", "run_uuid"]);
    let path = ArtifactPath::parse(directory(&path_asked(&guest, "path")?))?;
    let place = Some(ArtifactPlace::of_run(run_id(&fields)?, path));
    let listed = enter(&house, &caller, ListArtifacts { workspace, place }).await?;
    let files = listed.entries.iter().map(|entry| info(entry, entry.path.clone())).collect();
    Ok(reply(Files { root_uri: Some(listed.root), files }))
}

async fn list_proxied(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<ListArtifacts>(&guest).await?;
    let place = ArtifactPlace::parse(directory(&path_asked(&guest, "path")?))?;
    let listed = enter(&house, &caller, ListArtifacts { workspace, place }).await?;
    let name = |entry: &Entry| entry.path.rsplit('/').next().unwrap_or_default().to_owned();
    let files = listed.entries.iter().map(|entry| info(entry, name(entry))).collect();
    Ok(reply(Files { root_uri: None, files }))
}

fn info(entry: &Entry, path: String) -> FileInfo {
    FileInfo { path, is_dir: entry.size.is_none(), file_size: entry.size }
}

/// With a token or, for a file that was presigned, with its ticket.
async fn get_artifact(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = match ticket(&guest) {
        Some(shown) => {
            let workspace = guest.workspace()?;
            let caller = ticket_for_file(guest.house(), guest.source(), &workspace, &place(&guest)?, shown).await?;
            knock::<GetArtifact>(guest.house(), &caller, &workspace).await?;
            (guest.house().clone(), caller, workspace)
        }
        None => arrive::<GetArtifact>(&guest).await?,
    };
    let (place, wanted) = (place(&guest)?, range::wanted(&guest));
    let file = enter(&house, &caller, GetArtifact { workspace, place, wanted }).await?;
    Ok(sent(file)?)
}

/// A file, or what of it is asked for. Whatever it is, a browser is to save it, never to show or run it; the headers of every answer
/// (`porch.rs`) say the same once more.
pub(super) fn sent(file: OpenedArtifact) -> Result<Response> {
    let mut headers = HeaderMap::new();
    headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
    headers.insert(header::ETAG, HeaderValue::from_str(&file.etag).map_err(Error::internal)?);
    let (status, length) = match file.served {
        Served::Unchanged => return Ok((StatusCode::NOT_MODIFIED, headers).into_response()),
        Served::Beyond => {
            let range = format!("bytes */{}", file.length);
            headers.insert(header::CONTENT_RANGE, HeaderValue::from_str(&range).map_err(Error::internal)?);
            return Ok((StatusCode::RANGE_NOT_SATISFIABLE, headers).into_response());
        }
        Served::Whole => (StatusCode::OK, file.length),
        Served::Part { from, length } => {
            let last = from.saturating_add(length).saturating_sub(1);
            let range = format!("bytes {from}-{last}/{}", file.length);
            headers.insert(header::CONTENT_RANGE, HeaderValue::from_str(&range).map_err(Error::internal)?);
            (StatusCode::PARTIAL_CONTENT, length)
        }
    };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(media_type(file.path.name())));
    headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    headers.insert(header::CONTENT_DISPOSITION, disposition(file.path.name()));
    Ok((status, headers, Body::from_stream(file.body)).into_response())
}

/// RFC 6266: the name in RFC 8187's form, with everything escaped but letters, digits and `-._`.
fn disposition(name: &str) -> HeaderValue {
    let mut escaped = String::from("attachment; filename*=UTF-8''");
    for byte in name.bytes() {
        match char::from(byte) {
            plain if plain.is_ascii_alphanumeric() || matches!(plain, '-' | '.' | '_') => escaped.push(plain),
            _ => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    HeaderValue::from_str(&escaped).unwrap_or(HeaderValue::from_static("attachment"))
}

async fn put_artifact(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<PutArtifact>(&guest).await?;
    let (place, most) = (place(&guest)?, guest.limits().stream);
    let body = guest.stream();
    let op = PutArtifact { workspace, place, most, body, is_new_only: false, address: None };
    enter(&house, &caller, op).await?;
    Ok(done())
}

async fn delete_artifact(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<DeleteArtifact>(&guest).await?;
    let path: String = guest.param("path")?;
    let place = place_of(directory(&path).to_owned())?;
    enter(&house, &caller, DeleteArtifact { workspace, place }).await?;
    Ok(done())
}

#[cfg(test)]
mod tests {
    use super::disposition;

    #[test]
    fn a_file_name_cannot_leave_its_header() {
        let value = disposition("a\"; filename=\"x.html\r\né");
        assert_eq!(value, "attachment; filename*=UTF-8''a%22%3B%20filename%3D%22x.html%0D%0A%C3%A9");
    }
}
