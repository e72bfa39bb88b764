//! What a change of access would change, before it is made: the snapshot is compiled with it and without it, and compared.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use kernel::{Action, Class, Error, PrincipalId, PrincipalKind, ResourceId, Result};
use uuid::Uuid;

use super::{
    Access, ApprovalRule, Authored, DenyAssignment, Eligibility, RoleAssignment, RoleDefinition, RoleForm, Rows,
    assignments::READ,
};
use crate::{
    gate::{Cx, House, Op},
    identity::Membership,
};

/// Principals whose access is compared at most.
const MOST_PRINCIPALS: usize = 1000;

/// Reads what a snapshot is compiled from.
pub(crate) async fn rows_of(house: &House) -> Result<Rows> {
    let named = |id: &[u8]| Uuid::from_slice(id).unwrap_or_default();
    let system = house.system();
    let assignments = house.all::<RoleAssignment>(system, b"").await?;
    let denials = house.all::<DenyAssignment>(system, b"").await?;
    let eligibilities = house.all::<Eligibility>(system, b"").await?;
    Ok(Rows {
        definitions: house.all::<RoleDefinition>(system, b"").await?.into_iter().map(|row| row.value).collect(),
        assignments: assignments.into_iter().map(|row| (named(&row.id), row.value)).collect(),
        denials: denials.into_iter().map(|row| (named(&row.id), row.value)).collect(),
        memberships: house.all::<Membership>(system, b"").await?.into_iter().map(|row| row.value).collect(),
        eligibilities: eligibilities.into_iter().map(|row| (named(&row.id), row.value)).collect(),
        rules: house
            .all::<ApprovalRule>(system, b"")
            .await?
            .into_iter()
            .map(|row| (named(&row.id), row.value))
            .collect(),
        at: house.now(),
    })
}

/// A change that is proposed.
#[derive(Clone, Debug)]
pub enum Proposal {
    /// A role is assigned.
    Assign {
        /// Where.
        scope: ResourceId,
        /// Which role.
        role: Uuid,
        /// To whom.
        principal: PrincipalId,
    },
    /// An assignment is taken back.
    Unassign {
        /// The assignment's name.
        assignment: Uuid,
    },
    /// A role is made or changed.
    Define {
        /// The role.
        id: Uuid,
        /// What it is to be.
        form: RoleForm,
    },
    /// Somebody enters a group.
    Enter {
        /// The group.
        group: PrincipalId,
        /// Who.
        member: PrincipalId,
    },
    /// Somebody leaves a group.
    Leave {
        /// The group.
        group: PrincipalId,
        /// Who.
        member: PrincipalId,
    },
}

/// Reading who is in a group.
pub(super) const LIST_MEMBERS: Action = Action::new("Microsoft.Directory/groups/members/read", Class::Read);

impl Proposal {
    /// Whether what it changes depends on who is in a group.
    fn is_about_a_group(&self, cx: &Cx<'_, WhatIf>, rows: &Rows) -> bool {
        let is_group = |id: PrincipalId| cx.house().identity.kind_of(id) == Some(PrincipalKind::Group);
        match self {
            Self::Assign { principal, .. } => is_group(*principal),
            Self::Unassign { assignment } => {
                rows.assignments.iter().any(|(name, row)| name == assignment && is_group(row.principal))
            }
            Self::Define { id, .. } => {
                rows.assignments.iter().any(|(_, row)| row.role == *id && is_group(row.principal))
            }
            Self::Enter { .. } | Self::Leave { .. } => true,
        }
    }

