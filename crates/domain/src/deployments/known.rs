//! What a deployment has learned of resources that its template refers to.

use std::collections::BTreeMap;

use kernel::{ResourceId, Result};
use serde_json::Value;

use super::{expression::size_of, fault::invalid};

/// Resources that one deployment refers to.
const MOST: usize = 800;
/// Most bytes of what is kept of them.
const LARGEST: usize = 16 << 20;

/// Resources as they are, by id in lower case.
#[derive(Default)]
pub(super) struct Known {
    pub by_id: BTreeMap<String, Value>,
    size: usize,
}

/// Refuses a template that refers to too many.
pub(super) fn check(count: usize) -> Result<()> {
    match count {
        0..=MOST => Ok(()),
        _ => Err(invalid(format_args!("it refers to more than {MOST} resources"))),
    }
}

impl Known {
    /// Whether it was looked at.
    pub fn has(&self, id: &ResourceId) -> bool {
        self.by_id.contains_key(id.folded())
    }

    /// Keeps one.
    ///
    /// # Errors
    /// `Invalid` when that is one too many, or more than is kept.
    pub fn keep(&mut self, id: &ResourceId, resource: Value) -> Result<()> {
        check(self.by_id.len().saturating_add(1))?;
        self.size = self.size.saturating_add(size_of(&resource));
        if self.size > LARGEST {
            return Err(invalid(format_args!("the resources that it refers to have more than {LARGEST} bytes in all")));
        }
        self.by_id.insert(id.folded().to_owned(), resource);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_bounded_in_number_and_size() {
        let id = |number: usize| -> ResourceId {
            format!("/subscriptions/6f9619ff-8b86-d011-b42d-00c04fc964ff/resourceGroups/g{number}").parse().unwrap()
        };
        let mut known = Known::default();
        for number in 0..MOST {
            known.keep(&id(number), Value::Null).unwrap();
        }
        assert!(known.has(&id(7)) && !known.has(&id(MOST)));
        assert!(known.keep(&id(MOST), Value::Null).is_err() && check(MOST).is_ok());
        let half = Value::from("x".repeat(LARGEST / 2));
        let mut known = Known::default();
        known.keep(&id(0), half.clone()).unwrap();
        assert!(known.keep(&id(1), half).is_err());
    }
}
