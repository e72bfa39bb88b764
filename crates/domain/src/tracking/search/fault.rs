//! What is wrong with a clause or an ordering key, in the words that MLflow's own parser has for it: clients and people's
//! scripts look for them.

use kernel::{Error, Kind};

use super::{
    Field, Part, Schema,
    lexer::{Token, Word, invalid},
};
use crate::tracking::text;

fn refuse(words: String) -> Error {
    Error::new(Kind::Invalid, words)
}

/// The error for a name that the noun does not have.
pub(super) fn unknown(schema: &Schema, entity: Option<&str>, key: &str) -> Error {
    let key = text::echo(key);
    if let Some(entity) = entity {
        let is_known = Schema::part(entity).is_some_and(|part| part == Part::Attribute || schema.parts.contains(&part));
        if !is_known {
            let entity = text::echo(entity);
            return refuse(match schema.is_wide() {
                true => format!(
                    "Invalid entity type '{entity}'. Valid values are ['metric', 'parameter', 'tag', 'attribute', 'dataset']"
                ),
                false => format!("Invalid entity type '{entity}'. Valid entity types are ('attribute', 'tag', 'tags')"),
            });
        }
        if Schema::part(entity) == Some(Part::Dataset) {
            return refuse(format!(
                "Invalid dataset key '{key}' specified. Valid keys are '{{'name', 'digest', 'context'}}'"
            ));
        }
    }
    let attributes = [schema.numbers, schema.texts].concat().join("', '");
    refuse(format!("Invalid attribute key '{key}' specified. Valid keys are '{{'{attributes}'}}'"))
}

/// The error for a clause about a field that exists. `rest` is what follows the field's name.
pub(super) fn of_clause(schema: &Schema, field: &Field, filter: &str, clause: &str, rest: &[Token]) -> Error {
    let explained = explain(schema, field, filter, rest);
    explained.map_or_else(|| invalid(clause), refuse)
}

fn explain(schema: &Schema, field: &Field, filter: &str, rest: &[Token]) -> Option<String> {
    let (comparator, after) = comparator(rest)?;
    if comparator == "IS" {
        return null(schema, field);
    }
    let value = after.first()?;
    let end = after.get(1).map_or(filter.len(), |next| next.at);
    let raw = text::echo(filter.get(value.at..end)?.trim());
    if schema.is_number(field) {
        if !matches!(value.word, Word::Number(_)) || (field.key == WHOLE && comparator != "LIKE") {
            return Some(match (field.part, field.key.as_str()) {
                (Part::Metric, _) => format!("Expected numeric value type for metric. Found {raw}"),
                (_, WHOLE) => format!("Invalid value for numeric attribute '{WHOLE}': {raw}"),
                (_, key) => format!("Expected numeric value type for numeric attribute: {key}. Found {raw}"),
            });
        }
        return Some(not_one_of(schema, field, &comparator));
    }
    match &value.word {
        Word::Text(_) if comparator.ends_with("IN") => None,
        Word::Text(_) => Some(not_one_of(schema, field, &comparator)),
        Word::Name { .. } => Some(format!(
            "Parameter value is either not quoted or unidentified quote types used for string value {raw}. Use either single or \
             double quotes."
        )),
        Word::Number(_) => Some(match field.part {
            Part::Param => format!("Expected a quoted string value for parameter (e.g. 'my-value'). Got value {raw}"),
            Part::Tag => format!("Expected a quoted string value for tag (e.g. 'my-value'). Got value {raw}"),
            Part::Dataset => format!("Expected a quoted string value for dataset attributes. Got value {raw}"),
            _ if schema.numbers.is_empty() => {
                format!(
                    "Expected a quoted string value or a list of quoted string values for attributes. Got value {raw}"
                )
            }
            _ => format!("Expected a quoted string value for attributes. Got value {raw}"),
        }),
        Word::Open => list(schema, field, after),
        _ => None,
    }
}

/// The attribute that is a whole number.
pub(super) const WHOLE: &str = "version_number";

/// The comparator in capitals, and what follows it.
fn comparator(rest: &[Token]) -> Option<(String, &[Token])> {
    let (first, after) = rest.split_first()?;
    match &first.word {
        Word::Symbol(symbol) => Some(((*symbol).to_owned(), after)),
        word if word.is_keyword("NOT") => {
            let (second, after) = after.split_first()?;
            second.word.is_keyword("IN").then(|| (String::from("NOT IN"), after))
        }
        word => {
            let known = ["LIKE", "ILIKE", "IN", "IS"].into_iter().find(|known| word.is_keyword(known))?;
            Some((known.to_owned(), after))
        }
    }
}

