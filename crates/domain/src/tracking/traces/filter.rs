//! MLflow's filter language, as it asks about traces: attributes, tags and metadata of the trace, fields and attributes of its spans,
//! values of its assessments.

use kernel::{Error, Kind, Result};
use regex::{Regex, RegexBuilder, escape};

use super::trace::{NAME_TAG, RUN_METADATA};
use crate::tracking::{
    search::{Field, Ordering, Part, Token, Word, invalid, words},
    text,
};

/// Most clauses of one filter.
const MOST_CLAUSES: usize = 50;
/// Most patterns of one filter, and the longest, in bytes.
const MOST_PATTERNS: usize = 10;
const LONGEST_PATTERN: usize = 1000;
/// Bytes that one compiled pattern may take, and those of what it remembers while it looks. The engine takes time in proportion to the
/// text, whatever the pattern is.
const PATTERN_SIZE: usize = 1 << 20;
/// Most texts of one list.
const MOST_IN_LIST: usize = 1000;
/// Most keys of one ordering.
const MOST_KEYS: usize = 20;

/// What a clause asks about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    /// A time or duration in milliseconds.
    Number(Number),
    /// A text of the trace.
    Text(Text),
    Tag(String),
    Metadata(String),
    /// The run it was made in or linked to.
    Run,
    /// A prompt it used.
    Prompt,
    Span(OfSpan),
    Feedback(String),
    Expectation(String),
    /// A problem it shows, by name.
    Issue,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Number {
    Start,
    Duration,
    End,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Text {
    Id,
    Status,
    ClientRequest,
}

/// What a clause asks about a span.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum OfSpan {
    Name,
    Kind,
    Status,
    /// All of it.
    Content,
    Attribute(String),
}

#[derive(Debug)]
pub(super) enum Test {
    Compare(&'static str, f64),
    Equal { is_equal: bool, text: String },
    Pattern(Regex),
    In { is_in: bool, texts: Vec<String> },
    Null { is_null: bool },
}

#[derive(Debug)]
pub(super) struct Clause {
    pub(super) subject: Subject,
    pub(super) test: Test,
}

impl Test {
    #[expect(clippy::float_cmp, reason = "`=` of the language is equality of numbers")]
    pub(super) fn holds_for_number(&self, value: f64) -> bool {
        match self {
            Self::Compare("=", wanted) => value == *wanted,
            Self::Compare("!=", wanted) => value != *wanted,
            Self::Compare("<", wanted) => value < *wanted,
            Self::Compare("<=", wanted) => value <= *wanted,
            Self::Compare(">", wanted) => value > *wanted,
            Self::Compare(">=", wanted) => value >= *wanted,
            Self::Null { is_null } => !is_null,
            _ => false,
        }
    }

    pub(super) fn holds_for_text(&self, value: &str) -> bool {
        match self {
            Self::Equal { is_equal, text } => (value == text) == *is_equal,
            Self::Pattern(pattern) => pattern.is_match(value),
            Self::In { is_in, texts } => texts.iter().any(|text| value == text) == *is_in,
            Self::Null { is_null } => !is_null,
            Self::Compare(..) => false,
        }
    }

    /// What holds for nothing at all: what is missing only is null.
    pub(super) fn holds_for_absent(&self) -> bool {
        matches!(self, Self::Null { is_null: true })
    }
}

fn subject(entity: Option<&str>, key: &str) -> Option<Subject> {
    let of_span = |key: &str| match key {
        "name" => Some(OfSpan::Name),
        "type" => Some(OfSpan::Kind),
        "status" => Some(OfSpan::Status),
        "content" => Some(OfSpan::Content),
        _ => key.strip_prefix("attributes.").filter(|key| !key.is_empty()).map(|key| OfSpan::Attribute(key.to_owned())),
    };
    match entity.map(str::to_ascii_lowercase).as_deref() {
        None | Some("attribute" | "attributes" | "trace") => match key {
            "timestamp" | "timestamp_ms" => Some(Subject::Number(Number::Start)),
            "execution_time" | "execution_time_ms" => Some(Subject::Number(Number::Duration)),
            "end_time" | "end_time_ms" => Some(Subject::Number(Number::End)),
            "request_id" => Some(Subject::Text(Text::Id)),
            "status" => Some(Subject::Text(Text::Status)),
            "client_request_id" => Some(Subject::Text(Text::ClientRequest)),
            "name" => Some(Subject::Tag(NAME_TAG.to_owned())),
            "run_id" => Some(Subject::Run),
            "prompt" => Some(Subject::Prompt),
            "text" => Some(Subject::Span(OfSpan::Content)),
            _ => None,
        },
        Some("tag" | "tags") if key == "mlflow.linkedPrompts" => Some(Subject::Prompt),
        Some("tag" | "tags") => Some(Subject::Tag(key.to_owned())),
        Some("metadata" | "request_metadata") if key == RUN_METADATA => Some(Subject::Run),
        Some("metadata" | "request_metadata") => Some(Subject::Metadata(key.to_owned())),
        Some("span") => of_span(key).map(Subject::Span),
        Some("span.attributes") => Some(Subject::Span(OfSpan::Attribute(key.to_owned()))),
        Some("feedback") => Some(Subject::Feedback(key.to_owned())),
        Some("expectation") => Some(Subject::Expectation(key.to_owned())),
        Some("issue") => (key == "id").then_some(Subject::Issue),
        Some(_) => None,
    }
}

impl Subject {
    fn takes_pattern(&self) -> bool {
        !matches!(self, Self::Number(_) | Self::Issue | Self::Prompt)
    }

