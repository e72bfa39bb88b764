//! Making a certificate: at once when it signs itself, or as a request for somebody else to sign.

use std::collections::BTreeMap;

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::STANDARD};
use kernel::{Action, Kind as Fault, ResourceId, Result};
use uuid::Uuid;

use super::{
    CREATE, Certificate, CertificateIssuer, Pending, PendingStatus, PolicyForm,
    made::{Made, next_key, require_place},
    pending::{put, require_none_waits},
};
use crate::{
    gate::{Changes, Cx, Op},
    resources::Addressed,
    vault::{
        KeyContent, ObjectName,
        attributes::check_tags,
        keys::require_tier,
        opened::{ATTEMPTS, Opened, open, require_alive, scope_of, too_busy},
    },
};

/// Makes a certificate: its first version, or one more.
#[derive(Debug)]
pub struct CreateCertificate {
    /// The vault.
    pub vault: Addressed,
    /// The certificate.
    pub name: ObjectName,
    /// What it is made like; its policy from then on.
    pub policy: PolicyForm,
    /// Whether it may be used.
    pub enabled: Option<bool>,
    /// Free labels.
    pub tags: BTreeMap<String, String>,
}

#[async_trait]
impl Op for CreateCertificate {
    const ACTION: Action = CREATE;
    type Output = Pending;

    fn scope(&self) -> ResourceId {
        scope_of::<Certificate>(&self.vault, &self.name)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Pending> {
        let now = cx.now().seconds();
        let policy = self.policy.fresh(now)?;
        check_tags(&self.tags)?;
        cx.note("issuer", policy.issuer.name());
        cx.note("kty", policy.kind.name());
        let opened = open(cx, &self.vault).await?;
        require_tier(&opened, policy.kind)?;
        require_place(cx, &opened, &self.name).await?;
        require_none_waits(cx, &opened, &self.name).await?;
        let key = next_key(cx, &opened, &self.name, &policy).await?;
        let mut pending = Pending {
            name: self.name.as_str().to_owned(),
            request: Uuid::new_v4(),
            issuer: policy.issuer,
            csr: STANDARD.encode(policy.says.request(&key)?),
            status: PendingStatus::Completed,
            policy: policy.clone(),
            key: None,
            enabled: self.enabled,
            tags: self.tags.clone(),
        };
        let made = match policy.issuer {
            CertificateIssuer::Own => Some(Made::self_signed(policy, &key, self.enabled, self.tags.clone(), now)?),
            CertificateIssuer::Unknown => {
                pending.status = PendingStatus::InProgress;
                pending.key = Some(KeyContent::new(policy.kind, policy.kind.operations(None)?, &key));
                None
            }
        };
        for _ in 0..ATTEMPTS {
            let opened = open(cx, &self.vault).await?;
            match self.keep(cx, &opened, made.as_ref(), &pending).await {
                Err(fault) if fault.kind() == Fault::Stale => {}
                done => return done.map(|()| pending),
            }
        }
        Err(too_busy::<Certificate>())
    }
}

impl CreateCertificate {
    async fn keep(&self, cx: &Cx<'_, Self>, opened: &Opened, made: Option<&Made>, pending: &Pending) -> Result<()> {
        require_none_waits(cx, opened, &self.name).await?;
        let mut changes = Changes::new();
        match made {
            Some(made) => {
                made.stage(cx, opened, &self.name, &mut changes).await?;
            }
            None => {
                // A deletion meanwhile makes this stale.
                if let Some(row) = opened.named::<Certificate>(cx, &self.name).await? {
                    require_alive(&row.value)?;
                    changes.put(&opened.shelf, &row)?;
                }
            }
        }
        put(cx, opened, &self.name, pending, &mut changes).await?;
        cx.note("request", pending.request.as_simple().to_string());
        cx.commit(changes).await
    }
}
