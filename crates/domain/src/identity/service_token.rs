//! Service tokens: one principal, one scoring service, one hour (requirements ). They open nothing else.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use kernel::{Error, Kind, Principal, PrincipalId, Result, Secret};
use seal::Sha256;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Member, claims};
use crate::gate::House;

/// The `typ` of service tokens: no other check accepts it, and the reverse.
const TYPE: &str = "svc+jwt";
/// Seconds a service token lives.
pub(super) const LIFETIME: i64 = 3600;
/// Seconds after which a client may fetch the next one.
const REFRESH: i64 = 2700;
/// Verified tokens kept in memory.
const MOST_CACHED: usize = 10_000;

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

/// Tokens whose signature was verified, by digest of audience and token; the principal, when it was issued, and the expiry.
#[derive(Default)]
pub(crate) struct Verified(Mutex<HashMap<[u8; 32], (PrincipalId, i64, i64)>>);

impl Verified {
    /// Forgets all: keys or principals have changed.
    pub(super) fn clear(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Signs a token for a principal at the service with this audience.
pub(crate) fn issue(house: &House, audience: &str, principal: PrincipalId) -> Result<ServiceToken> {
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
    };
    let token = house.identity.state().keys.sign(TYPE, &claims)?;
    Ok(ServiceToken { token, expires_on: claims.exp, refresh_after: now.saturating_add(REFRESH) })
}

/// The enabled principal that holds this token; none for anything but a live service token of ours for this audience.
pub(crate) fn holder(house: &House, audience: &str, bearer: &str) -> Option<Principal> {
    let now = house.now().seconds();
    let mut hash = Sha256::default();
    hash.update(audience.as_bytes());
    hash.update(&[0]);
    hash.update(bearer.as_bytes());
    let digest = hash.finish();
    let state = house.identity.state();
    let tenant = state.tenant?;
    let verified = &house.identity.service_tokens.0;
    let cached = verified.lock().unwrap_or_else(PoisonError::into_inner).get(&digest).copied();
    let (principal, issued_at, end) = match cached {
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
            let known = (PrincipalId::from(claims.oid), claims.iat, claims.exp);
            let mut verified = verified.lock().unwrap_or_else(PoisonError::into_inner);
            if verified.len() >= MOST_CACHED {
                verified.clear();
            }
            verified.insert(digest, known);
            known
        }
    };
    if now >= end {
        return None;
    }
    // What can change while a token lives is asked every time.
    let stands = |member: &&Member| !member.is_disabled && member.tokens_from() <= issued_at;
    let member = state.members.get(&principal).filter(stands)?;
    Some(Principal {
        id: member.id,
        tenant,
        kind: member.kind,
        app: member.app,
        name: member.name.clone(),
        proof: kernel::Proof::default(),
    })
}
