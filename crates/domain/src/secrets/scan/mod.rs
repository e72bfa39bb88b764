//! Secrets and personal data in files that somebody uploads: on which line something looks like one, and like which.
//!
//! Everything here is bounded: by the length of what is given, by engines whose time grows with that length alone, and by how much is
//! told. What looks like no secret is not found, and neither is what lies in archives, pictures or models: they are no text.

mod assigned;
mod personal;

use std::{borrow::Cow, collections::BTreeMap};

use serde::{Deserialize, Serialize};

use self::{
    assigned::assigned,
    personal::{Addresses, personal},
};
use super::shapes::shape_of;

/// The number of these rules: what was looked at by others is looked at again.
pub(crate) const RULES: u32 = 1;
/// Bytes of a file that are looked at: what is behind them is not.
pub(crate) const LARGEST: u64 = 4 << 20;
/// Lines of a file that are told.
const MOST: usize = 20;
/// How much of a file says whether it is text.
const HEAD: usize = 8192;

/// A line that looks as if it held something that should not be there.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Hit {
    /// Counted from one.
    pub line: u32,
    /// What it looks like, in people's words.
    pub what: String,
}

/// What was found in a file: at most 20 lines, the first ones.
pub(crate) fn scan(content: &[u8]) -> Vec<Hit> {
    let Some(text) = text_of(content) else { return Vec::new() };
    let mut found: BTreeMap<u32, String> = BTreeMap::new();
    look(&text, &mut found);
    // As a notebook, or other JSON, holds it: each line of code within a line of its own, with quotes escaped.
    if let Some(plain) = unescaped(&text) {
        look(&plain, &mut found);
    }
    found.into_iter().take(MOST).map(|(line, what)| Hit { line, what }).collect()
}

fn look(text: &[u8], found: &mut BTreeMap<u32, String>) {
    let mut addresses = Addresses::default();
    // One look at the whole text, in the place of one at each of many lines.
    let (is_shaped, is_assigned) = (shape_of(text).is_some(), assigned(text));
    for (number, line) in (1_u32..).zip(text.split(|byte| *byte == b'\n')) {
        let what = (is_shaped.then(|| shape_of(line)).flatten())
            .or_else(|| (is_assigned && assigned(line)).then_some("a secret, by its name"))
            .or_else(|| personal(line))
            .or_else(|| addresses.count(line));
        if let Some(what) = what {
            found.entry(number).or_insert_with(|| what.to_owned());
            if found.len() >= MOST.saturating_mul(2) {
                return;
            }
        }
    }
}

/// A file's text as bytes; none when it is no text. UTF-16 is known by its mark.
fn text_of(content: &[u8]) -> Option<Cow<'_, [u8]>> {
    let wide = |pairs: &[u8], join: fn([u8; 2]) -> u16| {
        let units: Vec<u16> =
            pairs.chunks_exact(2).filter_map(|pair| <[u8; 2]>::try_from(pair).ok()).map(join).collect();
        Cow::Owned(String::from_utf16_lossy(&units).into_bytes())
    };
    match content {
        [0xFF, 0xFE, rest @ ..] => Some(wide(rest, u16::from_le_bytes)),
        [0xFE, 0xFF, rest @ ..] => Some(wide(rest, u16::from_be_bytes)),
        _ if content.get(..HEAD.min(content.len())).unwrap_or_default().contains(&0) => None,
        _ => Some(Cow::Borrowed(content)),
    }
}

