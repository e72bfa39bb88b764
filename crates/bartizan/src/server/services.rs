//! Keeping services running: rules from the scoring room, probes from the gateway, in turn.

use std::{sync::Arc, time::Duration};

use domain::{gate::House, scoring::supervise};
use http_faces::faces::score::probe_replicas;
use tokio::{sync::watch, time::timeout};

/// Between two rounds: what a deployment that just became ready may have to wait.
const ROUND: Duration = Duration::from_millis(250);

/// Looks after all services until `stop` turns true.
pub(super) async fn keep_running(house: Arc<House>, mut stop: watch::Receiver<bool>) {
    while timeout(ROUND, stop.wait_for(|stopped| *stopped)).await.is_err() {
        if let Err(fault) = supervise(&house).await {
            tracing::error!(?fault, "services could not be looked after");
        }
        if let Err(fault) = probe_replicas(&house).await {
            tracing::error!(?fault, "replicas could not be asked how they are");
        }
    }
}
