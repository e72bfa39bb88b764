//! Conditions: `allOf`, `anyOf`, `not`, and comparisons of fields. Read strictly, bounded, and decided without reading anything.

use kernel::{Error, Result};
use serde_json::{Map, Value};

use super::{
    alias::Alias,
    facts::Facts,
    operator::Operator,
    value::{Given, Said, is_expression, named},
};

/// How deep conditions may be within one another.
const DEEPEST: usize = 16;
/// Conditions of one rule.
const MOST: usize = 200;

/// A condition.
#[derive(Clone, Debug)]
pub(super) enum Condition {
    All(Vec<Self>),
    Any(Vec<Self>),
    Not(Box<Self>),
    Test { subject: Subject, operator: Operator, with: Said },
}

/// What is compared.
#[derive(Clone, Debug)]
pub(super) enum Subject {
    Type,
    Name,
    Id,
    Location,
    Tags,
    Tag(Said),
    Alias(&'static Alias),
    Value(Said),
}

/// Reads conditions, and counts them.
pub(super) struct Reader {
    left: usize,
}

impl Reader {
    pub fn new() -> Self {
        Self { left: MOST }
    }

    /// Reads one condition.
    ///
    /// # Errors
    /// `Invalid`, naming where.
    pub fn read(&mut self, at: &str, depth: usize, value: &Value) -> Result<Condition> {
        if depth > DEEPEST {
            return Err(Error::invalid("properties.policyRule.if", format_args!("is deeper than {DEEPEST}")));
        }
        self.left = self.left.checked_sub(1).ok_or_else(|| {
            Error::invalid("properties.policyRule.if", format_args!("has more than {MOST} conditions"))
        })?;
        let map = value.as_object().ok_or_else(|| Error::invalid(at, "must be an object"))?;
        let only = (map.len() == 1).then(|| map.iter().next()).flatten();
        match only.map(|(key, inner)| (key.as_str(), inner)) {
            Some(("allOf", inner)) => self.list(at, "allOf", depth, inner).map(Condition::All),
            Some(("anyOf", inner)) => self.list(at, "anyOf", depth, inner).map(Condition::Any),
            Some(("not", inner)) => {
                let inner = self.read(&format!("{at}.not"), depth.saturating_add(1), inner)?;
                Ok(Condition::Not(Box::new(inner)))
            }
            _ => test(at, map),
        }
    }

    fn list(&mut self, at: &str, key: &str, depth: usize, value: &Value) -> Result<Vec<Condition>> {
        let at = format!("{at}.{key}");
        let list = value.as_array().filter(|list| !list.is_empty());
        let list = list.ok_or_else(|| Error::invalid(&at, "must be a list of one condition or more"))?;
        let each = list.iter().enumerate();
        each.map(|(index, one)| self.read(&format!("{at}[{index}]"), depth.saturating_add(1), one)).collect()
    }
}

fn test(at: &str, map: &Map<String, Value>) -> Result<Condition> {
    let mut found = None;
    let mut subject = None;
    for (key, value) in map {
        let place = || format!("{at}.{}", key.chars().take(40).collect::<String>());
        match key.as_str() {
            "field" => {
                let name = value.as_str().ok_or_else(|| Error::invalid(place(), "must be a text"))?;
                subject = Some(Subject::field(&place(), name)?);
            }
            "value" => subject = Some(Subject::Value(Said::read(&place(), value)?)),
            other => {
                let operator = Operator::named(other).ok_or_else(|| {
                    let why = "is no operator and no part of a condition that is offered here";
                    Error::invalid(place(), why)
                })?;
                let with = Said::read(&place(), value)?;
                if let Said::Plain(plain) = &with
                    && let Some(why) = operator.misfit(plain)
                {
                    return Err(Error::invalid(place(), why));
                }
                if found.replace((operator, with)).is_some() {
                    return Err(Error::invalid(at, "has two operators"));
                }
            }
        }
    }
    match (subject, found) {
        (Some(subject), Some((operator, with))) if map.len() == 2 => Ok(Condition::Test { subject, operator, with }),
        _ => Err(Error::invalid(at, "must be `allOf`, `anyOf`, `not`, or one `field` or `value` with one operator")),
    }
}

impl Subject {
    /// Reads the name of a field.
    ///
    /// # Errors
    /// `Invalid` for fields and aliases that there are not.
    pub fn field(at: &str, name: &str) -> Result<Self> {
        if let Some(tag) = tag_of_expression(name) {
            return Ok(Self::Tag(Said::Parameter(tag.to_owned())));
        }
        if is_expression(name) {
            let why = "the only expression for a field is `[concat('tags[', parameters('name'), ']')]`";
            return Err(Error::invalid(at, why));
        }
        match name.to_ascii_lowercase().as_str() {
            "type" => return Ok(Self::Type),
            "name" => return Ok(Self::Name),
            "id" => return Ok(Self::Id),
            "location" => return Ok(Self::Location),
            "tags" => return Ok(Self::Tags),
            _ => {}
        }
        if let Some(tag) = tag_named(name) {
            return Ok(Self::Tag(Said::Plain(Value::from(tag))));
        }
        let shown: String = name.chars().take(120).collect();
        let unknown = || Error::invalid(at, format_args!("`{shown}` is no field and no alias of a resource type here"));
        Alias::named(name).map(Self::Alias).ok_or_else(unknown)
    }

