//! The one way by which the house commits, and what follows from commits of others.

use std::sync::atomic::Ordering;

use kernel::{Batch, Result, StoreResult};

use super::House;
use crate::{
    resources::{Resource, Workspace},
    tracking::Touch,
};

impl House {
    /// Commits, and removes the log's records up to `cut` with it. All commits of the house come by here, so that what is kept in
    /// memory knows them.
    pub(super) async fn store(&self, batch: Batch, cut: Option<u64>) -> StoreResult<()> {
        let (ticket, records, touched) = (self.tide.embark(), batch.records.len(), Touch::of(&batch.changes));
        let outcome = match cut {
            None => self.meta().commit(batch).await,
            Some(through) => self.meta().commit_cut(batch, through).await,
        };
        // Before anybody can take it for known, and also after a fault: then nobody knows what was written.
        self.recall.touch(&touched);
        ticket.arrived(outcome?, records);
        Ok(())
    }

    /// Drops what is kept of workspaces whose key is there no more, or that were raised to high business impact, by whichever server
    /// that was done. Called by the house's own work.
    pub(crate) async fn forget_keyless(&self) -> Result<()> {
        let (head, _) = self.log_head().await?;
        let looked = self.recall.looked.load(Ordering::Relaxed);
        let foreign = self.tide.foreign(head, looked).await;
        if foreign <= looked {
            return Ok(());
        }
        for (id, row) in self.recall.workspaces() {
            let may_be_kept = self.keys().is_there(self.meta(), id).await?
                && self
                    .peek::<Resource<Workspace>>(self.system(), &row)
                    .await?
                    .is_some_and(|row| row.value.guid == id && !row.value.properties.hbi);
            if !may_be_kept {
                self.recall.forget_shelves(&[id.as_bytes().to_vec()]);
            }
        }
        self.recall.looked.store(foreign, Ordering::Relaxed);
        Ok(())
    }
}
