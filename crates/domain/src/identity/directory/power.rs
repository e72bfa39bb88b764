//! The walls around writing the directory: it is no way to more rights, and no way to shut oneself or everybody out.

use kernel::{Error, Kind, PrincipalId, ResourceId, Result};

pub(in crate::identity) use crate::access::require_power_over;
use crate::{
    access::require_other_holders,
    gate::{Admission, Changes, Op},
    identity::{Application, CreateSignInPolicy, Member, SignInPolicy, can_come_in},
};

/// Refuses whoever may not decide who belongs to a group. Beside its roles, a group stands for what sign-in policies say of it: one
/// that is exempt lifts what they demand, and so does leaving one that is not.
pub(super) async fn require_power_over_group(cx: &Admission<'_>, group: PrincipalId) -> Result<()> {
    require_power_over(cx, group).await?;
    let above = cx.house().access().above(group);
    let state = cx.house().identity.state();
    let is_about = |policy: &SignInPolicy, id: &PrincipalId| {
        policy.terms.principals.contains(id) || policy.terms.except.contains(id)
    };
    let is_named = |id: &PrincipalId| state.policies.iter().any(|policy| is_about(policy, id));
    if is_named(&group) || above.iter().any(is_named) {
        cx.require(&CreateSignInPolicy::ACTION, &ResourceId::root()).await?;
    }
    Ok(())
}

/// Refuses when this is the caller: who shuts out themselves cannot take it back.
pub(in crate::identity) fn require_another(cx: &Admission<'_>, principal: PrincipalId, what: &str) -> Result<()> {
    match cx.caller().principal() {
        Some(caller) if caller.id == principal => {
            Err(Error::new(Kind::Conflict, format!("nobody can {what} themselves; another administrator can")))
        }
        _ => Ok(()),
    }
}

/// Refuses to take from an application what it comes in by, when it is the last owner of a scope: to be asked with what it is to
/// be, before that is committed. The caller holds `assigning`.
pub(super) async fn require_way_in(cx: &Admission<'_>, changes: &mut Changes, application: &Application) -> Result<()> {
    let principal = application.principal;
    if application.can_prove_itself(cx.now()) || !can_come_in(cx, principal).await? {
        return Ok(());
    }
    require_other_holders(cx, &[principal], changes).await
}

/// Refuses for a managed identity: it has no credential of its own, and lives as long as its resource.
pub(super) fn require_unmanaged(member: &Member) -> Result<()> {
    match &member.managed_by {
        Some(resource) => {
            let why = format!(
                "`{}` is the managed identity of `{resource}`: it has no credential, and ends with that resource",
                member.name
            );
            Err(Error::new(Kind::Conflict, why))
        }
        None => Ok(()),
    }
}
