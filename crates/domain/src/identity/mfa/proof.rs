//! Showing a second factor: one guess, one commit of factor and session.

use kernel::{Error, Kind, Result, Secret};

use super::{Factors, factors_of};
use crate::{
    gate::{Admission, Changes},
    identity::{
        Method,
        session::{elevate, session_of},
        sign_in::{
            Guess, SecondFactor, SignInRefusal, SignedIn, Step, establish, expired, refused, taken, throttled,
            what_next,
        },
    },
};

/// How often a proof is looked at anew because the same person proves something else at the same moment.
pub(super) const ATTEMPTS: usize = 8;

/// Lets the person behind a session show a code of this kind. `is_right` looks at it and uses it up; it is asked again, of
/// what is kept by then, when somebody else was faster: of two who show the same code at once, one is refused.
pub(super) async fn prove_code(
    cx: &Admission<'_>,
    session: &Secret<String>,
    (method, factor): (Method, SecondFactor),
    is_right: impl Fn(&mut Factors) -> Result<bool> + Send + Sync,
) -> Result<Step<SignedIn>> {
    let mut is_counted = false;
    for _ in 0..ATTEMPTS {
        let Some(mut session) = session_of(cx, session).await? else { return Ok(expired(cx)) };
        let principal = session.value.principal;
        establish(cx, principal);
        cx.note("session", session.value.id.to_string());
        let mut factors = factors_of(cx, principal).await?;
        if !factors.value.methods().contains(&factor) {
            return Ok(refused(cx, SignInRefusal::NotPossible, "no such factor is enrolled"));
        }
        let guess = Guess::at_factors(cx, principal);
        if !is_counted {
            if let Some(seconds) = guess.count(cx).await? {
                return Ok(throttled(cx, seconds));
            }
            is_counted = true;
        }
        if !is_right(&mut factors.value)? {
            return Ok(refused(cx, SignInRefusal::BadCode, "wrong or used code"));
        }
        let cookie = elevate(cx, &mut session, method)?;
        let next = what_next(cx, &session.value, &factors.value);
        taken(cx, &next);
        let mut changes = Changes::new();
        changes.put(cx.system(), &factors)?.put(cx.system(), &session)?;
        guess.was_right(cx, &mut changes).await?;
        match cx.commit(changes).await {
            Err(fault) if fault.kind() == Kind::Stale => tokio::task::yield_now().await,
            proved => return proved.map(|()| Ok(SignedIn { cookie, next })),
        }
    }
    Err(busy())
}

/// Others change the same person's factors or session all the time.
pub(super) fn busy() -> Error {
    Error::new(Kind::Unavailable, "this account is being used too much just now; try again in a few seconds")
}
