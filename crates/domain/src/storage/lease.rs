//! Leases: one holder's exclusive right to write a blob or to delete a container (REST, "Lease Blob", "Lease Container").

use kernel::{Result, Timestamp};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use uuid::Uuid;

use super::fault;

/// Seconds of a lease that ends by itself.
const SHORTEST: i64 = 15;
const LONGEST: i64 = 60;

/// A lease as it is stored; what it is worth depends on the time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    id: Uuid,
    /// Seconds; none for ever.
    span: Option<i64>,
    /// When it ends by itself.
    ends_at: Option<Timestamp>,
    /// When it was, or will be, broken.
    #[serde(default)]
    broken_at: Option<Timestamp>,
}

/// What a lease is just now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// There is none.
    Available,
    /// Somebody has it.
    Leased,
    /// It ended by itself.
    Expired,
    /// It is being broken, and holds until then.
    Breaking,
    /// It was broken.
    Broken,
}

impl State {
    /// Azure's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Leased => "leased",
            Self::Expired => "expired",
            Self::Breaking => "breaking",
            Self::Broken => "broken",
        }
    }

    /// Whether writes need the lease.
    pub fn is_locked(self) -> bool {
        matches!(self, Self::Leased | Self::Breaking)
    }
}

/// What is asked of a lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// Begin one: for so many seconds, or for ever (-1), under this id if one is proposed.
    Acquire {
        /// Seconds, or -1.
        seconds: i64,
        /// The id.
        proposed: Option<Uuid>,
    },
    /// Begin its time anew.
    Renew(Uuid),
    /// Give it another id.
    Change {
        /// The present one.
        id: Uuid,
        /// The next one.
        proposed: Uuid,
    },
    /// End it.
    Release(Uuid),
    /// End it without its id, after at most so many seconds.
    Break(Option<i64>),
}

/// What became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A lease with this id is held.
    Held(Uuid),
    /// It is over.
    Released,
    /// It is over in so many seconds.
    Breaks(i64),
}

/// The state of what may be a lease.
pub fn state(lease: Option<&Lease>, now: Timestamp) -> State {
    let Some(lease) = lease else { return State::Available };
    match (lease.broken_at, lease.ends_at) {
        (Some(at), _) if at <= now => State::Broken,
        (Some(_), _) => State::Breaking,
        (None, Some(at)) if at <= now => State::Expired,
        (None, _) => State::Leased,
    }
}

/// `fixed` or `infinite`, while it is held.
pub fn duration(lease: Option<&Lease>, now: Timestamp) -> Option<&'static str> {
    let held = lease.filter(|_| state(lease, now) == State::Leased)?;
    Some(if held.span.is_some() { "fixed" } else { "infinite" })
}

/// Whether a caller that shows this id may write what the lease is on.
///
/// # Errors
/// `LeaseIdMissing`, `LeaseIdMismatchWith…Operation`, `LeaseNotPresentWith…Operation`, `LeaseLost`; `of` is `Blob` or `Container`.
pub fn require(lease: Option<&Lease>, shown: Option<Uuid>, now: Timestamp, of: Of) -> Result<()> {
    let present = state(lease, now);
    match (lease, shown) {
        (_, None) if present.is_locked() => Err(fault::lease(
            "LeaseIdMissing",
            "There is currently a lease and no lease ID was specified in the request.",
        )),
        (_, None) => Ok(()),
        (Some(lease), Some(id)) if present.is_locked() && lease.id == id => Ok(()),
        (Some(_), Some(_)) if present.is_locked() => {
            Err(fault::lease(of.mismatch(), "The lease ID specified did not match the lease ID."))
        }
        (Some(lease), Some(id)) if lease.id == id => {
            Err(fault::lease("LeaseLost", "A lease ID was specified, but the lease has expired."))
        }
        (_, Some(_)) => Err(fault::lease(of.absent(), "There is currently no lease.")),
    }
}

/// What a lease is on.
#[derive(Clone, Copy, Debug)]
pub enum Of {
    /// A blob.
    Blob,
    /// A container.
    Container,
}

impl Of {
    fn mismatch(self) -> &'static str {
        match self {
            Self::Blob => "LeaseIdMismatchWithBlobOperation",
            Self::Container => "LeaseIdMismatchWithContainerOperation",
        }
    }

    fn absent(self) -> &'static str {
        match self {
            Self::Blob => "LeaseNotPresentWithBlobOperation",
            Self::Container => "LeaseNotPresentWithContainerOperation",
        }
    }
}

fn span_of(seconds: i64) -> Result<Option<i64>> {
    match seconds {
        -1 => Ok(None),
        SHORTEST..=LONGEST => Ok(Some(seconds)),
        _ => Err(fault::invalid("InvalidHeaderValue", "`x-ms-lease-duration` must be -1 or 15 to 60 seconds")),
    }
}

