//! The support application: one per subscription and place of workspaces, a contributor of the subscription (requirement A-42).
//! It has no credential and no resource that could hand it out, so nobody signs in as it.

use kernel::{AppId, PrincipalId, PrincipalKind, ResourceId, Result, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    gate::{Admission, Changes, Record, Row},
    identity::{Member, require_room},
};

/// Which application supports a place. On the system's shelf.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct SupportApp {
    subscription: ResourceId,
    location: String,
    principal: PrincipalId,
}

impl Record for SupportApp {
    const TABLE: &'static str = "support-app";
}

/// Makes the application of a place with `changes`, unless there is one. Gives the new principal, which has no role yet.
pub(super) async fn ensure(
    cx: &Admission<'_>,
    subscription: &ResourceId,
    location: &str,
    changes: &mut Changes,
) -> Result<Option<PrincipalId>> {
    let (system, location) = (cx.system(), location.to_ascii_lowercase());
    let id = system.name_id::<SupportApp>(&format!("{}|{location}", subscription.folded()));
    if cx.get::<SupportApp>(system, &id).await?.is_some() {
        return Ok(None);
    }
    require_room(cx)?;
    let principal = PrincipalId::random();
    let member = Member {
        id: principal,
        kind: PrincipalKind::ServicePrincipal,
        name: format!("Microsoft-AzureML-Support-App-{}", Uuid::new_v4()),
        app: Some(AppId::random()),
        is_disabled: false,
        created_at: cx.now(),
        valid_from: Timestamp(0),
        managed_by: Some(subscription.clone()),
    };
    changes.put(system, &Row::new(principal.as_bytes().as_slice(), member))?;
    changes.put(system, &Row::new(id, SupportApp { subscription: subscription.clone(), location, principal }))?;
    cx.note("supportApp", principal.to_string());
    Ok(Some(principal))
}
