//! From a bearer token to a caller: the one verifier (invariant I4), used by every face.

use kernel::{Caller, Error, Kind, Principal, Proof, Result, RunCaller, Source, Timestamp, Who};
use seal::Sha256;
use uuid::Uuid;

use super::{
    Session,
    claims::{self, Claims},
    oauth,
    run_token::{self, RunClaims},
    token_keys::SKEW,
};
use crate::{compute, gate::House};

/// Establishes who holds this bearer token.
///
/// # Errors
/// `Unauthenticated` for anything but a live token of ours, of the right type, for this audience, whose principal is
/// enabled or whose run is alive. The message does not say which check failed, except expiry.
pub async fn identify(house: &House, bearer: &str, source: Source) -> Result<Caller> {
    identify_at(house, bearer, source, Audience::Management).await
}

/// What a token must have been issued for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience<'a> {
    /// The management and tracking faces.
    Management,
    /// What vaults hold.
    Vault,
    /// What this storage account holds.
    Storage(&'a str),
    /// What registries hold.
    Registry,
}

impl Audience<'_> {
    /// What a verified token is remembered by: one that opens one face is unknown to the others.
    fn digest(self, bearer: &str) -> [u8; 32] {
        match self {
            Self::Management => Sha256::of(bearer.as_bytes()),
            Self::Vault => Sha256::of(format!("vault\n{bearer}").as_bytes()),
            Self::Storage(account) => Sha256::of(format!("storage {account}\n{bearer}").as_bytes()),
            Self::Registry => Sha256::of(format!("registry\n{bearer}").as_bytes()),
        }
    }

    fn takes(self, house: &House, audience: &str) -> bool {
        match self {
            Self::Management => claims::is_management(house.settings(), audience),
            Self::Vault => claims::is_vault(house.settings(), audience),
            Self::Storage(account) => claims::is_storage(house.settings(), account, audience),
            Self::Registry => claims::is_registry(house.settings(), audience),
        }
    }

    /// Whether the token of a run's own code is looked at: the run's workspace is all that it opens.
    fn takes_runs(self) -> bool {
        self == Self::Management
    }
}

/// The same for a face that has tokens of its own.
///
/// # Errors
/// As [`identify`].
pub async fn identify_at(house: &House, bearer: &str, source: Source, audience: Audience<'_>) -> Result<Caller> {
    identify_until(house, bearer, source, audience).await.map(|(caller, _)| caller)
}

/// The same, with the end of the token: what is issued for it ends then too.
pub(crate) async fn identify_until(
    house: &House,
    bearer: &str,
    source: Source,
    audience: Audience<'_>,
) -> Result<(Caller, Timestamp)> {
    let digest = audience.digest(bearer);
    let now = house.now();
    let verified = &house.identity.verified;
    let (who, end) = match verified.get(&digest) {
        Some((caller, end)) if end > now => (caller.who, end),
        Some(_) => return Err(expired()),
        None => {
            let since = verified.since();
            let (who, end, grant, issued_at) = verify(house, bearer, now, audience)?;
            let is_standing = match grant {
                Some(grant) => oauth::stands(house, grant).await?,
                None => true,
            };
            if !is_standing || !is_recent(house, &who, issued_at) {
                return Err(refused());
            }
            // Not sooner: whoever comes with it meanwhile would find it kept, and be asked nothing more.
            verified.remember(since, digest, (Caller { who: who.clone(), source: Source::internal() }, end));
            (who, end)
        }
    };
    // What can change while a token lives is asked every time.
    match &who {
        Who::Principal(principal) => {
            let enabled = house.identity.member(principal.id).is_some_and(|member| !member.is_disabled);
            if !enabled || !is_open(house, &principal.proof).await? {
                return Err(refused());
            }
        }
        Who::Run(run) if !compute::is_alive(house, run).await? => return Err(refused()),
        Who::Run(_) | Who::Keyed(_) | Who::House | Who::Nobody => {}
    }
    Ok((Caller { who, source }, end))
}

