//! What the server does by itself in the life of a key: rotating it when its policy says so, and telling of its end.

use async_trait::async_trait;
use kernel::{Action, Caller, Class, Kind as Fault, ResourceId, Result};
use serde::{Deserialize, Serialize};

use super::{
    Key, LifetimeAct,
    rotate::{ROTATE, rotate},
};
use crate::{
    gate::{Admission, Changes, Cx, House, Op, Record, Row, Shelf, enter},
    resources::Addressed,
    vault::{
        Object, ObjectName,
        due::ListVaults,
        opened::{open, scope_of},
    },
};

/// Says that a key of this vault has a rotation policy. By the key's own id, on the vault's shelf, so that looking for what is due
/// reads few keys.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Rotating {}

impl Record for Rotating {
    const TABLE: &'static str = "vault-key-rotating";
}

/// Marks a key as one with a rotation policy, with `changes`.
pub(super) async fn mark(cx: &Admission<'_>, shelf: &Shelf, id: &[u8], changes: &mut Changes) -> Result<()> {
    if cx.get::<Rotating>(shelf, id).await?.is_none() {
        changes.put(shelf, &Row::new(id, Rotating {}))?;
    }
    Ok(())
}

/// What is due for keys of a vault. Marks of keys that are gone it removes, which nobody needs to know.
struct ListDue {
    vault: Addressed,
}

#[async_trait]
impl Op for ListDue {
    const ACTION: Action = ListVaults::ACTION;
    type Output = Vec<(ObjectName, LifetimeAct)>;

    fn scope(&self) -> ResourceId {
        self.vault.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let opened = open(cx, &self.vault).await?;
        let (mut due, mut gone) = (Vec::new(), Changes::new());
        for mark in cx.all::<Rotating>(&opened.shelf, b"").await? {
            match cx.get::<Object<Key>>(&opened.shelf, &mark.id).await {
                Ok(None) => {
                    gone.delete(&opened.shelf, &mark);
                }
                Ok(Some(row)) => due.extend(due_of(&row.value, cx.now().seconds())),
                // One key that cannot be read does not end the life of the others.
                Err(fault) => {
                    tracing::warn!(vault = %self.vault.id, ?fault, "what is due for a key could not be found out");
                }
            }
        }
        if !gone.is_empty() {
            cx.keep(gone).await?;
        }
        Ok(due)
    }
}

/// All that is due for a key: also its end is told of when it cannot be rotated.
fn due_of(object: &Object<Key>, now: i64) -> Vec<(ObjectName, LifetimeAct)> {
    let Ok(name) = ObjectName::new(&object.name) else {
        tracing::warn!("a key of a vault has a name that none can have, so nothing is done for it");
        return Vec::new();
    };
    let acts = [LifetimeAct::Rotate, LifetimeAct::Notify].into_iter();
    let acts = acts.filter(|act| object.deletion.is_none() && is_due(object, *act, now));
    acts.map(|act| (name.clone(), act)).collect()
}

/// The least age of a version that is rotated by itself, in seconds. No policy that is taken asks for less than seven days, but one
/// may lie here that was taken by another measure, and would make a version at every look.
const LEAST_AGE: i64 = 86_400;

/// A key that somebody disabled is left alone until it is enabled again.
fn is_due(object: &Object<Key>, act: LifetimeAct, now: i64) -> bool {
    let (current, whole) = (&object.current, &object.whole);
    let is_over = match act {
        LifetimeAct::Notify => whole.told == Some(current.id),
        LifetimeAct::Rotate => now.saturating_sub(current.attributes.created) < LEAST_AGE,
    };
    let due_at = whole.policy.as_ref().and_then(|policy| policy.due_at(act, current));
    current.attributes.enabled && !is_over && due_at.is_some_and(|at| at <= now)
}

/// Rotates a key whose time has come.
struct RotateDue {
    vault: Addressed,
    name: ObjectName,
}

#[async_trait]
impl Op for RotateDue {
    const ACTION: Action = ROTATE;
    type Output = ();

    fn scope(&self) -> ResourceId {
        scope_of::<Key>(&self.vault, &self.name)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let opened = open(cx, &self.vault).await?;
        let row = opened.object::<Key>(cx, &self.name).await?;
        if is_due(&row.value, LifetimeAct::Rotate, cx.now().seconds()) {
            rotate(cx, &opened, &self.name).await?;
        }
        Ok(())
    }
}

