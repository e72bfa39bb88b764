//! The end of a principal: what it leaves behind, and what must not be left.

use std::time::Duration;

use kernel::{Error, Kind, PrincipalId, Result};

use super::{MOST_PRINCIPALS, power};
use crate::{
    access,
    gate::{Admission, Changes, Row},
    identity::{Member, Membership, mfa, oauth, records::Tombstone},
};

/// Refuses a principal too many.
pub(crate) fn require_room(cx: &Admission<'_>) -> Result<()> {
    match cx.house().identity.state().members.len() < MOST_PRINCIPALS {
        true => Ok(()),
        false => {
            Err(Error::new(Kind::TooLarge, format!("the directory holds {MOST_PRINCIPALS} principals, and no more")))
        }
    }
}

/// The stored row of a principal.
pub(super) async fn member_row(cx: &Admission<'_>, id: PrincipalId) -> Result<Option<Row<Member>>> {
    cx.get::<Member>(cx.system(), id.as_bytes()).await
}

/// Ends everything that was issued in a principal's name, and what its application holds for people: tokens and sessions by
/// their time, refresh tokens one by one.
pub(in crate::identity) async fn cut_off(cx: &Admission<'_>, changes: &mut Changes, member: &mut Member) -> Result<()> {
    // Later than anything that began up to now.
    member.valid_from = cx.now().plus(Duration::from_millis(1));
    oauth::revoke_grants(cx, changes, member.id).await
}

/// Disables or enables a principal; says whether what was issued in its name is over. To say of a principal what it is already
/// takes no power over it. The caller holds `assigning`.
pub(super) async fn set_enabled(
    cx: &Admission<'_>,
    changes: &mut Changes,
    member: &mut Member,
    is_enabled: bool,
) -> Result<bool> {
    if is_enabled != member.is_disabled {
        return Ok(false);
    }
    power::require_another(cx, member.id, "disable or enable")?;
    match is_enabled {
        true => power::require_power_over(cx, member.id).await?,
        false => access::require_power_to_end(cx, member.id).await?,
    }
    if !is_enabled {
        access::require_other_holders(cx, &[member.id], changes).await?;
    }
    member.is_disabled = !is_enabled;
    cx.note("enabled", is_enabled.to_string());
    Ok(!is_enabled)
}

/// Removes a principal with its roles, its memberships and whatever was issued to it, and leaves its tombstone. The caller
/// holds `assigning`.
pub(super) async fn remove(cx: &Admission<'_>, changes: &mut Changes, row: &Row<Member>) -> Result<()> {
    let member = &row.value;
    power::require_another(cx, member.id, "delete")?;
    power::require_unmanaged(member)?;
    access::require_power_to_end(cx, member.id).await?;
    access::remove_of(cx, member.id, changes).await?;
    oauth::revoke_grants(cx, changes, member.id).await?;
    mfa::reset_second_factors(cx, changes, member.id).await?;
    cx.note("principal", member.id.to_string());
    cx.note("name", &member.name);
    bury(cx, changes, row).await
}

/// Ends the managed identities among these principals, all but their roles. Nobody's power is asked for: whoever may end the
/// resource may end its identity.
pub(crate) async fn end_managed_principals(
    cx: &Admission<'_>,
    changes: &mut Changes,
    ended: &[PrincipalId],
) -> Result<()> {
    for id in ended {
        if let Some(row) = member_row(cx, *id).await?.filter(|row| row.value.managed_by.is_some()) {
            bury(cx, changes, &row).await?;
        }
    }
    Ok(())
}

/// Removes a principal with its memberships, and leaves its tombstone.
async fn bury(cx: &Admission<'_>, changes: &mut Changes, row: &Row<Member>) -> Result<()> {
    let (system, member) = (cx.system(), &row.value);
    let above = cx.house().access().groups_of(member.id).to_vec();
    for group in above {
        if let Some(found) = cx.get::<Membership>(system, &membership_id(group, member.id)).await? {
            changes.delete(system, &found);
        }
    }
    for found in cx.all::<Membership>(system, member.id.as_bytes()).await? {
        // A cycle's way back was removed above.
        if found.value.member != member.id {
            changes.delete(system, &found);
        }
    }
    let Member { id, kind, ref name, app, .. } = *member;
    let tombstone = Tombstone { id, kind, name: name.clone(), app, deleted_at: cx.now() };
    changes.put(system, &Row::new(id.as_bytes().as_slice(), tombstone))?;
    changes.delete(system, row);
    Ok(())
}

/// The row of a membership.
pub(in crate::identity) fn membership_id(group: PrincipalId, member: PrincipalId) -> Vec<u8> {
    [group.as_bytes().as_slice(), member.as_bytes().as_slice()].concat()
}
