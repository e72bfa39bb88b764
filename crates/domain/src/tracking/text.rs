//! Bounds on texts that clients send, and how such a text is quoted in an error.

use std::ops::RangeInclusive;

use kernel::{Error, Kind, Result};

/// Most characters of a client's text that an error repeats.
const ECHO: usize = 120;

/// A client's text, shortened, for error messages.
pub fn echo(text: &str) -> String {
    let clean = |c: char| if c.is_control() { '?' } else { c };
    let mut short: String = text.chars().take(ECHO).map(clean).collect();
    if text.chars().nth(ECHO).is_some() {
        short.push('…');
    }
    short
}

/// The error for a required parameter that is missing or empty.
pub fn missing(parameter: &str) -> Error {
    let words = "See the API docs for more information about request parameters.";
    Error::new(Kind::Invalid, format!("Missing value for required parameter '{parameter}'. {words}"))
}

/// The error for a value that is not allowed.
pub fn bad(parameter: &str, value: &str, why: &str) -> Error {
    let quoted = serde_json::Value::String(echo(value));
    Error::new(Kind::Invalid, format!("Invalid value {quoted} for parameter '{parameter}' supplied: {why}"))
}

/// Refuses texts outside of a length, in characters, and control characters.
pub(super) fn check(parameter: &str, text: &str, length: RangeInclusive<usize>) -> Result<()> {
    if text.is_empty() && *length.start() > 0 {
        return Err(missing(parameter));
    }
    if text.chars().any(char::is_control) {
        return Err(bad(parameter, text, "control characters are not allowed"));
    }
    check_length(parameter, text, *length.end())
}

/// Refuses texts of more than `most` characters.
pub(super) fn check_length(parameter: &str, text: &str, most: usize) -> Result<()> {
    let count = text.chars().take(most.saturating_add(1)).count();
    if count > most {
        return Err(bad(parameter, text, &format!("'{parameter}' exceeds the maximum length of {most} characters")));
    }
    Ok(())
}

/// Keys of metrics, parameters and tags: letters, digits, `_ - . : /` and spaces, and a path that is already in its shortest
/// form, since clients keep them as file names.
pub(super) fn check_key(parameter: &str, key: &str) -> Result<()> {
    if key.is_empty() {
        return Err(missing(parameter));
    }
    check_length(parameter, key, 250)?;
    let is_known = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ' | ':' | '/');
    if !key.chars().all(is_known) {
        let why = "names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), colons (:) and slashes (/)";
        return Err(bad(parameter, key, why));
    }
    if key.split('/').any(|segment| matches!(segment, "" | "." | "..")) {
        return Err(bad(parameter, key, "names must be in the shortest form of a relative path"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_shortest_relative_paths() {
        for good in ["a", "a/b", "train loss", "a.b-c_d:e", "é", ".x", "a..b"] {
            assert!(check_key("key", good).is_ok(), "{good}");
        }
        for bad in
            ["", ".", "..", "/a", "a/", "a//b", "a/../b", "../a", "a\\b", "a\0", "a\nb", "a;b", "a%b", &"a".repeat(251)]
        {
            assert!(check_key("key", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_echo_is_short_and_printable() {
        assert_eq!(echo("a\nb"), "a?b");
        assert!(echo(&"x".repeat(10_000)).chars().count() <= ECHO + 1);
    }
}
