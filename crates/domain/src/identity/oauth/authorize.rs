//! The authorization endpoint (RFC 6749 §4.1.1): whether a person's browser may be sent back with a code.
//!
//! Until it is known who asks and that the address is theirs, nothing is sent anywhere. Every answer names its issuer
//! (RFC 9207), so that an application with two issuers cannot be made to take one's code to the other.

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use kernel::{Action, Class, Kind, ResourceId, Result, Secret, TenantId};
use uuid::Uuid;

use super::{
    AuthorizeFault, AuthorizeRefusal, AuthorizeRequest, ResponseMode,
    client::{self, Client},
    code::OfferedCode,
    credential::CODE,
    redirect::{is_loopback, is_registered},
    refusal::Stop,
    request::Asking,
    scope::Asked,
    ticket,
};
use crate::{
    gate::{Actor, Cx, Op, Row},
    identity::{
        Member, NextStep, Person, Session,
        claims::{issuer, tenant_of},
        session::session_of,
        sign_in::next_step,
    },
};

/// An authorization request, from a browser that may have a session.
#[derive(Debug)]
pub struct Authorize {
    /// The tenant segment of the address.
    pub tenant: String,
    /// The query.
    pub query: AuthorizeRequest,
    /// The key of the browser's session.
    pub session: Option<Secret<String>>,
    /// The browser's own key, or a new one that it is given with the way to the sign-in page.
    pub browser: Secret<String>,
}

/// Where the browser goes next.
#[derive(Debug)]
pub enum AuthorizeOutcome {
    /// Back to the application, with a code.
    Answer {
        /// The address.
        redirect_uri: String,
        /// How the parameters travel.
        mode: ResponseMode,
        /// `code`, `state`, `iss` and what else was asked for. They hold a secret: never to be logged.
        parameters: Vec<(String, String)>,
    },
    /// Back to the application, without.
    Refused {
        /// The address.
        redirect_uri: String,
        /// How the refusal travels.
        mode: ResponseMode,
        /// As the request had it.
        state: Option<String>,
        /// `iss`.
        issuer: String,
        /// Why.
        why: AuthorizeRefusal,
    },
    /// To the sign-in page, and here again.
    SignIn {
        /// Even if somebody is signed in already.
        again: bool,
        /// Who, as the application believes.
        hint: Option<String>,
        /// To be carried back in the parameter `ticket`.
        ticket: Secret<String>,
    },
    /// To the second factor, and here again.
    SecondFactor {
        /// To be carried back in the parameter `ticket`.
        ticket: Secret<String>,
    },
    /// Nowhere: a page that says why.
    Page(AuthorizeFault),
}

#[async_trait]
impl Op for Authorize {
    const ACTION: Action = Action::public("Microsoft.Directory/authorizations/issue", Class::Control);
    type Output = AuthorizeOutcome;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<AuthorizeOutcome> {
        let outcome = match self.addressed(cx).await? {
            Ok((tenant, client, redirect_uri)) => self.decide(cx, tenant, &client, redirect_uri).await?,
            Err(fault) => AuthorizeOutcome::Page(fault),
        };
        if !matches!(outcome, AuthorizeOutcome::Answer { .. }) {
            cx.refuse(Kind::Unauthenticated);
        }
        Ok(outcome)
    }
}

/// Why no code is given.
enum No {
    Refused(AuthorizeRefusal),
    SignIn { again: bool, session: Option<Uuid> },
    SecondFactor { session: Uuid },
    Failed(kernel::Error),
}

impl From<kernel::Error> for No {
    fn from(fault: kernel::Error) -> Self {
        Self::Failed(fault)
    }
}

impl From<AuthorizeRefusal> for No {
    fn from(why: AuthorizeRefusal) -> Self {
        Self::Refused(why)
    }
}

impl Authorize {
    /// Who asks, and where the answer may go.
    async fn addressed(
        &self,
        cx: &Cx<'_, Self>,
    ) -> Result<std::result::Result<(TenantId, Client, String), AuthorizeFault>> {
        let Some(tenant) = tenant_of(cx.house(), &self.tenant) else { return Ok(Err(AuthorizeFault::UnknownTenant)) };
        let id = self.query.one("client_id").ok().flatten().unwrap_or_default();
        let Some(client) = client::find(cx, id).await? else { return Ok(Err(AuthorizeFault::UnknownClient)) };
        if client.member(cx).is_err() {
            return Ok(Err(AuthorizeFault::Disabled));
        }
        let Some(uri) = self.query.one("redirect_uri").ok().flatten() else {
            return Ok(Err(AuthorizeFault::NoRedirectUri));
        };
        if !is_registered(&client.redirect_uris, uri) {
            return Ok(Err(AuthorizeFault::BadRedirectUri));
        }
        Ok(Ok((tenant, client, uri.to_owned())))
    }

    async fn decide(
        &self,
        cx: &Cx<'_, Self>,
        tenant: TenantId,
        client: &Client,
        redirect_uri: String,
    ) -> Result<AuthorizeOutcome> {
        let (state, issuer) =
            (self.query.one("state").ok().flatten().map(str::to_owned), issuer(cx.settings(), tenant));
        let mode = self.query.mode().unwrap_or(ResponseMode::Query);
        let hint = self.query.one("login_hint").ok().flatten().map(str::to_owned);
        Ok(match self.grant(cx, tenant, client, &redirect_uri).await {
            Ok(mut parameters) => {
                parameters.extend(state.map(|state| (String::from("state"), state)));
                parameters.push((String::from("iss"), issuer));
                AuthorizeOutcome::Answer { redirect_uri, mode, parameters }
            }
            Err(No::Refused(why)) => AuthorizeOutcome::Refused { redirect_uri, mode, state, issuer, why },
            Err(No::SignIn { again, session }) => AuthorizeOutcome::SignIn {
                again,
                hint,
                ticket: ticket::issue(cx.house(), &self.query, &self.browser, session)?,
            },
            Err(No::SecondFactor { session }) => {
                let ticket = ticket::issue(cx.house(), &self.query, &self.browser, Some(session))?;
                AuthorizeOutcome::SecondFactor { ticket }
            }
            Err(No::Failed(fault)) => return Err(fault),
        })
    }

