//! Code versions.

use axum::response::Response;
use domain::{
    gate::{Row, enter},
    resources::{ListResources, Resource},
    snapshots::{CodeVersion, GetCode, NewCode, PutCode, SnapshotFile},
};
use http::{Method, StatusCode};
use kernel::{Error, Kind};
use wire::{agent, arm, snapshot};

use super::{Fault, WORKSPACE, list, named, show};
use crate::{Doors, Guest};

/// The doors of code versions.
pub(super) fn doors(doors: Doors) -> Doors {
    let all = format!("{WORKSPACE}/codes/{{name}}/versions");
    let one = format!("{WORKSPACE}/codes/{{name}}/versions/{{version}}");
    doors
        .open::<ListResources<CodeVersion>, _, _>(Method::GET, &all, list_codes)
        .open::<PutCode, _, _>(Method::PUT, &one, put_code)
        .open::<GetCode, _, _>(Method::GET, &one, get_code)
}

fn view(row: &Row<Resource<CodeVersion>>, files: Option<Vec<SnapshotFile>>) -> arm::Resource<snapshot::Code> {
    let code = &row.value.properties;
    let shown = |file: SnapshotFile| agent::SnapshotFile {
        path: file.path,
        length: file.length,
        sha256: file.sha256,
        executable: file.executable,
    };
    let properties = snapshot::Code {
        snapshot_id: code.snapshot.clone(),
        parent_snapshot_id: code.parent.clone(),
        files: files.map(|files| files.into_iter().map(shown).collect()),
        file_count: code.files,
        total_bytes: code.bytes,
        description: code.description.clone(),
        properties: code.properties.clone(),
        tags: row.value.tags.clone(),
        warnings: warnings(code),
        is_anonymous: false,
        is_archived: false,
        provisioning_state: String::from("Succeeded"),
    };
    show(row, properties)
}

/// What somebody should look at.
fn warnings(code: &CodeVersion) -> Vec<String> {
    let mut warnings: Vec<String> = code.findings.iter().map(ToString::to_string).collect();
    if code.unseen > 0 {
        let files = code.unseen;
        warnings.push(format!(
            "{files} files were not looked at for secrets and personal data to their end: they are large"
        ));
    }
    warnings
}

async fn list_codes(guest: Guest) -> Result<Response, Fault> {
    let op = ListResources::<CodeVersion>::new(guest.resource(1)?);
    let rows = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(list(rows.iter().map(|row| view(row, None)).collect()))
}

async fn put_code(guest: Guest) -> Result<Response, Fault> {
    let (house, id) = (guest.house().clone(), guest.resource(0)?);
    let caller = guest.admitted::<PutCode>(&id).await?;
    let body: arm::Put<snapshot::CodeInput> = guest.json().await?;
    let input = body.properties;
    let Some(files) = input.files else {
        let why =
            "`properties.codeUri`: code in a storage account is not supported; send `properties.files` with packs";
        return Err(Error::new(Kind::Unsupported, why).into());
    };
    let files = files.into_iter().map(|file| SnapshotFile {
        path: file.path,
        length: file.length,
        sha256: file.sha256,
        executable: file.executable,
    });
    let code = NewCode {
        files: files.collect(),
        parent: input.parent_snapshot_id,
        description: input.description.unwrap_or_default(),
        properties: input.properties.unwrap_or_default(),
        tags: input.tags.or(body.tags).unwrap_or_default(),
    };
    let written = enter(&house, &caller, PutCode { id, code }).await?;
    let status = if written.is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(named(status, view(&written.row, None)))
}

async fn get_code(guest: Guest) -> Result<Response, Fault> {
    let op = GetCode { id: guest.resource(0)? };
    let code = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(named(StatusCode::OK, view(&code.row, Some(code.files))))
}
