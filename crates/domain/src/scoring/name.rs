//! Names of services and their deployments.

use kernel::{Error, Result};

/// `^[a-z]([-a-z0-9]*[a-z0-9])?$`, 3 to 32 characters (requirement O-03).
pub(super) fn is_service_name(name: &str) -> bool {
    let is_inner = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    (3..=32).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && !name.ends_with('-')
        && name.chars().all(is_inner)
}

/// Refuses other names.
pub(super) fn check(field: &str, name: &str) -> Result<()> {
    if is_service_name(name) {
        return Ok(());
    }
    let why = "must be 3 to 32 lower-case letters, digits or `-`, starting with a letter and not ending with `-`";
    Err(Error::invalid(field, why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn service_names_have_their_shape() {
        for good in ["abc", "a-1", "a0b", &"a".repeat(32)] {
            assert!(is_service_name(good), "{good}");
        }
        for bad in ["", "ab", "0ab", "-ab", "ab-", "aBc", "a.b", "a_b", "a/b", "abc\n", &"a".repeat(33)] {
            assert!(!is_service_name(bad), "{bad}");
        }
    }
}
