//! A request to a registry: which registry, which repository, what of it, and who asks.

use axum::response::{IntoResponse, Response};
use domain::{
    gate::House,
    registry::{Arrival, DELETE, InRepository, Need, PULL, PUSH, RepositoryName, arrive, greet, invalid},
};
use http::{HeaderName, HeaderValue, StatusCode};
use kernel::{Action, Error, Kind as Failure, Result};
use std::sync::Arc;
use uuid::Uuid;

use super::{credential, error::Fault};
use crate::{Guest, path};

/// What of a repository, or of its registry, is asked for. References and digests are read once it is known who asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A manifest by tag or digest.
    Manifest(String),
    /// A blob by digest.
    Blob(String),
    /// Uploads.
    Uploads,
    /// One of them.
    Upload(Uuid),
    /// The list of tags.
    Tags,
    /// What refers to a digest.
    Referrers(String),
    /// The list of repositories.
    Catalog,
    /// Nothing that there is.
    Nothing,
}

/// A request.
pub(super) struct Visit {
    guest: Guest,
    /// The registry, as the address names it.
    pub registry: String,
    /// The repository, as the address names it.
    pub repository: String,
    pub kind: Kind,
}

impl Visit {
    /// Reads the address: `/v2/{registry}/{repository}/…`.
    pub(super) fn new(guest: Guest) -> Result<Self> {
        let decoded = path::decode(guest.path()).ok_or_else(nothing)?;
        let below = decoded.strip_prefix("/v2/").ok_or_else(nothing)?;
        let (registry, rest) = below.split_once('/').ok_or_else(nothing)?;
        let (repository, kind) = told_apart(rest);
        let (registry, repository) = (registry.to_owned(), repository.to_owned());
        Ok(Self { guest, registry, repository, kind })
    }

    pub(super) fn guest(&self) -> &Guest {
        &self.guest
    }

    pub(super) fn house(&self) -> &Arc<House> {
        self.guest.house()
    }

    pub(super) fn into_guest(self) -> Guest {
        self.guest
    }

    /// Who asks to pull.
    pub(super) async fn pulling(&self) -> Result<(Arrival, InRepository)> {
        self.arrive(PULL, "pull").await
    }

    /// Who asks to push.
    pub(super) async fn pushing(&self) -> Result<(Arrival, InRepository)> {
        self.arrive(PUSH, "push").await
    }

    /// Who asks to delete.
    pub(super) async fn deleting(&self) -> Result<(Arrival, InRepository)> {
        self.arrive(DELETE, "delete").await
    }

    async fn arrive(&self, action: Action, word: &'static str) -> Result<(Arrival, InRepository)> {
        in_repository(&self.guest, &self.registry, &self.repository, (action, word)).await
    }

    /// Who asks for the list of repositories.
    pub(super) async fn listing(&self) -> Result<Arrival> {
        arrived(&self.guest, &self.registry, &Need { action: PULL, word: "*", repository: None }).await
    }

    /// What this client's addresses of the registry begin with.
    pub(super) fn base(&self) -> String {
        base(&self.guest, &self.registry)
    }

    /// The address of something in the repository.
    pub(super) fn address(&self, of: &str) -> String {
        format!("{}/{}/{of}", self.base(), self.repository)
    }
}

/// `/v2`, or `/v2/{registry}` where the host does not name the registry.
pub(super) fn base(guest: &Guest, registry: &str) -> String {
    match guest.asked_as() {
        Some(asked) if asked.is_host_style => String::from("/v2"),
        _ => format!("/v2/{registry}"),
    }
}

/// Who asks. One form of refusal for whoever shows nothing, whatever is asked.
pub(super) async fn arrived(guest: &Guest, registry: &str, need: &Need) -> Result<Arrival> {
    let credential = credential::of(guest)?;
    arrive(guest.house(), guest.source(), registry, credential, need).await
}