    fn apply(&self, cx: &Cx<'_, WhatIf>, rows: &mut Rows) -> Result<()> {
        match self {
            Self::Assign { scope, role, principal } => {
                let kind = cx.house().identity.kind_of(*principal).ok_or_else(|| {
                    Error::invalid("principalId", format_args!("no principal has object id `{principal}`"))
                })?;
                let is_known = cx.house().access().role(*role).is_some_and(|role| role.is_assignable_at(scope))
                    || rows.definitions.iter().any(|known| known.id == *role && known.is_assignable_at(scope));
                if !is_known {
                    let why = format!("role `{role}` does not exist, or cannot be assigned at `{scope}`");
                    return Err(Error::invalid("roleDefinitionId", why));
                }
                let (scope, created_by) = (scope.clone(), *principal);
                let row = RoleAssignment {
                    scope,
                    role: *role,
                    principal: *principal,
                    kind,
                    created_by,
                    created_at: cx.now(),
                    bounds: None,
                };
                rows.assignments.push((Uuid::new_v4(), row));
            }
            Self::Unassign { assignment } => {
                let before = rows.assignments.len();
                rows.assignments.retain(|(name, _)| name != assignment);
                if rows.assignments.len() == before {
                    return Err(Error::invalid("roleAssignmentName", format_args!("there is no `{assignment}`")));
                }
            }
            Self::Define { id, form } => {
                if RoleDefinition::built_in(*id).is_some() {
                    return Err(Error::invalid("roleDefinitionId", "a role that ships cannot be changed"));
                }
                form.check(cx.house().access().catalogue())?;
                rows.definitions.retain(|known| known.id != *id);
                rows.definitions.push(form.clone().into_role(*id, Authored::now(cx, None)));
            }
            Self::Enter { group, member } => rows.memberships.push(Membership { group: *group, member: *member }),
            Self::Leave { group, member } => {
                rows.memberships.retain(|row| row.group != *group || row.member != *member);
            }
        }
        Ok(())
    }
}

/// Asks what changes would change at a scope.
#[derive(Debug)]
pub struct WhatIf {
    /// Where access is compared: at this scope.
    pub scope: ResourceId,
    /// Changes, made one after another.
    pub proposals: Vec<Proposal>,
}

/// The answer.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// Whose access would change.
    pub changed: Vec<Changed>,
    /// Whether everybody was looked at; in a large directory a first part is.
    pub is_complete: bool,
}

/// What changes for one principal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// Who.
    pub principal: PrincipalId,
    /// Actions allowed then and not now.
    pub gained: Vec<&'static str>,
    /// Actions allowed now and not then.
    pub lost: Vec<&'static str>,
}

#[async_trait]
impl Op for WhatIf {
    /// It tells no more than the assignments and roles do.
    const ACTION: Action = Action::new(READ, Class::Read);
    type Output = Comparison;

    fn scope(&self) -> ResourceId {
        self.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Comparison> {
        let mut rows = rows_of(cx.house()).await?;
        if self.proposals.iter().any(|proposal| proposal.is_about_a_group(cx, &rows)) {
            // The answer names the people in it.
            cx.require(&LIST_MEMBERS, &ResourceId::root()).await?;
        }
        for proposal in &self.proposals {
            proposal.apply(cx, &mut rows)?;
        }
        let now = Arc::clone(&cx.house().access());
        let then = Access::compile(&cx.house().catalogue(), &rows, &now);
        let all: BTreeSet<PrincipalId> = now.holders().union(&then.holders()).copied().collect();
        let is_complete = all.len() <= MOST_PRINCIPALS;
        let mut changed = Vec::new();
        for principal in all.into_iter().take(MOST_PRINCIPALS) {
            changed.extend(compare(principal, &now, &then, &self.scope));
            // Others are served meanwhile: this is a question, and may take its time.
            tokio::task::yield_now().await;
        }
        Ok(Comparison { changed, is_complete })
    }
}

/// What one principal gains and loses; none when nothing changes.
fn compare(principal: PrincipalId, now: &Access, then: &Access, scope: &ResourceId) -> Option<Changed> {
    let mut changed = Changed { principal, gained: Vec::new(), lost: Vec::new() };
    for entry in now.catalogue().entries() {
        let action = &entry.action;
        match (now.allows(principal, action, scope), then.allows(principal, action, scope)) {
            (false, true) => changed.gained.push(action.name()),
            (true, false) => changed.lost.push(action.name()),
            _ => {}
        }
    }
    (!changed.gained.is_empty() || !changed.lost.is_empty()).then_some(changed)
}

/// The compiled snapshot of what is stored now.
pub(crate) async fn compiled(house: &House) -> Result<Access> {
    let rows = rows_of(house).await?;
    let before = Arc::clone(&house.access());
    Ok(Access::compile(&house.catalogue(), &rows, &before))
}
