//! The end of what was given for a time: removed, and recorded, by the house's own work. Decisions do not wait for that.

use async_trait::async_trait;
use kernel::{Action, Caller, Class, Kind, PrincipalId, ResourceId, Result};
use uuid::Uuid;

use super::Eligibility;
use crate::{
    access::{RoleAssignment, assignments::Epoch},
    gate::{Admission, Changes, Cx, House, Op, enter},
};

/// Removes assignments and eligibilities that are over, each with a record of its own.
///
/// # Errors
/// When one cannot be removed, for another reason than that somebody else was faster; the next look tries again.
pub async fn end_what_has_ended(house: &House) -> Result<()> {
    let access = house.access();
    let now = house.now();
    let (ended, lapsed) = (access.ended(now), access.lapsed(now));
    drop(access);
    for (name, row) in ended {
        settle(enter(house, &Caller::house(), EndRole { name, scope: row.scope }).await)?;
    }
    for (name, eligibility) in lapsed {
        settle(enter(house, &Caller::house(), EndEligibility { name, scope: eligibility.scope }).await)?;
    }
    Ok(())
}

fn settle(outcome: Result<()>) -> Result<()> {
    match outcome {
        Err(fault) if !matches!(fault.kind(), Kind::Stale | Kind::NotFound) => Err(fault),
        _ => Ok(()),
    }
}

/// Removes an assignment that is over.
#[derive(Debug)]
struct EndRole {
    name: Uuid,
    scope: ResourceId,
}

#[async_trait]
impl Op for EndRole {
    const ACTION: Action = Action::new("Microsoft.Authorization/roleAssignmentSchedules/end/action", Class::Control);
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let _turn = cx.house().assigning.lock().await;
        let epoch = Epoch::read(cx).await?;
        // Meanwhile it may have come back, with its eligibility.
        let is_still_over = cx.house().access().ended(cx.now()).iter().any(|(name, _)| *name == self.name);
        let found = cx.get::<RoleAssignment>(cx.system(), self.name.as_bytes()).await?;
        let Some(row) = found.filter(|_| is_still_over) else {
            return Err(kernel::Error::not_found("the assignment that was over"));
        };
        if let Some(role) = cx.house().access().role(row.value.role) {
            cx.note("role", &role.role_name);
        }
        let window = row.value.bounds.as_ref().map(|bounds| bounds.window);
        let is_over = window.is_some_and(|window| window.is_over(cx.now()));
        cx.note("principal", row.value.principal.to_string());
        cx.note("schedule", self.name.to_string());
        cx.note("why", if is_over { "its time is over" } else { "whoever activated it is eligible no more" });
        let mut changes = Changes::new();
        changes.delete(cx.system(), &row);
        changes.put(cx.system(), &epoch)?;
        cx.commit(changes).await
    }
}

/// Removes an eligibility that is over.
#[derive(Debug)]
struct EndEligibility {
    name: Uuid,
    scope: ResourceId,
}

#[async_trait]
impl Op for EndEligibility {
    const ACTION: Action = Action::new("Microsoft.Authorization/roleEligibilitySchedules/end/action", Class::Control);
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let _turn = cx.house().assigning.lock().await;
        let epoch = Epoch::read(cx).await?;
        let found = cx.get::<Eligibility>(cx.system(), self.name.as_bytes()).await?;
        let Some(row) = found.filter(|row| row.value.window.is_over(cx.now())) else {
            return Err(kernel::Error::not_found("the eligibility that was over"));
        };
        cx.note("principal", row.value.principal.to_string());
        cx.note("schedule", self.name.to_string());
        let mut changes = Changes::new();
        end_activations(cx, &mut changes, self.name).await?;
        changes.delete(cx.system(), &row);
        changes.put(cx.system(), &epoch)?;
        cx.commit(changes).await
    }
}

/// Ends what was activated from an eligibility.
pub(super) async fn end_activations(cx: &Admission<'_>, changes: &mut Changes, eligibility: Uuid) -> Result<()> {
    let mut count: usize = 0;
    for row in cx.all::<RoleAssignment>(cx.system(), b"").await? {
        if row.value.bounds.as_ref().is_some_and(|bounds| bounds.eligibility == Some(eligibility)) {
            changes.delete(cx.system(), &row);
            count = count.saturating_add(1);
        }
    }
    if count > 0 {
        cx.note("activationsEnded", count.to_string());
    }
    Ok(())
}

/// Ends the eligibilities of a principal that is going away. What others activated from them is over at once too.
pub(in crate::access) async fn remove_eligibilities_of(
    cx: &Admission<'_>,
    changes: &mut Changes,
    principal: PrincipalId,
) -> Result<()> {
    remove_eligibilities(cx, changes, |held| held.principal == principal).await
}

/// Ends eligibilities, when a scope or a principal is going away.
pub(in crate::access) async fn remove_eligibilities(
    cx: &Admission<'_>,
    changes: &mut Changes,
    goes: impl Fn(&Eligibility) -> bool + Send,
) -> Result<()> {
    for row in cx.all::<Eligibility>(cx.system(), b"").await? {
        if goes(&row.value) {
            changes.delete(cx.system(), &row);
        }
    }
    Ok(())
}
