//! Groups.

use axum::response::{IntoResponse, Response};
use domain::{
    gate::enter,
    identity::{CreateGroup, DeleteGroup, GetGroup, GroupForm, GroupView, ListGroups, UpdateGroup},
};
use http::{Method, StatusCode};
use kernel::{Error, Kind};
use wire::graph;

use super::{Fault, done, odata, root};
use crate::{Doors, Guest};

/// The doors of groups.
pub(super) fn doors(doors: Doors) -> Doors {
    let (all, one) = ("/graph/v1.0/groups", "/graph/v1.0/groups/{group}");
    doors
        .open::<ListGroups, _, _>(Method::GET, all, list_groups)
        .open::<CreateGroup, _, _>(Method::POST, all, create_group)
        .open::<GetGroup, _, _>(Method::GET, one, get_group)
        .open::<UpdateGroup, _, _>(Method::PATCH, one, update_group)
        .open::<DeleteGroup, _, _>(Method::DELETE, one, delete_group)
}

fn view(group: &GroupView) -> graph::Group {
    graph::Group {
        id: group.id.to_string(),
        display_name: group.name.clone(),
        description: group.description.clone(),
        mail_nickname: group.nickname.clone(),
        mail_enabled: false,
        security_enabled: true,
        group_types: Vec::new(),
        created_date_time: group.created_at.rfc3339(),
    }
}

fn form(body: graph::GroupForm) -> Result<GroupForm, Error> {
    let is_plain = body.mail_enabled != Some(true)
        && body.security_enabled != Some(false)
        && body.group_types.is_none_or(|types| types.is_empty());
    if !is_plain {
        let why = "groups here are for giving rights: `mailEnabled` false, `securityEnabled` true, no `groupTypes`";
        return Err(Error::new(Kind::Unsupported, why));
    }
    Ok(GroupForm { name: body.display_name, description: body.description, nickname: body.mail_nickname })
}

async fn list_groups(guest: Guest) -> Result<Response, Fault> {
    let caller = guest.admitted::<ListGroups>(&root()).await?;
    let found = enter(guest.house(), &caller, ListGroups { listing: odata::listing(&guest)? }).await?;
    Ok(odata::page(&guest, found, view)?)
}

async fn create_group(guest: Guest) -> Result<Response, Fault> {
    let house = guest.house().clone();
    let caller = guest.admitted::<CreateGroup>(&root()).await?;
    let made = enter(&house, &caller, CreateGroup { form: form(guest.json().await?)? }).await?;
    Ok((StatusCode::CREATED, axum::Json(view(&made))).into_response())
}

async fn get_group(guest: Guest) -> Result<Response, Fault> {
    let found =
        enter(guest.house(), &guest.admitted::<GetGroup>(&root()).await?, GetGroup { group: guest.param("group")? })
            .await?;
    Ok(odata::entity(&guest, StatusCode::OK, &view(&found))?)
}

async fn update_group(guest: Guest) -> Result<Response, Fault> {
    let caller = guest.admitted::<UpdateGroup>(&root()).await?;
    let (house, group) = (guest.house().clone(), guest.param("group")?);
    enter(&house, &caller, UpdateGroup { group, form: form(guest.json().await?)? }).await?;
    Ok(done())
}

async fn delete_group(guest: Guest) -> Result<Response, Fault> {
    enter(guest.house(), &guest.admitted::<DeleteGroup>(&root()).await?, DeleteGroup { group: guest.param("group")? })
        .await?;
    Ok(done())
}
