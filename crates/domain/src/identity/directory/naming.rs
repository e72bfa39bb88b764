//! What principals may be called.

use kernel::{Error, Result};
use uuid::Uuid;

/// Characters of a name for people.
const LONGEST_NAME: usize = 256;
/// Characters of a sign-in name (as Entra bounds it).
const LONGEST_USER_NAME: usize = 113;
/// Characters of a description.
const LONGEST_DESCRIPTION: usize = 1024;
/// Characters of a group's short name.
const LONGEST_NICKNAME: usize = 64;

/// Refuses a name that people could not read, or would read wrongly.
pub(super) fn check_name(field: &str, text: &str) -> Result<()> {
    let length = text.chars().count();
    if (1..=LONGEST_NAME).contains(&length) && text.trim() == text && !text.chars().any(is_deceptive) {
        return Ok(());
    }
    let why = format_args!("must be 1 to {LONGEST_NAME} printable characters, without spaces around them");
    Err(Error::invalid(field, why))
}

/// Refuses a text that is too long, or that a terminal would obey.
pub(super) fn check_description(text: &str) -> Result<()> {
    let is_odd = |c: char| is_deceptive(c) && c != '\n';
    if text.chars().count() <= LONGEST_DESCRIPTION && !text.chars().any(is_odd) {
        return Ok(());
    }
    Err(Error::invalid("description", format_args!("must be at most {LONGEST_DESCRIPTION} printable characters")))
}

/// A group's short name.
pub(super) fn check_nickname(text: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_graphic() && !"@()\\[]\";:<>,".contains(c);
    if (1..=LONGEST_NICKNAME).contains(&text.len()) && text.chars().all(fits) {
        return Ok(());
    }
    let why = format_args!("must be 1 to {LONGEST_NICKNAME} letters, digits or signs, without any of `@()\\[]\";:<>,`");
    Err(Error::invalid("mailNickname", why))
}

/// The one spelling of a sign-in name. ASCII alone: names that only look alike are not a person's.
pub(super) fn user_name(text: &str) -> Result<String> {
    let name = text.to_ascii_lowercase();
    let fits = |c: char| c.is_ascii_alphanumeric() || "'.-_!^~@+".contains(c);
    let has_parts = name.split('@').all(|part| !part.is_empty() && !part.starts_with('.') && !part.ends_with('.'));
    let is_right = name.len() <= LONGEST_USER_NAME && name.chars().all(fits) && has_parts;
    // An id stands in the same place of an address as a name: one must not be taken for the other.
    if is_right && name.split('@').count() <= 2 && Uuid::try_parse(&name).is_err() {
        return Ok(name);
    }
    let why = format_args!(
        "must be like `ann` or `ann@example.com`: at most {LONGEST_USER_NAME} ASCII letters, digits and `'.-_!^~+`, and no \
         GUID"
    );
    Err(Error::invalid("userPrincipalName", why))
}

/// Control characters, and those that reorder or hide text (Unicode UAX #9, UTS #39).
pub(in crate::identity) fn is_deceptive(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sign_in_name_has_one_spelling_and_no_double() {
        assert_eq!(user_name("Ann.Lee@Example.com").unwrap(), "ann.lee@example.com");
        assert_eq!(user_name("admin").unwrap(), "admin");
        for bad in
            ["", "@", "a@", "@b", "a@b@c", ".a", "a.", "a b", "аnn", "a\n", "6f9619ff-8b86-d011-b42d-00c04fc964ff"]
        {
            assert!(user_name(bad).is_err(), "{bad:?}");
        }
        assert!(user_name(&"a".repeat(114)).is_err());
    }

    #[test]
    fn a_name_for_people_hides_nothing() {
        assert!(check_name("displayName", "Ann Müller 李").is_ok());
        for bad in ["", " a", "a ", "a\u{202e}b", "a\u{200b}b", "a\tb", &"a".repeat(257)] {
            assert!(check_name("displayName", bad).is_err(), "{bad:?}");
        }
        assert!(check_description("two\nlines").is_ok() && check_description("\u{1b}[2J").is_err());
        assert!(check_nickname("team-1").is_ok() && check_nickname("a b").is_err() && check_nickname("").is_err());
    }
}
