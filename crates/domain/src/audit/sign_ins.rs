//! Reading the log of sign-ins: who, how, from where, with what result.

use async_trait::async_trait;
use kernel::{Action, Class, PrincipalId, ResourceId, Result, Timestamp};

use super::list::{Page, Span, scan};
use crate::gate::{Activity, Actor, Cx, Op};

/// What the records of people's sign-ins begin with.
const INTERACTIVE: &str = "Microsoft.Directory/signIns/";
/// Tokens that were asked for: sign-ins of applications, and what applications get for people.
const TOKENS: &str = "Microsoft.Directory/tokens/";

/// What to show.
#[derive(Clone, Debug, Default)]
pub struct SignInFilter {
    /// Not before.
    pub from: Option<Timestamp>,
    /// Not after.
    pub until: Option<Timestamp>,
    /// Only of this principal.
    pub principal: Option<PrincipalId>,
    /// Only those that succeeded, or only those that did not.
    pub succeeded: Option<bool>,
    /// Only those of people in a browser.
    pub interactive: bool,
    /// At most this many, newest first.
    pub most: usize,
    /// Only records with a smaller number: the next page.
    pub before: Option<u64>,
}

/// Lists sign-ins, newest first.
#[derive(Debug)]
pub struct ListSignIns {
    /// What to show.
    pub filter: SignInFilter,
}

#[async_trait]
impl Op for ListSignIns {
    const ACTION: Action = Action::new("Microsoft.Directory/signInReports/allProperties/read", Class::Read);
    type Output = Page;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Page> {
        let SignInFilter { from, until, before, most, .. } = self.filter;
        scan(cx, Span { from, until, before }, most, |activity| self.filter.wants(activity)).await
    }
}

impl SignInFilter {
    fn wants(&self, activity: &Activity) -> bool {
        let is_interactive = activity.action.starts_with(INTERACTIVE);
        let is_by = |principal: PrincipalId| matches!(&activity.actor, Actor::Principal { id, .. } if *id == principal);
        (is_interactive || (!self.interactive && activity.action.starts_with(TOKENS)))
            && self.from.is_none_or(|from| activity.at >= from)
            && self.until.is_none_or(|until| activity.at <= until)
            && self.principal.is_none_or(is_by)
            && self.succeeded.is_none_or(|wanted| (activity.outcome.word() == "Succeeded") == wanted)
    }
}

/// Whether a record is of a person's sign-in in a browser.
pub fn is_interactive(activity: &Activity) -> bool {
    activity.action.starts_with(INTERACTIVE)
}
