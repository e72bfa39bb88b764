//! Saying who a subject of a provider is here, before it comes for the first time: for providers that create no users.

use async_trait::async_trait;
use kernel::{Action, Class, Error, Kind, PrincipalId, PrincipalKind, ResourceId, Result};
use uuid::Uuid;

use super::{
    provider::find,
    records::{FederatedUser, Provider},
};
use crate::{
    gate::{Admission, Changes, Cx, Op, Row},
    identity::{
        Membership,
        directory::{membership_id, require_another, require_power_over},
    },
};

const WRITE: Action = Action::new("Microsoft.Directory/users/identities/update", Class::Control);

/// The longest `sub`, in bytes (OpenID Connect Core §2).
const LONGEST_SUBJECT: usize = 255;

/// Says that a subject of a provider is this user, who may then sign in there. It is a way to act as the user, so whoever says
/// it must be able to grant what the user holds, and is not the user: no factor of theirs is asked for here.
#[derive(Debug)]
pub struct LinkFederatedUser {
    /// The provider.
    pub provider: Uuid,
    /// `sub`, exactly. (An e-mail address is not one.)
    pub subject: String,
    /// The user.
    pub user: PrincipalId,
}

#[async_trait]
impl Op for LinkFederatedUser {
    const ACTION: Action = WRITE;
    type Output = ();

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let Self { provider, subject, user } = self;
        let provider = find(cx, provider).await?.value;
        if subject.is_empty() || subject.len() > LONGEST_SUBJECT || subject.chars().any(char::is_control) {
            return Err(Error::invalid("subject", "must be 1 to 255 printable characters"));
        }
        let _turn = cx.house().assigning.lock().await;
        if cx.house().identity.kind_of(user) != Some(PrincipalKind::User) {
            return Err(Error::invalid("user", format_args!("`{user}` is not the object id of a user")));
        }
        cx.note("principal", user.to_string());
        cx.note("subject", &subject);
        require_another(cx, user, "link an account of a provider to")?;
        require_power_over(cx, user).await?;
        let id = link_id(cx, &provider.issuer, &subject);
        let known = cx.get::<FederatedUser>(cx.system(), &id).await?;
        // Whom a deleted user's subject meant is free again.
        let is_taken = |row: &Row<FederatedUser>| cx.house().identity.kind_of(row.value.principal).is_some();
        if known.as_ref().is_some_and(is_taken) {
            let why = "this subject is a user already; unlink it first";
            return Err(Error::new(Kind::Exists, why));
        }
        let link = new_link(cx, &provider, &subject, user);
        let version = known.map_or(0, |row| row.version);
        let mut changes = Changes::new();
        changes.put(cx.system(), &Row { id, version, value: link })?;
        cx.commit(changes).await
    }
}

/// Takes back who a subject of a provider is. The user stays, without what the provider's word gave; sessions stay until they
/// end or are revoked.
#[derive(Debug)]
pub struct UnlinkFederatedUser {
    /// The provider.
    pub provider: Uuid,
    /// `sub`, exactly.
    pub subject: String,
}

#[async_trait]
impl Op for UnlinkFederatedUser {
    const ACTION: Action = WRITE;
    type Output = ();

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let provider = find(cx, self.provider).await?.value;
        let _turn = cx.house().assigning.lock().await;
        let row = cx.get::<FederatedUser>(cx.system(), &link_id(cx, &provider.issuer, &self.subject)).await?;
        let row = row.ok_or_else(|| Error::not_found("a user for this subject"))?;
        cx.note("principal", row.value.principal.to_string());
        cx.note("subject", &self.subject);
        require_power_over(cx, row.value.principal).await?;
        let mut changes = Changes::new();
        for group in &row.value.groups {
            let id = membership_id(*group, row.value.principal);
            if let Some(found) = cx.get::<Membership>(cx.system(), &id).await? {
                changes.delete(cx.system(), &found);
            }
        }
        changes.delete(cx.system(), &row);
        cx.commit(changes).await
    }
}

/// The row of a subject: the only thing that a user of a provider is found by (invariant I7).
pub(super) fn link_id(cx: &Admission<'_>, issuer: &str, subject: &str) -> Vec<u8> {
    // An issuer is printable without spaces, so that the two cannot run into each other.
    cx.system().name_id::<FederatedUser>(&format!("{issuer} {subject}"))
}

pub(super) fn new_link(cx: &Admission<'_>, provider: &Provider, subject: &str, user: PrincipalId) -> FederatedUser {
    FederatedUser {
        issuer: provider.issuer.clone(),
        subject: subject.to_owned(),
        principal: user,
        groups: Vec::new(),
        created_at: cx.now(),
    }
}