    async fn grant(
        &self,
        cx: &Cx<'_, Self>,
        tenant: TenantId,
        client: &Client,
        redirect_uri: &str,
    ) -> std::result::Result<Vec<(String, String)>, No> {
        let asking = Asking::read(&self.query, client.needs_challenge)?;
        let asked = Asked::by_user(cx, client.app, &asking.scope).await.map_err(|stop| match stop {
            Stop::Failed(fault) => No::Failed(fault),
            Stop::Refused(_) => No::Refused(AuthorizeRefusal::BadScope),
        })?;
        let present = self.present(cx, &asking, is_loopback(redirect_uri)).await;
        let (member, session) = match present {
            Ok(present) => present,
            Err(No::SignIn { .. }) if asking.prompt.none => return Err(AuthorizeRefusal::LoginRequired.into()),
            Err(No::SecondFactor { .. }) if asking.prompt.none => {
                return Err(AuthorizeRefusal::InteractionRequired.into());
            }
            Err(no) => return Err(no),
        };
        cx.note("client", client.app.to_string());
        cx.note("audience", &asked.audience);
        cx.note("methods", session.value.proof().methods.join(" "));
        let grant = Uuid::new_v4();
        let (code, fingerprint) = CODE.draw(cx.system(), grant.as_bytes())?;
        let offered = OfferedCode {
            fingerprint,
            client: client.app,
            principal: member.id,
            session: session.value.id,
            redirect_uri: redirect_uri.to_owned(),
            challenge: asking.challenge,
            nonce: asking.nonce,
            asked,
            demands: asking.demands,
            offered_at: cx.now(),
        };
        if !cx.house().identity.offers.codes().offer(grant, offered) {
            return Err(AuthorizeRefusal::Busy.into());
        }
        let mut parameters = vec![(String::from("code"), code.expose().clone())];
        if asking.wants_client_info {
            let info = serde_json::json!({"uid": member.id, "utid": tenant}).to_string();
            parameters.push((String::from("client_info"), URL_SAFE_NO_PAD.encode(info)));
        }
        Ok(parameters)
    }

    /// The person in front of the browser, if they proved what is needed, lately enough.
    async fn present(
        &self,
        cx: &Cx<'_, Self>,
        asking: &Asking,
        is_loopback: bool,
    ) -> std::result::Result<(Member, Row<Session>), No> {
        let found = match &self.session {
            Some(key) => session_of(cx, key).await?,
            None => None,
        };
        let found = found.and_then(|row| Some((cx.house().identity.member(row.value.principal)?, row)));
        let (member, session) = found.ok_or(No::SignIn { again: false, session: None })?;
        let id = session.value.id;
        cx.establish(Actor::Principal { id: member.id, kind: member.kind, name: member.name.clone() });
        match next_step(cx, &session.value).await? {
            NextStep::Done => {}
            NextStep::ProveSecondFactor { .. } => return Err(No::SecondFactor { session: id }),
            NextStep::EnrolSecondFactor | NextStep::ChangePassword => {
                return Err(No::SignIn { again: false, session: Some(id) });
            }
        }
        // Sent to the sign-in page for this very request: proved themselves since, or at least went on from there.
        let sent = ticket::read(cx.house(), &self.query, &self.browser, &session.value);
        let (started, proved) = (session.value.started_at, session.value.proved_at);
        let is_fresh = sent.as_ref().zip(proved).is_some_and(|(sent, proved)| proved >= sent.at);
        // Whoever came back from a provider was asked here, even where the provider did not ask them.
        let was_asked = is_fresh || sent.is_some_and(|sent| sent.is_same_session || started >= sent.at);
        let age = proved.map(|proved| cx.now().since(proved).as_secs());
        let is_within = |most: i64| most != 0 && age.is_some_and(|age| age <= u64::try_from(most).unwrap_or(0));
        let is_too_old = asking.max_age.is_some_and(|most| !is_within(most));
        if !is_fresh && (asking.prompt.again || is_too_old) {
            return Err(No::SignIn { again: true, session: Some(id) });
        }
        // Any program on the person's machine can have an answer sent to its own port: not without asking (RFC 8252 §8.6).
        let is_unasked = asking.prompt.choose || is_loopback || !self.is_expected(cx, asking, &member).await?;
        if !was_asked && is_unasked {
            return Err(No::SignIn { again: false, session: Some(id) });
        }
        if !asking.demands.contexts.is_empty() && !session.value.is_multi_factor() {
            return Err(No::SecondFactor { session: id });
        }
        Ok((member, session))
    }

    /// Whether it is the person whom the application expects.
    async fn is_expected(&self, cx: &Cx<'_, Self>, asking: &Asking, member: &Member) -> Result<bool> {
        let Some(hint) = &asking.hint else { return Ok(true) };
        let known = cx.house().identity.person(member.id);
        let person = match known {
            Some(known) => cx.get::<Person>(cx.system(), &known.row).await?,
            None => None,
        };
        let user_name = person.map_or_else(|| member.name.clone(), |row| row.value.user_name);
        Ok(hint.eq_ignore_ascii_case(&user_name) || *hint == member.id.to_string())
    }
}
