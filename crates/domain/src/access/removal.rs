//! Assignments that end because their scope or their principal goes away, and what must not go with them: the last holder of a
//! role that somebody must hold.

use std::collections::BTreeSet;

use kernel::{Error, Kind, PrincipalId, ResourceId, Result};
use uuid::Uuid;

use super::{
    APPLICATION_ADMINISTRATOR, DenyAssignment, OWNER, RoleAssignment,
    approvals::{remove_rules_within, require_not_named},
    assignments::Epoch,
    elevation::{remove_eligibilities, remove_eligibilities_of},
};
use crate::{
    gate::{Admission, Changes, Row},
    governance::remove_assignments_within,
    identity::can_come_in,
};

/// Takes back every assignment, and lifts every denial, at or below scopes that are going away, none within another, and those of
/// principals that are: a later resource of the same name inherits nothing (I8).
pub(crate) async fn remove_within(
    cx: &Admission<'_>,
    scopes: &[ResourceId],
    principals: &[PrincipalId],
    changes: &mut Changes,
) -> Result<()> {
    let is_within = |scope: &ResourceId| scopes.iter().any(|gone| scope.is_within(gone));
    for row in cx.all::<DenyAssignment>(cx.system(), b"").await? {
        if is_within(&row.value.scope) {
            changes.delete(cx.system(), &row);
        }
    }
    for scope in scopes {
        remove_rules_within(cx, scope, changes).await?;
        remove_assignments_within(cx, scope, changes).await?;
    }
    remove_eligibilities(cx, changes, |held| is_within(&held.scope) || principals.contains(&held.principal)).await?;
    take_back(cx, changes, |held| is_within(&held.scope) || principals.contains(&held.principal)).await
}

/// Takes back every assignment of principals that are going away, who could not sign in by themselves: nobody counted on them
/// as owners.
pub(crate) async fn remove_of_managed(
    cx: &Admission<'_>,
    principals: &[PrincipalId],
    changes: &mut Changes,
) -> Result<()> {
    for principal in principals {
        remove_eligibilities_of(cx, changes, *principal).await?;
    }
    take_back(cx, changes, |held| principals.contains(&held.principal)).await
}

/// The same, but for one role at one scope, which stays.
pub(crate) async fn remove_of_managed_but(
    cx: &Admission<'_>,
    principals: &[PrincipalId],
    (role, scope): (Uuid, &ResourceId),
    changes: &mut Changes,
) -> Result<()> {
    for principal in principals {
        remove_eligibilities_of(cx, changes, *principal).await?;
    }
    let stays = |held: &RoleAssignment| held.role == role && held.scope == *scope;
    take_back(cx, changes, |held| principals.contains(&held.principal) && !stays(held)).await
}

async fn take_back(
    cx: &Admission<'_>,
    changes: &mut Changes,
    goes: impl Fn(&RoleAssignment) -> bool + Send,
) -> Result<()> {
    let epoch = Epoch::read(cx).await?;
    for row in cx.all::<RoleAssignment>(cx.system(), b"").await? {
        if goes(&row.value) {
            changes.delete(cx.system(), &row);
        }
    }
    changes.put(cx.system(), &epoch)?;
    Ok(())
}

/// Takes back every assignment of a principal that is going away.
///
/// # Errors
/// `Conflict` when a scope it owns would be left without an owner who can sign in. The caller holds `assigning`.
pub(crate) async fn remove_of(cx: &Admission<'_>, principal: PrincipalId, changes: &mut Changes) -> Result<()> {
    require_not_named(cx, principal)?;
    let epoch = Epoch::read(cx).await?;
    let all = cx.all::<RoleAssignment>(cx.system(), b"").await?;
    require_holders(cx, &all, |row| row.value.principal == principal).await?;
    for row in all.iter().filter(|row| row.value.principal == principal) {
        changes.delete(cx.system(), row);
    }
    remove_eligibilities_of(cx, changes, principal).await?;
    changes.put(cx.system(), &epoch)?;
    Ok(())
}

/// Refuses when a scope that these principals own has no other owner who can sign in: to be asked before they are shut out.
///
/// # Errors
/// As `remove_of`.
pub(crate) async fn require_other_holders(
    cx: &Admission<'_>,
    principals: &[PrincipalId],
    changes: &mut Changes,
) -> Result<()> {
    let epoch = Epoch::read(cx).await?;
    let all = cx.all::<RoleAssignment>(cx.system(), b"").await?;
    require_holders(cx, &all, |row| principals.contains(&row.value.principal)).await?;
    changes.put(cx.system(), &epoch)?;
    Ok(())
}

/// Roles that somebody must hold, since nobody else could give them back.
const KEPT: [(Uuid, &str); 2] = [(OWNER, "owner of a scope"), (APPLICATION_ADMINISTRATOR, "directory administrator")];

/// Who holds, by itself, a role that somebody must hold.
pub(crate) async fn holders_of_kept(cx: &Admission<'_>) -> Result<BTreeSet<PrincipalId>> {
    let all = cx.all::<RoleAssignment>(cx.system(), b"").await?;
    let is_kept =
        |row: &Row<RoleAssignment>| row.value.bounds.is_none() && KEPT.iter().any(|(role, _)| *role == row.value.role);
    Ok(all.into_iter().filter(is_kept).map(|row| row.value.principal).collect())
}

/// Refuses when, without the assignments that are going, a scope had no holder of a role that must be held. A group does not
/// count as a holder: who is in it can change without anybody looking here. Nor does what ends by itself.
pub(super) async fn require_holders(
    cx: &Admission<'_>,
    all: &[Row<RoleAssignment>],
    is_going: impl Fn(&Row<RoleAssignment>) -> bool + Send,
) -> Result<()> {
    let lasting = all.iter().filter(|row| row.value.bounds.is_none());
    let (going, staying): (Vec<_>, Vec<_>) = lasting.partition(|row| is_going(row));
    for row in going {
        let Some((role, noun)) = KEPT.into_iter().find(|(role, _)| *role == row.value.role) else { continue };
        let mut remains = false;
        for other in &staying {
            let is_holder = other.value.role == role && row.value.scope.is_within(&other.value.scope);
            if is_holder && can_come_in(cx, other.value.principal).await? {
                remains = true;
                break;
            }
        }
        if !remains {
            let why = format!("the last {noun} cannot be removed; assign the role to somebody else first");
            return Err(Error::new(Kind::Conflict, why));
        }
    }
    Ok(())
}
