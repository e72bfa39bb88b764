//! Subscriptions and tenants.

use async_trait::async_trait;
use kernel::{Action, Class, Error, ResourceId, Result, SubscriptionId, TenantId, Timestamp, Who};
use serde::{Deserialize, Serialize};

use crate::{
    gate::{Admission, Cx, Op, Record},
    identity::Tenant,
};

/// A subscription.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Subscription {
    /// Its id.
    pub id: SubscriptionId,
    /// For people.
    pub name: String,
    /// When it was made.
    pub created_at: Timestamp,
}

impl Record for Subscription {
    const TABLE: &'static str = "subscription";
}

/// Lists the subscriptions in which the caller holds anything.
#[derive(Debug)]
pub struct ListSubscriptions;

#[async_trait]
impl Op for ListSubscriptions {
    /// Any signed-in principal may ask; the list holds only what is theirs.
    const ACTION: Action = Action::public("Microsoft.Resources/subscriptions/list", Class::Read);
    type Output = Vec<Subscription>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Vec<Subscription>> {
        let caller = signed_in(cx)?;
        let rows = cx.all::<Subscription>(cx.system(), b"").await?;
        let access = cx.house().access();
        let theirs = |row: &Subscription| access.touches(caller, &ResourceId::subscription(row.id));
        Ok(rows.into_iter().map(|row| row.value).filter(theirs).collect())
    }
}

/// The principal who asks: for lists that hold only what is theirs, or what everybody here may know.
pub(crate) fn signed_in(cx: &Admission<'_>) -> Result<kernel::PrincipalId> {
    match &cx.caller().who {
        Who::Principal(principal) => Ok(principal.id),
        Who::Run(_) => Err(Error::not_found("a subscription for a run's token")),
        Who::Nobody | Who::Keyed(_) | Who::House => {
            Err(Error::new(kernel::Kind::Unauthenticated, "a bearer token in the `Authorization` header is required"))
        }
    }
}

/// Reads one.
#[derive(Debug)]
pub struct GetSubscription {
    /// Its id.
    pub id: SubscriptionId,
}

#[async_trait]
impl Op for GetSubscription {
    const ACTION: Action = Action::new("Microsoft.Resources/subscriptions/read", Class::Read);
    type Output = Subscription;

    fn scope(&self) -> ResourceId {
        ResourceId::subscription(self.id)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Subscription> {
        let row = cx.get::<Subscription>(cx.system(), self.id.as_bytes()).await?;
        row.map(|row| row.value).ok_or_else(|| Error::not_found(format_args!("the subscription `{}`", self.id)))
    }
}

/// Lists the tenants of the caller: the one there is.
#[derive(Debug)]
pub struct ListTenants;

#[async_trait]
impl Op for ListTenants {
    const ACTION: Action = Action::public("Microsoft.Resources/tenants/list", Class::Read);
    type Output = Vec<(TenantId, String)>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        signed_in(cx)?;
        let rows = cx.all::<Tenant>(cx.system(), b"").await?;
        Ok(rows.into_iter().map(|row| (row.value.id, row.value.name)).collect())
    }
}
