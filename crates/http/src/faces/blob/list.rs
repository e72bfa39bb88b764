//! Lists of blobs.

use axum::response::Response;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use domain::{
    gate::{enter, knock},
    storage::{
        Blob, Entry, Include, Level, ListBlobs, MOST_LISTED, Need, Place, READ, http_date, invalid, lease_duration,
        lease_state, snapshot_text,
    },
};
use kernel::{Result, Timestamp};

use super::{
    headers::{Answer, etag},
    label::tag_set,
    visit::Visit,
    xml::Xml,
};

/// Listing may be signed for, alone among what is asked of a container.
const LIST: Need = Need { action: READ, level: Level::Container, letters: "l", own_letters: "l", adding: None };

/// What lists may include; what is not there is not refused, since nothing is hidden by its absence.
const KNOWN: [&str; 10] = [
    "snapshots",
    "metadata",
    "uncommittedblobs",
    "copy",
    "deleted",
    "tags",
    "versions",
    "deletedwithversions",
    "immutabilitypolicy",
    "legalhold",
];

/// `GET ?restype=container&comp=list`.
pub(super) async fn blobs(visit: Visit) -> Result<Response> {
    let arrival = visit.arrive(&LIST).await?;
    let at = visit.in_account(&arrival)?;
    knock::<ListBlobs>(visit.house(), &arrival.caller, &arrival.account.container(&at.name)).await?;
    let words: Vec<&str> = visit.query("include").split(',').filter(|word| !word.is_empty()).collect();
    if let Some(word) = words.iter().find(|word| !KNOWN.contains(word)) {
        let why = format!("`include`: `{}` is not known", word.chars().take(40).collect::<String>());
        return Err(invalid("InvalidQueryParameterValue", why));
    }
    let has = |word: &str| words.contains(&word);
    let delimiter = visit.find("delimiter").filter(|delimiter| !delimiter.is_empty()).map(str::to_owned);
    if (has("snapshots") || has("versions")) && delimiter.is_some() {
        return Err(invalid("InvalidQueryParameterValue", "snapshots and versions are listed without a delimiter"));
    }
    let most = most(&visit)?;
    let from = match visit.query("marker") {
        "" => None,
        marker => Some(
            read_marker(marker).ok_or_else(|| invalid("InvalidQueryParameterValue", "`marker` is not one of ours"))?,
        ),
    };
    let op = ListBlobs {
        at,
        prefix: visit.query("prefix").to_owned(),
        delimiter: delimiter.clone(),
        from,
        most,
        include: Include {
            snapshots: has("snapshots"),
            uncommitted: has("uncommittedblobs"),
            deleted: has("deleted"),
            versions: has("versions"),
        },
    };
    let page = enter(visit.house(), &arrival.caller, op).await?;
    let attributes = [("ServiceEndpoint", visit.endpoint()), ("ContainerName", visit.container_name().to_owned())];
    let attributes = [(attributes[0].0, attributes[0].1.as_str()), (attributes[1].0, attributes[1].1.as_str())];
    let mut xml = Xml::begin_with("EnumerationResults", &attributes);
    xml.leaf_if("Prefix", visit.find("prefix"));
    xml.leaf_if("Marker", visit.find("marker"));
    xml.leaf("MaxResults", &most.to_string());
    xml.leaf_if("Delimiter", delimiter.as_deref());
    xml.open("Blobs");
    let shows =
        Shows { metadata: has("metadata"), tags: has("tags"), versions: has("versions"), now: visit.house().now() };
    for entry in &page.entries {
        match entry {
            Entry::Blob(blob) => shows.blob(&mut xml, blob),
            Entry::Uncommitted(name) => uncommitted(&mut xml, name),
            Entry::Prefix(name) => {
                xml.open("BlobPrefix");
                xml.leaf("Name", name);
                xml.close();
            }
        }
    }
    xml.close();
    xml.leaf("NextMarker", &page.next.as_ref().map(marker).unwrap_or_default());
    Ok(Answer::default().document(xml.end()))
}

/// `maxresults`, cut at what a page holds.
pub(super) fn most(visit: &Visit) -> Result<usize> {
    let bad = || invalid("OutOfRangeQueryParameterValue", "`maxresults` must be at least 1");
    match visit.query("maxresults") {
        "" => Ok(MOST_LISTED),
        text => text.parse::<usize>().ok().filter(|most| *most > 0).map(|most| most.min(MOST_LISTED)).ok_or_else(bad),
    }
}

