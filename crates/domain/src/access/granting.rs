//! Nobody grants what they do not hold (invariant I3): owners and user access administrators aside, whoever hands out a role, or
//! gains the means to act as somebody who holds it, must be allowed all that it allows, at the same scope, and for as long: what
//! somebody may for a time gives nothing that lasts longer.

use kernel::{Action, Error, Kind, PrincipalId, ResourceId, Result};

use super::{
    GRANT_DIRECTORY, PutApprovalRule, PutDenyAssignment, PutRoleAssignment, RoleDefinition, lasting::Lasting,
    role::Rules,
};
use crate::gate::{Admission, Op};

/// Refuses unless the caller may hand out the role at the scope, for that long.
///
/// # Errors
/// `Denied`, naming the first action that the caller would give without holding it.
pub(super) async fn require_right_to_grant(
    cx: &Admission<'_>,
    role: &RoleDefinition,
    scope: &ResourceId,
    lasting: Lasting,
) -> Result<()> {
    if role.is_of_directory() {
        // A role of resources never reaches the directory, so holding one is no measure.
        cx.require(&GRANT_DIRECTORY, &ResourceId::root()).await?;
        return require_lasting(cx, &GRANT_DIRECTORY, &ResourceId::root(), lasting);
    }
    let actions = cx.house().access().allowed_by(&Rules::new(&role.permissions));
    require_all_of(cx, &actions, scope, lasting).await
}

/// Refuses unless the caller may do all of this at the scope, or may hand out anything there, for that long.
pub(crate) async fn require_all_of(
    cx: &Admission<'_>,
    actions: &[Action],
    scope: &ResourceId,
    lasting: Lasting,
) -> Result<()> {
    let Some(caller) = cx.caller().principal() else { return Ok(()) };
    let lacking = cx.house().access().lacks(caller.id, actions, scope, lasting);
    match lacking {
        Some(action) => {
            cx.require(&action, scope).await?;
            Err(too_short())
        }
        None => Ok(()),
    }
}

/// Refuses a caller who may do this now, but not for as long as what comes of it would last.
///
/// # Errors
/// `Denied`.
pub(crate) fn require_lasting(cx: &Admission<'_>, action: &Action, scope: &ResourceId, lasting: Lasting) -> Result<()> {
    let Some(caller) = cx.caller().principal() else { return Ok(()) };
    match cx.house().access().allows_lasting(caller.id, action, scope, lasting) {
        true => Ok(()),
        false => Err(too_short()),
    }
}

fn too_short() -> Error {
    let why = "your right to give this ends by itself, and what you give must end before it does: give it for a shorter time, or \
               ask somebody who may for good";
    Error::new(Kind::Denied, why)
}

/// Refuses unless the caller could grant everything that the principal holds, by itself and through groups, and lift what is
/// denied to others and not to it: to be asked by whatever lets somebody act as that principal, or takes it its rights. What is
/// not asked this is handing a managed identity to a target: that is what identities are for, and takes a right of its own.
///
/// # Errors
/// `Denied`.
pub(crate) async fn require_power_over(cx: &Admission<'_>, principal: PrincipalId) -> Result<()> {
    require_power(cx, principal, Lasting::ForGood).await
}

/// Refuses as `require_power_over` does, but whoever has that power for a time alone may: for what ends a principal, and gives
/// nobody anything.
///
/// # Errors
/// `Denied`.
pub(crate) async fn require_power_to_end(cx: &Admission<'_>, principal: PrincipalId) -> Result<()> {
    require_power(cx, principal, Lasting::Now).await
}

async fn require_power(cx: &Admission<'_>, principal: PrincipalId, lasting: Lasting) -> Result<()> {
    for (role, scope) in powers_of(cx, principal) {
        if !role.is_of_directory() {
            cx.require(&PutRoleAssignment::ACTION, &scope).await?;
            require_lasting(cx, &PutRoleAssignment::ACTION, &scope, lasting)?;
        }
        require_right_to_grant(cx, &role, &scope, lasting).await?;
    }
    let selves = cx.house().access().selves(principal);
    require_power_over_rules(cx, &selves, lasting).await?;
    require_power_over_denials(cx, &selves).await
}

/// Refuses whoever may not write the rules of approvals that name one of these: who is an approver, or needs no approval, is what
/// such a rule says.
async fn require_power_over_rules(cx: &Admission<'_>, ids: &[PrincipalId], lasting: Lasting) -> Result<()> {
    let access = cx.house().access();
    let scopes: Vec<ResourceId> = access.rules_naming(ids).into_iter().map(|(_, rule)| rule.scope.clone()).collect();
    drop(access);
    for scope in scopes {
        cx.require(&PutApprovalRule::ACTION, &scope).await?;
        require_lasting(cx, &PutApprovalRule::ACTION, &scope, lasting)?;
    }
    let terms = cx.house().access().terms_naming(ids);
    for scope in terms {
        cx.require(&PutRoleAssignment::ACTION, &scope).await?;
        require_lasting(cx, &PutRoleAssignment::ACTION, &scope, lasting)?;
    }
    Ok(())
}

/// Refuses whoever may not write the denials that name one of these: who belongs to a group decides whom a denial is for.
async fn require_power_over_denials(cx: &Admission<'_>, ids: &[PrincipalId]) -> Result<()> {
    let scopes: Vec<ResourceId> = cx.house().access().denials_naming(ids).map(|denial| denial.scope.clone()).collect();
    for scope in scopes {
        cx.require(&PutDenyAssignment::ACTION, &scope).await?;
    }
    Ok(())
}

/// Each role that the principal holds, will hold or can activate, with where it does.
fn powers_of(cx: &Admission<'_>, principal: PrincipalId) -> Vec<(RoleDefinition, ResourceId)> {
    let access = cx.house().access();
    let held = access.grants_of(principal).into_iter();
    let mut powers: Vec<_> = held
        .filter_map(|(scope, grant)| Some((grant.role.definition.clone(), scope.parse::<ResourceId>().ok()?)))
        .collect();
    let eligible = access.eligibilities_of(principal).into_iter().map(|(_, held)| (held.role, held.scope.clone()));
    let coming = access.coming_to(principal).into_iter().map(|held| (held.role, held.scope.clone()));
    powers.extend(eligible.chain(coming).filter_map(|(role, scope)| Some((access.role(role)?.clone(), scope))));
    powers.sort_by(|a, b| (a.0.id, &a.1).cmp(&(b.0.id, &b.1)));
    powers.dedup_by(|a, b| a.0.id == b.0.id && a.1 == b.1);
    powers
}
