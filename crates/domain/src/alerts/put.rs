//! Writing alert rules.

use std::collections::BTreeMap;

use async_trait::async_trait;
use kernel::{Action, Error, Kind, ResourceId, Result};

use super::{
    ActionGroup, Conditions, MetricAlert, Span, Watched,
    read::in_subscription,
    rule::{MOST_GROUPS, MOST_SCOPES},
    state::{Watch, watch_id},
};
use crate::{
    gate::{Changes, Cx, Op, Row},
    platform_metrics::READ_METRICS,
    resources::{
        Precondition, PutResource, Resource, ResourceGroup, ResourceType, Workspace, Written, find, row_id, signed_in,
    },
};
use uuid::Uuid;

/// Rules of one subscription.
const MOST: usize = 100;

/// What is asked of a rule. What is none stays as it is, or is the default of a new rule.
#[derive(Debug, Default)]
pub struct RuleChange {
    /// For people.
    pub description: Option<String>,
    /// 0, critical, to 4, verbose.
    pub severity: Option<u8>,
    /// Whether it is evaluated.
    pub is_enabled: Option<bool>,
    /// The workspaces that it watches.
    pub scopes: Option<Vec<ResourceId>>,
    /// How often.
    pub frequency: Option<Span>,
    /// How far each evaluation looks back.
    pub window: Option<Span>,
    /// What must hold.
    pub conditions: Option<Conditions>,
    /// Whether an alert is resolved once the conditions do not hold any more.
    pub auto_mitigate: Option<bool>,
    /// The action groups that are told.
    pub groups: Option<Vec<ResourceId>>,
}

/// Creates a rule, replaces one, or changes parts of one. It sees what whoever writes it may see.
#[derive(Debug)]
pub struct PutMetricAlert {
    /// Its id.
    pub id: ResourceId,
    /// Where; any word will do.
    pub location: String,
    /// Free labels; none keeps those that it has.
    pub tags: Option<BTreeMap<String, String>>,
    /// What it shall be.
    pub change: RuleChange,
    /// Whether the rule must be there, and keeps what is not named.
    pub is_patch: bool,
    /// What must hold.
    pub precondition: Precondition,
}

#[async_trait]
impl Op for PutMetricAlert {
    const ACTION: Action = MetricAlert::WRITE;
    type Output = Written<Resource<MetricAlert>>;

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let (system, (_, group)) = (cx.system(), find::<ResourceGroup>(cx, &self.id.parent()).await?);
        let present = cx.get::<Resource<MetricAlert>>(system, &row_id::<MetricAlert>(system, &self.id)).await?;
        if self.is_patch && present.is_none() {
            return Err(Error::not_found(format_args!("the resource `{}`", self.id)));
        }
        let mut changes = Changes::new();
        if present.is_none() {
            if in_subscription::<MetricAlert>(cx, &self.id).await?.len() >= MOST {
                let why = format!("a subscription has at most {MOST} alert rules; delete one first");
                return Err(Error::new(Kind::Conflict, why));
            }
            // A group that is deleted meanwhile makes this commit stale, and the reverse.
            changes.put(system, &group)?;
        }
        let guid = present.as_ref().map_or_else(Uuid::new_v4, |row| row.value.guid);
        let tags = present.as_ref().map(|row| row.value.tags.clone()).unwrap_or_default();
        let before = present.map(|row| row.value.properties).filter(|_| self.is_patch);
        let rule = self.change.onto(cx, before, &self.id).await?;
        for watched in &rule.scopes {
            let id = watch_id(system, guid, &watched.id);
            if cx.get::<Watch>(system, &id).await?.is_none() {
                changes.put(system, &Row::new(id, Watch::new(self.id.clone(), guid, watched.id.clone())))?;
            }
        }
        cx.note("severity", rule.severity.to_string());
        cx.note("enabled", rule.is_enabled.to_string());
        let tags = self.tags.unwrap_or(if self.is_patch { tags } else { BTreeMap::new() });
        let Self { id, location, precondition, .. } = self;
        let put = PutResource { id, location, tags, properties: rule, precondition };
        put.apply_as(cx, changes, guid).await
    }
}

