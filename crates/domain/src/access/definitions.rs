//! Role definitions as resources (Microsoft.Authorization/roleDefinitions, api-version 2022-04-01).

use std::collections::BTreeSet;

use async_trait::async_trait;
use kernel::{Action, Caller, Class, Error, Kind, ResourceId, Result};
use serde_json::json;
use uuid::Uuid;

use super::{
    Authored, Catalogue, Eligibility, Permissions, RoleAssignment, RoleDefinition,
    assignments::Epoch,
    granting::{require_all_of, require_lasting},
    lasting::Lasting,
    pattern::Pattern,
    role::Rules,
};
use crate::{
    gate::{Admission, Changes, Cx, Guard, Guarded, House, Op, Row},
    resources,
};

/// Roles that a directory holds beside those that ship.
const MOST_ROLES: usize = 2000;
/// Patterns of one role, in all of its lists.
const MOST_PATTERNS: usize = 1000;
/// Characters of all of them: every change of a role reads all roles.
const MOST_CHARACTERS: usize = 32 << 10;
/// Characters of a pattern.
const LONGEST_PATTERN: usize = 256;
/// Scopes of one role.
const MOST_SCOPES: usize = 200;

const WRITE: Action = Action::new("Microsoft.Authorization/roleDefinitions/write", Class::Control);
const DELETE: Action = Action::new("Microsoft.Authorization/roleDefinitions/delete", Class::Control);
const READ: Action = Action::new("Microsoft.Authorization/roleDefinitions/read", Class::Read);

/// What a role is to be.
#[derive(Clone, Debug)]
pub struct RoleForm {
    /// Its name: 1 to 128 characters, unique in the directory.
    pub role_name: String,
    /// For people, at most 1024 characters.
    pub description: String,
    /// What it allows.
    pub permissions: Permissions,
    /// Subscriptions, resource groups and workspaces, at least one.
    pub assignable_scopes: Vec<ResourceId>,
}

impl RoleForm {
    /// The role of this id that the form describes.
    pub(super) fn into_role(self, id: Uuid, authored: Option<Authored>) -> RoleDefinition {
        let Self { role_name, description, permissions, assignable_scopes } = self;
        RoleDefinition { id, role_name, description, permissions, assignable_scopes, authored }
    }

    /// Checks what can be checked without looking at anything else.
    ///
    /// # Errors
    /// `Invalid`, naming the field.
    pub(super) fn check(&self, catalogue: &Catalogue) -> Result<()> {
        let name = self.role_name.as_str();
        let is_plain = (1..=128).contains(&name.chars().count()) && !name.chars().any(char::is_control);
        // A name that is an id, or looks like another in print, would be taken for that.
        if !is_plain || name.trim() != name || name.parse::<Uuid>().is_ok() {
            let why = "1 to 128 characters, without control characters, no white space at its ends, and no GUID";
            return Err(Error::invalid("properties.roleName", why));
        }
        if self.description.chars().count() > 1024 {
            return Err(Error::invalid("properties.description", "at most 1024 characters"));
        }
        check_patterns(catalogue, &self.permissions)?;
        if self.assignable_scopes.is_empty() || self.assignable_scopes.len() > MOST_SCOPES {
            return Err(Error::invalid("properties.assignableScopes", format_args!("1 to {MOST_SCOPES} scopes")));
        }
        let distinct: BTreeSet<&ResourceId> = self.assignable_scopes.iter().collect();
        if distinct.len() < self.assignable_scopes.len() {
            return Err(Error::invalid("properties.assignableScopes", "names a scope twice"));
        }
        if self.assignable_scopes.iter().any(ResourceId::is_root) {
            let why = "the root `/` is for roles that ship; name subscriptions, resource groups or workspaces";
            return Err(Error::invalid("properties.assignableScopes", why));
        }
        Ok(())
    }
}

