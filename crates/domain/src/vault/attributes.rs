//! What is said of a version whatever its kind: whether and when it may be used, and tags.

use std::collections::BTreeMap;

use kernel::{Error, Result, Timestamp};
use serde::{Deserialize, Serialize};

/// Tags of one version, and bytes of a tag's name or value; Azure's bounds.
const MOST_TAGS: usize = 15;
const LONGEST_TAG: usize = 256;
/// The end of the year 9999, epoch seconds.
const LAST: i64 = 253_402_300_799;

/// Whether and when a version may be used. Times are epoch seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attributes {
    /// Whether it may be used at all.
    pub enabled: bool,
    /// Not before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<i64>,
    /// Not from then on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<i64>,
    /// When it was made.
    pub created: i64,
    /// When something about it changed last.
    pub updated: i64,
}

/// What a caller says of the attributes; what is not said stays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttributesForm {
    /// Whether it may be used at all.
    pub enabled: Option<bool>,
    /// Not before, epoch seconds.
    pub not_before: Option<i64>,
    /// Not from then on, epoch seconds.
    pub expires: Option<i64>,
}

impl AttributesForm {
    /// Those of a version that is made now.
    ///
    /// # Errors
    /// `Invalid` when the times cannot be.
    pub fn fresh(self, now: Timestamp) -> Result<Attributes> {
        let now = now.seconds();
        let mut attributes = Attributes { enabled: true, not_before: None, expires: None, created: now, updated: now };
        self.apply(&mut attributes)?;
        Ok(attributes)
    }

    /// Changes what is said.
    ///
    /// # Errors
    /// `Invalid` when the times cannot be.
    pub fn apply(self, attributes: &mut Attributes) -> Result<()> {
        attributes.enabled = self.enabled.unwrap_or(attributes.enabled);
        attributes.not_before = self.not_before.or(attributes.not_before);
        attributes.expires = self.expires.or(attributes.expires);
        for (field, time) in [("attributes.nbf", attributes.not_before), ("attributes.exp", attributes.expires)] {
            if time.is_some_and(|time| !(0..=LAST).contains(&time)) {
                return Err(Error::invalid(field, "must be a number of seconds since 1970-01-01T00:00:00Z"));
            }
        }
        if let (Some(from), Some(end)) = (attributes.not_before, attributes.expires)
            && end <= from
        {
            return Err(Error::invalid("attributes.exp", "must be later than `nbf`"));
        }
        Ok(())
    }
}

/// Refuses tags beyond the bounds.
///
/// # Errors
/// `Invalid`.
pub(super) fn check_tags(tags: &BTreeMap<String, String>) -> Result<()> {
    let fits =
        |(name, value): (&String, &String)| (1..=LONGEST_TAG).contains(&name.len()) && value.len() <= LONGEST_TAG;
    if tags.len() <= MOST_TAGS && tags.iter().all(fits) {
        return Ok(());
    }
    let why =
        format!("at most {MOST_TAGS} tags, with names of 1 to {LONGEST_TAG} and values of at most {LONGEST_TAG} bytes");
    Err(Error::invalid("tags", why))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_must_be_possible() {
        let form = |not_before, expires| AttributesForm { enabled: None, not_before, expires };
        for good in [form(None, None), form(Some(5), None), form(None, Some(0)), form(Some(5), Some(6))] {
            assert!(good.fresh(Timestamp(0)).is_ok(), "{good:?}");
        }
        for bad in [form(Some(-1), None), form(None, Some(i64::MAX)), form(Some(6), Some(6)), form(Some(7), Some(6))] {
            assert!(bad.fresh(Timestamp(0)).is_err(), "{bad:?}");
        }
        // A change is held against what stays.
        let mut present = form(Some(5), None).fresh(Timestamp(0)).unwrap();
        assert!(form(None, Some(4)).apply(&mut present).is_err());
    }

    #[test]
    fn tags_are_bounded() {
        let tags = |count: usize, value: &str| (0..count).map(|n| (format!("t{n}"), value.to_owned())).collect();
        assert!(check_tags(&tags(15, &"v".repeat(256))).is_ok());
        assert!(check_tags(&tags(16, "")).is_err());
        assert!(check_tags(&tags(1, &"v".repeat(257))).is_err());
        assert!(check_tags(&BTreeMap::from([(String::new(), String::new())])).is_err());
    }
}
