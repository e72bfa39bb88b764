//! Copying from an address: of this server alone, with what the source's own address shows. The source is read as whoever that
//! shows, and written as the caller.

use axum::response::Response;
use domain::{
    gate::{ByteStream, enter},
    storage::{
        Aim, Arrival, Blob, BlobKind, BlobName, Body, ContainerName, Copied, Credential, GetBlob, Guard, InContainer,
        Need, Opened, PutBlob, PutBlock, READ, Sas, Wanted, arrive, invalid,
    },
};
use http::{StatusCode, Uri};
use kernel::{Error, Result, Secret};
use uuid::Uuid;

use super::{
    block::staged,
    download::range_of,
    headers::{Answer, conditions, guard, guid, labels, text},
    upload::{MOST, PUT, knock_for, write},
    visit::{Visit, moment_of, pairs_of},
};
use crate::path;

fn refused(why: &str) -> Error {
    invalid("CannotVerifyCopySource", why)
}

/// A source: a blob of this server.
struct Source {
    account: String,
    container: ContainerName,
    blob: BlobName,
    pairs: Vec<(String, String)>,
    /// The address without its query, which may hold a signature.
    shown: String,
}

impl Source {
    fn read(visit: &Visit) -> Result<Self> {
        let text = text(visit, "x-ms-copy-source")?.unwrap_or_default();
        let uri: Uri = text.parse().map_err(|_| invalid("InvalidHeaderValue", "`x-ms-copy-source` is no address"))?;
        let elsewhere = || refused("a source must be a blob of this server; download it and send the bytes");
        let authority = uri.authority().ok_or_else(elsewhere)?;
        if uri.scheme_str() != Some("https") {
            return Err(elsewhere());
        }
        let settings = visit.house().settings();
        let suffix = format!(".blob.core.{}", settings.suffix.to_ascii_lowercase());
        let host = authority.host().to_ascii_lowercase();
        let is_here =
            settings.url.strip_prefix("https://").is_some_and(|here| here.eq_ignore_ascii_case(authority.as_str()));
        let own = host.strip_suffix(&suffix).filter(|name| !name.is_empty() && !name.contains('.'));
        let routed = match own {
            Some(account) => format!("{account}{}", uri.path()),
            None if is_here => uri.path().strip_prefix("/blob/").ok_or_else(elsewhere)?.to_owned(),
            None => return Err(elsewhere()),
        };
        let mut parts = routed.splitn(3, '/');
        let mut next = || parts.next().and_then(|part| path::unescape(part, false)).ok_or_else(elsewhere);
        let (account, container, blob) = (next()?, next()?, next()?);
        Ok(Self {
            account,
            container: ContainerName::parse(&container)?,
            blob: BlobName::parse(&blob)?,
            pairs: pairs_of(uri.query().unwrap_or_default())?,
            shown: format!("https://{authority}{}", uri.path()),
        })
    }

    fn query(&self, name: &str) -> &str {
        self.pairs.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map_or("", |(_, value)| value.as_str())
    }

    /// Opens the source as whoever its address, or a token for it, shows; a source in the same account may be read as the caller.
    async fn open(&self, visit: &Visit, wanted: Wanted) -> Result<Opened> {
        let credential = match (Sas::of(&self.pairs), text(visit, "x-ms-copy-source-authorization")?) {
            (Some(sas), None) => Credential::Sas(sas),
            (None, Some(header)) => {
                let token = header.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
                let token = token.ok_or_else(|| refused("`x-ms-copy-source-authorization` must be a bearer token"))?.1;
                Credential::Bearer(Secret::new(token.trim().to_owned()))
            }
            (None, None) if self.account.eq_ignore_ascii_case(&visit.account) => super::authorization::of(visit)?,
            _ => return Err(refused("the source needs a signature in its address, or a token of its own")),
        };
        let aim = Aim {
            account: &self.account,
            container: Some(&self.container),
            blob: Some(&self.blob),
            snapshot: self.query("snapshot"),
            version: self.query("versionid"),
        };
        let arrival = arrive(visit.house(), visit.guest().source(), aim, credential, &Need::blob(READ, "r")).await?;
        let moment = moment_of(self.query("snapshot"), self.query("versionid"))?;
        let at = InContainer {
            account: arrival.account.clone(),
            container: self.container.clone(),
            blob: self.blob.clone(),
        };
        let guard =
            Guard { conditions: conditions(visit, "x-ms-source-")?, lease: guid(visit, "x-ms-source-lease-id")? };
        enter(visit.house(), &arrival.caller, GetBlob { at, moment, wanted, guard }).await
    }
}

