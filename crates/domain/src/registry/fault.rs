//! Refusals by the codes of the distribution specification ("Error Codes").

use kernel::{Error, Kind};

/// What is not well formed, by its code.
pub fn invalid(code: &'static str, why: impl Into<String>) -> Error {
    Error::new(Kind::Invalid, why).coded(code)
}

/// There is no such blob in the repository.
pub(super) fn no_blob() -> Error {
    Error::not_found("the blob").coded("BLOB_UNKNOWN")
}

/// There is no such manifest in the repository.
pub(super) fn no_manifest() -> Error {
    Error::not_found("the manifest").coded("MANIFEST_UNKNOWN")
}

/// There is no such repository.
pub(super) fn no_repository() -> Error {
    Error::not_found("the repository").coded("NAME_UNKNOWN")
}

/// There is no such upload: it ended, was cancelled, or never was.
pub(super) fn no_upload() -> Error {
    Error::not_found("the upload").coded("BLOB_UPLOAD_UNKNOWN")
}

/// A chunk that does not go on where the upload stands.
pub(super) fn out_of_order() -> Error {
    let why = "the chunk does not begin where the upload stands; ask the upload for its range and go on from there";
    invalid("RANGE_INVALID", why)
}

/// The bytes are not what their digest says.
pub(super) fn other_digest() -> Error {
    invalid("DIGEST_INVALID", "the content does not have the digest that was given")
}

/// Others change the same all the time.
pub(super) fn too_fast() -> Error {
    Error::new(Kind::Throttled, "this changes too fast just now; try again").coded("TOOMANYREQUESTS")
}