fn marker(place: &Place) -> String {
    URL_SAFE_NO_PAD.encode(format!("2\n{}\n{}\n{}", place.time, place.rank, place.name))
}

fn read_marker(text: &str) -> Option<Place> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
    let (time, rest) = text.strip_prefix("2\n")?.split_once('\n')?;
    let (rank, name) = rest.split_once('\n')?;
    Some(Place { name: name.to_owned(), time: time.parse().ok()?, rank: rank.parse().ok()? })
}

fn uncommitted(xml: &mut Xml, name: &str) {
    xml.open("Blob");
    xml.leaf("Name", name);
    xml.open("Properties");
    xml.leaf("Content-Length", "0");
    xml.leaf("BlobType", "BlockBlob");
    xml.close();
    xml.close();
}

struct Shows {
    metadata: bool,
    tags: bool,
    versions: bool,
    now: Timestamp,
}

impl Shows {
    fn blob(&self, xml: &mut Xml, blob: &Blob) {
        xml.open("Blob");
        xml.leaf("Name", &blob.name);
        if blob.deletion.is_some() {
            xml.leaf("Deleted", "true");
        }
        if let Some(time) = blob.snapshot {
            xml.leaf("Snapshot", &snapshot_text(time));
        }
        if let Some(version) = blob.version.filter(|_| self.versions) {
            xml.leaf("VersionId", &snapshot_text(version));
            if !blob.is_past && blob.deletion.is_none() {
                xml.leaf("IsCurrentVersion", "true");
            }
        }
        xml.open("Properties");
        self.properties(xml, blob);
        xml.close();
        if self.metadata {
            xml.open("Metadata");
            for (name, value) in &blob.metadata {
                xml.leaf(name, value);
            }
            xml.close();
        }
        if self.tags && !blob.tags.is_empty() {
            xml.open("Tags");
            tag_set(xml, &blob.tags);
            xml.close();
        }
        xml.close();
    }

    fn properties(&self, xml: &mut Xml, blob: &Blob) {
        let headers = &blob.headers;
        xml.leaf("Creation-Time", &http_date(blob.created_at));
        xml.leaf("Last-Modified", &http_date(blob.modified_at));
        xml.leaf("Etag", etag(blob.etag).trim_matches('"'));
        xml.leaf("Content-Length", &blob.length.to_string());
        xml.leaf("Content-Type", headers.content_type.as_deref().unwrap_or("application/octet-stream"));
        xml.leaf("Content-Encoding", headers.encoding.as_deref().unwrap_or_default());
        xml.leaf("Content-Language", headers.language.as_deref().unwrap_or_default());
        xml.leaf("Content-MD5", headers.md5.as_deref().unwrap_or_default());
        xml.leaf("Cache-Control", headers.cache_control.as_deref().unwrap_or_default());
        xml.leaf("Content-Disposition", headers.disposition.as_deref().unwrap_or_default());
        xml.leaf("BlobType", blob.kind.word());
        if blob.snapshot.is_none() && !blob.is_past && blob.deletion.is_none() {
            let state = lease_state(blob.lease.as_ref(), self.now);
            xml.leaf("LeaseStatus", if state.is_locked() { "locked" } else { "unlocked" });
            xml.leaf("LeaseState", state.word());
            xml.leaf_if("LeaseDuration", lease_duration(blob.lease.as_ref(), self.now));
        }
        if let Some(deletion) = &blob.deletion {
            let left = deletion.until.since(self.now).as_secs().div_euclid(24 * 3600);
            xml.leaf("DeletedTime", &http_date(deletion.at));
            xml.leaf("RemainingRetentionDays", &left.to_string());
        }
        if let Some(copied) = &blob.copied {
            xml.leaf("CopyId", &copied.id.to_string());
            xml.leaf("CopySource", &copied.source);
            xml.leaf("CopyStatus", "success");
            xml.leaf("CopyProgress", &format!("{0}/{0}", blob.length));
            xml.leaf("CopyCompletionTime", &http_date(copied.at));
        }
        if !blob.tags.is_empty() {
            xml.leaf("TagCount", &blob.tags.len().to_string());
        }
        xml.leaf("ServerEncrypted", "true");
    }
}
