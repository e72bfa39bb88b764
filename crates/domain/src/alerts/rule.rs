//! Alert rules (`Microsoft.Insights/metricAlerts`), as they are stored.

use kernel::{Action, Class, Error, PrincipalId, ResourceId, Result};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Conditions, Span};
use crate::resources::ResourceType;

/// Workspaces of one rule.
pub(super) const MOST_SCOPES: usize = 10;
/// Action groups of one rule (Azure's limit).
pub(super) const MOST_GROUPS: usize = 5;

/// A rule.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MetricAlert {
    /// For people.
    pub description: String,
    /// 0, critical, to 4, verbose.
    pub severity: u8,
    /// Whether it is evaluated.
    pub is_enabled: bool,
    /// What it watches.
    pub scopes: Vec<Watched>,
    /// How often.
    pub frequency: Span,
    /// How far each evaluation looks back.
    pub window: Span,
    /// What must hold.
    pub conditions: Conditions,
    /// Whether an alert is resolved once the conditions do not hold any more.
    pub auto_mitigate: bool,
    /// The action groups that are told.
    pub groups: Vec<ResourceId>,
    /// Who wrote it last: the rule sees what this principal may see.
    pub owner: PrincipalId,
}

/// A workspace that a rule watches.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Watched {
    /// Its id.
    pub id: ResourceId,
    /// Which one of that name.
    pub guid: Uuid,
}

impl ResourceType for MetricAlert {
    const TYPE: &'static str = "Microsoft.Insights/metricAlerts";
    const READ: Action = Action::new("Microsoft.Insights/metricAlerts/read", Class::Read);
    const WRITE: Action = Action::new("Microsoft.Insights/metricAlerts/write", Class::Control);
    const DELETE: Action = Action::new("Microsoft.Insights/metricAlerts/delete", Class::Control);

    fn check(&self, id: &ResourceId) -> Result<()> {
        check_name("ruleName", id.name())?;
        if self.description.len() > 4096 {
            return Err(Error::invalid("properties.description", "has more than 4096 bytes"));
        }
        if self.severity > 4 {
            return Err(Error::invalid("properties.severity", "is 0 to 4"));
        }
        let field = "properties.scopes";
        if self.scopes.len() != 1 && !self.conditions.is_multiple {
            let why = "names one workspace; several take `MultipleResourceMultipleMetricCriteria`";
            return Err(Error::invalid(field, why));
        }
        if !(1..=MOST_SCOPES).contains(&self.scopes.len()) {
            return Err(Error::invalid(field, format_args!("names 1 to {MOST_SCOPES} workspaces")));
        }
        if self.groups.len() > MOST_GROUPS {
            let why = format_args!("names at most {MOST_GROUPS} action groups");
            return Err(Error::invalid("properties.actions", why));
        }
        Span::check(self.frequency, self.window)?;
        self.conditions.check()
    }
}

/// Azure's rule for the names of rules and action groups.
pub(super) fn check_name(field: &str, name: &str) -> Result<()> {
    let is_allowed = |c: char| !c.is_control() && !r#"*#&+:<>?@%{}\/|"#.contains(c);
    if (1..=260).contains(&name.len()) && name.chars().all(is_allowed) && !name.ends_with(['.', ' ']) {
        return Ok(());
    }
    let why = r"must be 1 to 260 characters without `*#&+:<>?@%{}\/|`, not ending with a period or a space";
    Err(Error::invalid(field, why))
}