/// Checks the patterns of a role: bounded, and each of them about something that there is.
///
/// # Errors
/// `Invalid`, naming the list and the pattern.
pub(super) fn check_patterns(catalogue: &Catalogue, permissions: &Permissions) -> Result<()> {
    if permissions.patterns().count() > MOST_PATTERNS {
        let why = format!("at most {MOST_PATTERNS} patterns in all; wildcards (`*`) stand for many actions");
        return Err(Error::invalid("properties.permissions", why));
    }
    if permissions.patterns().map(|(_, text)| text.len()).sum::<usize>() > MOST_CHARACTERS {
        let why = format!("at most {MOST_CHARACTERS} characters in all; wildcards (`*`) stand for many actions");
        return Err(Error::invalid("properties.permissions", why));
    }
    if permissions.actions.is_empty() && permissions.data_actions.is_empty() {
        return Err(Error::invalid("properties.permissions.actions", "a role that allows nothing is no role"));
    }
    for (list, text) in permissions.patterns() {
        let field = format!("properties.permissions.{list}");
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '/' | '*' | '_' | '-');
        if text.is_empty() || text.len() > LONGEST_PATTERN || !text.chars().all(plain) {
            let why = format!("1 to {LONGEST_PATTERN} letters, digits, `.`, `/`, `_`, `-` and `*`, as in `*/read`");
            return Err(Error::invalid(field, why));
        }
        let is_data = list.to_ascii_lowercase().ends_with("dataactions");
        if !is_known(catalogue, text, is_data) {
            let why = format!("`{text}` matches no operation; `bartizan provider operation list` shows what there is");
            return Err(Error::invalid(field, why));
        }
    }
    Ok(())
}

/// Whether a pattern is about something: it matches an entry of the catalogue, or all of a namespace.
fn is_known(catalogue: &Catalogue, text: &str, is_data: bool) -> bool {
    let pattern = Pattern::new(text);
    let entries = catalogue.entries().iter().filter(|entry| entry.action.is_data() == is_data);
    text == "*" || entries.into_iter().any(|entry| pattern.matches(&entry.action.name().to_ascii_lowercase()))
}

/// Makes a role, or changes one that somebody made.
#[derive(Debug)]
pub struct PutRoleDefinition {
    /// Its id.
    pub id: Uuid,
    /// The scope in the address; the right to write is looked up there and at every assignable scope.
    pub scope: ResourceId,
    /// What it is to be.
    pub form: RoleForm,
}

#[async_trait]
impl Op for PutRoleDefinition {
    const ACTION: Action = WRITE;
    const GUARDS: &'static [Guard] = &[Guard::RoleGrant];
    type Output = RoleDefinition;

    fn scope(&self) -> ResourceId {
        self.scope.clone()
    }

