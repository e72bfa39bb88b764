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

// Clients, and people's scripts, look for these sentences: they are MLflow's to the letter.
const DOCS: &str = "See the API docs for more information about request parameters.";

/// The error for a required parameter that is missing or empty.
pub fn missing(parameter: &str) -> Error {
    Error::new(Kind::Invalid, format!("Missing value for required parameter '{parameter}'. {DOCS}"))
}

/// The error for a value of another kind of JSON than the parameter's; `kind` is what Python calls it.
pub fn mistyped(parameter: &str, json: &str, kind: &str) -> Error {
    let words = format!(
        "Invalid value {} for parameter '{parameter}' supplied:  Hint: Value was of type '{kind}'.",
        echo(json)
    );
    Error::new(Kind::Invalid, format!("{words} {DOCS}"))
}

/// The error for a request that is wrong as a whole.
pub fn refused(why: &str) -> Error {
    Error::new(Kind::Invalid, format!("{why} {DOCS}"))
}

/// The error for a page of no or too many items.
pub fn bad_page(most: i64, limit: Option<usize>) -> Error {
    let bound = limit.map_or_else(|| String::from("a positive integer"), |limit| format!("at most {limit}"));
    let words = format!("Invalid value {most} for parameter 'max_results' supplied. It must be {bound}");
    Error::new(Kind::Invalid, words)
}

/// Refuses a page of no or more than `limit` items.
pub(super) fn check_page(most: usize, limit: usize) -> Result<()> {
    match most {
        0 => Err(bad_page(0, None)),
        most if most > limit => Err(bad_page(i64::try_from(most).unwrap_or(i64::MAX), Some(limit))),
        _ => Ok(()),
    }
}

/// A client's text as Python would quote it, shortened.
pub(super) fn quoted(text: &str) -> String {
    let short = echo(text).replace('\\', "\\\\");
    match (short.contains('\''), short.contains('"')) {
        (true, false) => format!("\"{short}\""),
        _ => format!("'{}'", short.replace('\'', "\\'")),
    }
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
        let words = format!("'{parameter}' exceeds the maximum length of {most} characters");
        return Err(Error::new(Kind::Invalid, words));
    }
    Ok(())
}

/// Most characters of a key.
const LONGEST_KEY: usize = 250;

/// Keys of metrics, parameters and tags: letters, digits, `_ - . : /` and spaces, and a path that is already in its shortest
/// form, since clients keep them as file names.
pub(super) fn check_key(parameter: &str, key: &str) -> Result<()> {
    check_named_key(parameter, parameter, key)
}

/// The same, where an error about the length calls the key by another name.
pub(super) fn check_named_key(parameter: &str, name: &str, key: &str) -> Result<()> {
    if key.is_empty() {
        return Err(missing(parameter));
    }
    let is_known = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ' | ':' | '/');
    if !key.chars().all(is_known) {
        let why = "Names may only contain alphanumerics, underscores (_), dashes (-), periods (.), spaces ( ), colon(:) and slashes (/).";
        return Err(bad(parameter, key, why));
    }
    check_path(parameter, key)?;
    check_length(name, key, LONGEST_KEY)
}

/// Refuses what is not the shortest form of a relative path.
pub(super) fn check_path(parameter: &str, path: &str) -> Result<()> {
    let is_short = !path.split('/').any(|segment| matches!(segment, "" | "." | "..")) && !path.starts_with("..");
    if is_short {
        return Ok(());
    }
    let why = "Names may be treated as files in certain cases, and must not resolve to other names when treated as such. \
               This name would resolve to";
    Err(bad(parameter, path, &format!("{why} {}", quoted(&shortest(path)))))
}

/// A path without empty, `.` and `..` segments, as far as they can be taken away.
fn shortest(path: &str) -> String {
    let is_absolute = path.starts_with('/');
    let mut kept: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." if kept.last().is_some_and(|last| *last != "..") => {
                kept.pop();
            }
            ".." if is_absolute => {}
            segment => kept.push(segment),
        }
    }
    match (is_absolute, kept.join("/")) {
        // Two slashes at the start mean something of their own to POSIX.
        (true, rest) if path.starts_with("//") && !path.starts_with("///") => format!("//{rest}"),
        (true, rest) => format!("/{rest}"),
        (false, rest) if rest.is_empty() => String::from("."),
        (false, rest) => rest,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_shortest_relative_paths() {
        for good in ["a", "a/b", "train loss", "a.b-c_d:e", "é", ".x", "a..b"] {
            assert!(check_key("key", good).is_ok(), "{good}");
        }
        for bad in [
            "",
            ".",
            "..",
            "..x",
            "/a",
            "a/",
            "a//b",
            "a/../b",
            "../a",
            "a\\b",
            "a\0",
            "a\nb",
            "a;b",
            "a%b",
            &"a".repeat(251),
        ] {
            assert!(check_key("key", bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn paths_are_shortened_as_posix_does() {
        let table = [
            ("a//b", "a/b"),
            ("a/../b", "b"),
            ("../x", "../x"),
            ("/x", "/x"),
            (".", "."),
            ("a/..", "."),
            ("/../x", "/x"),
            ("//x", "//x"),
            ("///x", "/x"),
            ("a/", "a"),
            ("..", ".."),
        ];
        for (path, expected) in table {
            assert_eq!(shortest(path), expected, "{path}");
        }
        assert_eq!(
            (quoted("a'b"), quoted("a\"b"), quoted("ab")),
            (String::from("\"a'b\""), String::from("'a\"b'"), String::from("'ab'"))
        );
    }

    #[test]
    fn an_echo_is_short_and_printable() {
        assert_eq!(echo("a\nb"), "a?b");
        assert!(echo(&"x".repeat(10_000)).chars().count() <= ECHO + 1);
    }
}
