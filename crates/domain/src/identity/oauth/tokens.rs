//! What an application gets for a person: an access token, an ID token, a refresh token.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use kernel::{AppId, PrincipalId, PrincipalKind, Result, Secret, TenantId, Timestamp};
use seal::{Fingerprint, Sha256};
use uuid::Uuid;

use super::{
    TokenRefusal,
    credential::REFRESH_TOKEN,
    demands::Demands,
    grant::{self, OpenGrant, RefreshToken},
    refusal::Granted,
    scope::Asked,
};
use crate::{
    gate::{Actor, Admission, Changes, Row},
    identity::{
        AccessToken, Member, NextStep, Person, Session,
        claims::{self, Bounds, Grant, IdClaims},
        policy::MULTI_FACTOR,
        sign_in::next_step,
    },
};

/// Refreshes of one grant: beyond that a person signs in again.
const MOST_REFRESHES: u32 = 5000;

/// What is issued for a person.
#[derive(Debug)]
pub struct TokenSet {
    /// For the resource.
    pub access: AccessToken,
    /// What was granted.
    pub scope: String,
    /// Whose tokens they are, as Microsoft's libraries read it: base64url of `{"uid", "utid"}`.
    pub client_info: String,
    /// For the application, when it asked with `openid`.
    pub id_token: Option<Secret<String>>,
    /// For the next time, when it asked with `offline_access`.
    pub refresh_token: Option<Secret<String>>,
}

/// A person, and the session in which they gave their word.
pub(super) struct Subject {
    pub tenant: TenantId,
    pub client: AppId,
    pub member: Member,
    pub session: Session,
    /// The grant that everything hangs on.
    pub grant: Uuid,
}

/// Why a person's standing is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// They are there, or were a minute ago: the authorization endpoint saw to what they lack.
    Present,
    /// Only an application is there: policies count as they are now, and for where it is.
    Absent,
}

/// Names the person in the record of what is done with their code or token, whatever becomes of it.
pub(super) fn name_person(cx: &Admission<'_>, principal: PrincipalId) {
    if let Some(member) = cx.house().identity.member(principal) {
        cx.establish(Actor::Principal { id: member.id, kind: member.kind, name: member.name });
    }
}

/// Establishes that the person and the session still stand, and satisfy what is demanded. `since`: when the word was given.
pub(super) async fn standing(
    cx: &Admission<'_>,
    principal: PrincipalId,
    session: Uuid,
    since: Timestamp,
    demands: &Demands,
    moment: Moment,
) -> Granted<(Member, Session)> {
    let member = cx.house().identity.member(principal).filter(|member| member.kind == PrincipalKind::User);
    name_person(cx, principal);
    let member = member.ok_or(TokenRefusal::PersonDisabled)?;
    if member.is_disabled {
        return Err(TokenRefusal::PersonDisabled.into());
    }
    if member.valid_from > since {
        return Err(TokenRefusal::GrantRevoked.into());
    }
    let session = grant::session(cx, session).await?;
    if session.principal != member.id || member.valid_from > session.started_at {
        return Err(TokenRefusal::GrantRevoked.into());
    }
    if moment == Moment::Absent {
        match next_step(cx, &session).await? {
            NextStep::Done => {}
            NextStep::ProveSecondFactor { .. } => return Err(second_factor(false).into()),
            NextStep::EnrolSecondFactor => return Err(second_factor(true).into()),
            NextStep::ChangePassword => return Err(TokenRefusal::PasswordChange.into()),
        }
    }
    if demands.contexts.iter().any(|context| context == MULTI_FACTOR) && !session.is_multi_factor() {
        return Err(second_factor(false).into());
    }
    Ok((member, session))
}

fn second_factor(must_enrol: bool) -> TokenRefusal {
    TokenRefusal::SecondFactor { claims: Demands::second_factor(), must_enrol }
}

/// What goes into one set of tokens beside the subject.
pub(super) struct Terms<'a> {
    pub asked: &'a Asked,
    pub capabilities: Vec<String>,
    /// As the authorization request had it.
    pub nonce: Option<String>,
    /// Of which generation the refresh token is; none for none.
    pub generation: Option<u32>,
    /// The access token ends then at the latest, epoch seconds.
    pub not_after: Option<i64>,
}

