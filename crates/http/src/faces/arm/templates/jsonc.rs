//! Templates as people write them: JSON with comments, and with texts of several lines. `az` puts a template into its request as it
//! lies in the file, after a field name without quotes (`JsonCTemplatePolicy` in azure-cli), as Azure's own reader allows.

/// The same as strict JSON; what was strict stays as it was, and what is neither is left for the parser to refuse.
pub(super) fn strict(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len().saturating_add(16));
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        rest = match (byte, after.first()) {
            (b'"', _) => string(after, &mut out),
            (b'/', Some(b'/')) => {
                let end = after.iter().position(|&c| c == b'\n').unwrap_or(after.len());
                after.get(end..).unwrap_or_default()
            }
            (b'/', Some(b'*')) => {
                let body = after.get(1..).unwrap_or_default();
                let end = body.windows(2).position(|two| two == b"*/").map_or(body.len(), |at| at.saturating_add(2));
                out.push(b' ');
                body.get(end..).unwrap_or_default()
            }
            _ if byte.is_ascii_alphabetic() => word(rest, &mut out),
            _ => {
                out.push(byte);
                after
            }
        };
    }
    out
}

/// Copies a string whose opening quote was read, with its line ends escaped; gives what follows it.
fn string<'a>(text: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    out.push(b'"');
    let mut is_escaped = false;
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            b'\n' => out.extend(b"\\n"),
            b'\r' => out.extend(b"\\r"),
            b'\t' => out.extend(b"\\t"),
            _ => out.push(byte),
        }
        if byte == b'"' && !is_escaped {
            return text.get(at.saturating_add(1)..).unwrap_or_default();
        }
        is_escaped = byte == b'\\' && !is_escaped;
    }
    &[]
}

/// Copies a bare word: with quotes where it is a field's name.
fn word<'a>(text: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let end = text.iter().position(|c| !c.is_ascii_alphanumeric() && *c != b'_').unwrap_or(text.len());
    let (word, rest) = text.split_at_checked(end).unwrap_or((text, &[]));
    let is_name = rest.trim_ascii_start().first() == Some(&b':');
    let quote: &[u8] = if is_name { b"\"" } else { b"" };
    out.extend([quote, word, quote].concat());
    rest
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::strict;

    #[test]
    fn what_people_write_is_read_and_what_is_strict_stays() {
        let plain = br#"{"a": "// no \" comment /* */", "b": [true, null, -1.5e3], "c:d": "x"}"#;
        assert_eq!(strict(plain), plain);
        let cases: [(&[u8], Value); 4] = [
            (br#"{"p": {"mode": "I", template:{"r": []}}}"#, json!({"p": {"mode": "I", "template": {"r": []}}})),
            (b"{// said\n\"a\": 1 /* and */ }", json!({"a": 1})),
            (b"{\"a\": \"[if(\n\ttrue)]\"}", json!({"a": "[if(\n\ttrue)]"})),
            (b"{\"a\": \"\\\\\", b: false}", json!({"a": "\\", "b": false})),
        ];
        for (text, meant) in cases {
            let read: Value = serde_json::from_slice(&strict(text)).unwrap();
            assert_eq!(read, meant);
        }
        for bad in [&b"{\"a"[..], b"{/*", b"{a b: 1}", b"//", b"\xff"] {
            assert!(serde_json::from_slice::<Value>(&strict(bad)).is_err());
        }
    }
}