/// The same for something in a repository. That its name is not well formed is told to those alone who prove who they are.
pub(super) async fn in_repository(
    guest: &Guest,
    registry: &str,
    name: &str,
    (action, word): (Action, &'static str),
) -> Result<(Arrival, InRepository)> {
    let name = match name.parse::<RepositoryName>() {
        Ok(name) => name,
        Err(fault) => {
            greet(guest.house(), guest.source(), credential::of(guest)?).await?;
            return Err(fault);
        }
    };
    let arrival = arrived(guest, registry, &Need { action, word, repository: Some(name.clone()) }).await?;
    let at = InRepository { registry: Arc::clone(&arrival.registry), name };
    Ok((arrival, at))
}

/// Repository and kind of what follows the registry's name.
fn told_apart(rest: &str) -> (&str, Kind) {
    if rest == "_catalog" {
        return ("", Kind::Catalog);
    }
    if let Some(name) = rest.strip_suffix("/tags/list") {
        return (name, Kind::Tags);
    }
    if let Some(name) = rest.strip_suffix("/blobs/uploads/").or_else(|| rest.strip_suffix("/blobs/uploads")) {
        return (name, Kind::Uploads);
    }
    // From the right: names of repositories may hold these words too.
    let Some((before, last)) = rest.rsplit_once('/') else { return (rest, Kind::Nothing) };
    if let Some(name) = before.strip_suffix("/blobs/uploads") {
        return (name, last.parse().map_or(Kind::Nothing, Kind::Upload));
    }
    if let Some(name) = before.strip_suffix("/manifests") {
        return (name, Kind::Manifest(last.to_owned()));
    }
    if let Some(name) = before.strip_suffix("/blobs") {
        return (name, Kind::Blob(last.to_owned()));
    }
    if let Some(name) = before.strip_suffix("/referrers") {
        return (name, Kind::Referrers(last.to_owned()));
    }
    (rest, Kind::Nothing)
}

/// An address at which there is nothing.
pub(super) fn nothing() -> Error {
    Error::not_found("this address").coded("NAME_UNKNOWN")
}

/// What this address does not do, told to those alone who prove who they are.
pub(super) async fn nowhere(visit: &Visit) -> Result<Response> {
    let guest = visit.guest();
    greet(guest.house(), guest.source(), credential::of(guest)?).await?;
    Err(match visit.kind {
        Kind::Nothing => nothing(),
        _ => Error::new(Failure::Unsupported, "this address does not take this method").coded("UNSUPPORTED"),
    })
}

/// `GET /v2/`: that this is a registry, to whoever proves who they are.
pub(super) async fn greeted(guest: Guest) -> Response {
    let done = match credential::of(&guest) {
        Ok(credential) => greet(guest.house(), guest.source(), credential).await,
        Err(fault) => Err(fault),
    };
    let mut response = match done {
        Ok(()) => axum::Json(serde_json::json!({})).into_response(),
        Err(fault) => Fault::new(&guest, fault).into_response(),
    };
    dress(&mut response);
    response
}

/// How clients tell that this is a registry of theirs.
pub(super) fn dress(response: &mut Response) {
    let version = HeaderValue::from_static("registry/2.0");
    response.headers_mut().insert(HeaderName::from_static("docker-distribution-api-version"), version);
}

/// An answer without a body.
pub(super) fn bare(status: StatusCode, headers: &[(&'static str, String)]) -> Result<Response> {
    let mut response = status.into_response();
    for (name, value) in headers {
        let value = HeaderValue::try_from(value.as_str()).map_err(Error::internal)?;
        response.headers_mut().append(HeaderName::from_static(name), value);
    }
    // A 204 has no length (RFC 9110 §8.6).
    if status != StatusCode::NO_CONTENT && !response.headers().contains_key("content-length") {
        response.headers_mut().insert("content-length", HeaderValue::from_static("0"));
    }
    Ok(response)
}

/// The header of a count or a range that does not parse.
pub(super) fn bad_header(name: &str) -> Error {
    invalid("RANGE_INVALID", format!("the header `{name}` is not well formed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_read_from_its_end() {
        let id = Uuid::new_v4();
        let upload = format!("a/blobs/uploads/{id}");
        for (rest, name, kind) in [
            ("a/b/manifests/latest", "a/b", Kind::Manifest(String::from("latest"))),
            ("manifests/manifests/manifests", "manifests", Kind::Manifest(String::from("manifests"))),
            ("a/blobs/sha256:00", "a", Kind::Blob(String::from("sha256:00"))),
            ("a/blobs/uploads/", "a", Kind::Uploads),
            ("a/blobs/uploads", "a", Kind::Uploads),
            (upload.as_str(), "a", Kind::Upload(id)),
            ("a/blobs/uploads/x", "a", Kind::Nothing),
            ("a/b/tags/list", "a/b", Kind::Tags),
            ("a/referrers/sha256:00", "a", Kind::Referrers(String::from("sha256:00"))),
            ("_catalog", "", Kind::Catalog),
            ("a/other", "a/other", Kind::Nothing),
            ("a", "a", Kind::Nothing),
        ] {
            assert_eq!(told_apart(rest), (name, kind), "{rest}");
        }
    }
}
