//! How much of one list is read, whatever the server that hands it out page by page says.

use std::collections::HashSet;

use serde_json::Value;

use super::fault::Fault;

/// Most bytes of memory that one list may come to.
const MOST_HELD: usize = 1 << 30;
/// What a value takes beside its texts, about.
const VALUE: usize = 32;
/// What an entry of an object takes beside its key and value, about.
const ENTRY: usize = 64;

/// About how much memory something of a list takes.
pub trait Weight {
    /// In bytes.
    fn weight(&self) -> usize;
}

impl Weight for String {
    fn weight(&self) -> usize {
        VALUE.saturating_add(self.len())
    }
}

impl Weight for Value {
    // What was parsed is nested no deeper than the parser goes.
    fn weight(&self) -> usize {
        match self {
            Self::Null | Self::Bool(_) => VALUE,
            // Numbers may be kept as their digits.
            Self::Number(number) => VALUE.saturating_add(number.to_string().len()),
            Self::String(text) => text.weight(),
            Self::Array(values) => values.iter().map(Self::weight).fold(VALUE, usize::saturating_add),
            Self::Object(fields) => {
                let entry =
                    |(key, value): (&String, &Self)| ENTRY.saturating_add(key.len()).saturating_add(value.weight());
                fields.iter().map(entry).fold(VALUE, usize::saturating_add)
            }
        }
    }
}

/// What is kept of one list, and which of its pages were asked for.
#[derive(Default)]
pub struct Bounds {
    held: usize,
    seen: HashSet<String>,
}

impl Bounds {
    /// Counts what is kept of the list.
    ///
    /// # Errors
    /// When it is too much.
    pub fn hold(&mut self, bytes: usize) -> Result<(), Fault> {
        self.held = self.held.saturating_add(bytes);
        match self.held > MOST_HELD {
            true => Err(Fault::new("the list takes more than 1 GiB of memory, and is not read to its end")),
            false => Ok(()),
        }
    }

    /// Goes on to the page of this token.
    ///
    /// # Errors
    /// When the list was there before: it has no end.
    pub fn go_on(&mut self, token: &str) -> Result<(), Fault> {
        self.hold(VALUE.saturating_add(token.len()))?;
        match self.seen.insert(token.to_owned()) {
            true => Ok(()),
            false => Err(Fault::new("the list does not go on from page to page")),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_list_ends_when_it_is_too_long_or_comes_round_again() {
        let mut bounds = Bounds::default();
        assert!(bounds.go_on("a").is_ok());
        assert!(bounds.go_on("b").is_ok());
        assert!(bounds.go_on("a").is_err());
        assert!(bounds.hold(1 << 29).is_ok());
        assert!(bounds.hold(1 << 29).is_err());
        assert!(bounds.hold(0).is_err());
    }

    #[test]
    fn what_is_small_to_send_is_not_small_to_keep() {
        assert!(json!([[], [], []]).weight() >= 4 * VALUE);
        assert!(json!({"a": "b", "c": [1, null]}).weight() > 4 * VALUE);
    }
}
