//! Whether somebody has a way to come in, for rules that count on them.

use kernel::{PrincipalId, PrincipalKind, Result, Timestamp};
use uuid::Uuid;

use super::{Application, Person, federation::comes_through, mfa::factors_of};
use crate::gate::Admission;

impl Application {
    /// Whether it has a credential that is good now. A public one cannot prove who it is.
    pub(super) fn can_prove_itself(&self, now: Timestamp) -> bool {
        let has_secret = self.secrets.iter().any(|secret| secret.expires_at > now);
        let has_key = self.certificates.iter().any(|certificate| certificate.expires_at > now);
        !self.is_public && (has_secret || has_key || !self.federated.is_empty())
    }
}

/// Whether the principal can come in by itself: an application with a credential, or a person with a password, a passkey or a
/// provider that is enabled.
pub(crate) async fn can_come_in(cx: &Admission<'_>, id: PrincipalId) -> Result<bool> {
    has_way(cx, id, None).await
}

/// Whether it could without this provider.
pub(super) async fn can_come_in_without(cx: &Admission<'_>, id: PrincipalId, provider: Uuid) -> Result<bool> {
    has_way(cx, id, Some(provider)).await
}

async fn has_way(cx: &Admission<'_>, id: PrincipalId, without: Option<Uuid>) -> Result<bool> {
    let identity = &cx.house().identity;
    let is_free = |member: &super::Member| !member.is_disabled && member.managed_by.is_none();
    let Some(member) = identity.member(id).filter(is_free) else { return Ok(false) };
    match (member.kind, member.app) {
        (PrincipalKind::User, _) => {}
        (PrincipalKind::ServicePrincipal, Some(app)) => {
            let found = cx.get::<Application>(cx.system(), app.as_bytes()).await?;
            return Ok(found.is_some_and(|row| row.value.can_prove_itself(cx.now())));
        }
        (PrincipalKind::ServicePrincipal | PrincipalKind::Group, _) => return Ok(false),
    }
    let Some(known) = identity.person(id) else { return Ok(false) };
    let person = cx.get::<Person>(cx.system(), &known.row).await?;
    Ok(person.is_some_and(|row| row.value.password.is_some())
        || !factors_of(cx, id).await?.value.passkeys.is_empty()
        || comes_through(cx, id, without).await?)
}
