//! Who belongs to which group.

use axum::response::Response;
use domain::{
    gate::enter,
    identity::{AddGroupMember, GetUser, ListGroupMembers, ListMemberOf, RemoveGroupMember, UserKey},
};
use http::Method;
use kernel::{Error, PrincipalId};
use wire::graph;

use super::{Fault, done, objects::view, odata, root};
use crate::{Doors, Guest};

/// The doors of memberships.
pub(super) fn doors(doors: Doors) -> Doors {
    let group = "/graph/v1.0/groups/{group}";
    let mut doors = doors
        .open::<ListGroupMembers, _, _>(Method::GET, &format!("{group}/members"), list_members)
        .open::<ListGroupMembers, _, _>(Method::GET, &format!("{group}/transitiveMembers"), list_transitive_members)
        .open::<AddGroupMember, _, _>(Method::POST, &format!("{group}/members/$ref"), add_member)
        .open::<RemoveGroupMember, _, _>(Method::DELETE, &format!("{group}/members/{{member}}/$ref"), remove_member);
    for one in ["users/{user}", "groups/{group}", "servicePrincipals/{principal}"] {
        let one = format!("/graph/v1.0/{one}");
        doors = doors
            .open::<ListMemberOf, _, _>(Method::GET, &format!("{one}/memberOf"), list_member_of)
            .open::<ListMemberOf, _, _>(Method::GET, &format!("{one}/transitiveMemberOf"), list_transitive_member_of);
    }
    doors
}

async fn list_members(guest: Guest) -> Result<Response, Fault> {
    members(&guest, false).await
}

async fn list_transitive_members(guest: Guest) -> Result<Response, Fault> {
    members(&guest, true).await
}

async fn members(guest: &Guest, is_transitive: bool) -> Result<Response, Fault> {
    let caller = guest.admitted::<ListGroupMembers>(&root()).await?;
    let op = ListGroupMembers { group: guest.param("group")?, is_transitive, listing: odata::listing(guest)? };
    let found = enter(guest.house(), &caller, op).await?;
    Ok(odata::page(guest, found, view)?)
}

async fn list_member_of(guest: Guest) -> Result<Response, Fault> {
    member_of(&guest, false).await
}

async fn list_transitive_member_of(guest: Guest) -> Result<Response, Fault> {
    member_of(&guest, true).await
}

async fn member_of(guest: &Guest, is_transitive: bool) -> Result<Response, Fault> {
    let caller = guest.admitted::<ListMemberOf>(&root()).await?;
    let member = match guest.param::<UserKey>("user") {
        Ok(UserKey::Id(id)) => id,
        Ok(user) => enter(guest.house(), &caller, GetUser { user }).await?.id,
        Err(_) => guest.param("group").or_else(|_| guest.param("principal"))?,
    };
    let op = ListMemberOf { member, is_transitive, listing: odata::listing(guest)? };
    let found = enter(guest.house(), &caller, op).await?;
    Ok(odata::page(guest, found, view)?)
}

async fn add_member(guest: Guest) -> Result<Response, Fault> {
    let caller = guest.admitted::<AddGroupMember>(&root()).await?;
    let (house, group) = (guest.house().clone(), guest.param("group")?);
    let body: graph::Reference = guest.json().await?;
    enter(&house, &caller, AddGroupMember { group, member: referred(&body.odata_id)? }).await?;
    Ok(done())
}

async fn remove_member(guest: Guest) -> Result<Response, Fault> {
    let caller = guest.admitted::<RemoveGroupMember>(&root()).await?;
    let op = RemoveGroupMember { group: guest.param("group")?, member: guest.param("member")? };
    enter(guest.house(), &caller, op).await?;
    Ok(done())
}

/// The object id at the end of an address: `…/directoryObjects/{id}`, `…/users/{id}` and the like. Whose address it is does
/// not matter: an id is nobody else's.
fn referred(address: &str) -> Result<PrincipalId, Error> {
    let last = address.rsplit('/').next().unwrap_or_default();
    let why = "must be an address that ends in an object id, as `…/graph/v1.0/directoryObjects/{id}`";
    last.parse().map_err(|_| Error::invalid("@odata.id", why))
}
