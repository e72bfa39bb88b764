//! A browser comes back from a provider.

use async_trait::async_trait;
use kernel::{Action, Class, Kind, ResourceId, Result, Secret, Timestamp};
use uuid::Uuid;

use super::{
    attempts::Attempt,
    exchange::{ExchangeFault, redeem, word},
    id_token::{Expected, IdToken},
    links::link_id,
    person::known,
    provider::named,
    records::{FederatedUser, Provider},
};
use crate::{
    gate::{Admission, Changes, Cx, Op},
    identity::{
        Method, Session, SignedIn,
        issuers::{KeySource, verified},
        session::new_session,
        sign_in::{establish, establish_stranger, next_step, taken},
    },
};

/// How often it is tried again when somebody else changed the same rows.
const TRIES: usize = 4;
/// How much of a reason is recorded, in characters.
const LONGEST_REASON: usize = 300;
/// The longest code, in bytes.
const LONGEST_CODE: usize = 4096;

/// Finishes a sign-in through a provider, with what its answer carries (OpenID Connect Core §3.1.2.5, RFC 9207).
#[derive(Debug)]
pub struct FinishFederatedSignIn {
    /// The provider's id, as the address has it.
    pub provider: String,
    /// What the browser was given at the beginning.
    pub cookie: Option<Secret<String>>,
    /// `state`.
    pub state: Option<String>,
    /// `code`.
    pub code: Option<Secret<String>>,
    /// `iss`.
    pub issuer: Option<String>,
    /// `error`.
    pub error: Option<String>,
    /// What the browser calls itself.
    pub agent: String,
}

/// An answer, or why there is none.
pub type FederationAnswer<T> = std::result::Result<T, FederationRefusal>;

/// Why nobody was signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FederationRefusal {
    /// There is no such provider, or it is disabled.
    NoProvider,
    /// Too many sign-ins are under way; later.
    TooMany,
    /// The sign-in was begun in another browser, too long ago, or was finished already.
    Expired,
    /// The provider refused: the person declined, say.
    Declined,
    /// The provider cannot be reached.
    Away,
    /// What the provider answered is not to be believed.
    Unbelievable,
    /// The person was to prove once more who they are, and the provider does not say that they did.
    NotAgain,
    /// The person is not known here, and this provider makes nobody known.
    NotInvited,
    /// The person's account here is disabled.
    Disabled,
}

#[async_trait]
impl Op for FinishFederatedSignIn {
    const ACTION: Action = Action::public("Microsoft.Directory/signIns/federated", Class::Control);
    /// The session, and where the browser wanted to go.
    type Output = FederationAnswer<(SignedIn, Option<String>)>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        cx.note("method", "federated");
        // Without an attempt of this very browser, nothing is asked and nothing recorded.
        let attempt = self.state.as_deref().zip(self.cookie.as_ref());
        let attempt = attempt.and_then(|(state, cookie)| cx.house().identity.attempts.take(state, cookie, cx.now()));
        let attempt = attempt.filter(|attempt| Uuid::try_parse(&self.provider) == Ok(attempt.provider));
        let Some(attempt) = attempt else {
            cx.refuse(Kind::Unauthenticated);
            return Ok(Err(FederationRefusal::Expired));
        };
        cx.note("provider", attempt.provider.to_string());
        let provider = named(cx, attempt.provider).await?.map(|row| row.value).filter(|provider| provider.is_enabled);
        let Some(provider) = provider else {
            return Ok(refused(cx, FederationRefusal::NoProvider, "the provider is disabled or gone"));
        };
        cx.note("issuer", &provider.issuer);
        let token = match self.token(cx, &provider, &attempt).await {
            Ok(token) => token,
            Err((refusal, reason)) => return Ok(refused(cx, refusal, &reason)),
        };
        cx.note("subject", token.subject.chars().filter(|c| !c.is_control()).take(255).collect::<String>());
        let proved_at = match attempt.prove_since.map(|since| token.proved_since(since, cx.now())) {
            Some(None) => {
                let why = "the provider does not say that the person proved themselves again";
                return Ok(refused(cx, FederationRefusal::NotAgain, why));
            }
            Some(again) => again,
            None => token.proved_at(cx.now()),
        };
        let method = match token.is_multi_factor(&provider.mfa) {
            true => Method::FederatedMultiFactor,
            false => Method::Federated,
        };
        cx.note("secondFactor", if method == Method::Federated { "not believed" } else { "of the provider" });
        let signed = sign_in(cx, &provider, &token, method, proved_at, &self.agent).await?;
        Ok(signed.map(|signed| (signed, attempt.return_to)))
    }
}

