//! Headers: what must hold, what a blob is labelled with, and what is told of one.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use domain::storage::{
    Blob, Conditions, Container, ContentHeaders, Guard, Labels, Lease, Sas, Tag, http_date, invalid, lease_duration,
    lease_state, parse_http_date, snapshot_text,
};
use http::{HeaderMap, HeaderName, HeaderValue, header};
use kernel::{Result, Timestamp};
use uuid::Uuid;

use super::visit::{Visit, pairs_of};

fn bad(name: &str) -> kernel::Error {
    invalid("InvalidHeaderValue", format!("the value of the header `{name}` is not in the correct format"))
}

/// A header that must be text, where it is there.
pub(super) fn text<'a>(visit: &'a Visit, name: &str) -> Result<Option<&'a str>> {
    match visit.guest().headers().get(name) {
        None => Ok(None),
        Some(value) => value.to_str().map(Some).map_err(|_| bad(name)),
    }
}

/// A number.
pub(super) fn number<T: std::str::FromStr>(visit: &Visit, name: &str) -> Result<Option<T>> {
    text(visit, name)?.map(|text| text.trim().parse().map_err(|_| bad(name))).transpose()
}

/// A GUID, in any of Azure's spellings.
pub(super) fn guid(visit: &Visit, name: &str) -> Result<Option<Uuid>> {
    text(visit, name)?.map(|text| Uuid::parse_str(text.trim()).map_err(|_| bad(name))).transpose()
}

/// The text of a mark.
pub(super) fn etag(mark: u64) -> String {
    format!("\"0x{mark:016X}\"")
}

fn tag(text: &str) -> Tag {
    let text = text.trim();
    if text == "*" {
        return Tag::Any;
    }
    let bare = text.trim_matches('"');
    let mark = bare.strip_prefix("0x").filter(|digits| digits.len() == 16);
    mark.and_then(|digits| u64::from_str_radix(digits, 16).ok()).map_or(Tag::Foreign, Tag::One)
}

/// Conditions; `of` is empty, or `x-ms-source-` for those of a source.
pub(super) fn conditions(visit: &Visit, of: &str) -> Result<Conditions> {
    let time = |name: &str| -> Result<Option<i64>> {
        let name = format!("{of}{name}");
        let at = text(visit, &name)?.map(|text| parse_http_date(text).ok_or_else(|| bad(&name))).transpose()?;
        Ok(at.map(Timestamp::seconds))
    };
    let mark = |name: &str| -> Result<Option<Tag>> { Ok(text(visit, &format!("{of}{name}"))?.map(tag)) };
    Ok(Conditions {
        matches: mark("if-match")?,
        matches_not: mark("if-none-match")?,
        modified_since: time("if-modified-since")?,
        unmodified_since: time("if-unmodified-since")?,
    })
}

/// Conditions and lease.
pub(super) fn guard(visit: &Visit) -> Result<Guard> {
    Ok(Guard { conditions: conditions(visit, "")?, lease: guid(visit, "x-ms-lease-id")? })
}

/// `x-ms-meta-*`: names are those of C# there, so letters, digits and underscores.
pub(super) fn metadata(visit: &Visit) -> Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for (name, value) in visit.guest().headers() {
        let Some(own) = name.as_str().strip_prefix("x-ms-meta-") else { continue };
        let is_name = own.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '_')
            && own.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if !is_name {
            let why = "a name of metadata begins with a letter or `_` and has letters, digits and `_`";
            return Err(invalid("InvalidMetadata", why));
        }
        let value = value.to_str().map_err(|_| invalid("InvalidMetadata", "a value of metadata is not plain ASCII"))?;
        if found.insert(own.to_owned(), value.to_owned()).is_some() {
            return Err(invalid("InvalidMetadata", "a name of metadata comes twice"));
        }
    }
    Ok(found)
}

/// What downloads are to be labelled with, as `x-ms-blob-*` has it.
pub(super) fn content_headers(visit: &Visit) -> Result<ContentHeaders> {
    let own = |name: &str| -> Result<Option<String>> {
        Ok(text(visit, name)?.map(str::to_owned).filter(|text| !text.is_empty()))
    };
    let md5 = own("x-ms-blob-content-md5")?;
    if md5.as_deref().is_some_and(|text| digest(text).is_none()) {
        return Err(invalid("InvalidMd5", "the MD5 value is not base64 of 16 bytes"));
    }
    Ok(ContentHeaders {
        content_type: own("x-ms-blob-content-type")?,
        encoding: own("x-ms-blob-content-encoding")?,
        language: own("x-ms-blob-content-language")?,
        disposition: own("x-ms-blob-content-disposition")?,
        cache_control: own("x-ms-blob-cache-control")?,
        md5,
    })
}

/// All labels of a new blob. Of a whole blob's own request the plain headers say what `x-ms-blob-*` does not.
pub(super) fn labels(visit: &Visit, is_whole: bool) -> Result<Labels> {
    let mut headers = content_headers(visit)?;
    if is_whole {
        let plain = |name: &str| text(visit, name).map(|found| found.map(str::to_owned));
        headers.content_type = headers.content_type.or(plain("content-type")?);
        headers.encoding = headers.encoding.or(plain("content-encoding")?);
        headers.language = headers.language.or(plain("content-language")?);
        headers.cache_control = headers.cache_control.or(plain("cache-control")?);
    }
    let tags = pairs_of(text(visit, "x-ms-tags")?.unwrap_or_default())?.into_iter().collect();
    Ok(Labels { headers, metadata: metadata(visit)?, tags })
}

