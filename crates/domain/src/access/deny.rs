//! Deny assignments: what nobody, or somebody, may do at a scope, whatever their roles allow (Azure RBAC, deny assignments).

use async_trait::async_trait;
use kernel::{Action, Caller, Class, Error, Kind, PrincipalId, ResourceId, Result};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::{
    Authored, Permissions, assignments::Epoch, definitions::check_patterns, granting::require_lasting, lasting::Lasting,
};
use crate::{
    gate::{Admission, Changes, Cx, Guard, Guarded, House, Op, Record, Row},
    resources,
};

/// Principals that one deny assignment names at most.
const MOST_PRINCIPALS: usize = 200;
/// Deny assignments of a directory.
const MOST_DENIALS: usize = 500;

/// Actions that are denied at a scope. Whatever it says, it denies nobody to read and delete deny assignments, so that those above
/// can lift it, and it does not reach the directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DenyAssignment {
    /// For people.
    pub deny_name: String,
    /// For people.
    pub description: String,
    /// Where, and below unless `is_for_scope_alone`.
    pub scope: ResourceId,
    /// What is denied, read as a role's: `not_actions` are not denied by this one.
    pub permissions: Permissions,
    /// Whom: users, groups, service principals, or the nil id for everyone.
    pub principals: Vec<PrincipalId>,
    /// Whom not.
    pub except: Vec<PrincipalId>,
    /// Whether scopes below are left alone.
    pub is_for_scope_alone: bool,
    /// Who made it.
    pub authored: Option<Authored>,
}

impl DenyAssignment {
    /// Whether it is for everyone.
    pub fn is_for_everyone(&self) -> bool {
        self.principals.iter().any(|id| id.0.is_nil())
    }

    /// Whether it is for a principal that is all of these: itself, and the groups above it.
    pub(super) fn binds(&self, selves: &[PrincipalId]) -> bool {
        let named = |list: &[PrincipalId]| selves.iter().any(|id| list.contains(id));
        (self.is_for_everyone() || named(&self.principals)) && !named(&self.except)
    }
}

impl Record for DenyAssignment {
    const TABLE: &'static str = "deny-assignment";
}

/// Denies something, or changes what is denied.
#[derive(Debug)]
pub struct PutDenyAssignment {
    /// Its own name.
    pub name: Uuid,
    /// What it is to say.
    pub assignment: DenyAssignment,
}

const WRITE: Action = Action::new("Microsoft.Authorization/denyAssignments/write", Class::Control);
const DELETE: Action = Action::new("Microsoft.Authorization/denyAssignments/delete", Class::Control);
const READ: Action = Action::new("Microsoft.Authorization/denyAssignments/read", Class::Read);

#[async_trait]
impl Op for PutDenyAssignment {
    const ACTION: Action = WRITE;
    const GUARDS: &'static [Guard] = &[Guard::RoleGrant];
    type Output = DenyAssignment;

    fn scope(&self) -> ResourceId {
        self.assignment.scope.clone()
    }

