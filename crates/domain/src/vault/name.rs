//! Names of objects and of their versions.

use std::{fmt, str::FromStr};

use kernel::{Error, InvalidId, Result};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The longest name; Azure's bound.
const LONGEST: usize = 127;

/// The name of an object: letters, digits and `-`. Case is kept and does not count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectName(String);

impl ObjectName {
    /// Reads a name.
    ///
    /// # Errors
    /// `Invalid`.
    pub fn new(text: &str) -> Result<Self> {
        let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        if is_plain && (1..=LONGEST).contains(&text.len()) {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::invalid("name", format_args!("must be 1 to {LONGEST} letters, digits and `-`")))
    }

    /// The name as it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name for comparing.
    pub(super) fn folded(&self) -> String {
        self.0.to_ascii_lowercase()
    }
}

/// The name of one version: 32 hexadecimal digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct VersionId(Uuid);

impl VersionId {
    /// A fresh one; nobody can guess it.
    pub(super) fn random() -> Self {
        Self(Uuid::new_v4())
    }

    pub(super) fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}", self.0.as_simple())
    }
}

impl FromStr for VersionId {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        match Uuid::try_parse(text) {
            Ok(id) if text.len() == 32 => Ok(Self(id)),
            _ => Err(InvalidId { kind: "version", text: text.chars().take(80).collect() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_letters_digits_and_dashes() {
        for good in ["a", "A-1", "-", &"x".repeat(127)] {
            assert!(ObjectName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "a_b", "a.b", "a b", "ä", "a/b", "..", &"x".repeat(128)] {
            assert!(ObjectName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_version_has_32_digits() {
        let id = VersionId::random();
        assert_eq!(id.to_string().parse::<VersionId>().unwrap(), id);
        for bad in ["", "1", "6f9619ff-8b86-d011-b42d-00c04fc964ff", "zf9619ff8b86d011b42d00c04fc964ff"] {
            assert!(bad.parse::<VersionId>().is_err(), "{bad}");
        }
    }
}
