//! Filters: parsed against a schema, then matched record by record.

use kernel::{Error, Kind, Result};

use super::{
    Field, Part, Schema, Searchable, Value, fault,
    lexer::{Token, Word, invalid, words},
    like::{LONGEST_PATTERN, is_like},
};
use crate::tracking::registry::PROMPT_TAG;

/// Most clauses of one filter.
const MOST_CLAUSES: usize = 100;
/// `LIKE`s in one filter.
const MOST_PATTERNS: usize = 10;

/// A filter: all clauses must match.
#[derive(Debug, Default)]
pub(crate) struct Filter {
    clauses: Vec<Clause>,
    absent_differs: bool,
}

#[derive(Debug)]
struct Clause {
    field: Field,
    test: Test,
}

#[derive(Debug)]
enum Test {
    Number(&'static str, f64),
    Text { is_equal: bool, text: String },
    Like { pattern: String, ignores_case: bool },
    In { is_in: bool, texts: Vec<String> },
    Null { is_null: bool },
}

impl Filter {
    /// Whether a clause asks about this part.
    pub(crate) fn asks(&self, part: Part) -> bool {
        self.clauses.iter().any(|clause| clause.field.part == part)
    }

    /// The fields that its clauses ask for.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &Field> {
        self.clauses.iter().map(|clause| &clause.field)
    }

    /// Whether prompts are asked for. A filter for models says nothing else about them: that is taken out of it.
    pub(crate) fn take_prompts(&mut self) -> bool {
        let is_about = |clause: &&Clause| clause.field.part == Part::Tag && clause.field.key == PROMPT_TAG;
        let asks = self.clauses.iter().find(is_about).is_some_and(|clause| match &clause.test {
            Test::Text { is_equal, text } => text.eq_ignore_ascii_case(if *is_equal { "true" } else { "false" }),
            _ => false,
        });
        if !asks {
            self.clauses.retain(|clause| !is_about(&clause));
        }
        asks
    }

    /// Whether a record passes.
    pub(crate) fn matches(&self, record: &impl Searchable) -> bool {
        self.clauses.iter().all(|clause| clause.matches(&record.value(&clause.field), self.absent_differs))
    }
}

impl Clause {
    fn matches(&self, value: &Value<'_>, absent_differs: bool) -> bool {
        match value {
            Value::Absent => match &self.test {
                Test::Null { is_null } => *is_null,
                Test::Text { is_equal: false, .. } => absent_differs && self.field.part == Part::Tag,
                _ => false,
            },
            Value::Number(number) => self.test.holds_for_number(*number),
            Value::Text(text) => self.test.holds_for_text(text),
            Value::Texts(texts) => texts.iter().any(|text| self.test.holds_for_text(text)),
        }
    }
}

impl Test {
    #[expect(clippy::float_cmp, reason = "`=` of the language is equality of numbers")]
    fn holds_for_number(&self, value: f64) -> bool {
        match self {
            Self::Number("=", wanted) => value == *wanted,
            // NaN differs from everything, and nothing else holds for it.
            Self::Number("!=", wanted) => value != *wanted,
            Self::Number("<", wanted) => value < *wanted,
            Self::Number("<=", wanted) => value <= *wanted,
            Self::Number(">", wanted) => value > *wanted,
            Self::Number(">=", wanted) => value >= *wanted,
            Self::Null { is_null } => !is_null,
            _ => false,
        }
    }

    fn holds_for_text(&self, value: &str) -> bool {
        match self {
            Self::Text { is_equal, text } => (value == text) == *is_equal,
            Self::Like { pattern, ignores_case: false } => is_like(value, pattern),
            Self::Like { pattern, ignores_case: true } => is_like(&value.to_lowercase(), &pattern.to_lowercase()),
            Self::In { is_in, texts } => texts.iter().any(|text| value == text) == *is_in,
            Self::Null { is_null } => !is_null,
            Self::Number(..) => false,
        }
    }
}

