//! Changing one's own password.

use std::time::Duration;

use async_trait::async_trait;
use kernel::{Action, Class, Kind, ResourceId, Result, Secret};
use seal::PasswordHash;

use super::{
    Guess, NextStep, PasswordFault, SignInRefusal, SignedIn, Step, check_password_strength, establish, expired,
    hash_password, password::LONGEST, refused, taken, throttled, what_next,
};
use crate::{
    gate::{Changes, Cx, Op, Row},
    identity::{
        Member, Person, Session, mfa,
        oauth::revoke_grants,
        session::{renewed, session_of},
    },
};

/// How often the change is tried anew because the session is used, or guessed at, at the same moment.
const ATTEMPTS: usize = 4;

/// Changes the password of whoever is signed in. Every other session and token of theirs ends; the browser goes on with a
/// new session.
#[derive(Debug)]
pub struct ChangePassword {
    /// The session.
    pub session: Secret<String>,
    /// The present password.
    pub old: Secret<String>,
    /// The new one.
    pub new: Secret<String>,
}

#[async_trait]
impl Op for ChangePassword {
    const ACTION: Action = Action::public("Microsoft.Directory/users/changePassword", Class::Control);
    type Output = Step<SignedIn>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let Some((session, person)) = self.read(cx).await? else { return Ok(expired(cx)) };
        establish(cx, session.value.principal);
        cx.note("session", session.value.id.to_string());
        // An enrolled factor comes first: a password alone must not be enough to change it.
        let factors = mfa::factors_of(cx, session.value.principal).await?.value;
        if matches!(what_next(cx, &session.value, &factors), NextStep::ProveSecondFactor { .. }) {
            return Ok(refused(cx, SignInRefusal::NotPossible, "a second factor is to be shown first"));
        }
        let Some(hash) = person.value.password.clone() else {
            return Ok(refused(cx, SignInRefusal::NotPossible, "the account has no password"));
        };
        let hints = [person.value.user_name.as_str(), person.value.display_name.as_str()];
        let strength = match self.old.expose() == self.new.expose() {
            true => Err(PasswordFault::Unchanged),
            false => check_password_strength(&self.new, &hints),
        };
        if let Err(why) = strength {
            return Ok(refused(cx, SignInRefusal::WeakPassword { why }, "the new password is too weak"));
        }
        let guess = Guess::at_account(cx, &person.value.user_name);
        match self.check_old(cx, &guess, hash).await? {
            Ok(()) => {}
            Err(SignInRefusal::Throttled { seconds }) => return Ok(throttled(cx, seconds)),
            Err(refusal) => return Ok(refused(cx, refusal, "wrong password")),
        }
        let hash = hash_password(cx.house(), &self.new).await?;
        self.replace(cx, &guess, &person, hash).await
    }
}

impl ChangePassword {
    async fn read(&self, cx: &Cx<'_, Self>) -> Result<Option<(Row<Session>, Row<Person>)>> {
        let Some(session) = session_of(cx, &self.session).await? else { return Ok(None) };
        let Some(known) = cx.house().identity.person(session.value.principal) else { return Ok(None) };
        let person = cx.get::<Person>(cx.system(), &known.row).await?;
        Ok(person.map(|person| (session, person)))
    }

    async fn check_old(&self, cx: &Cx<'_, Self>, guess: &Guess, hash: PasswordHash) -> Result<Step<()>> {
        if let Some(seconds) = guess.wait(cx).await? {
            return Ok(Err(SignInRefusal::Throttled { seconds }));
        }
        let place = cx.house().identity.hashing.place().await?;
        if let Some(seconds) = guess.count(cx).await? {
            return Ok(Err(SignInRefusal::Throttled { seconds }));
        }
        let is_right = self.old.expose().len() <= LONGEST && place.matches(Some(hash), self.old.clone()).await?;
        Ok(if is_right { Ok(()) } else { Err(SignInRefusal::BadCredentials) })
    }

    async fn replace(
        &self,
        cx: &Cx<'_, Self>,
        guess: &Guess,
        checked: &Row<Person>,
        hash: PasswordHash,
    ) -> Result<Step<SignedIn>> {
        for _ in 0..ATTEMPTS {
            let Some((mut session, mut person)) = self.read(cx).await? else { return Ok(expired(cx)) };
            // What was checked was the password of that version.
            if person.version != checked.version {
                break;
            }
            let principal = session.value.principal;
            let Some(mut member) = cx.get::<Member>(cx.system(), principal.as_bytes()).await? else {
                return Ok(expired(cx));
            };
            // Later than anything that began up to now, and the new session begins with it.
            let from = cx.now().plus(Duration::from_millis(1));
            member.value.valid_from = from;
            person.value.password = Some(hash.clone());
            person.value.must_change = false;
            person.value.password_set_at = Some(cx.now());
            let (new, cookie) = renewed(cx, &session.value, from)?;
            session.value.ended_at = Some(cx.now());

            let mut changes = Changes::new();
            changes.put(cx.system(), &member)?.put(cx.system(), &person)?;
            changes.put(cx.system(), &session)?.put(cx.system(), &new)?;
            guess.was_right(cx, &mut changes).await?;
            revoke_grants(cx, &mut changes, principal).await?;
            cx.note("newSession", new.value.id.to_string());
            match cx.commit(changes).await {
                Err(fault) if fault.kind() == Kind::Stale => {}
                Err(fault) => return Err(fault),
                Ok(()) => {
                    let factors = mfa::factors_of(cx, principal).await?.value;
                    let next = what_next(cx, &new.value, &factors);
                    taken(cx, &next);
                    return Ok(Ok(SignedIn { cookie, next }));
                }
            }
        }
        Err(kernel::Error::new(Kind::Unavailable, "the account is being changed by somebody else; try again"))
    }
}
