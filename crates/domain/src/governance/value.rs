//! Values in rules: written out, or taken from a parameter.

use std::collections::BTreeMap;

use kernel::{Error, Result};
use serde_json::Value;

/// What parameters were given, by name.
pub(super) type Given = BTreeMap<String, Value>;

/// A value, or where it comes from.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Said {
    /// Written out.
    Plain(Value),
    /// The value of a parameter.
    Parameter(String),
}

impl Said {
    /// Reads `[parameters('x')]`, or a value that is no expression. `[[` begins a plain text, as in Azure's templates.
    ///
    /// # Errors
    /// `Invalid`, for every other expression.
    pub fn read(at: &str, value: &Value) -> Result<Self> {
        if let Value::Array(items) = value
            && items.iter().any(|item| item.as_str().is_some_and(is_expression))
        {
            return Err(Error::invalid(at, "an expression stands for the whole value, not for an element of a list"));
        }
        let Some(text) = value.as_str() else { return Ok(Self::Plain(value.clone())) };
        if !is_expression(text) {
            let plain = text.strip_prefix('[').filter(|rest| rest.starts_with('[')).unwrap_or(text);
            return Ok(Self::Plain(Value::from(plain)));
        }
        match parameter(text) {
            Some(name) => Ok(Self::Parameter(name.to_owned())),
            None => Err(Error::invalid(at, "the only expression is `[parameters('name')]`")),
        }
    }

    /// The value, with these parameters.
    ///
    /// # Errors
    /// `Invalid` when the parameter has no value.
    pub fn resolve(&self, given: &Given) -> Result<Value> {
        match self {
            Self::Plain(value) => Ok(value.clone()),
            Self::Parameter(name) => given
                .get(name)
                .cloned()
                .ok_or_else(|| Error::invalid(format!("parameters.{name}"), "has no value and no default")),
        }
    }

    /// The parameter it names.
    pub fn parameter(&self) -> Option<&str> {
        match self {
            Self::Parameter(name) => Some(name),
            Self::Plain(_) => None,
        }
    }
}

pub(super) fn is_expression(text: &str) -> bool {
    text.starts_with('[') && !text.starts_with("[[") && text.ends_with(']')
}

/// The name in `[parameters('name')]`.
fn parameter(text: &str) -> Option<&str> {
    let inner = text.strip_prefix('[')?.strip_suffix(']')?.trim();
    named(inner)
}

/// The name in `parameters('name')`.
pub(super) fn named(inner: &str) -> Option<&str> {
    let name = inner.strip_prefix("parameters(")?.strip_suffix(')')?.trim().strip_prefix('\'')?.strip_suffix('\'')?;
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    (!name.is_empty() && name.len() <= 64 && name.chars().all(fits)).then_some(name)
}
