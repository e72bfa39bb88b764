//! Lists: tags, referrers, repositories. Each goes on where its `Link` says (RFC 8288).

use axum::response::{IntoResponse, Response};
use domain::{
    gate::enter,
    registry::{INDEX, ListReferrers, ListRepositories, ListTags, Names, Referrer, Span, invalid},
};
use http::HeaderValue;
use kernel::Result;
use serde_json::{Value, json};

use super::{blobs::value, place::Visit};
use crate::Guest;

/// `?n=` and `?last=`.
pub(super) fn span(guest: &Guest, prefix: &str) -> Result<Span> {
    let bad = || invalid("PAGINATION_NUMBER_INVALID", "`n` must be a number");
    let most = guest.query("n").filter(|most| !most.is_empty());
    let most = match most {
        Some(text) if text.bytes().all(|c| c.is_ascii_digit()) => {
            // More than fits is as many as there are.
            Some(text.parse::<usize>().unwrap_or(usize::MAX))
        }
        Some(_) => return Err(bad()),
        None => None,
    };
    let last = guest.query("last").unwrap_or_default();
    let after = last.strip_prefix(prefix).map(str::to_owned).unwrap_or(last);
    Ok(Span { most, after })
}

/// Adds where a list goes on.
pub(super) fn linked(mut response: Response, place: &str, names: &Names, most: Option<usize>) -> Result<Response> {
    if let Some(last) = names.names.last().filter(|_| names.has_more) {
        let count = most.unwrap_or(names.names.len()).min(names.names.len());
        let link = format!("<{place}?n={count}&last={last}>; rel=\"next\"");
        response.headers_mut().insert("link", value(&link)?);
    }
    Ok(response)
}

/// `GET …/tags/list`.
pub(super) async fn tags(visit: Visit) -> Result<Response> {
    let (arrival, at) = visit.pulling().await?;
    let span = span(visit.guest(), "")?;
    let most = span.most;
    let names = enter(visit.house(), &arrival.caller, ListTags { at, span }).await?;
    let body = json!({"name": shown(&visit), "tags": names.names});
    linked(axum::Json(body).into_response(), &visit.address("tags/list"), &names, most)
}

/// The repository's name, as the client knows it.
fn shown(visit: &Visit) -> String {
    let base = visit.base();
    base.strip_prefix("/v2/").map_or_else(|| visit.repository.clone(), |own| format!("{own}/{}", visit.repository))
}

/// `GET …/_catalog`.
pub(super) async fn repositories(visit: Visit) -> Result<Response> {
    let arrival = visit.listing().await?;
    let base = visit.base();
    let prefix = base.strip_prefix("/v2/").map(|own| format!("{own}/")).unwrap_or_default();
    let span = span(visit.guest(), &prefix)?;
    let most = span.most;
    let op = ListRepositories { registry: arrival.registry.clone(), span };
    let mut names = enter(visit.house(), &arrival.caller, op).await?;
    for name in &mut names.names {
        *name = format!("{prefix}{name}");
    }
    let body = json!({"repositories": names.names});
    linked(axum::Json(body).into_response(), &format!("{base}/_catalog"), &names, most)
}

/// `GET …/referrers/{digest}`: an index of what refers to it.
pub(super) async fn referrers(visit: Visit, subject: &str) -> Result<Response> {
    let (arrival, at) = visit.pulling().await?;
    let subject: domain::registry::Digest = subject.parse()?;
    let artifact_type = visit.guest().query("artifactType").filter(|kind| !kind.is_empty());
    let is_filtered = artifact_type.is_some();
    let after = visit.guest().query("last").map(|last| last.parse()).transpose()?;
    let kind = artifact_type.clone();
    let op = ListReferrers { at, subject: subject.clone(), artifact_type, after };
    let found = enter(visit.house(), &arrival.caller, op).await?;
    let manifests: Vec<Value> = found.found.iter().map(view).collect();
    let body = json!({"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests});
    let mut response = axum::Json(body).into_response();
    let headers = response.headers_mut();
    headers.insert("content-type", HeaderValue::from_static(INDEX));
    if is_filtered {
        headers.insert("oci-filters-applied", HeaderValue::from_static("artifactType"));
    }
    if let Some(next) = found.next {
        let kind = kind.map(|kind| format!("&artifactType={}", escaped(&kind))).unwrap_or_default();
        let link = format!("<{}?last={next}{kind}>; rel=\"next\"", visit.address(&format!("referrers/{subject}")));
        headers.insert("link", value(&link)?);
    }
    Ok(response)
}

/// A parameter's value, escaped.
fn escaped(text: &str) -> String {
    let one = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(one).collect()
}

fn view(referrer: &Referrer) -> Value {
    let mut view = json!({
        "mediaType": referrer.media_type,
        "digest": referrer.digest,
        "size": referrer.length,
    });
    if let Some(fields) = view.as_object_mut() {
        if let Some(kind) = &referrer.artifact_type {
            fields.insert(String::from("artifactType"), json!(kind));
        }
        if !referrer.annotations.is_empty() {
            fields.insert(String::from("annotations"), json!(referrer.annotations));
        }
    }
    view
}
