//! From text to expressions: `[concat(parameters('a'), '-x')]`, as Azure's templates write them.

use serde_json::Value;

use super::super::fault::invalid;
use kernel::Result;

/// Azure's bound on one expression.
const LONGEST: usize = 24_576;
/// How deep calls, members and indexes may nest.
const DEEPEST: usize = 64;

/// An expression.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) enum Expr {
    /// A text or number.
    Literal(Value),
    /// A function.
    Call(String, Vec<Expr>),
    /// `.name`
    Member(Box<Expr>, String),
    /// `[index]`
    Index(Box<Expr>, Box<Expr>),
}

/// What a string of a template is.
#[derive(Clone, Debug, PartialEq)]
pub(in super::super) enum Text<'a> {
    /// Itself.
    Plain(&'a str),
    /// An expression, without its brackets.
    Expression(&'a str),
}

/// Tells expressions from texts: `[…]` is one, `[[…]` is a text that begins with a bracket.
pub(in super::super) fn text_of(text: &str) -> Text<'_> {
    match text.strip_prefix('[') {
        Some(rest) if rest.starts_with('[') => Text::Plain(rest),
        Some(rest) => rest.strip_suffix(']').map_or(Text::Plain(text), Text::Expression),
        None => Text::Plain(text),
    }
}

/// Reads an expression.
///
/// # Errors
/// `Invalid`, quoting where it stopped making sense.
pub(in super::super) fn parse(text: &str) -> Result<Expr> {
    if text.len() > LONGEST {
        return Err(invalid(format_args!("an expression is longer than {LONGEST} characters")));
    }
    let mut reader = Reader { text, at: 0 };
    let expr = reader.expression(0)?;
    reader.skip_space();
    if reader.rest().is_empty() { Ok(expr) } else { Err(reader.stopped("nothing more")) }
}

/// The parameters that a value's expressions name, in lower case.
///
/// # Errors
/// As [`parse`].
pub(in super::super) fn parameters_in(value: &Value) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        match value {
            Value::String(text) => {
                if let Text::Expression(expression) = text_of(text) {
                    note_parameters(&parse(expression)?, &mut found);
                }
            }
            Value::Array(all) => open.extend(all),
            Value::Object(fields) => open.extend(fields.values()),
            _ => {}
        }
    }
    Ok(found)
}