fn end_of(span: Option<i64>, now: Timestamp) -> Option<Timestamp> {
    span.map(|seconds| now.plus(Duration::from_secs(u64::try_from(seconds).unwrap_or(0))))
}

/// Does what is asked.
///
/// # Errors
/// The code that Azure names for each combination of state and question.
pub fn apply(lease: &mut Option<Lease>, ask: Ask, now: Timestamp) -> Result<Answer> {
    let present = state(lease.as_ref(), now);
    match ask {
        Ask::Acquire { seconds, proposed } => acquire(lease, present, span_of(seconds)?, proposed, now),
        Ask::Renew(id) => {
            let held = owned(lease, id)?;
            match present {
                State::Breaking | State::Broken => Err(fault::conflict(
                    "LeaseIsBrokenAndCannotBeRenewed",
                    "The lease ID matched, but the lease has been broken explicitly and cannot be renewed.",
                )),
                State::Available | State::Leased | State::Expired => {
                    held.ends_at = end_of(held.span, now);
                    Ok(Answer::Held(id))
                }
            }
        }
        Ask::Change { id, proposed } => {
            if present == State::Breaking {
                let why = "The lease ID matched, but the lease is currently in breaking state and cannot be changed.";
                return Err(fault::conflict("LeaseIsBreakingAndCannotBeChanged", why));
            }
            if present != State::Leased {
                return Err(absent());
            }
            // Said twice, it is the same as once.
            let is_holder = lease.as_ref().is_some_and(|lease| lease.id == id);
            let held = owned(lease, if is_holder { id } else { proposed })?;
            held.id = proposed;
            Ok(Answer::Held(proposed))
        }
        Ask::Release(id) => {
            owned(lease, id)?;
            *lease = None;
            Ok(Answer::Released)
        }
        Ask::Break(period) => breaks(lease, present, period, now),
    }
}

fn acquire(
    lease: &mut Option<Lease>,
    present: State,
    span: Option<i64>,
    proposed: Option<Uuid>,
    now: Timestamp,
) -> Result<Answer> {
    let is_own = lease.as_ref().is_some_and(|lease| Some(lease.id) == proposed);
    match present {
        State::Leased if !is_own => {
            return Err(fault::conflict("LeaseAlreadyPresent", "There is already a lease present."));
        }
        State::Breaking if is_own => {
            let why = "The lease ID matched, but the lease is currently in breaking state and cannot be acquired.";
            return Err(fault::conflict("LeaseIsBreakingAndCannotBeAcquired", why));
        }
        State::Breaking => {
            return Err(fault::conflict("LeaseAlreadyPresent", "There is already a lease present."));
        }
        State::Available | State::Leased | State::Expired | State::Broken => {}
    }
    let id = proposed.unwrap_or_else(Uuid::new_v4);
    *lease = Some(Lease { id, span, ends_at: end_of(span, now), broken_at: None });
    Ok(Answer::Held(id))
}

fn breaks(lease: &mut Option<Lease>, present: State, period: Option<i64>, now: Timestamp) -> Result<Answer> {
    if period.is_some_and(|seconds| !(0..=LONGEST).contains(&seconds)) {
        return Err(fault::invalid("InvalidHeaderValue", "`x-ms-lease-break-period` must be 0 to 60 seconds"));
    }
    let Some(held) = lease.as_mut() else { return Err(absent()) };
    if matches!(present, State::Broken | State::Expired) {
        held.broken_at = held.broken_at.or(Some(now));
        return Ok(Answer::Breaks(0));
    }
    let seconds_to = |at: Timestamp| i64::try_from(at.since(now).as_millis().div_ceil(1000)).unwrap_or(LONGEST);
    // What ends by itself, or is being broken already, ends no later than that.
    let at_most = held.broken_at.or(held.ends_at).map(seconds_to);
    let wanted = match (period, at_most) {
        (Some(wanted), Some(most)) => wanted.min(most),
        (Some(wanted), None) => wanted,
        (None, Some(most)) => most,
        (None, None) => 0,
    };
    held.broken_at = end_of(Some(wanted), now);
    Ok(Answer::Breaks(wanted))
}

fn owned(lease: &mut Option<Lease>, id: Uuid) -> Result<&mut Lease> {
    match lease {
        Some(held) if held.id == id => Ok(held),
        Some(_) => Err(fault::conflict(
            "LeaseIdMismatchWithLeaseOperation",
            "The lease ID specified did not match the lease ID.",
        )),
        None => Err(absent()),
    }
}

