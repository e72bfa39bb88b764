//! What is wrong with a template.

use std::fmt;

use kernel::{Error, Kind};

/// A template that makes no sense; Azure's code for it. The sentence quotes the template, never the value of a parameter.
pub(super) fn invalid(why: impl fmt::Display) -> Error {
    Error::new(Kind::Invalid, format!("the deployment template is not valid: {why}")).coded("InvalidTemplate")
}

/// A part of Azure's template language that is not offered.
pub(super) fn unsupported(what: impl fmt::Display) -> Error {
    Error::new(Kind::Unsupported, format!("{what} is not supported"))
}
