//! Reading rules with where they stand, and alerts.

use async_trait::async_trait;
use kernel::{Action, Class, Error, ResourceId, Result, SubscriptionId, Timestamp};
use uuid::Uuid;

use super::{
    Alert, MetricAlert, Watch,
    state::{first_id, watch_id},
};
use crate::{
    gate::{Admission, Cx, Op, Row},
    resources::{Resource, ResourceGroup, ResourceType, collection, find},
};

/// Alerts looked at for one list.
const MOST: usize = 5000;
/// Reading alerts, looked up at the workspace.
const READ: Action = Action::new("Microsoft.AlertsManagement/alerts/read", Class::Read);

/// A rule, and where it stands at each of its workspaces.
#[derive(Clone, Debug)]
pub struct RuleStatus {
    /// The rule.
    pub row: Row<Resource<MetricAlert>>,
    /// In the order of its scopes.
    pub watches: Vec<Watch>,
}

/// All of a type in the subscription of an id.
pub(super) async fn in_subscription<P: ResourceType>(
    cx: &Admission<'_>,
    id: &ResourceId,
) -> Result<Vec<Row<Resource<P>>>> {
    let system = cx.system();
    let subscription = id.subscription_id().ok_or_else(|| Error::not_found("the subscription"))?;
    let groups = collection::<ResourceGroup>(system, &ResourceId::subscription(subscription));
    let mut found = Vec::new();
    for group in cx.all::<Resource<ResourceGroup>>(system, &groups).await? {
        found.extend(cx.all::<Resource<P>>(system, &collection::<P>(system, &group.value.id)).await?);
    }
    Ok(found)
}

async fn status(cx: &Admission<'_>, row: Row<Resource<MetricAlert>>) -> Result<RuleStatus> {
    let mut watches = Vec::new();
    for watched in &row.value.properties.scopes {
        let id = watch_id(cx.system(), row.value.guid, &watched.id);
        watches.extend(cx.get::<Watch>(cx.system(), &id).await?.map(|row| row.value));
    }
    Ok(RuleStatus { row, watches })
}

/// Reads a rule.
#[derive(Debug)]
pub struct GetRule {
    /// Its id.
    pub id: ResourceId,
}

#[async_trait]
impl Op for GetRule {
    const ACTION: Action = MetricAlert::READ;
    type Output = RuleStatus;

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<RuleStatus> {
        let (_, row) = find::<MetricAlert>(cx, &self.id).await?;
        status(cx, row).await
    }
}

/// Lists the rules of a resource group or subscription that the caller may read.
#[derive(Debug)]
pub struct ListRules {
    /// The resource group or subscription.
    pub scope: ResourceId,
}

#[async_trait]
impl Op for ListRules {
    const ACTION: Action = MetricAlert::READ;
    type Output = Vec<RuleStatus>;

    fn scope(&self) -> ResourceId {
        self.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let mut found = Vec::new();
        for row in in_subscription::<MetricAlert>(cx, &self.scope).await? {
            if row.value.id.is_within(&self.scope) && cx.may(&MetricAlert::READ, &row.value.id) {
                found.push(status(cx, row).await?);
            }
        }
        found.sort_by(|a, b| a.row.value.id.cmp(&b.row.value.id));
        Ok(found)
    }
}

/// Lists the alerts of a time at workspaces that the caller may read, newest first.
#[derive(Debug)]
pub struct ListAlerts {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// Raised at this time or later.
    pub from: Timestamp,
}

#[async_trait]
impl Op for ListAlerts {
    const ACTION: Action = READ;
    type Output = Vec<Alert>;

    fn scope(&self) -> ResourceId {
        ResourceId::subscription(self.subscription)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Vec<Alert>> {
        let first = first_id(self.from);
        let rows = cx.page::<Alert>(cx.system(), b"", Some(first.as_bytes()), MOST).await?;
        let theirs = |alert: &Alert| alert.scope.is_within(cx.scope()) && cx.may(&READ, &alert.scope);
        let mut found: Vec<Alert> = rows.into_iter().map(|row| row.value).filter(theirs).collect();
        found.reverse();
        Ok(found)
    }
}

/// Reads an alert. One at a workspace that the caller may not read is as good as none.
#[derive(Debug)]
pub struct GetAlert {
    /// The subscription.
    pub subscription: SubscriptionId,
    /// Its id.
    pub id: Uuid,
}

#[async_trait]
impl Op for GetAlert {
    const ACTION: Action = READ;
    type Output = Alert;

    fn scope(&self) -> ResourceId {
        ResourceId::subscription(self.subscription)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Alert> {
        let row = cx.get::<Alert>(cx.system(), self.id.as_bytes()).await?;
        let theirs = |alert: &Alert| alert.scope.is_within(cx.scope()) && cx.may(&READ, &alert.scope);
        let found = row.map(|row| row.value).filter(theirs);
        found.ok_or_else(|| Error::not_found(format_args!("the alert `{}`", self.id)))
    }
}
