//! Manifests: read, put and deleted, by tag or digest.

use axum::{body::Body, response::Response};
use domain::{
    gate::enter,
    registry::{DeleteManifest, GetManifest, MOST_MANIFEST, PutManifest, Reference, TagName, invalid},
};
use http::{Method, StatusCode};
use kernel::{Error, Kind, Result};

use super::place::{Visit, bare};

/// `GET` and `HEAD` of a manifest.
pub(super) async fn get(visit: Visit, reference: &str) -> Result<Response> {
    let (arrival, at) = visit.pulling().await?;
    let op = GetManifest { at, reference: present(reference)? };
    let opened = enter(visit.house(), &arrival.caller, op).await?;
    let headers = [
        ("content-type", opened.media_type),
        ("content-length", opened.length.to_string()),
        ("docker-content-digest", opened.digest.to_string()),
        ("etag", format!("\"{}\"", opened.digest)),
    ];
    let mut response = bare(StatusCode::OK, &headers)?;
    if visit.guest().method() != Method::HEAD {
        *response.body_mut() = Body::from_stream(opened.bytes);
    }
    Ok(response)
}

/// `PUT` of a manifest. Further tags come in the query, where the reference is a digest.
pub(super) async fn put(visit: Visit, reference: &str) -> Result<Response> {
    let (arrival, at) = visit.pushing().await?;
    let reference = reference.parse()?;
    let tags: Vec<TagName> = visit.guest().query_all("tag").iter().map(|tag| tag.parse()).collect::<Result<_>>()?;
    let media_type = visit.guest().header("content-type").map(str::to_owned);
    let shell = Visit::new(visit.guest().shell())?;
    let body = visit.into_guest().bytes_to(MOST_MANIFEST).await.map_err(|fault| match fault.kind() {
        Kind::TooLarge => fault.coded("MANIFEST_INVALID"),
        _ => invalid("MANIFEST_INVALID", fault.public()),
    })?;
    let op = PutManifest { at, reference, tags: tags.clone(), media_type, body };
    let outcome = enter(shell.house(), &arrival.caller, op).await?;
    let digest = outcome.digest.to_string();
    let mut headers =
        vec![("location", shell.address(&format!("manifests/{digest}"))), ("docker-content-digest", digest)];
    headers.extend(outcome.subject.map(|subject| ("oci-subject", subject.to_string())));
    headers.extend(tags.iter().map(|tag| ("oci-tag", tag.to_string())));
    bare(StatusCode::CREATED, &headers)
}

/// `DELETE` of a tag, or of a manifest with its tags.
pub(super) async fn delete(visit: Visit, reference: &str) -> Result<Response> {
    let (arrival, at) = visit.deleting().await?;
    let op = DeleteManifest { at, reference: present(reference)? };
    enter(visit.house(), &arrival.caller, op).await?;
    bare(StatusCode::ACCEPTED, &[])
}

/// The reference of something that is to be there: by what cannot be a tag there is nothing (distribution specification, "Pulling
/// manifests"; its conformance suite asks).
pub(super) fn present(reference: &str) -> Result<Reference> {
    reference.parse::<Reference>().map_err(|fault| match fault.code() {
        Some("TAG_INVALID") => Error::not_found("the manifest").coded("MANIFEST_UNKNOWN"),
        _ => fault,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn by_no_tag_there_is_nothing_and_no_digest_is_told() {
        assert!(present("latest").is_ok());
        for (bad, code) in [(".INVALID_MANIFEST_NAME", "MANIFEST_UNKNOWN"), ("sha256:x", "DIGEST_INVALID")] {
            assert_eq!(present(bad).unwrap_err().code(), Some(code), "{bad}");
        }
    }
}
