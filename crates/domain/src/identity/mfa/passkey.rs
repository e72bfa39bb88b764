//! Signing in with a passkey (WebAuthn level 3): as second factor, or without a password.

use async_trait::async_trait;
use kernel::{Action, Class, Kind, PrincipalId, PrincipalKind, ResourceId, Result, Secret};
use seal::{PasskeyQuestion, PasskeySite};
use uuid::Uuid;

use super::{
    Factors, factors_of,
    proof::busy,
    tickets::{Asked, Holder},
};
use crate::{
    gate::{Admission, Changes, Cx, Op, Row},
    identity::{
        Method, Session,
        session::{elevate, new_session, session_of},
        sign_in::{
            SignInRefusal, SignedIn, Step, establish, establish_stranger, expired, network, refused, taken, what_next,
        },
    },
};

/// What the browser's `navigator.credentials` is given.
#[derive(Debug)]
pub struct PasskeyChallenge {
    /// Names the challenge: it comes back with the answer, once, within five minutes.
    pub ticket: String,
    /// `{"publicKey": …}` with what `parseCreationOptionsFromJSON` or `parseRequestOptionsFromJSON` takes.
    pub options: serde_json::Value,
}

/// Asks for a challenge.
#[derive(Debug)]
pub struct BeginPasskey {
    /// The session whose second factor it is; none to sign in without a password.
    pub session: Option<Secret<String>>,
}

#[async_trait]
impl Op for BeginPasskey {
    const ACTION: Action = Action::public("Microsoft.Directory/signIns/passkey/begin", Class::Open);
    type Output = Step<PasskeyChallenge>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let Some(site) = PasskeySite::at(&cx.settings().url) else {
            return Ok(refused(cx, SignInRefusal::NotPossible, "the server's address is no host name"));
        };
        let (holder, (options, question)) = match &self.session {
            None => (stranger(cx), site.ask_anyone()?),
            Some(key) => {
                let Some(session) = session_of(cx, key).await?.map(|row| row.value) else { return Ok(expired(cx)) };
                let keys = factors_of(cx, session.principal).await?.value.keys();
                if keys.is_empty() {
                    return Ok(refused(cx, SignInRefusal::NotPossible, "no such factor is enrolled"));
                }
                (Holder::Session(session.id), site.ask(&keys)?)
            }
        };
        let ticket = cx.house().identity.tickets.keep(cx.now(), holder, Asked::Show(question))?;
        Ok(Ok(PasskeyChallenge { ticket, options }))
    }
}

/// Answers a challenge.
#[derive(Debug)]
pub struct FinishPasskey {
    /// The session whose second factor it is; none to sign in without a password.
    pub session: Option<Secret<String>>,
    /// The challenge.
    pub ticket: String,
    /// `PublicKeyCredential.toJSON()`.
    pub credential: serde_json::Value,
    /// What the browser calls itself.
    pub agent: String,
}

#[async_trait]
impl Op for FinishPasskey {
    const ACTION: Action = Action::public("Microsoft.Directory/signIns/passkey", Class::Control);
    type Output = Step<SignedIn>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        cx.note("method", "passkey");
        let Some(site) = PasskeySite::at(&cx.settings().url) else {
            establish_stranger(cx);
            return Ok(refused(cx, SignInRefusal::NotPossible, "the server's address is no host name"));
        };
        match &self.session {
            Some(key) => self.prove(cx, &site, key).await,
            None => self.sign_in(cx, &site).await,
        }
    }
}

