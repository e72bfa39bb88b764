//! Writing and reading definitions.

use async_trait::async_trait;
use kernel::{Action, Class, Error, Kind, ResourceId, Result, SubscriptionId};

use super::{
    Mode, PolicyAssignment, PolicyDefinition, assignments::require_rights_to_modify, built_in, snapshot::Assigned,
};
use crate::{
    access::{Authored, Lasting, require_lasting},
    gate::{Admission, Changes, Cx, Op, Row},
    resources::require_scope_around,
};

const READ: Action = Action::new("Microsoft.Authorization/policyDefinitions/read", Class::Read);
const WRITE: Action = Action::new("Microsoft.Authorization/policyDefinitions/write", Class::Control);
const DELETE: Action = Action::new("Microsoft.Authorization/policyDefinitions/delete", Class::Control);
/// Definitions of one subscription; Azure's bound.
const MOST: usize = 500;
/// Bytes of one definition.
const LARGEST: usize = 256 * 1024;

/// The prefix of all definitions; the row of one is found by its folded id.
pub(super) fn row_id(cx: &Admission<'_>, id: &str) -> Vec<u8> {
    cx.system().name_id::<PolicyDefinition>(&id.to_ascii_lowercase())
}

/// Refuses names that Azure does not allow, and what would not fit an address.
pub(super) fn check_name(field: &str, name: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ' | '(' | ')');
    let is_framed = name.starts_with(' ') || name.ends_with([' ', '.']);
    if (1..=64).contains(&name.len()) && name.chars().all(fits) && !is_framed {
        return Ok(());
    }
    Err(Error::invalid(field, "must be 1 to 64 letters, digits, spaces or `-_.()`"))
}

/// Bounds on what is for people.
pub(super) fn check_words(display_name: &str, description: &str) -> Result<()> {
    if display_name.chars().count() > 128 {
        return Err(Error::invalid("properties.displayName", "at most 128 characters"));
    }
    if description.chars().count() > 512 {
        return Err(Error::invalid("properties.description", "at most 512 characters"));
    }
    Ok(())
}

/// Makes a definition, or changes one. What is assigned counts as it says from then on.
#[derive(Debug)]
pub struct PutPolicyDefinition {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// What it shall be.
    pub definition: PolicyDefinition,
}

#[async_trait]
impl Op for PutPolicyDefinition {
    const ACTION: Action = WRITE;
    type Output = PolicyDefinition;

    fn scope(&self) -> ResourceId {
        ResourceId::subscription(self.subscription)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<PolicyDefinition> {
        let scope = self.scope();
        let definition = PolicyDefinition { subscription: Some(self.subscription), ..self.definition };
        check_name("policyDefinitionName", &definition.name)?;
        check_words(&definition.display_name, &definition.description)?;
        if serde_json::to_vec(&definition).map_err(Error::internal)?.len() > LARGEST {
            return Err(Error::new(Kind::TooLarge, format!("a definition has at most {LARGEST} bytes")));
        }
        definition.rule()?;
        require_lasting(cx, &WRITE, &scope, Lasting::ForGood)?;
        require_scope_around(cx, "scope", &scope).await?;
        let id = definition.id();
        // What is assigned meanwhile makes this commit stale: the assignment writes this row too.
        let present = cx.get::<PolicyDefinition>(cx.system(), &row_id(cx, &id)).await?;
        if present.is_none() {
            let all = cx.all::<PolicyDefinition>(cx.system(), b"").await?;
            if all.iter().filter(|row| row.value.subscription == definition.subscription).count() >= MOST {
                return Err(Error::new(Kind::TooLarge, format!("a subscription has {MOST} definitions, and no more")));
            }
        }
        for assignment in users(cx, &id).await? {
            let assigned = Assigned::of(&assignment, &definition).map_err(|fault| {
                let why = format_args!("does not fit its assignment `{}`: {}", assignment.id(), fault.public());
                Error::invalid("properties", why)
            })?;
            require_rights_to_modify(cx, &assigned).await?;
        }
        let authored = Authored::now(cx, present.as_ref().and_then(|row| row.value.authored));
        let definition = PolicyDefinition { authored, ..definition };
        let row = match present {
            Some(row) => Row { value: definition.clone(), ..row },
            None => Row::new(row_id(cx, &id), definition.clone()),
        };
        cx.note("policyDefinition", id);
        let mut changes = Changes::new();
        changes.put(cx.system(), &row)?;
        cx.commit(changes).await?;
        Ok(definition)
    }
}

/// The assignments of a definition.
async fn users(cx: &Admission<'_>, definition: &str) -> Result<Vec<PolicyAssignment>> {
    let all = cx.all::<PolicyAssignment>(cx.system(), b"").await?;
    Ok(all.into_iter().map(|row| row.value).filter(|one| one.definition.eq_ignore_ascii_case(definition)).collect())
}

async fn find(cx: &Admission<'_>, subscription: SubscriptionId, name: &str) -> Result<Row<PolicyDefinition>> {
    let id = format!("/subscriptions/{subscription}/providers/Microsoft.Authorization/policyDefinitions/{name}");
    let row = cx.get::<PolicyDefinition>(cx.system(), &row_id(cx, &id)).await?;
    row.ok_or_else(|| missing(name))
}

fn missing(name: &str) -> Error {
    let shown: String = name.chars().take(64).collect();
    Error::not_found(format_args!("the policy definition `{shown}`")).coded("PolicyDefinitionNotFound")
}

/// Removes a definition that is not assigned.
#[derive(Debug)]
pub struct DeletePolicyDefinition {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// Its name.
    pub name: String,
}

#[async_trait]
impl Op for DeletePolicyDefinition {
    const ACTION: Action = DELETE;
    type Output = PolicyDefinition;

