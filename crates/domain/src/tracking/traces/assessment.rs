//! Assessments: what a person or a program thinks of a trace, or what it should have given.

use std::collections::BTreeMap;

use kernel::{Error, Kind, Result, RunId};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::tracking::text;

/// An assessment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Assessment {
    /// `a-` and 32 hex digits, or what a client chose.
    pub id: String,
    /// What is assessed: `correctness`.
    pub name: String,
    /// What kind of source: `HUMAN`, `CODE`, `LLM_JUDGE`.
    pub source_type: String,
    /// Which one, as it says itself.
    pub source_id: String,
    /// When it was made, in milliseconds since the epoch, as the client says.
    pub created_at: i64,
    /// When it was changed last.
    pub updated_at: i64,
    /// The span that it is about.
    pub span: Option<String>,
    /// Why.
    pub rationale: Option<String>,
    /// More about it.
    pub metadata: BTreeMap<String, String>,
    /// The assessment that it takes the place of.
    pub overrides: Option<String>,
    /// Whether none takes its place.
    pub is_valid: bool,
    /// What it says.
    pub verdict: Verdict,
    /// The run whose code made it, if one did.
    pub created_by_run: Option<RunId>,
}

/// What an assessment says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Verdict {
    /// How good it is.
    Feedback {
        /// A value of any kind.
        value: Value,
        /// Why there is none.
        error: Option<AssessmentFault>,
    },
    /// What it should have given.
    Expectation(Expected),
    /// A problem that it shows, by name.
    Issue(String),
}

/// Why feedback could not be had.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AssessmentFault {
    /// A word.
    pub code: String,
    /// A sentence.
    pub message: Option<String>,
    /// Where.
    pub stack: Option<String>,
}

/// An expected value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Expected {
    /// A plain one.
    Plain(Value),
    /// One that the client wrote as text itself.
    Serialized {
        /// In which format: `JSON_FORMAT`.
        format: String,
        /// The text.
        text: String,
    },
}

impl Assessment {
    /// Most of one trace.
    pub const MOST: usize = 1000;
    /// Most bytes of one.
    const MOST_BYTES: usize = 128 << 10;

    pub(super) fn check(&self) -> Result<()> {
        text::check("assessment_name", &self.name, 1..=250)?;
        text::check("assessment_id", &self.id, 1..=50)?;
        text::check("source_type", &self.source_type, 1..=50)?;
        text::check_length("source_id", &self.source_id, 250)?;
        text::check_length("span_id", self.span.as_deref().unwrap_or_default(), 50)?;
        if self.metadata.len() > 100 {
            return Err(text::bad("metadata", &self.name, "an assessment has at most 100 entries of metadata"));
        }
        if self.size() > Self::MOST_BYTES {
            let most = Self::MOST_BYTES;
            return Err(Error::new(Kind::Invalid, format!("an assessment has at most {most} bytes")));
        }
        Ok(())
    }

    /// About how many bytes it takes.
    pub(super) fn size(&self) -> usize {
        let texts = [Some(&self.name), Some(&self.source_id), self.rationale.as_ref(), self.span.as_ref()];
        let metadata = self.metadata.iter().map(|(key, value)| key.len().saturating_add(value.len()));
        let said = match &self.verdict {
            Verdict::Feedback { value, error } => {
                let error =
                    error.iter().flat_map(|fault| [Some(&fault.code), fault.message.as_ref(), fault.stack.as_ref()]);
                weight(value).saturating_add(error.flatten().map(String::len).sum())
            }
            Verdict::Expectation(Expected::Plain(value)) => weight(value),
            Verdict::Expectation(Expected::Serialized { format, text }) => format.len().saturating_add(text.len()),
            Verdict::Issue(name) => name.len(),
        };
        texts
            .into_iter()
            .flatten()
            .map(String::len)
            .chain(metadata)
            .fold(said.saturating_add(200), usize::saturating_add)
    }

