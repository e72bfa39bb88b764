//! Nobody grants what they do not hold (invariant I3): owners and user access administrators aside, whoever hands out a role, or
//! gains the means to act as somebody who holds it, must be allowed all that it allows, at the same scope.

use kernel::{PrincipalId, ResourceId, Result};

use super::{GRANT_DIRECTORY, PutRoleAssignment, RoleDefinition, role::Rules};
use crate::gate::{Cx, Op};

/// Refuses unless the caller may hand out the role at the scope.
///
/// # Errors
/// `Denied`, naming the first action that the caller would give without holding it.
pub(super) async fn require_right_to_grant<O: Op>(
    cx: &Cx<'_, O>,
    role: &RoleDefinition,
    scope: &ResourceId,
) -> Result<()> {
    if role.is_of_directory() {
        // A role of resources never reaches the directory, so holding one is no measure.
        return cx.require(&GRANT_DIRECTORY, &ResourceId::root()).await;
    }
    require_all_of(cx, &Rules::new(&role.permissions), scope).await
}

/// Refuses unless the caller may do all that these rules allow, or may grant anything there.
pub(super) async fn require_all_of<O: Op>(cx: &Cx<'_, O>, rules: &Rules, scope: &ResourceId) -> Result<()> {
    let Some(caller) = cx.caller().principal() else { return Ok(()) };
    let lacking = cx.house().access().lacks(caller.id, rules, scope);
    match lacking {
        Some(action) => cx.require(&action, scope).await,
        None => Ok(()),
    }
}

/// Refuses unless the caller could grant everything that the principal holds, by itself and through groups: to be asked by
/// whatever lets somebody act as that principal, or takes it its rights.
///
/// # Errors
/// `Denied`.
pub(crate) async fn require_power_over<O: Op>(cx: &Cx<'_, O>, principal: PrincipalId) -> Result<()> {
    for (role, scope) in powers_of(cx, principal) {
        if !role.is_of_directory() {
            cx.require(&PutRoleAssignment::ACTION, &scope).await?;
        }
        require_right_to_grant(cx, &role, &scope).await?;
    }
    Ok(())
}

/// Each role that the principal holds, with where it does.
fn powers_of<O: Op>(cx: &Cx<'_, O>, principal: PrincipalId) -> Vec<(RoleDefinition, ResourceId)> {
    let access = cx.house().access();
    let held = access.grants_of(principal);
    let mut powers: Vec<_> = held
        .filter_map(|(scope, grant)| Some((grant.role.definition.clone(), scope.parse::<ResourceId>().ok()?)))
        .collect();
    powers.sort_by(|a, b| (a.0.id, &a.1).cmp(&(b.0.id, &b.1)));
    powers.dedup_by(|a, b| a.0.id == b.0.id && a.1 == b.1);
    powers
}
