//! Paths of files below a run, a logged model or a model version: relative, plain, the same under every decoding.

use std::fmt;

use kernel::{Error, Kind, Result};
use serde::{Deserialize, Serialize};

/// Longest path, in bytes.
const LONGEST: usize = 1000;
/// Deepest path, in segments.
const DEEPEST: usize = 64;

/// A checked path of a file or directory; the empty one is the root. It is never used as a name in a store.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
pub struct ArtifactPath(String);

impl ArtifactPath {
    /// Checks a path. It must be relative and plain, as it stands and after every further percent-decoding, since a client
    /// or proxy on the way may decode once more than we do.
    ///
    /// # Errors
    /// `Invalid` with MLflow's words.
    pub fn parse(text: &str) -> Result<Self> {
        let refuse = || Error::new(Kind::Invalid, "Invalid path");
        if text.len() > LONGEST {
            return Err(refuse());
        }
        // As it stands, and as whoever takes look-alikes for what they look like reads it.
        if !is_plain(text) {
            return Err(refuse());
        }
        let mut seen = folded(text);
        // Each round shortens the text or ends the loop.
        loop {
            if !is_plain(&seen) {
                return Err(refuse());
            }
            let Some(next) = unescape(&seen) else { break };
            seen = folded(&next);
        }
        Ok(Self(text.to_owned()))
    }

    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is the root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The rest of this path below a directory; none when it does not lie there.
    pub fn below(&self, directory: &Self) -> Option<&str> {
        if directory.is_root() {
            return Some(&self.0);
        }
        self.0.strip_prefix(directory.as_str())?.strip_prefix('/')
    }

    /// The last segment.
    pub fn name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }
}

impl fmt::Display for ArtifactPath {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

fn is_plain(path: &str) -> bool {
    if path.is_empty() {
        return true;
    }
    let segments: Vec<&str> = path.split('/').collect();
    let has_drive = segments.first().is_some_and(|first| {
        let mut letters = first.chars();
        letters.next().is_some_and(|c| c.is_ascii_alphabetic()) && letters.next() == Some(':')
    });
    // Separators of lines, and marks that turn the direction in which a name is read: `gpj.exe` that looks like `exe.jpg`.
    let is_hostile = |c: char| {
        let is_mark = matches!(c, '\u{2028}'..='\u{202E}' | '\u{2066}'..='\u{2069}');
        c.is_control() || is_mark || matches!(c, '\\' | '#' | '?')
    };
    // `..;x` is a parent to servers that cut path parameters off.
    let is_dots = |segment: &str| {
        let bare = segment.split(';').next().unwrap_or_default().trim();
        !bare.is_empty() && bare.chars().all(|c| c == '.')
    };
    segments.len() <= DEEPEST
        && !has_drive
        && !path.chars().any(is_hostile)
        && segments.iter().all(|segment| !segment.is_empty() && segment.len() <= 255 && !is_dots(segment))
}

/// Dots, slashes, backslashes and percent signs in their other forms (Unicode's compatibility forms and look-alikes) as the plain ones:
/// what normalizes a name, or maps it to an older character set, makes them so. Never longer than before.
fn folded(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\u{FF0E}' | '\u{2024}' | '\u{FE52}' => out.push('.'),
            '\u{2025}' => out.push_str(".."),
            '\u{2026}' => out.push_str("..."),
            '\u{FF0F}' | '\u{2044}' | '\u{2215}' | '\u{29F8}' => out.push('/'),
            '\u{FF3C}' | '\u{FE68}' | '\u{29F5}' | '\u{2216}' => out.push('\\'),
            '\u{FF05}' | '\u{FE6A}' => out.push('%'),
            other => out.push(other),
        }
    }
    out
}

/// One round of percent-decoding; none when it changes nothing. Bytes that are no UTF-8 become a hostile character.
fn unescape(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    let mut has_changed = false;
    while let [first, tail @ ..] = rest {
        rest = tail;
        if let (b'%', [high, low, after @ ..]) = (first, tail)
            && let (Some(high), Some(low)) = (hex(*high), hex(*low))
        {
            out.push(high << 4 | low);
            rest = after;
            has_changed = true;
            continue;
        }
        out.push(*first);
    }
    has_changed.then(|| String::from_utf8(out).unwrap_or_else(|_| String::from("\\")))
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit.saturating_sub(b'0')),
        b'a'..=b'f' => Some(digit.saturating_sub(b'a').saturating_add(10)),
        b'A'..=b'F' => Some(digit.saturating_sub(b'A').saturating_add(10)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_paths_are_refused_by_every_encoding() {
        let bad = [
            "..",
            "a/..",
            "../a",
            "a/../b",
            ".",
            "a/./b",
            "/a",
            "//a",
            "a//b",
            "a/",
            "a\\b",
            "..\\a",
            "C:/x",
            "c:x",
            "a#b",
            "x#/../..",
            "a?b",
            "a\0b",
            "a\nb",
            "%2e%2e/x",
            "%2E%2E%2Fx",
            "%252e%252e%252fx",
            "%25252e%25252e%25252fx",
            "a%5cb",
            "a%255cb",
            "%2fa",
            "a%23b",
            "a%00",
            "..;/x",
            "..%3b/x",
            "a/..;b/c",
            "%ff",
            "...",
            "a/ .. /b",
            ". /x",
            "\u{FF0E}\u{FF0E}/x",
            "a/\u{2025}/b",
            "\u{2024}\u{2024}\u{2215}x",
            "a/\u{2026}/b",
            "\u{FF0F}etc",
            "a\u{2044}..\u{2044}b",
            "a\u{FF3C}b",
            "\u{FF05}2e\u{FF05}2e/x",
            "%EF%BC%8E%EF%BC%8E/x",
            "%25EF%25BC%258E./x",
            "a\u{7f}b",
            "%0d%0aSet-Cookie:x",
            "gpj\u{202E}exe.x",
            "\u{2066}x",
            "C%3a/x",
            "x%23/../..",
            "%3b/..%3b/x",
        ];
        for path in bad {
            assert!(ArtifactPath::parse(path).is_err(), "{path}");
        }
        assert!(ArtifactPath::parse(&"a".repeat(LONGEST + 1)).is_err());
        assert!(ArtifactPath::parse(&["a"; DEEPEST + 1].join("/")).is_err());
    }

    #[test]
    fn ordinary_paths_pass() {
        for path in [
            "",
            "a",
            "a/b.txt",
            ".hidden/x",
            "a b/ü.txt",
            "100%",
            "50%25",
            "model;v1/x",
            "a..b/c",
            "x..",
            "é=&+,",
            "wait…",
            "何？.txt",
        ] {
            assert_eq!(ArtifactPath::parse(path).map(|path| path.to_string()).ok().as_deref(), Some(path));
        }
        let file = ArtifactPath::parse("outputs/model.onnx").unwrap();
        assert_eq!(file.below(&ArtifactPath::parse("outputs").unwrap()), Some("model.onnx"));
        assert_eq!(file.below(&ArtifactPath::parse("out").unwrap()), None);
    }
}
