//! `artifacts/list`, and the artifact proxy `mlflow-artifacts/artifacts/…`.

use axum::{
    body::Body,
    response::{IntoResponse, Response},
};
use domain::{
    gate::enter,
    tracking::{ArtifactPath, ArtifactPlace, DeleteArtifact, Entry, GetArtifact, ListArtifacts, PutArtifact, text},
};
use http::{HeaderValue, Method, StatusCode, header};
use kernel::{Error, Kind, Result};
use wire::mlflow::{FileInfo, Files};

use super::{
    Fault, arrive,
    fields::Fields,
    runs::run_id,
    view::{done, reply},
};
use crate::{Doors, Guest};

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
fn place(guest: &Guest) -> Result<ArtifactPlace> {
    let path: String = guest.param("path")?;
    let missing = || Error::new(Kind::NotFound, format!("No such artifact: '{}'", text::echo(&path)));
    ArtifactPlace::parse(&path)?.ok_or_else(missing)
}

async fn list_run(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<ListArtifacts>(&guest).await?;
    let fields = Fields::query(&guest, &["run_id", "run_uuid", "path"]);
    let path = ArtifactPath::parse(fields.text_or_empty("path")?.trim_end_matches('/'))?;
    let place = Some(ArtifactPlace::of_run(run_id(&fields)?, path));
    let listed = enter(&house, &caller, ListArtifacts { workspace, place }).await?;
    let files = listed.entries.iter().map(|entry| info(entry, entry.path.clone())).collect();
    Ok(reply(Files { root_uri: Some(listed.root), files }))
}

async fn list_proxied(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<ListArtifacts>(&guest).await?;
    let path = guest.query("path").unwrap_or_default();
    let place = ArtifactPlace::parse(path.trim_end_matches('/'))?;
    let listed = enter(&house, &caller, ListArtifacts { workspace, place }).await?;
    let name = |entry: &Entry| entry.path.rsplit('/').next().unwrap_or_default().to_owned();
    let files = listed.entries.iter().map(|entry| info(entry, name(entry))).collect();
    Ok(reply(Files { root_uri: None, files }))
}

fn info(entry: &Entry, path: String) -> FileInfo {
    FileInfo { path, is_dir: entry.size.is_none(), file_size: entry.size }
}

async fn get_artifact(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<GetArtifact>(&guest).await?;
    let file = enter(&house, &caller, GetArtifact { workspace, place: place(&guest)? }).await?;
    // Whatever the file is, a browser is to save it, never to show or run it.
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        (header::CONTENT_LENGTH, HeaderValue::from(file.length)),
        (header::CONTENT_DISPOSITION, disposition(file.path.name())),
    ];
    Ok((StatusCode::OK, headers, Body::from_stream(file.body)).into_response())
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
    enter(&house, &caller, PutArtifact { workspace, place, most, body: guest.stream() }).await?;
    Ok(done())
}

async fn delete_artifact(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<DeleteArtifact>(&guest).await?;
    enter(&house, &caller, DeleteArtifact { workspace, place: place(&guest)? }).await?;
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
