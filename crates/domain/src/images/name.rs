//! Names of images and models.

use kernel::{Error, Result};

/// `^[a-z0-9]([-\.a-z0-9]*[a-z0-9])?$`, 3 to 32 characters (requirement O-02).
pub(super) fn check_image_name(name: &str) -> Result<()> {
    let is_edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_inner = |c: char| is_edge(c) || c == '-' || c == '.';
    if (3..=32).contains(&name.len())
        && name.starts_with(is_edge)
        && name.ends_with(is_edge)
        && name.chars().all(is_inner)
    {
        return Ok(());
    }
    let why =
        "an image's name is 3 to 32 lower-case letters, digits, `-` or `.`, starting and ending with a letter or digit";
    Err(Error::invalid("targetImageName", why))
}

/// `^[a-zA-Z0-9][a-zA-Z0-9\-\._]{0,254}$` (requirement O-01).
pub(crate) fn check_model_name(name: &str) -> Result<()> {
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_');
    if starts_well && name.len() <= 255 && name.chars().all(is_plain) {
        return Ok(());
    }
    let why = "a model's name is 1 to 255 letters, digits, `-`, `.` or `_`, starting with a letter or digit";
    Err(Error::invalid("name", why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_their_shapes() {
        for good in ["abc", "a.b-c", "0a0", &"a".repeat(32)] {
            assert!(check_image_name(good).is_ok(), "{good}");
        }
        for bad in ["", "ab", "-ab", "ab-", "Abc", "a_b", "a/b", ".ab", &"a".repeat(33)] {
            assert!(check_image_name(bad).is_err(), "{bad}");
        }
        for good in ["a", "Iris.v1_x-2", "0", &"m".repeat(255)] {
            assert!(check_model_name(good).is_ok(), "{good}");
        }
        for bad in ["", "_a", ".a", "a b", "a/b", "é", &"m".repeat(256)] {
            assert!(check_model_name(bad).is_err(), "{bad}");
        }
    }
}