/// The text with the escapes of JSON resolved, and its lines where they were; none when it has none.
fn unescaped(text: &[u8]) -> Option<Vec<u8>> {
    if !text.contains(&b'\\') {
        return None;
    }
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        match (byte, (byte == b'\\').then(|| bytes.next()).flatten()) {
            (b'\\', Some(b'n' | b'r' | b't')) => out.push(b' '),
            // A line that ends in one stays a line.
            (b'\\', Some(b'\n')) => out.push(b'\n'),
            (b'\\', Some(other)) => out.push(other),
            (other, _) => out.push(other),
        }
    }
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<(u32, String)> {
        scan(text.as_bytes()).into_iter().map(|hit| (hit.line, hit.what)).collect()
    }

    #[test]
    fn what_is_found_is_told_with_its_line() {
        let text = "import os\n\nkey = 'AKIAABCDEFGHIJKLMNOP'\nok = 1\nPASSWORD = \"hunter2hunter2\"\r\n\
                    -----BEGIN RSA PRIVATE KEY-----\nMIIE\ncard 4111 1111 1111 1111\n";
        let found = lines(text);
        let numbers: Vec<u32> = found.iter().map(|(line, _)| *line).collect();
        assert_eq!(numbers, [3, 5, 6, 8], "{found:?}");
        assert!(found[0].1.contains("AWS") && found[2].1.contains("private key"), "{found:?}");
        assert!(!format!("{found:?}").contains("hunter2"));
    }

    #[test]
    fn a_notebook_s_code_and_output_are_looked_at_line_by_line() {
        let notebook = concat!(
            "{\n \"cells\": [\n  {\n   \"cell_type\": \"code\",\n   \"outputs\": [\n    {\n     \"text\": [\n",
            "      \"connected with\\n\",\n      \"token=ghp_0123456789abcdefghijABCDEFGHIJ012345\\n\"\n     ]\n    }\n   ],\n",
            "   \"source\": [\n    \"import os\\n\",\n    \"password = \\\"hunter2hunter2\\\"\\n\"\n   ]\n  }\n ]\n}\n"
        );
        let found = lines(notebook);
        assert_eq!(found.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [9, 15], "{found:?}");
        let behind_an_escape = "{\"text\": \"x\\nAKIAABCDEFGHIJKLMNOP\"}";
        assert_eq!(lines(behind_an_escape).len(), 1);
    }

    #[test]
    fn what_is_no_text_is_not_looked_at_and_utf_16_is_text() {
        let secret = "x = 'AKIAABCDEFGHIJKLMNOP'\n";
        assert!(scan(&[b"\0\x01", secret.as_bytes()].concat()).is_empty());
        let wide = |mark: [u8; 2], bytes: fn(u16) -> [u8; 2]| {
            mark.into_iter().chain(format!("a\n{secret}").encode_utf16().flat_map(bytes)).collect::<Vec<u8>>()
        };
        for content in [wide([0xFF, 0xFE], u16::to_le_bytes), wide([0xFE, 0xFF], u16::to_be_bytes)] {
            assert_eq!(scan(&content).first().map(|hit| hit.line), Some(2));
        }
        assert!(scan(b"").is_empty() && scan(&[0xFF, 0xFE]).is_empty() && scan(b"\\").is_empty());
    }

    #[test]
    fn ordinary_code_is_let_be() {
        let text = "password = os.environ[\"DB_PASSWORD\"]\npassword: Optional[str] = None\n    password: SecretStr\n\
                    api_key = get_secret('openai-key')\ntoken_ids = [101, 2023, 102]\nkey = \"customer_identifier\"\n\
                    url = 'https://example.org/?q=1'\nseed = 4111111111111112\nloss 0.4111111111111111\n\
                    PASSWORD = \"<your password>\"\nPASSWORD='changeme-please'\nsha256 = \"9f86d081884c7d659a2feaa0c55ad015\"\n\
                    ts = 1700000000000\nauthor = 'ann@example.org'\n";
        assert_eq!(lines(text), Vec::new());
    }

    #[test]
    fn much_is_cut_and_takes_no_long_time() {
        let many = "k = 'AKIAABCDEFGHIJKLMNOP'\n".repeat(5000);
        assert_eq!(lines(&many).len(), MOST);
        assert!(lines(&"password=\"".repeat(20_000)).len() <= MOST);
        assert!(lines(&"4".repeat(1 << 18)).is_empty());
        assert!(lines(&"\\\"".repeat(1 << 17)).is_empty());
    }
}
