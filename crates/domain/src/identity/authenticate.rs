//! From a bearer token to a caller: the one verifier (invariant I4), used by every face.

use std::sync::PoisonError;

use kernel::{Caller, Error, Kind, Principal, Result, RunCaller, Source, Timestamp, Who};
use seal::Sha256;

use super::{
    run_token::{self, RunClaims},
    token::{self, Claims},
    token_keys::SKEW,
};
use crate::{compute, gate::House};

/// Verified tokens kept in memory.
const MOST_CACHED: usize = 10_000;

/// Establishes who holds this bearer token.
///
/// # Errors
/// `Unauthenticated` for anything but a live token of ours, of the right type, for this audience, whose principal is
/// enabled or whose run is alive. The message does not say which check failed, except expiry.
pub async fn identify(house: &House, bearer: &str, source: Source) -> Result<Caller> {
    let digest = Sha256::of(bearer.as_bytes());
    let now = house.now();
    let cached = house.identity.verified.lock().unwrap_or_else(PoisonError::into_inner).get(&digest).cloned();
    let who = match cached {
        Some((caller, end)) if end > now => caller.who,
        Some(_) => return Err(expired()),
        None => {
            let (who, end) = verify(house, bearer, now)?;
            let mut verified = house.identity.verified.lock().unwrap_or_else(PoisonError::into_inner);
            if verified.len() >= MOST_CACHED {
                verified.clear();
            }
            verified.insert(digest, (Caller { who: who.clone(), source: Source::internal() }, end));
            who
        }
    };
    // What can change while a token lives is asked every time.
    match &who {
        Who::Principal(principal) => {
            let enabled = house.identity.member(principal.id).is_some_and(|member| !member.is_disabled);
            if !enabled {
                return Err(refused());
            }
        }
        Who::Run(run) if !compute::is_alive(house, run).await? => return Err(refused()),
        Who::Run(_) | Who::House | Who::Nobody => {}
    }
    Ok(Caller { who, source })
}

fn verify(house: &House, bearer: &str, now: Timestamp) -> Result<(Who, Timestamp)> {
    let state = house.identity.state();
    let tenant = state.tenant.ok_or_else(refused)?;
    let issuer = token::issuer(house.settings(), tenant);
    let skew = i64::try_from(SKEW.as_secs()).unwrap_or(60);
    let in_time = |from: i64, end: i64| {
        let seconds = now.seconds();
        match (from.saturating_sub(skew) <= seconds, seconds < end) {
            (true, true) => Ok(Timestamp(end.saturating_mul(1000))),
            (true, false) => Err(expired()),
            (false, _) => Err(refused()),
        }
    };
    if let Some(claims) = state.keys.verify::<Claims>(token::TYPE, bearer) {
        let fits =
            claims.iss == issuer && claims.tid == tenant.0 && token::is_management(house.settings(), &claims.aud);
        if !fits {
            return Err(refused());
        }
        let end = in_time(claims.nbf.max(claims.iat), claims.exp)?;
        let member = state.members.get(&claims.oid.into()).ok_or_else(refused)?;
        let principal =
            Principal { id: member.id, tenant, kind: member.kind, app: member.app, name: member.name.clone() };
        return Ok((Who::Principal(principal), end));
    }
    if let Some(claims) = state.keys.verify::<RunClaims>(run_token::TYPE, bearer) {
        if claims.iss != issuer || claims.aud != run_token::audience(claims.workspace) {
            return Err(refused());
        }
        let end = in_time(claims.iat, claims.exp)?;
        let RunClaims { run, workspace, scope, on_behalf_of, .. } = claims;
        return Ok((Who::Run(RunCaller { run, workspace, scope, on_behalf_of }), end));
    }
    Err(refused())
}

fn refused() -> Error {
    Error::new(Kind::Unauthenticated, "the access token is not valid here; sign in again")
}

fn expired() -> Error {
    Error::new(Kind::Unauthenticated, "the access token has expired; sign in again")
}
