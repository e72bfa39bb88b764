//! From where a workspace is reached: the network rules, as the gate asks them and keeps them.

use std::sync::{Arc, atomic::Ordering};

use kernel::{Action, Caller, Error, ResourceId, Result};

use super::{Admission, House};
use crate::network::{self, Networks};

/// What the record of a refusal says; the address is in every record.
pub(super) const OUT_OF_REACH: &str = "the network rules of the workspace do not let this address in";

/// The refusal of the network rules. Operations that are public find out by themselves what they are about, and ask then.
pub(super) fn out_of_reach(house: &House, caller: &Caller, action: &Action, scope: &ResourceId) -> Option<Error> {
    if action.is_public() || action.is_beyond_network_rules() || is_management(action) {
        return None;
    }
    // Of a vault only what it holds is bound.
    if scope.vault().is_some() && !action.is_data() {
        return None;
    }
    network::refusal(house, caller, scope)
}

/// Access and monitoring are management wherever they are asked about.
fn is_management(action: &Action) -> bool {
    const MANAGEMENT: [&str; 2] = ["Microsoft.Authorization/", "Microsoft.Insights/"];
    MANAGEMENT.iter().any(|namespace| action.name().starts_with(namespace))
}

impl House {
    pub(crate) fn networks(&self) -> arc_swap::Guard<Arc<Networks>> {
        self.networks.load()
    }

    /// Recompiles the network rules.
    pub(super) async fn reload_networks(&self) -> Result<()> {
        let _turn = self.turn.lock().await;
        let compiled = network::compiled(self).await?;
        self.networks.store(Arc::new(compiled));
        Ok(())
    }

    /// Publishes what a commit changed of the rules. While they cannot be read, no workspace can be reached.
    pub(super) async fn refresh_networks(&self) {
        if let Err(fault) = self.reload_networks().await {
            tracing::error!(?fault, "network rules could not be read; no workspace is reached until they can");
            self.networks.store(Arc::new(Networks::closed()));
            self.faults.fetch_add(1, Ordering::AcqRel);
        }
    }
}

impl Admission<'_> {
    /// Refuses unless the caller may reach this from where it is: for public operations, which establish by themselves what
    /// they are about. All others are asked before they run.
    pub(crate) fn require_reach(&self, scope: &ResourceId) -> Result<()> {
        let Some(refusal) = network::refusal(self.house(), self.caller(), scope) else { return Ok(()) };
        self.note("refused", OUT_OF_REACH);
        Err(refusal)
    }

    /// The same for an agent that has no token yet: on this machine it is the local target's.
    pub(crate) fn require_agent_reach(&self, scope: &ResourceId) -> Result<()> {
        if self.caller().source.is_here { Ok(()) } else { self.require_reach(scope) }
    }
}
