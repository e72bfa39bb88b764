//! What ends with a provider.

use kernel::Result;
use uuid::Uuid;

use super::records::FederatedUser;
use crate::{
    gate::{Admission, Changes},
    identity::{Membership, Session, directory::membership_id},
};

/// Ends the sessions that came from a provider, and with them the tokens that came from those: also where the browser went silent,
/// since an application may still refresh.
pub(super) async fn end_sessions(cx: &Admission<'_>, changes: &mut Changes, provider: Uuid) -> Result<()> {
    let mut ended: usize = 0;
    for mut row in cx.all::<Session>(cx.system(), b"").await? {
        if row.value.provider == Some(provider) && row.value.is_alive(cx.now()) {
            row.value.ended_at = Some(cx.now());
            changes.put(cx.system(), &row)?;
            ended = ended.saturating_add(1);
        }
    }
    cx.note("sessionsEnded", ended.to_string());
    Ok(())
}

/// Takes everybody out of the groups that they are in by the issuer's word alone.
pub(super) async fn take_groups_back(cx: &Admission<'_>, changes: &mut Changes, issuer: &str) -> Result<()> {
    let mut taken: usize = 0;
    for mut row in cx.all::<FederatedUser>(cx.system(), b"").await? {
        if row.value.issuer != issuer || row.value.groups.is_empty() {
            continue;
        }
        for group in std::mem::take(&mut row.value.groups) {
            let id = membership_id(group, row.value.principal);
            if let Some(found) = cx.get::<Membership>(cx.system(), &id).await? {
                changes.delete(cx.system(), &found);
                taken = taken.saturating_add(1);
            }
        }
        changes.put(cx.system(), &row)?;
    }
    cx.note("membershipsRemoved", taken.to_string());
    Ok(())
}
