//! A provider as administrators see it, and how its row is found.

use kernel::{Error, PrincipalId, Result, Timestamp};
use uuid::Uuid;

use super::{
    GroupMapping, MultiFactorTrust,
    records::{FederatedUser, Provider},
};
use crate::{
    access::{holders_of_kept, require_other_holders},
    gate::{Admission, Changes, Row},
    identity::{can_come_in, way_in::can_come_in_without},
};

/// Providers that may be known at once.
pub(super) const MOST_PROVIDERS: usize = 50;

/// A provider as administrators see it: no secret in it.
#[derive(Clone, Debug)]
pub struct IdentityProvider {
    /// Names it.
    pub id: Uuid,
    /// For people.
    pub name: String,
    /// `iss`.
    pub issuer: String,
    /// As which client we are known there.
    pub client_id: String,
    /// Whether there is a secret that proves it.
    pub has_secret: bool,
    /// A disabled one signs nobody in.
    pub is_enabled: bool,
    /// Scopes that are asked for beside `openid`.
    pub scopes: Vec<String>,
    /// Whether people who come for the first time become users.
    pub creates_users: bool,
    /// The claim that a new user is named after.
    pub user_name_claim: String,
    /// The claim with groups.
    pub group_claim: Option<String>,
    /// What those mean here.
    pub groups: Vec<GroupMapping>,
    /// What counts as two factors.
    pub mfa: MultiFactorTrust,
    /// Where its answers go: to be registered with the provider.
    pub redirect_uri: String,
    /// Its authorization endpoint, its token endpoint, and the address of its keys, as it named them.
    pub endpoints: [String; 3],
    /// When it named them.
    pub pinned_at: Timestamp,
    /// When it was made known.
    pub created_at: Timestamp,
}

pub(super) fn view(cx: &Admission<'_>, provider: &Provider) -> IdentityProvider {
    let pinned = provider.pinned.clone();
    IdentityProvider {
        id: provider.id,
        name: provider.name.clone(),
        issuer: provider.issuer.clone(),
        client_id: provider.client_id.clone(),
        has_secret: provider.client_secret.is_some(),
        is_enabled: provider.is_enabled,
        scopes: provider.scopes.clone(),
        creates_users: provider.creates_users,
        user_name_claim: provider.user_name_claim.clone(),
        group_claim: provider.group_claim.clone(),
        groups: provider.groups.clone(),
        mfa: provider.mfa.clone(),
        redirect_uri: redirect_uri(cx, provider),
        endpoints: [pinned.authorization, pinned.token, pinned.keys],
        pinned_at: pinned.at,
        created_at: provider.created_at,
    }
}

/// Where the provider's answers go. Each has an address of its own, so that one cannot answer in another's place
/// (RFC 9700 §4.4.2).
pub(super) fn redirect_uri(cx: &Admission<'_>, provider: &Provider) -> String {
    format!("{}/signin/federated/{}/callback", cx.settings().url, provider.id)
}

/// All providers, by name.
pub(super) async fn all(cx: &Admission<'_>) -> Result<Vec<Row<Provider>>> {
    let mut rows = cx.all::<Provider>(cx.system(), b"").await?;
    rows.sort_by(|a, b| (&a.value.name, a.value.id).cmp(&(&b.value.name, b.value.id)));
    Ok(rows)
}

/// The provider with this id.
pub(super) async fn named(cx: &Admission<'_>, id: Uuid) -> Result<Option<Row<Provider>>> {
    Ok(cx.all::<Provider>(cx.system(), b"").await?.into_iter().find(|row| row.value.id == id))
}

/// The provider with this id, for whoever administers it.
pub(super) async fn find(cx: &Admission<'_>, id: Uuid) -> Result<Row<Provider>> {
    let row = named(cx, id).await?.ok_or_else(|| Error::not_found(format_args!("the identity provider `{id}`")))?;
    cx.note("provider", id.to_string());
    cx.note("issuer", &row.value.issuer);
    Ok(row)
}

/// Whether a person can sign in through some provider, other than one that is going.
pub(in crate::identity) async fn comes_through(
    cx: &Admission<'_>,
    principal: PrincipalId,
    without: Option<Uuid>,
) -> Result<bool> {
    let mut open = cx.all::<Provider>(cx.system(), b"").await?;
    open.retain(|row| row.value.is_enabled && Some(row.value.id) != without);
    if open.is_empty() {
        return Ok(false);
    }
    let links = cx.all::<FederatedUser>(cx.system(), b"").await?;
    let mut own = links.iter().filter(|link| link.value.principal == principal);
    Ok(own.any(|link| open.iter().any(|provider| provider.value.issuer == link.value.issuer)))
}

/// Refuses to part with a provider when the last owner comes through it alone. The caller holds
/// `assigning`.
pub(super) async fn require_other_ways(cx: &Admission<'_>, changes: &mut Changes, provider: Uuid) -> Result<()> {
    let mut shut_out = Vec::new();
    for holder in holders_of_kept(cx).await? {
        if can_come_in(cx, holder).await? && !can_come_in_without(cx, holder, provider).await? {
            shut_out.push(holder);
        }
    }
    match shut_out.is_empty() {
        true => Ok(()),
        false => require_other_holders(cx, &shut_out, changes).await,
    }
}
