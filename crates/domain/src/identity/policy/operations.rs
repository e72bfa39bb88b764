//! Making, reading and changing sign-in policies.

use async_trait::async_trait;
use kernel::{Action, Class, Error, Kind, PrincipalId, PrincipalKind, ResourceId, Result};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Network, OperationClass, SignInPolicy};
use crate::gate::{Admission, Changes, Cx, Op, Row};

const READ: Action = Action::new("Microsoft.Directory/conditionalAccessPolicies/read", Class::Read);
const WRITE: Action = Action::new("Microsoft.Directory/conditionalAccessPolicies/write", Class::Control);
const DELETE: Action = Action::new("Microsoft.Directory/conditionalAccessPolicies/delete", Class::Control);
/// Policies of a tenant.
const MOST_POLICIES: usize = 100;
/// Entries of one list in a policy.
const MOST_NAMED: usize = 200;
const LONGEST_NAME: usize = 120;

/// What a policy says: for whom, from where and for what multi-factor authentication is demanded.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyTerms {
    /// For people.
    pub name: String,
    /// A policy that is not enabled asks nobody.
    pub is_enabled: bool,
    /// It is about every person.
    pub everyone: bool,
    /// People, and groups, that it is about.
    pub principals: Vec<PrincipalId>,
    /// It is about whoever holds one of these roles anywhere.
    pub roles: Vec<Uuid>,
    /// People, and groups, that it is not about.
    pub except: Vec<PrincipalId>,
    /// Nobody is asked who comes from here.
    pub trusted_networks: Vec<Network>,
    /// The operations that demand it; none of them: signing in.
    pub operations: Vec<OperationClass>,
}

impl PolicyTerms {
    fn check(&self, cx: &Admission<'_>) -> Result<()> {
        let length = self.name.chars().count();
        if !(1..=LONGEST_NAME).contains(&length) || self.name.chars().any(char::is_control) {
            let why = format_args!("must be 1 to {LONGEST_NAME} printable characters");
            return Err(Error::invalid("displayName", why));
        }
        let lists = [
            self.principals.len(),
            self.roles.len(),
            self.except.len(),
            self.trusted_networks.len(),
            self.operations.len(),
        ];
        if lists.iter().any(|length| *length > MOST_NAMED) {
            return Err(Error::invalid("conditions", format_args!("a list has at most {MOST_NAMED} entries")));
        }
        for id in self.principals.iter().chain(&self.except) {
            match cx.house().identity.kind_of(*id) {
                Some(PrincipalKind::User | PrincipalKind::Group) => {}
                Some(PrincipalKind::ServicePrincipal) => {
                    let why = format_args!("`{id}` is a service principal; policies are about people");
                    return Err(Error::invalid("conditions.users", why));
                }
                None => return Err(Error::invalid("conditions.users", format_args!("there is no principal `{id}`"))),
            }
        }
        let access = cx.house().access();
        if let Some(role) = self.roles.iter().find(|role| access.role(**role).is_none()) {
            return Err(Error::invalid("conditions.users.includeRoles", format_args!("there is no role `{role}`")));
        }
        if !self.everyone && self.principals.is_empty() && self.roles.is_empty() {
            return Err(Error::invalid(
                "conditions.users",
                "says about nobody; use `All`, or name people, groups or roles",
            ));
        }
        Ok(())
    }
}

/// Makes a policy. It counts from the next sign-in, and for operations at once.
#[derive(Debug)]
pub struct CreateSignInPolicy {
    /// What it says.
    pub terms: PolicyTerms,
}

#[async_trait]
impl Op for CreateSignInPolicy {
    const ACTION: Action = WRITE;
    type Output = SignInPolicy;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<SignInPolicy> {
        self.terms.check(cx)?;
        if cx.all::<SignInPolicy>(cx.system(), b"").await?.len() >= MOST_POLICIES {
            let why = format!("a tenant has at most {MOST_POLICIES} policies; delete one first");
            return Err(Error::new(Kind::Conflict, why));
        }
        let (id, now) = (Uuid::new_v4(), cx.now());
        let policy = SignInPolicy { id, terms: self.terms, created_at: now, modified_at: now };
        keep(cx, &Row::new(id.as_bytes().as_slice(), policy.clone())).await?;
        Ok(policy)
    }
}

async fn keep(cx: &Admission<'_>, row: &Row<SignInPolicy>) -> Result<()> {
    cx.note("policy", row.value.id.to_string());
    cx.note("name", &row.value.terms.name);
    cx.note("enabled", row.value.terms.is_enabled.to_string());
    let mut changes = Changes::new();
    changes.put(cx.system(), row)?;
    cx.commit(changes).await
}

async fn find(cx: &Admission<'_>, id: Uuid) -> Result<Row<SignInPolicy>> {
    let row = cx.get::<SignInPolicy>(cx.system(), id.as_bytes()).await?;
    row.ok_or_else(|| Error::not_found(format_args!("the policy `{id}`")))
}

/// Replaces what a policy says.
#[derive(Debug)]
pub struct UpdateSignInPolicy {
    /// Which.
    pub id: Uuid,
    /// What it says from now on.
    pub terms: PolicyTerms,
}

#[async_trait]
impl Op for UpdateSignInPolicy {
    const ACTION: Action = WRITE;
    type Output = SignInPolicy;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<SignInPolicy> {
        self.terms.check(cx)?;
        let mut row = find(cx, self.id).await?;
        row.value.terms = self.terms;
        row.value.modified_at = cx.now();
        keep(cx, &row).await?;
        Ok(row.value)
    }
}

/// Removes a policy.
#[derive(Debug)]
pub struct DeleteSignInPolicy {
    /// Which.
    pub id: Uuid,
}

#[async_trait]
impl Op for DeleteSignInPolicy {
    const ACTION: Action = DELETE;
    type Output = ();

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let row = find(cx, self.id).await?;
        cx.note("policy", self.id.to_string());
        cx.note("name", &row.value.terms.name);
        let mut changes = Changes::new();
        changes.delete(cx.system(), &row);
        cx.commit(changes).await
    }
}

/// Reads one policy.
#[derive(Debug)]
pub struct GetSignInPolicy {
    /// Which.
    pub id: Uuid,
}

#[async_trait]
impl Op for GetSignInPolicy {
    const ACTION: Action = READ;
    type Output = SignInPolicy;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<SignInPolicy> {
        Ok(find(cx, self.id).await?.value)
    }
}

/// Lists all policies, by name.
#[derive(Debug)]
pub struct ListSignInPolicies;

#[async_trait]
impl Op for ListSignInPolicies {
    const ACTION: Action = READ;
    type Output = Vec<SignInPolicy>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let rows = cx.all::<SignInPolicy>(cx.system(), b"").await?;
        let mut found: Vec<SignInPolicy> = rows.into_iter().map(|row| row.value).collect();
        found.sort_by(|a, b| a.terms.name.cmp(&b.terms.name));
        Ok(found)
    }
}
