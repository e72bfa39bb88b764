//! The keys that sign tokens: sealed, rotated, published until the last token under them has expired.

use std::time::Duration;

use async_trait::async_trait;
use kernel::{Action, Caller, Class, Error, Kind, ResourceId, Result, Secret, TenantId};
use seal::{PublicKey, TokenKey, TokenKeys};

use super::{claims, records::SigningKey, service_token};
use crate::gate::{Admission, Changes, Cx, Guard, Guarded, House, Op, Row, Settings};
use serde_json::json;

/// Clocks may differ by this much (invariant I4).
pub(super) const SKEW: Duration = Duration::from_secs(60);

/// All keys that still verify, the signing one first.
pub(super) async fn load(house: &House) -> Result<TokenKeys> {
    let now = house.now();
    let mut rows = house.all::<SigningKey>(house.system(), b"").await?;
    rows.retain(|row| row.value.verifies_until.is_none_or(|end| end > now));
    rows.sort_by_key(|row| std::cmp::Reverse(row.value.created_at));
    let keys = rows.iter().map(|row| TokenKey::new(row.value.kid.clone(), Secret::new(row.value.document.clone())));
    Ok(TokenKeys::new(keys.collect::<std::result::Result<_, _>>()?))
}

/// Adds the first key of a house that is being founded.
pub(super) fn add_first(cx: &Admission<'_>, changes: &mut Changes) -> Result<()> {
    changes.put(cx.system(), &fresh(cx)?)?;
    Ok(())
}

fn fresh(cx: &Admission<'_>) -> Result<Row<SigningKey>> {
    let (kid, document) = TokenKey::generate()?;
    let key = SigningKey {
        kid: kid.clone(),
        document: document.expose().clone(),
        created_at: cx.now(),
        verifies_until: None,
    };
    Ok(Row::new(kid.into_bytes(), key))
}

/// Whether the signing key is older than it may become.
pub(super) async fn is_due(cx: &Admission<'_>) -> Result<bool> {
    let newest = cx.all::<SigningKey>(cx.system(), b"").await?.into_iter().map(|row| row.value.created_at).max();
    Ok(newest.is_some_and(|made| cx.now().since(made) >= cx.settings().signing_key_lifetime))
}

/// The life of the longest-lived token of any kind.
fn longest_life(settings: &Settings) -> Duration {
    let service = Duration::from_secs(u64::try_from(service_token::LIFETIME).unwrap_or(3600));
    settings.token_lifetime.max(settings.run_token_lifetime).max(service)
}

/// Makes a new signing key. Tokens under the old one stay valid until they expire.
#[derive(Debug)]
pub struct RotateSigningKeys;

#[async_trait]
impl Op for RotateSigningKeys {
    const ACTION: Action = Action::new("Microsoft.Directory/signingKeys/rotate/action", Class::Control);
    const GUARDS: &'static [Guard] = &[Guard::KeyChange];
    type Output = String;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    fn guarded(&self, _: &House, _: &Caller) -> Result<Guarded> {
        Ok(Guarded::at(Guard::KeyChange, &ResourceId::root(), json!({})))
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<String> {
        let now = cx.now();
        let last_token = now.plus(longest_life(cx.settings())).plus(SKEW);
        let mut changes = Changes::new();
        for mut row in cx.all::<SigningKey>(cx.system(), b"").await? {
            match row.value.verifies_until {
                None => {
                    row.value.verifies_until = Some(last_token);
                    // Two keys made in the same millisecond must still have an order.
                    row.value.created_at = row.value.created_at.min(kernel::Timestamp(now.0.saturating_sub(1)));
                    changes.put(cx.system(), &row)?;
                }
                Some(end) if end <= now => {
                    changes.delete(cx.system(), &row);
                }
                Some(_) => {}
            }
        }
        let key = fresh(cx)?;
        let kid = key.value.kid.clone();
        changes.put(cx.system(), &key)?;
        cx.note("kid", &kid);
        cx.commit(changes).await?;
        Ok(kid)
    }
}

/// The key set document (RFC 7517).
#[derive(Debug)]
pub struct ListSigningKeys {
    /// The tenant segment of the address.
    pub tenant: String,
}

#[async_trait]
impl Op for ListSigningKeys {
    const ACTION: Action = Action::public("Microsoft.Directory/signingKeys/read", Class::Open);
    type Output = Vec<PublicKey>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Vec<PublicKey>> {
        known(cx, &self.tenant)?;
        Ok(cx.house().identity.state().keys.public())
    }
}

/// What the OpenID discovery document says.
#[derive(Debug)]
pub struct GetDiscovery {
    /// The tenant segment of the address.
    pub tenant: String,
}

#[async_trait]
impl Op for GetDiscovery {
    const ACTION: Action = Action::public("Microsoft.Directory/tenants/discovery/read", Class::Open);
    /// Issuer, tenant.
    type Output = (String, TenantId);

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let tenant = known(cx, &self.tenant)?;
        Ok((claims::issuer(cx.settings(), tenant), tenant))
    }
}

fn known(cx: &Admission<'_>, named: &str) -> Result<TenantId> {
    claims::tenant_of(cx.house(), named).ok_or_else(|| Error::new(Kind::NotFound, "the tenant was not found"))
}
