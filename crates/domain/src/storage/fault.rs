//! Refusals by the codes of Azure's Blob service (REST, "Blob service error codes").

use kernel::{Error, Kind};

fn coded(kind: Kind, code: &'static str, why: &str) -> Error {
    Error::new(kind, why).coded(code)
}

pub(super) fn no_container() -> Error {
    coded(Kind::NotFound, "ContainerNotFound", "The specified container does not exist.")
}

pub(super) fn no_blob() -> Error {
    coded(Kind::NotFound, "BlobNotFound", "The specified blob does not exist.")
}

pub(super) fn container_exists() -> Error {
    coded(Kind::Exists, "ContainerAlreadyExists", "The specified container already exists.")
}

pub(super) fn blob_exists() -> Error {
    coded(Kind::Exists, "BlobAlreadyExists", "The specified blob already exists.")
}

pub(super) fn not_met() -> Error {
    coded(Kind::Stale, "ConditionNotMet", "The condition specified using HTTP conditional header(s) is not met.")
}

pub(super) fn not_modified() -> Error {
    coded(Kind::Stale, "NotModified", "The condition specified using HTTP conditional header(s) is not met.")
}

/// Two wrote the same at once, again and again.
pub(super) fn too_fast() -> Error {
    coded(Kind::Throttled, "ServerBusy", "the blob changes too fast; try again")
}

pub(super) fn wrong_kind() -> Error {
    coded(Kind::Conflict, "InvalidBlobType", "The blob type is invalid for this operation.")
}

pub(super) fn bad_list() -> Error {
    coded(Kind::Invalid, "InvalidBlockList", "The specified block list is invalid.")
}

pub(super) fn conflict(code: &'static str, why: &str) -> Error {
    coded(Kind::Conflict, code, why)
}

pub(super) fn lease(code: &'static str, why: &str) -> Error {
    coded(Kind::Stale, code, why)
}

/// An address, header or parameter that is not what it must be.
pub fn invalid(code: &'static str, why: impl Into<String>) -> Error {
    Error::new(Kind::Invalid, why).coded(code)
}

/// A credential that proves nothing; why, as far as it helps whoever made it and nobody else.
pub(super) fn unproven(why: &str) -> Error {
    let why = format!("Server failed to authenticate the request: {why}.");
    Error::new(Kind::Denied, why).coded("AuthenticationFailed")
}

/// A credential that was proved and is not for this.
pub(super) fn not_for_this(code: &'static str, why: &str) -> Error {
    coded(Kind::Denied, code, why)
}
