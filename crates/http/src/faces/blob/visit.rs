//! A request to the service: its address and query, read strictly, and who asks.

use std::collections::BTreeSet;

use bytes::Bytes;
use domain::{
    gate::House,
    storage::{
        Aim, Arrival, BlobName, ContainerName, InAccount, InContainer, Moment, Need, arrive, invalid, parse_snapshot,
    },
};
use http::HeaderValue;
use kernel::{Error, Result};
use std::sync::Arc;

use super::authorization;
use crate::{Guest, path};

/// What is answered to clients that name no version.
const VERSION: HeaderValue = HeaderValue::from_static("2026-10-06");
/// Headers that ask for what is not there. Whoever asks for a wall must not believe that it stands.
const NOT_OFFERED: [&str; 13] = [
    "x-ms-encryption-key",
    "x-ms-encryption-scope",
    "x-ms-source-encryption-key",
    "x-ms-if-tags",
    "x-ms-source-if-tags",
    "x-ms-content-crc64",
    "x-ms-structured-body",
    "x-ms-immutability-policy-until-date",
    "x-ms-immutability-policy-mode",
    "x-ms-legal-hold",
    "x-ms-source-content-crc64",
    "x-ms-source-content-md5",
    "x-ms-access-tier",
];

/// The version that a client asked for, if it is one.
pub(super) fn version(guest: &Guest) -> HeaderValue {
    let asked = guest.headers().get("x-ms-version");
    let is_date = |value: &&HeaderValue| {
        let bytes = value.as_bytes();
        bytes.len() == 10 && bytes.iter().all(|c| c.is_ascii_digit() || *c == b'-')
    };
    asked.filter(is_date).cloned().unwrap_or(VERSION)
}

/// A request.
pub(super) struct Visit {
    guest: Guest,
    /// The account, as the address names it.
    pub account: String,
    container: Option<ContainerName>,
    blob: Option<BlobName>,
    /// The query, decoded; each name once.
    pub pairs: Vec<(String, String)>,
}

impl Visit {
    /// Reads the address.
    pub(super) fn new(guest: Guest) -> Result<Self> {
        let bad_path = || invalid("InvalidUri", "the path of the address is not well formed");
        let routed = guest.path().strip_prefix("/blob/").ok_or_else(bad_path)?;
        let mut parts = routed.splitn(3, '/');
        let mut next = || parts.next().filter(|part| !part.is_empty()).map(|part| path::unescape(part, false));
        let account = next().flatten().ok_or_else(bad_path)?;
        let container = next().map(|name| name.ok_or_else(bad_path)).transpose()?;
        let blob = next().map(|name| name.ok_or_else(bad_path)).transpose()?;
        let container = container.map(|name| ContainerName::parse(&name)).transpose()?;
        let blob = blob.map(|name| BlobName::parse(&name)).transpose()?;
        let pairs = pairs_of(guest.query_text())?;
        for header in NOT_OFFERED {
            if guest.headers().contains_key(header) {
                return Err(invalid("UnsupportedHeader", format!("the header `{header}` is not supported")));
            }
        }
        Ok(Self { guest, account, container, blob, pairs })
    }

    /// The request itself.
    pub(super) fn guest(&self) -> &Guest {
        &self.guest
    }

    /// The house.
    pub(super) fn house(&self) -> &Arc<House> {
        self.guest.house()
    }

