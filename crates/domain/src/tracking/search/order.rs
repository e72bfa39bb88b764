//! Orderings: lists of `identifier [ASC|DESC]`. Missing values come last in both directions, NaN right before them.

use std::{borrow::Cow, cmp};

use kernel::{Error, Kind, Result};
use serde::{Deserialize, Serialize};

use super::{
    Field, Part, Schema, Searchable, Value, fault,
    lexer::{Token, Word, words},
};
use crate::tracking::text;

/// Most keys of one ordering.
const MOST_KEYS: usize = 20;

/// An ordering.
#[derive(Debug, Default)]
pub(crate) struct Ordering {
    keys: Vec<(Field, bool)>,
}

impl Ordering {
    /// By one attribute.
    pub(crate) fn by(key: &str, is_ascending: bool) -> Self {
        Self { keys: vec![(Field { part: Part::Attribute, key: key.to_owned() }, is_ascending)] }
    }

    /// By fields, each ascending or not.
    pub(crate) fn of(keys: Vec<(Field, bool)>) -> Self {
        Self { keys }
    }

    /// By this first, then by another.
    pub(crate) fn then(mut self, other: Self) -> Self {
        self.keys.extend(other.keys);
        self
    }

    /// Whether a key looks at this part.
    pub(crate) fn asks(&self, part: Part) -> bool {
        self.keys.iter().any(|(field, _)| field.part == part)
    }

    /// The fields that its keys look at.
    pub(crate) fn fields(&self) -> impl Iterator<Item = &Field> {
        self.keys.iter().map(|(field, _)| field)
    }

    /// Compares two records.
    pub(crate) fn compare<R: Searchable>(&self, a: &R, b: &R) -> cmp::Ordering {
        let by_key = |(field, is_ascending): &(Field, bool)| compare(&a.value(field), &b.value(field), *is_ascending);
        self.keys.iter().map(by_key).find(|order| order.is_ne()).unwrap_or(cmp::Ordering::Equal)
    }

    /// Where a record stands.
    pub(crate) fn spot<R: Searchable>(&self, record: &R) -> Spot {
        Spot(self.keys.iter().map(|(field, _)| Mark::of(record.value(field))).collect())
    }

    /// Whether a spot is one of this ordering, as far as can be told.
    pub(super) fn knows(&self, spot: &Spot) -> bool {
        self.keys.len() == spot.0.len()
    }

    /// Compares a record to a spot.
    pub(super) fn compare_to<R: Searchable>(&self, record: &R, spot: &Spot) -> cmp::Ordering {
        let by_key = |((field, is_ascending), mark): (&(Field, bool), &Mark)| {
            compare(&record.value(field), &mark.value(), *is_ascending)
        };
        let orders = self.keys.iter().zip(&spot.0).map(by_key);
        orders.into_iter().find(|order| order.is_ne()).unwrap_or(cmp::Ordering::Equal)
    }
}

/// A place in an ordering: what a record held in each of its keys.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Spot(Vec<Mark>);

/// One of those values. JSON has no NaN, so numbers are kept as their bits.
#[derive(Debug, Serialize, Deserialize)]
#[serde(untagged)]
enum Mark {
    Absent,
    Number(u64),
    Text(String),
}

impl Mark {
    fn of(value: Value<'_>) -> Self {
        match value {
            Value::Number(number) => Self::Number(number.to_bits()),
            Value::Text(text) => Self::Text(text.into_owned()),
            // What is any of several cannot be sorted by.
            Value::Absent | Value::Texts(_) => Self::Absent,
        }
    }

    fn value(&self) -> Value<'_> {
        match self {
            Self::Absent => Value::Absent,
            Self::Number(bits) => Value::Number(f64::from_bits(*bits)),
            Self::Text(text) => Value::Text(Cow::Borrowed(text)),
        }
    }
}

/// 0 for ordinary values, 1 for NaN, 2 for missing ones.
fn class(value: &Value<'_>) -> u8 {
    match value {
        Value::Absent => 2,
        Value::Number(number) if number.is_nan() => 1,
        Value::Number(_) | Value::Text(_) | Value::Texts(_) => 0,
    }
}

fn compare(a: &Value<'_>, b: &Value<'_>, is_ascending: bool) -> cmp::Ordering {
    let within = match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.partial_cmp(b).unwrap_or(cmp::Ordering::Equal),
        (Value::Text(a), Value::Text(b)) => a.cmp(b),
        _ => cmp::Ordering::Equal,
    };
    let within = if is_ascending { within } else { within.reverse() };
    class(a).cmp(&class(b)).then(within)
}

/// Parses an ordering. The error names the key at fault.
pub(crate) fn parse_order(keys: &[String], schema: &Schema) -> Result<Ordering> {
    if keys.len() > MOST_KEYS {
        return Err(Error::new(Kind::Invalid, format!("`order_by` has at most {MOST_KEYS} keys")));
    }
    let mut ordering = Ordering::default();
    for key in keys {
        let (field, is_ascending) = parse_key(key, schema)?;
        if ordering.keys.iter().any(|(known, _)| *known == field) {
            let words = format!("`order_by` contains duplicate fields: '{}'", text::echo(key));
            return Err(Error::new(Kind::Invalid, words));
        }
        ordering.keys.push((field, is_ascending));
    }
    Ok(ordering)
}

fn parse_key(key: &str, schema: &Schema) -> Result<(Field, bool)> {
    let tokens = words(key).unwrap_or_default();
    understand(&tokens, schema).ok_or_else(|| fault::of_order(schema, key, &tokens))
}

fn understand(tokens: &[Token], schema: &Schema) -> Option<(Field, bool)> {
    let mut tokens = tokens.iter().map(|token| &token.word);
    let Some(Word::Name { entity, key, .. }) = tokens.next() else { return None };
    let field = schema.resolve(entity.as_deref(), key).filter(|field| schema.orders_by(field))?;
    let is_ascending = match tokens.next() {
        None => true,
        Some(word) if word.is_keyword("asc") => true,
        Some(word) if word.is_keyword("desc") => false,
        Some(_) => return None,
    };
    tokens.next().is_none().then_some((field, is_ascending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_values_come_last_in_both_directions() {
        let values = [Value::Number(1.0), Value::Number(2.0), Value::Number(f64::NAN), Value::Absent];
        for (is_ascending, expected) in [(true, [0, 1, 2, 3]), (false, [1, 0, 2, 3])] {
            let mut order = [3, 2, 1, 0];
            order.sort_by(|a, b| compare(&values[*a], &values[*b], is_ascending));
            assert_eq!(order, expected);
        }
    }
}
