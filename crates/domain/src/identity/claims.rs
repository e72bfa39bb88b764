//! Access tokens (RFC 9068) and ID tokens (OpenID Connect Core §2): their claims, and the one place that signs them.

use kernel::{AppId, PrincipalKind, Proof, Result, RunId, Secret, TenantId, WorkspaceId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Member;
use crate::gate::{Admission, House, Settings};

/// The `typ` of access tokens.
pub(super) const TYPE: &str = "at+jwt";
/// The `typ` of ID tokens: no access-token check accepts it.
const ID_TYPE: &str = "JWT";
/// What a user's token lets an application do: everything that the user may.
const USER_SCOPE: &str = "user_impersonation";

/// Claims of an access token: no more than is needed.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Claims {
    pub iss: String,
    pub aud: String,
    pub sub: Uuid,
    pub oid: Uuid,
    pub tid: Uuid,
    pub appid: Uuid,
    pub azp: Uuid,
    pub client_id: Uuid,
    pub idtyp: String,
    pub iat: i64,
    pub nbf: i64,
    pub exp: i64,
    pub jti: Uuid,
    pub ver: String,
    /// Users only: what the application may do for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scp: Option<String>,
    /// Users only: how they signed in (RFC 8176).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub amr: Vec<String>,
    /// Users only: authentication contexts that are satisfied.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acrs: Vec<String>,
    /// Users only: the session it came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sid: Option<Uuid>,
    /// Managed identities only: the run whose code it was given to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<(WorkspaceId, RunId)>,
    /// Users only: the grant it was issued under.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<Uuid>,
    /// Capabilities that the client declared: `CP1` understands claims challenges.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub xms_cc: Vec<String>,
}

/// What an access token is to say.
pub(super) struct Grant<'a> {
    /// Whom it stands for.
    pub member: &'a Member,
    /// The application that asked.
    pub client: AppId,
    /// The audience.
    pub audience: String,
    /// How a user signed in.
    pub proof: Proof,
    /// What the client declared (`CP1`).
    pub capabilities: Vec<String>,
}

/// What an access token ends with, beside its hour.
#[derive(Default)]
pub(super) struct Bounds {
    /// The grant it is issued under: when that is revoked, so is the token.
    pub grant: Option<Uuid>,
    /// The end of the token that it is issued for, epoch seconds.
    pub not_after: Option<i64>,
}

/// A token, with its lifetime in seconds.
#[derive(Debug)]
pub struct AccessToken {
    /// The token.
    pub token: Secret<String>,
    /// Seconds until it expires.
    pub expires_in: i64,
    /// When it expires, epoch seconds.
    pub expires_on: i64,
    /// The audience it was issued for.
    pub resource: String,
}

/// Signs an access token.
pub(super) fn access_token(cx: &Admission<'_>, tenant: TenantId, grant: Grant<'_>) -> Result<AccessToken> {
    bounded_token(cx, tenant, grant, Bounds::default())
}

/// Signs an access token that hangs on something.
pub(super) fn bounded_token(
    cx: &Admission<'_>,
    tenant: TenantId,
    grant: Grant<'_>,
    bounds: Bounds,
) -> Result<AccessToken> {
    let now = cx.now().seconds();
    let lifetime = i64::try_from(cx.settings().token_lifetime.as_secs()).unwrap_or(3600);
    let end = now.saturating_add(lifetime);
    let end = bounds.not_after.map_or(end, |bound| bound.min(end));
    let is_user = grant.member.kind == PrincipalKind::User;
    let state = cx.house().identity.state();
    // In the second in which the person's or the application's tokens were revoked, the next one's begin.
    let start = now.max(grant.member.tokens_from()).max(state.client_from(grant.client).unwrap_or(0));
    let claims = Claims {
        iss: issuer(cx.settings(), tenant),
        aud: grant.audience.clone(),
        sub: grant.member.id.0,
        oid: grant.member.id.0,
        tid: tenant.0,
        appid: grant.client.0,
        azp: grant.client.0,
        client_id: grant.client.0,
        idtyp: String::from(if is_user { "user" } else { "app" }),
        iat: start,
        nbf: start,
        exp: end,
        jti: Uuid::new_v4(),
        ver: String::from("2.0"),
        scp: is_user.then(|| String::from(USER_SCOPE)),
        amr: grant.proof.methods,
        acrs: grant.proof.contexts,
        sid: grant.proof.session,
        run: grant.proof.run,
        grant: bounds.grant,
        xms_cc: grant.capabilities,
    };
    cx.note("audience", &grant.audience);
    Ok(AccessToken {
        token: state.keys.sign(TYPE, &claims)?,
        expires_in: end.saturating_sub(now).saturating_sub(1),
        expires_on: claims.exp,
        resource: grant.audience,
    })
}

