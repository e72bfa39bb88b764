//! The part of the Kusto query language that the log tables answer.

use kernel::{Result, Timestamp};

use super::token::{Token, tokens, wrong};

/// Bounds of a query: characters, stages, and how deep conditions nest.
const LONGEST: usize = 8192;
const STAGES: usize = 32;
const DEPTH: usize = 32;
/// Columns that one stage may name, each once.
const COLUMNS: usize = 64;
/// Values that a query may compare rows with.
const COMPARED: usize = 100;

/// A query: a table, and what becomes of its rows.
#[derive(Debug)]
pub(in super::super) struct Query {
    pub table: String,
    pub stages: Vec<Stage>,
}

/// One step.
#[derive(Debug)]
pub(in super::super) enum Stage {
    Where(Condition),
    /// New name, column.
    Project(Vec<(String, String)>),
    Distinct(Vec<String>),
    Take(usize),
    /// Column, and whether the least comes first.
    Order(Vec<(String, bool)>),
    /// Name of the count, and the columns that are counted by.
    Count(String, Vec<String>),
}

/// What a row must fulfil.
#[derive(Debug)]
pub(in super::super) enum Condition {
    And(Vec<Condition>),
    Or(Vec<Condition>),
    Not(Box<Condition>),
    Empty(String),
    Compare(String, Comparator, Vec<Literal>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) enum Comparator {
    Equal,
    EqualFolded,
    Less,
    LessOrEqual,
    More,
    MoreOrEqual,
    Contains,
    StartsWith,
    EndsWith,
    In,
}

#[derive(Clone, Debug, PartialEq)]
pub(in super::super) enum Literal {
    Text(String),
    Number(f64),
    Flag(bool),
    Time(Timestamp),
}

/// Reads a query. `now` is what `now()` and `ago(…)` mean.
pub(in super::super) fn parse(text: &str, now: Timestamp) -> Result<Query> {
    if text.len() > LONGEST {
        return Err(wrong(format_args!("is longer than {LONGEST} characters")));
    }
    let mut reader = Reader { tokens: tokens(text)?, at: 0, compared: 0, now };
    let table = reader.name("a table")?;
    let mut stages = Vec::new();
    while reader.take("|") {
        if stages.len() >= STAGES {
            return Err(wrong(format_args!("has more than {STAGES} stages")));
        }
        stages.push(reader.stage()?);
    }
    match reader.next() {
        None => Ok(Query { table, stages }),
        Some(token) => Err(unexpected(&token)),
    }
}

fn unexpected(token: &Token) -> kernel::Error {
    let said = match token {
        Token::Name(text) | Token::Text(text) => text.clone(),
        Token::Number(number) => number.to_string(),
        Token::Span(_) => String::from("a length of time"),
        Token::Sign(sign) => (*sign).to_owned(),
    };
    wrong(format_args!("`{said}` is not expected there"))
}

/// Refuses a stage whose last column is one too many, or was named before.
fn distinct<T>(columns: &[T], name: impl Fn(&T) -> &String) -> Result<()> {
    if columns.len() > COLUMNS {
        return Err(wrong(format_args!("names more than {COLUMNS} columns in one stage")));
    }
    match columns.split_last() {
        Some((last, before)) if before.iter().any(|column| name(column) == name(last)) => {
            Err(wrong(format_args!("names the column `{}` twice", name(last))))
        }
        _ => Ok(()),
    }
}

struct Reader {
    tokens: Vec<Token>,
    at: usize,
    /// Values that rows are compared with.
    compared: usize,
    now: Timestamp,
}

impl Reader {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    fn next(&mut self) -> Option<Token> {
        let token = self.tokens.get(self.at).cloned();
        self.at = self.at.saturating_add(1);
        token
    }

    /// Takes a sign if it is there.
    fn take(&mut self, sign: &str) -> bool {
        let is_there = matches!(self.peek(), Some(Token::Sign(found)) if *found == sign);
        self.at = self.at.saturating_add(usize::from(is_there));
        is_there
    }

