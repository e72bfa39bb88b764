//! The house's own work, in the background: it enters by the same door as everybody, as `Caller::house()`.
//!
//! Each loop is a function that looks, acts and waits. An error is logged and the loop goes on: what was due is due at the
//! next look. Nothing here keeps state that a restart would lose.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
use kernel::{Caller, Kind, Result};
use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

use crate::{
    access::{SweepApprovals, SweepRoleRequests, end_what_has_ended},
    alerts::keep_watching,
    compute::{DueRun, ListDueRuns, Task},
    customer_keys::{look_at_keys, look_at_keys_elsewhere},
    delivery::keep_delivering,
    diagnostics::send_what_is_due,
    erasure::sign_erasures,
    gate::{House, enter},
    identity::{SweepSignIns, look_after_tokens},
    impact::prove_what_is_raised,
    platform_metrics::keep_counting,
    registry::sweep_registries,
    resealing::reseal_what_is_due,
    resources::{ListDuePurges, ListDueSyncs, ListDueVaults, PurgeDue, PurgeDueVault},
    scoring::flush_requests,
    storage::{collect_lost, sweep_accounts},
    tracking::sweep_uploads,
    vault::{look_after_certificates, look_after_rotations, purge_objects_due},
};

/// Reads are recorded at most this late.
const FLUSH: Duration = Duration::from_millis(500);
/// The queue is looked at this often, and after every change.
const TICK: Duration = Duration::from_secs(1);
/// Signing keys, what hangs on tokens, and deleted workspaces are looked at this often.
const KEYS: Duration = Duration::from_secs(600);
/// Ciphertext that nothing names is looked for once a day; whether a day has gone by is asked this often.
const LOST: Duration = Duration::from_secs(3600);
/// Keys that customers hold are looked at this often while they are in use, and workspaces that were raised until they are proven.
const CUSTOMER_KEYS: Duration = Duration::from_secs(5);
/// And those that are elsewhere this often.
const KEYS_ELSEWHERE: Duration = Duration::from_secs(15);
/// Between two looks, however many changes there are.
const LEAST: Duration = Duration::from_millis(10);

/// Does the house's work until `stop` turns true, then writes what is still to be recorded.
pub async fn house_work(house: Arc<House>, stop: watch::Receiver<bool>) {
    let tasks = [
        tokio::spawn(flush_reads(Arc::clone(&house), stop.clone())),
        tokio::spawn(keep_counting(Arc::clone(&house), stop.clone())),
        tokio::spawn(keep_watching(Arc::clone(&house), stop.clone())),
        tokio::spawn(keep_delivering(Arc::clone(&house), stop.clone())),
        tokio::spawn(rotate_and_remove(Arc::clone(&house), stop.clone())),
        tokio::spawn(end_roles(Arc::clone(&house), stop.clone())),
        tokio::spawn(look_after_customer_keys(Arc::clone(&house), stop.clone())),
        tokio::spawn(look_after_keys_elsewhere(Arc::clone(&house), stop.clone())),
        tokio::spawn(collect(Arc::clone(&house), stop.clone())),
        tokio::spawn(look_after_reseals(Arc::clone(&house), stop.clone())),
        tokio::spawn(look_after_runs(Arc::clone(&house), stop)),
    ];
    for task in tasks {
        let _ended = task.await;
    }
    if let Err(fault) = flush_requests(&house).await {
        tracing::error!(?fault, "the last records of scoring requests could not be written");
    }
    if let Err(fault) = house.flush_reads().await {
        tracing::error!(?fault, "the last records of reads could not be written");
    }
}

async fn flush_reads(house: Arc<House>, mut stop: watch::Receiver<bool>) {
    while !is_over(&mut stop, FLUSH).await {
        if let Err(fault) = house.flush_reads().await {
            tracing::error!(?fault, "records of reads could not be written; they are kept and tried again");
        }
        if let Err(fault) = flush_requests(&house).await {
            tracing::error!(?fault, "records of scoring requests could not be written; they are tried again");
        }
        if let Err(fault) = house.heal().await {
            tracing::error!(?fault, "roles and principals still cannot be read");
        }
    }
}

