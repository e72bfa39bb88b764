//! Tokens of registries: refresh tokens, which only get others, and short access tokens, each for what its client asked for and its
//! holder may do. They open nothing but registries, and end with what they came from: a grant, a session, a run, a secret that is
//! removed, the password of an admin account.

use std::sync::Arc;

use kernel::{Error, Kind, Principal, Proof, Result, RunId, Secret, Timestamp, WorkspaceId};
use seal::Sha256;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{authenticate::is_open, claims, oauth};
use crate::gate::House;

/// Seconds that an access token lives.
const ACCESS: i64 = 600;
/// Seconds that a refresh token lives at most; Azure's span.
const REFRESH: i64 = 3 * 3600;

/// Which kind of token: no check of one accepts the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Use {
    /// To be shown to a registry.
    Access,
    /// To get access tokens.
    Refresh,
}

impl Use {
    /// The `typ` of the token.
    fn name(self) -> &'static str {
        match self {
            Self::Access => "acr+jwt",
            Self::Refresh => "acr-refresh+jwt",
        }
    }
}

/// What a token says, its times in epoch seconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Claims {
    iss: String,
    /// The service that it is for.
    pub(crate) aud: String,
    tid: Uuid,
    iat: i64,
    pub(crate) exp: i64,
    jti: Uuid,
    /// The principal; none for an admin account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    oid: Option<Uuid>,
    /// The admin account's password that was shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    key: Option<AdminKey>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    amr: Vec<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    acrs: Vec<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sid: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    grant: Option<Uuid>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run: Option<(WorkspaceId, RunId)>,
    /// What an access token is for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    access: Vec<Access>,
}

/// What of one repository, or of a registry's list of them, a token is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Access {
    /// The registry's GUID: one that is made again under the same name is another.
    pub(crate) registry: Uuid,
    /// The repository; none for the list of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) repository: Option<String>,
    /// `pull`, `push`, `delete`; `*` for the list.
    pub(crate) actions: Vec<String>,
}

/// A password of a registry's admin account, as tokens name it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdminKey {
    /// The registry's GUID.
    pub(crate) registry: Uuid,
    /// Its name, by which it is found.
    pub(crate) named: String,
    /// `password` or `password2`.
    pub(crate) name: String,
    /// When it was made: one that is made again is another.
    pub(crate) made_at: Timestamp,
}

/// Whom a token stands for.
#[derive(Clone, Debug)]
pub enum Holder {
    /// A principal, which is enabled and whose tokens count.
    Principal(Principal),
    /// Whoever showed this password: whether it is still that one is the registry's to say.
    Admin(AdminKey),
}

impl Claims {
    /// Whether the token is for this.
    pub(crate) fn covers(&self, registry: Uuid, repository: Option<&str>, action: &str) -> bool {
        let is_for = |access: &&Access| access.registry == registry && access.repository.as_deref() == repository;
        self.access.iter().filter(is_for).any(|access| access.actions.iter().any(|held| held == action || held == "*"))
    }
}

/// A token that was issued.
#[derive(Clone, Debug)]
pub struct RegistryToken {
    /// The token.
    pub token: Secret<String>,
    /// Seconds until it ends.
    pub expires_in: i64,
}

/// Signs a token; it ends at `not_after` at the latest, epoch seconds.
pub(crate) fn issue(
    house: &House,
    of: Use,
    audience: &str,
    holder: &Holder,
    access: Vec<Access>,
    not_after: Option<i64>,
) -> Result<RegistryToken> {
    let tenant = house.tenant().ok_or_else(|| Error::new(Kind::Unavailable, "the server has no tenant yet"))?;
    let now = house.now().seconds();
    let life = if of == Use::Access { ACCESS } else { REFRESH };
    let end = now.saturating_add(life);
    let exp = not_after.map_or(end, |bound| bound.min(end));
    let (oid, key, proof, from) = match holder {
        Holder::Principal(principal) => {
            let from = house.identity.member(principal.id).map_or(now, |member| member.tokens_from());
            (Some(principal.id.0), None, principal.proof.clone(), from)
        }
        Holder::Admin(key) => (None, Some(key.clone()), Proof::default(), now),
    };
    let claims = Claims {
        iss: claims::issuer(house.settings(), tenant),
        aud: audience.to_owned(),
        tid: tenant.0,
        // In the second in which the principal's tokens were revoked, the next one's begin.
        iat: now.max(from),
        exp,
        jti: Uuid::new_v4(),
        oid,
        key,
        amr: proof.methods,
        acrs: proof.contexts,
        sid: proof.session,
        grant: proof.grant,
        run: proof.run,
        access,
    };
    let token = house.identity.state().keys.sign(of.name(), &claims)?;
    Ok(RegistryToken { token, expires_in: exp.saturating_sub(now) })
}

/// Whom a token stands for, and what it says; none for anything but a live one of this kind whose holder still stands.
///
/// # Errors
/// When it cannot be read whether what the token hangs on still stands.
pub(crate) async fn holder(house: &House, of: Use, token: &str) -> Result<Option<(Holder, Arc<Claims>)>> {
    let Some(claims) = verified(house, of, token) else { return Ok(None) };
    if let Some(key) = &claims.key {
        return Ok(Some((Holder::Admin(key.clone()), claims)));
    }
    let Some(oid) = claims.oid else { return Ok(None) };
    let Some(tenant) = house.tenant() else { return Ok(None) };
    // What can change while a token lives is asked every time.
    let stands = |member: &super::Member| !member.is_disabled && member.tokens_from() <= claims.iat;
    let Some(member) = house.identity.member(oid.into()).filter(stands) else { return Ok(None) };
    let proof = Proof {
        methods: claims.amr.clone(),
        contexts: claims.acrs.clone(),
        session: claims.sid,
        run: claims.run.clone(),
        grant: claims.grant,
    };
    let is_granted = match claims.grant {
        Some(grant) => oauth::stands(house, grant).await?,
        None => true,
    };
    if !is_granted || !is_open(house, &proof).await? {
        return Ok(None);
    }
    let principal =
        Principal { id: member.id, tenant, kind: member.kind, app: member.app, name: member.name.clone(), proof };
    Ok(Some((Holder::Principal(principal), claims)))
}

/// What a token says, when its signature, issuer and times are right.
fn verified(house: &House, of: Use, token: &str) -> Option<Arc<Claims>> {
    let now = house.now().seconds();
    let digest = Sha256::of(format!("{}\n{token}", of.name()).as_bytes());
    let verified = &house.identity.registry_tokens;
    if let Some(known) = verified.get(&digest) {
        return (now < known.exp).then_some(known);
    }
    let since = verified.since();
    let state = house.identity.state();
    let tenant = state.tenant?;
    let claims = state.keys.verify::<Claims>(of.name(), token)?;
    let skew = i64::try_from(super::token_keys::SKEW.as_secs()).unwrap_or(60);
    let is_ours = claims.iss == claims::issuer(house.settings(), tenant) && claims.tid == tenant.0;
    if !is_ours || claims.iat.saturating_sub(skew) > now || now >= claims.exp {
        return None;
    }
    let claims = Arc::new(claims);
    verified.remember(since, digest, Arc::clone(&claims));
    Some(claims)
}
