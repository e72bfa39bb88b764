//! Writing the rules. A rule that is there is changed and removed by its own terms alone.

use std::collections::BTreeSet;

use async_trait::async_trait;
use kernel::{Action, Caller, Class, Error, Kind, PrincipalId, PrincipalKind, ResourceId, Result};
use serde_json::json;
use uuid::Uuid;

use super::{ApprovalRule, Approvers, demand::is_subject};
use crate::{
    access::{Authored, granting::require_lasting, lasting::Lasting},
    gate::{Admission, Changes, Cx, Guard, Guarded, House, Op, Places, Row},
    resources,
};

const WRITE: Action = Action::new("Microsoft.Authorization/approvalRules/write", Class::Control);
const DELETE: Action = Action::new("Microsoft.Authorization/approvalRules/delete", Class::Control);
const READ: Action = Action::new("Microsoft.Authorization/approvalRules/read", Class::Read);
/// Rules of a directory.
const MOST_RULES: usize = 200;
/// Principals, or roles, that one list of a rule names.
const MOST_NAMED: usize = 100;
const MOST_APPROVALS: u8 = 10;
/// How long requests count: five minutes to thirty days, in milliseconds.
const SHORTEST: u64 = 5 * 60 * 1000;
const LONGEST: u64 = 30 * 24 * 60 * 60 * 1000;

/// What a change of a rule is, to its own approvers.
fn guarded(name: Uuid, scope: &ResourceId, body: serde_json::Value) -> Guarded {
    let places = Places { places: vec![(Guard::Rule, scope.clone())], rules: vec![name], eligibility: None };
    Guarded { places, body, secret: None }
}

/// Makes a rule, or changes one.
#[derive(Debug)]
pub struct PutApprovalRule {
    /// Its name.
    pub name: Uuid,
    /// What it is to say.
    pub rule: ApprovalRule,
}

#[async_trait]
impl Op for PutApprovalRule {
    const ACTION: Action = WRITE;
    const GUARDS: &'static [Guard] = &[Guard::Rule];
    type Output = ApprovalRule;

    fn scope(&self) -> ResourceId {
        self.rule.scope.clone()
    }

    fn guarded(&self, _: &House, _: &Caller) -> Result<Guarded> {
        let rule = ApprovalRule { authored: None, ..self.rule.clone() };
        let body = json!({"name": self.name, "rule": serde_json::to_value(&rule).map_err(Error::internal)?});
        Ok(guarded(self.name, &self.rule.scope, body))
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<ApprovalRule> {
        check(cx, &self.rule)?;
        require_lasting(cx, &WRITE, &self.rule.scope, Lasting::ForGood)?;
        resources::require_scope_around(cx, "scope", &self.rule.scope).await?;
        let present = cx.get::<ApprovalRule>(cx.system(), self.name.as_bytes()).await?;
        if present.as_ref().is_some_and(|row| row.value.scope != self.rule.scope) {
            return Err(Error::new(Kind::Conflict, "the id is used by a rule of another scope"));
        }
        if present.is_none() && cx.all::<ApprovalRule>(cx.system(), b"").await?.len() >= MOST_RULES {
            return Err(Error::new(Kind::TooLarge, format!("a directory has {MOST_RULES} rules, and no more")));
        }
        let authored = Authored::now(cx, present.as_ref().and_then(|row| row.value.authored));
        let rule = ApprovalRule { authored, ..self.rule };
        let row = match present {
            Some(mut row) => {
                row.value = rule.clone();
                row
            }
            None => Row::new(self.name.as_bytes().as_slice(), rule.clone()),
        };
        cx.note("rule", self.name.to_string());
        cx.note("operation", format!("{:?}", rule.operation));
        cx.note("approvals", rule.approvals.to_string());
        let mut changes = Changes::new();
        changes.put(cx.system(), &row)?;
        cx.commit(changes).await?;
        Ok(rule)
    }
}

fn check(cx: &Admission<'_>, rule: &ApprovalRule) -> Result<()> {
    if !is_subject(rule.operation) {
        let why = "must be `deploy`, `roleGrant`, `keyChange` or `purge`; a rule is changed by its own terms";
        return Err(Error::invalid("properties.operation", why));
    }
    if !(SHORTEST..=LONGEST).contains(&rule.lifetime_ms) {
        return Err(Error::invalid("properties.requestLifetime", "must be from `PT5M` to `P30D`"));
    }
    if rule.description.chars().count() > 1024 {
        return Err(Error::invalid("properties.description", "at most 1024 characters"));
    }
    check_approvers(cx, &rule.approvers, rule.approvals)?;
    if rule.bypass.len() > MOST_NAMED {
        return Err(Error::invalid("properties.bypass", format_args!("at most {MOST_NAMED}")));
    }
    match rule.bypass.iter().find(|id| cx.house().identity.kind_of(**id).is_none()) {
        Some(id) => Err(Error::invalid("properties.bypass", format_args!("no principal has object id `{id}`"))),
        None => Ok(()),
    }
}

/// Refuses approvers that there are not, and so few that no request could ever be approved: nobody could change the rule again.
pub(in crate::access) fn check_approvers(cx: &Admission<'_>, approvers: &Approvers, approvals: u8) -> Result<()> {
    let identity = &cx.house().identity;
    let Approvers { principals, roles } = approvers;
    if !(1..=MOST_APPROVALS).contains(&approvals) {
        return Err(Error::invalid("approvals", format_args!("must be from 1 to {MOST_APPROVALS}")));
    }
    if principals.len() > MOST_NAMED || roles.len() > MOST_NAMED {
        return Err(Error::invalid("approvers", format_args!("at most {MOST_NAMED} in one list")));
    }
    let field = "approvers.principals";
    for id in principals {
        match identity.kind_of(*id) {
            Some(_) if !identity.is_managed(*id) => {}
            Some(_) => {
                return Err(Error::invalid(field, format_args!("`{id}` is a managed identity, which code acts as")));
            }
            None => return Err(Error::invalid(field, format_args!("no principal has object id `{id}`"))),
        }
    }
    let access = cx.house().access();
    if let Some(role) = roles.iter().find(|role| access.role(**role).is_none()) {
        return Err(Error::invalid("approvers.roles", format_args!("there is no role `{role}`")));
    }
    let is_group = |id: &PrincipalId| identity.kind_of(*id) == Some(PrincipalKind::Group);
    let people: BTreeSet<_> = principals.iter().filter(|id| !is_group(id)).collect();
    let may_be_more = !roles.is_empty() || principals.iter().any(is_group);
    // One of them may be whoever asks, and nobody approves for themselves.
    if !may_be_more && people.len() <= usize::from(approvals) {
        let why = "name one more than approvals are demanded, or a group or a role: whoever asks does not approve";
        return Err(Error::invalid("approvers", why));
    }
    Ok(())
}

/// Removes a rule.
#[derive(Debug)]
pub struct DeleteApprovalRule {
    /// Its name.
    pub name: Uuid,
    /// Where it is.
    pub scope: ResourceId,
}

#[async_trait]
impl Op for DeleteApprovalRule {
    const ACTION: Action = DELETE;
    const GUARDS: &'static [Guard] = &[Guard::Rule];
    type Output = ApprovalRule;

