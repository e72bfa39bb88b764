//! The first proof: name and password.

use async_trait::async_trait;
use kernel::{Action, Class, Kind, PrincipalKind, ResourceId, Result, Secret};

use super::{
    Guess, SignInRefusal, SignedIn, Step, account_name, next_step,
    report::{establish, establish_stranger, refused, taken, throttled},
};
use crate::{
    gate::{Changes, Cx, Op},
    identity::{Member, Method, Person, session::new_session},
};

/// Bytes of a password; nobody's is longer.
pub(super) const LONGEST: usize = 1024;
/// How often the beginning of a session is tried anew because others sign in at the same moment.
const ATTEMPTS: usize = 8;

/// Signs in with name and password.
///
/// Accounts that do not exist, are disabled or have no password cost the same work and get the same answers as a wrong
/// password. Its class has records queued: were the record of a refusal durable before the reply, a stranger could time
/// whether there is one. A session begins in one commit with its record.
#[derive(Debug)]
pub struct SignInWithPassword {
    /// As typed.
    pub user_name: String,
    /// As typed: not a character is added or taken away.
    pub password: Secret<String>,
    /// What the browser calls itself.
    pub agent: String,
}

#[async_trait]
impl Op for SignInWithPassword {
    const ACTION: Action = Action::public("Microsoft.Directory/signIns/password", Class::Read);
    type Output = Step<SignedIn>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        cx.note("method", "password");
        if self.password.expose().len() > LONGEST {
            establish_stranger(cx);
            return Ok(refused(cx, SignInRefusal::BadCredentials, "the password is too long to be one"));
        }
        let name = account_name(&self.user_name);
        let mut guess = Guess::at_account(cx, &name);
        // Nothing of the account is read before this: as often as a stranger asks, it takes as long for nobody's.
        if let Some(seconds) = guess.wait(cx).await? {
            establish_stranger(cx);
            return Ok(throttled(cx, seconds));
        }
        let place = cx.house().identity.hashing.place().await?;
        let person = cx.get::<Person>(cx.system(), &cx.system().name_id::<Person>(&name)).await?.map(|row| row.value);
        if person.is_none() {
            guess = guess.at_nobody();
        }
        // Counted here, where two are at a time, and before the hash: of guesses made at once none slips through.
        if let Some(seconds) = guess.count(cx).await? {
            establish_stranger(cx);
            return Ok(throttled(cx, seconds));
        }
        let hash = person.as_ref().and_then(|person| person.password.clone());
        let has_password = hash.is_some();
        let is_right = place.matches(hash, self.password.clone()).await?;

        let Some(person) = person else {
            establish_stranger(cx);
            return Ok(refused(cx, SignInRefusal::BadCredentials, "no such account"));
        };
        establish(cx, person.principal);
        let member = cx.house().identity.member(person.principal);
        let reason = match member {
            _ if !has_password => Some("the account has no password"),
            _ if !is_right => Some("wrong password"),
            Some(Member { is_disabled: false, kind: PrincipalKind::User, .. }) => None,
            _ => Some("the account is disabled"),
        };
        match reason {
            Some(reason) => Ok(refused(cx, SignInRefusal::BadCredentials, reason)),
            None => self.begin(cx, &guess, &person).await.map(Ok),
        }
    }
}

impl SignInWithPassword {
    async fn begin(&self, cx: &Cx<'_, Self>, guess: &Guess, person: &Person) -> Result<SignedIn> {
        let (row, cookie) = new_session(cx, person.principal, Method::Password, &self.agent)?;
        let next = next_step(cx, &row.value).await?;
        cx.note("session", row.value.id.to_string());
        taken(cx, &next);
        let mut attempt = 1;
        loop {
            let mut changes = Changes::new();
            changes.put(cx.system(), &row)?;
            guess.was_right(cx, &mut changes).await?;
            match cx.commit(changes).await {
                Err(fault) if fault.kind() == Kind::Stale && attempt < ATTEMPTS => attempt += 1,
                begun => return begun.map(|()| SignedIn { cookie, next }),
            }
        }
    }
}
