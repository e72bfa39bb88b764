//! Words of the filter language.

use kernel::{Error, Kind, Result};

use crate::tracking::text;

/// Longest filter, in bytes.
const LONGEST: usize = 64 << 10;

/// A word, and where it begins.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::tracking) struct Token {
    pub(in crate::tracking) at: usize,
    pub(in crate::tracking) word: Word,
}

/// A word of the language.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::tracking) enum Word {
    /// An identifier or keyword, perhaps with a quoted key: `metrics.loss`, `` tags.`a b` ``.
    Name {
        entity: Option<String>,
        key: String,
        is_quoted: bool,
    },
    /// A quoted literal.
    Text(String),
    /// A bare number.
    Number(f64),
    /// `= != < <= > >=`.
    Symbol(&'static str),
    Open,
    Close,
    Comma,
}

/// The error that names the clause at fault.
pub(in crate::tracking) fn invalid(clause: &str) -> Error {
    let quoted = text::echo(clause.trim());
    Error::new(Kind::Invalid, format!("Invalid clause(s) in filter string: '{quoted}'"))
}

fn several(filter: &str) -> Error {
    let filter = text::quoted(filter);
    let words = format!("Search filter contained multiple expression {filter}. Provide AND-ed expression list.");
    Error::new(Kind::Invalid, words)
}

/// Cuts a filter into words.
pub(in crate::tracking) fn words(filter: &str) -> Result<Vec<Token>> {
    if filter.len() > LONGEST {
        return Err(Error::new(Kind::Invalid, format!("the filter is longer than {LONGEST} bytes")));
    }
    let mut tokens = Vec::new();
    let mut rest = filter;
    loop {
        rest = rest.trim_start();
        let at = filter.len().saturating_sub(rest.len());
        let Some(first) = rest.chars().next() else { return Ok(tokens) };
        let (word, after) = next(first, rest).ok_or_else(|| match rest.strip_prefix(';') {
            Some(more) if !more.trim().is_empty() => several(filter),
            _ => invalid(rest),
        })?;
        tokens.push(Token { at, word });
        rest = after;
    }
}

fn next(first: char, rest: &str) -> Option<(Word, &str)> {
    match first {
        '(' => Some((Word::Open, rest.get(1..)?)),
        ')' => Some((Word::Close, rest.get(1..)?)),
        ',' => Some((Word::Comma, rest.get(1..)?)),
        '\'' | '"' => {
            let (text, after) = quoted(rest)?;
            Some((Word::Text(text), after))
        }
        '=' | '!' | '<' | '>' => {
            let symbol = ["!=", "<=", ">=", "=", "<", ">"].into_iter().find(|symbol| rest.starts_with(symbol))?;
            Some((Word::Symbol(symbol), rest.get(symbol.len()..)?))
        }
        '0'..='9' | '-' | '+' | '.' => number(rest),
        '`' => {
            let (key, after) = quoted(rest)?;
            Some((Word::Name { entity: None, key, is_quoted: true }, after))
        }
        _ if first.is_alphabetic() || first == '_' => name(rest),
        _ => None,
    }
}

/// A text in quotes, which it cannot contain.
fn quoted(rest: &str) -> Option<(String, &str)> {
    let quote = rest.chars().next()?;
    let inner = rest.get(quote.len_utf8()..)?;
    let (text, after) = inner.split_once(quote)?;
    Some((text.to_owned(), after))
}

fn number(rest: &str) -> Option<(Word, &str)> {
    let is_part = |(at, c): (usize, char)| {
        let before = at.checked_sub(1).and_then(|at| rest.as_bytes().get(at)).copied();
        let is_sign = matches!(c, '-' | '+') && (at == 0 || matches!(before, Some(b'e' | b'E')));
        c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E') || is_sign
    };
    let end = rest.char_indices().find(|(at, c)| !is_part((*at, *c))).map_or(rest.len(), |(at, _)| at);
    let (digits, after) = rest.split_at_checked(end)?;
    let number: f64 = digits.parse().ok()?;
    // `12abc` is no number followed by a word.
    let goes_on = after.chars().next().is_some_and(|c| c.is_alphanumeric() || c == '_');
    (!goes_on).then_some((Word::Number(number), after))
}

fn name(rest: &str) -> Option<(Word, &str)> {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '/' | ':');
    let end = rest.char_indices().find(|(_, c)| !is_part(*c)).map_or(rest.len(), |(at, _)| at);
    let (bare, after) = rest.split_at_checked(end)?;
    if let Some(entity) = bare.strip_suffix('.') {
        if !after.starts_with(['`', '"']) {
            return None;
        }
        let (key, after) = quoted(after)?;
        return Some((Word::Name { entity: Some(entity.to_owned()), key, is_quoted: true }, after));
    }
    let word = match bare.split_once('.') {
        Some((entity, key)) => Word::Name { entity: Some(entity.to_owned()), key: key.to_owned(), is_quoted: false },
        None => Word::Name { entity: None, key: bare.to_owned(), is_quoted: false },
    };
    Some((word, after))
}