fn null(schema: &Schema, field: &Field) -> Option<String> {
    let key = text::echo(&field.key);
    let part = match field.part {
        Part::Metric => "metric",
        Part::Attribute => "attribute",
        Part::Dataset => "dataset",
        Part::Param | Part::Tag => return None,
    };
    Some(match schema.is_wide() {
        true => format!("IS NULL / IS NOT NULL is only supported for tags and params, not for '{part}' '{key}'"),
        false => format!("IS NULL / IS NOT NULL is only supported for tags, not for attribute '{key}'"),
    })
}

fn list(schema: &Schema, field: &Field, after: &[Token]) -> Option<String> {
    if !schema.takes_list(field) {
        let names = schema.lists.join("', '");
        return (field.part == Part::Attribute)
            .then(|| format!("Only ['{names}'] attributes support comparison with a list of quoted string values."));
    }
    let within = after.get(1..)?;
    if matches!(within.first()?.word, Word::Close) {
        let words = "expected a non-empty list of string values, but got empty list";
        return Some(format!("While parsing a list in the query, {words}"));
    }
    let is_other = |token: &Token| !matches!(token.word, Word::Text(_) | Word::Comma | Word::Close);
    within.iter().any(is_other).then(|| {
        String::from(
            "While parsing a list in the query, expected string value, punctuation, or whitespace, but got different type in list",
        )
    })
}

fn not_one_of(schema: &Schema, field: &Field, comparator: &str) -> String {
    match field.part {
        Part::Attribute
            if !schema.is_wide() && schema.parts.len() == 1 && !schema.numbers.contains(&"creation_time") =>
        {
            match schema.is_number(field) {
                true => format!("Invalid comparator for attribute {}: {comparator}", field.key),
                false => format!("Invalid comparator for attribute: {comparator}"),
            }
        }
        Part::Tag if !schema.is_wide() => format!("Invalid comparator for tag: {comparator}"),
        Part::Metric => format!("Invalid comparator '{comparator}' not one of '>', '>=', '!=', '=', '<', '<='"),
        Part::Attribute if schema.is_number(field) => {
            format!("Invalid comparator '{comparator}' not one of '>', '>=', '!=', '=', '<', '<='")
        }
        Part::Param | Part::Tag => {
            format!("Invalid comparator '{comparator}' not one of '!=', '=', 'LIKE', 'ILIKE', 'IS NULL', 'IS NOT NULL'")
        }
        Part::Attribute | Part::Dataset => {
            format!("Invalid comparator '{comparator}' not one of '!=', '=', 'LIKE', 'ILIKE', 'IN', 'NOT IN'")
        }
    }
}

/// The error for a key that nothing can be ordered by.
pub(super) fn of_order(schema: &Schema, key: &str, words: &[Token]) -> Error {
    let said = text::echo(key);
    let Some(Word::Name { entity, key, .. }) = words.first().map(|token| &token.word) else {
        return refuse(format!("Invalid order_by clause '{said}'. Could not be parsed."));
    };
    let field = schema.resolve(entity.as_deref(), key);
    let is_orderable = field.as_ref().is_some_and(|field| schema.orders_by(field));
    if is_orderable {
        return refuse(match words.len() {
            2 => format!("Invalid ordering key in order_by clause '{said}'."),
            _ => format!("Invalid order_by clause '{said}'. Could not be parsed."),
        });
    }
    let name = entity.as_ref().map_or_else(|| key.clone(), |entity| format!("{entity}.{key}"));
    match field {
        // Registered models are ordered by their names and times alone.
        _ if schema.numbers.is_empty() => {
            let name = text::echo(&name);
            refuse(format!("Invalid order by key '{name}' specified. Valid keys are '{{'name', 'timestamp'}}'"))
        }
        Some(Field { part: Part::Tag, .. }) => refuse(String::from("Invalid order_by entity: tag")),
        Some(Field { part: Part::Dataset, .. }) => refuse(String::from("Invalid order_by entity type 'dataset'")),
        _ => unknown(schema, entity.as_deref(), key),
    }
}
