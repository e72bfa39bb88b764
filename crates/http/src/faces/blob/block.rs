//! Blocks and their lists.

use axum::response::Response;
use domain::{
    gate::{enter, knock},
    storage::{From, GetBlockList, Need, PutBlock, PutBlockList, READ, invalid},
};
use http::StatusCode;
use kernel::Result;

use super::{
    headers::{Answer, guard, labels},
    upload::{PUT, body, created, knock_for, write},
    visit::Visit,
    xml::{self, Xml},
};

/// Bytes of a list: 50,000 of the longest ids, each in its element.
const LONGEST_LIST: usize = 8 << 20;
/// Its elements: the root, 50,000 blocks, and one beyond, so that a list that is too long is told so.
const MOST_ELEMENTS: usize = 50_002;

/// `PUT ?comp=block`.
pub(super) async fn put(visit: Visit) -> Result<Response> {
    let arrival = visit.arrive(&PUT).await?;
    knock_for::<PutBlock>(&visit, &arrival).await?;
    let (at, guard, id) = (visit.in_container(&arrival)?, guard(&visit)?, visit.query("blockid").to_owned());
    domain::storage::check_block_id(&id)?;
    let (guest, body) = body(visit, false)?;
    let md5 = write(&guest, &arrival, PutBlock { at, id, body, guard }).await?;
    Ok(staged(md5.as_deref()))
}

/// What a staged block is answered with.
pub(super) fn staged(md5: Option<&str>) -> Response {
    Answer::default().set("x-ms-request-server-encrypted", "true").set_if("content-md5", md5).empty(StatusCode::CREATED)
}

/// `PUT ?comp=blocklist`.
pub(super) async fn put_list(visit: Visit) -> Result<Response> {
    let arrival = visit.arrive(&PUT).await?;
    knock_for::<PutBlockList>(&visit, &arrival).await?;
    let (at, guard, labels) = (visit.in_container(&arrival)?, guard(&visit)?, labels(&visit, false)?);
    let shell = visit.guest().shell();
    let sent = super::headers::content_md5(&visit)?;
    let bytes = visit.bytes(LONGEST_LIST).await?;
    if sent.is_some_and(|sent| base64_of(&sent) != domain::storage::md5_of(&bytes)) {
        return Err(invalid("Md5Mismatch", "The MD5 value specified in the request did not match with the body."));
    }
    let document = xml::read(&bytes, "BlockList", MOST_ELEMENTS)?;
    let mut list = Vec::with_capacity(document.children.len());
    for node in document.children {
        let from = match node.name.as_str() {
            "Committed" => From::Committed,
            "Uncommitted" => From::Uncommitted,
            "Latest" => From::Latest,
            _ => return Err(invalid("InvalidXmlNodeValue", "a block is `Committed`, `Uncommitted` or `Latest`")),
        };
        list.push((from, node.text.trim().to_owned()));
    }
    let blob = write(&shell, &arrival, PutBlockList { at, list, labels, guard }).await?;
    Ok(created(&blob))
}

fn base64_of(bytes: &[u8]) -> String {
    use base64::{Engine, engine::general_purpose::STANDARD};
    STANDARD.encode(bytes)
}

/// `GET ?comp=blocklist`.
pub(super) async fn get_list(visit: Visit) -> Result<Response> {
    let arrival = visit.arrive(&Need::blob(READ, "r")).await?;
    let at = visit.in_container(&arrival)?;
    knock::<GetBlockList>(visit.house(), &arrival.caller, &arrival.account.container(&at.container)).await?;
    let (shows_committed, shows_uncommitted) = match visit.query("blocklisttype").to_ascii_lowercase().as_str() {
        "" | "committed" => (true, false),
        "uncommitted" => (false, true),
        "all" => (true, true),
        _ => {
            let why = "`blocklisttype` must be `committed`, `uncommitted` or `all`";
            return Err(invalid("InvalidQueryParameterValue", why));
        }
    };
    let op = GetBlockList { at, moment: visit.moment()?, guard: guard(&visit)? };
    let lists = enter(visit.house(), &arrival.caller, op).await?;
    let mut xml = Xml::begin("BlockList");
    let parts = [
        ("CommittedBlocks", shows_committed, &lists.committed),
        ("UncommittedBlocks", shows_uncommitted, &lists.uncommitted),
    ];
    for (name, is_shown, blocks) in parts {
        if is_shown {
            xml.open(name);
            for (id, size) in blocks {
                xml.open("Block");
                xml.leaf("Name", id);
                xml.leaf("Size", &size.to_string());
                xml.close();
            }
            xml.close();
        }
    }
    let mut answer = Answer::default();
    if let Some(blob) = &lists.blob {
        answer.mark(blob.etag, blob.modified_at).set("x-ms-blob-content-length", &blob.length.to_string());
    }
    Ok(answer.document(xml.end()))
}
