//! The roles of identities that the server itself gives them: those of a workspace's own (requirement A-39), and of what supports
//! its place.

use kernel::{PrincipalId, PrincipalKind, ResourceId, Result};
use uuid::Uuid;

use super::{RoleAssignment, assignments::Epoch};
use crate::gate::{Admission, Changes, Row};

/// Gives principals that nobody can sign in as the roles at these scopes that they lack. The caller holds `assigning`.
pub(crate) async fn grant_managed(
    cx: &Admission<'_>,
    grants: &[(PrincipalId, Uuid, ResourceId)],
    changes: &mut Changes,
) -> Result<()> {
    let epoch = Epoch::read(cx).await?;
    let all = cx.all::<RoleAssignment>(cx.system(), b"").await?;
    let is_held = |principal: PrincipalId, role: Uuid, scope: &ResourceId| {
        all.iter().any(|row| {
            row.value.bounds.is_none()
                && row.value.principal == principal
                && row.value.role == role
                && row.value.scope == *scope
        })
    };
    let mut given = Vec::new();
    for (principal, role, scope) in grants {
        if is_held(*principal, *role, scope) || given.contains(&(principal, role, scope)) {
            continue;
        }
        given.push((principal, role, scope));
        give(cx, *principal, *role, scope, changes)?;
    }
    if !given.is_empty() {
        cx.note("grants", given.len().to_string());
        changes.put(cx.system(), &epoch)?;
    }
    Ok(())
}

fn give(
    cx: &Admission<'_>,
    principal: PrincipalId,
    role: Uuid,
    scope: &ResourceId,
    changes: &mut Changes,
) -> Result<()> {
    let assignment = RoleAssignment {
        scope: scope.clone(),
        role,
        principal,
        kind: PrincipalKind::ServicePrincipal,
        created_by: cx.caller().principal().map_or(principal, |caller| caller.id),
        created_at: cx.now(),
        bounds: None,
    };
    changes.put(cx.system(), &Row::new(Uuid::new_v4().as_bytes().as_slice(), assignment)).map(drop)
}

/// Gives such a principal a role at one scope, if any, and takes it back at the one where it was held before. The caller holds
/// `assigning`.
pub(crate) async fn move_managed_grant(
    cx: &Admission<'_>,
    principal: PrincipalId,
    role: Uuid,
    (from, to): (Option<&ResourceId>, Option<&ResourceId>),
    changes: &mut Changes,
) -> Result<()> {
    let epoch = Epoch::read(cx).await?;
    let mut is_held = false;
    for row in cx.all::<RoleAssignment>(cx.system(), b"").await? {
        let held = &row.value;
        if held.principal != principal || held.role != role || held.bounds.is_some() {
            continue;
        }
        if Some(&held.scope) == to {
            is_held = true;
        } else if Some(&held.scope) == from {
            changes.delete(cx.system(), &row);
        }
    }
    if let Some(to) = to.filter(|_| !is_held) {
        give(cx, principal, role, to, changes)?;
    }
    changes.put(cx.system(), &epoch).map(drop)
}
