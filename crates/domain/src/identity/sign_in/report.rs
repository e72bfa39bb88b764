//! What a step of a sign-in says of itself in the activity log: `method`, `result`, and why it was refused.

use kernel::{Kind, PrincipalId};

use super::{NextStep, SignInRefusal, Step};
use crate::gate::{Actor, Admission};

/// The record names this person.
pub(in crate::identity) fn establish(cx: &Admission<'_>, principal: PrincipalId) {
    if let Some(member) = cx.house().identity.member(principal) {
        cx.establish(Actor::Principal { id: member.id, kind: member.kind, name: member.name });
    }
}

/// The record names nobody, and is one of a bounded number; beyond that, the attempt is only counted.
pub(in crate::identity) fn establish_stranger(cx: &Admission<'_>) {
    let Some(left_out) = cx.house().identity.strangers.admit(cx.now()) else { return };
    cx.establish(Actor::Nobody);
    if left_out > 0 {
        cx.note("unrecordedBefore", left_out.to_string());
    }
}

/// The step was taken.
pub(in crate::identity) fn taken(cx: &Admission<'_>, next: &NextStep) {
    let result = match next {
        NextStep::Done => "signed in",
        NextStep::ProveSecondFactor { .. } => "second factor needed",
        NextStep::EnrolSecondFactor => "enrolment needed",
        NextStep::ChangePassword => "new password needed",
    };
    cx.note("result", result);
}

/// The step is refused; `reason` is for the log alone.
pub(in crate::identity) fn refused<T>(cx: &Admission<'_>, refusal: SignInRefusal, reason: &str) -> Step<T> {
    cx.note("result", "refused");
    cx.note("reason", reason);
    cx.refuse(match refusal {
        SignInRefusal::BadCredentials
        | SignInRefusal::BadCode
        | SignInRefusal::BadPasskey
        | SignInRefusal::Expired
        | SignInRefusal::ProveAgain => Kind::Unauthenticated,
        SignInRefusal::Throttled { .. } => Kind::Throttled,
        SignInRefusal::WeakPassword { .. } => Kind::Invalid,
        SignInRefusal::NotPossible => Kind::Conflict,
    });
    Err(refusal)
}

/// No session that is open has that key.
pub(in crate::identity) fn expired<T>(cx: &Admission<'_>) -> Step<T> {
    refused(cx, SignInRefusal::Expired, "no open session")
}

/// Too many guesses.
pub(in crate::identity) fn throttled<T>(cx: &Admission<'_>, seconds: u64) -> Step<T> {
    refused(cx, SignInRefusal::Throttled { seconds }, "too many guesses")
}
