//! Groups: sets of principals, that roles are assigned to. Groups may contain groups.

use async_trait::async_trait;
use kernel::{Action, Class, Error, Kind, PrincipalId, PrincipalKind, ResourceId, Result, Timestamp};

use super::{
    MOST_GROUPS,
    listing::{Field, Listing, Page},
    naming,
    power::require_power_over_group,
    removal::{member_row, remove, require_room},
};
use crate::{
    gate::{Admission, Changes, Cx, Op, Row},
    identity::{Member, found::new_member, records::Group},
};

const READ: Action = Action::new("Microsoft.Directory/groups/read", Class::Read);
const WRITE: Action = Action::new("Microsoft.Directory/groups/write", Class::Control);
const DELETE: Action = Action::new("Microsoft.Directory/groups/delete", Class::Control);

/// A group as callers see it.
#[derive(Clone, Debug)]
pub struct GroupView {
    /// Object id.
    pub id: PrincipalId,
    /// For people. Two groups may have the same.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Its short name.
    pub nickname: String,
    /// When it was made.
    pub created_at: Timestamp,
}

/// What a group is to be; what is none stays, or is empty in a new one.
#[derive(Debug, Default)]
pub struct GroupForm {
    /// For people.
    pub name: Option<String>,
    /// What it is for.
    pub description: Option<String>,
    /// Its short name; made from the name in a new group that is given none.
    pub nickname: Option<String>,
}

impl GroupForm {
    fn check(&self) -> Result<()> {
        self.name.as_deref().map_or(Ok(()), |name| naming::check_name("displayName", name))?;
        self.description.as_deref().map_or(Ok(()), naming::check_description)?;
        self.nickname.as_deref().map_or(Ok(()), naming::check_nickname)
    }
}

/// Makes a group without members.
#[derive(Debug)]
pub struct CreateGroup {
    /// What it is to be.
    pub form: GroupForm,
}

#[async_trait]
impl Op for CreateGroup {
    const ACTION: Action = WRITE;
    type Output = GroupView;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<GroupView> {
        self.form.check()?;
        let GroupForm { name, description, nickname } = self.form;
        let name = name.ok_or_else(|| Error::invalid("displayName", "is needed"))?;
        require_room(cx)?;
        let state = cx.house().identity.state();
        if state.members.values().filter(|member| member.kind == PrincipalKind::Group).count() >= MOST_GROUPS {
            return Err(Error::new(Kind::TooLarge, format!("the directory holds {MOST_GROUPS} groups, and no more")));
        }
        let id = PrincipalId::random();
        let group = Group {
            principal: id,
            description: description.unwrap_or_default(),
            nickname: nickname.unwrap_or_else(|| nickname_of(&name)),
        };
        let member = new_member(cx, id, PrincipalKind::Group, &name, None);
        let mut changes = Changes::new();
        changes.put(cx.system(), &Row::new(id.as_bytes().as_slice(), member.clone()))?;
        changes.put(cx.system(), &Row::new(id.as_bytes().as_slice(), group.clone()))?;
        cx.note("principal", id.to_string());
        cx.note("name", &name);
        cx.commit(changes).await?;
        Ok(view(&member, &group))
    }
}

/// Reads a group.
#[derive(Debug)]
pub struct GetGroup {
    /// Object id.
    pub group: PrincipalId,
}

#[async_trait]
impl Op for GetGroup {
    const ACTION: Action = READ;
    type Output = GroupView;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<GroupView> {
        let (member, group) = find(cx, self.group).await?;
        Ok(view(&member.value, &group.value))
    }
}

/// Lists groups.
#[derive(Debug)]
pub struct ListGroups {
    /// Which of them.
    pub listing: Listing,
}

#[async_trait]
impl Op for ListGroups {
    const ACTION: Action = READ;
    type Output = Page<GroupView>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Page<GroupView>> {
        self.listing.check(&[Field::DisplayName])?;
        let state = cx.house().identity.state();
        let member = |row: &Row<Group>| state.members.get(&row.value.principal);
        let name_of = |row: &Row<Group>| member(row).map(|member| member.name.as_str());
        let wants = |row: &Row<Group>| {
            name_of(row).is_some_and(|name| self.listing.wants(|field| (field == Field::DisplayName).then_some(name)))
        };
        let page = self.listing.scan(cx, wants).await?;
        Ok(page.filter_map(|row: Row<Group>| Some(view(member(&row)?, &row.value))))
    }
}

/// Changes a group's name and description.
#[derive(Debug)]
pub struct UpdateGroup {
    /// Object id.
    pub group: PrincipalId,
    /// What is to be changed.
    pub form: GroupForm,
}

#[async_trait]
impl Op for UpdateGroup {
    const ACTION: Action = WRITE;
    type Output = GroupView;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<GroupView> {
        self.form.check()?;
        let (mut member, mut group) = find(cx, self.group).await?;
        cx.note("principal", self.group.to_string());
        let mut changes = Changes::new();
        if let Some(name) = self.form.name {
            cx.note("name", &name);
            member.value.name = name;
            changes.put(cx.system(), &member)?;
        }
        group.value.description = self.form.description.unwrap_or(group.value.description);
        group.value.nickname = self.form.nickname.unwrap_or(group.value.nickname);
        changes.put(cx.system(), &group)?;
        cx.commit(changes).await?;
        Ok(view(&member.value, &group.value))
    }
}

/// Deletes a group with its roles and memberships: whoever was in it loses what it gave, at once.
#[derive(Debug)]
pub struct DeleteGroup {
    /// Object id.
    pub group: PrincipalId,
}

#[async_trait]
impl Op for DeleteGroup {
    const ACTION: Action = DELETE;
    type Output = ();

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let _turn = cx.house().assigning.lock().await;
        let (member, group) = find(cx, self.group).await?;
        require_power_over_group(cx, self.group).await?;
        let mut changes = Changes::new();
        remove(cx, &mut changes, &member).await?;
        changes.delete(cx.system(), &group);
        cx.commit(changes).await
    }
}

/// A group's two rows.
pub(super) async fn find(cx: &Admission<'_>, id: PrincipalId) -> Result<(Row<Member>, Row<Group>)> {
    let missing = || Error::not_found(format_args!("the group `{id}`"));
    let member = member_row(cx, id).await?.filter(|row| row.value.kind == PrincipalKind::Group).ok_or_else(missing)?;
    let group = cx.get::<Group>(cx.system(), id.as_bytes()).await?.ok_or_else(missing)?;
    Ok((member, group))
}

fn view(member: &Member, group: &Group) -> GroupView {
    GroupView {
        id: member.id,
        name: member.name.clone(),
        description: group.description.clone(),
        nickname: group.nickname.clone(),
        created_at: member.created_at,
    }
}

/// A short name from a name for people.
fn nickname_of(name: &str) -> String {
    let kept: String = name.chars().filter(char::is_ascii_alphanumeric).take(64).collect();
    if kept.is_empty() { String::from("group") } else { kept }
}
