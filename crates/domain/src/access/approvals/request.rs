//! Requests for approval: for exactly one operation of one caller.

use kernel::{Error, Kind, PrincipalId, ResourceId, Result, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::demand::{Demand, counted, is_met};
use crate::gate::{Admission, Changes, Guarded, Places, Record, Row, requester};

/// Requests that one caller has open at most.
const MOST_OPEN: usize = 50;
/// Requests that are kept, those that are over among them.
const MOST_KEPT: usize = 5000;
/// The same, of one caller.
const MOST_KEPT_OF_ONE: usize = 200;
/// The longest operation that can be approved, in bytes of its JSON: people are to read it.
const LONGEST_BODY: usize = 256 << 10;

/// What somebody said to a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Who.
    pub by: PrincipalId,
    /// Their name then.
    pub name: String,
    /// When.
    pub at: Timestamp,
    /// Yes, or no.
    pub approves: bool,
    /// Why.
    #[serde(default)]
    pub comment: String,
}

/// A request.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ApprovalRequest {
    /// Its name.
    pub name: Uuid,
    /// The operation's action.
    pub action: String,
    /// The operation's scope.
    pub scope: ResourceId,
    /// Who asked, and alone can use it.
    pub requester: PrincipalId,
    /// Their name then.
    pub requester_name: String,
    /// A keyed hash of action, scope and all that is asked.
    pub digest: String,
    /// All that is asked, but secrets.
    pub body: Value,
    /// What is guarded about it.
    pub places: Places,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it counts no more.
    pub expires_at: Timestamp,
    /// What was said to it.
    #[serde(default)]
    pub decisions: Vec<Decision>,
    /// When the operation ran.
    #[serde(default)]
    pub used_at: Option<Timestamp>,
}

impl Record for ApprovalRequest {
    const TABLE: &'static str = "approval-request";
}

/// Where a request stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApprovalState {
    /// It can be approved, and used when enough have.
    Open,
    /// Somebody said no.
    Denied,
    /// Its time is over.
    Expired,
    /// The operation ran.
    Used,
}

impl ApprovalRequest {
    /// Where it stands now. That enough have approved is asked of the rules, not of the request.
    pub fn state(&self, now: Timestamp) -> ApprovalState {
        let is_denied = self.decisions.iter().any(|decision| !decision.approves);
        match (self.used_at, is_denied, self.expires_at <= now) {
            (Some(_), _, _) => ApprovalState::Used,
            (None, true, _) => ApprovalState::Denied,
            (None, false, true) => ApprovalState::Expired,
            (None, false, false) => ApprovalState::Open,
        }
    }

    /// Where it is read and decided: the workspace, resource group or subscription that the operation is about or lies in, else the
    /// root.
    pub fn home(&self) -> ResourceId {
        let subscription = || self.scope.subscription_id().map(ResourceId::subscription);
        let around = self.scope.workspace().or_else(|| self.scope.resource_group()).or_else(subscription);
        around.unwrap_or_else(ResourceId::root)
    }

    /// Its id as a resource.
    pub fn id(&self) -> String {
        let home = self.home();
        let base = if home.is_root() { "" } else { home.as_str() };
        format!("{base}/providers/Microsoft.Authorization/approvalRequests/{}", self.name)
    }
}

