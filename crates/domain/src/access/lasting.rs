//! For how long somebody may do something: what was given for a time gives nothing that lasts longer.

use kernel::Timestamp;

/// For how long a right is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lasting {
    /// At this moment.
    Now,
    /// At least until then.
    Until(Timestamp),
    /// Without an end that is known.
    ForGood,
}

impl Lasting {
    /// For as long as something that ends then, or never by itself.
    pub(super) fn through(until: Option<Timestamp>) -> Self {
        until.map_or(Self::ForGood, Self::Until)
    }

    /// Whether a role that is held until then lasts long enough.
    pub(super) fn holds(self, until: Option<Timestamp>) -> bool {
        match (self, until) {
            (Self::Now, _) | (_, None) => true,
            (Self::Until(wanted), Some(end)) => end >= wanted,
            (Self::ForGood, Some(_)) => false,
        }
    }
}