fn bytes_of(opened: Opened) -> Result<(Blob, ByteStream)> {
    let bytes = opened.bytes.ok_or_else(|| Error::internal("a source that was opened without its bytes"))?;
    Ok((opened.blob, bytes))
}

/// `PUT` with `x-ms-copy-source`: a copy of a whole blob. It is done when it is answered.
pub(super) async fn copy(visit: Visit) -> Result<Response> {
    let arrival = visit.arrive(&PUT).await?;
    knock_for::<PutBlob>(&visit, &arrival).await?;
    let source = Source::read(&visit)?;
    let kind = text(&visit, "x-ms-blob-type")?;
    if kind.is_some_and(|kind| kind != "BlockBlob") {
        return Err(invalid("InvalidHeaderValue", "a copy is a block blob: `x-ms-blob-type` must be `BlockBlob`"));
    }
    let is_put = kind.is_some();
    let (source_blob, bytes) = bytes_of(source.open(&visit, Wanted::Whole).await?)?;
    if source_blob.kind == BlobKind::Append {
        let why = "append blobs are not copied by address; download and send the bytes";
        return Err(invalid("InvalidBlobType", why));
    }
    let mut own = labels(&visit, false)?;
    let copies_labels = visit.header("x-ms-copy-source-blob-properties").is_none_or(|said| said != "false");
    if own.metadata.is_empty() {
        own.metadata.clone_from(&source_blob.metadata);
    }
    if copies_labels {
        let (from, to) = (&source_blob.headers, &mut own.headers);
        to.content_type = to.content_type.take().or_else(|| from.content_type.clone());
        to.encoding = to.encoding.take().or_else(|| from.encoding.clone());
        to.language = to.language.take().or_else(|| from.language.clone());
        to.disposition = to.disposition.take().or_else(|| from.disposition.clone());
        to.cache_control = to.cache_control.take().or_else(|| from.cache_control.clone());
    }
    own.headers.md5.clone_from(&source_blob.headers.md5);
    let id = Uuid::new_v4();
    let copied = Copied { id, source: source.shown.clone(), at: visit.house().now() };
    let blob = put(&visit, &arrival, bytes, own, copied).await?;
    let mut answer = Answer::default();
    answer.mark(blob.etag, blob.modified_at).version(&blob).set("x-ms-request-server-encrypted", "true");
    if is_put {
        return Ok(answer.empty(StatusCode::CREATED));
    }
    answer.set("x-ms-copy-id", &id.to_string()).set("x-ms-copy-status", "success");
    Ok(answer.empty(StatusCode::ACCEPTED))
}

async fn put(
    visit: &Visit,
    arrival: &Arrival,
    bytes: ByteStream,
    labels: domain::storage::Labels,
    copied: Copied,
) -> Result<Blob> {
    let body = Some(Body::new(bytes, MOST_COPIED));
    let (at, guard) = (visit.in_container(arrival)?, guard(visit)?);
    let op = PutBlob { at, kind: BlobKind::Block, body, labels, guard, copied: Some(copied) };
    write(visit.guest(), arrival, op).await
}

/// Bytes of a blob that is copied in one go. More is copied block by block.
const MOST_COPIED: u64 = 64 << 30;

/// `PUT ?comp=block` with `x-ms-copy-source`.
pub(super) async fn block(visit: Visit) -> Result<Response> {
    let arrival = visit.arrive(&PUT).await?;
    knock_for::<PutBlock>(&visit, &arrival).await?;
    let source = Source::read(&visit)?;
    let wanted = match text(&visit, "x-ms-source-range")? {
        None => Wanted::Whole,
        Some(range) => {
            range_of(range).ok_or_else(|| invalid("InvalidHeaderValue", "`x-ms-source-range` is no range"))?
        }
    };
    let (_, bytes) = bytes_of(source.open(&visit, wanted).await?)?;
    let id = visit.query("blockid").to_owned();
    let (at, guard) = (visit.in_container(&arrival)?, guard(&visit)?);
    let md5 = write(visit.guest(), &arrival, PutBlock { at, id, body: Body::new(bytes, MOST), guard }).await?;
    Ok(staged(md5.as_deref()))
}