    fn takes_null(&self) -> bool {
        matches!(self, Self::Tag(_) | Self::Metadata(_) | Self::Run | Self::Feedback(_) | Self::Expectation(_))
    }

    fn takes_list(&self) -> bool {
        match self {
            Self::Text(_) | Self::Run => true,
            Self::Tag(key) => key == NAME_TAG,
            Self::Span(of) => *of != OfSpan::Content,
            _ => false,
        }
    }

    fn takes_numbers(&self) -> bool {
        matches!(self, Self::Number(_) | Self::Feedback(_) | Self::Expectation(_))
    }
}

/// Parses a filter. The error names the clause at fault.
pub(super) fn parse(filter: &str) -> Result<Vec<Clause>> {
    let tokens = words(filter)?;
    let mut parser = Parser { filter, tokens: &tokens };
    let mut clauses: Vec<Clause> = Vec::new();
    while !parser.tokens.is_empty() {
        if !clauses.is_empty() && !parser.takes_keyword("AND") {
            return Err(invalid(parser.rest()));
        }
        clauses.push(parser.clause()?);
        if clauses.len() > MOST_CLAUSES {
            return Err(Error::new(Kind::Invalid, format!("a filter has at most {MOST_CLAUSES} clauses")));
        }
    }
    if clauses.iter().filter(|clause| matches!(clause.test, Test::Pattern(_))).count() > MOST_PATTERNS {
        return Err(Error::new(Kind::Invalid, format!("a filter has at most {MOST_PATTERNS} patterns")));
    }
    Ok(clauses)
}

struct Parser<'a> {
    filter: &'a str,
    tokens: &'a [Token],
}

impl<'a> Parser<'a> {
    fn rest(&self) -> &str {
        self.tokens.first().and_then(|token| self.filter.get(token.at..)).unwrap_or_default()
    }

    fn take(&mut self) -> Option<&'a Word> {
        let (first, rest) = self.tokens.split_first()?;
        self.tokens = rest;
        Some(&first.word)
    }

    fn takes_keyword(&mut self, wanted: &str) -> bool {
        let takes = self.tokens.first().is_some_and(|token| token.word.is_keyword(wanted));
        if takes {
            self.take();
        }
        takes
    }

    fn clause(&mut self) -> Result<Clause> {
        let fault = invalid(self.rest());
        let Some(Word::Name { entity, key, .. }) = self.take() else { return Err(fault) };
        let name = entity.as_ref().map_or_else(|| key.clone(), |entity| format!("{entity}.{key}"));
        let unknown = || {
            let words = "attributes are request_id, timestamp_ms, execution_time_ms, end_time_ms, status, client_request_id, \
                         name, run_id, prompt and text; others begin with tag., metadata., span., feedback., \
                         expectation. or issue.id";
            Error::new(Kind::Invalid, format!("Invalid attribute key '{}' specified: {words}", text::echo(&name)))
        };
        let subject = subject(entity.as_deref(), key).ok_or_else(unknown)?;
        let test = self.test(&subject)?.ok_or(fault)?;
        Ok(Clause { subject, test })
    }

    fn test(&mut self, subject: &Subject) -> Result<Option<Test>> {
        let Some(word) = self.take() else { return Ok(None) };
        let test = match word {
            Word::Symbol(symbol) => {
                let symbol = *symbol;
                return Ok(self.comparison(symbol, subject));
            }
            word if word.is_keyword("LIKE") => self.pattern(subject, |pattern| like(pattern, false))?,
            word if word.is_keyword("ILIKE") => self.pattern(subject, |pattern| like(pattern, true))?,
            word if word.is_keyword("RLIKE") && *subject != Subject::Span(OfSpan::Content) => {
                self.pattern(subject, |pattern| compile(pattern, false))?
            }
            word if word.is_keyword("IN") && subject.takes_list() => self.list(true),
            word if word.is_keyword("NOT") && subject.takes_list() && self.takes_keyword("IN") => self.list(false),
            word if word.is_keyword("IS") && subject.takes_null() => {
                let is_null = !self.takes_keyword("NOT");
                self.takes_keyword("NULL").then_some(Test::Null { is_null })
            }
            _ => None,
        };
        Ok(test)
    }

    fn comparison(&mut self, symbol: &'static str, subject: &Subject) -> Option<Test> {
        let equality = match symbol {
            "=" => Some(true),
            "!=" => Some(false),
            _ => None,
        };
        match (self.take()?, subject) {
            (Word::Number(wanted), Subject::Number(_)) => Some(Test::Compare(symbol, *wanted)),
            (Word::Text(text), Subject::Number(_)) => Some(Test::Compare(symbol, text.trim().parse().ok()?)),
            // Assessments are compared with numbers by size, with texts by equality.
            (Word::Number(wanted), _) if subject.takes_numbers() && equality.is_none() => {
                Some(Test::Compare(symbol, *wanted))
            }
            (_, Subject::Span(OfSpan::Content)) => None,
            (Word::Text(text), Subject::Prompt | Subject::Issue) if symbol == "=" => {
                Some(Test::Equal { is_equal: true, text: text.clone() })
            }
            (_, Subject::Prompt | Subject::Issue) => None,
            (Word::Text(text), _) => Some(Test::Equal { is_equal: equality?, text: text.clone() }),
            _ => None,
        }
    }

    fn pattern(&mut self, subject: &Subject, compile: impl FnOnce(&str) -> Result<Regex>) -> Result<Option<Test>> {
        match self.take() {
            Some(Word::Text(pattern)) if subject.takes_pattern() => Ok(Some(Test::Pattern(compile(pattern)?))),
            _ => Ok(None),
        }
    }

    fn list(&mut self, is_in: bool) -> Option<Test> {
        if !matches!(self.take()?, Word::Open) {
            return None;
        }
        let mut texts = Vec::new();
        loop {
            match self.take()? {
                Word::Text(text) if texts.len() < MOST_IN_LIST => texts.push(text.clone()),
                _ => return None,
            }
            match self.take()? {
                Word::Comma => {}
                Word::Close => return Some(Test::In { is_in, texts }),
                _ => return None,
            }
        }
    }
}

