//! Opening a workspace without its customer's key: one custodian asks, another approves, both with their shares, and it ends by itself.

use std::time::Duration;

use async_trait::async_trait;
use kernel::{Action, Caller, Class, Error, Kind, PrincipalKind, ResourceId, Result, Secret};
use uuid::Uuid;

use super::{
    CustomerKey, HOLDER_AWAY, KEY_UNAVAILABLE,
    break_glass::{held_workspace, named, prepared, require_word},
    change::usable,
    glass::{AskedOpening, Opening, Party},
    recovery::Recovery,
};
use crate::{
    gate::{Admission, Changes, Cx, House, Op, enter},
    identity::require_mfa,
};

/// How long a request waits for another custodian.
const WAITS: Duration = Duration::from_secs(15 * 60);
/// Characters of the longest reason.
const LONGEST_REASON: usize = 256;
/// Opening: a right of its own, beside being a custodian.
const OPEN: Action = Action::new("Microsoft.MachineLearningServices/workspaces/breakGlass/open/action", Class::Control);

/// Asks to open a workspace, with one's own share. Nothing is open by that.
#[derive(Debug)]
pub struct AskOpening {
    /// The workspace.
    pub workspace: ResourceId,
    /// The asker's share, unwrapped.
    pub share: Secret<Vec<u8>>,
    /// For how long, in minutes.
    pub minutes: u32,
    /// Why; the record says it.
    pub reason: String,
}

#[async_trait]
impl Op for AskOpening {
    const ACTION: Action = OPEN;
    type Output = AskedOpening;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<AskedOpening> {
        let (of, key) = held_workspace(cx, &self.workspace).await?;
        let recovery = prepared(cx.house(), of).await?;
        let by = custodian(cx, &recovery)?;
        let reason = self.reason.trim();
        let is_plain = !reason.is_empty() && !reason.chars().any(char::is_control);
        if !is_plain || reason.chars().count() > LONGEST_REASON {
            let why = format_args!("is needed: 1 to {LONGEST_REASON} printable characters").to_string();
            return Err(Error::invalid("reason", why));
        }
        let longest = recovery.terms().longest_minutes;
        if !(1..=longest).contains(&self.minutes) {
            return Err(Error::invalid("minutes", format_args!("must be 1 to {longest}, as was agreed to")));
        }
        recovery.check_share(of, by.id, &self.share)?;
        require_locked(cx, of, key.as_ref()).await?;
        let asked = AskedOpening {
            name: Uuid::new_v4(),
            by,
            reason: reason.to_owned(),
            minutes: self.minutes,
            expires_at: cx.now().plus(WAITS),
        };
        cx.note("breakGlass", "requested");
        cx.note("request", asked.name.to_string());
        cx.note("reason", &asked.reason);
        cx.note("minutes", asked.minutes.to_string());
        cx.house().glass.ask(of, asked.clone(), self.share, cx.now())?;
        Ok(asked)
    }
}

/// Approves what another custodian asked for, with one's own share: from then on the workspace is open, for as long as was asked.
#[derive(Debug)]
pub struct ApproveOpening {
    /// The workspace.
    pub workspace: ResourceId,
    /// Which request.
    pub request: Uuid,
    /// The approver's share, unwrapped.
    pub share: Secret<Vec<u8>>,
}

#[async_trait]
impl Op for ApproveOpening {
    const ACTION: Action = OPEN;
    type Output = Opening;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Opening> {
        let (of, key) = held_workspace(cx, &self.workspace).await?;
        let house = cx.house();
        let recovery = prepared(house, of).await?;
        let by = custodian(cx, &recovery)?;
        cx.note("request", self.request.to_string());
        // It may take its time, so what is believed of the request is looked at after it.
        require_locked(cx, of, key.as_ref()).await?;
        // An opening whose time is over gets its record before another takes its place.
        end_what_is_over(house).await;
        let (asked, share) = house.glass.asked(of, self.request, cx.now())?;
        if asked.by.id == by.id {
            let why = "nobody approves their own request; another custodian must";
            return Err(Error::new(Kind::Denied, why).coded("SelfApproval"));
        }
        // Who asked must still be who they were: their word counts by what holds now.
        let may_still =
            house.identity.is_enabled(asked.by.id) && house.access().allows(asked.by.id, &OPEN, &self.workspace);
        if !may_still {
            let why = format!("`{}`, who asked, may not open the workspace any more", asked.by.name);
            return Err(Error::new(Kind::Conflict, why));
        }
        let inner = recovery.open(of, (asked.by.id, &share), (by.id, &self.share))?;
        let now = cx.now();
        let opening = Opening {
            workspace: self.workspace.clone(),
            asked_by: asked.by,
            approved_by: by,
            reason: asked.reason,
            opened_at: now,
            until: now.plus(Duration::from_secs(u64::from(asked.minutes).saturating_mul(60))),
        };
        cx.note("breakGlass", "opened");
        cx.note("requestedBy", named(house, opening.asked_by.id));
        cx.note("approvedBy", named(house, opening.approved_by.id));
        cx.note("reason", &opening.reason);
        cx.note("until", opening.until.rfc3339());
        // The record is there before anything is open.
        cx.commit(Changes::new()).await?;
        // Closed, taken back or erased meanwhile: that is not overtaken. The end of the operation adds a record of the refusal.
        house.break_glass(of, asked.name, opening.clone(), inner).inspect_err(|_| {
            cx.note("breakGlass", "not opened: the request was taken back or has expired meanwhile");
        })?;
        Ok(opening)
    }
}

