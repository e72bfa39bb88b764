//! Names in a registry: repositories, tags and digests, as the distribution specification writes them.

use std::{fmt, str::FromStr};

use kernel::{Error, Result};
use seal::{Sha256, Sha512, hex};
use serde::{Deserialize, Serialize};

use super::fault;

/// Longest name of a repository; what clients bound together with the host.
const LONGEST_NAME: usize = 255;
/// Longest tag.
const LONGEST_TAG: usize = 128;

/// The name of a repository: parts of lower-case letters and digits, with separators between them, joined by `/`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RepositoryName(String);

impl RepositoryName {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl FromStr for RepositoryName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        if text.len() <= LONGEST_NAME && text.split('/').all(is_part) {
            return Ok(Self(text.to_owned()));
        }
        let why = "a repository's name is lower-case letters and digits with single `.`, `_`, `__` or `-` between them, in parts joined by `/`, of at most 255 characters";
        Err(fault::invalid("NAME_INVALID", why))
    }
}

/// `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*`.
fn is_part(part: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if !part.starts_with(is_plain) || !part.ends_with(is_plain) {
        return false;
    }
    part.split(is_plain).all(|between| matches!(between, "" | "." | "_" | "__") || between.bytes().all(|c| c == b'-'))
}

/// A tag.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TagName(String);

impl TagName {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for TagName {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl FromStr for TagName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let is_first = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let is_later = |c: char| is_first(c) || c == '.' || c == '-';
        if text.starts_with(is_first) && text.len() <= LONGEST_TAG && text.chars().all(is_later) {
            return Ok(Self(text.to_owned()));
        }
        let why = "a tag is 1 to 128 letters, digits, `_`, `.` or `-`, not beginning with `.` or `-`";
        Err(fault::invalid("TAG_INVALID", why))
    }
}

/// What content is called by: `sha256:…` or `sha512:…`, in lower-case hex.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(String);

impl Digest {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The SHA-256 of some bytes, whose hex is this.
    pub(super) fn of_sha256(hex: &str) -> Self {
        Self(format!("sha256:{hex}"))
    }

    /// The digest of these bytes by the same algorithm.
    pub(super) fn of_same(&self, bytes: &[u8]) -> Self {
        let mut hash = self.hasher();
        hash.update(bytes);
        hash.finish()
    }

    /// A digest in the making, by the same algorithm.
    pub(super) fn hasher(&self) -> Hasher {
        if self.is_sha256() { Hasher::Sha256(Sha256::default()) } else { Hasher::Sha512(Sha512::default()) }
    }

    /// Whether it is what every stored object is measured by.
    pub(super) fn is_sha256(&self) -> bool {
        self.0.starts_with("sha256:")
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl FromStr for Digest {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let is_hex = |hex: &str| hex.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
        match text.split_once(':') {
            Some(("sha256", hex)) if hex.len() == 64 && is_hex(hex) => Ok(Self(text.to_owned())),
            Some(("sha512", hex)) if hex.len() == 128 && is_hex(hex) => Ok(Self(text.to_owned())),
            _ => Err(fault::invalid("DIGEST_INVALID", "a digest is `sha256:` or `sha512:` and lower-case hex")),
        }
    }
}

/// A digest in the making.
#[derive(Debug)]
pub(super) enum Hasher {
    Sha256(Sha256),
    Sha512(Sha512),
}

impl Hasher {
    /// Takes in more bytes.
    pub(super) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hash) => hash.update(bytes),
            Self::Sha512(hash) => hash.update(bytes),
        }
    }

    /// The digest.
    pub(super) fn finish(self) -> Digest {
        match self {
            Self::Sha256(hash) => Digest(format!("sha256:{}", hex(&hash.finish()))),
            Self::Sha512(hash) => Digest(format!("sha512:{}", hash.finish_hex())),
        }
    }
}

/// What a manifest is asked for by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reference {
    /// Its tag.
    Tag(TagName),
    /// Its digest.
    Digest(Digest),
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        // No tag has a colon, and every digest has one.
        if text.contains(':') { text.parse().map(Self::Digest) } else { text.parse().map(Self::Tag) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_the_specification_s_shapes() {
        let long = "a/".repeat(127) + "a";
        for good in ["a", "a/b/c", "a.b", "a_b", "a__b", "a-b", "a---b", "0/1", &long] {
            assert!(good.parse::<RepositoryName>().is_ok(), "{good}");
        }
        let longer = long.clone() + "aa";
        for bad in ["", "/", "a/", "/a", "a//b", "A", "a..b", "a___b", "a._b", "-a", "a-", "a b", "é", "..", &longer] {
            assert!(bad.parse::<RepositoryName>().is_err(), "{bad}");
        }
        let long = "t".repeat(128);
        for good in ["latest", "_x", "1.0-rc.1", "A", &long] {
            assert!(good.parse::<TagName>().is_ok(), "{good}");
        }
        let longer = "t".repeat(129);
        for bad in ["", ".a", "-a", "a/b", "a b", "a:b", "é", &longer] {
            assert!(bad.parse::<TagName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_digest_is_of_a_known_algorithm_and_of_its_length() {
        let (short, long) = (format!("sha256:{}", "0a".repeat(32)), format!("sha512:{}", "0a".repeat(64)));
        for good in [&short, &long] {
            assert_eq!(good.parse::<Reference>().unwrap(), Reference::Digest(good.parse().unwrap()));
        }
        let upper = short.to_uppercase().replace("SHA", "sha");
        for bad in [
            "sha256:",
            "sha256:baddigeststring",
            "md5:00",
            "sha256",
            short.get(..70).unwrap(),
            &upper,
            &(short.clone() + "0"),
        ] {
            assert!(bad.parse::<Digest>().is_err(), "{bad}");
        }
        assert_eq!(short.parse::<Digest>().unwrap().of_same(b"").as_str(), format!("sha256:{}", seal::sha256_hex(b"")));
        assert!(long.parse::<Digest>().unwrap().of_same(b"").as_str().starts_with("sha512:cf83e1357eefb8bd"));
    }
}