/// `LIKE`: `%` stands for any text, `_` for one character.
fn like(pattern: &str, ignores_case: bool) -> Result<Regex> {
    let mut translated = String::from("(?s)^");
    for letter in pattern.chars() {
        match letter {
            '%' => translated.push_str(".*"),
            '_' => translated.push('.'),
            other => translated.push_str(&escape(other.encode_utf8(&mut [0; 4]))),
        }
    }
    translated.push('$');
    compile(&translated, ignores_case)
}

fn compile(pattern: &str, ignores_case: bool) -> Result<Regex> {
    if pattern.len() > LONGEST_PATTERN.saturating_mul(2) {
        return Err(Error::new(Kind::Invalid, format!("a pattern has at most {LONGEST_PATTERN} bytes")));
    }
    let mut builder = RegexBuilder::new(pattern);
    let built = builder.case_insensitive(ignores_case).size_limit(PATTERN_SIZE).dfa_size_limit(PATTERN_SIZE).build();
    built.map_err(|fault| {
        let words =
            format!("Invalid pattern '{}': it is no regular expression, or too large a one", text::echo(pattern));
        Error::new(Kind::Invalid, words).because(fault)
    })
}

/// Parses an ordering: attributes, tags and metadata. The error names the key at fault.
pub(super) fn parse_order(keys: &[String]) -> Result<Ordering> {
    if keys.len() > MOST_KEYS {
        return Err(Error::new(Kind::Invalid, format!("`order_by` has at most {MOST_KEYS} keys")));
    }
    let mut fields: Vec<(Field, bool)> = Vec::new();
    for key in keys {
        let refuse = || Error::new(Kind::Invalid, format!("Invalid order_by clause '{}'", text::echo(key)));
        let (field, is_ascending) = parse_key(key).ok_or_else(refuse)?;
        if fields.iter().any(|(known, _)| *known == field) {
            let words = format!("`order_by` contains duplicate fields: '{}'", text::echo(key));
            return Err(Error::new(Kind::Invalid, words));
        }
        fields.push((field, is_ascending));
    }
    Ok(Ordering::of(fields))
}

fn parse_key(key: &str) -> Option<(Field, bool)> {
    let tokens = words(key).ok()?;
    let mut tokens = tokens.iter().map(|token| &token.word);
    let Some(Word::Name { entity, key, .. }) = tokens.next() else { return None };
    let attribute = |key: &str| Field { part: Part::Attribute, key: key.to_owned() };
    let field = match subject(entity.as_deref(), key) {
        Some(Subject::Number(Number::Start)) => attribute("timestamp_ms"),
        Some(Subject::Number(Number::Duration)) => attribute("execution_time_ms"),
        Some(Subject::Number(Number::End)) => attribute("end_time_ms"),
        Some(Subject::Text(Text::Id)) => attribute("request_id"),
        Some(Subject::Text(Text::Status)) => attribute("status"),
        Some(Subject::Run) => Field { part: Part::Param, key: RUN_METADATA.to_owned() },
        Some(Subject::Tag(key)) => Field { part: Part::Tag, key },
        // What runs call parameters, said once and never changed, is metadata here.
        Some(Subject::Metadata(key)) => Field { part: Part::Param, key },
        None if entity.is_none() && key == "experiment_id" => attribute("experiment_id"),
        _ => return None,
    };
    let is_ascending = match tokens.next() {
        None => true,
        Some(word) if word.is_keyword("ASC") => true,
        Some(word) if word.is_keyword("DESC") => false,
        Some(_) => return None,
    };
    tokens.next().is_none().then_some((field, is_ascending))
}