    fn value(&self, facts: &Facts) -> Value {
        match self {
            Self::Type => Value::from(facts.kind()),
            Self::Name => Value::from(facts.id.name()),
            Self::Id => Value::from(facts.id.as_str()),
            Self::Location if facts.location.is_empty() => Value::Null,
            Self::Location => Value::from(facts.location.as_str()),
            Self::Tags => facts.tags.iter().map(|(name, value)| (name.clone(), Value::from(value.as_str()))).collect(),
            Self::Tag(name) => {
                let name = name.plain_text();
                let found = facts.tags.iter().find(|(known, _)| known.eq_ignore_ascii_case(&name));
                found.map_or(Value::Null, |(_, value)| Value::from(value.as_str()))
            }
            Self::Alias(alias) => alias.value(facts),
            Self::Value(value) => value.clone().plain(),
        }
    }
}

/// The name in `tags[name]`, `tags['name']` or `tags.name`.
pub(super) fn tag_named(field: &str) -> Option<&str> {
    let rest = field.get(..4).filter(|word| word.eq_ignore_ascii_case("tags")).and_then(|_| field.get(4..))?;
    let name = match rest.strip_prefix('.') {
        Some(name) => name,
        None => {
            let inner = rest.strip_prefix('[')?.strip_suffix(']')?;
            inner.strip_prefix('\'').and_then(|name| name.strip_suffix('\'')).unwrap_or(inner)
        }
    };
    (1..=512).contains(&name.len()).then_some(name)
}

/// The parameter in `[concat('tags[', parameters('name'), ']')]`, as Azure's own definitions write it.
pub(super) fn tag_of_expression(field: &str) -> Option<&str> {
    let inner = field.strip_prefix("[concat(")?.strip_suffix(")]")?.trim();
    let rest = inner.strip_prefix("'tags['")?.trim().strip_prefix(',')?.trim();
    let call = rest.strip_suffix("']'")?.trim().strip_suffix(',')?.trim();
    named(call)
}

impl Condition {
    /// Whether it holds. Its parameters are resolved.
    pub fn holds(&self, facts: &Facts) -> bool {
        match self {
            Self::All(all) => all.iter().all(|one| one.holds(facts)),
            Self::Any(any) => any.iter().any(|one| one.holds(facts)),
            Self::Not(one) => !one.holds(facts),
            Self::Test { subject, operator, with } => {
                let (value, with) = (subject.value(facts), with.clone().plain());
                match (subject, &value) {
                    // As Azure has it: it must hold for every element.
                    (Subject::Alias(alias), Value::Array(list)) if alias.is_each() => {
                        list.iter().all(|one| operator.holds(one, &with))
                    }
                    _ => operator.holds(&value, &with),
                }
            }
        }
    }

    /// What it comes to when only the type is known; none when that does not decide it.
    pub fn by_type(&self, kind: &str) -> Option<bool> {
        match self {
            Self::All(all) => all.iter().any(|one| one.by_type(kind) == Some(false)).then_some(false),
            Self::Any(any) => any.iter().all(|one| one.by_type(kind) == Some(false)).then_some(false),
            Self::Not(one) => one.by_type(kind).map(|holds| !holds),
            Self::Test { subject: Subject::Type, operator, with } => {
                Some(operator.holds(&Value::from(kind), &with.clone().plain()))
            }
            Self::Test { .. } => None,
        }
    }

    /// The same, with values in place of parameters.
    ///
    /// # Errors
    /// `Invalid` when a value does not fit where it is used.
    pub fn resolve(&self, given: &Given) -> Result<Self> {
        let each = |list: &[Self]| list.iter().map(|one| one.resolve(given)).collect::<Result<Vec<_>>>();
        Ok(match self {
            Self::All(all) => Self::All(each(all)?),
            Self::Any(any) => Self::Any(each(any)?),
            Self::Not(one) => Self::Not(Box::new(one.resolve(given)?)),
            Self::Test { subject, operator, with } => {
                let plain = with.resolve(given)?;
                if let Some(why) = operator.misfit(&plain) {
                    let name = with.parameter().unwrap_or("policyRule");
                    return Err(Error::invalid(format!("properties.parameters.{name}"), why));
                }
                Self::Test { subject: subject.resolve(given)?, operator: *operator, with: Said::Plain(plain) }
            }
        })
    }

    /// The parameters that it names.
    pub fn parameters<'a>(&'a self, found: &mut Vec<&'a str>) {
        match self {
            Self::All(list) | Self::Any(list) => list.iter().for_each(|one| one.parameters(found)),
            Self::Not(one) => one.parameters(found),
            Self::Test { subject, with, .. } => {
                found.extend(with.parameter());
                if let Subject::Tag(said) | Subject::Value(said) = subject {
                    found.extend(said.parameter());
                }
            }
        }
    }
}

impl Subject {
    fn resolve(&self, given: &Given) -> Result<Self> {
        Ok(match self {
            Self::Tag(said) => {
                let name = said.resolve(given)?;
                if !name.as_str().is_some_and(|name| (1..=512).contains(&name.len())) {
                    return Err(Error::invalid("properties.parameters", "the name of a tag has 1 to 512 characters"));
                }
                Self::Tag(Said::Plain(name))
            }
            Self::Value(said) => Self::Value(Said::Plain(said.resolve(given)?)),
            other => other.clone(),
        })
    }
}

impl Said {
    /// The value of one that is resolved.
    pub fn plain(self) -> Value {
        match self {
            Self::Plain(value) => value,
            Self::Parameter(_) => Value::Null,
        }
    }

    pub(super) fn plain_text(&self) -> String {
        match self {
            Self::Plain(Value::String(text)) => text.clone(),
            _ => String::new(),
        }
    }
}