/// The approved request for an operation; none when nothing demands one.
///
/// # Errors
/// `Conflict` (`ApprovalRequired`, `ApprovalExpired`) with the request that was made or is open, `Denied` (`ApprovalDenied`).
pub(crate) async fn approved_request(cx: &Admission<'_>, guarded: Guarded) -> Result<Option<Row<ApprovalRequest>>> {
    // The rules are asked before anybody is asked who they are: where there are none, nothing changes for runs.
    let house = cx.house();
    let asker = cx.caller().principal().map_or(PrincipalId::from(Uuid::nil()), |principal| principal.id);
    let (demands, bypassed) = house.access().demands(asker, &guarded.places);
    if !bypassed.is_empty() {
        cx.note("approvalBypassed", bypassed.iter().map(Uuid::to_string).collect::<Vec<_>>().join(" "));
    }
    if demands.is_empty() {
        return Ok(None);
    }
    let requester = requester(cx.caller())?;
    let digest = digest(cx, &guarded)?;
    // One at a time, so that of two who ask the same at once, the second finds the request of the first.
    let _turn = house.asking.lock().await;
    let all = cx.all::<ApprovalRequest>(cx.system(), b"").await?;
    let is_same = |row: &Row<ApprovalRequest>| {
        row.value.requester == requester && row.value.digest == digest && row.value.used_at.is_none()
    };
    let newest = all.iter().filter(|row| is_same(row)).max_by_key(|row| (row.value.created_at, row.value.name));
    let Some(row) = newest.cloned() else {
        return Err(ask(cx, requester, &demands, guarded, digest, &all, None).await);
    };
    let is_past = row.value.expires_at <= cx.now();
    match row.value.state(cx.now()) {
        ApprovalState::Denied if !is_past => {
            cx.note("approvalRequest", row.value.name.to_string());
            let why = format!(
                "approval request `{}` was denied; it can be asked again after {}",
                row.value.name,
                row.value.expires_at.rfc3339()
            );
            Err(Error::new(Kind::Denied, why).coded("ApprovalDenied").about(row.value.id()))
        }
        ApprovalState::Open if demands.iter().all(|demand| is_met(house, demand, &row.value)) => {
            note_people(cx, &row.value);
            Ok(Some(row))
        }
        ApprovalState::Open => {
            cx.note("approvalRequest", row.value.name.to_string());
            Err(pending(&row.value, progress(cx, &demands, &row.value)))
        }
        ApprovalState::Denied | ApprovalState::Expired | ApprovalState::Used => {
            Err(ask(cx, requester, &demands, guarded, digest, &all, Some(&row.value)).await)
        }
    }
}

/// A keyed hash of what is asked: objects of `serde_json` are sorted by their names, so the same is written the same.
fn digest(cx: &Admission<'_>, guarded: &Guarded) -> Result<String> {
    let text =
        json!([cx.action().name(), cx.scope().folded(), guarded.body, guarded.secret.as_ref().map(|s| s.expose())]);
    let text = serde_json::to_string(&text).map_err(Error::internal)?;
    Ok(cx.system().fingerprint("approval", &text).to_text())
}

/// Makes a request, and gives what is answered.
async fn ask(
    cx: &Admission<'_>,
    requester: PrincipalId,
    demands: &[Demand],
    guarded: Guarded,
    digest: String,
    all: &[Row<ApprovalRequest>],
    before: Option<&ApprovalRequest>,
) -> Error {
    let now = cx.now();
    let is_open = |row: &Row<ApprovalRequest>| row.value.state(now) == ApprovalState::Open;
    if all.iter().filter(|row| row.value.requester == requester && is_open(row)).count() >= MOST_OPEN {
        let why = format!("{MOST_OPEN} of your requests wait for approval, and no more can; have those decided first");
        return Error::new(Kind::Throttled, why);
    }
    let dropped = match to_drop(all, requester, now) {
        Ok(dropped) => dropped,
        Err(fault) => return fault,
    };
    if guarded.body.to_string().len() > LONGEST_BODY {
        return Error::new(Kind::TooLarge, format!("what takes approval has at most {LONGEST_BODY} bytes"));
    }
    let lifetime = demands.iter().map(|demand| demand.lifetime_ms).min().unwrap_or_default();
    let name = Uuid::new_v4();
    let request = ApprovalRequest {
        name,
        action: cx.action().name().to_owned(),
        scope: cx.scope().clone(),
        requester,
        requester_name: cx.caller().principal().map(|principal| principal.name.clone()).unwrap_or_default(),
        digest,
        body: guarded.body,
        places: guarded.places,
        created_at: now,
        expires_at: now.plus(std::time::Duration::from_millis(lifetime)),
        decisions: Vec::new(),
        used_at: None,
    };
    cx.note("approvalRequest", name.to_string());
    cx.note("digest", &request.digest);
    let row = Row::new(name.as_bytes().as_slice(), request);
    if let Err(fault) = cx.ask_for_approval(&row, dropped).await {
        return fault;
    }
    match before.filter(|before| before.state(now) == ApprovalState::Expired) {
        Some(before) => {
            let why = format!("approval request `{}` has expired; request `{name}` was made in its place", before.name);
            Error::new(Kind::Conflict, why).coded("ApprovalExpired").about(row.value.id())
        }
        None => pending(&row.value, progress(cx, demands, &row.value)),
    }
}

