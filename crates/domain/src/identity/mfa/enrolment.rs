//! Who may change their factors, and how a change is committed.

use std::time::Duration;

use kernel::{Kind, Result, Secret};

use super::{
    Factors, factors_of,
    proof::{ATTEMPTS, busy},
    recovery::draw_codes,
};
use crate::{
    gate::{Admission, Changes, Row},
    identity::{
        Method, Session,
        session::{elevate, session_of},
        sign_in::{
            NextStep, SignInRefusal, SignedIn, Step, establish, expired, is_demanded, refused, taken, what_next,
        },
    },
};

/// A change of factors follows a proof at most this old (OWASP ASVS 7.5.1).
const RECENT: Duration = Duration::from_secs(600);

/// Refuses sessions that may not change factors: those that have not shown an enrolled one, or still have the password of
/// somebody else's choice, and those whose last proof is long ago.
pub(super) fn may_change(cx: &Admission<'_>, session: &Session, factors: &Factors) -> Step<()> {
    may_finish(cx, session, factors)?;
    let (since, refusal) = match session.proved_at {
        Some(proved_at) => (proved_at, SignInRefusal::ProveAgain),
        // Whose provider never says when comes to a first factor all the same, by another sign-in there if need be.
        None if !factors.are_enrolled() => (session.started_at, SignInRefusal::Expired),
        None => return refused(cx, SignInRefusal::ProveAgain, "nobody says when the last proof was"),
    };
    if cx.now().since(since) > RECENT {
        return refused(cx, refusal, "the last proof is too long ago");
    }
    Ok(())
}

/// The same for the end of a change that was begun in time.
fn may_finish(cx: &Admission<'_>, session: &Session, factors: &Factors) -> Step<()> {
    match what_next(cx, session, factors) {
        NextStep::Done | NextStep::EnrolSecondFactor => Ok(()),
        NextStep::ProveSecondFactor { .. } => {
            refused(cx, SignInRefusal::NotPossible, "a second factor is to be shown first")
        }
        NextStep::ChangePassword => refused(cx, SignInRefusal::NotPossible, "the password is to be changed first"),
    }
}

/// The session behind a key with its person's factors, when it may change them.
pub(super) async fn opened(cx: &Admission<'_>, session: &Secret<String>) -> Result<Step<(Row<Session>, Row<Factors>)>> {
    let Some(session) = session_of(cx, session).await? else { return Ok(expired(cx)) };
    establish(cx, session.value.principal);
    cx.note("session", session.value.id.to_string());
    let factors = factors_of(cx, session.value.principal).await?;
    Ok(may_change(cx, &session.value, &factors.value).map(|()| (session, factors)))
}

/// Adds a factor that was just shown, and with the first one draws recovery codes. The session has shown it from then on.
pub(super) async fn enrol(
    cx: &Admission<'_>,
    session: &Secret<String>,
    method: Method,
    add: impl Fn(&mut Factors) -> Step<()> + Send + Sync,
) -> Result<Step<(SignedIn, Vec<Secret<String>>)>> {
    for _ in 0..ATTEMPTS {
        let Some(mut session) = session_of(cx, session).await? else { return Ok(expired(cx)) };
        let mut factors = factors_of(cx, session.value.principal).await?;
        if let Err(refusal) = may_finish(cx, &session.value, &factors.value) {
            return Ok(Err(refusal));
        }
        if let Err(refusal) = add(&mut factors.value) {
            return Ok(Err(refusal));
        }
        let codes = match factors.value.recovery_codes.is_empty() {
            true => draw_codes(cx, &mut factors.value)?,
            false => Vec::new(),
        };
        let cookie = elevate(cx, &mut session, method)?;
        let next = what_next(cx, &session.value, &factors.value);
        taken(cx, &next);
        let mut changes = Changes::new();
        changes.put(cx.system(), &factors)?.put(cx.system(), &session)?;
        match cx.commit(changes).await {
            Err(fault) if fault.kind() == Kind::Stale => tokio::task::yield_now().await,
            enrolled => return enrolled.map(|()| Ok((SignedIn { cookie, next }, codes))),
        }
    }
    Err(busy())
}

/// Changes factors otherwise than by adding one. The last one stays when one is demanded of the person.
pub(super) async fn alter<T: Send>(
    cx: &Admission<'_>,
    session: &Secret<String>,
    change: impl Fn(&mut Factors) -> Result<Step<T>> + Send + Sync,
) -> Result<Step<T>> {
    for _ in 0..ATTEMPTS {
        let (session, mut factors) = match opened(cx, session).await? {
            Ok(opened) => opened,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let done = match change(&mut factors.value)? {
            Ok(done) => done,
            Err(refusal) => return Ok(refused(cx, refusal, "there is no such factor")),
        };
        factors.value.tidy();
        if !factors.value.are_enrolled() && is_demanded(cx, &session.value) {
            return Ok(refused(cx, SignInRefusal::NotPossible, "the last factor, and one is demanded"));
        }
        let mut changes = Changes::new();
        changes.put(cx.system(), &factors)?;
        match cx.commit(changes).await {
            Err(fault) if fault.kind() == Kind::Stale => tokio::task::yield_now().await,
            altered => return altered.map(|()| Ok(done)),
        }
    }
    Err(busy())
}
