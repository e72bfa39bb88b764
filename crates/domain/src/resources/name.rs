//! The shapes of names.

use kernel::{Error, Result};

/// `^[a-zA-Z0-9][\w-]*$` within these lengths.
pub(super) fn check(field: &str, name: &str, lengths: std::ops::RangeInclusive<usize>) -> Result<()> {
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    let goes_on_well = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '-');
    if starts_well && goes_on_well && lengths.contains(&name.len()) {
        return Ok(());
    }
    let (least, most) = (lengths.start(), lengths.end());
    let why =
        format!("`{name}` must be {least} to {most} letters, digits, `-` or `_`, starting with a letter or digit");
    Err(Error::invalid(field, why))
}

/// Bounds on free words: 5,000 bytes, as Azure's descriptions have.
pub(crate) fn check_words(field: &str, words: &str) -> Result<()> {
    if words.len() <= 5000 { Ok(()) } else { Err(Error::invalid(field, "at most 5000 bytes")) }
}

/// Bounds on tags, as Azure has them: 50 tags, names to 512 characters, values to 256.
pub(crate) fn check_tags(tags: &std::collections::BTreeMap<String, String>) -> Result<()> {
    let fits = tags.iter().all(|(name, value)| (1..=512).contains(&name.len()) && value.len() <= 256);
    if fits && tags.len() <= 50 {
        return Ok(());
    }
    Err(Error::invalid("tags", "at most 50 tags, names of 1 to 512 and values of at most 256 bytes"))
}
