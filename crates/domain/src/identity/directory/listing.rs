//! Lists of the directory: filtered, and page by page.

use kernel::{Error, Result};

use crate::gate::{Admission, Record, Row};

/// Entries of a page, unless asked otherwise.
const USUAL_PAGE: usize = 100;
/// Entries of a page, at most (as Graph bounds it).
const LARGEST_PAGE: usize = 999;
/// Rows that are read at once where most are not wanted.
const ROWS_AT_ONCE: usize = 1000;
/// Conditions that must hold together.
const MOST_FILTERS: usize = 8;

/// What is asked of a list.
#[derive(Clone, Debug, Default)]
pub struct Listing {
    /// Conditions that must hold together.
    pub filters: Vec<Filter>,
    /// The place that the page before named.
    pub after: Option<Vec<u8>>,
    /// Entries of a page.
    pub top: Option<usize>,
}

/// One condition. Letters count without case, as in Graph.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Which field.
    pub field: Field,
    /// How it is compared.
    pub test: Test,
    /// With what.
    pub text: String,
}

/// A field that lists are filtered by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// `displayName`
    DisplayName,
    /// `userPrincipalName`
    UserName,
    /// `appId`
    AppId,
}

/// A comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Test {
    /// `eq`
    Equals,
    /// `startswith`
    StartsWith,
}

/// A page of a list.
#[derive(Debug)]
pub struct Page<T> {
    /// Its entries.
    pub entries: Vec<T>,
    /// The place to go on from, when there is more.
    pub next: Option<Vec<u8>>,
}

impl Field {
    fn word(self) -> &'static str {
        match self {
            Self::DisplayName => "displayName",
            Self::UserName => "userPrincipalName",
            Self::AppId => "appId",
        }
    }
}

impl Listing {
    /// Refuses conditions on fields that the entries do not have, and pages out of bounds.
    pub(super) fn check(&self, fields: &[Field]) -> Result<()> {
        if self.filters.len() > MOST_FILTERS {
            return Err(Error::invalid("$filter", format_args!("has more than {MOST_FILTERS} conditions")));
        }
        if let Some(filter) = self.filters.iter().find(|filter| !fields.contains(&filter.field)) {
            let why = format_args!("`{}` is no field of these entries", filter.field.word());
            return Err(Error::invalid("$filter", why));
        }
        match self.top {
            Some(top) if !(1..=LARGEST_PAGE).contains(&top) => {
                Err(Error::invalid("$top", format_args!("must be 1 to {LARGEST_PAGE}")))
            }
            _ => Ok(()),
        }
    }

    /// Entries of this page.
    pub(super) fn size(&self) -> usize {
        self.top.unwrap_or(USUAL_PAGE)
    }

    /// Whether an entry with these fields is wanted. A field that is none is not compared.
    pub(super) fn wants<S: AsRef<str>>(&self, value: impl Fn(Field) -> Option<S>) -> bool {
        self.filters.iter().all(|filter| value(filter.field).is_none_or(|value| filter.holds(value.as_ref())))
    }

    /// The whole text that a field must have, when one is asked for.
    pub(super) fn exactly(&self, field: Field) -> Option<&str> {
        let fits = |filter: &&Filter| filter.field == field && filter.test == Test::Equals;
        self.filters.iter().find(fits).map(|filter| filter.text.as_str())
    }

    /// The page of a table's rows that are wanted.
    pub(super) async fn scan<T: Record>(
        &self,
        cx: &Admission<'_>,
        wants: impl Fn(&Row<T>) -> bool,
    ) -> Result<Page<Row<T>>> {
        let size = self.size();
        let limit = if self.filters.is_empty() { size.saturating_add(1) } else { ROWS_AT_ONCE };
        let mut found: Vec<Row<T>> = Vec::new();
        let mut after = self.after.clone();
        loop {
            let rows = cx.page::<T>(cx.system(), b"", after.as_deref(), limit).await?;
            let was_last = rows.len() < limit;
            after = rows.last().map(|row| row.id.clone());
            found.extend(rows.into_iter().filter(|row| wants(row)));
            if was_last || found.len() > size {
                break;
            }
        }
        let has_more = found.len() > size;
        found.truncate(size);
        let next = found.last().filter(|_| has_more).map(|row| row.id.clone());
        Ok(Page { entries: found, next })
    }

    /// The page of `all`, which is sorted by its keys.
    pub(super) fn cut<T>(&self, all: impl Iterator<Item = T>, key: impl Fn(&T) -> Vec<u8>) -> Page<T> {
        let is_behind = |entry: &T| self.after.as_ref().is_none_or(|after| key(entry) > *after);
        let mut rest = all.filter(is_behind);
        let entries: Vec<T> = rest.by_ref().take(self.size()).collect();
        let next = rest.next().and(entries.last().map(key));
        Page { entries, next }
    }
}

impl Filter {
    fn holds(&self, value: &str) -> bool {
        let (value, wanted) = (value.to_lowercase(), self.text.to_lowercase());
        match self.test {
            Test::Equals => value == wanted,
            Test::StartsWith => value.starts_with(&wanted),
        }
    }
}

impl<T> Page<T> {
    /// The same page of what `view` makes of its entries; those of which it makes nothing are left out.
    pub(super) fn filter_map<U>(self, view: impl FnMut(T) -> Option<U>) -> Page<U> {
        Page { entries: self.entries.into_iter().filter_map(view).collect(), next: self.next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_hold_every_entry_once() {
        let all: Vec<u8> = (0..10).collect();
        let mut listing = Listing { top: Some(4), ..Listing::default() };
        let mut seen = Vec::new();
        loop {
            let page = listing.cut(all.iter().copied(), |entry| vec![*entry]);
            seen.extend(page.entries);
            listing.after = page.next;
            if listing.after.is_none() {
                break;
            }
        }
        assert_eq!(seen, all);
        assert!(Listing { top: Some(0), ..Listing::default() }.check(&[]).is_err());
        assert!(Listing { top: Some(1000), ..Listing::default() }.check(&[]).is_err());
    }

    #[test]
    fn conditions_hold_together_and_without_case() {
        let filter = |test, text: &str| Filter { field: Field::DisplayName, test, text: text.to_owned() };
        let listing = Listing {
            filters: vec![filter(Test::StartsWith, "an"), filter(Test::Equals, "ANN")],
            ..Listing::default()
        };
        let wants = |name| listing.wants(|field| (field == Field::DisplayName).then_some(name));
        assert!(wants("Ann") && !wants("Anna") && !wants("Bob"));
        assert!(listing.check(&[Field::AppId]).is_err());
        assert_eq!(listing.exactly(Field::DisplayName), Some("ANN"));
    }
}