    /// Takes a keyword if it is there.
    fn word(&mut self, word: &str) -> bool {
        let is_there = matches!(self.peek(), Some(Token::Name(found)) if found == word);
        self.at = self.at.saturating_add(usize::from(is_there));
        is_there
    }

    fn expect(&mut self, sign: &str) -> Result<()> {
        match self.take(sign) {
            true => Ok(()),
            false => Err(wrong(format_args!("a `{sign}` is missing"))),
        }
    }

    fn name(&mut self, what: &str) -> Result<String> {
        match self.next() {
            Some(Token::Name(name)) => Ok(name),
            _ => Err(wrong(format_args!("the name of {what} is missing"))),
        }
    }

    fn names(&mut self) -> Result<Vec<String>> {
        let mut names = vec![self.name("a column")?];
        while self.take(",") {
            names.push(self.name("a column")?);
            distinct(&names, |name| name)?;
        }
        Ok(names)
    }

    fn stage(&mut self) -> Result<Stage> {
        let operator = self.name("an operator")?;
        match operator.as_str() {
            "where" | "filter" => Ok(Stage::Where(self.any(0)?)),
            "project" => self.project(),
            "distinct" => Ok(Stage::Distinct(self.names()?)),
            "take" | "limit" => match self.next() {
                Some(Token::Number(count)) if count >= 0.0 => Ok(Stage::Take(whole(count))),
                _ => Err(wrong(format_args!("`{operator}` needs a number"))),
            },
            "order" | "sort" => match self.word("by") {
                true => self.order(),
                false => Err(wrong(format_args!("`{operator}` needs `by`"))),
            },
            "count" => Ok(Stage::Count(String::from("Count"), Vec::new())),
            "summarize" => self.summarize(),
            _ => {
                let known = "where, project, distinct, take, order by, count, summarize count() by";
                Err(wrong(format_args!("`{operator}` is not offered, but {known}")))
            }
        }
    }

    fn project(&mut self) -> Result<Stage> {
        let mut columns = Vec::new();
        loop {
            let name = self.name("a column")?;
            let column = if self.take("=") { self.name("a column")? } else { name.clone() };
            columns.push((name, column));
            distinct(&columns, |(name, _)| name)?;
            if !self.take(",") {
                return Ok(Stage::Project(columns));
            }
        }
    }

    fn order(&mut self) -> Result<Stage> {
        let mut columns = Vec::new();
        loop {
            let name = self.name("a column")?;
            // Kusto's default is the greatest first.
            let is_ascending = self.word("asc") || {
                self.word("desc");
                false
            };
            columns.push((name, is_ascending));
            distinct(&columns, |(name, _)| name)?;
            if !self.take(",") {
                return Ok(Stage::Order(columns));
            }
        }
    }

    fn summarize(&mut self) -> Result<Stage> {
        let first = self.name("an aggregate")?;
        let (alias, function) = match self.take("=") {
            true => (first, self.name("an aggregate")?),
            false => (String::from("count_"), first),
        };
        if function != "count" {
            return Err(wrong(format_args!("`{function}` is not offered, but `count()`")));
        }
        self.expect("(")?;
        self.expect(")")?;
        let by = if self.word("by") { self.names()? } else { Vec::new() };
        if by.contains(&alias) {
            return Err(wrong(format_args!("names the column `{alias}` twice")));
        }
        Ok(Stage::Count(alias, by))
    }

    fn any(&mut self, depth: usize) -> Result<Condition> {
        if depth > DEPTH {
            return Err(wrong(format_args!("nests conditions more than {DEPTH} deep")));
        }
        let mut all = vec![self.every(depth)?];
        while self.word("or") {
            all.push(self.every(depth)?);
        }
        Ok(Condition::Or(all))
    }

    fn every(&mut self, depth: usize) -> Result<Condition> {
        let mut all = vec![self.one(depth)?];
        while self.word("and") {
            all.push(self.one(depth)?);
        }
        Ok(Condition::And(all))
    }