fn note_parameters(expr: &Expr, found: &mut Vec<String>) {
    match expr {
        Expr::Literal(_) => {}
        Expr::Call(name, arguments) => {
            if let (true, [Expr::Literal(Value::String(of))]) =
                (name.eq_ignore_ascii_case("parameters"), arguments.as_slice())
            {
                found.push(of.to_lowercase());
            }
            arguments.iter().for_each(|argument| note_parameters(argument, found));
        }
        Expr::Member(of, _) => note_parameters(of, found),
        Expr::Index(of, index) => {
            note_parameters(of, found);
            note_parameters(index, found);
        }
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn take(&mut self, count: usize) -> &'a str {
        let taken = self.rest().get(..count).unwrap_or_default();
        self.at = self.at.saturating_add(taken.len());
        taken
    }

    fn skip_space(&mut self) {
        let space = self.rest().len().saturating_sub(self.rest().trim_start().len());
        self.take(space);
    }

    fn eat(&mut self, wanted: char) -> bool {
        self.skip_space();
        let is_there = self.peek() == Some(wanted);
        if is_there {
            self.take(wanted.len_utf8());
        }
        is_there
    }

    fn stopped(&self, wanted: &str) -> kernel::Error {
        let before: String = self.text.get(..self.at).unwrap_or_default().chars().rev().take(40).collect();
        let before: String = before.chars().rev().collect();
        invalid(format_args!("an expression should have {wanted} after `{before}`"))
    }

    fn expression(&mut self, depth: usize) -> Result<Expr> {
        if depth > DEEPEST {
            return Err(invalid(format_args!("an expression is nested deeper than {DEEPEST}")));
        }
        self.skip_space();
        let mut expr = match self.peek() {
            Some('\'') => self.quoted()?,
            Some(c) if c.is_ascii_digit() || c == '-' => self.number()?,
            Some(c) if c.is_ascii_alphabetic() || c == '_' => self.call(depth)?,
            _ => return Err(self.stopped("a function, a text or a number")),
        };
        let mut links = depth;
        loop {
            links = links.saturating_add(1);
            if links > DEEPEST {
                return Err(invalid(format_args!("an expression is nested deeper than {DEEPEST}")));
            }
            if self.eat('.') {
                self.skip_space();
                let name = self.word();
                if name.is_empty() {
                    return Err(self.stopped("a property's name"));
                }
                expr = Expr::Member(Box::new(expr), name);
            } else if self.eat('[') {
                let index = self.expression(links)?;
                if !self.eat(']') {
                    return Err(self.stopped("`]`"));
                }
                expr = Expr::Index(Box::new(expr), Box::new(index));
            } else {
                return Ok(expr);
            }
        }
    }

    fn word(&mut self) -> String {
        let end = self.rest().find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(self.rest().len());
        self.take(end).to_owned()
    }

    /// `'it''s'`: a quote in a text is doubled.
    fn quoted(&mut self) -> Result<Expr> {
        self.take(1);
        let mut out = String::new();
        loop {
            let Some(end) = self.rest().find('\'') else { return Err(self.stopped("a closing quote")) };
            out.push_str(self.take(end));
            self.take(1);
            if self.peek() != Some('\'') {
                return Ok(Expr::Literal(Value::String(out)));
            }
            out.push_str(self.take(1));
        }
    }

    fn number(&mut self) -> Result<Expr> {
        let sign = usize::from(self.peek() == Some('-'));
        let digits = self.rest().get(sign..).unwrap_or_default();
        let length = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
        let text = self.take(length.saturating_add(sign));
        match text.parse::<i64>() {
            Ok(number) => Ok(Expr::Literal(Value::from(number))),
            Err(_) => Err(self.stopped("a whole number")),
        }
    }

    fn call(&mut self, depth: usize) -> Result<Expr> {
        let name = self.word();
        if !self.eat('(') {
            return Err(self.stopped("`(`"));
        }
        let mut arguments = Vec::new();
        if self.eat(')') {
            return Ok(Expr::Call(name, arguments));
        }
        loop {
            arguments.push(self.expression(depth.saturating_add(1))?);
            if self.eat(')') {
                return Ok(Expr::Call(name, arguments));
            }
            if !self.eat(',') {
                return Err(self.stopped("`,` or `)`"));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_are_told_from_texts() {
        assert_eq!(text_of("[x()]"), Text::Expression("x()"));
        assert_eq!(text_of("[[x]"), Text::Plain("[x]"));
        for plain in ["x", "", "[x", "x]"] {
            assert_eq!(text_of(plain), Text::Plain(plain));
        }
    }

    #[test]
    fn calls_members_and_indexes_nest() {
        let parsed = parse("a( 'it''s', -3 , b().c['d'] )").unwrap();
        let b = Expr::Call(String::from("b"), Vec::new());
        let member = Expr::Member(Box::new(b), String::from("c"));
        let index = Expr::Index(Box::new(member), Box::new(Expr::Literal("d".into())));
        let arguments = vec![Expr::Literal("it's".into()), Expr::Literal((-3).into()), index];
        assert_eq!(parsed, Expr::Call(String::from("a"), arguments));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let deep = format!("{}1{}", "not(".repeat(100), ")".repeat(100));
        let long = format!("'{}'", "x".repeat(LONGEST));
        let chain = format!("a(){}", ".b".repeat(100));
        for bad in [
            "",
            "a",
            "a(",
            "a(1",
            "a(1,)",
            "a() b()",
            "'x",
            "a().",
            "a()[",
            "99999999999999999999",
            "é()",
            &deep,
            &long,
            &chain,
        ] {
            let fault = parse(bad).unwrap_err();
            assert_eq!((fault.kind(), fault.code()), (kernel::Kind::Invalid, Some("InvalidTemplate")), "{bad}");
        }
    }
}
