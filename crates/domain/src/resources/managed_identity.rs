//! User-assigned managed identities as resources, and which identities a compute target has
//! (`Microsoft.ManagedIdentity`, api 2023-01-31).

use std::collections::BTreeMap;

use async_trait::async_trait;
use kernel::{Action, AppId, Class, Error, Kind, PrincipalId, PrincipalKind, ResourceId, Result, TenantId, Timestamp};
use serde::{Deserialize, Serialize};

use super::{Precondition, PutResource, Resource, ResourceGroup, ResourceType, Target, Written, find, row_id};
use crate::{
    access::{remove_of_managed, remove_within},
    gate::{Admission, Changes, Cx, Op, Row},
    governance::amend,
    identity::{Member, end_managed_principals, require_room},
};

/// Identities that one target may have.
const MOST_OF_A_TARGET: usize = 50;

/// Handing an identity to a target or a run: whoever may, lets the code there act as that identity.
pub(crate) const ASSIGN: Action =
    Action::new("Microsoft.ManagedIdentity/userAssignedIdentities/assign/action", Class::Control);

/// A user-assigned identity: a principal that has no credential. Roles are assigned to it like to any other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserAssignedIdentity {
    /// Object id: what roles are assigned to.
    pub principal: PrincipalId,
    /// Client id: by which code asks for its token.
    pub client: AppId,
    /// Its tenant.
    pub tenant: TenantId,
}

impl ResourceType for UserAssignedIdentity {
    const TYPE: &'static str = "Microsoft.ManagedIdentity/userAssignedIdentities";
    const READ: Action = Action::new("Microsoft.ManagedIdentity/userAssignedIdentities/read", Class::Read);
    const WRITE: Action = Action::new("Microsoft.ManagedIdentity/userAssignedIdentities/write", Class::Control);
    const DELETE: Action = Action::new("Microsoft.ManagedIdentity/userAssignedIdentities/delete", Class::Control);

    fn check(&self, id: &ResourceId) -> Result<()> {
        let name = id.name();
        let starts = name.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
        if (3..=128).contains(&name.len()) && starts && name.chars().all(fits) {
            return Ok(());
        }
        Err(Error::invalid("name", "must be 3 to 128 letters, digits or `-_`, beginning with a letter or digit"))
    }
}

/// The identities of a compute target, which its jobs may act as.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TargetIdentities {
    /// Its own, which lives and ends with it.
    pub system: Option<SystemIdentity>,
    /// Those handed to it.
    pub user_assigned: Vec<HandedIdentity>,
}

/// A user-assigned identity that was handed to something: one that is made later under the same name is another.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "StoredHanded")]
pub struct HandedIdentity {
    /// Its resource.
    pub id: ResourceId,
    /// The object id that it had then. None in rows of the first release, which kept the resource alone.
    pub principal: Option<PrincipalId>,
}

/// As rows hold it, those of the first release included.
#[derive(Deserialize)]
#[serde(untagged)]
enum StoredHanded {
    Resource(ResourceId),
    Handed { id: ResourceId, principal: Option<PrincipalId> },
}

impl From<StoredHanded> for HandedIdentity {
    fn from(stored: StoredHanded) -> Self {
        match stored {
            StoredHanded::Resource(id) => Self { id, principal: None },
            StoredHanded::Handed { id, principal } => Self { id, principal },
        }
    }
}

impl HandedIdentity {
    /// Whether this is the identity that was handed over when the holder was changed last.
    pub(crate) fn is(&self, found: &Resource<UserAssignedIdentity>, holder_changed_at: Timestamp) -> bool {
        match self.principal {
            Some(principal) => principal == found.properties.principal,
            None => found.system.created_at <= holder_changed_at,
        }
    }
}

/// The identity that is a target's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemIdentity {
    /// Object id.
    pub principal: PrincipalId,
    /// Client id.
    pub client: AppId,
}

/// A fresh principal for something that is no person and has no credential.
pub(super) fn add_managed(
    cx: &Admission<'_>,
    changes: &mut Changes,
    name: &str,
    of: &ResourceId,
) -> Result<(PrincipalId, AppId)> {
    require_room(cx)?;
    let (id, app) = (PrincipalId::random(), AppId::random());
    let member = Member {
        id,
        kind: PrincipalKind::ServicePrincipal,
        name: name.to_owned(),
        app: Some(app),
        is_disabled: false,
        created_at: cx.now(),
        valid_from: Timestamp(0),
        managed_by: Some(of.clone()),
    };
    changes.put(cx.system(), &Row::new(id.as_bytes().as_slice(), member))?;
    cx.note("principal", id.to_string());
    Ok((id, app))
}

/// Ends the managed principals of whatever lies within a scope, with their roles and those assigned there: their tokens are
/// refused once `changes` are committed.
pub(super) async fn end_managed(cx: &Admission<'_>, changes: &mut Changes, within: &ResourceId) -> Result<()> {
    let ended = cx.house().identity.managed_within(within);
    end_managed_principals(cx, changes, &ended).await?;
    remove_within(cx, std::slice::from_ref(within), &ended, changes).await
}