    fn guarded(&self, house: &House, _: &Caller) -> Result<Guarded> {
        // A new denial gives nobody anything; one in the place of another may.
        if !house.access().has_denial(self.name) {
            return Ok(Guarded::default());
        }
        let assignment = serde_json::to_value(&self.assignment).map_err(Error::internal)?;
        let body = json!({"name": self.name, "denyAssignment": assignment});
        Ok(Guarded::at(Guard::RoleGrant, &self.assignment.scope, body))
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<DenyAssignment> {
        check(cx, &self.assignment)?;
        let _turn = cx.house().assigning.lock().await;
        let epoch = Epoch::read(cx).await?;
        cx.require(&WRITE, &self.assignment.scope).await?;
        resources::require_scope_around(cx, "scope", &self.assignment.scope).await?;
        let present = cx.get::<DenyAssignment>(cx.system(), self.name.as_bytes()).await?;
        match &present {
            Some(row) => require_right_to_lift(cx, &row.value).await?,
            None => require_room(cx).await?,
        }
        if present.as_ref().is_some_and(|row| row.value.scope != self.assignment.scope) {
            return Err(Error::new(Kind::Conflict, "the id is used by a deny assignment of another scope"));
        }
        let authored = Authored::now(cx, present.as_ref().and_then(|row| row.value.authored));
        let assignment = DenyAssignment { authored, ..self.assignment };
        let row = match present {
            Some(mut row) => {
                row.value = assignment.clone();
                row
            }
            None => Row::new(self.name.as_bytes().as_slice(), assignment.clone()),
        };
        cx.note("denied", assignment.permissions.actions.join(" "));
        let mut changes = Changes::new();
        changes.put(cx.system(), &row)?;
        changes.put(cx.system(), &epoch)?;
        cx.commit(changes).await?;
        Ok(assignment)
    }
}

fn check(cx: &Admission<'_>, assignment: &DenyAssignment) -> Result<()> {
    let DenyAssignment { deny_name, description, permissions, principals, except, .. } = assignment;
    if deny_name.is_empty() || deny_name.chars().count() > 128 {
        return Err(Error::invalid("properties.denyAssignmentName", "1 to 128 characters"));
    }
    if description.chars().count() > 1024 {
        return Err(Error::invalid("properties.description", "at most 1024 characters"));
    }
    check_patterns(cx.house().access().catalogue(), permissions)?;
    if principals.is_empty() {
        return Err(Error::invalid(
            "properties.principals",
            "at least one principal; the nil GUID stands for everyone",
        ));
    }
    for (field, list) in [("properties.principals", principals), ("properties.excludePrincipals", except)] {
        if list.len() > MOST_PRINCIPALS {
            return Err(Error::invalid(field, format_args!("at most {MOST_PRINCIPALS}")));
        }
        if field != "properties.principals" && list.iter().any(|id| id.0.is_nil()) {
            return Err(Error::invalid(field, "everyone but everyone is nobody"));
        }
        let unknown = list.iter().find(|id| !id.0.is_nil() && cx.house().identity.kind_of(**id).is_none());
        if let Some(id) = unknown {
            return Err(Error::invalid(field, format_args!("no principal has object id `{id}`")));
        }
    }
    Ok(())
}

async fn require_room(cx: &Admission<'_>) -> Result<()> {
    match cx.all::<DenyAssignment>(cx.system(), b"").await?.len() < MOST_DENIALS {
        true => Ok(()),
        false => {
            let why = format!("a directory holds {MOST_DENIALS} deny assignments, and no more");
            Err(Error::new(Kind::TooLarge, why))
        }
    }
}

/// Refuses to let somebody lift what binds them, by removing it or by writing something else in its place.
async fn require_right_to_lift(cx: &Admission<'_>, denial: &DenyAssignment) -> Result<()> {
    cx.require(&DELETE, &denial.scope).await?;
    require_lasting(cx, &DELETE, &denial.scope, Lasting::ForGood)?;
    let Some(caller) = cx.caller().principal() else { return Ok(()) };
    let access = cx.house().access();
    let binds = denial.binds(&access.selves(caller.id));
    match binds && !access.may_grant_all(caller.id, &denial.scope, Lasting::ForGood) {
        true => {
            Err(Error::new(Kind::Denied, "whom a deny assignment is for does not lift it; an owner of the scope can"))
        }
        false => Ok(()),
    }
}

/// Reads one deny assignment.
#[derive(Debug)]
pub struct GetDenyAssignment {
    /// Its own name.
    pub name: Uuid,
    /// Where it was made.
    pub scope: ResourceId,
}

#[async_trait]
impl Op for GetDenyAssignment {
    const ACTION: Action = READ;
    type Output = DenyAssignment;

    fn scope(&self) -> ResourceId {
        self.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<DenyAssignment> {
        Ok(find(cx, self.name, &self.scope).await?.value)
    }
}

/// Lists deny assignments at the scope, above it (they apply there) and below it.
#[derive(Debug)]
pub struct ListDenyAssignments {
    /// The scope asked about.
    pub scope: ResourceId,
    /// Only at the scope and above (`atScope()`).
    pub at_scope: bool,
}

#[async_trait]
impl Op for ListDenyAssignments {
    const ACTION: Action = READ;
    type Output = Vec<(Uuid, DenyAssignment)>;

    fn scope(&self) -> ResourceId {
        self.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let wanted = |denial: &DenyAssignment| {
            self.scope.is_within(&denial.scope) || (!self.at_scope && denial.scope.is_within(&self.scope))
        };
        let rows = cx.all::<DenyAssignment>(cx.system(), b"").await?;
        let named = |row: Row<DenyAssignment>| Uuid::from_slice(&row.id).ok().map(|name| (name, row.value));
        Ok(rows.into_iter().filter(|row| wanted(&row.value)).filter_map(named).collect())
    }
}

/// Denies something no more.
#[derive(Debug)]
pub struct DeleteDenyAssignment {
    /// Its own name.
    pub name: Uuid,
    /// Where it was made.
    pub scope: ResourceId,
}

#[async_trait]
impl Op for DeleteDenyAssignment {
    const ACTION: Action = DELETE;
    const GUARDS: &'static [Guard] = &[Guard::RoleGrant];
    type Output = DenyAssignment;

    fn scope(&self) -> ResourceId {
        self.scope.clone()
    }

    fn guarded(&self, _: &House, _: &Caller) -> Result<Guarded> {
        Ok(Guarded::at(Guard::RoleGrant, &self.scope, json!({"name": self.name})))
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<DenyAssignment> {
        let _turn = cx.house().assigning.lock().await;
        let row = find(cx, self.name, &self.scope).await?;
        require_right_to_lift(cx, &row.value).await?;
        let mut changes = Changes::new();
        changes.delete(cx.system(), &row);
        cx.commit(changes).await?;
        Ok(row.value)
    }
}

async fn find(cx: &Admission<'_>, name: Uuid, scope: &ResourceId) -> Result<Row<DenyAssignment>> {
    let row = cx.get::<DenyAssignment>(cx.system(), name.as_bytes()).await?;
    row.filter(|row| row.value.scope == *scope)
        .ok_or_else(|| Error::not_found(format_args!("the deny assignment `{name}` at `{scope}`")))
}
