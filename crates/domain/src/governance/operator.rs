//! The operators of conditions, as Azure Policy has them; none of them is a regular expression.

use serde_json::Value;

/// How a field is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operator {
    Equals,
    NotEquals,
    Like,
    NotLike,
    In,
    NotIn,
    Exists,
    Contains,
    NotContains,
    Less,
    LessOrEquals,
    Greater,
    GreaterOrEquals,
    ContainsKey,
    NotContainsKey,
}

const NAMES: &[(&str, Operator)] = &[
    ("equals", Operator::Equals),
    ("notEquals", Operator::NotEquals),
    ("like", Operator::Like),
    ("notLike", Operator::NotLike),
    ("in", Operator::In),
    ("notIn", Operator::NotIn),
    ("exists", Operator::Exists),
    ("contains", Operator::Contains),
    ("notContains", Operator::NotContains),
    ("less", Operator::Less),
    ("lessOrEquals", Operator::LessOrEquals),
    ("greater", Operator::Greater),
    ("greaterOrEquals", Operator::GreaterOrEquals),
    ("containsKey", Operator::ContainsKey),
    ("notContainsKey", Operator::NotContainsKey),
];

impl Operator {
    /// The one of this name, in whatever case.
    pub fn named(name: &str) -> Option<Self> {
        NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, operator)| *operator)
    }

    /// Why this cannot be compared with; none when it can.
    pub fn misfit(self, with: &Value) -> Option<&'static str> {
        let is_text = with.is_string();
        match self {
            Self::In | Self::NotIn => {
                let fits =
                    with.as_array().is_some_and(|list| list.iter().all(|item| !item.is_array() && !item.is_object()));
                (!fits).then_some("must be a list of values")
            }
            Self::Exists => boolean(with).is_none().then_some("must be `true` or `false`"),
            Self::Like | Self::NotLike => {
                let fits = with.as_str().is_some_and(|text| text.matches('*').count() <= 1);
                (!fits).then_some("must be a text with one `*` at most")
            }
            Self::ContainsKey | Self::NotContainsKey => (!is_text).then_some("must be a text"),
            Self::Less | Self::LessOrEquals | Self::Greater | Self::GreaterOrEquals => {
                (!is_text && !with.is_number()).then_some("must be a number or a text")
            }
            Self::Equals | Self::NotEquals | Self::Contains | Self::NotContains => {
                (with.is_array() || with.is_object() || with.is_null())
                    .then_some("must be a text, a number or a boolean")
            }
        }
    }

    /// Whether the value of a field meets it. A field that is not there equals nothing and is in nothing.
    pub fn holds(self, value: &Value, with: &Value) -> bool {
        match self {
            Self::Equals => same(value, with),
            Self::NotEquals => !same(value, with),
            Self::Like => like(value, with),
            Self::NotLike => !like(value, with),
            Self::In => is_in(value, with),
            Self::NotIn => !is_in(value, with),
            Self::Exists => boolean(with) == Some(!value.is_null()),
            Self::Contains => contains(value, with),
            Self::NotContains => !contains(value, with),
            Self::Less => order(value, with) == Some(std::cmp::Ordering::Less),
            Self::LessOrEquals => order(value, with).is_some_and(std::cmp::Ordering::is_le),
            Self::Greater => order(value, with) == Some(std::cmp::Ordering::Greater),
            Self::GreaterOrEquals => order(value, with).is_some_and(std::cmp::Ordering::is_ge),
            Self::ContainsKey => has_key(value, with),
            Self::NotContainsKey => !has_key(value, with),
        }
    }
}

fn boolean(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(flag) => Some(*flag),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
        _ => None,
    }
}

/// A single value as text, for comparisons without case.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.to_lowercase()),
        Value::Bool(flag) => Some(flag.to_string()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn same(value: &Value, with: &Value) -> bool {
    match (text(value), text(with)) {
        (Some(value), Some(with)) => value == with,
        _ => false,
    }
}

fn is_in(value: &Value, with: &Value) -> bool {
    with.as_array().is_some_and(|list| list.iter().any(|item| same(value, item)))
}

fn like(value: &Value, with: &Value) -> bool {
    let (Some(value), Some(with)) = (text(value), text(with)) else { return false };
    match with.split_once('*') {
        None => value == with,
        Some((start, end)) => {
            value.len() >= start.len().saturating_add(end.len()) && value.starts_with(start) && value.ends_with(end)
        }
    }
}

fn contains(value: &Value, with: &Value) -> bool {
    match value {
        Value::Array(list) => list.iter().any(|item| same(item, with)),
        _ => match (text(value), text(with)) {
            (Some(value), Some(with)) => value.contains(&with),
            _ => false,
        },
    }
}

fn order(value: &Value, with: &Value) -> Option<std::cmp::Ordering> {
    match (value, with) {
        (Value::Number(value), Value::Number(with)) => value.as_f64()?.partial_cmp(&with.as_f64()?),
        (Value::String(value), Value::String(with)) => Some(value.to_lowercase().cmp(&with.to_lowercase())),
        _ => None,
    }
}

fn has_key(value: &Value, with: &Value) -> bool {
    match (value, with) {
        (Value::Object(map), Value::String(key)) => map.keys().any(|known| known.eq_ignore_ascii_case(key)),
        _ => false,
    }
}