    /// Its value as JSON: what filters compare.
    pub(super) fn value(&self) -> Option<String> {
        match &self.verdict {
            Verdict::Feedback { value, .. } | Verdict::Expectation(Expected::Plain(value)) => Some(value.to_string()),
            Verdict::Expectation(Expected::Serialized { text, .. }) => Some(text.clone()),
            Verdict::Issue(_) => None,
        }
    }

    /// Its value as a number: truth counts as one, and so does the word `yes`.
    pub(super) fn number(&self) -> Option<f64> {
        match &self.verdict {
            Verdict::Feedback { value, .. } | Verdict::Expectation(Expected::Plain(value)) => match value {
                Value::Number(number) => number.as_f64(),
                Value::Bool(flag) => Some(f64::from(u8::from(*flag))),
                Value::String(word) if word.eq_ignore_ascii_case("yes") => Some(1.0),
                Value::String(word) if word.eq_ignore_ascii_case("no") => Some(0.0),
                _ => None,
            },
            Verdict::Expectation(Expected::Serialized { .. }) | Verdict::Issue(_) => None,
        }
    }

    /// Its value where it is a number itself.
    pub(super) fn plain_number(&self) -> Option<f64> {
        match &self.verdict {
            Verdict::Feedback { value, .. } | Verdict::Expectation(Expected::Plain(value)) => value.as_f64(),
            Verdict::Expectation(Expected::Serialized { .. }) | Verdict::Issue(_) => None,
        }
    }

    /// Whether both say the same, made at the same time by the same source: a client that asked twice.
    pub(super) fn is_repeated_by(&self, other: &Self) -> bool {
        let known = (&self.name, &self.source_type, &self.source_id, self.created_at, &self.span, &self.verdict);
        known == (&other.name, &other.source_type, &other.source_id, other.created_at, &other.span, &other.verdict)
            && self.overrides == other.overrides
            && self.rationale == other.rationale
            && self.metadata == other.metadata
    }
}

/// About how many bytes a value takes.
fn weight(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 16,
        Value::String(text) => text.len().saturating_add(16),
        Value::Array(items) => items.iter().map(weight).fold(16, usize::saturating_add),
        Value::Object(fields) => {
            fields.iter().map(|(key, value)| weight(value).saturating_add(key.len())).fold(16, usize::saturating_add)
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    pub(super) fn feedback(value: Value) -> Assessment {
        Assessment {
            id: String::from("a-1"),
            name: String::from("ok"),
            source_type: String::from("CODE"),
            source_id: String::from("default"),
            created_at: 1,
            updated_at: 1,
            span: None,
            rationale: None,
            metadata: BTreeMap::new(),
            overrides: None,
            is_valid: true,
            verdict: Verdict::Feedback { value, error: None },
            created_by_run: None,
        }
    }

    #[test]
    fn values_count_as_numbers_where_they_can() {
        let table = [
            (json!(0.5), Some(0.5)),
            (json!(true), Some(1.0)),
            (json!("no"), Some(0.0)),
            (json!("good"), None),
            (json!({"a": 1}), None),
            (json!(null), None),
        ];
        for (value, expected) in table {
            assert_eq!(feedback(value.clone()).number(), expected, "{value}");
        }
        assert_eq!(feedback(json!(true)).plain_number(), None);
        assert_eq!(feedback(json!("yes")).value().unwrap(), "\"yes\"");
    }

    #[test]
    fn one_is_bounded() {
        assert!(feedback(json!("x".repeat(1000))).check().is_ok());
        assert!(feedback(json!("x".repeat(200_000))).check().is_err());
        assert!(feedback(json!(vec![0; 20_000])).check().is_err());
        assert!(Assessment { name: String::new(), ..feedback(json!(1)) }.check().is_err());
        assert!(Assessment { name: "x".repeat(251), ..feedback(json!(1)) }.check().is_err());
    }

    #[test]
    fn asking_twice_is_told_from_thinking_the_same_again() {
        let first = feedback(json!(1));
        assert!(first.is_repeated_by(&Assessment { id: String::from("a-2"), ..first.clone() }));
        assert!(!first.is_repeated_by(&Assessment { created_at: 2, ..first.clone() }));
        assert!(!first.is_repeated_by(&feedback(json!(2))));
    }
}
