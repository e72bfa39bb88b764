//! Containers.

use axum::response::Response;
use domain::{
    gate::{enter, knock},
    storage::{
        ChangeContainer, ContainerChange, CreateContainer, DELETE_CONTAINER, DeleteContainer, GetContainer, LeaseAsk,
        Level, Need, Policy, READ_CONTAINER, WRITE_CONTAINER, invalid,
    },
};
use http::StatusCode;
use kernel::Result;

use super::{
    done,
    error::unsupported,
    headers::{Answer, conditions, guid, metadata},
    lease as leases,
    visit::Visit,
    xml::{self, Node, Xml},
};

const SEE: Need = Need::account(READ_CONTAINER, Level::Container, "r");
const MAKE: Need = Need::account(WRITE_CONTAINER, Level::Container, "cw");
const CHANGE: Need = Need::account(WRITE_CONTAINER, Level::Container, "w");
/// Who may delete may also break a lease, but not take one.
const BREAK: Need = Need::account(WRITE_CONTAINER, Level::Container, "wd");
const REMOVE: Need = Need::account(DELETE_CONTAINER, Level::Container, "d");
/// Who may sign is for those with a key, or the role: no signature may widen itself.
const SEE_POLICIES: Need = Need::account(READ_CONTAINER, Level::Container, "");
const SET_POLICIES: Need = Need::account(WRITE_CONTAINER, Level::Container, "");

/// `PUT ?restype=container`.
pub(super) async fn create(visit: Visit) -> Result<Response> {
    let arrival = visit.arrive(&MAKE).await?;
    refuse_public(&visit)?;
    let op = CreateContainer { at: visit.in_account(&arrival)?, metadata: metadata(&visit)? };
    let made = enter(visit.house(), &arrival.caller, op).await?;
    Ok(Answer::default().mark(made.etag, made.modified_at).empty(StatusCode::CREATED))
}

/// Nothing here is open to nobody, so whoever asks for that is told.
fn refuse_public(visit: &Visit) -> Result<()> {
    match visit.header("x-ms-blob-public-access") {
        None => Ok(()),
        Some(_) => {
            let fault = unsupported("Public access is not permitted on this storage account.");
            Err(fault.coded("PublicAccessNotPermitted"))
        }
    }
}

/// `GET ?restype=container`, and its labels alone.
pub(super) async fn get(visit: Visit) -> Result<Response> {
    let arrival = visit.arrive(&SEE).await?;
    let op = GetContainer { at: visit.in_account(&arrival)?, lease: guid(&visit, "x-ms-lease-id")? };
    let found = enter(visit.house(), &arrival.caller, op).await?;
    Ok(Answer::default().container(&found, visit.house().now()).empty(StatusCode::OK))
}

/// `PUT ?restype=container&comp=metadata`.
pub(super) async fn set_metadata(visit: Visit) -> Result<Response> {
    let arrival = visit.arrive(&CHANGE).await?;
    let op = ChangeContainer {
        at: visit.in_account(&arrival)?,
        change: ContainerChange::Metadata(metadata(&visit)?),
        conditions: conditions(&visit, "")?,
        lease: guid(&visit, "x-ms-lease-id")?,
    };
    let (now, _) = enter(visit.house(), &arrival.caller, op).await?;
    Ok(Answer::default().mark(now.etag, now.modified_at).empty(StatusCode::OK))
}

/// `PUT ?restype=container&comp=lease`.
pub(super) async fn lease(visit: Visit) -> Result<Response> {
    let ask = leases::ask(&visit)?;
    let arrival = visit.arrive(if matches!(ask, LeaseAsk::Break(_)) { &BREAK } else { &CHANGE }).await?;
    let at = visit.in_account(&arrival)?;
    let op =
        ChangeContainer { at, change: ContainerChange::Lease(ask), conditions: conditions(&visit, "")?, lease: None };
    let (now, answer) = enter(visit.house(), &arrival.caller, op).await?;
    Ok(leases::told(ask, answer, now.etag, now.modified_at))
}

/// `GET ?restype=container&comp=acl`: the stored policies.
pub(super) async fn get_policies(visit: Visit) -> Result<Response> {
    let arrival = visit.arrive(&SEE_POLICIES).await?;
    let op = GetContainer { at: visit.in_account(&arrival)?, lease: guid(&visit, "x-ms-lease-id")? };
    let found = enter(visit.house(), &arrival.caller, op).await?;
    let mut xml = Xml::begin("SignedIdentifiers");
    for policy in &found.policies {
        xml.open("SignedIdentifier");
        xml.leaf("Id", &policy.id);
        xml.open("AccessPolicy");
        for (name, text) in [("Start", &policy.start), ("Expiry", &policy.expiry), ("Permission", &policy.permission)] {
            xml.leaf_if(name, Some(text.as_str()).filter(|text| !text.is_empty()));
        }
        xml.close();
        xml.close();
    }
    Ok(Answer::default().mark(found.etag, found.modified_at).document(xml.end()))
}

/// `PUT ?restype=container&comp=acl`.
pub(super) async fn set_policies(visit: Visit) -> Result<Response> {
    let arrival = visit.arrive(&SET_POLICIES).await?;
    let at = visit.in_account(&arrival)?;
    knock::<ChangeContainer>(visit.house(), &arrival.caller, &arrival.account.container(&at.name)).await?;
    refuse_public(&visit)?;
    let (conditions, lease) = (conditions(&visit, "")?, guid(&visit, "x-ms-lease-id")?);
    let house = visit.house().clone();
    let bytes = visit.bytes(64 << 10).await?;
    let policies = if bytes.iter().all(u8::is_ascii_whitespace) {
        Vec::new()
    } else {
        xml::read(&bytes, "SignedIdentifiers", xml::FEW)?.children.iter().map(policy).collect::<Result<_>>()?
    };
    let change = ContainerChange::Policies(policies);
    let (now, _) = enter(&house, &arrival.caller, ChangeContainer { at, change, conditions, lease }).await?;
    Ok(Answer::default().mark(now.etag, now.modified_at).empty(StatusCode::OK))
}

fn policy(node: &Node) -> Result<Policy> {
    let id = node.text_of("Id").to_owned();
    let empty = Node::default();
    let said = node.child("AccessPolicy").unwrap_or(&empty);
    let policy = Policy {
        id,
        start: said.text_of("Start").to_owned(),
        expiry: said.text_of("Expiry").to_owned(),
        permission: said.text_of("Permission").to_owned(),
    };
    let fits = (1..=64).contains(&policy.id.len())
        && policy.permission.len() <= 20
        && policy.permission.chars().all(|c| c.is_ascii_lowercase())
        && [&policy.start, &policy.expiry].iter().all(|time| time.len() <= 40);
    if fits {
        return Ok(policy);
    }
    Err(invalid("InvalidXmlNodeValue", "a stored policy has a name of 1 to 64 characters, times, and letters"))
}

/// `DELETE ?restype=container`.
pub(super) async fn delete(visit: Visit) -> Result<Response> {
    let arrival = visit.arrive(&REMOVE).await?;
    let op = DeleteContainer {
        at: visit.in_account(&arrival)?,
        conditions: conditions(&visit, "")?,
        lease: guid(&visit, "x-ms-lease-id")?,
    };
    enter(visit.house(), &arrival.caller, op).await?;
    Ok(done(StatusCode::ACCEPTED))
}