/// The request that makes room for another one: the oldest that is over, of whoever has many, or of all. The log keeps what became
/// of it.
fn to_drop(
    all: &[Row<ApprovalRequest>],
    requester: PrincipalId,
    now: Timestamp,
) -> std::result::Result<Option<&Row<ApprovalRequest>>, Error> {
    let is_own = |row: &&Row<ApprovalRequest>| row.value.requester == requester;
    let is_over = |row: &&Row<ApprovalRequest>| row.value.state(now) != ApprovalState::Open;
    let by_age = |row: &&Row<ApprovalRequest>| row.value.created_at;
    if all.iter().filter(is_own).count() >= MOST_KEPT_OF_ONE {
        return Ok(all.iter().filter(is_own).filter(is_over).min_by_key(by_age));
    }
    if all.len() < MOST_KEPT {
        return Ok(None);
    }
    all.iter().filter(is_over).min_by_key(by_age).map(Some).ok_or_else(|| {
        Error::new(
            Kind::Throttled,
            format!("{MOST_KEPT} requests wait for approval, and no more can; have some decided"),
        )
    })
}

/// Removes, with a workspace that is purged, the requests about what lay in it: they say what that was.
pub(crate) async fn forget_requests_within(
    cx: &Admission<'_>,
    workspace: &ResourceId,
    changes: &mut Changes,
) -> Result<()> {
    for row in cx.all::<ApprovalRequest>(cx.system(), b"").await? {
        // Not those about the workspace itself: one of them may be what lets it be purged.
        if row.value.scope.is_within(workspace) && row.value.scope != *workspace {
            changes.delete(cx.system(), &row);
        }
    }
    Ok(())
}

/// How many approvals are there, of how many, for the demand that lacks most.
fn progress(cx: &Admission<'_>, demands: &[Demand], request: &ApprovalRequest) -> (usize, usize) {
    let each = demands.iter().map(|demand| (counted(cx.house(), demand, request).len(), usize::from(demand.approvals)));
    each.max_by_key(|(there, wanted)| wanted.saturating_sub(*there)).unwrap_or_default()
}

fn pending(request: &ApprovalRequest, (there, wanted): (usize, usize)) -> Error {
    let name = request.name;
    let why = format!(
        "this takes approval, and has {there} of {wanted}: have request `{name}` approved (`bartizan approval approve {name} \
         --scope {}`) before {}, then send exactly the same again",
        request.home(),
        request.expires_at.rfc3339()
    );
    Error::new(Kind::Conflict, why).coded("ApprovalRequired").about(request.id())
}

/// Names everybody in the record of the operation that uses the request.
fn note_people(cx: &Admission<'_>, request: &ApprovalRequest) {
    let approved = request.decisions.iter().filter(|decision| decision.approves);
    let names: Vec<String> = approved.map(|decision| format!("{} ({})", decision.name, decision.by)).collect();
    cx.note("approvalRequest", request.name.to_string());
    cx.note("approvedBy", names.join(", "));
    cx.note("requestedBy", format!("{} ({})", request.requester_name, request.requester));
    cx.note("digest", &request.digest);
}