impl Schema {
    /// The field that a name stands for; none when the noun has no such thing.
    pub(super) fn resolve(&self, entity: Option<&str>, key: &str) -> Option<Field> {
        let part = entity.map_or(Some(Part::Attribute), Self::part)?;
        if part != Part::Attribute {
            return self.parts.contains(&part).then(|| Field { part, key: key.to_owned() });
        }
        let other = self.aliases.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(key));
        let other = other.map(|(_, canonical)| *canonical);
        let canonical = other.unwrap_or(key);
        let is_known = [self.numbers, self.texts, self.order_only].iter().any(|names| names.contains(&canonical));
        is_known.then(|| Field { part, key: canonical.to_owned() })
    }

    /// What an entity's name stands for.
    pub(super) fn part(entity: &str) -> Option<Part> {
        Some(match entity.to_ascii_lowercase().as_str() {
            "attribute" | "attributes" | "attr" | "run" => Part::Attribute,
            "metric" | "metrics" => Part::Metric,
            "param" | "params" | "parameter" | "parameters" => Part::Param,
            "tag" | "tags" => Part::Tag,
            "dataset" | "datasets" => Part::Dataset,
            _ => return None,
        })
    }

    pub(super) fn is_number(&self, field: &Field) -> bool {
        match field.part {
            Part::Metric => true,
            Part::Attribute => self.numbers.contains(&field.key.as_str()),
            Part::Param | Part::Tag | Part::Dataset => false,
        }
    }

    pub(super) fn takes_list(&self, field: &Field) -> bool {
        match field.part {
            Part::Dataset => true,
            Part::Attribute => self.lists.contains(&field.key.as_str()),
            // Of logged models all texts may be asked about so.
            Part::Param | Part::Tag => self.is_wide() && !self.parts.contains(&Part::Dataset),
            Part::Metric => false,
        }
    }
}

/// Parses a filter. The error names the clause at fault.
pub(crate) fn parse_filter(filter: &str, schema: &Schema) -> Result<Filter> {
    let tokens = words(filter)?;
    let mut parser = Parser { filter, tokens: &tokens, schema };
    let mut clauses = Vec::new();
    while !parser.tokens.is_empty() {
        if !clauses.is_empty() && !parser.takes_keyword("AND") {
            return Err(invalid(parser.rest()));
        }
        clauses.push(parser.clause()?);
        if clauses.len() > MOST_CLAUSES {
            return Err(Error::new(Kind::Invalid, format!("a filter has at most {MOST_CLAUSES} clauses")));
        }
    }
    let patterns = clauses.iter().filter_map(|clause| match &clause.test {
        Test::Like { pattern, .. } => Some(pattern.len()),
        _ => None,
    });
    if patterns.clone().count() > MOST_PATTERNS || patterns.max().is_some_and(|longest| longest > LONGEST_PATTERN) {
        let why = format!("a filter has at most {MOST_PATTERNS} patterns of at most {LONGEST_PATTERN} bytes");
        return Err(Error::new(Kind::Invalid, why));
    }
    Ok(Filter { clauses, absent_differs: schema.absent_differs })
}

struct Parser<'a> {
    filter: &'a str,
    tokens: &'a [Token],
    schema: &'a Schema,
}

