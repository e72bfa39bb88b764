//! Users: people with a sign-in name.

use std::str::FromStr;

use async_trait::async_trait;
use kernel::{Action, Class, Error, Kind, PrincipalId, PrincipalKind, ResourceId, Result, Secret, Timestamp};

use super::{
    listing::{Field, Listing, Page},
    naming,
    passwords::{self, NewPassword},
    power::require_power_over,
    removal::{cut_off, member_row, remove, require_room, set_enabled},
};
use crate::{
    gate::{Admission, Changes, Cx, Op, Row},
    identity::{Member, Person, found::new_member, sign_in::account_name},
};

const READ: Action = Action::new("Microsoft.Directory/users/read", Class::Read);
const WRITE: Action = Action::new("Microsoft.Directory/users/write", Class::Control);
const DELETE: Action = Action::new("Microsoft.Directory/users/delete", Class::Control);

/// A user as callers see it.
#[derive(Clone, Debug)]
pub struct User {
    /// Object id.
    pub id: PrincipalId,
    /// Sign-in name.
    pub user_name: String,
    /// For people.
    pub display_name: String,
    /// Whether the user may sign in.
    pub is_enabled: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// Whether the next sign-in asks for a new password.
    pub must_change: bool,
    /// When the password was set; none for users that sign in elsewhere.
    pub password_set_at: Option<Timestamp>,
    /// Whether a second factor is demanded of the user whatever the policies say.
    pub needs_mfa: bool,
}

/// A user by object id or by sign-in name.
#[derive(Clone, Debug)]
pub enum UserKey {
    /// The object id.
    Id(PrincipalId),
    /// The sign-in name, as given.
    Name(String),
}

impl FromStr for UserKey {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> std::result::Result<Self, Self::Err> {
        Ok(text.parse().map_or_else(|_| Self::Name(text.to_owned()), Self::Id))
    }
}

/// A user that was made.
#[derive(Debug)]
pub struct NewUser {
    /// The user.
    pub user: User,
    /// The password, when it was drawn here: shown this once.
    pub password: Option<Secret<String>>,
}

/// Makes a user.
#[derive(Debug)]
pub struct CreateUser {
    /// Sign-in name.
    pub user_name: String,
    /// For people.
    pub display_name: String,
    /// Whether the user may sign in.
    pub is_enabled: bool,
    /// The first password.
    pub password: NewPassword,
}

#[async_trait]
impl Op for CreateUser {
    const ACTION: Action = WRITE;
    type Output = NewUser;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<NewUser> {
        let user_name = naming::user_name(&self.user_name)?;
        naming::check_name("displayName", &self.display_name)?;
        require_room(cx)?;
        let taken = || {
            let why = format!("another user has the userPrincipalName `{user_name}`");
            Error::new(Kind::Exists, why)
        };
        let row = cx.system().name_id::<Person>(&user_name);
        if cx.get::<Person>(cx.system(), &row).await?.is_some() {
            return Err(taken());
        }
        let set = passwords::make(cx, self.password, &[&user_name, &self.display_name]).await?;
        let id = PrincipalId::random();
        let person = Person {
            principal: id,
            user_name: user_name.clone(),
            password: Some(set.hash),
            display_name: self.display_name,
            must_change: set.must_change,
            needs_mfa: false,
            password_set_at: Some(cx.now()),
        };
        let mut changes = Changes::new();
        let mut member = new_member(cx, id, PrincipalKind::User, &user_name, None);
        member.is_disabled = !self.is_enabled;
        changes.put(cx.system(), &Row::new(id.as_bytes().as_slice(), member.clone()))?;
        changes.put(cx.system(), &Row::new(row, person.clone()))?;
        cx.note("principal", id.to_string());
        cx.note("name", &user_name);
        match cx.commit(changes).await {
            Ok(()) => Ok(NewUser { user: view(&member, &person), password: set.drawn }),
            // Somebody else took the name since it was looked up.
            Err(fault) if fault.kind() == Kind::Stale => Err(taken()),
            Err(fault) => Err(fault),
        }
    }
}

/// Reads a user.
#[derive(Debug)]
pub struct GetUser {
    /// Which one.
    pub user: UserKey,
}

#[async_trait]
impl Op for GetUser {
    const ACTION: Action = READ;
    type Output = User;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<User> {
        let (member, person) = find(cx, &self.user).await?;
        Ok(view(&member.value, &person.value))
    }
}

/// Lists users.
#[derive(Debug)]
pub struct ListUsers {
    /// Which of them.
    pub listing: Listing,
}

#[async_trait]
impl Op for ListUsers {
    const ACTION: Action = READ;
    type Output = Page<User>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Page<User>> {
        self.listing.check(&[Field::DisplayName, Field::UserName])?;
        let wants = |row: &Row<Person>| {
            self.listing.wants(|field| match field {
                Field::DisplayName => Some(display_name(&row.value)),
                Field::UserName => Some(&row.value.user_name),
                Field::AppId => None,
            })
        };
        let page = match self.listing.exactly(Field::UserName) {
            // Asked for by its whole name, a user is found without reading the others.
            Some(name) => {
                let row = cx.system().name_id::<Person>(&account_name(name));
                let found = cx.get::<Person>(cx.system(), &row).await?.filter(wants);
                Page { entries: found.into_iter().collect(), next: None }
            }
            None => self.listing.scan(cx, wants).await?,
        };
        let state = cx.house().identity.state();
        Ok(page.filter_map(|row: Row<Person>| Some(view(state.members.get(&row.value.principal)?, &row.value))))
    }
}

