//! Reading requests. Whoever asked, whoever may approve, and whoever may read them by a role sees one.

use async_trait::async_trait;
use kernel::{Action, Error, PrincipalId, ResourceId, Result};
use uuid::Uuid;

use super::{
    ApprovalRequest, ApprovalState, READ,
    demand::{counted, is_met, may_approve},
};
use crate::gate::{Admission, Cx, Op};

/// What a rule demands, and who has approved for it.
#[derive(Clone, Debug)]
pub struct Progress {
    /// The rule, or the eligibility.
    pub source: Uuid,
    /// How many approvals it takes.
    pub approvals: u8,
    /// Whose count.
    pub approved_by: Vec<PrincipalId>,
}

/// A request with where it stands.
#[derive(Clone, Debug)]
pub struct ApprovalView {
    /// The request.
    pub request: ApprovalRequest,
    /// Where it stands.
    pub state: ApprovalState,
    /// Whether the operation would run now.
    pub is_approved: bool,
    /// What is demanded.
    pub progress: Vec<Progress>,
}

/// Shows a request as it stands now.
pub(super) fn view(cx: &Admission<'_>, request: ApprovalRequest) -> ApprovalView {
    let house = cx.house();
    let (demands, _) = house.access().demands(request.requester, &request.places);
    let state = request.state(cx.now());
    let is_approved = state == ApprovalState::Open && demands.iter().all(|demand| is_met(house, demand, &request));
    let progress = demands.iter().map(|demand| Progress {
        source: demand.source,
        approvals: demand.approvals,
        approved_by: counted(house, demand, &request).into_iter().collect(),
    });
    ApprovalView { progress: progress.collect(), state, is_approved, request }
}

fn may_see(cx: &Admission<'_>, request: &ApprovalRequest) -> bool {
    let Some(caller) = cx.caller().principal() else { return true };
    let house = cx.house();
    let access = house.access();
    let approves = || {
        let (demands, _) = access.demands(request.requester, &request.places);
        demands.iter().any(|demand| may_approve(house, &demand.approvers, caller.id, &demand.at))
    };
    caller.id == request.requester || access.allows(caller.id, &READ, &request.scope) || approves()
}

/// Lists the requests about operations at a scope and below it, the newest first.
#[derive(Debug)]
pub struct ListApprovals {
    /// The scope asked about.
    pub scope: ResourceId,
    /// Only those that can be decided.
    pub only_open: bool,
}

#[async_trait]
impl Op for ListApprovals {
    const ACTION: Action = READ;
    type Output = Vec<ApprovalView>;

    fn scope(&self) -> ResourceId {
        self.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let mut found = Vec::new();
        for row in cx.all::<ApprovalRequest>(cx.system(), b"").await? {
            let is_wanted = !self.only_open || row.value.state(cx.now()) == ApprovalState::Open;
            if is_wanted && row.value.scope.is_within(&self.scope) && may_see(cx, &row.value) {
                found.push(view(cx, row.value));
            }
        }
        found.sort_by_key(|one| (std::cmp::Reverse(one.request.created_at), one.request.name));
        Ok(found)
    }
}

/// Reads one request.
#[derive(Debug)]
pub struct GetApproval {
    /// Its name.
    pub name: Uuid,
    /// Where it is: around the operation.
    pub scope: ResourceId,
}

#[async_trait]
impl Op for GetApproval {
    const ACTION: Action = READ;
    type Output = ApprovalView;

    fn scope(&self) -> ResourceId {
        self.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<ApprovalView> {
        let row = cx.get::<ApprovalRequest>(cx.system(), self.name.as_bytes()).await?;
        let row = row.filter(|row| row.value.home() == self.scope && may_see(cx, &row.value));
        let row = row.ok_or_else(|| Error::not_found(format_args!("the approval request `{}`", self.name)))?;
        Ok(view(cx, row.value))
    }
}
