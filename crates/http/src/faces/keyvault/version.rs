//! Which versions of the interface are spoken.

use kernel::{Error, Result};

/// Versions by date; their shapes are those of 7.6.
const DATED: [&str; 5] = ["2025-06-01-preview", "2025-07-01", "2026-01-01-preview", "2026-03-01-preview", "2026-04-01"];
/// The newest of the numbered ones: 7.0 to 7.6.
const NEWEST: u8 = 6;

/// Refuses a version that is not spoken.
///
/// # Errors
/// `Invalid`.
pub(super) fn check(asked: Option<&str>) -> Result<()> {
    let Some(asked) = asked else { return Err(Error::invalid("api-version", "must be given")) };
    if DATED.contains(&asked) || is_numbered(asked) {
        return Ok(());
    }
    Err(Error::invalid("api-version", format_args!("must be 7.0 to 7.{NEWEST}, or one of {}", DATED.join(", "))))
}

/// `7.4`, `7.6-preview.2`.
fn is_numbered(asked: &str) -> bool {
    let (number, preview) = asked.split_once("-preview.").map_or((asked, None), |(number, of)| (number, Some(of)));
    let is_small = |text: &str, most: u8| text.len() == 1 && text.parse::<u8>().is_ok_and(|minor| minor <= most);
    number.strip_prefix("7.").is_some_and(|minor| is_small(minor, NEWEST)) && preview.is_none_or(|of| is_small(of, 9))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_those_that_clients_send() {
        for good in ["7.0", "7.4", "7.5", "7.6", "7.6-preview.2", "2025-07-01", "2026-04-01"] {
            assert!(check(Some(good)).is_ok(), "{good}");
        }
        for bad in ["", "7", "7.", "7.7", "7.10", "8.0", "7.4-preview", "7.4-preview.", "2016-10-01", "2099-01-01", "x"]
        {
            assert!(check(Some(bad)).is_err(), "{bad}");
        }
        assert!(check(None).is_err());
    }
}