/// What a user is to be; what is none stays.
#[derive(Debug, Default)]
pub struct UserForm {
    /// For people.
    pub display_name: Option<String>,
    /// Whether the user may sign in.
    pub is_enabled: Option<bool>,
    /// A new password.
    pub password: Option<NewPassword>,
    /// Whether the next sign-in asks for a new password, where none is given here.
    pub must_change: Option<bool>,
    /// Whether a second factor is demanded of the user whatever the policies say.
    pub needs_mfa: Option<bool>,
}

/// Changes a user. Disabling ends its tokens and sessions at once, and so does a new password.
#[derive(Debug)]
pub struct UpdateUser {
    /// Which one.
    pub user: UserKey,
    /// What is to be changed.
    pub form: UserForm,
}

#[async_trait]
impl Op for UpdateUser {
    const ACTION: Action = WRITE;
    type Output = User;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<User> {
        let _turn = cx.house().assigning.lock().await;
        let (mut member, mut person) = find(cx, &self.user).await?;
        cx.note("principal", member.value.id.to_string());
        let UserForm { display_name, is_enabled, password, must_change, needs_mfa } = self.form;
        let mut changes = Changes::new();
        if let Some(name) = display_name {
            naming::check_name("displayName", &name)?;
            person.value.display_name = name;
        }
        if let Some(needs_mfa) = needs_mfa {
            require_power_over(cx, member.value.id).await?;
            cx.note("needsMfa", needs_mfa.to_string());
            person.value.needs_mfa = needs_mfa;
        }
        if password.is_some() || must_change.is_some() {
            passwords::require_right(cx, member.value.id).await?;
        }
        if let Some(must_change) = must_change {
            person.value.must_change = must_change;
        }
        let mut is_over = password.is_some();
        if let Some(password) = password {
            passwords::set(cx, &mut changes, &mut person.value, password).await?;
        }
        if let Some(is_enabled) = is_enabled {
            is_over |= set_enabled(cx, &mut changes, &mut member.value, is_enabled).await?;
        }
        if is_over {
            cut_off(cx, &mut changes, &mut member.value).await?;
        }
        changes.put(cx.system(), &person)?;
        changes.put(cx.system(), &member)?;
        cx.commit(changes).await?;
        Ok(view(&member.value, &person.value))
    }
}

/// Deletes a user, with its roles and memberships. Its tokens and sessions end at once; its name is free.
#[derive(Debug)]
pub struct DeleteUser {
    /// Which one.
    pub user: UserKey,
}

#[async_trait]
impl Op for DeleteUser {
    const ACTION: Action = DELETE;
    type Output = ();

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let _turn = cx.house().assigning.lock().await;
        let (member, person) = find(cx, &self.user).await?;
        let mut changes = Changes::new();
        remove(cx, &mut changes, &member).await?;
        changes.delete(cx.system(), &person);
        cx.commit(changes).await
    }
}

/// Ends every session and token of a user. The user may sign in again.
#[derive(Debug)]
pub struct RevokeSignInSessions {
    /// Which one.
    pub user: UserKey,
}

#[async_trait]
impl Op for RevokeSignInSessions {
    const ACTION: Action = Action::new("Microsoft.Directory/users/invalidateAllRefreshTokens/action", Class::Control);
    type Output = ();

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let (mut member, _) = find(cx, &self.user).await?;
        cx.note("principal", member.value.id.to_string());
        let mut changes = Changes::new();
        cut_off(cx, &mut changes, &mut member.value).await?;
        changes.put(cx.system(), &member)?;
        cx.commit(changes).await
    }
}

/// A user's two rows.
pub(super) async fn find(cx: &Admission<'_>, key: &UserKey) -> Result<(Row<Member>, Row<Person>)> {
    let missing = || {
        let named = match key {
            UserKey::Id(id) => id.to_string(),
            UserKey::Name(name) => name.chars().filter(|c| !c.is_control()).take(120).collect(),
        };
        Error::not_found(format_args!("the user `{named}`"))
    };
    let user_name = match key {
        UserKey::Id(id) => match member_row(cx, *id).await?.filter(|row| row.value.kind == PrincipalKind::User) {
            Some(member) => member.value.name,
            None => return Err(missing()),
        },
        UserKey::Name(name) => account_name(name),
    };
    let row = cx.system().name_id::<Person>(&user_name);
    let person = cx.get::<Person>(cx.system(), &row).await?.ok_or_else(missing)?;
    let member = member_row(cx, person.value.principal).await?.ok_or_else(missing)?;
    Ok((member, person))
}

fn view(member: &Member, person: &Person) -> User {
    User {
        id: member.id,
        user_name: person.user_name.clone(),
        display_name: display_name(person).to_owned(),
        is_enabled: !member.is_disabled,
        created_at: member.created_at,
        must_change: person.must_change,
        password_set_at: person.password_set_at,
        needs_mfa: person.needs_mfa,
    }
}

/// What people call a user.
pub(super) fn display_name(person: &Person) -> &str {
    if person.display_name.is_empty() { &person.user_name } else { &person.display_name }
}
