//! `mlflow-artifacts/mpu/…`: files that come in parts; `mlflow-artifacts/presigned/…`: files that are read without a token.

use std::collections::BTreeMap;

use axum::response::{IntoResponse, Response};
use domain::{
    gate::{enter, knock},
    tracking::{
        AbortUpload, ArtifactPath, ArtifactPlace, BeginUpload, CompleteUpload, IssueFileTicket, ListUploadParts,
        PutUploadPart, ReceivedPart, text, ticket_for_part,
    },
};
use http::{HeaderValue, Method, StatusCode, header};
use kernel::{Error, Kind, ResourceId, Result};
use uuid::Uuid;
use wire::mlflow::{self, PartCredential, PresignedFile, StoredPart};

use super::{
    Fault, arrive,
    artifacts::{TICKET, place},
    fields::Fields,
    view::{done, reply},
};
use crate::{Doors, Guest};

/// Bytes of a list of parts: 10,000 of them, each with its address.
const LARGEST_LIST: usize = 12 << 20;

/// The doors below `…/api/2.0`.
pub(super) fn doors(doors: Doors, base: &str) -> Doors {
    let uploads = format!("{base}/mlflow-artifacts/mpu");
    let parts = format!("{uploads}/parts/{{upload}}");
    doors
        .open::<BeginUpload, _, _>(Method::POST, &format!("{uploads}/create/{{*path}}"), begin_upload)
        .open::<CompleteUpload, _, _>(Method::POST, &format!("{uploads}/complete/{{*path}}"), complete_upload)
        .open::<AbortUpload, _, _>(Method::POST, &format!("{uploads}/abort/{{*path}}"), abort_upload)
        .open::<ListUploadParts, _, _>(Method::GET, &parts, list_parts)
        .open::<PutUploadPart, _, _>(Method::PUT, &format!("{parts}/{{number}}"), put_part)
        .open::<IssueFileTicket, _, _>(Method::GET, &format!("{base}/mlflow-artifacts/presigned/{{*path}}"), presign)
}

/// The server's address up to and including `…/mlflow-artifacts`, as the client called it.
fn base(guest: &Guest) -> String {
    let before = guest.path().split("/mlflow-artifacts/").next().unwrap_or_default();
    match guest.authority() {
        Some(authority) => format!("https://{authority}{before}/mlflow-artifacts"),
        None => format!("{}{before}/mlflow-artifacts", guest.house().settings().url),
    }
}

fn with_ticket(code: String) -> BTreeMap<String, String> {
    BTreeMap::from([(TICKET.to_owned(), code)])
}

/// The file that an upload becomes: the directory in the address, and the last name of the path on the client's own disk.
fn target(guest: &Guest, fields: &Fields) -> Result<ArtifactPlace> {
    let local = fields.need("path")?;
    let name = local.rsplit(['/', '\\']).next().unwrap_or_default();
    let mut place = place(guest)?;
    let path = match place.path.is_root() {
        true => name.to_owned(),
        false => format!("{}/{name}", place.path),
    };
    place.path = ArtifactPath::parse(&path)?;
    if name.is_empty() {
        return Err(Error::new(Kind::Invalid, "Invalid path"));
    }
    Ok(place)
}

/// An id that is none of ours is that of no upload.
fn upload_id(fields: &Fields) -> Result<Uuid> {
    let id = fields.need("upload_id")?;
    id.parse().map_err(|_| text::bad("upload_id", &id, "it is not one that this server gave"))
}

fn stored(parts: Vec<ReceivedPart>) -> Vec<StoredPart> {
    let view = |part: ReceivedPart| StoredPart { part_number: part.number, etag: part.etag, size: part.size };
    parts.into_iter().map(view).collect()
}

