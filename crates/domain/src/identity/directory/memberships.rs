//! Who belongs to which group. A group's members have its roles, and so does whoever is in a group among them.

use async_trait::async_trait;
use kernel::{Action, Caller, Class, Error, Kind, PrincipalId, ResourceId, Result};

use super::{
    MOST_MEMBERSHIPS, groups,
    listing::{Listing, Page},
    objects::{self, DirectoryObject},
    power::require_power_over_group,
    removal::membership_id,
};
use crate::{
    gate::{Admission, Changes, Cx, Guard, Guarded, House, Op, Row},
    identity::Membership,
};
use serde_json::json;

const UPDATE: Action = Action::new("Microsoft.Directory/groups/members/update", Class::Control);
const READ: Action = Action::new("Microsoft.Directory/groups/members/read", Class::Read);

/// Puts a principal into a group. Whoever may must be able to grant what the group holds.
#[derive(Debug)]
pub struct AddGroupMember {
    /// The group.
    pub group: PrincipalId,
    /// Who is to belong to it: anybody, a group too.
    pub member: PrincipalId,
}

#[async_trait]
impl Op for AddGroupMember {
    const ACTION: Action = UPDATE;
    const GUARDS: &'static [Guard] = &[Guard::RoleGrant, Guard::Rule];
    type Output = ();

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    fn guarded(&self, house: &House, _: &Caller) -> Result<Guarded> {
        let named = |id: PrincipalId| json!({"id": id, "name": house.identity.name_of(id)});
        let body = json!({"group": named(self.group), "member": named(self.member)});
        Ok(Guarded { places: house.access().places_of_group(self.group), body, secret: None })
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let Self { group, member } = self;
        // Between the look at what the group holds and the commit, neither its roles nor its members change.
        let _turn = cx.house().assigning.lock().await;
        groups::find(cx, group).await?;
        if cx.house().identity.kind_of(member).is_none() {
            let why = format_args!("no principal has object id `{member}`; a client id is not an object id");
            return Err(Error::invalid("@odata.id", why));
        }
        if group == member {
            return Err(Error::new(Kind::Conflict, "a group does not belong to itself"));
        }
        note(cx, group, member);
        require_power_over_group(cx, group).await?;
        let id = membership_id(group, member);
        if cx.get::<Membership>(cx.system(), &id).await?.is_some() {
            return Err(Error::new(Kind::Exists, "the member belongs to the group already"));
        }
        if cx.house().access().memberships() >= MOST_MEMBERSHIPS {
            let why = format!("the directory holds {MOST_MEMBERSHIPS} memberships, and no more");
            return Err(Error::new(Kind::TooLarge, why));
        }
        let mut changes = Changes::new();
        changes.put(cx.system(), &Row::new(id, Membership { group, member }))?;
        cx.commit(changes).await
    }
}

/// Takes a principal out of a group: what the group gave it is gone at once.
#[derive(Debug)]
pub struct RemoveGroupMember {
    /// The group.
    pub group: PrincipalId,
    /// Who belongs to it.
    pub member: PrincipalId,
}

#[async_trait]
impl Op for RemoveGroupMember {
    const ACTION: Action = UPDATE;
    type Output = ();

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let Self { group, member } = self;
        let _turn = cx.house().assigning.lock().await;
        groups::find(cx, group).await?;
        note(cx, group, member);
        require_power_over_group(cx, group).await?;
        let row = cx.get::<Membership>(cx.system(), &membership_id(group, member)).await?;
        let row = row.ok_or_else(|| Error::not_found(format_args!("`{member}` in the group `{group}`")))?;
        let mut changes = Changes::new();
        changes.delete(cx.system(), &row);
        cx.commit(changes).await
    }
}

/// Lists who belongs to a group.
#[derive(Debug)]
pub struct ListGroupMembers {
    /// The group.
    pub group: PrincipalId,
    /// Also who belongs to it through other groups.
    pub is_transitive: bool,
    /// Which of them.
    pub listing: Listing,
}

#[async_trait]
impl Op for ListGroupMembers {
    const ACTION: Action = READ;
    type Output = Page<DirectoryObject>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        groups::find(cx, self.group).await?;
        let access = cx.house().access().clone();
        let found = match self.is_transitive {
            true => access.below(self.group),
            false => access.members_of(self.group).to_vec(),
        };
        page(cx, &self.listing, found).await
    }
}

/// Lists the groups that a principal belongs to.
#[derive(Debug)]
pub struct ListMemberOf {
    /// Who.
    pub member: PrincipalId,
    /// Also those that it belongs to through other groups.
    pub is_transitive: bool,
    /// Which of them.
    pub listing: Listing,
}

#[async_trait]
impl Op for ListMemberOf {
    const ACTION: Action = READ;
    type Output = Page<DirectoryObject>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        if cx.house().identity.kind_of(self.member).is_none() {
            return Err(Error::not_found(format_args!("the principal `{}`", self.member)));
        }
        let access = cx.house().access().clone();
        let found = match self.is_transitive {
            true => access.above(self.member),
            false => access.groups_of(self.member).to_vec(),
        };
        page(cx, &self.listing, found).await
    }
}

fn note(cx: &Admission<'_>, group: PrincipalId, member: PrincipalId) {
    cx.note("group", group.to_string());
    cx.note("principal", member.to_string());
}

async fn page(cx: &Admission<'_>, listing: &Listing, mut found: Vec<PrincipalId>) -> Result<Page<DirectoryObject>> {
    listing.check(&[])?;
    found.sort_unstable();
    let page = listing.cut(found.into_iter(), |id| id.as_bytes().to_vec());
    let entries = objects::views(cx, &page.entries).await?;
    Ok(Page { entries, next: page.next })
}