impl RuleChange {
    /// The whole rule, on top of what it was.
    async fn onto(
        self,
        cx: &Cx<'_, PutMetricAlert>,
        before: Option<MetricAlert>,
        id: &ResourceId,
    ) -> Result<MetricAlert> {
        let owner = signed_in(cx)?;
        let missing = |field: &str| Error::invalid(format!("properties.{field}"), "is needed");
        let old = before.as_ref();
        let named = match (self.scopes, old) {
            (Some(named), _) => named,
            (None, Some(old)) => old.scopes.iter().map(|watched| watched.id.clone()).collect(),
            (None, None) => return Err(missing("scopes")),
        };
        let groups = self.groups.or_else(|| Some(old?.groups.clone())).unwrap_or_default();
        let text = self.description.or_else(|| Some(old?.description.clone()));
        let conditions = self.conditions.or_else(|| Some(old?.conditions.clone()));
        let frequency = self.frequency.or_else(|| Some(old?.frequency));
        let window = self.window.or_else(|| Some(old?.window));
        Ok(MetricAlert {
            description: text.unwrap_or_default(),
            severity: self.severity.or_else(|| Some(old?.severity)).ok_or_else(|| missing("severity"))?,
            is_enabled: self.is_enabled.or_else(|| Some(old?.is_enabled)).unwrap_or(true),
            scopes: watched(cx, named).await?,
            frequency: frequency.ok_or_else(|| missing("evaluationFrequency"))?,
            window: window.ok_or_else(|| missing("windowSize"))?,
            conditions: conditions.ok_or_else(|| missing("criteria"))?,
            auto_mitigate: self.auto_mitigate.or_else(|| Some(old?.auto_mitigate)).unwrap_or(true),
            groups: told(cx, groups, id).await?,
            owner,
        })
    }
}

/// The workspaces of these ids, each once, all of which the caller may read.
async fn watched(cx: &Cx<'_, PutMetricAlert>, named: Vec<ResourceId>) -> Result<Vec<Watched>> {
    if named.len() > MOST_SCOPES {
        return Err(Error::invalid("properties.scopes", format_args!("names at most {MOST_SCOPES} workspaces")));
    }
    let mut found: Vec<Watched> = Vec::new();
    for scope in named {
        if scope.workspace().as_ref() != Some(&scope) {
            let why = format_args!("`{scope}` is no workspace: only workspaces have metrics");
            return Err(Error::invalid("properties.scopes", why));
        }
        cx.require(&READ_METRICS, &scope).await?;
        let (_, row) = find::<Workspace>(cx, &scope).await.map_err(|fault| match fault.kind() {
            Kind::NotFound => Error::invalid("properties.scopes", format_args!("there is no `{scope}`")),
            _ => fault,
        })?;
        if found.iter().all(|other| other.id != row.value.id) {
            found.push(Watched { id: row.value.id, guid: row.value.guid });
        }
    }
    Ok(found)
}

/// The action groups of these ids, each once, all of which the caller may read.
async fn told(cx: &Cx<'_, PutMetricAlert>, named: Vec<ResourceId>, rule: &ResourceId) -> Result<Vec<ResourceId>> {
    let field = "properties.actions";
    if named.len() > MOST_GROUPS {
        return Err(Error::invalid(field, format_args!("names at most {MOST_GROUPS} action groups")));
    }
    let mut found: Vec<ResourceId> = Vec::new();
    for group in named {
        if group.subscription_id() != rule.subscription_id() {
            return Err(Error::invalid(field, "names an action group of another subscription"));
        }
        cx.require(&ActionGroup::READ, &group).await?;
        let (_, row) = find::<ActionGroup>(cx, &group).await.map_err(|fault| match fault.kind() {
            Kind::NotFound => Error::invalid(field, format_args!("there is no action group `{group}`")),
            _ => fault,
        })?;
        if !found.contains(&row.value.id) {
            found.push(row.value.id);
        }
    }
    Ok(found)
}
