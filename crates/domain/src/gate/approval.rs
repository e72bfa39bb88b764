//! Approvals at the gate: an operation that says what is guarded about it runs only when those have approved it whom the rules
//! demand, and takes the approval with it in its own commit.

use kernel::{Batch, Caller, Error, Kind, ResourceId, Result, Secret, Who};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{Activity, Admission, Changes, House, Op, Outcome, Row};
use crate::{
    access::{ApprovalRequest, approved_request},
    resources::contents,
};

/// What an operation may do that takes approvals where a rule says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Guard {
    /// Writes an online deployment, or sends calls to one.
    Deploy,
    /// Gives somebody a role, or lifts what is denied to them.
    RoleGrant,
    /// Changes a key of a service or of the server.
    KeyChange,
    /// Destroys what cannot be had back.
    Purge,
    /// Changes a rule of approvals: that is subject to the rule itself.
    Rule,
}

/// What is guarded about one operation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Places {
    /// What it does, and where rules about that are looked up: there and above.
    pub places: Vec<(Guard, ResourceId)>,
    /// The rules that it changes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub rules: Vec<Uuid>,
    /// The eligibility that it activates, which may demand approvals itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub eligibility: Option<Uuid>,
}

/// What is to be approved.
#[derive(Debug, Default)]
pub struct Guarded {
    /// What is guarded about it.
    pub places: Places,
    /// All that is asked, as approvers read it: an approval is for exactly this.
    pub body: Value,
    /// What is asked too and nobody is to read, such as a key.
    pub secret: Option<Secret<String>>,
}

impl Guarded {
    /// One thing at one place.
    pub fn at(guard: Guard, scope: &ResourceId, body: Value) -> Self {
        let places = Places { places: vec![(guard, scope.clone())], ..Places::default() };
        Self { places, body, secret: None }
    }
}

/// The part of what is approved that says what is in a resource group.
const CONTENTS: &str = "contents";

/// What a caller asks for, before anybody knows whether it takes approval.
pub(super) struct Asked {
    guarded: Guarded,
    /// A resource group that is removed with all that is in it.
    removes: Option<ResourceId>,
}

/// What is guarded about an operation of this caller; none when nothing is, or nothing demands approvals anywhere.
pub(super) fn guarded<O: Op>(house: &House, caller: &Caller, op: &O) -> Result<Option<Asked>> {
    if O::GUARDS.is_empty() || matches!(caller.who, Who::House) || !house.access().demands_approvals() {
        return Ok(None);
    }
    Ok(Some(Asked { guarded: op.guarded(house, caller)?, removes: op.removes().cloned() }))
}

/// Refuses an operation that lacks approvals, and keeps that it was asked for; holds the approval of one that has them.
pub(super) async fn require(cx: &Admission<'_>, asked: Result<Option<Asked>>) -> Result<()> {
    let Some(Asked { mut guarded, removes }) = asked? else { return Ok(()) };
    if let (Some(group), Value::Object(body)) = (removes, &mut guarded.body) {
        body.insert(String::from(CONTENTS), contents(cx, &group).await?);
    }
    if let Some(row) = approved_request(cx, guarded).await? {
        cx.hold(row);
    }
    Ok(())
}

/// The answer of an operation that declares guards and does not say what is guarded: it never runs.
pub(super) fn unsaid() -> Error {
    Error::internal("an operation declares guards and does not say what is guarded about it")
}

impl Admission<'_> {
    /// Refuses to remove a group in which something else is than when it was looked at for approval. To be asked after everything
    /// that goes was read: what came since is not among it.
    pub(crate) async fn require_contents(&self, group: &ResourceId) -> Result<()> {
        let Some(approved) = self.approved_part(CONTENTS) else { return Ok(()) };
        if contents(self, group).await? == approved {
            return Ok(());
        }
        let why = "what is in the resource group changed at this moment; it takes approval as it is now";
        Err(Error::new(Kind::Conflict, why).coded("ApprovalRequired"))
    }

    /// Keeps a request for approval, in one commit with the record that the operation did not run for the want of it.
    /// Another may make room for it.
    pub(crate) async fn ask_for_approval(
        &self,
        request: &Row<ApprovalRequest>,
        dropped: Option<&Row<ApprovalRequest>>,
    ) -> Result<()> {
        let mut changes = Changes::new();
        if let Some(dropped) = dropped {
            changes.delete(self.system(), dropped);
        }
        changes.put(self.system(), request)?;
        let mut activity = Activity::new(self.house(), self.caller(), &self.action(), self.scope(), Outcome::Denied);
        activity.detail = self.noted();
        activity.detail.insert(String::from("refused"), String::from("approvals are demanded"));
        let records = vec![self.house().seal_record(&activity)?];
        self.house().store(Batch { changes: changes.seal()?, records }, None).await?;
        self.denial_was_recorded();
        Ok(())
    }

    /// Why a commit that would have used the approval was stale: the approval was used, or its request was changed, by somebody
    /// who was faster. Everything else is said as it is.
    pub(super) async fn explain_stale(&self, held: &Row<ApprovalRequest>, fault: Error) -> Error {
        if fault.kind() != Kind::Stale {
            return fault;
        }
        match self.get::<ApprovalRequest>(self.system(), &held.id).await {
            Ok(Some(row)) if row.version == held.version => fault,
            _ => {
                let why = "the approval was used, or taken back, at this moment; read its request";
                Error::new(Kind::Conflict, why).coded("ApprovalUsed").because(fault)
            }
        }
    }
}

/// Who asks, as approvals count people.
pub(crate) fn requester(caller: &Caller) -> Result<kernel::PrincipalId> {
    caller.principal().map(|principal| principal.id).ok_or_else(|| {
        Error::new(Kind::Denied, "this takes approvals, which only a person or a service principal can ask for")
    })
}
