//! The headers by which a client asks for a part of a file (RFC 9110, sections 13 and 14).

use domain::tracking::{FileRange, Wanted};
use http::{Method, header};

use crate::Guest;

/// Tags of one header that are looked at.
const MOST_TAGS: usize = 16;

/// What of a file a request asks for. A range that is not understood, or more than one, asks for all, as the RFC has it.
pub(super) fn wanted(guest: &Guest) -> Wanted {
    let text = |name: header::HeaderName| guest.header(name.as_str());
    let tags = text(header::IF_NONE_MATCH).unwrap_or_default().split(',').take(MOST_TAGS);
    let tags = tags.map(|tag| tag.trim().trim_start_matches("W/").to_owned()).filter(|tag| !tag.is_empty());
    Wanted {
        range: text(header::RANGE).and_then(range_of).unwrap_or_default(),
        is_head: guest.method() == Method::HEAD,
        // A date fits no file: when one was written is not told.
        if_range: text(header::IF_RANGE).map(|tag| tag.trim().to_owned()),
        unless: tags.collect(),
    }
}

/// `bytes=0-499`, `bytes=500-` or `bytes=-500`.
fn range_of(text: &str) -> Option<FileRange> {
    let (unit, range) = text.trim().split_once('=')?;
    let (first, last) = range.trim().split_once('-')?;
    if !unit.eq_ignore_ascii_case("bytes") {
        return None;
    }
    let number = |digits: &str| {
        let is_number = !digits.is_empty() && digits.bytes().all(|c| c.is_ascii_digit());
        // What is larger than any file means the same as the largest number.
        is_number.then(|| digits.parse().unwrap_or(u64::MAX))
    };
    match (first.trim(), last.trim()) {
        ("", count) => number(count).map(FileRange::Last),
        (first, "") => Some(FileRange::From(number(first)?, None)),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then_some(FileRange::From(first, Some(last)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_strictly_and_everything_else_asks_for_all() {
        let cases = [
            ("bytes=0-0", FileRange::From(0, Some(0))),
            ("Bytes=7-", FileRange::From(7, None)),
            ("bytes=-500", FileRange::Last(500)),
            ("bytes = 1 - 2", FileRange::All),
            ("bytes=1-99999999999999999999", FileRange::From(1, Some(u64::MAX))),
            ("bytes=99999999999999999999-", FileRange::From(u64::MAX, None)),
        ];
        for (text, wanted) in cases {
            assert_eq!(range_of(text).unwrap_or_default(), wanted, "{text}");
        }
        for other in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=4-0",
            "bytes=+1-2",
            "bytes=0-1,4-5",
            "items=0-1",
            "bytes=a-b",
            "bytes=0x1-2",
        ] {
            assert_eq!(range_of(other), None, "{other}");
        }
    }
}
