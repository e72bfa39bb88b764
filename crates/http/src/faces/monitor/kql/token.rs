//! Words of a query.

use kernel::{Error, Result};

/// A word.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token {
    /// A name or keyword.
    Name(String),
    /// Text in quotes.
    Text(String),
    /// A number.
    Number(f64),
    /// A length of time, in milliseconds: `5d`, `30m`.
    Span(i64),
    /// Everything else: `|`, `==`, `(` …
    Sign(&'static str),
}

/// Longer ones first, so that `=` does not swallow the beginning of `==`.
const SIGNS: [&str; 15] = ["==", "!=", "=~", "!~", "<=", ">=", "<", ">", "=", "|", "(", ")", ",", "-", "!"];

pub(super) fn wrong(why: impl std::fmt::Display) -> Error {
    Error::invalid("query", why)
}

/// Splits a query into words.
pub(super) fn tokens(query: &str) -> Result<Vec<Token>> {
    let mut found = Vec::new();
    let mut rest = query.trim_start();
    while let Some(first) = rest.chars().next() {
        let (token, after) = match first {
            '"' | '\'' => text(rest, first)?,
            _ if rest.starts_with("//") => {
                rest = rest.split_once('\n').map_or("", |(_, after)| after).trim_start();
                continue;
            }
            _ if first.is_ascii_digit() => number(rest)?,
            _ if first.is_ascii_alphabetic() || first == '_' => {
                let (name, after) = split(rest, |c| c.is_ascii_alphanumeric() || c == '_');
                (Token::Name(name.to_owned()), after)
            }
            _ => {
                let sign = SIGNS.iter().find(|sign| rest.starts_with(**sign));
                let sign = sign.ok_or_else(|| wrong(format_args!("`{first}` is not understood")))?;
                (Token::Sign(sign), rest.get(sign.len()..).unwrap_or_default())
            }
        };
        found.push(token);
        rest = after.trim_start();
    }
    Ok(found)
}

fn split(text: &str, is_part: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !is_part(c)).unwrap_or(text.len()))
}

fn text(rest: &str, quote: char) -> Result<(Token, &str)> {
    let mut out = String::new();
    let mut letters = rest.char_indices().skip(1);
    while let Some((at, c)) = letters.next() {
        match c {
            '\\' => out.push(letters.next().map(|(_, c)| c).ok_or_else(|| wrong("a quote is not closed"))?),
            _ if c == quote => {
                let after = rest.get(at.saturating_add(1)..).unwrap_or_default();
                return Ok((Token::Text(out), after));
            }
            _ => out.push(c),
        }
    }
    Err(wrong("a quote is not closed"))
}

/// A number, or with a unit behind it a length of time.
fn number(rest: &str) -> Result<(Token, &str)> {
    let (digits, after) = split(rest, |c| c.is_ascii_digit() || c == '.');
    let value: f64 = digits.parse().map_err(|_| wrong(format_args!("`{digits}` is no number")))?;
    let (unit, end) = split(after, |c| c.is_ascii_alphabetic());
    let factor = match unit {
        "" => return Ok((Token::Number(value), after)),
        "ms" => 1,
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => return Err(wrong(format_args!("`{unit}` is no unit of time"))),
    };
    let whole: i64 = digits.parse().map_err(|_| wrong("lengths of time are whole numbers"))?;
    Ok((Token::Span(whole.saturating_mul(factor)), end))
}
