//! Taking in the certificate that somebody signed for a request.

use std::collections::BTreeMap;

use async_trait::async_trait;
use kernel::{Action, Error, Kind as Fault, ResourceId, Result};
use seal::ordered_chain;

use super::{
    CREATE, Certificate, PendingStatus,
    made::Made,
    pending::{require_last, require_waiting},
};
use crate::{
    gate::{Changes, Cx, Op},
    resources::Addressed,
    vault::{
        ObjectName, Shown,
        opened::{ATTEMPTS, open, scope_of, too_busy},
    },
};

/// Makes a version of what was signed for the request that waits.
#[derive(Debug)]
pub struct MergeCertificate {
    /// The vault.
    pub vault: Addressed,
    /// The certificate.
    pub name: ObjectName,
    /// What was signed, and who vouches for it; DER.
    pub chain: Vec<Vec<u8>>,
    /// Whether it may be used; as the request says when none.
    pub enabled: Option<bool>,
    /// Free labels; those of the request when none.
    pub tags: Option<BTreeMap<String, String>>,
}

#[async_trait]
impl Op for MergeCertificate {
    const ACTION: Action = CREATE;
    type Output = Shown<Certificate>;

    fn scope(&self) -> ResourceId {
        scope_of::<Certificate>(&self.vault, &self.name)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Shown<Certificate>> {
        for _ in 0..ATTEMPTS {
            match self.once(cx).await {
                Err(fault) if fault.kind() == Fault::Stale => {}
                done => return done,
            }
        }
        Err(too_busy::<Certificate>())
    }
}

impl MergeCertificate {
    async fn once(&self, cx: &Cx<'_, Self>) -> Result<Shown<Certificate>> {
        let opened = open(cx, &self.vault).await?;
        let mut row = require_last(cx, &opened, &self.name).await?;
        require_waiting(&row.value)?;
        let key = row.value.key.take().ok_or_else(|| Error::internal("a request without its key"))?.opened()?;
        let chain = ordered_chain(&key, self.chain.clone())?;
        let tags = self.tags.clone().unwrap_or_else(|| row.value.tags.clone());
        let enabled = self.enabled.or(row.value.enabled);
        let made = Made::new(row.value.policy.clone(), &key, &chain, enabled, tags)?;
        let mut changes = Changes::new();
        let object = made.stage(cx, &opened, &self.name, &mut changes).await?;
        row.value.status = PendingStatus::Completed;
        changes.put(&opened.shelf, &row)?;
        cx.note("request", row.value.request.as_simple().to_string());
        cx.commit(changes).await?;
        Ok(Shown::current(object.value, opened.recovery()))
    }
}