async fn rotate_and_remove(house: Arc<House>, mut stop: watch::Receiver<bool>) {
    loop {
        if let Err(fault) = look_after_tokens(&house).await {
            tracing::error!(?fault, "signing keys could not be looked after; it is tried again");
        }
        if let Err(fault) = enter(&house, &Caller::house(), SweepSignIns).await {
            tracing::error!(?fault, "old sessions and guesses could not be removed; it is tried again");
        }
        if let Err(fault) = purge_what_is_due(&house).await {
            tracing::error!(?fault, "deleted workspaces could not be purged; it is tried again");
        }
        if let Err(fault) = sign_erasures(&house).await {
            tracing::error!(?fault, "certificates of erasure could not be signed; it is tried again");
        }
        if let Err(fault) = purge_vaults_due(&house).await {
            tracing::error!(?fault, "deleted vaults could not be purged; it is tried again");
        }
        if let Err(fault) = purge_objects_due(&house).await {
            tracing::error!(?fault, "deleted objects of vaults could not be purged; it is tried again");
        }
        if let Err(fault) = look_after_rotations(&house).await {
            tracing::error!(?fault, "keys of vaults could not be rotated; it is tried again");
        }
        if let Err(fault) = look_after_certificates(&house).await {
            tracing::error!(?fault, "certificates of vaults could not be renewed; it is tried again");
        }
        if let Err(fault) = sync_what_is_due(&house).await {
            tracing::error!(?fault, "keys of workspaces could not be synced; it is tried again");
        }
        if let Err(fault) = forget_old_requests(&house).await {
            tracing::error!(?fault, "old requests for approvals and roles could not be removed; it is tried again");
        }
        if let Err(fault) = send_what_is_due(&house).await {
            tracing::error!(?fault, "diagnostics could not be sent; it is tried again");
        }
        if let Err(fault) = sweep_accounts(&house).await {
            tracing::error!(?fault, "storage accounts could not be swept; it is tried again");
        }
        if let Err(fault) = sweep_uploads(&house).await {
            tracing::error!(?fault, "uploads that were given up could not be removed; it is tried again");
        }
        if let Err(fault) = sweep_registries(&house).await {
            tracing::error!(?fault, "registries could not be swept; it is tried again");
        }
        if is_over(&mut stop, KEYS).await {
            return;
        }
    }
}

/// Removes roles whose time is over. They are honoured no more already; this writes it down. Keys that nobody uses go from memory.
async fn end_roles(house: Arc<House>, mut stop: watch::Receiver<bool>) {
    while !is_over(&mut stop, TICK).await {
        if let Err(fault) = end_what_has_ended(&house).await {
            tracing::error!(?fault, "roles whose time is over could not be removed; it is tried again");
        }
        house.vault.forget_idle(house.now());
        house.recall.forget_idle(house.now());
        if let Err(fault) = house.forget_keyless().await {
            tracing::error!(?fault, "whether keys of workspaces are still there could not be seen; it is tried again");
        }
    }
}

/// Closes what customers' keys opened once they may not be used any more, and looks through workspaces that were raised.
async fn look_after_customer_keys(house: Arc<House>, mut stop: watch::Receiver<bool>) {
    while !is_over(&mut stop, CUSTOMER_KEYS).await {
        look_at_keys(&house).await;
        if let Err(fault) = prove_what_is_raised(&house).await {
            tracing::error!(?fault, "raised workspaces could not be looked through; it is tried again");
        }
    }
}

/// The same for keys elsewhere, which takes calls to those who hold them.
async fn look_after_keys_elsewhere(house: Arc<House>, mut stop: watch::Receiver<bool>) {
    while !is_over(&mut stop, KEYS_ELSEWHERE).await {
        look_at_keys_elsewhere(&house).await;
    }
}

/// Collects ciphertext that nothing names.
async fn collect(house: Arc<House>, mut stop: watch::Receiver<bool>) {
    loop {
        // All rows are read: whoever waits for the server to stop does not wait for that.
        let done = tokio::select! {
            done = collect_lost(&house) => done,
            _ = stop.wait_for(|stopped| *stopped) => return,
        };
        match done {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "objects that nothing named were removed"),
            Err(fault) => {
                tracing::error!(?fault, "lost objects could not be looked for; it is tried again in a day")
            }
        }
        if is_over(&mut stop, LOST).await {
            return;
        }
    }
}

/// Seals anew what was asked for, a piece at a time.
async fn look_after_reseals(house: Arc<House>, mut stop: watch::Receiver<bool>) {
    let mut pause = TICK;
    while !is_over(&mut stop, pause).await {
        pause = match reseal_what_is_due(&house).await {
            Ok(true) => LEAST,
            Ok(false) => TICK,
            Err(fault) => {
                tracing::error!(?fault, "data could not be sealed anew; it is tried again");
                TICK
            }
        };
    }
}