/// Issues a set of tokens. The refresh token is good once `changes` are committed.
pub(super) async fn issue(
    cx: &Admission<'_>,
    subject: &Subject,
    terms: Terms<'_>,
    changes: &mut Changes,
) -> Result<TokenSet> {
    let proof = subject.session.proof();
    cx.note("client", subject.client.to_string());
    cx.note("methods", proof.methods.join(" "));
    let grant = Grant {
        member: &subject.member,
        client: subject.client,
        audience: terms.asked.audience.clone(),
        proof,
        capabilities: terms.capabilities,
    };
    let bounds = Bounds { grant: Some(subject.grant), not_after: terms.not_after };
    let access = claims::bounded_token(cx, subject.tenant, grant, bounds)?;
    let id_token = if terms.asked.openid { Some(id_token(cx, subject, terms.nonce, &access).await?) } else { None };
    let refresh_token = match terms.generation.filter(|generation| *generation < MOST_REFRESHES) {
        Some(generation) => Some(refresh_token(cx, subject.grant, generation, changes)?),
        None => None,
    };
    let info = serde_json::json!({"uid": subject.member.id, "utid": subject.tenant}).to_string();
    Ok(TokenSet {
        access,
        scope: terms.asked.granted(),
        client_info: URL_SAFE_NO_PAD.encode(info),
        id_token,
        refresh_token,
    })
}

fn refresh_token(cx: &Admission<'_>, grant: Uuid, generation: u32, changes: &mut Changes) -> Result<Secret<String>> {
    let id = [grant.as_bytes().as_slice(), Uuid::new_v4().as_bytes().as_slice()].concat();
    let (text, fingerprint) = REFRESH_TOKEN.draw(cx.system(), &id)?;
    let kept = RefreshToken { fingerprint, generation, issued_at: cx.now(), used_at: None };
    changes.put(cx.system(), &Row::new(id, kept))?;
    Ok(text)
}

async fn id_token(
    cx: &Admission<'_>,
    subject: &Subject,
    nonce: Option<String>,
    access: &AccessToken,
) -> Result<Secret<String>> {
    let known = cx.house().identity.person(subject.member.id);
    let person = match known {
        Some(known) => cx.get::<Person>(cx.system(), &known.row).await?.map(|row| row.value),
        None => None,
    };
    let (user_name, display_name) = match person {
        Some(person) if person.display_name.is_empty() => (person.user_name.clone(), person.user_name),
        Some(person) => (person.user_name, person.display_name),
        None => (subject.member.name.clone(), subject.member.name.clone()),
    };
    let (now, proof) = (cx.now().seconds(), subject.session.proof());
    let claims = IdClaims {
        iss: claims::issuer(cx.settings(), subject.tenant),
        aud: subject.client.0,
        sub: subject.member.id.0,
        oid: subject.member.id.0,
        tid: subject.tenant.0,
        preferred_username: user_name,
        name: display_name,
        iat: now,
        nbf: now,
        exp: access.expires_on,
        auth_time: subject.session.proved_at.map(Timestamp::seconds),
        ver: "2.0",
        nonce,
        at_hash: at_hash(access),
        amr: proof.methods,
        sid: proof.session,
    };
    claims::id_token(cx.house(), &claims)
}

/// The left half of the access token's SHA-256 (OpenID Connect Core §3.1.3.6).
fn at_hash(access: &AccessToken) -> String {
    let digest = Sha256::of(access.token.expose().as_bytes());
    URL_SAFE_NO_PAD.encode(digest.first_chunk::<16>().copied().unwrap_or_default())
}

/// A new grant for this subject.
pub(super) fn new_grant(
    cx: &Admission<'_>,
    subject: &Subject,
    asked: &Asked,
    demands: &Demands,
    opened_by: Fingerprint,
) -> OpenGrant {
    let now = cx.now();
    OpenGrant {
        id: subject.grant,
        principal: subject.member.id,
        client: subject.client,
        session: subject.session.id,
        scope: asked.granted(),
        capabilities: demands.capabilities.clone(),
        started_at: now,
        ends_at: now.plus(grant::LONGEST),
        revoked_at: None,
        opened_by,
    }
}
