//! Bodies as Python's clients write them.

use bytes::Bytes;
use kernel::{Error, Kind, Result};
use serde::de::DeserializeOwned;

use crate::guest::parse_json;

/// Words that Python writes for numbers that JSON has no form for (`json.dumps` with `allow_nan`).
const WORDS: [&str; 3] = ["-Infinity", "Infinity", "NaN"];

/// Reads JSON in which a number may be `NaN`, `Infinity` or `-Infinity`: those become texts. No body at all is `{}`.
pub(super) fn read<T: DeserializeOwned>(body: &Bytes) -> Result<T> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return parse_json(b"{}");
    }
    let text = std::str::from_utf8(body).map_err(|_| Error::new(Kind::Invalid, "the body is no UTF-8"))?;
    match WORDS.iter().any(|word| text.contains(word)) {
        true => parse_json(quoted(text).as_bytes()),
        false => parse_json(body),
    }
}

/// Reads a list of texts, which stands there by itself.
pub(super) fn list(body: &Bytes) -> Result<Vec<String>> {
    serde_json::from_slice(body).map_err(|_| Error::invalid("body", "must be a JSON list of texts"))
}

/// The text with those words in quotes, wherever they are no part of a text.
fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len().saturating_add(64));
    let mut rest = text;
    let mut is_in_text = false;
    while let Some(first) = rest.chars().next() {
        let word = WORDS.iter().find(|word| !is_in_text && rest.starts_with(**word));
        let taken = match (word, first) {
            (Some(word), _) => {
                out.push_str(&format!("\"{word}\""));
                word.len()
            }
            (None, '\\') if is_in_text => {
                let pair: String = rest.chars().take(2).collect();
                out.push_str(&pair);
                pair.len()
            }
            (None, other) => {
                is_in_text ^= other == '"';
                out.push(other);
                other.len_utf8()
            }
        };
        rest = rest.get(taken..).unwrap_or_default();
    }
    out
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn python_s_words_for_numbers_are_texts_here() {
        let text = Bytes::from_static(br#"{"a": NaN, "b": [-Infinity, Infinity], "c": "NaN \" NaN", "d\"": 1}"#);
        let read: Value = read(&text).unwrap();
        assert_eq!(read, json!({"a": "NaN", "b": ["-Infinity", "Infinity"], "c": "NaN \" NaN", "d\"": 1}));
        assert!(super::read::<Value>(&Bytes::from_static(b"{\"a\": NaNa}")).is_err());
        assert_eq!(super::read::<Value>(&Bytes::from_static(b" ")).unwrap(), json!({}));
    }
}