async fn look_after_runs(house: Arc<House>, mut stop: watch::Receiver<bool>) {
    let mut changes = house.signals.subscribe();
    let mut asked_at = Instant::now();
    loop {
        changes.borrow_and_update();
        let asks_target = asked_at.elapsed() >= TICK;
        if asks_target {
            asked_at = Instant::now();
        }
        if let Err(fault) = look_once(&house, asks_target).await {
            tracing::error!(?fault, "the runs could not be looked after");
        }
        if is_over(&mut stop, LEAST).await {
            return;
        }
        tokio::select! {
            () = sleep(TICK) => {}
            _ = changes.changed() => {}
            _ = stop.wait_for(|stopped| *stopped) => return,
        }
    }
}

/// One look at all live runs: starts what is queued and sees to what fell silent, was left or ended.
///
/// # Errors
/// When what is due cannot be found out; what fails for one run is logged and left to the next look.
pub async fn look_once(house: &Arc<House>, asks_target: bool) -> Result<()> {
    let due = enter(house, &Caller::house(), ListDueRuns { asks_target }).await?;
    let (urgent, rest): (Vec<_>, Vec<_>) = due.into_iter().partition(DueRun::is_urgent);
    // All at once: a process may take its time to end, and the others have no time to wait for it.
    join_all(urgent.into_iter().map(|run| see_to(house, run))).await;
    for run in rest {
        see_to(house, run).await;
    }
    Ok(())
}

async fn see_to(house: &House, run: DueRun) {
    let name = run.live.value.run.clone();
    let done = match run.task() {
        Task::Start(op) => enter(house, &Caller::house(), op).await,
        Task::Sweep(op) => enter(house, &Caller::house(), op).await,
    };
    match done {
        Ok(()) => {}
        Err(fault) if matches!(fault.kind(), Kind::Stale | Kind::Conflict) => {
            tracing::debug!(run = %name, ?fault, "somebody else was faster");
        }
        Err(fault) => tracing::warn!(run = %name, ?fault, "a run could not be seen to"),
    }
}

/// Purges the deleted workspaces whose time is over.
///
/// # Errors
/// When what is due cannot be found out; what fails for one workspace is logged and left to the next look.
pub async fn purge_what_is_due(house: &House) -> Result<()> {
    for deleted in enter(house, &Caller::house(), ListDuePurges).await? {
        let name = deleted.value.workspace.id.clone();
        if let Err(fault) = enter(house, &Caller::house(), PurgeDue { deleted }).await {
            tracing::warn!(workspace = %name, ?fault, "a deleted workspace could not be purged");
        }
    }
    Ok(())
}

/// Purges the deleted vaults whose time is over.
///
/// # Errors
/// As [`purge_what_is_due`].
pub async fn purge_vaults_due(house: &House) -> Result<()> {
    for deleted in enter(house, &Caller::house(), ListDueVaults).await? {
        let name = deleted.value.vault.id.clone();
        if let Err(fault) = enter(house, &Caller::house(), PurgeDueVault { deleted }).await {
            tracing::warn!(vault = %name, ?fault, "a deleted vault could not be purged");
        }
    }
    Ok(())
}

/// Removes requests, for approvals and for roles, that are long over.
///
/// # Errors
/// When they cannot be read or removed; the next look tries again.
pub async fn forget_old_requests(house: &House) -> Result<()> {
    enter(house, &Caller::house(), SweepApprovals).await?;
    enter(house, &Caller::house(), SweepRoleRequests).await
}

/// Lets workspaces take over keys of their companions that were regenerated an hour ago.
///
/// # Errors
/// As [`purge_what_is_due`].
pub async fn sync_what_is_due(house: &House) -> Result<()> {
    for due in enter(house, &Caller::house(), ListDueSyncs).await? {
        let name = due.workspace.clone();
        if let Err(fault) = enter(house, &Caller::house(), due).await {
            tracing::warn!(workspace = %name, ?fault, "the keys of a workspace could not be synced");
        }
    }
    Ok(())
}

/// Waits; whether it is time to stop.
async fn is_over(stop: &mut watch::Receiver<bool>, span: Duration) -> bool {
    timeout(span, stop.wait_for(|stopped| *stopped)).await.is_ok()
}