/// Writes into the log that a key's current version ends soon: once for each version.
struct TellOfEnd {
    vault: Addressed,
    name: ObjectName,
}

#[async_trait]
impl Op for TellOfEnd {
    const ACTION: Action = Action::new("Microsoft.KeyVault/vaults/keys/nearExpiry/action", Class::Control);
    type Output = ();

    fn scope(&self) -> ResourceId {
        scope_of::<Key>(&self.vault, &self.name)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let opened = open(cx, &self.vault).await?;
        let mut row = opened.object::<Key>(cx, &self.name).await?;
        if !is_due(&row.value, LifetimeAct::Notify, cx.now().seconds()) {
            return Ok(());
        }
        cx.note("version", row.value.current.id.to_string());
        let end = row.value.current.attributes.expires.unwrap_or_default();
        cx.note("expires", kernel::Timestamp(end.saturating_mul(1000)).rfc3339());
        row.value.whole.told = Some(row.value.current.id);
        let mut changes = Changes::new();
        changes.put(&opened.shelf, &row)?;
        cx.commit(changes).await
    }
}

/// Rotates what is due in all vaults, and tells of what ends soon.
///
/// # Errors
/// When the vaults cannot be listed; what fails for one vault or key is logged and left to the next look.
pub async fn look_after_rotations(house: &House) -> Result<()> {
    for vault in enter(house, &Caller::house(), ListVaults).await? {
        let due = match enter(house, &Caller::house(), ListDue { vault: vault.clone() }).await {
            // It was deleted since.
            Err(fault) if fault.kind() == Fault::NotFound => continue,
            Err(fault) => {
                tracing::warn!(vault = %vault.id, ?fault, "what is due for keys of a vault could not be found out");
                continue;
            }
            Ok(due) => due,
        };
        for (name, act) in due {
            let (vault, key) = (vault.clone(), name.as_str().to_owned());
            let done = match act {
                LifetimeAct::Rotate => enter(house, &Caller::house(), RotateDue { vault, name }).await,
                LifetimeAct::Notify => enter(house, &Caller::house(), TellOfEnd { vault, name }).await,
            };
            if let Err(fault) = done {
                tracing::warn!(%key, ?fault, "a key of a vault could not be looked after");
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use seal::{VaultKey, VaultKeyShape};

    use super::*;
    use crate::vault::{
        Attributes, Version, VersionId,
        keys::{KeyContent, KeyType, LifetimeAction, RotationPolicy, Trigger},
    };

    #[test]
    fn a_stored_policy_whose_time_is_before_its_version_does_not_rotate_at_every_look() {
        let key = VaultKey::generate(VaultKeyShape::Symmetric(128)).unwrap();
        let span = |text: &str| text.parse().unwrap();
        let rotates = LifetimeAction { act: LifetimeAct::Rotate, trigger: Trigger::BeforeExpiry(span("P11M")) };
        let day = 86_400;
        let current = Version {
            id: VersionId::random(),
            attributes: Attributes {
                enabled: true,
                not_before: None,
                expires: Some(315 * day),
                created: 0,
                updated: 0,
            },
            tags: Default::default(),
            content: KeyContent::new(KeyType::Oct, Vec::new(), &key),
        };
        let mut object = Object::<Key> {
            name: String::from("k"),
            current,
            older: 0,
            whole: Default::default(),
            is_managed: false,
            deletion: None,
        };
        object.whole.policy =
            Some(RotationPolicy { actions: vec![rotates], life: Some(span("P315D")), created: 0, updated: 0 });
        assert!(!is_due(&object, LifetimeAct::Rotate, 600));
        assert!(is_due(&object, LifetimeAct::Rotate, day));
        // Each act is due by itself: what cannot be rotated is told of.
        let told = LifetimeAction { act: LifetimeAct::Notify, trigger: Trigger::BeforeExpiry(span("P30D")) };
        object.whole.policy.as_mut().unwrap().actions.push(told);
        let acts = |now: i64| due_of(&object, now).into_iter().map(|(_, act)| act).collect::<Vec<_>>();
        assert_eq!(acts(100 * day), [LifetimeAct::Rotate]);
        assert_eq!(acts(300 * day), [LifetimeAct::Rotate, LifetimeAct::Notify]);
    }
}