impl FinishPasskey {
    /// As second factor.
    async fn prove(&self, cx: &Cx<'_, Self>, site: &PasskeySite, key: &Secret<String>) -> Result<Step<SignedIn>> {
        let Some(mut session) = session_of(cx, key).await? else { return Ok(expired(cx)) };
        establish(cx, session.value.principal);
        cx.note("session", session.value.id.to_string());
        let Some(question) = self.question(cx, &Holder::Session(session.value.id)) else {
            return Ok(refused(cx, SignInRefusal::Expired, "no such challenge"));
        };
        let mut factors = factors_of(cx, session.value.principal).await?;
        if !self.is_answered(cx, site, question, &mut factors.value) {
            return Ok(refused(cx, SignInRefusal::BadPasskey, "the answer does not fit"));
        }
        let cookie = elevate(cx, &mut session, Method::Passkey)?;
        self.commit(cx, &session, &factors, cookie).await
    }

    /// Without a password.
    async fn sign_in(&self, cx: &Cx<'_, Self>, site: &PasskeySite) -> Result<Step<SignedIn>> {
        let Some(question) = self.question(cx, &stranger(cx)) else {
            establish_stranger(cx);
            return Ok(refused(cx, SignInRefusal::Expired, "no such challenge"));
        };
        let Some(principal) = PasskeySite::owner_in(&self.credential).map(|id| PrincipalId::from(Uuid::from_bytes(id)))
        else {
            establish_stranger(cx);
            return Ok(refused(cx, SignInRefusal::BadPasskey, "the answer names nobody"));
        };
        let mut factors = factors_of(cx, principal).await?;
        if !self.is_answered(cx, site, question, &mut factors.value) {
            establish_stranger(cx);
            return Ok(refused(cx, SignInRefusal::BadPasskey, "the answer does not fit"));
        }
        // Only now is it more than a claim who this is.
        establish(cx, principal);
        let member = cx.house().identity.member(principal);
        if !member.is_some_and(|member| !member.is_disabled && member.kind == PrincipalKind::User) {
            return Ok(refused(cx, SignInRefusal::BadPasskey, "the account is disabled"));
        }
        let (session, cookie) = new_session(cx, principal, Method::Passkey, &self.agent)?;
        cx.note("session", session.value.id.to_string());
        self.commit(cx, &session, &factors, cookie).await
    }

    fn question(&self, cx: &Cx<'_, Self>, holder: &Holder) -> Option<PasskeyQuestion> {
        match cx.house().identity.tickets.take(cx.now(), &self.ticket, holder)? {
            Asked::Show(question) => Some(question),
            Asked::New(_) => None,
        }
    }

    /// Whether one of the person's passkeys gave the answer. Its count goes up, or stays zero when it does not count: one
    /// that goes back is a copy's (WebAuthn §6.1.1).
    fn is_answered(
        &self,
        cx: &Cx<'_, Self>,
        site: &PasskeySite,
        question: PasskeyQuestion,
        factors: &mut Factors,
    ) -> bool {
        let Some(answer) = site.answered(&self.credential, question, &factors.keys()) else { return false };
        let Some(kept) = factors.passkeys.get_mut(answer.index) else { return false };
        let counts = answer.counter > 0 || kept.counter > 0;
        if counts && answer.counter <= kept.counter {
            return false;
        }
        cx.note("passkey", kept.id.to_string());
        kept.counter = answer.counter;
        kept.used_at = Some(cx.now());
        true
    }

    /// A challenge is worth one attempt, so this is not tried anew.
    async fn commit(
        &self,
        cx: &Cx<'_, Self>,
        session: &Row<Session>,
        factors: &Row<Factors>,
        cookie: Secret<String>,
    ) -> Result<Step<SignedIn>> {
        let next = what_next(cx, &session.value, &factors.value);
        taken(cx, &next);
        let mut changes = Changes::new();
        changes.put(cx.system(), factors)?.put(cx.system(), session)?;
        match cx.commit(changes).await {
            Err(fault) if fault.kind() == Kind::Stale => Err(busy()),
            begun => begun.map(|()| Ok(SignedIn { cookie, next })),
        }
    }
}

fn stranger(cx: &Admission<'_>) -> Holder {
    Holder::Stranger(cx.caller().source.address.map(network))
}
