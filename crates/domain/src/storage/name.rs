//! Names of containers and blobs (REST, "Naming and referencing containers, blobs, and metadata").

use kernel::Result;

use super::fault::invalid;

/// Characters of a blob's name, at most.
const MOST: usize = 1024;
/// Names between the slashes of a blob's name, at most.
const MOST_SEGMENTS: usize = 254;

/// The name of a container: 3 to 63 lowercase letters, digits and single hyphens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ContainerName(String);

impl ContainerName {
    /// Reads a name.
    ///
    /// # Errors
    /// `InvalidResourceName` for what no container can be called; `$root`, `$web` and `$logs` are not offered.
    pub fn parse(text: &str) -> Result<Self> {
        let is_plain = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit();
        let fits = (3..=63).contains(&text.len())
            && text.bytes().all(|c| is_plain(c) || c == b'-')
            && !text.starts_with('-')
            && !text.ends_with('-')
            && !text.contains("--");
        if fits {
            return Ok(Self(text.to_owned()));
        }
        Err(invalid(
            "InvalidResourceName",
            "a container's name has 3 to 63 lowercase letters, digits and single hyphens between them",
        ))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The name of a blob: any text of 1 to 1,024 characters. Slashes in it are for listings alone.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BlobName(String);

impl BlobName {
    /// Reads a name, decoded.
    ///
    /// # Errors
    /// `InvalidResourceName` for one that is empty or too long, for control characters, and for `.` or `..` between slashes:
    /// clients on the way would resolve them.
    pub fn parse(text: &str) -> Result<Self> {
        let is_strange = |c: char| c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}');
        let dotted = text.split(['/', '\\']).any(|part| matches!(part, "." | ".."));
        let fits = !text.is_empty()
            && text.chars().count() <= MOST
            && text.split('/').count() <= MOST_SEGMENTS
            && !text.chars().any(is_strange)
            && !dotted;
        if fits {
            return Ok(Self(text.to_owned()));
        }
        Err(invalid(
            "InvalidResourceName",
            "a blob's name has 1 to 1,024 characters, no control characters, and no `.` or `..` between slashes",
        ))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_what_azure_takes() {
        for good in ["abc", "a-b", "0a0", &"a".repeat(63)] {
            assert!(ContainerName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", "ab", "Abc", "-ab", "ab-", "a--b", "a_b", "$root", "a.b", "ä12", &"a".repeat(64)] {
            assert_eq!(ContainerName::parse(bad).unwrap_err().code(), Some("InvalidResourceName"), "{bad}");
        }
        for good in ["a", "a b+ü%.txt", "a//b", "/a", "a/", "a?b#c", "...", "a\\b", &"ü".repeat(1024)] {
            assert!(BlobName::parse(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "a/../b", "a/.", "a\\..\\b", "a\nb", "a\0", "\u{ffff}", &"a".repeat(1025)] {
            assert!(BlobName::parse(bad).is_err(), "{bad}");
        }
    }
}