/// Creates a user-assigned identity, or changes its tags.
#[derive(Debug)]
pub struct PutUserAssignedIdentity {
    /// Its id, directly below a resource group.
    pub id: ResourceId,
    /// Where; kept when empty.
    pub location: String,
    /// Free labels.
    pub tags: BTreeMap<String, String>,
}

#[async_trait]
impl Op for PutUserAssignedIdentity {
    const ACTION: Action = UserAssignedIdentity::WRITE;
    type Output = Written<Resource<UserAssignedIdentity>>;

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        find::<ResourceGroup>(cx, &self.id.parent()).await?;
        let system = cx.system();
        let row = row_id::<UserAssignedIdentity>(system, &self.id);
        let mut changes = Changes::new();
        let properties = match cx.get::<Resource<UserAssignedIdentity>>(system, &row).await? {
            Some(row) => row.value.properties,
            None => {
                let (principal, client) = add_managed(cx, &mut changes, self.id.name(), &self.id)?;
                let tenant = cx.house().tenant().ok_or_else(|| Error::internal("a house without a tenant"))?;
                UserAssignedIdentity { principal, client, tenant }
            }
        };
        let Self { id, location, tags } = self;
        let put = PutResource { id, location, tags, properties, precondition: Precondition::default() };
        put.apply_with(cx, changes).await
    }
}

/// Removes a user-assigned identity with its roles. Targets and queued jobs that name it have it no more.
#[derive(Debug)]
pub struct DeleteUserAssignedIdentity {
    /// Its id.
    pub id: ResourceId,
}

#[async_trait]
impl Op for DeleteUserAssignedIdentity {
    const ACTION: Action = UserAssignedIdentity::DELETE;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let (shelf, row) = find::<UserAssignedIdentity>(cx, &self.id).await?;
        let mut changes = Changes::new();
        changes.delete(&shelf, &row);
        end_managed(cx, &mut changes, &self.id).await?;
        cx.commit(changes).await
    }
}

/// Says which identities a compute target has.
#[derive(Debug)]
pub struct UpdateTarget {
    /// The target.
    pub id: ResourceId,
    /// Whether it has one of its own.
    pub system_assigned: bool,
    /// Those handed to it. The caller needs the right to assign each.
    pub user_assigned: Vec<ResourceId>,
}

#[async_trait]
impl Op for UpdateTarget {
    const ACTION: Action = Target::WRITE;
    type Output = Row<Resource<Target>>;

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        if self.user_assigned.len() > MOST_OF_A_TARGET {
            let why = format_args!("a target has at most {MOST_OF_A_TARGET} of them");
            return Err(Error::invalid("identity.userAssignedIdentities", why));
        }
        let (shelf, mut row) = find::<Target>(cx, &self.id).await?;
        let mut user_assigned: Vec<HandedIdentity> = Vec::new();
        for id in &self.user_assigned {
            let Resource { id, properties, .. } = assignable(cx, id, "identity.userAssignedIdentities").await?;
            let handed = HandedIdentity { id, principal: Some(properties.principal) };
            if !user_assigned.contains(&handed) {
                user_assigned.push(handed);
            }
        }
        let mut changes = Changes::new();
        let before = row.value.properties.identities.system.take();
        let system = match (before, self.system_assigned) {
            (Some(own), true) => Some(own),
            (None, true) => {
                // Named as Azure names it, so that it can be found when roles are assigned.
                let workspace = self.id.parent();
                let name = format!("{}/computes/{}", workspace.name(), self.id.name());
                let (principal, client) = add_managed(cx, &mut changes, &name, &self.id)?;
                Some(SystemIdentity { principal, client })
            }
            (Some(own), false) => {
                // The target stays, and with it what others hold there.
                end_managed_principals(cx, &mut changes, &[own.principal]).await?;
                remove_of_managed(cx, &[own.principal], &mut changes).await?;
                None
            }
            (None, false) => None,
        };
        row.value.properties.identities = TargetIdentities { system, user_assigned };
        row.value.system.touch(cx);
        amend(cx, &mut row.value, None)?;
        changes.put(&shelf, &row)?;
        cx.commit(changes).await?;
        row.version = row.version.saturating_add(1);
        Ok(row)
    }
}

/// A user-assigned identity that the caller may hand to something. One the caller may not see is as good as none.
pub(crate) async fn assignable(
    cx: &Admission<'_>,
    id: &ResourceId,
    field: &str,
) -> Result<Resource<UserAssignedIdentity>> {
    let missing = || Error::invalid(field, format_args!("there is no managed identity `{id}`"));
    if id.value_of("userAssignedIdentities").is_none() || !cx.may(&UserAssignedIdentity::READ, id) {
        return Err(missing());
    }
    let found = match find::<UserAssignedIdentity>(cx, id).await {
        Ok((_, row)) => row.value,
        Err(fault) if fault.kind() == Kind::NotFound => return Err(missing()),
        Err(fault) => return Err(fault),
    };
    cx.require(&ASSIGN, id).await?;
    Ok(found)
}
