//! Run tokens: one run, one workspace, listed actions; dead when the run ends, refused for management operations
//! (requirements A-07, invariants 5 and I6).

use kernel::{PrincipalId, ResourceId, Result, RunCaller, RunId, Secret, TenantId, WorkspaceId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::claims;
use crate::gate::House;

/// The `typ` of run tokens: no access-token check accepts it, and the reverse.
pub(super) const TYPE: &str = "run+jwt";

/// Claims of a run token.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RunClaims {
    pub(super) iss: String,
    pub(super) aud: String,
    /// The run.
    pub run: RunId,
    /// The workspace's id.
    pub workspace: WorkspaceId,
    /// The workspace's scope.
    pub scope: ResourceId,
    /// Who submitted it.
    pub on_behalf_of: PrincipalId,
    /// The only actions it is for; all that are open to runs when none is listed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub only: Vec<String>,
    /// Who exchanged it: the run itself (RFC 8693 §4.1).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) act: Option<Act>,
    pub(super) iat: i64,
    pub(super) exp: i64,
    pub(super) jti: Uuid,
}

/// Who acts.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Act {
    sub: RunId,
}

/// The audience of run tokens: the run's own workspace.
pub(super) fn audience(workspace: WorkspaceId) -> String {
    format!("urn:bartizan:workspace:{workspace}")
}

/// Signs a token for a run, and says when it expires (epoch seconds).
pub fn issue_run_token(house: &House, run: &RunCaller) -> Result<(Secret<String>, i64)> {
    let now = house.now().seconds();
    let lifetime = i64::try_from(house.settings().run_token_lifetime.as_secs()).unwrap_or(900);
    let tenant = house.tenant().unwrap_or(TenantId::from(Uuid::nil()));
    let claims = RunClaims {
        iss: claims::issuer(house.settings(), tenant),
        aud: audience(run.workspace),
        run: run.run.clone(),
        workspace: run.workspace,
        scope: run.scope.clone(),
        on_behalf_of: run.on_behalf_of,
        only: run.only.clone(),
        act: None,
        iat: now,
        exp: now.saturating_add(lifetime),
        jti: Uuid::new_v4(),
    };
    Ok((house.identity.state().keys.sign(TYPE, &claims)?, claims.exp))
}

/// Signs a token that is worth no more than the one it is exchanged for, and ends when that ends (epoch seconds).
pub(super) fn issue_narrowed(house: &House, held: RunClaims, only: Vec<String>) -> Result<(Secret<String>, i64)> {
    let act = Some(Act { sub: held.run.clone() });
    let claims = RunClaims { only, act, iat: house.now().seconds(), jti: Uuid::new_v4(), ..held };
    Ok((house.identity.state().keys.sign(TYPE, &claims)?, claims.exp))
}