/// Who holds the token, until when, the grant it was issued under, and when.
fn verify(
    house: &House,
    bearer: &str,
    now: Timestamp,
    audience: Audience<'_>,
) -> Result<(Who, Timestamp, Option<Uuid>, i64)> {
    let state = house.identity.state();
    let tenant = state.tenant.ok_or_else(refused)?;
    let issuer = claims::issuer(house.settings(), tenant);
    let skew = i64::try_from(SKEW.as_secs()).unwrap_or(60);
    let in_time = |from: i64, end: i64| {
        let seconds = now.seconds();
        match (from.saturating_sub(skew) <= seconds, seconds < end) {
            (true, true) => Ok(Timestamp(end.saturating_mul(1000))),
            (true, false) => Err(expired()),
            (false, _) => Err(refused()),
        }
    };
    if let Some(claims) = state.keys.verify::<Claims>(claims::TYPE, bearer) {
        let fits = claims.iss == issuer && claims.tid == tenant.0 && audience.takes(house, &claims.aud);
        if !fits {
            return Err(refused());
        }
        let end = in_time(claims.nbf.max(claims.iat), claims.exp)?;
        let member = state.members.get(&claims.oid.into()).ok_or_else(refused)?;
        if claims.iat < member.tokens_from() {
            return Err(revoked(member.valid_from));
        }
        // Every change of a principal makes the server forget what it verified, so that this is asked again.
        if state.client_from(claims.appid.into()).is_none_or(|from| claims.iat < from) {
            return Err(refused());
        }
        let Claims { amr: methods, acrs: contexts, sid: session, run, grant, .. } = claims;
        let proof = Proof { methods, contexts, session, run, grant };
        let (id, kind, app, name) = (member.id, member.kind, member.app, member.name.clone());
        let principal = Principal { id, tenant, kind, app, name, proof };
        return Ok((Who::Principal(principal), end, grant, claims.iat));
    }
    if audience.takes_runs()
        && let Some(claims) = state.keys.verify::<RunClaims>(run_token::TYPE, bearer)
    {
        if claims.iss != issuer || claims.aud != run_token::audience(claims.workspace) {
            return Err(refused());
        }
        let end = in_time(claims.iat, claims.exp)?;
        let RunClaims { run, workspace, scope, on_behalf_of, only, iat, .. } = claims;
        return Ok((Who::Run(RunCaller { run, workspace, scope, on_behalf_of, only }), end, None, iat));
    }
    Err(refused())
}

/// Whether a principal's token was issued after the last time that its tokens were revoked.
fn is_recent(house: &House, who: &Who, issued_at: i64) -> bool {
    match who {
        Who::Principal(principal) => {
            house.identity.member(principal.id).is_some_and(|member| member.tokens_from() <= issued_at)
        }
        Who::Run(_) | Who::Keyed(_) | Who::House | Who::Nobody => true,
    }
}

/// Whether what a token came from still stands: the session of a user, the run of a managed identity. A service principal's
/// token has neither.
pub(super) async fn is_open(house: &House, proof: &Proof) -> Result<bool> {
    if let Some((workspace, run)) = &proof.run
        && !compute::lives(house, *workspace, run).await?
    {
        return Ok(false);
    }
    let Some(id) = proof.session else { return Ok(true) };
    let session = house.peek::<Session>(house.system(), id.as_bytes()).await?;
    Ok(session.is_some_and(|row| row.value.ended_at.is_none()))
}

/// Clients that understand claims challenges drop the token they keep and ask for one that was issued after the revocation.
fn revoked(since: Timestamp) -> Error {
    let since = since.seconds().to_string();
    let claims = serde_json::json!({"access_token": {"nbf": {"essential": true, "value": since}}});
    refused().challenging(claims.to_string())
}

fn refused() -> Error {
    Error::new(Kind::Unauthenticated, "the access token is not valid here; sign in again")
}

fn expired() -> Error {
    Error::new(Kind::Unauthenticated, "the access token has expired; sign in again")
}