/// The caller, when they are a custodian who has shown a second factor.
fn custodian(cx: &Admission<'_>, recovery: &Recovery) -> Result<Party> {
    let caller = cx.caller();
    let is_person = |caller: &kernel::Principal| caller.kind == PrincipalKind::User && caller.proof.run.is_none();
    let person = caller.principal().filter(|caller| is_person(caller));
    let person = person.filter(|caller| recovery.terms().custodians.iter().any(|one| one.principal == caller.id));
    let person = person.ok_or_else(|| {
        let why = "you are none of the people who were named when break-glass was enabled for this workspace";
        Error::new(Kind::Denied, why).coded("NotACustodian")
    })?;
    require_mfa(caller)?;
    Ok(Party { id: person.id, name: person.name.clone() })
}

/// Refuses while the customer's key opens the workspace: then nothing needs to be broken.
async fn require_locked(cx: &Admission<'_>, of: Uuid, key: Option<&CustomerKey>) -> Result<()> {
    let open = || {
        let why = "the customer-managed key opens the workspace, or did a moment ago; break-glass is for when it cannot be used";
        Error::new(Kind::Conflict, why).coded("WorkspaceNotLocked")
    };
    let Some(key) = key else { return Err(open()) };
    require_word(cx, key)?;
    if let Some(opening) = cx.house().glass.state(of, cx.now()).opening {
        let why = format!("the workspace is open already, until {}", opening.until.rfc3339());
        return Err(Error::new(Kind::Conflict, why).coded("BreakGlassOpen"));
    }
    match usable(cx, of, key).await {
        Ok(()) => Err(open()),
        Err(fault) if [KEY_UNAVAILABLE, HOLDER_AWAY].map(Some).contains(&fault.code()) => Ok(()),
        Err(fault) => Err(fault),
    }
}

/// Closes at once what two custodians opened, and takes back what one has asked for.
#[derive(Debug)]
pub struct CloseOpening {
    /// The workspace.
    pub workspace: ResourceId,
}

#[async_trait]
impl Op for CloseOpening {
    const ACTION: Action =
        Action::new("Microsoft.MachineLearningServices/workspaces/breakGlass/close/action", Class::Control);
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let (of, _) = held_workspace(cx, &self.workspace).await?;
        // First that it is closed; its record comes with the end of the operation.
        match cx.house().end_opening(of) {
            Some(_) => cx.note("breakGlass", "closed"),
            None => cx.note("breakGlass", "was not open"),
        }
        Ok(())
    }
}

/// Says in the log that an opening's time is over. For the server itself.
#[derive(Debug)]
struct EndOpening {
    of: Uuid,
    opening: Opening,
}

#[async_trait]
impl Op for EndOpening {
    const ACTION: Action =
        Action::new("Microsoft.MachineLearningServices/workspaces/breakGlass/end/action", Class::Control);
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.opening.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        cx.house().lock_what_is_over(self.of);
        cx.note("breakGlass", "ended by its time");
        cx.note("requestedBy", named(cx.house(), self.opening.asked_by.id));
        cx.note("approvedBy", named(cx.house(), self.opening.approved_by.id));
        Ok(())
    }
}

/// Ends what was opened for a time that is over. No operation gets it from that time on, whether this was done or not; one that has it
/// already goes on until this is done, seconds later.
///
/// An opening is forgotten once its end is recorded, so what could not be is tried again.
pub(super) async fn end_what_is_over(house: &House) {
    for (of, opening) in house.glass.over(house.now()) {
        let workspace = opening.workspace.clone();
        match enter(house, &Caller::house(), EndOpening { of, opening }).await {
            Ok(()) => house.glass.end_over(of, house.now()),
            Err(fault) => tracing::warn!(%workspace, ?fault, "the end of an opening could not be recorded"),
        }
    }
}

/// What two custodians opened, as it stands now; none when nothing is.
pub fn opening_of(house: &House, of: Uuid) -> Option<Opening> {
    house.glass.state(of, house.now()).opening
}
