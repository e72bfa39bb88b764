//! Signs of life, and what the server answers to them. Independent of the work, so that a stuck program can be ended.

use std::{sync::Arc, time::Duration};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    time::{Instant, sleep, timeout},
};

use super::server::{PATIENCE, Server, ServerError};

/// How long the server may hold an answer back.
const POLL: Duration = Duration::from_secs(20);
/// How much longer than that we wait for it.
const SLACK: Duration = Duration::from_secs(15);
/// Between attempts when the server is away.
const PAUSE: Duration = Duration::from_secs(2);
/// The least time between two signs of life, should the server answer at once each time.
const LEAST: Duration = Duration::from_millis(500);

/// Why the work is to end before its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// It is not.
    No,
    /// The server said so.
    Canceled,
    /// The launcher ended this agent.
    Ended,
    /// The server was away for too long.
    Lost,
    /// The server does not know the run any more.
    Over,
}

/// Watches for reasons to stop, for as long as it is not dropped.
pub fn watch(server: Arc<Server>) -> watch::Receiver<Stop> {
    let (reasons, watched) = watch::channel(Stop::No);
    let reasons = Arc::new(reasons);
    tokio::spawn(beat(server, Arc::clone(&reasons)));
    tokio::spawn(listen(reasons));
    watched
}

/// Waits until there is a reason to stop.
pub async fn stopped(watched: &mut watch::Receiver<Stop>) -> Stop {
    match watched.wait_for(|stop| *stop != Stop::No).await {
        Ok(stop) => *stop,
        // The watchers never end before the agent does; should they, the work goes on.
        Err(_) => std::future::pending().await,
    }
}

async fn beat(server: Arc<Server>, reasons: Arc<watch::Sender<Stop>>) {
    let mut away_since: Option<Instant> = None;
    loop {
        let begun = Instant::now();
        let answer = timeout(POLL + SLACK, server.heartbeat(POLL)).await;
        match answer {
            Ok(Ok(orders)) => {
                away_since = None;
                if let Some(token) = &orders.run_token {
                    server.renew(token);
                }
                if orders.cancel {
                    give(&reasons, Stop::Canceled);
                }
            }
            Ok(Err(ServerError::Over)) => return give(&reasons, Stop::Over),
            Ok(Err(error)) => {
                tracing::debug!(%error, "no answer to a sign of life");
                if away_since.get_or_insert(begun).elapsed() > PATIENCE {
                    return give(&reasons, Stop::Lost);
                }
                sleep(PAUSE).await;
            }
            Err(_) => {
                if away_since.get_or_insert(begun).elapsed() > PATIENCE {
                    return give(&reasons, Stop::Lost);
                }
            }
        }
        sleep(LEAST.saturating_sub(begun.elapsed())).await;
    }
}

async fn listen(reasons: Arc<watch::Sender<Stop>>) {
    let Ok(mut terminate) = signal(SignalKind::terminate()) else { return };
    while terminate.recv().await.is_some() {
        give(&reasons, Stop::Ended);
    }
}

/// The first reason stays, except that losing the server ends even a cancellation.
fn give(reasons: &watch::Sender<Stop>, reason: Stop) {
    reasons.send_if_modified(|held| {
        let stronger = *held == Stop::No || matches!(reason, Stop::Lost | Stop::Over);
        if stronger {
            *held = reason;
        }
        stronger
    });
}
