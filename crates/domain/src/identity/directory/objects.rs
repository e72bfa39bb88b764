//! Principals of any kind, by their object ids.

use async_trait::async_trait;
use kernel::{Action, AppId, Class, Error, PrincipalId, PrincipalKind, ResourceId, Result};

use super::users::display_name;
use crate::{
    gate::{Admission, Cx, Op},
    identity::Person,
};

const READ: Action = Action::new("Microsoft.Directory/directoryObjects/read", Class::Read);
/// Ids that may be asked for at once (as Graph bounds it).
const MOST_IDS: usize = 1000;

/// A principal of any kind, as lists show it.
#[derive(Clone, Debug)]
pub struct DirectoryObject {
    /// Object id.
    pub id: PrincipalId,
    /// What it is.
    pub kind: PrincipalKind,
    /// For people.
    pub name: String,
    /// Sign-in name, for users.
    pub user_name: Option<String>,
    /// Client id, for service principals.
    pub app: Option<AppId>,
}

/// Reads a principal.
#[derive(Debug)]
pub struct GetDirectoryObject {
    /// Object id.
    pub id: PrincipalId,
}

#[async_trait]
impl Op for GetDirectoryObject {
    const ACTION: Action = READ;
    type Output = DirectoryObject;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<DirectoryObject> {
        let found = views(cx, &[self.id]).await?.pop();
        found.ok_or_else(|| Error::not_found(format_args!("the principal `{}`", self.id)))
    }
}

/// Reads several principals; those that are not there are left out.
#[derive(Debug)]
pub struct GetDirectoryObjects {
    /// Object ids.
    pub ids: Vec<PrincipalId>,
    /// Only of these kinds; of all when empty.
    pub kinds: Vec<PrincipalKind>,
}

#[async_trait]
impl Op for GetDirectoryObjects {
    const ACTION: Action = READ;
    type Output = Vec<DirectoryObject>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        if self.ids.len() > MOST_IDS {
            return Err(Error::invalid("ids", format_args!("are more than {MOST_IDS}; ask for fewer at once")));
        }
        let mut found = views(cx, &self.ids).await?;
        found.retain(|object| self.kinds.is_empty() || self.kinds.contains(&object.kind));
        Ok(found)
    }
}

/// The principals with these ids; those that are not there are left out.
pub(super) async fn views(cx: &Admission<'_>, ids: &[PrincipalId]) -> Result<Vec<DirectoryObject>> {
    let state = cx.house().identity.state();
    let mut found = Vec::with_capacity(ids.len());
    for member in ids.iter().filter_map(|id| state.members.get(id)) {
        let mut object = DirectoryObject {
            id: member.id,
            kind: member.kind,
            name: member.name.clone(),
            user_name: None,
            app: member.app,
        };
        if member.kind == PrincipalKind::User {
            let row = cx.system().name_id::<Person>(&member.name);
            let person = cx.get::<Person>(cx.system(), &row).await?;
            object.name = person.map_or_else(|| member.name.clone(), |row| display_name(&row.value).to_owned());
            object.user_name = Some(member.name.clone());
        }
        found.push(object);
    }
    Ok(found)
}
