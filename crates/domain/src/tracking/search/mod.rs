//! Searching: MLflow's filter language (`AND` of `identifier comparator literal`), ordering and paging, over records that
//! pass by in memory. What can be asked about a noun is its [`Schema`]; how it answers is [`Searchable`].

mod clause;
mod fault;
mod lexer;
mod like;
mod order;
mod page;

pub(super) use clause::{Filter, parse_filter};
pub(super) use lexer::{Token, Word, invalid, words};
pub(super) use order::{Ordering, parse_order};
pub use page::Page;
pub(super) use page::{MOST_BYTES, Picker, read_token, write_token};

use std::{borrow::Cow, collections::BTreeMap};

/// Which part of a record an identifier names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// One of its own fields.
    Attribute,
    /// A metric's latest value.
    Metric,
    /// A parameter.
    Param,
    /// A tag.
    Tag,
    /// A field of one of its data sets.
    Dataset,
}

/// What can be asked about a noun.
#[derive(Debug)]
pub(super) struct Schema {
    /// Numeric attributes.
    pub(super) numbers: &'static [&'static str],
    /// Text attributes.
    pub(super) texts: &'static [&'static str],
    /// Text attributes that `IN` and `NOT IN` apply to.
    pub(super) lists: &'static [&'static str],
    /// Other spellings of attributes.
    pub(super) aliases: &'static [(&'static str, &'static str)],
    /// Parts beside attributes.
    pub(super) parts: &'static [Part],
    /// Attributes that only ordering knows.
    pub(super) order_only: &'static [&'static str],
    /// Whether a missing tag differs from every text (`!=` matches).
    pub(super) absent_differs: bool,
}

impl Schema {
    /// Whether it has all the parts there are: the language of runs and logged models.
    fn is_wide(&self) -> bool {
        self.parts.contains(&Part::Metric)
    }

    /// Whether a list can be sorted by this.
    fn orders_by(&self, field: &Field) -> bool {
        match field.part {
            Part::Dataset => false,
            Part::Attribute => true,
            Part::Metric | Part::Param | Part::Tag => self.is_wide(),
        }
    }
}

/// A field, resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Field {
    pub(super) part: Part,
    pub(super) key: String,
}

/// What a record holds in a field.
#[derive(Clone, Debug)]
pub(super) enum Value<'a> {
    Absent,
    Number(f64),
    Text(Cow<'a, str>),
    /// Any of several.
    Texts(Vec<Cow<'a, str>>),
}

impl<'a> From<Option<&'a String>> for Value<'a> {
    fn from(text: Option<&'a String>) -> Self {
        text.map_or(Self::Absent, |text| Self::Text(Cow::Borrowed(text)))
    }
}

impl<'a> From<&'a str> for Value<'a> {
    fn from(text: &'a str) -> Self {
        Self::Text(Cow::Borrowed(text))
    }
}

impl From<Option<i64>> for Value<'_> {
    #[expect(clippy::as_conversions, reason = "times are compared as the numbers of the language; 2^53 ms is far off")]
    fn from(number: Option<i64>) -> Self {
        number.map_or(Self::Absent, |number| Self::Number(number as f64))
    }
}

/// A record that answers.
pub(super) trait Searchable {
    /// The value of a field of its schema.
    fn value(&self, field: &Field) -> Value<'_>;
    /// About how many bytes it takes, texts of any length included.
    fn size(&self) -> usize;
}

/// About how many bytes texts and their names take.
pub(super) fn size_of(texts: &BTreeMap<String, String>) -> usize {
    texts
        .iter()
        .fold(0, |sum, (key, value)| sum.saturating_add(ENTRY).saturating_add(key.len()).saturating_add(value.len()))
}

/// About how many bytes an entry takes beside its texts.
pub(super) const ENTRY: usize = 64;