/// What an ID token tells the application about a user.
#[derive(Debug, Serialize)]
pub(super) struct IdClaims {
    pub iss: String,
    /// The application.
    pub aud: Uuid,
    pub sub: Uuid,
    pub oid: Uuid,
    pub tid: Uuid,
    pub preferred_username: String,
    pub name: String,
    pub iat: i64,
    pub nbf: i64,
    pub exp: i64,
    /// When the user proved who they are, epoch seconds; left out when nobody said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auth_time: Option<i64>,
    pub ver: &'static str,
    /// As the request had it, unchanged.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nonce: Option<String>,
    /// The left half of the access token's SHA-256, base64url.
    pub at_hash: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub amr: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sid: Option<Uuid>,
}

/// Signs an ID token.
pub(super) fn id_token(house: &House, claims: &IdClaims) -> Result<Secret<String>> {
    Ok(house.identity.state().keys.sign(ID_TYPE, claims)?)
}

/// The tenant named in an address: its id, or the aliases that stand for "the only tenant here".
pub(super) fn tenant_of(house: &House, named: &str) -> Option<TenantId> {
    let tenant = house.identity.tenant()?;
    let is_alias = matches!(named, "organizations" | "common");
    (is_alias || named.eq_ignore_ascii_case(&tenant.to_string())).then_some(tenant)
}

/// The issuer of a tenant's tokens.
pub(super) fn issuer(settings: &Settings, tenant: TenantId) -> String {
    format!("{}/{tenant}/v2.0", settings.url)
}

/// A resource as tokens name it, without trailing slashes; none when nothing here answers to it.
pub(super) fn audience(settings: &Settings, resource: &str) -> Option<String> {
    let resource = resource.trim_end_matches('/');
    (is_management(settings, resource) || is_data(settings, resource)).then(|| resource.to_owned())
}

/// Whether a token for this audience opens the management and tracking faces.
pub(super) fn is_management(settings: &Settings, audience: &str) -> bool {
    const MANAGEMENT: [&str; 3] =
        ["https://management.azure.com", "https://management.core.windows.net", "https://ml.azure.com"];
    audience == settings.url.trim_end_matches('/') || MANAGEMENT.contains(&audience)
}

/// The audience that opens every storage account.
const STORAGE: &str = "https://storage.azure.com";

/// Whether a token for this audience opens a storage account.
pub(super) fn is_storage(settings: &Settings, account: &str, audience: &str) -> bool {
    audience == STORAGE || own_account(settings, audience).is_some_and(|own| own.eq_ignore_ascii_case(account))
}

/// The one account that an audience names: `https://{account}.blob.core.{suffix}`.
fn own_account<'a>(settings: &Settings, audience: &'a str) -> Option<&'a str> {
    let name = audience.strip_prefix("https://")?.strip_suffix(&settings.suffix)?.strip_suffix(".blob.core.")?;
    (!name.is_empty() && name.bytes().all(|c| c.is_ascii_alphanumeric())).then_some(name)
}

/// The audience that opens every registry.
const REGISTRY: &str = "https://containerregistry.azure.net";

/// Whether a token for this audience opens registries.
pub(super) fn is_registry(settings: &Settings, audience: &str) -> bool {
    audience == REGISTRY || audience == settings.audience_of("azurecr")
}

fn is_data(settings: &Settings, audience: &str) -> bool {
    is_registry(settings, audience)
        || audience == STORAGE
        || own_account(settings, audience).is_some()
        || is_vault(settings, audience)
}

/// With the port, as the challenge of a vault has it, or without.
pub(super) fn is_vault(settings: &Settings, audience: &str) -> bool {
    audience == vault_resource(settings) || audience == format!("https://vault.{}", settings.suffix)
}

/// What tokens for vaults are asked for: every vault's address ends with its authority, the port included.
pub fn vault_resource(settings: &Settings) -> String {
    settings.audience_of("vault")
}
