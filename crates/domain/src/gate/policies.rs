//! The policies on what resources may be, as the gate keeps them.

use std::sync::{Arc, atomic::Ordering};

use kernel::Result;

use super::House;
use crate::governance::{self, Policies};

impl House {
    pub(crate) fn policies(&self) -> arc_swap::Guard<Arc<Policies>> {
        self.policies.load()
    }

    /// Recompiles them.
    pub(super) async fn reload_policies(&self) -> Result<()> {
        let _turn = self.turn.lock().await;
        let compiled = governance::compiled(self).await?;
        self.policies.store(Arc::new(compiled));
        Ok(())
    }

    /// Publishes what a commit changed of them. While they cannot be read, no resource can be written.
    pub(super) async fn refresh_policies(&self) {
        if let Err(fault) = self.reload_policies().await {
            tracing::error!(?fault, "policies could not be read; no resource is written until they can");
            self.policies.store(Arc::new(Policies::closed()));
            self.faults.fetch_add(1, Ordering::AcqRel);
        }
    }
}
