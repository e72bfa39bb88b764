//! Putting a blob whole, and appending.

use axum::response::Response;
use domain::{
    gate::{enter, knock},
    storage::{
        ADD, Adding, Addition, AppendBlock, Arrival, Blob, BlobKind, Body, Need, PutBlob, WRITE, Writing, invalid,
    },
};
use http::StatusCode;
use kernel::Result;

use super::{
    error::unsupported,
    headers::{Answer, content_length, content_md5, guard, labels, number, text},
    visit::Visit,
};
use crate::Guest;

/// Bytes of a blob in one request, and of a block: Azure's bounds are 5,000 and 4,000 MiB; here it is one for both.
pub(super) const MOST: u64 = 4000 << 20;

/// What writing a blob needs.
pub(super) const PUT: Need = Need::blob(WRITE, "w").or_adding(ADD, "c");
/// What appending needs.
const APPEND: Need = Need::blob(WRITE, "w").or_adding(ADD, "a");

/// Enters a write in the form that the caller is up to.
pub(super) async fn write<W: Addition>(guest: &Guest, arrival: &Arrival, op: W) -> Result<W::Output> {
    match arrival.is_adding {
        false => enter(guest.house(), &arrival.caller, Writing(op)).await,
        true => enter(guest.house(), &arrival.caller, Adding(op)).await,
    }
}

/// Whether a write would be admitted: before its body is read.
pub(super) async fn knock_for<W: Addition>(visit: &Visit, arrival: &Arrival) -> Result<()> {
    let scope = visit.in_account(arrival)?;
    let scope = arrival.account.container(&scope.name);
    match arrival.is_adding {
        false => knock::<Writing<W>>(visit.house(), &arrival.caller, &scope).await,
        true => knock::<Adding<W>>(visit.house(), &arrival.caller, &scope).await,
    }
}

/// The body of a request, bounded; measured when its MD5 is wanted.
pub(super) fn body(visit: Visit, is_measured: bool) -> Result<(Guest, Body)> {
    let md5 = content_md5(&visit)?;
    let most = visit.guest().limits().stream.min(MOST);
    if content_length(&visit).is_some_and(|length| length > most) {
        let why = format!("the body is larger than the limit of {most} bytes");
        return Err(kernel::Error::new(kernel::Kind::TooLarge, why).coded("RequestBodyTooLarge"));
    }
    let guest = visit.into_guest();
    let shell = guest.shell();
    let body = Body { is_measured, md5, ..Body::new(guest.stream(), most) };
    Ok((shell, body))
}

/// `PUT` of a blob, or the beginning of an append blob.
pub(super) async fn put(visit: Visit) -> Result<Response> {
    let arrival = visit.arrive(&PUT).await?;
    knock_for::<PutBlob>(&visit, &arrival).await?;
    let kind = match text(&visit, "x-ms-blob-type")? {
        Some("BlockBlob") => BlobKind::Block,
        Some("AppendBlob") => BlobKind::Append,
        Some("PageBlob") => return Err(unsupported("page blobs are not offered; use block or append blobs")),
        _ => return Err(invalid("MissingRequiredHeader", "`x-ms-blob-type` must be `BlockBlob` or `AppendBlob`")),
    };
    let (at, labels, guard) = (visit.in_container(&arrival)?, labels(&visit, true)?, guard(&visit)?);
    if kind == BlobKind::Append && content_length(&visit).is_some_and(|length| length > 0) {
        return Err(invalid("InvalidHeaderValue", "an append blob begins empty"));
    }
    let (guest, body) = body(visit, true)?;
    let body = (kind == BlobKind::Block).then_some(body);
    let blob = write(&guest, &arrival, PutBlob { at, kind, body, labels, guard, copied: None }).await?;
    Ok(created(&blob))
}

/// What a write that made a version is answered with.
pub(super) fn created(blob: &Blob) -> Response {
    Answer::default()
        .mark(blob.etag, blob.modified_at)
        .version(blob)
        .set("x-ms-request-server-encrypted", "true")
        .set_if("content-md5", blob.headers.md5.as_deref())
        .empty(StatusCode::CREATED)
}

/// `PUT ?comp=appendblock`.
pub(super) async fn append(visit: Visit) -> Result<Response> {
    let arrival = visit.arrive(&APPEND).await?;
    knock_for::<AppendBlock>(&visit, &arrival).await?;
    if visit.header("x-ms-copy-source").is_some() {
        return Err(unsupported("appending from another address is not offered; send the bytes"));
    }
    if content_length(&visit) == Some(0) {
        return Err(invalid("InvalidHeaderValue", "an appended block has at least one byte"));
    }
    let (at, guard) = (visit.in_container(&arrival)?, guard(&visit)?);
    let position = number(&visit, "x-ms-blob-condition-appendpos")?;
    let most = number(&visit, "x-ms-blob-condition-maxsize")?;
    let (guest, body) = body(visit, false)?;
    let appended = write(&guest, &arrival, AppendBlock { at, body, position, most, guard }).await?;
    Ok(Answer::default()
        .mark(appended.blob.etag, appended.blob.modified_at)
        .set("x-ms-blob-append-offset", &appended.offset.to_string())
        .set("x-ms-blob-committed-block-count", &appended.blob.blocks().to_string())
        .set("x-ms-request-server-encrypted", "true")
        .set_if("content-md5", appended.md5.as_deref())
        .empty(StatusCode::CREATED))
}
