//! Which events a subscription wants: by type, by subject, by what is in them (Azure Event Grid, event filtering).

use kernel::{Error, Result};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::news::{News, type_of};

/// Advanced filters of one subscription, and values of all of them (Azure's limits).
const MOST: usize = 25;
const MOST_VALUES: usize = 25;
const LONGEST: usize = 512;

/// A filter; an empty one wants everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    /// These types; all when empty.
    pub types: Vec<String>,
    /// The subject begins so.
    pub begins_with: String,
    /// And ends so.
    pub ends_with: String,
    /// Whether case counts in subjects.
    pub is_case_sensitive: bool,
    /// And all of these hold.
    pub fields: Vec<FieldFilter>,
}

/// A condition on one field.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldFilter {
    /// How it compares.
    pub operator: FieldOperator,
    /// Which: `subject`, `eventType`, or `data.` and a field's name.
    pub key: String,
    /// With these.
    pub values: Vec<String>,
}

/// How a field is compared, without regard to case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FieldOperator {
    /// One of the values.
    StringIn,
    /// None of them.
    StringNotIn,
    /// Begins with one of them.
    StringBeginsWith,
    /// Ends with one of them.
    StringEndsWith,
    /// Contains one of them.
    StringContains,
}

impl FieldOperator {
    /// Every operator.
    pub const ALL: [Self; 5] =
        [Self::StringIn, Self::StringNotIn, Self::StringBeginsWith, Self::StringEndsWith, Self::StringContains];
}

impl Filter {
    pub(super) fn check(&self) -> Result<()> {
        let field = "properties.filter";
        let values: usize = self.fields.iter().map(|filter| filter.values.len()).sum();
        if self.fields.len() > MOST || values > MOST_VALUES || self.types.len() > MOST {
            return Err(Error::invalid(field, format_args!("has more than {MOST} filters, types or values")));
        }
        let texts = self.fields.iter().flat_map(|filter| filter.values.iter().chain([&filter.key]));
        if texts.chain([&self.begins_with, &self.ends_with]).any(|text| text.len() > LONGEST) {
            return Err(Error::invalid(field, format_args!("has a text of more than {LONGEST} characters")));
        }
        Ok(())
    }

    /// Whether the type alone may be wanted.
    pub(super) fn wants_type(&self, kind: &str) -> bool {
        self.types.is_empty() || self.types.iter().any(|name| type_of(name) == Some(kind))
    }

    pub(super) fn wants(&self, news: &News) -> bool {
        let (subject, begin, end) = match self.is_case_sensitive {
            true => (news.subject.clone(), self.begins_with.clone(), self.ends_with.clone()),
            false => (news.subject.to_lowercase(), self.begins_with.to_lowercase(), self.ends_with.to_lowercase()),
        };
        subject.starts_with(&begin) && subject.ends_with(&end) && self.fields.iter().all(|filter| filter.holds(news))
    }
}

impl FieldFilter {
    fn holds(&self, news: &News) -> bool {
        let found = match self.key.as_str() {
            "subject" => Some(news.subject.clone()),
            "eventType" | "type" => Some(news.kind.clone()),
            key => key.strip_prefix("data.").and_then(|name| news.data.get(name)).and_then(|value| match value {
                Value::String(text) => Some(text.clone()),
                Value::Null => None,
                other => Some(other.to_string()),
            }),
        };
        // A field that is not there is in no list of values.
        let Some(found) = found.map(|text| text.to_lowercase()) else {
            return self.operator == FieldOperator::StringNotIn;
        };
        let any = |test: fn(&str, &str) -> bool| self.values.iter().any(|value| test(&found, &value.to_lowercase()));
        match self.operator {
            FieldOperator::StringIn => any(|found, value| found == value),
            FieldOperator::StringNotIn => !any(|found, value| found == value),
            FieldOperator::StringBeginsWith => any(|found, value| found.starts_with(value)),
            FieldOperator::StringEndsWith => any(|found, value| found.ends_with(value)),
            FieldOperator::StringContains => any(|found, value| found.contains(value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn events_are_chosen_by_type_subject_and_data() {
        let news = News {
            kind: String::from("Microsoft.MachineLearningServices.ModelRegistered"),
            subject: String::from("models/Churn:3"),
            data: json!({"modelName": "Churn", "modelVersion": "3"}),
        };
        let field = |operator, key: &str, values: &[&str]| FieldFilter {
            operator,
            key: key.to_owned(),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        };
        let with = |field: FieldFilter| Filter { fields: vec![field], ..Filter::default() };
        let subject = |begin: &str, end: &str, is_case_sensitive| Filter {
            begins_with: begin.to_owned(),
            ends_with: end.to_owned(),
            is_case_sensitive,
            ..Filter::default()
        };
        use FieldOperator::{StringBeginsWith, StringContains, StringIn, StringNotIn};
        let cases = [
            (Filter::default(), true),
            (subject("models/churn", ":3", false), true),
            (subject("models/churn", ":3", true), false),
            (subject("", ":4", false), false),
            (with(field(StringIn, "data.modelName", &["a", "CHURN"])), true),
            (with(field(StringNotIn, "data.modelName", &["churn"])), false),
            (with(field(StringNotIn, "data.colour", &["red"])), true),
            (with(field(StringContains, "data.colour", &[""])), false),
            (with(field(StringBeginsWith, "subject", &["endpoints/", "models/"])), true),
        ];
        for (filter, wanted) in cases {
            assert_eq!(filter.wants(&news), wanted, "{filter:?}");
        }
        let one = Filter { types: vec![String::from("RunCompleted")], ..Filter::default() };
        assert!(one.wants_type("RunCompleted") && !one.wants_type("ModelRegistered"));
        assert!(Filter { types: vec![String::new(); 30], ..Filter::default() }.check().is_err());
    }
}