    fn one(&mut self, depth: usize) -> Result<Condition> {
        if self.take("(") {
            let inner = self.any(depth.saturating_add(1))?;
            self.expect(")")?;
            return Ok(inner);
        }
        let name = self.name("a column")?;
        if self.take("(") {
            let inner = match name.as_str() {
                "not" => Condition::Not(Box::new(self.any(depth.saturating_add(1))?)),
                "isempty" | "isnull" => Condition::Empty(self.name("a column")?),
                "isnotempty" | "isnotnull" => Condition::Not(Box::new(Condition::Empty(self.name("a column")?))),
                _ => return Err(wrong(format_args!("`{name}` is no function that is offered"))),
            };
            self.expect(")")?;
            return Ok(inner);
        }
        self.comparison(name)
    }

    fn comparison(&mut self, column: String) -> Result<Condition> {
        use Comparator::{
            Contains, EndsWith, Equal, EqualFolded, In, Less, LessOrEqual, More, MoreOrEqual, StartsWith,
        };
        let is_not = self.take("!");
        let token = self.next().ok_or_else(|| wrong("ends within a condition"))?;
        let (comparator, is_not) = match &token {
            Token::Sign("==") => (Equal, is_not),
            Token::Sign("!=") => (Equal, true),
            Token::Sign("=~") => (EqualFolded, is_not),
            Token::Sign("!~") => (EqualFolded, true),
            Token::Sign("<") => (Less, is_not),
            Token::Sign("<=") => (LessOrEqual, is_not),
            Token::Sign(">") => (More, is_not),
            Token::Sign(">=") => (MoreOrEqual, is_not),
            Token::Name(word) => match word.as_str() {
                "contains" | "has" => (Contains, is_not),
                "startswith" => (StartsWith, is_not),
                "endswith" => (EndsWith, is_not),
                "in" => (In, is_not),
                _ => return Err(unexpected(&token)),
            },
            _ => return Err(unexpected(&token)),
        };
        let literals = if comparator == In { self.list()? } else { vec![self.literal()?] };
        let condition = Condition::Compare(column, comparator, literals);
        Ok(if is_not { Condition::Not(Box::new(condition)) } else { condition })
    }

    fn list(&mut self) -> Result<Vec<Literal>> {
        self.expect("(")?;
        let mut all = vec![self.literal()?];
        while self.take(",") {
            all.push(self.literal()?);
        }
        self.expect(")")?;
        Ok(all)
    }

    fn literal(&mut self) -> Result<Literal> {
        self.compared = self.compared.saturating_add(1);
        if self.compared > COMPARED {
            return Err(wrong(format_args!("compares with more than {COMPARED} values")));
        }
        let token = self.next().ok_or_else(|| wrong("ends within a condition"))?;
        let name = match token {
            Token::Text(text) => return Ok(Literal::Text(text)),
            Token::Number(number) => return Ok(Literal::Number(number)),
            Token::Sign("-") => match self.next() {
                Some(Token::Number(number)) => return Ok(Literal::Number(-number)),
                _ => return Err(wrong("a number is missing behind `-`")),
            },
            Token::Name(name) => name,
            other => return Err(unexpected(&other)),
        };
        match name.as_str() {
            "true" => return Ok(Literal::Flag(true)),
            "false" => return Ok(Literal::Flag(false)),
            _ => self.expect("(")?,
        }
        let time = match (name.as_str(), self.next()) {
            ("now", Some(Token::Sign(")"))) => return Ok(Literal::Time(self.now)),
            ("ago", Some(Token::Span(span))) => Timestamp(self.now.0.saturating_sub(span)),
            ("datetime", Some(Token::Text(text))) => {
                Timestamp::parse_rfc3339(&text).ok_or_else(|| wrong("times in queries are RFC 3339"))?
            }
            _ => return Err(wrong(format_args!("`{name}` is no function that is offered here"))),
        };
        self.expect(")")?;
        Ok(Literal::Time(time))
    }
}

/// A count from a query: whatever is beyond is as good as all.
fn whole(count: f64) -> usize {
    format!("{count:.0}").parse().unwrap_or(usize::MAX)
}