    fn guarded(&self, house: &House, _: &Caller) -> Result<Guarded> {
        let access = house.access();
        let form = &self.form;
        let body = json!({
            "role": {"id": self.id, "name": form.role_name, "description": form.description},
            "permissions": form.permissions,
            "assignableScopes": form.assignable_scopes,
            "before": access.role_in_words(self.id),
        });
        Ok(Guarded { places: access.places_of_role(self.id), body, secret: None })
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<RoleDefinition> {
        self.form.check(cx.house().access().catalogue())?;
        if RoleDefinition::built_in(self.id).is_some() {
            return Err(Error::new(Kind::Conflict, "a role that ships cannot be changed; make one of your own"));
        }
        cx.note("role", &self.form.role_name);
        let _turn = cx.house().assigning.lock().await;
        let epoch = Epoch::read(cx).await?;
        let all = cx.all::<RoleDefinition>(cx.system(), b"").await?;
        let present = all.iter().find(|row| row.value.id == self.id);
        require_new_name(&all, self.id, &self.form.role_name)?;
        if present.is_none() && all.len() >= MOST_ROLES {
            return Err(Error::new(
                Kind::TooLarge,
                format!("a directory holds {MOST_ROLES} roles of its own, and no more"),
            ));
        }
        if let Some(row) = present {
            require_right_to_change(cx, &WRITE, &row.value, Lasting::ForGood).await?;
        }
        let given = cx.house().access().allowed_by(&Rules::new(&self.form.permissions));
        for scope in &self.form.assignable_scopes {
            cx.require(&WRITE, scope).await?;
            require_lasting(cx, &WRITE, scope, Lasting::ForGood)?;
            require_all_of(cx, &given, scope, Lasting::ForGood).await?;
        }
        for scope in &self.form.assignable_scopes {
            resources::require_scope(cx, "properties.assignableScopes", scope).await?;
        }
        let authored = Authored::now(cx, present.and_then(|row| row.value.authored));
        let role = self.form.into_role(self.id, authored);
        require_room_for_assignments(cx, &role).await?;
        let row = match present {
            Some(row) => Row { value: role.clone(), ..row.clone() },
            None => Row::new(self.id.as_bytes().as_slice(), role.clone()),
        };
        let mut changes = Changes::new();
        changes.put(cx.system(), &row)?;
        changes.put(cx.system(), &epoch)?;
        cx.commit(changes).await?;
        Ok(role)
    }
}

/// Refuses whoever may not do this at every scope of a role, or does not hold what the role gives: to change it is to take that
/// from everybody who holds it.
async fn require_right_to_change(
    cx: &Admission<'_>,
    action: &Action,
    role: &RoleDefinition,
    lasting: Lasting,
) -> Result<()> {
    let given = cx.house().access().allowed_by(&Rules::new(&role.permissions));
    for scope in &role.assignable_scopes {
        cx.require(action, scope).await?;
        require_all_of(cx, &given, scope, lasting).await?;
    }
    Ok(())
}

fn require_new_name(all: &[Row<RoleDefinition>], id: Uuid, name: &str) -> Result<()> {
    let custom = all.iter().map(|row| &row.value);
    let mut others = super::built_in::all().iter().chain(custom).filter(|role| role.id != id);
    match others.any(|other| other.role_name.to_lowercase() == name.to_lowercase()) {
        true => {
            let why = format!("a role with the name `{name}` exists already; names are unique in the directory");
            Err(Error::new(Kind::Exists, why))
        }
        false => Ok(()),
    }
}

/// Refuses to take away a scope at, or below, which the role is assigned.
async fn require_room_for_assignments(cx: &Admission<'_>, role: &RoleDefinition) -> Result<()> {
    let assigned = cx.all::<RoleAssignment>(cx.system(), b"").await?;
    let eligible = cx.all::<Eligibility>(cx.system(), b"").await?;
    let held = assigned.iter().map(|row| (row.value.role, &row.value.scope));
    let mut held = held.chain(eligible.iter().map(|row| (row.value.role, &row.value.scope)));
    match held.find(|(held, scope)| *held == role.id && !role.is_assignable_at(scope)) {
        Some((_, scope)) => {
            let why = format!("the role is assigned at `{scope}`, outside its new assignable scopes");
            Err(Error::new(Kind::Conflict, why))
        }
        None => Ok(()),
    }
}

/// Reads one role definition.
#[derive(Debug)]
pub struct GetRoleDefinition {
    /// The scope asked about.
    pub scope: ResourceId,
    /// The role.
    pub role: Uuid,
}

#[async_trait]
impl Op for GetRoleDefinition {
    const ACTION: Action = READ;
    type Output = RoleDefinition;