impl<'a> Parser<'a> {
    /// The filter from the next word on.
    fn rest(&self) -> &'a str {
        self.tokens.first().and_then(|token| self.filter.get(token.at..)).unwrap_or_default()
    }

    fn take(&mut self) -> Option<&'a Word> {
        let (first, after) = self.tokens.split_first()?;
        self.tokens = after;
        Some(&first.word)
    }

    fn takes_keyword(&mut self, wanted: &str) -> bool {
        let is_it = matches!(self.tokens.first(), Some(token) if token.word.is_keyword(wanted));
        if is_it {
            self.take();
        }
        is_it
    }

    fn clause(&mut self) -> Result<Clause> {
        let start = self.rest();
        let refuse = || invalid(start);
        let Some(Word::Name { entity, key, is_quoted }) = self.take() else { return Err(refuse()) };
        if !is_quoted && entity.is_none() && ["AND", "OR", "NOT"].iter().any(|word| key.eq_ignore_ascii_case(word)) {
            return Err(refuse());
        }
        let field = self.schema.resolve(entity.as_deref(), key).filter(|field| !self.is_order_only(field));
        let field = field.ok_or_else(|| fault::unknown(self.schema, entity.as_deref(), key))?;
        if field.part == Part::Dataset && !["name", "digest", "context"].contains(&field.key.as_str()) {
            return Err(fault::unknown(self.schema, entity.as_deref(), key));
        }
        let rest = self.tokens;
        let explain = || fault::of_clause(self.schema, &field, self.filter, start, rest);
        let test = self.test(&field).ok_or_else(explain)?;
        Ok(Clause { field, test })
    }

    fn is_order_only(&self, field: &Field) -> bool {
        field.part == Part::Attribute && self.schema.order_only.contains(&field.key.as_str())
    }

    fn test(&mut self, field: &Field) -> Option<Test> {
        let is_number = self.schema.is_number(field);
        match self.take()? {
            Word::Symbol(symbol) if is_number => match self.take()? {
                Word::Number(wanted) if field.key == fault::WHOLE && wanted.fract() != 0.0 => None,
                Word::Number(wanted) => Some(Test::Number(symbol, *wanted)),
                // Times are also written in quotes.
                Word::Text(text) if field.part == Part::Attribute => {
                    Some(Test::Number(symbol, text.trim().parse().ok()?))
                }
                _ => None,
            },
            Word::Symbol(symbol) => {
                let is_equal = match *symbol {
                    "=" => true,
                    "!=" => false,
                    _ => return None,
                };
                match self.take()? {
                    Word::Text(text) => Some(Test::Text { is_equal, text: text.clone() }),
                    _ => None,
                }
            }
            word if !is_number && word.is_keyword("LIKE") => self.pattern(false),
            word if !is_number && word.is_keyword("ILIKE") => self.pattern(true),
            word if self.schema.takes_list(field) && word.is_keyword("IN") => self.list(true),
            word if self.schema.takes_list(field) && word.is_keyword("NOT") => {
                if self.takes_keyword("IN") {
                    self.list(false)
                } else {
                    None
                }
            }
            word if matches!(field.part, Part::Param | Part::Tag) && word.is_keyword("IS") => {
                let is_null = !self.takes_keyword("NOT");
                self.takes_keyword("NULL").then_some(Test::Null { is_null })
            }
            _ => None,
        }
    }

    fn pattern(&mut self, ignores_case: bool) -> Option<Test> {
        match self.take()? {
            Word::Text(pattern) => Some(Test::Like { pattern: pattern.clone(), ignores_case }),
            _ => None,
        }
    }

    fn list(&mut self, is_in: bool) -> Option<Test> {
        if !matches!(self.take()?, Word::Open) {
            return None;
        }
        let mut texts = Vec::new();
        loop {
            match self.take()? {
                Word::Text(text) => texts.push(text.clone()),
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

impl Word {
    pub(in crate::tracking) fn is_keyword(&self, wanted: &str) -> bool {
        matches!(self, Self::Name { entity: None, key, is_quoted: false } if key.eq_ignore_ascii_case(wanted))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCHEMA: Schema = Schema {
        numbers: &["start_time"],
        texts: &["run_name", "run_id"],
        lists: &["run_id"],
        aliases: &[("created", "start_time"), ("Run name", "run_name")],
        parts: &[Part::Metric, Part::Param, Part::Tag, Part::Dataset],
        order_only: &["end_time"],
        absent_differs: false,
    };

    struct Sample;

    impl Searchable for Sample {
        fn value(&self, field: &Field) -> Value<'_> {
            match (field.part, field.key.as_str()) {
                (Part::Metric, "loss") => Value::Number(0.5),
                (Part::Metric, "a b") => Value::Number(-2.0),
                (Part::Metric, "nan") => Value::Number(f64::NAN),
                (Part::Param, "lr") => Value::from("0.1"),
                (Part::Tag, "mlflow.user") => Value::from("Ada"),
                (Part::Attribute, "run_name") => Value::from("Blue Fox"),
                (Part::Attribute, "run_id") => Value::from("r1"),
                (Part::Attribute, "start_time") => Value::Number(100.0),
                (Part::Dataset, "name") => Value::Texts(vec!["iris".into(), "wine".into()]),
                _ => Value::Absent,
            }
        }

        fn size(&self) -> usize {
            0
        }
    }

    /// Filter, and whether the sample passes.
    const HOLDS: &[(&str, bool)] = &[
        ("", true),
        ("metrics.loss < 1", true),
        ("metric.loss >= 0.5 and METRICS.loss <= 5e-1", true),
        ("metrics.loss != 0.5", false),
        ("metrics.`a b` = -2", true),
        ("metrics.\"a b\" > -3.0", true),
        ("metrics.nan = 0", false),
        ("metrics.nan != 0", true),
        ("metrics.absent != 0", false),
        ("params.lr = '0.1'", true),
        ("param.lr LIKE '0.%'", true),
        ("parameters.lr != \"0.1\"", false),
        ("params.absent != 'x'", false),
        ("params.absent IS NULL", true),
        ("params.lr is not null", true),
        ("tags.mlflow.user = 'Ada'", true),
        ("tags.`mlflow.user` ILIKE 'aD_'", true),
        ("tag.\"mlflow.user\" LIKE 'a%'", false),
        ("run_name LIKE '%Fox'", true),
        ("attributes.run_name ILIKE 'blue%'", true),
        ("attr.`Run name` = 'Blue Fox'", true),
        ("run_id IN ('r0', 'r1')", true),
        ("run_id NOT IN ('r0','r1')", false),
        ("start_time > 99 AND created <= '100'", true),
        ("dataset.name = 'wine'", true),
        ("datasets.name IN ('x')", false),
    ];

    #[test]
    fn filters_match() {
        for (filter, expected) in HOLDS {
            let parsed = parse_filter(filter, &SCHEMA);
            assert_eq!(parsed.map(|filter| filter.matches(&Sample)).ok(), Some(*expected), "{filter}");
        }
    }

    #[test]
    fn what_the_language_does_not_know_is_refused() {
        let bad = [
            "metrics.loss < 1 OR metrics.loss > 2",
            "(metrics.loss < 1)",
            "NOT metrics.loss < 1",
            "metrics.loss",
            "metrics.loss <",
            "metrics.loss < 'x'",
            "metrics.loss LIKE 'x'",
            "metrics.loss = 1 metrics.loss = 2",
            "metrics.loss = 1 AND",
            "AND metrics.loss = 1",
            "params.lr > 1",
            "params.lr = 0.1",
            "params.lr IN ('x')",
            "run_name IN ('x')",
            "run_id IN ()",
            "run_id IN ('a'",
            "run_id IN ('a',)",
            "end_time > 1",
            "secret = 'x'",
            "dataset.source = 'x'",
            "foo.bar = 'x'",
            "run_name = 'x",
            "run_name = x",
            "metrics. = 1",
            "start_time IS NULL",
            "1 = 1",
            "; drop table runs",
            "metrics.loss == 1",
            "metrics.loss = 1a",
        ];
        for filter in bad {
            let fault = parse_filter(filter, &SCHEMA).expect_err(filter);
            assert_eq!(fault.kind(), Kind::Invalid, "{filter}");
        }
        let fault = parse_filter("metrics.a = 1 AND params.b > 2", &SCHEMA).unwrap_err();
        assert_eq!(fault.public(), "Expected a quoted string value for parameter (e.g. 'my-value'). Got value 2");
        let fault = parse_filter("metrics.a = 1 AND params.b", &SCHEMA).unwrap_err();
        assert_eq!(fault.public(), "Invalid clause(s) in filter string: 'params.b'");
    }
}
