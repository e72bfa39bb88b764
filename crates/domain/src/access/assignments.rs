//! Role assignments and role definitions as resources (Microsoft.Authorization, api-version 2022-04-01).

use async_trait::async_trait;
use kernel::{Action, Caller, Class, Error, Kind, PrincipalId, PrincipalKind, ResourceId, Result, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::{
    Bounds,
    granting::{require_lasting, require_right_to_grant},
    lasting::Lasting,
    removal::require_holders,
};
use crate::{
    gate::{Admission, Changes, Cx, Guard, Guarded, House, Op, Record, Row},
    resources,
};

/// Reading assignments, and what can be told from them.
pub(super) const READ: &str = "Microsoft.Authorization/roleAssignments/read";

/// Role assignments at and below a subscription, as Azure has it; and as many above them all.
const MOST_ASSIGNMENTS: usize = 4000;

/// One principal holds one role at one scope and below.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleAssignment {
    /// Where, and everywhere below.
    pub scope: ResourceId,
    /// Which role.
    pub role: Uuid,
    /// Who.
    pub principal: PrincipalId,
    /// What that principal is.
    pub kind: PrincipalKind,
    /// Who assigned it.
    pub created_by: PrincipalId,
    /// When.
    pub created_at: Timestamp,
    /// When it begins and ends, and what it was activated from; none when it is there until somebody takes it back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bounds: Option<Bounds>,
}

impl Record for RoleAssignment {
    const TABLE: &'static str = "role-assignment";
}

/// Assigns a role. The caller chooses the assignment's id, as ARM does; the same id and content again changes nothing.
#[derive(Debug)]
pub struct PutRoleAssignment {
    /// The assignment's own name.
    pub name: Uuid,
    /// Where.
    pub scope: ResourceId,
    /// Which role.
    pub role: Uuid,
    /// Object id of the principal (not an application's client id).
    pub principal: PrincipalId,
}

#[async_trait]
impl Op for PutRoleAssignment {
    const ACTION: Action = Action::new("Microsoft.Authorization/roleAssignments/write", Class::Control);
    const GUARDS: &'static [Guard] = &[Guard::RoleGrant];
    type Output = RoleAssignment;

    fn scope(&self) -> ResourceId {
        self.scope.clone()
    }

    fn guarded(&self, house: &House, _: &Caller) -> Result<Guarded> {
        let body = json!({
            "principal": {"id": self.principal, "name": house.identity.name_of(self.principal)},
            "role": house.access().role_in_words(self.role),
        });
        Ok(Guarded::at(Guard::RoleGrant, &self.scope, body))
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<RoleAssignment> {
        let kind = cx.house().identity.kind_of(self.principal).ok_or_else(|| {
            Error::invalid(
                "properties.principalId",
                format_args!("no principal has object id `{}`; a client id is not an object id", self.principal),
            )
        })?;
        cx.note("principal", self.principal.to_string());
        let _turn = cx.house().assigning.lock().await;
        let epoch = Epoch::read(cx).await?;
        // What counts is what the caller may do when it is their turn, and what is there then.
        cx.require(&Self::ACTION, &self.scope).await?;
        let role = cx.house().access().role(self.role).cloned().ok_or_else(|| {
            Error::invalid("properties.roleDefinitionId", format_args!("role `{}` does not exist", self.role))
        })?;
        if !role.is_assignable_at(&self.scope) {
            let why = format!(
                "role `{}` cannot be assigned at `{}`: its assignable scopes do not hold it",
                role.role_name, self.scope
            );
            return Err(Error::invalid("properties.roleDefinitionId", why));
        }
        cx.note("role", &role.role_name);
        require_lasting(cx, &Self::ACTION, &self.scope, Lasting::ForGood)?;
        require_right_to_grant(cx, &role, &self.scope, Lasting::ForGood).await?;
        resources::require_scope_around(cx, "scope", &self.scope).await?;
        let all = cx.all::<RoleAssignment>(cx.system(), b"").await?;
        // One that ends by itself is no twin: this one stays.
        let twin = all.iter().filter(|row| row.value.bounds.is_none()).find(|row| {
            row.value.scope == self.scope && row.value.role == self.role && row.value.principal == self.principal
        });
        match twin {
            Some(row) if row.id == self.name.as_bytes() => return Ok(row.value.clone()),
            Some(_) => return Err(Error::new(Kind::Exists, "the role assignment already exists")),
            None => {}
        }
        if all.iter().any(|row| row.id == self.name.as_bytes()) {
            return Err(Error::new(
                Kind::Conflict,
                "the id is used by a different role assignment, which cannot be changed",
            ));
        }
        require_room(cx, &all, &self.scope)?;
        let created_by = cx.caller().principal().map_or(self.principal, |principal| principal.id);
        let assignment = RoleAssignment {
            scope: self.scope,
            role: self.role,
            principal: self.principal,
            kind,
            created_by,
            created_at: cx.now(),
            bounds: None,
        };
        let mut changes = Changes::new();
        changes.put(cx.system(), &Row::new(self.name.as_bytes().as_slice(), assignment.clone()))?;
        changes.put(cx.system(), &epoch)?;
        cx.commit(changes).await?;
        Ok(assignment)
    }
}

/// Refuses one more assignment than a subscription holds.
pub(super) fn require_room(cx: &Admission<'_>, all: &[Row<RoleAssignment>], scope: &ResourceId) -> Result<()> {
    let subscription = scope.subscription_id();
    // Those that come with workspaces are the server's own doing.
    let counts = |row: &&Row<RoleAssignment>| {
        row.value.scope.subscription_id() == subscription && !cx.house().identity.is_of_workspace(row.value.principal)
    };
    if all.iter().filter(counts).count() < MOST_ASSIGNMENTS {
        return Ok(());
    }
    let why = format!("a subscription holds {MOST_ASSIGNMENTS} role assignments, and no more; assign roles to groups");
    Err(Error::new(Kind::TooLarge, why))
}

/// Reads one assignment.
#[derive(Debug)]
pub struct GetRoleAssignment {
    /// The assignment's own name.
    pub name: Uuid,
    /// Where it was made.
    pub scope: ResourceId,
}

#[async_trait]
impl Op for GetRoleAssignment {
    const ACTION: Action = Action::new(READ, Class::Read);
    type Output = RoleAssignment;

