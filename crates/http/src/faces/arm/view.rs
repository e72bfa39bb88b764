//! From domain resources to ARM's envelope.

use axum::response::{IntoResponse, Response};
use domain::{
    gate::Row,
    resources::{Precondition, Resource, ResourceType, SystemData},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use kernel::{Error, ResourceId, Result};
use serde::Serialize;
use wire::arm;

use crate::Guest;

/// The envelope of a resource with these properties.
pub(crate) fn show<P: ResourceType, V>(row: &Row<Resource<P>>, properties: V) -> arm::Resource<V> {
    let resource = &row.value;
    arm::Resource {
        id: resource.id.to_string(),
        name: resource.id.name().to_owned(),
        kind: P::TYPE.to_owned(),
        location: (!resource.location.is_empty()).then(|| resource.location.clone()),
        tags: resource.tags.clone(),
        etag: Some(etag(row.version)),
        identity: None,
        sku: None,
        subkind: None,
        system_data: Some(system_data(&resource.system)),
        properties,
    }
}

fn system_data(data: &SystemData) -> arm::SystemData {
    arm::SystemData {
        created_by: data.created_by.clone(),
        created_by_type: data.created_by_type.clone(),
        created_at: data.created_at.rfc3339(),
        last_modified_by: data.last_modified_by.clone(),
        last_modified_by_type: data.last_modified_by_type.clone(),
        last_modified_at: data.last_modified_at.rfc3339(),
    }
}

/// The ETag of a version.
pub(crate) fn etag(version: u64) -> String {
    format!("\"{version:x}\"")
}

/// A single resource as an answer, with its ETag.
pub(crate) fn named<V: Serialize>(status: StatusCode, resource: arm::Resource<V>) -> Response {
    let mut headers = HeaderMap::new();
    if let Some(tag) = resource.etag.as_deref().and_then(|tag| HeaderValue::from_str(tag).ok()) {
        headers.insert(header::ETAG, tag);
    }
    (status, headers, axum::Json(resource)).into_response()
}

/// A list as an answer: all on one page.
pub(crate) fn list<V: Serialize>(value: Vec<V>) -> Response {
    axum::Json(arm::List { value, next_link: None }).into_response()
}

/// `If-Match` and `If-None-Match: *`. A header that cannot be read is refused, never taken for absent.
pub(crate) fn precondition(guest: &Guest) -> Result<Precondition> {
    let mut wanted = Precondition::default();
    match only(guest, "If-Match")? {
        None => {}
        Some("*") => wanted.present = true,
        // A tag that is none of ours, or a weak one, matches no version.
        Some(tag) => wanted.version = Some(u64::from_str_radix(tag.trim_matches('"'), 16).unwrap_or(u64::MAX)),
    }
    match only(guest, "If-None-Match")? {
        None => {}
        Some("*") => wanted.absent = true,
        Some(_) => return Err(Error::invalid("If-None-Match", "only `*` is supported")),
    }
    Ok(wanted)
}

/// The one value of a header.
fn only<'a>(guest: &'a Guest, name: &str) -> Result<Option<&'a str>> {
    let mut values = guest.headers().get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|why| Error::invalid(name, why)),
        (Some(_), Some(_)) => Err(Error::invalid(name, "comes more than once")),
    }
}

/// A field that holds a resource id.
pub(crate) fn id_field(field: &str, text: Option<String>) -> Result<Option<ResourceId>> {
    text.map(|text| text.parse().map_err(|why| Error::invalid(field, why))).transpose()
}
