//! When a key is rotated, and when somebody is told that it ends.

use async_trait::async_trait;
use kernel::{Action, Class, Error, Kind as Fault, ResourceId, Result};
use serde::{Deserialize, Serialize};

use super::{Key, Span, due::mark};
use crate::{
    gate::{Changes, Cx, Op},
    resources::Addressed,
    vault::{
        ObjectName, Version,
        opened::{ATTEMPTS, open, require_own, scope_of, too_busy},
    },
};

/// The shortest life of a version, in days; Azure's bound.
const LEAST_LIFE: u32 = 28;
/// The shortest time from a version's beginning to its rotation, and from there to its end, in days; Azure's bound.
const LEAST_BETWEEN: u32 = 7;
/// When somebody is told, where nobody said: this long before the end.
const TOLD_BEFORE: Span = Span::days(30);

/// What happens in the life of a key's versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RotationPolicy {
    /// What is done, and when: at most one of each act.
    pub actions: Vec<LifetimeAction>,
    /// How long a version lives that rotation makes; without end when none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub life: Option<Span>,
    /// When the policy was made, epoch seconds.
    pub created: i64,
    /// When it was changed last, epoch seconds.
    pub updated: i64,
}

/// Something that is done once in the life of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LifetimeAction {
    /// What.
    pub act: LifetimeAct,
    /// When.
    pub trigger: Trigger,
}

/// What is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LifetimeAct {
    /// A new version takes over.
    Rotate,
    /// The coming end is written into the activity log, from where it goes to whoever listens.
    Notify,
}

impl LifetimeAct {
    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Rotate => "Rotate",
            Self::Notify => "Notify",
        }
    }
}

/// When something is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Trigger {
    /// So long after the version was made.
    AfterCreate(Span),
    /// So long before it ends.
    BeforeExpiry(Span),
}

impl RotationPolicy {
    /// What holds for a key without a policy of its own, as in Azure.
    fn usual(created: i64) -> Self {
        let tell = LifetimeAction { act: LifetimeAct::Notify, trigger: Trigger::BeforeExpiry(TOLD_BEFORE) };
        Self { actions: vec![tell], life: None, created, updated: created }
    }

    /// From when on, epoch seconds, something is due for a version; none when never.
    pub(super) fn due_at(&self, act: LifetimeAct, version: &Version<Key>) -> Option<i64> {
        let action = self.actions.iter().find(|action| action.act == act)?;
        match action.trigger {
            Trigger::AfterCreate(span) => span.after(version.attributes.created),
            Trigger::BeforeExpiry(span) => span.before(version.attributes.expires?),
        }
    }

    fn check(&self) -> Result<()> {
        let invalid = |why| Err(Error::invalid("lifetimeActions", why));
        if self.life.is_some_and(|life| life.least_days() < LEAST_LIFE) {
            return Err(Error::invalid("attributes.expiryTime", format_args!("must be {LEAST_LIFE} days or longer")));
        }
        for act in [LifetimeAct::Rotate, LifetimeAct::Notify] {
            if self.actions.iter().filter(|action| action.act == act).count() > 1 {
                return invalid(format!("there can be one action `{}`", act.name()));
            }
        }
        for action in &self.actions {
            match (action.act, action.trigger) {
                (LifetimeAct::Notify, Trigger::AfterCreate(_)) => {
                    return invalid(String::from("`Notify` takes `timeBeforeExpiry`"));
                }
                (LifetimeAct::Notify, Trigger::BeforeExpiry(_)) => {}
                (LifetimeAct::Rotate, trigger) => self.check_rotation(trigger)?,
            }
        }
        Ok(())
    }

    fn check_rotation(&self, trigger: Trigger) -> Result<()> {
        let fits = match (trigger, self.life) {
            (Trigger::BeforeExpiry(_), None) => {
                return Err(Error::invalid("lifetimeActions", "`Rotate` with `timeBeforeExpiry` takes `expiryTime`"));
            }
            (Trigger::AfterCreate(span), None) => span.least_days() >= LEAST_BETWEEN,
            // What must be long is measured at its least, and what must be short at its most: months differ.
            (Trigger::AfterCreate(span) | Trigger::BeforeExpiry(span), Some(life)) => {
                let most = span.most_days().saturating_add(LEAST_BETWEEN);
                span.least_days() >= LEAST_BETWEEN && most <= life.least_days()
            }
        };
        if fits {
            return Ok(());
        }
        let why = format!(
            "`Rotate` must come {LEAST_BETWEEN} days or more after the beginning and before the end of a version"
        );
        Err(Error::invalid("lifetimeActions", why))
    }
}