impl FinishFederatedSignIn {
    /// The ID token behind the answer; otherwise why there is none, and more of that for the log.
    async fn token(
        &self,
        cx: &Cx<'_, Self>,
        provider: &Provider,
        attempt: &Attempt,
    ) -> std::result::Result<IdToken, (FederationRefusal, String)> {
        let unbelievable = |why: &str| (FederationRefusal::Unbelievable, why.to_owned());
        // Another issuer's answer, slipped in here (RFC 9207 §2.4).
        match &self.issuer {
            Some(issuer) if *issuer != provider.issuer => return Err(unbelievable("the answer is of another issuer")),
            None if provider.pinned.announces_issuer => return Err(unbelievable("the answer names no issuer")),
            _ => {}
        }
        if let Some(error) = &self.error {
            return Err((FederationRefusal::Declined, word(error)));
        }
        let code = self.code.as_ref().filter(|code| (1..=LONGEST_CODE).contains(&code.expose().len()));
        let code = code.ok_or_else(|| unbelievable("the answer carries no code"))?;
        let redeemed = redeem(cx, provider, attempt, code).await.map_err(|fault| match fault {
            ExchangeFault::Away(why) => (FederationRefusal::Away, why),
            ExchangeFault::Refused(why) => {
                (FederationRefusal::Unbelievable, format!("the code is not redeemed: {why}"))
            }
        })?;
        let keys = KeySource::Pinned { jwks_uri: &provider.pinned.keys };
        let token = verified(cx, &keys, redeemed.id_token.expose()).await.map_err(|why| unbelievable(&why))?;
        let access_token = redeemed.access_token.as_ref();
        let expected = Expected { provider, nonce: &attempt.nonce, access_token, now: cx.now() };
        IdToken::check(token, &expected).map_err(unbelievable)
    }
}

/// Starts a session for whoever the token vouches for. Person, groups and session are one commit.
async fn sign_in(
    cx: &Admission<'_>,
    provider: &Provider,
    token: &IdToken,
    method: Method,
    proved_at: Option<Timestamp>,
    agent: &str,
) -> Result<FederationAnswer<SignedIn>> {
    let mut tries: usize = 0;
    let (session, cookie) = loop {
        let _turn = cx.house().assigning.lock().await;
        let mut known = match known(cx, provider, token).await? {
            Ok(known) => known,
            Err(refusal) => return refused_person(cx, provider, token, refusal).await,
        };
        let (mut row, cookie) = new_session(cx, known.principal, method, agent)?;
        row.value.provider = Some(provider.id);
        row.value.proved_at = proved_at;
        establish(cx, known.principal);
        cx.note("principal", known.principal.to_string());
        cx.note("session", row.value.id.to_string());
        // What is demanded of somebody hangs on the groups that this commit may change.
        match known.is_changed {
            true => cx.note("result", "signed in; groups or user changed"),
            false => taken(cx, &next_step(cx, &row.value).await?),
        }
        known.changes.put(cx.system(), &row)?;
        match cx.commit(known.changes).await {
            Ok(()) => break (row.value, cookie),
            Err(fault) if fault.kind() == Kind::Stale && tries < TRIES => tries = tries.saturating_add(1),
            Err(fault) => return Err(fault),
        }
    };
    // The provider may have been disabled since it was looked at; the sessions that ended then did not include this one.
    if !named(cx, provider.id).await?.is_some_and(|row| row.value.is_enabled) {
        end(cx, &session).await?;
        return Ok(refused(cx, FederationRefusal::NoProvider, "the provider was disabled meanwhile"));
    }
    let next = next_step(cx, &session).await?;
    Ok(Ok(SignedIn { cookie, next }))
}

async fn end(cx: &Admission<'_>, session: &Session) -> Result<()> {
    if let Some(mut row) = cx.get::<Session>(cx.system(), session.id.as_bytes()).await? {
        row.value.ended_at = Some(cx.now());
        let mut changes = Changes::new();
        changes.put(cx.system(), &row)?;
        cx.commit(changes).await?;
    }
    Ok(())
}

/// Refuses somebody whom the provider vouches for; the record names the user where there is one.
async fn refused_person<T>(
    cx: &Admission<'_>,
    provider: &Provider,
    token: &IdToken,
    refusal: FederationRefusal,
) -> Result<FederationAnswer<T>> {
    if refusal != FederationRefusal::Disabled {
        return Ok(refused(cx, refusal, "the subject is no user, and the provider creates none"));
    }
    let id = link_id(cx, &provider.issuer, &token.subject);
    if let Some(link) = cx.get::<FederatedUser>(cx.system(), &id).await? {
        establish(cx, link.value.principal);
    }
    Ok(refuse(cx, refusal, "the account is disabled"))
}

/// Refuses somebody who has no name here. Whoever it was has begun here and comes from a provider of ours, so it is recorded,
/// within the bound that holds for strangers.
fn refused<T>(cx: &Admission<'_>, refusal: FederationRefusal, reason: &str) -> FederationAnswer<T> {
    establish_stranger(cx);
    refuse(cx, refusal, reason)
}

/// Refuses, and says why in the log.
fn refuse<T>(cx: &Admission<'_>, refusal: FederationRefusal, reason: &str) -> FederationAnswer<T> {
    cx.note("result", "refused");
    cx.note("reason", reason.chars().filter(|c| !c.is_control()).take(LONGEST_REASON).collect::<String>());
    cx.refuse(match refusal {
        FederationRefusal::NoProvider => Kind::NotFound,
        FederationRefusal::TooMany => Kind::Throttled,
        FederationRefusal::Away => Kind::Unavailable,
        FederationRefusal::Disabled | FederationRefusal::NotInvited => Kind::Denied,
        FederationRefusal::Expired
        | FederationRefusal::Declined
        | FederationRefusal::Unbelievable
        | FederationRefusal::NotAgain => Kind::Unauthenticated,
    });
    Err(refusal)
}