async fn begin_upload(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<BeginUpload>(&guest).await?;
    let shell = guest.shell();
    // Whatever the body says: a path that is none is told so.
    place(&shell)?;
    let fields = Fields::posted(guest).await?;
    let parts = u32::try_from(fields.count("num_parts", 1)?).unwrap_or(u32::MAX);
    let resume = if fields.has("upload_id") { Some(upload_id(&fields)?) } else { None };
    let op = BeginUpload { workspace, place: target(&shell, &fields)?, parts, resume };
    let begun = enter(&house, &caller, op).await?;
    let base = format!("{}/mpu/parts/{}", base(&shell), begun.id);
    let credentials = begun.tickets.into_iter().map(|ticket| PartCredential {
        url: format!("{base}/{}", ticket.number),
        part_number: ticket.number,
        headers: with_ticket(ticket.code),
    });
    let upload = mlflow::Upload {
        upload_id: begun.id.to_string(),
        credentials: credentials.collect(),
        parts: stored(begun.received),
    };
    Ok(reply(upload))
}

async fn complete_upload(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<CompleteUpload>(&guest).await?;
    let shell = guest.shell();
    place(&shell)?;
    let fields = Fields::posted_to(guest, LARGEST_LIST).await?;
    let part = |fields: &Fields| {
        let number = u32::try_from(fields.count("part_number", 0)?).unwrap_or(u32::MAX);
        Ok::<_, Error>((number, fields.text_or_empty("etag")?))
    };
    let parts = fields.objects("parts")?.iter().map(part).collect::<Result<_>>()?;
    let op = CompleteUpload { workspace, place: target(&shell, &fields)?, upload: upload_id(&fields)?, parts };
    enter(&house, &caller, op).await?;
    Ok(done())
}

async fn abort_upload(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<AbortUpload>(&guest).await?;
    let shell = guest.shell();
    place(&shell)?;
    let fields = Fields::posted(guest).await?;
    let op = AbortUpload { workspace, place: target(&shell, &fields)?, upload: upload_id(&fields)? };
    enter(&house, &caller, op).await?;
    Ok(done())
}

async fn list_parts(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace) = arrive::<ListUploadParts>(&guest).await?;
    let upload: Uuid = guest.param("upload")?;
    let state = enter(&house, &caller, ListUploadParts { workspace, upload }).await?;
    Ok(reply(mlflow::UploadParts {
        upload_id: upload.to_string(),
        num_parts: state.parts,
        completed: state.is_done,
        parts: stored(state.received),
    }))
}

/// With a token or, since MLflow's client sends none here, with the part's ticket.
async fn put_part(guest: Guest) -> Result<Response, Fault> {
    let workspace = guest.workspace()?;
    let part = (|| Ok::<_, Error>((guest.param::<Uuid>("upload")?, guest.param::<u32>("number")?)))();
    let caller = match (ticket(&guest), &part) {
        (Some(shown), Ok(part)) => {
            let caller = ticket_for_part(guest.house(), guest.source(), &workspace, *part, shown).await?;
            knock::<PutUploadPart>(guest.house(), &caller, &workspace).await?;
            caller
        }
        _ => guest.admitted::<PutUploadPart>(&workspace).await?,
    };
    let (upload, number) = part?;
    let (house, most) = (guest.house().clone(), guest.limits().stream);
    let op = PutUploadPart { workspace, upload, number, most, body: guest.stream() };
    let etag = enter(&house, &caller, op).await?;
    let etag = HeaderValue::from_str(&etag).map_err(Error::internal)?;
    Ok((StatusCode::OK, [(header::ETAG, etag)]).into_response())
}

/// The ticket that a request shows. Whoever shows a token beside it is judged by the token.
pub(super) fn ticket(guest: &Guest) -> Option<&str> {
    guest.header(TICKET).filter(|_| !guest.headers().contains_key(header::AUTHORIZATION))
}

async fn presign(guest: Guest) -> Result<Response, Fault> {
    let (house, caller, workspace): (_, _, ResourceId) = arrive::<IssueFileTicket>(&guest).await?;
    let ticket = enter(&house, &caller, IssueFileTicket { workspace, place: place(&guest)? }).await?;
    let path = guest.path().split_once("/mlflow-artifacts/presigned/").map(|(_, path)| path).unwrap_or_default();
    Ok(reply(PresignedFile {
        url: format!("{}/artifacts/{path}", base(&guest)),
        headers: with_ticket(ticket.code),
        file_size: ticket.length,
    }))
}