    fn scope(&self) -> ResourceId {
        self.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<RoleDefinition> {
        let access = cx.house().access();
        let role = access.role(self.role).filter(|role| is_offered(role, &self.scope, true));
        role.cloned().ok_or_else(|| Error::not_found(format_args!("the role definition `{}`", self.role)))
    }
}

/// Lists the roles that can be assigned at a scope.
#[derive(Debug)]
pub struct ListRoleDefinitions {
    /// The scope asked about.
    pub scope: ResourceId,
    /// Only the one with this name; case does not count.
    pub role_name: Option<String>,
    /// Only those that ship (false) or that somebody made (true).
    pub is_custom: Option<bool>,
    /// Also those that can be assigned below the scope alone (`atScopeAndBelow()`).
    pub with_below: bool,
}

#[async_trait]
impl Op for ListRoleDefinitions {
    const ACTION: Action = READ;
    type Output = Vec<RoleDefinition>;

    fn scope(&self) -> ResourceId {
        self.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let access = cx.house().access();
        let is_named = |role: &RoleDefinition| {
            self.role_name.as_ref().is_none_or(|name| role.role_name.to_lowercase() == name.to_lowercase())
        };
        let wanted = |role: &&RoleDefinition| {
            is_offered(role, &self.scope, self.with_below)
                && is_named(role)
                && self.is_custom.is_none_or(|is_custom| is_custom == role.is_custom())
        };
        Ok(access.roles().into_iter().filter(wanted).cloned().collect())
    }
}

/// Whether a role is offered at a scope: it can be assigned there, or below where that is asked for. At the tenant's own scope all
/// are.
fn is_offered(role: &RoleDefinition, scope: &ResourceId, with_below: bool) -> bool {
    let lies_below = || role.assignable_scopes.iter().any(|assignable| assignable.is_within(scope));
    role.is_assignable_at(scope) || ((with_below || scope.is_root()) && lies_below())
}

/// Removes a role that somebody made and nobody holds.
#[derive(Debug)]
pub struct DeleteRoleDefinition {
    /// The scope in the address.
    pub scope: ResourceId,
    /// The role.
    pub role: Uuid,
}

#[async_trait]
impl Op for DeleteRoleDefinition {
    const ACTION: Action = DELETE;
    type Output = Option<RoleDefinition>;

    fn scope(&self) -> ResourceId {
        self.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Option<RoleDefinition>> {
        if RoleDefinition::built_in(self.role).is_some() {
            return Err(Error::new(Kind::Conflict, "a role that ships cannot be removed"));
        }
        let _turn = cx.house().assigning.lock().await;
        let epoch = Epoch::read(cx).await?;
        let found = cx.get::<RoleDefinition>(cx.system(), self.role.as_bytes()).await?;
        let Some(row) = found.filter(|row| is_offered(&row.value, &self.scope, true)) else { return Ok(None) };
        require_right_to_change(cx, &DELETE, &row.value, Lasting::Now).await?;
        let assigned = cx.all::<RoleAssignment>(cx.system(), b"").await?;
        if let Some(holder) = assigned.iter().find(|assigned| assigned.value.role == self.role) {
            let why = format!("the role is assigned at `{}`; take its assignments back first", holder.value.scope);
            return Err(Error::new(Kind::Conflict, why));
        }
        let eligible = cx.all::<Eligibility>(cx.system(), b"").await?;
        if let Some(holder) = eligible.iter().find(|eligible| eligible.value.role == self.role) {
            let why = format!("the role can be activated at `{}`; end that eligibility first", holder.value.scope);
            return Err(Error::new(Kind::Conflict, why));
        }
        cx.note("role", &row.value.role_name);
        let mut changes = Changes::new();
        changes.delete(cx.system(), &row);
        changes.put(cx.system(), &epoch)?;
        cx.commit(changes).await?;
        Ok(Some(row.value))
    }
}

/// Lists the operation catalogue.
#[derive(Debug)]
pub struct ListOperations {}

#[async_trait]
impl Op for ListOperations {
    /// Any signed-in principal may ask: what can be granted is no secret.
    const ACTION: Action = Action::public("Microsoft.Authorization/providerOperations/read", Class::Read);
    type Output = Vec<super::Entry>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        resources::signed_in(cx)?;
        Ok(cx.house().access().catalogue().entries().to_vec())
    }
}
