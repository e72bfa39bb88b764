//! Blobs: read whole or in part, and deleted.

use axum::{body::Body, response::Response};
use domain::{
    gate::enter,
    registry::{BlobPart, DeleteRegistryBlob, GetRegistryBlob},
};
use http::{HeaderValue, Method, StatusCode};
use kernel::{Error, Result};

use super::place::{Visit, bare};

/// `GET` and `HEAD` of a blob.
pub(super) async fn get(visit: Visit, digest: &str) -> Result<Response> {
    let (arrival, at) = visit.pulling().await?;
    let digest: domain::registry::Digest = digest.parse()?;
    let part = match visit.guest().method() == Method::HEAD {
        true => BlobPart::Nothing,
        false => visit.guest().header("range").and_then(range_of).unwrap_or(BlobPart::Whole),
    };
    let op = GetRegistryBlob { at, digest: digest.clone(), part };
    let opened = enter(visit.house(), &arrival.caller, op).await?;
    let is_part = matches!(part, BlobPart::From(..) | BlobPart::Last(_));
    let mut headers = vec![
        ("content-type", String::from("application/octet-stream")),
        ("docker-content-digest", digest.to_string()),
        ("etag", format!("\"{digest}\"")),
        ("accept-ranges", String::from("bytes")),
        ("content-length", opened.range.length.to_string()),
    ];
    if is_part {
        let (from, length) = (opened.range.from, opened.range.length);
        let last = from.saturating_add(length).saturating_sub(1);
        headers.push(("content-range", format!("bytes {from}-{last}/{}", opened.length)));
    }
    let status = if is_part { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let mut response = bare(status, &headers)?;
    if let Some(bytes) = opened.bytes {
        *response.body_mut() = Body::from_stream(bytes);
    }
    Ok(response)
}

/// `DELETE` of a blob.
pub(super) async fn delete(visit: Visit, digest: &str) -> Result<Response> {
    let (arrival, at) = visit.deleting().await?;
    let op = DeleteRegistryBlob { at, digest: digest.parse()? };
    enter(visit.house(), &arrival.caller, op).await?;
    bare(StatusCode::ACCEPTED, &[])
}

/// One range of bytes (RFC 9110 §14.1.2). Anything else is as good as none.
fn range_of(text: &str) -> Option<BlobPart> {
    let (first, last) = text.trim().strip_prefix("bytes=")?.split_once('-')?;
    let number = |text: &str| text.bytes().all(|c| c.is_ascii_digit()).then(|| text.parse::<u64>().ok()).flatten();
    match (first.trim(), last.trim()) {
        ("", last) => number(last).map(BlobPart::Last),
        (first, "") => number(first).map(|first| BlobPart::From(first, None)),
        (first, last) => Some(BlobPart::From(number(first)?, Some(number(last)?))),
    }
}

/// A header's value.
pub(super) fn value(text: &str) -> Result<HeaderValue> {
    HeaderValue::try_from(text).map_err(Error::internal)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_read() {
        assert_eq!(range_of("bytes=0-4"), Some(BlobPart::From(0, Some(4))));
        assert_eq!(range_of("bytes=7-"), Some(BlobPart::From(7, None)));
        assert_eq!(range_of("bytes=-5"), Some(BlobPart::Last(5)));
        // Refused later, as not satisfiable.
        assert_eq!(range_of("bytes=500-0"), Some(BlobPart::From(500, Some(0))));
        for other in ["bytes=", "bytes=-", "bytes=+1-2", "bytes=0-1,4-5", "items=0-1", "bytes=99999999999999999999-"] {
            assert_eq!(range_of(other), None, "{other}");
        }
    }
}
