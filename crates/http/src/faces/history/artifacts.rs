//! Files by `ExperimentRun/dcid.{run}/{path}`, as `azureml-core` asks for them.

use axum::response::{IntoResponse, Response};
use domain::{
    gate::enter,
    tracking::{
        ArtifactPath, ArtifactPlace, GetArtifact, PutArtifact, Wanted,
        azure::{AddressFiles, AddressNewFiles, FileAddress, ListRunFiles},
    },
};
use http::{HeaderValue, Method, header};
use kernel::{Error, Kind, ResourceId, Result, RunId};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Desk, Fault, address, arrive, body, container_of, reply, run_of_container, runs::error_of, unsupported};
use crate::{Doors, Guest};

/// The only origin that there is.
const ORIGIN: &str = "ExperimentRun";

/// The doors below `/artifact/v2.0{workspace}/artifacts`.
pub(super) fn doors(doors: Doors, base: &str) -> Doors {
    let in_container = "{origin}/{container}";
    let file = format!("{in_container}/{{*path}}");
    doors
        .open::<AddressNewFiles, _, _>(Method::POST, &format!("{base}/batch/metadata/{in_container}"), create)
        .open::<AddressFiles, _, _>(Method::GET, &format!("{base}/contentinfo/{file}"), content_info)
        .open::<AddressNewFiles, _, _>(Method::GET, &format!("{base}/write/{file}"), write_info)
        .open::<AddressFiles, _, _>(Method::GET, &format!("{base}/prefix/contentinfo/{file}"), prefix_info)
        .open::<AddressFiles, _, _>(Method::GET, &format!("{base}/prefix/contentinfo/{in_container}"), prefix_info)
        .open::<AddressFiles, _, _>(Method::GET, &format!("{base}/prefix/contentinfo/{in_container}/"), prefix_info)
        .open::<GetArtifact, _, _>(Method::GET, &format!("{base}/content/{file}"), download)
        .open::<PutArtifact, _, _>(Method::POST, &format!("{base}/content/{file}"), upload)
        .open::<ListRunFiles, _, _>(Method::GET, &format!("{base}/{in_container}"), list)
        .open::<ListRunFiles, _, _>(Method::GET, &format!("{base}/{file}"), list)
}

/// The run whose files the address means.
fn run_of(guest: &Guest) -> Result<RunId> {
    let origin: String = guest.param("origin")?;
    if !origin.eq_ignore_ascii_case(ORIGIN) {
        return Err(Error::not_found("this origin: files lie in `ExperimentRun`"));
    }
    run_of_container(&guest.param::<String>("container")?)
}

/// The path in the address; the root when it names none.
fn path_of(guest: &Guest) -> Result<ArtifactPath> {
    let path: String = guest.param("path").unwrap_or_default();
    ArtifactPath::parse(path.trim_end_matches('/'))
}

/// Files by their names.
#[derive(Deserialize)]
pub(super) struct Paths {
    paths: Vec<OnePath>,
}

#[derive(Deserialize)]
struct OnePath {
    path: String,
}

impl Paths {
    pub(super) fn read(self) -> Result<Vec<ArtifactPath>> {
        self.paths.iter().map(|one| ArtifactPath::parse(&one.path)).collect()
    }
}

/// A file as it is listed.
pub(super) fn entry(run: &RunId, path: &str) -> Value {
    let container = container_of(run);
    json!({"artifactId": format!("{ORIGIN}/{container}/{path}"), "origin": ORIGIN, "container": container, "path": path})
}

/// Where a file is opened.
pub(super) fn content(guest: &Guest, workspace: &ResourceId, run: &RunId, file: &FileAddress) -> Value {
    let uri = address::of(guest, workspace, run, file);
    json!({
        "contentUri": uri.expose(),
        "origin": ORIGIN,
        "container": container_of(run),
        "path": file.path.as_str(),
    })
}

/// Gives addresses for files to be, as both of the clients ask for them.
pub(super) async fn addresses(
    guest: &Guest,
    (house, caller, workspace): Desk,
    run: RunId,
    paths: Vec<ArtifactPath>,
) -> Result<Response, Fault> {
    let op = AddressNewFiles { workspace: workspace.clone(), run: run.clone(), paths };
    let given = enter(&house, &caller, op).await?;
    let (mut artifacts, mut contents, mut errors) = (Map::new(), Map::new(), Map::new());
    for file in &given.free {
        artifacts.insert(file.path.to_string(), entry(&run, file.path.as_str()));
        contents.insert(file.path.to_string(), content(guest, &workspace, &run, file));
    }
    for path in given.taken {
        let why = format!("the run has a file `{path}` already; use another name");
        errors.insert(path.to_string(), error_of(&Error::new(Kind::Exists, why)));
    }
    Ok(reply(json!({"artifacts": artifacts, "artifactContentInformation": contents, "errors": errors})))
}

