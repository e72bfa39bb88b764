//! Uploads: begun with or without all bytes, gone on with, asked about, finished, given up.

use axum::response::Response;
use domain::{
    gate::enter,
    registry::{
        AppendUpload, CancelUpload, Chunk, Digest, FinishUpload, GetUpload, MountBlob, PutBlobWhole, StartUpload,
        UploadState, invalid,
    },
};
use http::StatusCode;
use kernel::Result;
use uuid::Uuid;

use super::place::{Visit, bad_header, bare};

/// `POST …/blobs/uploads/`: an upload begins, all bytes come at once (`digest`), or a blob is taken from another repository (`mount`).
pub(super) async fn start(visit: Visit) -> Result<Response> {
    let (arrival, at) = visit.pushing().await?;
    let guest = visit.guest();
    if let Some(digest) = guest.query("mount") {
        let digest: Digest = digest.parse()?;
        // What is no name of a repository of this registry is no source: the client sends the blob.
        let from = guest.query("from").filter(|from| !from.is_empty());
        let named = from.as_deref().map(|from| in_registry(&visit, from).parse());
        let is_mounted = match named.transpose() {
            Ok(from) => {
                let op = MountBlob { at: at.clone(), from, digest: digest.clone() };
                enter(visit.house(), &arrival.caller, op).await?
            }
            Err(_) => false,
        };
        if is_mounted {
            return created(&visit, &digest);
        }
    } else if let Some(digest) = guest.query("digest") {
        let digest: Digest = digest.parse()?;
        let (caller, house) = (arrival.caller, visit.house().clone());
        let answer = created(&visit, &digest)?;
        let chunk = Chunk { range: None, bytes: visit.into_guest().stream() };
        enter(&house, &caller, PutBlobWhole { at, digest, chunk }).await?;
        return Ok(answer);
    }
    let begun = enter(visit.house(), &arrival.caller, StartUpload { at }).await?;
    stands(&visit, StatusCode::ACCEPTED, begun)
}

/// A repository of the same registry, by the name that the client knows it by.
fn in_registry<'a>(visit: &Visit, from: &'a str) -> &'a str {
    if visit.base() == "/v2" {
        return from;
    }
    let own = from.split_once('/').filter(|(registry, _)| registry.eq_ignore_ascii_case(&visit.registry));
    own.map_or("", |(_, name)| name)
}

/// `GET` of an upload.
pub(super) async fn state(visit: Visit, id: Uuid) -> Result<Response> {
    let (arrival, at) = visit.pushing().await?;
    let state = enter(visit.house(), &arrival.caller, GetUpload { at, upload: id }).await?;
    stands(&visit, StatusCode::NO_CONTENT, state)
}

/// `PATCH` of an upload.
pub(super) async fn append(visit: Visit, id: Uuid) -> Result<Response> {
    let (arrival, at) = visit.pushing().await?;
    let range = range_of(&visit)?;
    let shell = Visit::new(visit.guest().shell())?;
    let chunk = Chunk { range, bytes: visit.into_guest().stream() };
    let op = AppendUpload { at: at.clone(), upload: id, chunk };
    match enter(shell.house(), &arrival.caller, op).await {
        Ok(state) => stands(&shell, StatusCode::ACCEPTED, state),
        Err(fault) if fault.code() == Some("RANGE_INVALID") => {
            let state = enter(shell.house(), &arrival.caller, GetUpload { at, upload: id }).await?;
            stands(&shell, StatusCode::RANGE_NOT_SATISFIABLE, state)
        }
        Err(fault) => Err(fault),
    }
}

/// `PUT` of an upload: the last chunk, if any, and what it all is.
pub(super) async fn finish(visit: Visit, id: Uuid) -> Result<Response> {
    let (arrival, at) = visit.pushing().await?;
    let digest = visit.guest().query("digest");
    let digest = digest.ok_or_else(|| invalid("DIGEST_INVALID", "an upload is finished with `?digest=`"))?;
    let digest: Digest = digest.parse()?;
    let range = range_of(&visit)?;
    let shell = Visit::new(visit.guest().shell())?;
    let chunk = Chunk { range, bytes: visit.into_guest().stream() };
    let op = FinishUpload { at: at.clone(), upload: id, digest: digest.clone(), chunk };
    match enter(shell.house(), &arrival.caller, op).await {
        Ok(_) => created(&shell, &digest),
        Err(fault) if fault.code() == Some("RANGE_INVALID") => {
            let state = enter(shell.house(), &arrival.caller, GetUpload { at, upload: id }).await?;
            stands(&shell, StatusCode::RANGE_NOT_SATISFIABLE, state)
        }
        Err(fault) => Err(fault),
    }
}

/// `DELETE` of an upload.
pub(super) async fn cancel(visit: Visit, id: Uuid) -> Result<Response> {
    let (arrival, at) = visit.pushing().await?;
    enter(visit.house(), &arrival.caller, CancelUpload { at, upload: id }).await?;
    bare(StatusCode::NO_CONTENT, &[])
}

/// `Content-Range: 0-1023`, as the specification has it; Docker's clients say `bytes` before it.
fn range_of(visit: &Visit) -> Result<Option<(u64, u64)>> {
    let Some(text) = visit.guest().header("content-range") else { return Ok(None) };
    parse_range(text).map(Some).ok_or_else(|| bad_header("Content-Range"))
}

fn parse_range(text: &str) -> Option<(u64, u64)> {
    let text = text.trim();
    let text = text.strip_prefix("bytes ").unwrap_or(text);
    let text = text.split('/').next().unwrap_or_default();
    let (first, last) = text.split_once('-')?;
    let number = |text: &str| text.bytes().all(|c| c.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten();
    let (first, last) = (number(first)?, number(last)?);
    (first <= last).then_some((first, last))
}

/// How far an upload is.
fn stands(visit: &Visit, status: StatusCode, state: UploadState) -> Result<Response> {
    let last = state.length.saturating_sub(1);
    bare(
        status,
        &[
            ("location", visit.address(&format!("blobs/uploads/{}", state.id))),
            ("range", format!("0-{last}")),
            ("docker-upload-uuid", state.id.to_string()),
        ],
    )
}

/// That a blob is there now.
fn created(visit: &Visit, digest: &Digest) -> Result<Response> {
    let headers =
        [("location", visit.address(&format!("blobs/{digest}"))), ("docker-content-digest", digest.to_string())];
    bare(StatusCode::CREATED, &headers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_of_a_chunk_is_read_in_both_spellings() {
        assert_eq!(parse_range("0-1023"), Some((0, 1023)));
        assert_eq!(parse_range("bytes 1024-2047/*"), Some((1024, 2047)));
        for bad in ["", "-", "5", "5-4", "+1-2", "bytes=0-1", "a-b"] {
            assert_eq!(parse_range(bad), None, "{bad}");
        }
    }
}
