//! Saying yes or no to a request.

use async_trait::async_trait;
use kernel::{Action, Error, Kind, ResourceId, Result};
use uuid::Uuid;

use super::{ApprovalRequest, ApprovalState, ApprovalView, DECIDE, Decision, demand::may_approve, list::view};
use crate::gate::{Changes, Cx, Op};

/// Longest comment, in characters.
const LONGEST_COMMENT: usize = 1024;

/// Approves or denies a request. Never one's own, and each person once.
#[derive(Debug)]
pub struct DecideApproval {
    /// The request's name.
    pub name: Uuid,
    /// Where it is.
    pub scope: ResourceId,
    /// Yes, or no.
    pub approves: bool,
    /// Why.
    pub comment: String,
}

#[async_trait]
impl Op for DecideApproval {
    const ACTION: Action = DECIDE;
    type Output = ApprovalView;

    fn scope(&self) -> ResourceId {
        self.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let is_plain = !self.comment.chars().any(|c| c.is_control() && c != '\n' && c != '\t');
        if self.comment.chars().count() > LONGEST_COMMENT || !is_plain {
            return Err(Error::invalid("comment", format_args!("at most {LONGEST_COMMENT} printable characters")));
        }
        let found = cx.get::<ApprovalRequest>(cx.system(), self.name.as_bytes()).await?;
        let mut row = found
            .filter(|row| row.value.home() == self.scope)
            .ok_or_else(|| Error::not_found(format_args!("the approval request `{}`", self.name)))?;
        cx.note("approvalRequest", self.name.to_string());
        let decision = self.decision(cx, &row.value)?;
        let request = &mut row.value;
        match request.state(cx.now()) {
            ApprovalState::Open => {}
            ApprovalState::Expired => {
                let why = "the request has expired; whoever made it asks again by sending the operation again";
                return Err(Error::new(Kind::Conflict, why).coded("ApprovalExpired"));
            }
            ApprovalState::Denied => return Err(Error::new(Kind::Conflict, "the request was denied already")),
            ApprovalState::Used => return Err(Error::new(Kind::Conflict, "the operation has run already")),
        }
        if request.decisions.iter().any(|before| before.by == decision.by) {
            return Err(Error::new(Kind::Conflict, "you have decided on this request already; each person does once"));
        }
        cx.note("decision", if decision.approves { "approved" } else { "denied" });
        cx.note("operation", &request.action);
        cx.note("digest", &request.digest);
        cx.note("requestedBy", format!("{} ({})", request.requester_name, request.requester));
        if !decision.comment.is_empty() {
            cx.note("comment", &decision.comment);
        }
        request.decisions.push(decision);
        let mut changes = Changes::new();
        changes.put(cx.system(), &row)?;
        cx.commit(changes).await?;
        Ok(view(cx, row.value))
    }
}

impl DecideApproval {
    /// The caller's word, if it counts here.
    fn decision(&self, cx: &Cx<'_, Self>, request: &ApprovalRequest) -> Result<Decision> {
        let no = |why: &str| Error::new(Kind::Denied, why);
        let caller = cx.caller().principal().ok_or_else(|| no("only a principal approves"))?;
        if caller.proof.run.is_some() {
            return Err(no("the code of a run approves nothing"));
        }
        if caller.id == request.requester {
            return Err(no("nobody decides on their own request; somebody else must").coded("SelfApproval"));
        }
        let (demands, _) = cx.house().access().demands(request.requester, &request.places);
        let counts = demands.iter().any(|demand| may_approve(cx.house(), &demand.approvers, caller.id, &demand.at));
        if !counts {
            return Err(no("you are not among those who approve this"));
        }
        Ok(Decision {
            by: caller.id,
            name: caller.name.clone(),
            at: cx.now(),
            approves: self.approves,
            comment: self.comment.trim().to_owned(),
        })
    }
}