fn digest(text: &str) -> Option<[u8; 16]> {
    STANDARD.decode(text).ok()?.try_into().ok()
}

/// The MD5 that a body must have.
pub(super) fn content_md5(visit: &Visit) -> Result<Option<[u8; 16]>> {
    let wrong = || invalid("InvalidMd5", "the MD5 value is not base64 of 16 bytes");
    text(visit, "content-md5")?.map(|text| digest(text).ok_or_else(wrong)).transpose()
}

/// Headers of an answer.
#[derive(Default)]
pub(super) struct Answer(HeaderMap);

impl Answer {
    /// Adds one. What cannot be a header's value is left out.
    pub(super) fn set(&mut self, name: &'static str, value: &str) -> &mut Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.0.insert(HeaderName::from_static(name), value);
        }
        self
    }

    /// Adds one, where there is a value.
    pub(super) fn set_if(&mut self, name: &'static str, value: Option<&str>) -> &mut Self {
        if let Some(value) = value {
            self.set(name, value);
        }
        self
    }

    /// ETag and time of a version.
    pub(super) fn mark(&mut self, mark: u64, modified_at: Timestamp) -> &mut Self {
        self.set("etag", &etag(mark)).set("last-modified", &http_date(modified_at))
    }

    /// The version of a blob, where versions are kept.
    pub(super) fn version(&mut self, blob: &Blob) -> &mut Self {
        self.set_if("x-ms-version-id", blob.version.map(snapshot_text).as_deref())
    }

    fn metadata(&mut self, metadata: &BTreeMap<String, String>) {
        for (name, value) in metadata {
            let name = HeaderName::from_bytes(format!("x-ms-meta-{name}").as_bytes());
            if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
                self.0.insert(name, value);
            }
        }
    }

    fn lease(&mut self, lease: Option<&Lease>, now: Timestamp) {
        let state = lease_state(lease, now);
        self.set("x-ms-lease-state", state.word());
        self.set("x-ms-lease-status", if state.is_locked() { "locked" } else { "unlocked" });
        self.set_if("x-ms-lease-duration", lease_duration(lease, now));
    }

    /// All that is told of a container.
    pub(super) fn container(&mut self, container: &Container, now: Timestamp) -> &mut Self {
        self.mark(container.etag, container.modified_at).lease(container.lease.as_ref(), now);
        self.metadata(&container.metadata);
        self.set("x-ms-has-immutability-policy", "false").set("x-ms-has-legal-hold", "false")
    }

    /// All that is told of a blob; of a download that a signature changes, what it says.
    pub(super) fn blob(&mut self, blob: &Blob, now: Timestamp, sas: Option<&Sas>) -> &mut Self {
        let own = &blob.headers;
        let said = |name: &str, own: Option<&str>| sas.and_then(|sas| sas.answer(name)).or(own).map(str::to_owned);
        let content_type = said("rsct", own.content_type.as_deref());
        self.mark(blob.etag, blob.modified_at)
            .set("content-type", content_type.as_deref().unwrap_or("application/octet-stream"))
            .set_if("content-encoding", said("rsce", own.encoding.as_deref()).as_deref())
            .set_if("content-language", said("rscl", own.language.as_deref()).as_deref())
            .set_if("content-disposition", said("rscd", own.disposition.as_deref()).as_deref())
            .set_if("cache-control", said("rscc", own.cache_control.as_deref()).as_deref())
            .set("accept-ranges", "bytes")
            .set("x-ms-blob-type", blob.kind.word())
            .set("x-ms-creation-time", &http_date(blob.created_at))
            .set("x-ms-server-encrypted", "true")
            .lease(blob.lease.as_ref(), now);
        if blob.kind == domain::storage::BlobKind::Append {
            self.set("x-ms-blob-committed-block-count", &blob.blocks().to_string());
        }
        if !blob.tags.is_empty() {
            self.set("x-ms-tag-count", &blob.tags.len().to_string());
        }
        self.version(blob);
        if blob.version.is_some() && !blob.is_past {
            self.set("x-ms-is-current-version", "true");
        }
        if let Some(time) = blob.snapshot {
            self.set("x-ms-snapshot", &snapshot_text(time));
        }
        if let Some(copied) = &blob.copied {
            let progress = format!("{0}/{0}", blob.length);
            self.set("x-ms-copy-id", &copied.id.to_string())
                .set("x-ms-copy-source", &copied.source)
                .set("x-ms-copy-status", "success")
                .set("x-ms-copy-progress", &progress)
                .set("x-ms-copy-completion-time", &http_date(copied.at));
        }
        self.metadata(&blob.metadata);
        self
    }

    /// They alone.
    pub(super) fn take(&mut self) -> HeaderMap {
        std::mem::take(&mut self.0)
    }

    /// An answer with these headers and no body.
    pub(super) fn empty(&mut self, status: http::StatusCode) -> axum::response::Response {
        let mut response = super::done(status);
        response.headers_mut().extend(self.take());
        response
    }

    /// An answer with a document.
    pub(super) fn document(&mut self, text: String) -> axum::response::Response {
        self.set("content-type", "application/xml");
        let mut response = axum::response::Response::new(axum::body::Body::from(text));
        response.headers_mut().extend(self.take());
        response
    }
}

/// The size of a body, as the client says.
pub(super) fn content_length(visit: &Visit) -> Option<u64> {
    visit.guest().headers().get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}