/// Reads a key's rotation policy.
#[derive(Debug)]
pub struct GetRotationPolicy {
    /// The vault.
    pub vault: Addressed,
    /// The key.
    pub name: ObjectName,
}

#[async_trait]
impl Op for GetRotationPolicy {
    const ACTION: Action = Action::data("Microsoft.KeyVault/vaults/keyrotationpolicies/read", Class::Read);
    type Output = RotationPolicy;

    fn scope(&self) -> ResourceId {
        scope_of::<Key>(&self.vault, &self.name)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<RotationPolicy> {
        let opened = open(cx, &self.vault).await?;
        let row = opened.object::<Key>(cx, &self.name).await?;
        let made = row.value.current.attributes.created;
        Ok(row.value.whole.policy.unwrap_or_else(|| RotationPolicy::usual(made)))
    }
}

/// Sets a key's rotation policy.
#[derive(Debug)]
pub struct PutRotationPolicy {
    /// The vault.
    pub vault: Addressed,
    /// The key.
    pub name: ObjectName,
    /// What is done, and when.
    pub actions: Vec<LifetimeAction>,
    /// How long versions live that rotation makes.
    pub life: Option<Span>,
}

#[async_trait]
impl Op for PutRotationPolicy {
    const ACTION: Action = Action::data("Microsoft.KeyVault/vaults/keyrotationpolicies/write", Class::Control);
    type Output = RotationPolicy;

    fn scope(&self) -> ResourceId {
        scope_of::<Key>(&self.vault, &self.name)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<RotationPolicy> {
        let now = cx.now().seconds();
        let mut policy = RotationPolicy { actions: self.actions, life: self.life, created: now, updated: now };
        policy.check()?;
        for _ in 0..ATTEMPTS {
            let opened = open(cx, &self.vault).await?;
            let mut row = opened.object::<Key>(cx, &self.name).await?;
            require_own(&row.value)?;
            policy.created = row.value.whole.policy.as_ref().map_or(now, |before| before.created);
            row.value.whole.policy = Some(policy.clone());
            let mut changes = Changes::new();
            mark(cx, &opened.shelf, &row.id, &mut changes).await?;
            changes.put(&opened.shelf, &row)?;
            match cx.commit(changes).await {
                Err(fault) if fault.kind() == Fault::Stale => {}
                done => return done.map(|()| policy),
            }
        }
        Err(too_busy::<Key>())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_s_times_must_leave_room() {
        let span = |text: &str| text.parse::<Span>().unwrap();
        let rotate = |trigger| LifetimeAction { act: LifetimeAct::Rotate, trigger };
        let notify = |trigger| LifetimeAction { act: LifetimeAct::Notify, trigger };
        let (after, before) = (|text| Trigger::AfterCreate(span(text)), |text| Trigger::BeforeExpiry(span(text)));
        let policy = |actions: &[LifetimeAction], life: Option<&str>| {
            let (actions, life) = (actions.to_vec(), life.map(span));
            RotationPolicy { actions, life, created: 0, updated: 0 }.check().is_ok()
        };
        let good: [(&[LifetimeAction], Option<&str>); 6] = [
            (&[], None),
            (&[rotate(after("P7D"))], None),
            (&[rotate(before("P30D")), notify(before("P7D"))], Some("P1Y")),
            (&[rotate(after("P18M")), notify(before("P30D"))], Some("P2Y")),
            (&[notify(before("P30D"))], None),
            (&[rotate(after("P21D"))], Some("P28D")),
        ];
        for (actions, life) in good {
            assert!(policy(actions, life), "{actions:?} {life:?}");
        }
        let bad: [(&[LifetimeAction], Option<&str>); 11] = [
            (&[rotate(after("P6D"))], None),
            (&[rotate(before("P30D"))], None),
            (&[rotate(before("P6D"))], Some("P90D")),
            (&[rotate(before("P85D"))], Some("P90D")),
            (&[rotate(after("P22D"))], Some("P28D")),
            (&[rotate(before("P11M"))], Some("P315D")),
            (&[rotate(after("P11M"))], Some("P315D")),
            (&[rotate(before("P1M"))], Some("P35D")),
            (&[], Some("P27D")),
            (&[notify(after("P30D"))], Some("P90D")),
            (&[rotate(after("P30D")), rotate(after("P60D"))], None),
        ];
        for (actions, life) in bad {
            assert!(!policy(actions, life), "{actions:?} {life:?}");
        }
    }
}