async fn create(guest: Guest) -> Result<Response, Fault> {
    let desk = arrive::<AddressNewFiles>(&guest).await?;
    let (run, shell) = (run_of(&guest)?, guest.shell());
    let paths: Paths = body::read(&guest.bytes().await?)?;
    addresses(&shell, desk, run, paths.read()?).await
}

async fn write_info(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<AddressNewFiles>(&guest).await?;
    let (run, paths) = (run_of(&guest)?, vec![path_of(&guest)?]);
    let op = AddressNewFiles { workspace: workspace.clone(), run: run.clone(), paths };
    let given = enter(&house, &caller, op).await?;
    let taken = || Error::new(Kind::Exists, "the run has a file of this name already; use another name");
    let file = given.free.first().ok_or_else(taken)?;
    Ok(reply(content(&guest, &workspace, &run, file)))
}

/// Where one file is read.
pub(super) async fn one(
    guest: &Guest,
    (house, caller, workspace): Desk,
    run: RunId,
    path: ArtifactPath,
) -> Result<Response, Fault> {
    let missing = format!("the file `{}` of the run", domain::tracking::text::echo(path.as_str()));
    let op = AddressFiles { workspace: workspace.clone(), run: run.clone(), paths: vec![path] };
    let files = enter(&house, &caller, op).await?;
    let file = files.first().ok_or_else(|| Error::not_found(missing))?;
    Ok(reply(content(guest, &workspace, &run, file)))
}

async fn content_info(guest: Guest) -> Result<Response, Fault> {
    let desk = arrive::<AddressFiles>(&guest).await?;
    one(&guest, desk, run_of(&guest)?, path_of(&guest)?).await
}

/// Where the files at and below a path are read, page by page.
pub(super) async fn below(
    guest: &Guest,
    (house, caller, workspace): Desk,
    run: RunId,
    below: ArtifactPath,
) -> Result<Response, Fault> {
    let after = guest.query("continuationToken");
    let op = ListRunFiles { workspace: workspace.clone(), run: run.clone(), below, after };
    let page = enter(&house, &caller, op).await?;
    let mut value = Vec::with_capacity(page.files.len());
    let paths: Vec<ArtifactPath> =
        page.files.iter().map(|(path, _)| ArtifactPath::parse(path)).collect::<Result<_>>()?;
    for some in paths.chunks(1000) {
        let op = AddressFiles { workspace: workspace.clone(), run: run.clone(), paths: some.to_vec() };
        let files = enter(&house, &caller, op).await?;
        value.extend(files.iter().map(|file| content(guest, &workspace, &run, file)));
    }
    Ok(reply(json!({"value": value, "continuationToken": page.next})))
}

async fn prefix_info(guest: Guest) -> Result<Response, Fault> {
    let desk = arrive::<AddressFiles>(&guest).await?;
    below(&guest, desk, run_of(&guest)?, path_of(&guest)?).await
}

/// Lists files, page by page.
pub(super) async fn listed(
    guest: &Guest,
    (house, caller, workspace): Desk,
    run: RunId,
    below: ArtifactPath,
) -> Result<Response, Fault> {
    let op = ListRunFiles { workspace, run: run.clone(), below, after: guest.query("continuationToken") };
    let page = enter(&house, &caller, op).await?;
    let value: Vec<Value> = page.files.iter().map(|(path, _)| entry(&run, path)).collect();
    Ok(reply(json!({"value": value, "continuationToken": page.next})))
}

async fn list(guest: Guest) -> Result<Response, Fault> {
    let desk = arrive::<ListRunFiles>(&guest).await?;
    listed(&guest, desk, run_of(&guest)?, path_of(&guest)?).await
}

async fn download(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<GetArtifact>(&guest).await?;
    let place = ArtifactPlace::of_run(run_of(&guest)?, path_of(&guest)?);
    let file = enter(&house, &caller, GetArtifact { workspace, place, wanted: Wanted::default() }).await?;
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream")),
        (header::CONTENT_LENGTH, HeaderValue::from(file.length)),
        (header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment")),
    ];
    Ok((headers, axum::body::Body::from_stream(file.body)).into_response())
}

/// Takes a whole file. Pieces are not put together here.
async fn upload(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<PutArtifact>(&guest).await?;
    let (run, path) = (run_of(&guest)?, path_of(&guest)?);
    let is_piece = guest.query("append").is_some_and(|word| word.eq_ignore_ascii_case("true"))
        || guest.query("index").is_some_and(|index| index != "0");
    if is_piece {
        return Err(unsupported("a file is sent in one piece; leave out `append` and `index`").into());
    }
    let seen = entry(&run, path.as_str());
    let (place, most) = (ArtifactPlace::of_run(run, path), guest.limits().stream);
    let body = guest.stream();
    let op = PutArtifact { workspace, place, most, body, is_new_only: false, address: None };
    enter(&house, &caller, op).await?;
    Ok(reply(seen))
}