    fn scope(&self) -> ResourceId {
        ResourceId::subscription(self.subscription)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<PolicyDefinition> {
        let row = find(cx, self.subscription, &self.name).await?;
        let id = row.value.id();
        if let Some(user) = users(cx, &id).await?.first() {
            let why = format!("the definition is assigned by `{}`; delete that first", user.id());
            return Err(Error::new(Kind::Conflict, why));
        }
        cx.note("policyDefinition", id);
        let mut changes = Changes::new();
        changes.delete(cx.system(), &row);
        cx.commit(changes).await?;
        Ok(row.value)
    }
}

/// Reads one of a subscription.
#[derive(Debug)]
pub struct GetPolicyDefinition {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// Its name.
    pub name: String,
}

#[async_trait]
impl Op for GetPolicyDefinition {
    const ACTION: Action = READ;
    type Output = PolicyDefinition;

    fn scope(&self) -> ResourceId {
        ResourceId::subscription(self.subscription)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<PolicyDefinition> {
        find(cx, self.subscription, &self.name).await.map(|row| row.value)
    }
}

/// Lists those of a subscription, and those that ship.
#[derive(Debug)]
pub struct ListPolicyDefinitions {
    /// The subscription.
    pub subscription: SubscriptionId,
}

#[async_trait]
impl Op for ListPolicyDefinitions {
    const ACTION: Action = READ;
    type Output = Vec<PolicyDefinition>;

    fn scope(&self) -> ResourceId {
        ResourceId::subscription(self.subscription)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Vec<PolicyDefinition>> {
        let all = cx.all::<PolicyDefinition>(cx.system(), b"").await?;
        let own = all.into_iter().map(|row| row.value).filter(|one| one.subscription == Some(self.subscription));
        let mut found: Vec<_> = own.chain(built_in::all().iter().cloned()).collect();
        found.sort_by_key(|definition| (definition.subscription.is_none(), definition.name.to_ascii_lowercase()));
        Ok(found)
    }
}

/// Lists those that ship.
#[derive(Debug)]
pub struct BuiltInPolicies;

#[async_trait]
impl Op for BuiltInPolicies {
    const ACTION: Action = READ;
    type Output = &'static [PolicyDefinition];

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, _: &Cx<'_, Self>) -> Result<Self::Output> {
        Ok(built_in::all())
    }
}

/// Reads one that ships.
#[derive(Debug)]
pub struct GetBuiltInPolicy {
    /// Its name.
    pub name: String,
}

#[async_trait]
impl Op for GetBuiltInPolicy {
    const ACTION: Action = READ;
    type Output = &'static PolicyDefinition;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, _: &Cx<'_, Self>) -> Result<Self::Output> {
        let found = built_in::all().iter().find(|one| one.name.eq_ignore_ascii_case(&self.name));
        found.ok_or_else(|| missing(&self.name))
    }
}

impl Mode {
    /// Azure's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::All => "All",
            Self::Indexed => "Indexed",
        }
    }
}
