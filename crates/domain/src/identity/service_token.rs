//! Service tokens: one principal, one scoring service, one hour (requirements ). They open nothing else, and end with
//! what the token that they were fetched with hangs on.

use kernel::{Error, Kind, Principal, PrincipalId, Proof, Result, RunId, Secret, WorkspaceId};
use seal::Sha256;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Member, authenticate::is_open, claims, oauth};
use crate::gate::House;

/// The `typ` of service tokens: no other check accepts it, and the reverse.
const TYPE: &str = "svc+jwt";
/// Seconds a service token lives.
pub(super) const LIFETIME: i64 = 3600;
/// Seconds after which a client may fetch the next one.
const REFRESH: i64 = 2700;

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: Uuid,
    oid: Uuid,
    tid: Uuid,
    iat: i64,
    exp: i64,
    jti: Uuid,
    /// Users only: the session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sid: Option<Uuid>,
    /// Users only: the grant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    grant: Option<Uuid>,
    /// Managed identities only: the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run: Option<(WorkspaceId, RunId)>,
}

/// A service token, with its times in epoch seconds.
#[derive(Clone, Debug)]
pub struct ServiceToken {
    /// The token.
    pub token: Secret<String>,
    /// When it expires.
    pub expires_on: i64,
    /// From when on the next one should be fetched.
    pub refresh_after: i64,
}

/// What a token says, its times in epoch seconds.
#[derive(Clone)]
pub(super) struct Held {
    principal: PrincipalId,
    issued_at: i64,
    end: i64,
    from: Proof,
}

/// Signs a token for a principal at the service with this audience. It ends with what `from` hangs on, if it ends sooner.
pub(crate) fn issue(house: &House, audience: &str, principal: PrincipalId, from: &Proof) -> Result<ServiceToken> {
    let tenant = house.tenant().ok_or_else(|| Error::new(Kind::Unavailable, "the server has no tenant yet"))?;
    let now = house.now().seconds();
    let claims = Claims {
        iss: claims::issuer(house.settings(), tenant),
        aud: audience.to_owned(),
        sub: principal.0,
        oid: principal.0,
        tid: tenant.0,
        iat: now.max(house.identity.member(principal).map_or(now, |member| member.tokens_from())),
        exp: now.saturating_add(LIFETIME),
        jti: Uuid::new_v4(),
        sid: from.session,
        grant: from.grant,
        run: from.run.clone(),
    };
    let token = house.identity.state().keys.sign(TYPE, &claims)?;
    Ok(ServiceToken { token, expires_on: claims.exp, refresh_after: now.saturating_add(REFRESH) })
}

/// The enabled principal that holds this token; none for anything but a live service token of ours for this audience.
///
/// # Errors
/// When it cannot be read whether what the token hangs on still stands.
pub(crate) async fn holder(house: &House, audience: &str, bearer: &str) -> Result<Option<Principal>> {
    let Some((held, found)) = verified(house, audience, bearer) else { return Ok(None) };
    // What can change while a token lives is asked every time.
    let stands = match held.grant {
        Some(grant) => oauth::stands(house, grant).await?,
        None => true,
    };
    Ok((stands && is_open(house, &held).await?).then_some(found))
}

/// The enabled principal whose token this is by its signature, claims and times, and what it hangs on.
fn verified(house: &House, audience: &str, bearer: &str) -> Option<(Proof, Principal)> {
    let now = house.now().seconds();
    let mut hash = Sha256::default();
    hash.update(audience.as_bytes());
    hash.update(&[0]);
    hash.update(bearer.as_bytes());
    let digest = hash.finish();
    let state = house.identity.state();
    let tenant = state.tenant?;
    let verified = &house.identity.service_tokens;
    let since = verified.since();
    let Held { principal, issued_at, end, from } = match verified.get(&digest) {
        Some(known) => known,
        None => {
            let claims = state.keys.verify::<Claims>(TYPE, bearer)?;
            let skew = i64::try_from(super::token_keys::SKEW.as_secs()).unwrap_or(60);
            let fits = claims.iss == claims::issuer(house.settings(), tenant)
                && claims.aud == audience
                && claims.tid == tenant.0
                && claims.iat.saturating_sub(skew) <= now
                && now < claims.exp;
            if !fits {
                return None;
            }
            let from = Proof { session: claims.sid, grant: claims.grant, run: claims.run, ..Proof::default() };
            let known = Held { principal: claims.oid.into(), issued_at: claims.iat, end: claims.exp, from };
            verified.remember(since, digest, known.clone());
            known
        }
    };
    if now >= end {
        return None;
    }
    let stands = |member: &&Member| !member.is_disabled && member.tokens_from() <= issued_at;
    let member = state.members.get(&principal).filter(stands)?;
    let &Member { id, kind, app, .. } = member;
    Some((from.clone(), Principal { id, tenant, kind, app, name: member.name.clone(), proof: from }))
}