    /// A header as text.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.guest.header(name)
    }

    /// A parameter of the query; empty when it is not there.
    pub(super) fn query(&self, name: &str) -> &str {
        self.find(name).unwrap_or_default()
    }

    /// The same, where it is there. In any case, as Azure reads it: a `?VersionId=` that nobody saw would delete what is there now.
    pub(super) fn find(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// Who asks for this.
    pub(super) async fn arrive(&self, need: &Need) -> Result<Arrival> {
        let credential = authorization::of(self)?;
        let aim = Aim {
            account: &self.account,
            container: self.container.as_ref(),
            blob: self.blob.as_ref(),
            snapshot: self.query("snapshot"),
            version: self.query("versionid"),
        };
        arrive(self.house(), self.guest.source(), aim, credential, need).await
    }

    /// The container that is asked for.
    pub(super) fn in_account(&self, arrival: &Arrival) -> Result<InAccount> {
        let name = self.container.clone().ok_or_else(missing)?;
        Ok(InAccount { account: Arc::clone(&arrival.account), name })
    }

    /// The blob that is asked for.
    pub(super) fn in_container(&self, arrival: &Arrival) -> Result<InContainer> {
        let container = self.container.clone().ok_or_else(missing)?;
        let blob = self.blob.clone().ok_or_else(missing)?;
        Ok(InContainer { account: Arc::clone(&arrival.account), container, blob })
    }

    /// Which state of a blob is asked for.
    pub(super) fn moment(&self) -> Result<Moment> {
        moment_of(self.query("snapshot"), self.query("versionid"))
    }

    /// For writes: these are about the blob, so one that names a moment of it must not fall on what is there now.
    pub(super) fn refuse_snapshot(&self) -> Result<()> {
        let names_one = |name: &str| ["snapshot", "versionid"].iter().any(|moment| name.eq_ignore_ascii_case(moment));
        if self.pairs.iter().any(|(name, _)| names_one(name)) {
            return Err(invalid(
                "InvalidQueryParameterValue",
                "snapshots and versions are read and deleted, never written",
            ));
        }
        Ok(())
    }

    /// The service's own address, as this client knows it.
    pub(super) fn endpoint(&self) -> String {
        match self.guest.asked_as() {
            Some(asked) if asked.is_host_style => format!("https://{}/", asked.authority),
            _ => format!("{}/blob/{}/", self.house().settings().url, self.account),
        }
    }

    /// The container's name, for lists.
    pub(super) fn container_name(&self) -> &str {
        self.container.as_ref().map_or("", ContainerName::as_str)
    }

    /// The request on its own, to read its body.
    pub(super) fn into_guest(self) -> Guest {
        self.guest
    }

    /// A small body, whole.
    pub(super) async fn bytes(self, most: usize) -> Result<Bytes> {
        self.guest.bytes_to(most).await
    }
}

/// The state that a snapshot's time or a version names; one of them at most.
pub(super) fn moment_of(snapshot: &str, version: &str) -> Result<Moment> {
    let bad = |name: &str| {
        let why = format!("`{name}` must be the time of a {}, as it was told", name.trim_end_matches("id"));
        invalid("InvalidQueryParameterValue", why)
    };
    match (snapshot, version) {
        ("", "") => Ok(Moment::Now),
        (text, "") => parse_snapshot(text).map(Moment::Snapshot).ok_or_else(|| bad("snapshot")),
        ("", text) => parse_snapshot(text).map(Moment::Version).ok_or_else(|| bad("versionid")),
        _ => Err(invalid(
            "InvalidQueryParameterValue",
            "a blob is asked for by `snapshot` or by `versionid`, not by both",
        )),
    }
}

fn missing() -> Error {
    invalid("InvalidUri", "the address names no container or blob")
}

/// The pairs of a query. A name that comes twice means two things, so it is refused.
pub(super) fn pairs_of(query: &str) -> Result<Vec<(String, String)>> {
    let bad = || invalid("InvalidQueryParameterValue", "a parameter of the query is not well formed, or comes twice");
    let mut seen = BTreeSet::new();
    let mut pairs = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = path::unescape(name, false).ok_or_else(bad)?;
        // As clients sign it, and Azure reads it: `+` is a space.
        let value = path::unescape(value, true).ok_or_else(bad)?;
        if !seen.insert(name.to_ascii_lowercase()) {
            return Err(bad());
        }
        pairs.push((name, value));
    }
    Ok(pairs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_comes_once() {
        let pairs = pairs_of("a=1%2B+&b&c=%C3%BC").unwrap();
        let text: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(text, ["a=1+ ", "b=", "c=ü"]);
        for bad in ["sig=a&sig=b", "sig=a&SIG=a", "a=%", "a=%zz", "a=%ff"] {
            assert!(pairs_of(bad).is_err(), "{bad}");
        }
    }
}
