//! The forms in which programs print a value: as it is, line by line, and in the usual encodings.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};

/// The shortest value that is hidden, in bytes: shorter ones are found everywhere.
const SHORTEST: usize = 6;
/// The shortest line of a value of several lines that is hidden by itself.
const SHORTEST_LINE: usize = 16;

/// All forms of a value; none when it is too short. Some may be the same.
pub fn forms(value: &str) -> Vec<Vec<u8>> {
    if value.len() < SHORTEST {
        return Vec::new();
    }
    let mut forms = encoded(value);
    // Programs read secrets from files and trim them.
    let trimmed = value.trim();
    if trimmed.len() >= SHORTEST && trimmed != value {
        forms.extend(encoded(trimmed));
    }
    let lines = value.lines().map(str::trim).filter(|line| line.len() >= SHORTEST_LINE && *line != value);
    forms.extend(lines.map(|line| line.as_bytes().to_vec()));
    forms
}

fn encoded(value: &str) -> Vec<Vec<u8>> {
    let mut forms = vec![value.as_bytes().to_vec()];
    for shift in 0..3 {
        forms.push(within_base64(&STANDARD_NO_PAD, value, shift));
        forms.push(within_base64(&URL_SAFE_NO_PAD, value, shift));
    }
    for kept in ["-._~", "-._~/", "-._~!'()*", "-._*"] {
        forms.push(percent(value, kept, false));
        forms.push(percent(value, kept, true));
    }
    // Forms write a blank as `+`.
    forms.push(percent(value, "-._* ", false).into_iter().map(|byte| if byte == b' ' { b'+' } else { byte }).collect());
    forms.extend(json(value));
    for escapes_quotes in [false, true] {
        forms.push(python(value, escapes_quotes, false));
        forms.push(python(value, escapes_quotes, true));
    }
    forms.push(hexadecimal(value.as_bytes(), b"0123456789abcdef"));
    forms.push(hexadecimal(value.as_bytes(), b"0123456789ABCDEF"));
    forms.retain(|form| form.len() >= SHORTEST);
    forms
}

/// What base64 shows of a value that stands behind `shift` other bytes (of each three): the letters that depend on it alone.
fn within_base64(alphabet: &impl Engine, value: &str, shift: usize) -> Vec<u8> {
    let mut bytes = vec![0; shift];
    bytes.extend_from_slice(value.as_bytes());
    // A last letter that is not full depends on what follows, if anything does.
    let full = bytes.len().saturating_mul(8).div_euclid(6);
    let first = shift.saturating_mul(8).div_ceil(6);
    let text = alphabet.encode(bytes).into_bytes();
    text.get(first..full).unwrap_or_default().to_vec()
}

fn percent(value: &str, kept: &str, is_lower: bool) -> Vec<u8> {
    let digits: &[u8; 16] = if is_lower { b"0123456789abcdef" } else { b"0123456789ABCDEF" };
    let mut text = Vec::with_capacity(value.len().saturating_mul(2));
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || kept.as_bytes().contains(&byte) {
            text.push(byte);
        } else {
            text.push(b'%');
            text.extend(hexadecimal(&[byte], digits));
        }
    }
    text
}

/// Within a JSON string: as most write it, with all beyond ASCII escaped, and with `/` escaped.
fn json(value: &str) -> Vec<Vec<u8>> {
    let Ok(quoted) = serde_json::to_string(value) else { return Vec::new() };
    let text = quoted.get(1..quoted.len().saturating_sub(1)).unwrap_or_default();
    let mut ascii = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_ascii() {
            ascii.push(letter);
        } else {
            let mut units = [0; 2];
            for unit in letter.encode_utf16(&mut units) {
                ascii.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    let slashed = ascii.replace('/', "\\/");
    [text.to_owned(), ascii, slashed].map(String::into_bytes).to_vec()
}

/// As Python's `repr` writes text, or its bytes: exceptions show values so.
fn python(value: &str, escapes_quotes: bool, is_bytes: bool) -> Vec<u8> {
    let mut text = Vec::with_capacity(value.len());
    for byte in value.bytes() {
        match byte {
            b'\\' => text.extend_from_slice(b"\\\\"),
            b'\n' => text.extend_from_slice(b"\\n"),
            b'\r' => text.extend_from_slice(b"\\r"),
            b'\t' => text.extend_from_slice(b"\\t"),
            b'\'' if escapes_quotes => text.extend_from_slice(b"\\'"),
            _ if byte.is_ascii_control() || (is_bytes && !byte.is_ascii()) => {
                text.extend_from_slice(b"\\x");
                text.extend(hexadecimal(&[byte], b"0123456789abcdef"));
            }
            _ => text.push(byte),
        }
    }
    text
}

fn hexadecimal(bytes: &[u8], digits: &[u8; 16]) -> Vec<u8> {
    let digit = |value: u8| digits.get(usize::from(value)).copied().unwrap_or_default();
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};

    fn has(value: &str, text: &str) -> bool {
        forms(value).iter().any(|form| text.as_bytes().windows(form.len()).any(|window| window == form.as_slice()))
    }

    #[test]
    fn the_usual_encodings_are_known() {
        let value = "p&ss wörd/\"1\"?>";
        for text in [
            "p&ss wörd/\"1\"?>",
            "p%26ss%20w%C3%B6rd%2F%221%22%3F%3E",
            "p%26ss%20w%c3%b6rd%2f%221%22%3f%3e",
            "p%26ss%20w%C3%B6rd/%221%22%3F%3E",
            "p%26ss+w%C3%B6rd%2F%221%22%3F%3E",
            "p&ss wörd/\\\"1\\\"?>",
            "p&ss w\\u00f6rd/\\\"1\\\"?>",
            "p&ss w\\u00f6rd\\/\\\"1\\\"?>",
            "'p&ss wörd/\"1\"?>'",
            "b'p&ss w\\xc3\\xb6rd/\"1\"?>'",
            "70267373",
            &STANDARD.encode(value),
            &URL_SAFE.encode(value),
        ] {
            let is_known = has(value, text)
                || (text == "70267373" && forms(value).iter().any(|form| form.starts_with(text.as_bytes())));
            assert!(is_known, "{text}");
        }
    }

    #[test]
    fn base64_of_more_than_the_value_is_known_wherever_it_stands() {
        let value = "hunter2hunter2";
        for before in ["", "u", "us", "use", "user:"] {
            for after in ["", "x", "xy", "xyz"] {
                let whole = format!("{before}{value}{after}");
                assert!(has(value, &STANDARD.encode(&whole)), "{whole}");
                assert!(has(value, &URL_SAFE_NO_PAD.encode(&whole)), "{whole}");
            }
        }
    }

    #[test]
    fn lines_of_a_key_are_known_by_themselves_and_short_values_are_not() {
        let key = "-----BEGIN KEY-----\nMIIBVgIBADANBgkqhkiG9w0B\nAQEF\n-----END KEY-----\n";
        assert!(has(key, "x MIIBVgIBADANBgkqhkiG9w0B y") && !has(key, "x AQEF y"));
        assert!(has(key, "-----BEGIN KEY-----\\nMIIBVgIBADANBgkqhkiG9w0B\\nAQEF\\n-----END KEY-----"));
        assert!(forms("12345").is_empty() && !forms("123456").is_empty());
        assert!(has("secret-with-newline\n", "secret-with-newline"));
    }
}