    fn scope(&self) -> ResourceId {
        self.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<RoleAssignment> {
        Ok(find(cx, self.name, &self.scope).await?.value)
    }
}

/// Lists assignments at the scope, above it (they apply there) and below it, as far as the caller may read them.
#[derive(Debug)]
pub struct ListRoleAssignments {
    /// The scope asked about.
    pub scope: ResourceId,
    /// Only this principal's.
    pub principal: Option<PrincipalId>,
    /// Those of the groups that it belongs to as well (`assignedTo()`).
    pub with_groups: bool,
    /// Only at the scope and above (`atScope()`).
    pub at_scope: bool,
}

#[async_trait]
impl Op for ListRoleAssignments {
    const ACTION: Action = Action::new(READ, Class::Read);
    type Output = Vec<(Uuid, RoleAssignment)>;

    fn scope(&self) -> ResourceId {
        self.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let rows = cx.all::<RoleAssignment>(cx.system(), b"").await?;
        let selves = self.principal.map(|id| match self.with_groups {
            true => cx.house().access().selves(id),
            false => vec![id],
        });
        let wanted = |assignment: &RoleAssignment| {
            let applies = self.scope.is_within(&assignment.scope);
            let lies_below = !self.at_scope && assignment.scope.is_within(&self.scope);
            (applies || lies_below) && selves.as_ref().is_none_or(|selves| selves.contains(&assignment.principal))
        };
        let named = |row: Row<RoleAssignment>| Uuid::from_slice(&row.id).ok().map(|name| (name, row.value));
        Ok(rows.into_iter().filter(|row| wanted(&row.value)).filter_map(named).collect())
    }
}

/// Takes an assignment back.
#[derive(Debug)]
pub struct DeleteRoleAssignment {
    /// The assignment's own name.
    pub name: Uuid,
    /// Where it was made.
    pub scope: ResourceId,
}

#[async_trait]
impl Op for DeleteRoleAssignment {
    const ACTION: Action = Action::new("Microsoft.Authorization/roleAssignments/delete", Class::Control);
    type Output = RoleAssignment;

    fn scope(&self) -> ResourceId {
        self.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<RoleAssignment> {
        let _turn = cx.house().assigning.lock().await;
        let epoch = Epoch::read(cx).await?;
        cx.require(&Self::ACTION, &self.scope).await?;
        let row = find(cx, self.name, &self.scope).await?;
        cx.note("principal", row.value.principal.to_string());
        let role = cx.house().access().role(row.value.role).cloned();
        if let Some(role) = role {
            require_right_to_grant(cx, &role, &self.scope, Lasting::Now).await?;
        }
        let all = cx.all::<RoleAssignment>(cx.system(), b"").await?;
        require_holders(cx, &all, |other| other.id == row.id).await?;
        let mut changes = Changes::new();
        changes.delete(cx.system(), &row);
        changes.put(cx.system(), &epoch)?;
        cx.commit(changes).await?;
        Ok(row.value)
    }
}

/// Rises with every change of assignments. Rules that read several assignments write it in the same commit, so that of two
/// changes that were decided on one picture, the second is refused as stale.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Epoch {}

impl Record for Epoch {
    const TABLE: &'static str = "role-epoch";
}

impl Epoch {
    pub(super) async fn read(cx: &Admission<'_>) -> Result<Row<Self>> {
        let row = cx.get::<Self>(cx.system(), b"1").await?;
        Ok(row.unwrap_or_else(|| Row::new(b"1".as_slice(), Self {})))
    }
}

async fn find(cx: &Admission<'_>, name: Uuid, scope: &ResourceId) -> Result<Row<RoleAssignment>> {
    let row = cx.get::<RoleAssignment>(cx.system(), name.as_bytes()).await?;
    row.filter(|row| row.value.scope == *scope)
        .ok_or_else(|| Error::not_found(format_args!("the role assignment `{name}` at `{scope}`")))
}