    fn scope(&self) -> ResourceId {
        self.scope.clone()
    }

    fn guarded(&self, _: &House, _: &Caller) -> Result<Guarded> {
        Ok(guarded(self.name, &self.scope, json!({"name": self.name})))
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<ApprovalRule> {
        let row = cx.get::<ApprovalRule>(cx.system(), self.name.as_bytes()).await?;
        let row = row
            .filter(|row| row.value.scope == self.scope)
            .ok_or_else(|| Error::not_found(format_args!("the approval rule `{}`", self.name)))?;
        require_lasting(cx, &DELETE, &self.scope, Lasting::ForGood)?;
        cx.note("rule", self.name.to_string());
        let mut changes = Changes::new();
        changes.delete(cx.system(), &row);
        cx.commit(changes).await?;
        Ok(row.value)
    }
}

/// Reads one rule.
#[derive(Debug)]
pub struct GetApprovalRule {
    /// Its name.
    pub name: Uuid,
    /// Where it is.
    pub scope: ResourceId,
}

#[async_trait]
impl Op for GetApprovalRule {
    const ACTION: Action = READ;
    type Output = ApprovalRule;

    fn scope(&self) -> ResourceId {
        self.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<ApprovalRule> {
        let row = cx.get::<ApprovalRule>(cx.system(), self.name.as_bytes()).await?;
        let row = row.filter(|row| row.value.scope == self.scope);
        row.map(|row| row.value).ok_or_else(|| Error::not_found(format_args!("the approval rule `{}`", self.name)))
    }
}

/// Lists the rules at a scope, above it (they apply there) and below it.
#[derive(Debug)]
pub struct ListApprovalRules {
    /// The scope asked about.
    pub scope: ResourceId,
}

#[async_trait]
impl Op for ListApprovalRules {
    const ACTION: Action = READ;
    type Output = Vec<(Uuid, ApprovalRule)>;

    fn scope(&self) -> ResourceId {
        self.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let rows = cx.all::<ApprovalRule>(cx.system(), b"").await?.into_iter();
        let is_near = |rule: &ApprovalRule| self.scope.is_within(&rule.scope) || rule.scope.is_within(&self.scope);
        let named = |row: Row<ApprovalRule>| Uuid::from_slice(&row.id).ok().map(|name| (name, row.value));
        Ok(rows.filter(|row| is_near(&row.value)).filter_map(named).collect())
    }
}

/// Takes the rules with a scope that is going away.
pub(in crate::access) async fn remove_rules_within(
    cx: &Admission<'_>,
    scope: &ResourceId,
    changes: &mut Changes,
) -> Result<()> {
    for row in cx.all::<ApprovalRule>(cx.system(), b"").await? {
        if row.value.scope.is_within(scope) {
            changes.delete(cx.system(), &row);
        }
    }
    Ok(())
}

/// Refuses to remove whom a rule names as an approver: with too few of them, nobody could change the rule again.
pub(in crate::access) fn require_not_named(cx: &Admission<'_>, principal: PrincipalId) -> Result<()> {
    let access = cx.house().access();
    let named = access.rules_naming(&[principal]);
    match named.into_iter().find(|(_, rule)| rule.approvers.principals.contains(&principal)) {
        Some((name, rule)) => {
            let why = format!(
                "the approval rule `{name}` at `{}` names it as an approver; change the rule first",
                rule.scope
            );
            Err(Error::new(Kind::Conflict, why))
        }
        None => match access.terms_naming(&[principal]).first() {
            Some(scope) => {
                let why = format!("an eligibility at `{scope}` names it as an approver; change that first");
                Err(Error::new(Kind::Conflict, why))
            }
            None => Ok(()),
        },
    }
}
