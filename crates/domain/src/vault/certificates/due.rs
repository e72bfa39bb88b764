//! What the server does by itself in the life of a certificate: renewing it when its policy says so, and telling of its end.

use async_trait::async_trait;
use kernel::{Action, Caller, Class, Error, Kind as Fault, ResourceId, Result};
use serde::{Deserialize, Serialize};

use super::{
    CREATE, Certificate, CertificateAct,
    made::{Made, next_key},
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

/// The least age of a version that is renewed by itself, in seconds: no policy makes a version at every look.
const LEAST_AGE: i64 = 86_400;

/// What is done of one vault at a look: keys take seconds to make, and the other vaults wait meanwhile.
const MOST_AT_ONCE: usize = 20;

/// Says that there is a certificate of this id, so that looking for what is due reads few rows. On the vault's shelf.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Renewing {}

impl Record for Renewing {
    const TABLE: &'static str = "vault-certificate-renewing";
}

/// Marks a certificate as one whose life is looked after, with `changes`.
pub(super) async fn mark(cx: &Admission<'_>, shelf: &Shelf, id: &[u8], changes: &mut Changes) -> Result<()> {
    if cx.get::<Renewing>(shelf, id).await?.is_none() {
        changes.put(shelf, &Row::new(id, Renewing {}))?;
    }
    Ok(())
}

/// What is due for certificates of a vault, or a part of it when there is much. Marks of those that are gone it removes, which nobody
/// needs to know.
struct ListDue {
    vault: Addressed,
}

#[async_trait]
impl Op for ListDue {
    const ACTION: Action = ListVaults::ACTION;
    type Output = Vec<(ObjectName, CertificateAct)>;

    fn scope(&self) -> ResourceId {
        self.vault.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let opened = open(cx, &self.vault).await?;
        let (mut due, mut gone) = (Vec::new(), Changes::new());
        for mark in cx.all::<Renewing>(&opened.shelf, b"").await? {
            match cx.get::<Object<Certificate>>(&opened.shelf, &mark.id).await {
                Ok(None) => {
                    gone.delete(&opened.shelf, &mark);
                }
                Ok(Some(row)) => {
                    let acts = [CertificateAct::AutoRenew, CertificateAct::EmailContacts].into_iter();
                    let acts = acts.filter(|act| is_due(&row.value, *act, cx.now().seconds()));
                    let name = ObjectName::new(&row.value.name)?;
                    due.extend(acts.map(|act| (name.clone(), act)));
                }
                // One certificate that cannot be read does not end the life of the others.
                Err(fault) => {
                    tracing::warn!(vault = %self.vault.id, ?fault, "what is due for a certificate could not be found out");
                }
            }
        }
        if !gone.is_empty() {
            cx.keep(gone).await?;
        }
        if due.len() > MOST_AT_ONCE {
            // From another place each time, so that what fails again and again keeps nothing else from its turn.
            let from = usize::try_from(cx.now().0).unwrap_or_default().checked_rem(due.len());
            due.rotate_left(from.unwrap_or_default());
            due.truncate(MOST_AT_ONCE);
        }
        Ok(due)
    }
}

/// A certificate that somebody disabled is left alone until it is enabled again.
fn is_due(object: &Object<Certificate>, act: CertificateAct, now: i64) -> bool {
    let (current, whole) = (&object.current, &object.whole);
    let is_over = match act {
        CertificateAct::EmailContacts => whole.told == Some(current.id),
        CertificateAct::AutoRenew => now.saturating_sub(current.attributes.created) < LEAST_AGE,
    };
    let due_at = whole.policy.as_ref().and_then(|policy| policy.due_at(act, &current.attributes));
    let is_there = object.deletion.is_none() && current.attributes.enabled;
    is_there && !is_over && due_at.is_some_and(|at| at <= now)
}

/// Renews a certificate whose time has come: a version that says the same, with the labels of the newest.
struct RenewDue {
    vault: Addressed,
    name: ObjectName,
}

#[async_trait]
impl Op for RenewDue {
    const ACTION: Action = CREATE;
    type Output = ();

    fn scope(&self) -> ResourceId {
        scope_of::<Certificate>(&self.vault, &self.name)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let (opened, now) = (open(cx, &self.vault).await?, cx.now().seconds());
        let row = opened.object::<Certificate>(cx, &self.name).await?;
        if !is_due(&row.value, CertificateAct::AutoRenew, now) {
            return Ok(());
        }
        let policy = row.value.whole.policy.clone();
        let policy = policy.ok_or_else(|| Error::internal("a certificate without a policy"))?;
        cx.note("issuer", policy.issuer.name());
        cx.note("kty", policy.kind.name());
        let key = next_key(cx, &opened, &self.name, &policy).await?;
        let made = Made::self_signed(policy, &key, Some(true), row.value.current.tags.clone(), now)?;
        let mut changes = Changes::new();
        // In the place of the row that was read before the key was made, which may have taken seconds: one that changed meanwhile is
        // left as it is, and renewed at the next look.
        made.stage_over(cx, &opened, &self.name, Some(row), &mut changes).await?;
        cx.commit(changes).await
    }
}

/// Writes into the log that a certificate's newest version ends soon: once for each version.
struct TellOfEnd {
    vault: Addressed,
    name: ObjectName,
}

#[async_trait]
impl Op for TellOfEnd {
    const ACTION: Action = Action::new("Microsoft.KeyVault/vaults/certificates/nearExpiry/action", Class::Control);
    type Output = ();

    fn scope(&self) -> ResourceId {
        scope_of::<Certificate>(&self.vault, &self.name)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let opened = open(cx, &self.vault).await?;
        let mut row = opened.object::<Certificate>(cx, &self.name).await?;
        if !is_due(&row.value, CertificateAct::EmailContacts, cx.now().seconds()) {
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

/// Renews what is due in all vaults, and tells of what ends soon.
///
/// # Errors
/// When the vaults cannot be listed; what fails for one vault or certificate is logged and left to the next look.
pub async fn look_after_certificates(house: &House) -> Result<()> {
    for vault in enter(house, &Caller::house(), ListVaults).await? {
        let due = match enter(house, &Caller::house(), ListDue { vault: vault.clone() }).await {
            // It was deleted since.
            Err(fault) if fault.kind() == Fault::NotFound => continue,
            Err(fault) => {
                tracing::warn!(vault = %vault.id, ?fault, "what is due for certificates could not be found out");
                continue;
            }
            Ok(due) => due,
        };
        for (name, act) in due {
            let (vault, certificate) = (vault.clone(), name.as_str().to_owned());
            let done = match act {
                CertificateAct::AutoRenew => enter(house, &Caller::house(), RenewDue { vault, name }).await,
                CertificateAct::EmailContacts => enter(house, &Caller::house(), TellOfEnd { vault, name }).await,
            };
            if let Err(fault) = done {
                tracing::warn!(%certificate, ?fault, "a certificate of a vault could not be looked after");
            }
        }
    }
    Ok(())
}
