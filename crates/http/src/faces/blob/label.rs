//! What is said of a blob: labels, tags, leases, snapshots.

use axum::response::Response;
use domain::{
    gate::{enter, knock},
    storage::{
        Blob, BlobChange, ChangeBlob, GetTags, LeaseAsk, Need, READ_TAGS, SetTags, SnapshotBlob, WRITE, WRITE_TAGS,
        invalid, snapshot_text,
    },
};
use http::StatusCode;
use kernel::Result;

use super::{
    done,
    headers::{Answer, content_headers, guard, metadata},
    lease as leases,
    visit::Visit,
    xml::{self, Xml},
};

const CHANGE: Need = Need::blob(WRITE, "w");
/// Who may delete may also break a lease, but not take one: that would shut out every writer.
const BREAK: Need = Need::blob(WRITE, "wd");
const SNAPSHOT: Need = Need::blob(WRITE, "cw");

async fn change(visit: &Visit, change: BlobChange) -> Result<Blob> {
    let arrival = visit.arrive(&CHANGE).await?;
    let at = visit.in_container(&arrival)?;
    let op = ChangeBlob { at, change, guard: guard(visit)? };
    Ok(enter(visit.house(), &arrival.caller, op).await?.0)
}

fn changed(blob: &Blob) -> Response {
    Answer::default()
        .mark(blob.etag, blob.modified_at)
        .version(blob)
        .set("x-ms-request-server-encrypted", "true")
        .empty(StatusCode::OK)
}

/// `PUT ?comp=metadata`.
pub(super) async fn set_metadata(visit: Visit) -> Result<Response> {
    let metadata = metadata(&visit)?;
    Ok(changed(&change(&visit, BlobChange::Metadata(metadata)).await?))
}

/// `PUT ?comp=properties`: what is not said is taken away, as there.
pub(super) async fn set_headers(visit: Visit) -> Result<Response> {
    let headers = content_headers(&visit)?;
    Ok(changed(&change(&visit, BlobChange::Headers(headers)).await?))
}

/// `PUT ?comp=lease`.
pub(super) async fn lease(visit: Visit) -> Result<Response> {
    let ask = leases::ask(&visit)?;
    let arrival = visit.arrive(if matches!(ask, LeaseAsk::Break(_)) { &BREAK } else { &CHANGE }).await?;
    let at = visit.in_container(&arrival)?;
    let op = ChangeBlob { at, change: BlobChange::Lease(ask), guard: guard(&visit)? };
    let (blob, answer) = enter(visit.house(), &arrival.caller, op).await?;
    Ok(leases::told(ask, answer, blob.etag, blob.modified_at))
}

/// `PUT ?comp=snapshot`.
pub(super) async fn snapshot(visit: Visit) -> Result<Response> {
    let arrival = visit.arrive(&SNAPSHOT).await?;
    let at = visit.in_container(&arrival)?;
    let op = SnapshotBlob { at, metadata: metadata(&visit)?, guard: guard(&visit)? };
    let made = enter(visit.house(), &arrival.caller, op).await?;
    Ok(Answer::default()
        .mark(made.etag, made.modified_at)
        .set("x-ms-snapshot", &made.snapshot.map(snapshot_text).unwrap_or_default())
        .set("x-ms-request-server-encrypted", "true")
        .empty(StatusCode::CREATED))
}

/// `GET ?comp=tags`.
pub(super) async fn get_tags(visit: Visit) -> Result<Response> {
    let arrival = visit.arrive(&Need::blob(READ_TAGS, "t")).await?;
    let op = GetTags { at: visit.in_container(&arrival)?, moment: visit.moment()? };
    let tags = enter(visit.house(), &arrival.caller, op).await?;
    let mut xml = Xml::begin("Tags");
    tag_set(&mut xml, &tags);
    Ok(Answer::default().document(xml.end()))
}

/// Tags as lists and answers show them.
pub(super) fn tag_set(xml: &mut Xml, tags: &std::collections::BTreeMap<String, String>) {
    xml.open("TagSet");
    for (name, value) in tags {
        xml.open("Tag");
        xml.leaf("Key", name);
        xml.leaf("Value", value);
        xml.close();
    }
    xml.close();
}

/// `PUT ?comp=tags`.
pub(super) async fn set_tags(visit: Visit) -> Result<Response> {
    let arrival = visit.arrive(&Need::blob(WRITE_TAGS, "t")).await?;
    let (at, guard) = (visit.in_container(&arrival)?, guard(&visit)?);
    knock::<SetTags>(visit.house(), &arrival.caller, &arrival.account.container(&at.container)).await?;
    let house = visit.house().clone();
    let document = xml::read(&visit.bytes(64 << 10).await?, "Tags", xml::FEW)?;
    let mut tags = std::collections::BTreeMap::new();
    for tag in document.child("TagSet").map(|set| set.children.as_slice()).unwrap_or_default() {
        let value = tag.child("Value").map_or("", |value| value.text.as_str());
        if tags.insert(tag.text_of("Key").to_owned(), value.to_owned()).is_some() {
            return Err(invalid("InvalidTag", "a tag's name comes twice"));
        }
    }
    enter(&house, &arrival.caller, SetTags { at, tags, guard }).await?;
    Ok(done(StatusCode::NO_CONTENT))
}
