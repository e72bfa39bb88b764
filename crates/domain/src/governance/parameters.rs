//! Parameters of definitions: what an assignment can give, and what it must.

use kernel::{Error, Result};
use serde_json::{Map, Value};

use super::value::Given;

/// Parameters of one definition; Azure's bound is 20.
const MOST: usize = 20;

/// The parameters that a definition declares.
#[derive(Clone, Debug, Default)]
pub(super) struct Parameters(Vec<Parameter>);

#[derive(Clone, Debug)]
struct Parameter {
    name: String,
    kind: Kind,
    default: Option<Value>,
    allowed: Option<Vec<Value>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    String,
    Array,
    Boolean,
    Integer,
    Float,
}

impl Kind {
    fn named(word: &str) -> Option<Self> {
        let known = [
            ("string", Self::String),
            ("array", Self::Array),
            ("boolean", Self::Boolean),
            ("integer", Self::Integer),
            ("float", Self::Float),
        ];
        known.into_iter().find(|(name, _)| name.eq_ignore_ascii_case(word)).map(|(_, kind)| kind)
    }

    fn fits(self, value: &Value) -> bool {
        match self {
            Self::String => value.is_string(),
            Self::Array => {
                value.as_array().is_some_and(|list| list.iter().all(|one| !one.is_array() && !one.is_object()))
            }
            Self::Boolean => value.is_boolean(),
            Self::Integer => value.is_i64() || value.is_u64(),
            Self::Float => value.is_number(),
        }
    }
}

impl Parameters {
    /// Reads what a definition declares.
    ///
    /// # Errors
    /// `Invalid`, naming the field.
    pub fn read(declared: &Map<String, Value>) -> Result<Self> {
        if declared.len() > MOST {
            return Err(Error::invalid("properties.parameters", format_args!("at most {MOST}")));
        }
        declared.iter().map(|(name, value)| Parameter::read(name, value)).collect::<Result<_>>().map(Self)
    }

    /// Whether one of this name is declared.
    pub fn has(&self, name: &str) -> bool {
        self.0.iter().any(|parameter| parameter.name == name)
    }

    /// The values that a parameter can take as far as the declaration says: those allowed, or else its default.
    pub fn possible(&self, name: &str) -> Vec<&Value> {
        let found = self.0.iter().find(|parameter| parameter.name == name);
        found.map(|one| one.allowed.iter().flatten().chain(&one.default).collect()).unwrap_or_default()
    }

    /// What is in force with these values: each checked, defaults filled in.
    ///
    /// # Errors
    /// `Invalid`, naming the parameter.
    pub fn bind(&self, values: &Map<String, Value>) -> Result<Given> {
        if let Some(unknown) = values.keys().find(|name| !self.has(name)) {
            let shown: String = unknown.chars().take(64).collect();
            return Err(Error::invalid(
                "properties.parameters",
                format_args!("the definition has no parameter `{shown}`"),
            ));
        }
        let mut given = Given::new();
        for parameter in &self.0 {
            let field = || format!("properties.parameters.{}", parameter.name);
            let value = match values.get(&parameter.name).or(parameter.default.as_ref()) {
                Some(value) => value.clone(),
                None => return Err(Error::invalid(field(), "has no default, so the assignment must give it a value")),
            };
            parameter.check(&field(), &value)?;
            given.insert(parameter.name.clone(), value);
        }
        Ok(given)
    }
}

impl Parameter {
    fn read(name: &str, declared: &Value) -> Result<Self> {
        let shown: String = name.chars().take(64).collect();
        let field = format!("properties.parameters.{shown}");
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if !(1..=64).contains(&name.len()) || !name.chars().all(fits) {
            return Err(Error::invalid(field, "must be named by 1 to 64 letters, digits, `_` or `-`"));
        }
        let map = declared.as_object().ok_or_else(|| Error::invalid(&field, "must be an object"))?;
        const KNOWN: [&str; 4] = ["type", "defaultValue", "allowedValues", "metadata"];
        if map.keys().any(|key| !KNOWN.contains(&key.as_str())) {
            return Err(Error::invalid(
                field,
                "has `type`, `defaultValue`, `allowedValues` and `metadata`, and nothing else",
            ));
        }
        let kind = map.get("type").and_then(Value::as_str).and_then(Kind::named);
        let kind = kind.ok_or_else(|| {
            Error::invalid(format!("{field}.type"), "must be `String`, `Array`, `Boolean`, `Integer` or `Float`")
        })?;
        let allowed = match map.get("allowedValues") {
            None => None,
            Some(Value::Array(values)) if (1..=100).contains(&values.len()) => Some(values.clone()),
            Some(_) => {
                return Err(Error::invalid(format!("{field}.allowedValues"), "must be a list of 1 to 100 values"));
            }
        };
        let default = map.get("defaultValue").cloned();
        let parameter = Self { name: name.to_owned(), kind, default, allowed };
        if let Some(value) = &parameter.default {
            parameter.check(&format!("{field}.defaultValue"), value)?;
        }
        Ok(parameter)
    }

    fn check(&self, field: &str, value: &Value) -> Result<()> {
        if !self.kind.fits(value) {
            return Err(Error::invalid(field, format_args!("must be of the type {:?}", self.kind)));
        }
        let Some(allowed) = &self.allowed else { return Ok(()) };
        let is_same = |one: &Value| match (one.as_str(), value.as_str()) {
            (Some(one), Some(value)) => one.eq_ignore_ascii_case(value),
            _ => one == value,
        };
        let fits = match value {
            Value::Array(items) => items.iter().all(|item| allowed.contains(item)),
            _ => allowed.iter().any(is_same),
        };
        if fits { Ok(()) } else { Err(Error::invalid(field, "is not one of the allowed values")) }
    }
}
