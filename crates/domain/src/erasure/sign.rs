//! Signing what was erased, once its record has a number.

use async_trait::async_trait;
use kernel::{Action, Caller, Class, Error, Link, ResourceId, Result, TenantId};
use uuid::Uuid;

use super::{
    certificate::{FORMAT, origin},
    record::{DETAIL, StoredErasure},
};
use crate::{
    audit::signing_key,
    gate::{Admission, Changes, Cx, House, Op, Outcome, Row, enter},
};

/// Records that are looked at in one go.
const PAGE: usize = 500;

/// Number and link of the record that says it.
async fn position(house: &House, stored: &StoredErasure) -> Result<(u64, Link)> {
    let id = stored.erasure.id.to_string();
    let mut next = stored.after.saturating_add(1);
    loop {
        let rows = house.log_page(next, PAGE).await?;
        for row in &rows {
            next = row.seq.saturating_add(1);
            let activity = house.open_record(row)?;
            if activity.outcome == Outcome::Succeeded && activity.detail.get(DETAIL) == Some(&id) {
                return Ok((row.seq, row.link));
            }
        }
        if rows.is_empty() {
            return Err(Error::internal("the record of an erasure is not in the log"));
        }
    }
}

/// The signed text: as it was kept, or made now; of one erasure it is always the same.
pub(super) async fn signed(cx: &Admission<'_>, stored: &StoredErasure) -> Result<String> {
    if let Some(text) = &stored.signed {
        return Ok(text.clone());
    }
    let (number, link) = position(cx.house(), stored).await?;
    let tenant = cx.house().tenant().unwrap_or(TenantId::from(Uuid::nil()));
    let told = serde_json::to_string(&stored.erasure).map_err(Error::internal)?;
    let key = signing_key(cx).await?;
    Ok(key.sign_with(&origin(tenant), number, &link, &stored.erasure.erased_at, &[FORMAT, &told]).text)
}

/// Signs what was erased and not signed yet. A signature says what the log says already, so it leaves no record.
struct SignErasures;

#[async_trait]
impl Op for SignErasures {
    const ACTION: Action = Action::new("Microsoft.MachineLearningServices/erasedWorkspaces/sign/action", Class::Open);
    type Output = ();

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        for row in cx.all::<StoredErasure>(cx.system(), b"").await? {
            let guid = row.value.erasure.workspace_guid;
            // One that cannot be signed keeps no other from it.
            if row.value.signed.is_none()
                && let Err(fault) = sign(cx, row).await
            {
                tracing::warn!(%guid, ?fault, "a certificate of erasure could not be signed; it is tried again");
            }
        }
        Ok(())
    }
}

async fn sign(cx: &Admission<'_>, mut row: Row<StoredErasure>) -> Result<()> {
    row.value.signed = Some(signed(cx, &row.value).await?);
    let mut changes = Changes::new();
    changes.put(cx.system(), &row)?;
    cx.keep(changes).await
}

/// Signs the certificates of what was erased. Called by the server's own work; until then they are signed as they are asked for.
///
/// # Errors
/// When they cannot be read. One that cannot be signed or kept is logged; the next look tries again.
pub async fn sign_erasures(house: &House) -> Result<()> {
    enter(house, &Caller::house(), SignErasures).await
}
