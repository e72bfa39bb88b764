//! Conditions on what is there (RFC 9110 §13; REST, "Specifying conditional headers for Blob service operations").

use kernel::{Result, Timestamp};

use super::fault;

/// What `If-Match` and `If-None-Match` name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    /// `*`: anything that is there.
    Any,
    /// One version.
    One(u64),
    /// Text that is no version of ours, so it matches nothing.
    Foreign,
}

/// What must hold of a blob or container before something is done with it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Conditions {
    /// `If-Match`.
    pub matches: Option<Tag>,
    /// `If-None-Match`.
    pub matches_not: Option<Tag>,
    /// `If-Modified-Since`, epoch seconds.
    pub modified_since: Option<i64>,
    /// `If-Unmodified-Since`, epoch seconds.
    pub unmodified_since: Option<i64>,
}

/// A version's mark, and when it was made.
#[derive(Clone, Copy, Debug)]
pub struct Mark {
    /// The ETag's number.
    pub etag: u64,
    /// When it was written.
    pub modified_at: Timestamp,
}

impl Conditions {
    /// Only if nothing is there.
    pub const NEW: Self =
        Self { matches: None, matches_not: Some(Tag::Any), modified_since: None, unmodified_since: None };

    /// What a read has to fulfil: `NotModified` when the reader has it already.
    ///
    /// # Errors
    /// `ConditionNotMet`, `NotModified`.
    pub fn hold_for_read(&self, mark: Mark) -> Result<()> {
        self.hold(mark, fault::not_modified)
    }

    /// What a write of something that is there has to fulfil.
    ///
    /// # Errors
    /// `ConditionNotMet`.
    pub fn hold_for_write(&self, mark: Mark) -> Result<()> {
        self.hold(mark, fault::not_met)
    }

    /// What a write has to fulfil that makes or replaces.
    ///
    /// # Errors
    /// `BlobAlreadyExists` when there must be nothing, else `ConditionNotMet`.
    pub fn hold_for_put(&self, mark: Option<Mark>) -> Result<()> {
        match mark {
            Some(_) if self.matches_not == Some(Tag::Any) => Err(fault::blob_exists()),
            Some(mark) => self.hold_for_write(mark),
            None if self.matches.is_some() || self.unmodified_since.is_some() => Err(fault::not_met()),
            None => Ok(()),
        }
    }

    fn hold(&self, mark: Mark, unchanged: fn() -> kernel::Error) -> Result<()> {
        let is = |tag: Tag| tag == Tag::Any || tag == Tag::One(mark.etag);
        if self.matches.is_some_and(|tag| !is(tag)) {
            return Err(fault::not_met());
        }
        let modified = mark.modified_at.seconds();
        if self.unmodified_since.is_some_and(|since| modified > since) {
            return Err(fault::not_met());
        }
        if self.matches_not.is_some_and(is) {
            return Err(unchanged());
        }
        // RFC 9110 §13.1.3: a time is only looked at where no version is named.
        if self.matches_not.is_none() && self.modified_since.is_some_and(|since| modified <= since) {
            return Err(unchanged());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_hold_as_the_rfc_has_it() {
        let mark = Mark { etag: 7, modified_at: Timestamp(100_500) };
        let met = |conditions: Conditions| conditions.hold_for_read(mark).map_err(|fault| fault.code().unwrap());
        let none = Conditions::default();
        assert_eq!(met(none), Ok(()));
        let table = [
            (Conditions { matches: Some(Tag::One(7)), ..none }, Ok(())),
            (Conditions { matches: Some(Tag::Any), ..none }, Ok(())),
            (Conditions { matches: Some(Tag::One(8)), ..none }, Err("ConditionNotMet")),
            (Conditions { matches: Some(Tag::Foreign), ..none }, Err("ConditionNotMet")),
            (Conditions { matches_not: Some(Tag::One(8)), ..none }, Ok(())),
            (Conditions { matches_not: Some(Tag::One(7)), ..none }, Err("NotModified")),
            (Conditions { matches_not: Some(Tag::Any), ..none }, Err("NotModified")),
            (Conditions { modified_since: Some(99), ..none }, Ok(())),
            (Conditions { modified_since: Some(100), ..none }, Err("NotModified")),
            (Conditions { unmodified_since: Some(100), ..none }, Ok(())),
            (Conditions { unmodified_since: Some(99), ..none }, Err("ConditionNotMet")),
            (Conditions { matches_not: Some(Tag::One(8)), modified_since: Some(100), ..none }, Ok(())),
        ];
        for (conditions, due) in table {
            assert_eq!(met(conditions), due, "{conditions:?}");
            if due == Err("NotModified") {
                assert_eq!(conditions.hold_for_write(mark).unwrap_err().code(), Some("ConditionNotMet"));
            }
        }
        assert_eq!(Conditions::NEW.hold_for_put(Some(mark)).unwrap_err().code(), Some("BlobAlreadyExists"));
        assert!(Conditions::NEW.hold_for_put(None).is_ok());
        assert!(Conditions { matches: Some(Tag::Any), ..none }.hold_for_put(None).is_err());
    }
}