fn absent() -> kernel::Error {
    fault::conflict("LeaseNotPresentWithLeaseOperation", "There is currently no lease.")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp(seconds * 1000)
    }

    #[test]
    fn of_two_writers_one_has_the_lease() {
        let mut lease = None;
        let (one, two) = (Uuid::new_v4(), Uuid::new_v4());
        let acquire = |proposed| Ask::Acquire { seconds: 15, proposed: Some(proposed) };
        assert_eq!(apply(&mut lease, acquire(one), at(0)).unwrap(), Answer::Held(one));
        assert_eq!(apply(&mut lease, acquire(two), at(1)).unwrap_err().code(), Some("LeaseAlreadyPresent"));
        assert!(require(lease.as_ref(), Some(one), at(1), Of::Blob).is_ok());
        let refused = |shown, now| require(lease.as_ref(), shown, at(now), Of::Blob).unwrap_err().code();
        assert_eq!(refused(None, 1), Some("LeaseIdMissing"));
        assert_eq!(refused(Some(two), 1), Some("LeaseIdMismatchWithBlobOperation"));
        // Ended by itself: nobody is kept out, and who comes with it is told.
        assert_eq!(refused(Some(one), 15), Some("LeaseLost"));
        assert!(require(lease.as_ref(), None, at(15), Of::Blob).is_ok());
        assert_eq!(apply(&mut lease, Ask::Renew(one), at(16)).unwrap(), Answer::Held(one));
        assert_eq!(state(lease.as_ref(), at(20)), State::Leased);
        assert_eq!(apply(&mut lease, acquire(two), at(31)).unwrap(), Answer::Held(two));
        assert_eq!(
            apply(&mut lease, Ask::Release(one), at(32)).unwrap_err().code(),
            Some("LeaseIdMismatchWithLeaseOperation")
        );
        assert_eq!(apply(&mut lease, Ask::Release(two), at(32)).unwrap(), Answer::Released);
        assert_eq!(
            require(lease.as_ref(), Some(two), at(32), Of::Blob).unwrap_err().code(),
            Some("LeaseNotPresentWithBlobOperation")
        );
    }

    #[test]
    fn a_lease_is_broken_no_later_than_it_would_end() {
        let id = Uuid::new_v4();
        let ever = Ask::Acquire { seconds: -1, proposed: Some(id) };
        let mut lease = None;
        apply(&mut lease, ever, at(0)).unwrap();
        assert_eq!(duration(lease.as_ref(), at(0)), Some("infinite"));
        assert_eq!(apply(&mut lease, Ask::Break(Some(30)), at(0)).unwrap(), Answer::Breaks(30));
        assert_eq!(state(lease.as_ref(), at(29)), State::Breaking);
        assert_eq!(apply(&mut lease, ever, at(29)).unwrap_err().code(), Some("LeaseIsBreakingAndCannotBeAcquired"));
        assert_eq!(
            apply(&mut lease, Ask::Renew(id), at(29)).unwrap_err().code(),
            Some("LeaseIsBrokenAndCannotBeRenewed")
        );
        assert_eq!(apply(&mut lease, Ask::Break(Some(60)), at(10)).unwrap(), Answer::Breaks(20), "only sooner");
        assert_eq!(state(lease.as_ref(), at(30)), State::Broken);
        assert_eq!(apply(&mut lease, Ask::Break(None), at(31)).unwrap(), Answer::Breaks(0));
        apply(&mut lease, ever, at(32)).unwrap();
        assert_eq!(apply(&mut lease, Ask::Break(None), at(33)).unwrap(), Answer::Breaks(0), "for ever ends at once");
        apply(&mut lease, Ask::Acquire { seconds: 20, proposed: None }, at(40)).unwrap();
        assert_eq!(apply(&mut lease, Ask::Break(None), at(45)).unwrap(), Answer::Breaks(15), "what is left of it");
        for seconds in [0, 14, 61, -2] {
            assert!(apply(&mut None, Ask::Acquire { seconds, proposed: None }, at(0)).is_err(), "{seconds}");
        }
    }

    #[test]
    fn an_id_is_changed_by_its_holder_and_once_more_by_mistake() {
        let (one, two, other) = (Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4());
        let mut lease = None;
        assert!(apply(&mut lease, Ask::Change { id: one, proposed: two }, at(0)).is_err());
        apply(&mut lease, Ask::Acquire { seconds: -1, proposed: Some(one) }, at(0)).unwrap();
        assert!(apply(&mut lease, Ask::Change { id: other, proposed: other }, at(0)).is_err());
        for _ in 0..2 {
            assert_eq!(apply(&mut lease, Ask::Change { id: one, proposed: two }, at(0)).unwrap(), Answer::Held(two));
        }
    }
}
