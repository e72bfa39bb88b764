//! A service principal that shows its id and secret to a registry, as Docker's clients do.

use kernel::{Principal, Proof, Result, Secret};

use super::{ClientClaim, client::prove, refusal::answer};
use crate::gate::Admission;

/// The principal whose id and secret these are; none when they are nobody's. The record says who it was, or whom somebody pretended to
/// be.
///
/// # Errors
/// When the store cannot be read.
pub(crate) async fn prove_service_principal(
    cx: &Admission<'_>,
    id: &str,
    secret: &Secret<String>,
) -> Result<Option<Principal>> {
    let tenant = cx.house().tenant().map(|tenant| tenant.to_string()).unwrap_or_default();
    let claim = ClientClaim::with_secret(tenant, id, secret.clone());
    let Ok(proved) = answer(cx, prove(cx, &claim, &["registry"]).await)? else { return Ok(None) };
    let member = proved.member.filter(|_| !proved.client.is_public);
    Ok(member.map(|member| Principal {
        id: member.id,
        tenant: proved.tenant,
        kind: member.kind,
        app: member.app,
        name: member.name,
        proof: Proof::default(),
    }))
}
