//! Distinguished names as text: `CN=example.com, O=Example, C=DE`, the most specific first (RFC 4514), and values that hold
//! separators in quotes, as Azure's clients write them. In a certificate the order is the other one.

use rcgen::{DistinguishedName, DnType, DnValue};
use x509_parser::x509::X509Name;

use super::oid;
use crate::VaultKeyFault;

/// Attributes that have words of their own. The first word is written, all are read.
const WORDS: &[(&str, &[&str])] = &[
    ("2.5.4.3", &["CN"]),
    ("2.5.4.4", &["SN"]),
    (SERIAL_NUMBER, &["SERIALNUMBER"]),
    (COUNTRY, &["C"]),
    ("2.5.4.7", &["L"]),
    ("2.5.4.8", &["ST", "S"]),
    ("2.5.4.9", &["STREET"]),
    ("2.5.4.10", &["O"]),
    ("2.5.4.11", &["OU"]),
    ("2.5.4.12", &["T", "TITLE"]),
    ("2.5.4.42", &["G", "GN", "GIVENNAME"]),
    (EMAIL, &["E", "EMAIL", "EMAILADDRESS"]),
    (COMPONENT, &["DC"]),
    ("0.9.2342.19200300.100.1.1", &["UID"]),
];
const COUNTRY: &str = "2.5.4.6";
const SERIAL_NUMBER: &str = "2.5.4.5";
const EMAIL: &str = "1.2.840.113549.1.9.1";
const COMPONENT: &str = "0.9.2342.19200300.100.1.25";
/// What a value may not hold bare.
const SPECIAL: &[char] = &[',', ';', '+', '"', '\\', '<', '>', '=', '#'];
/// Characters of a value.
const LONGEST: usize = 256;

/// Reads a name.
///
/// # Errors
/// `Invalid`.
pub(super) fn parse(text: &str) -> Result<DistinguishedName, VaultKeyFault> {
    let mut name = DistinguishedName::new();
    for (word, value) in split(text)?.into_iter().rev() {
        let known = WORDS.iter().find(|(_, words)| words.iter().any(|known| known.eq_ignore_ascii_case(&word)));
        let dotted = known.map_or_else(|| word.strip_prefix("OID.").unwrap_or(&word), |(dotted, _)| dotted);
        let parts = oid(dotted).ok_or(VaultKeyFault::Invalid(
            "the subject has an attribute that is not known; write it as `OID.2.5.4.17=…`",
        ))?;
        let kind = DnType::CustomDnType(parts);
        // The library keeps one value of each.
        if name.get(&kind).is_some() {
            return Err(VaultKeyFault::Invalid("each attribute can be in a subject once"));
        }
        let unfit = |_| VaultKeyFault::Invalid("the subject has a value that its attribute does not take");
        let value = match dotted {
            COUNTRY if value.len() != 2 => {
                return Err(VaultKeyFault::Invalid("the country of a subject has two letters"));
            }
            COUNTRY | SERIAL_NUMBER => DnValue::PrintableString(value.try_into().map_err(unfit)?),
            EMAIL | COMPONENT => DnValue::Ia5String(value.try_into().map_err(unfit)?),
            _ => DnValue::Utf8String(value),
        };
        name.push(kind, value);
    }
    Ok(name)
}

/// Pairs of an attribute and its value.
fn split(text: &str) -> Result<Vec<(String, String)>, VaultKeyFault> {
    const UNREAD: VaultKeyFault =
        VaultKeyFault::Invalid("the subject must be a distinguished name such as `CN=example.com, O=Example`");
    let mut pairs = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (word, after) = rest.split_once('=').ok_or(UNREAD)?;
        let (value, after) = value(after.trim_start()).ok_or(UNREAD)?;
        if value.is_empty() || value.chars().count() > LONGEST || value.chars().any(char::is_control) {
            return Err(VaultKeyFault::Invalid("values of a subject have 1 to 256 characters"));
        }
        pairs.push((word.trim().to_owned(), value));
        rest = after.trim_start();
        if rest.is_empty() {
            break;
        }
        rest = match rest.strip_prefix([',', ';']).map(str::trim_start) {
            Some(next) if !next.is_empty() => next,
            _ => return Err(UNREAD),
        };
    }
    Ok(pairs)
}

/// One value, and what comes after it.
fn value(text: &str) -> Option<(String, &str)> {
    let quoted = text.strip_prefix('"');
    let mut chars = quoted.unwrap_or(text).char_indices();
    let body = quoted.unwrap_or(text);
    let mut out = String::new();
    // As long as this nothing is cut off at the end: spaces that were escaped are meant.
    let mut meant = 0;
    while let Some((at, char)) = chars.next() {
        match char {
            '\\' => {
                out.push(chars.next().map(|(_, char)| char).filter(|char| !char.is_ascii_hexdigit())?);
                meant = out.len();
            }
            '"' if quoted.is_some() => return Some((out, body.get(at.saturating_add(1)..)?)),
            '"' | '+' if quoted.is_none() => return None,
            ',' | ';' if quoted.is_none() => {
                out.truncate(out.trim_end().len().max(meant));
                return Some((out, body.get(at..)?));
            }
            char => out.push(char),
        }
    }
    if quoted.is_some() {
        return None;
    }
    out.truncate(out.trim_end().len().max(meant));
    Some((out, ""))
}

/// Writes a name. A value that is no text is left out.
pub(super) fn write(name: &X509Name<'_>) -> String {
    let mut parts: Vec<String> = Vec::new();
    for attribute in name.iter_attributes() {
        let Ok(value) = attribute.as_str() else { continue };
        let dotted = attribute.attr_type().to_id_string();
        let known = WORDS.iter().find(|(known, _)| *known == dotted).and_then(|(_, words)| words.first());
        let word = known.map_or_else(|| format!("OID.{dotted}"), |word| (*word).to_owned());
        let is_bare = !value.contains(SPECIAL) && value.trim() == value;
        let value = if is_bare {
            value.to_owned()
        } else {
            format!("\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))
        };
        parts.push(format!("{word}={value}"));
    }
    parts.reverse();
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        split(text).unwrap()
    }

    #[test]
    fn names_are_read_with_quotes_and_escapes() {
        let is = |text: &str, expected: &[(&str, &str)]| {
            let expected: Vec<_> =
                expected.iter().map(|(word, value)| ((*word).to_owned(), (*value).to_owned())).collect();
            assert_eq!(pairs(text), expected, "{text}");
        };
        is("", &[]);
        is("CN=a", &[("CN", "a")]);
        is(" CN = a b , O=c;C=DE ", &[("CN", "a b"), ("O", "c"), ("C", "DE")]);
        is(r#"O="Foo, \"Inc\".", CN=a"#, &[("O", r#"Foo, "Inc"."#), ("CN", "a")]);
        is(r"O=Foo\, Inc, CN=a\ ", &[("O", "Foo, Inc"), ("CN", "a ")]);
        is("CN=größer ☂", &[("CN", "größer ☂")]);
        for bad in ["CN", "CN=", "CN=a,", "CN=a,,O=b", "CN=a+O=b", "CN=\"a", "=a,", "CN=a\\", "CN=\"a\"b", "CN=a\u{7}"]
        {
            assert!(split(bad).is_err() || parse(bad).is_err(), "{bad}");
        }
        for bad in ["XY=a", "C=Germany", "CN=a, CN=b", "E=ä", "OID.9.9=x", "OID.2=x"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
        assert!(parse("OID.2.5.4.17=12345, CN=a").is_ok());
    }
}
