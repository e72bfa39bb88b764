//! The house: everything an operation could reach, private to the gate.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use arc_swap::ArcSwap;
use kernel::{
    Action, Batch, BlobStore, Clock, ComputeDriver, Error, KeyProvider, Kind, LogRow, MetaStore, Result, Sealed,
    TenantId, Timestamp, Web,
};
use seal::Place;
use uuid::Uuid;

use super::{
    Activity, Capacity, Record, Row, Settings, Shelf,
    keys::Keys,
    reads::{ENOUGH, PendingReads},
    tide::Tide,
};
use crate::{
    access::{self, Access, Catalogue},
    audit,
    compute::Pulses,
    customer_keys::{CustomerKey, Glass, HeldKeyring},
    deployments::Running,
    governance::Policies,
    identity::Identity,
    network::Networks,
    registry::Registries,
    scoring::Scoring,
    signal::Signals,
    storage::Accounts,
    tracking::Recall,
    vault::HeldKeys,
};

/// The table name under which log records are sealed.
const LOG: &str = "activity";

/// What the house is built from.
pub struct Parts {
    /// Metadata.
    pub meta: Arc<dyn MetaStore>,
    /// Blobs.
    pub blobs: Arc<dyn BlobStore>,
    /// The root key.
    pub root: Arc<dyn KeyProvider>,
    /// The default compute target.
    pub compute: Arc<dyn ComputeDriver>,
    /// Servers elsewhere.
    pub web: Arc<dyn Web>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Settings.
    pub settings: Settings,
    /// What the doors ask for: the operation catalogue that roles are read against.
    pub actions: Vec<Action>,
}

/// The house. Rooms reach its stores through a `Cx` alone.
pub struct House {
    meta: Arc<dyn MetaStore>,
    blobs: Arc<dyn BlobStore>,
    compute: Arc<dyn ComputeDriver>,
    web: Arc<dyn Web>,
    clock: Arc<dyn Clock>,
    keys: Keys,
    root: Arc<dyn KeyProvider>,
    /// Whoever wraps the system's keyring anew waits here.
    pub(super) rewrapping: tokio::sync::Mutex<()>,
    /// Whoever seals and commits holds it with others; whoever gives a shelf a new key, alone: what was sealed under the old one
    /// has been committed by then.
    pub(super) sealing: tokio::sync::RwLock<()>,
    /// Who copies everything: one at a time.
    pub(crate) copying: Arc<tokio::sync::Semaphore>,
    reads: PendingReads,
    anonymous_denials: AtomicU64,
    access: ArcSwap<Access>,
    catalogue: Arc<Catalogue>,
    pub(super) networks: ArcSwap<Networks>,
    pub(super) policies: ArcSwap<Policies>,
    /// Changes of role assignments of this server wait for one another here; those of two servers are told apart by their
    /// epoch.
    pub(crate) assigning: tokio::sync::Mutex<()>,
    /// Whoever asks for an approval waits here, so that the same is asked for once.
    pub(crate) asking: tokio::sync::Mutex<()>,
    /// How often a snapshot could not be read after a change, since all could.
    pub(super) faults: AtomicU64,
    /// Whose turn it is to publish a snapshot.
    pub(crate) turn: tokio::sync::Mutex<()>,
    settings: Settings,
    /// What the identity room keeps in memory.
    pub(crate) identity: Identity,
    /// What the scoring room keeps in memory.
    pub(crate) scoring: Scoring,
    /// What workspaces have left of their request units.
    pub(crate) capacity: Capacity,
    /// What two custodians opened.
    pub(crate) glass: Glass,
    /// Storage accounts that were looked up.
    pub(crate) accounts: Accounts,
    /// Registries that were looked up.
    pub(crate) registries: Registries,
    /// What the vault room keeps in memory.
    pub(crate) vault: HeldKeys,
    /// Deployments of templates that are under way.
    pub(crate) deployments: Running,
    /// When runs were heard last.
    pub(crate) pulses: Pulses,
    /// Opened runs, kept between searches.
    pub(crate) recall: Recall,
    /// Whose commits came into the log.
    pub(crate) tide: Tide,
    /// Wakes whoever waits for a change.
    pub(crate) signals: Signals,
    /// Records of the log before this one need not be counted any more; held by whoever counts.
    pub(crate) counted: tokio::sync::Mutex<u64>,
}

impl House {
    /// Opens a house over its stores: unseals the system keyring, checks the store and the tail of the log, compiles
    /// the access snapshot.
    ///
    /// # Errors
    /// `Unavailable` with a sentence for the operator when the root key does not fit or the store is damaged.
    pub async fn open(parts: Parts) -> Result<Self> {
        parts.meta.check().await.map_err(|fault| {
            Error::new(Kind::Unavailable, format!("the metadata store is damaged: {}", chain_of(&fault))).because(fault)
        })?;
        let keys = Keys::open(parts.meta.as_ref(), parts.root.as_ref(), parts.settings.key_grace).await?;
        // A rotation that a stop cut off ends here: whoever opens the house has the data directory alone.
        if let Err(fault) = parts.root.settle().await {
            tracing::warn!(%fault, "the old version of the root key could not be put away; it is tried again at the next start");
        }
        let house = Self {
            meta: parts.meta,
            blobs: parts.blobs,
            compute: parts.compute,
            web: parts.web,
            clock: parts.clock,
            keys,
            root: parts.root,
            rewrapping: tokio::sync::Mutex::default(),
            sealing: tokio::sync::RwLock::default(),
            copying: Arc::new(tokio::sync::Semaphore::new(1)),
            reads: PendingReads::default(),
            anonymous_denials: AtomicU64::new(0),
            access: ArcSwap::default(),
            networks: ArcSwap::default(),
            policies: ArcSwap::default(),
            catalogue: Arc::new(Catalogue::new(parts.actions)),
            assigning: tokio::sync::Mutex::default(),
            asking: tokio::sync::Mutex::default(),
            faults: AtomicU64::new(0),
            turn: tokio::sync::Mutex::default(),
            settings: parts.settings,
            identity: Identity::default(),
            scoring: Scoring::default(),
            capacity: Capacity::default(),
            glass: Glass::default(),
            accounts: Accounts::default(),
            registries: Registries::default(),
            vault: HeldKeys::default(),
            deployments: Running::default(),
            pulses: Pulses::default(),
            recall: Recall::default(),
            tide: Tide::default(),
            signals: Signals::default(),
            counted: tokio::sync::Mutex::default(),
        };
        audit::check_front(&house).await?;
        house.reload_identity().await?;
        house.reload_access().await?;
        house.reload_networks().await?;
        house.reload_policies().await?;
        Ok(house)
    }

    /// Now.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What an operator set.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The tenant; none before the house is founded.
    pub fn tenant(&self) -> Option<TenantId> {
        self.identity.tenant()
    }

    /// How many anonymous requests were refused since the start.
    pub fn anonymous_denials(&self) -> u64 {
        self.anonymous_denials.load(Ordering::Relaxed)
    }

    pub(crate) fn catalogue(&self) -> Arc<Catalogue> {
        Arc::clone(&self.catalogue)
    }

    /// The compiled snapshot, as it is at this moment: what has ended is in it no more.
    pub(crate) fn access(&self) -> arc_swap::Guard<Arc<Access>> {
        let mut held = self.access.load();
        if held.is_timeless() {
            return held;
        }
        let now = self.now();
        while let Some(moved) = held.moved_to(now) {
            // Whoever published another one meanwhile wins, and that one is looked at.
            self.access.compare_and_swap(&held, Arc::new(moved));
            held = self.access.load();
        }
        held
    }

    /// Whether roles and principals could not be read after a change.
    pub(crate) fn is_blind(&self) -> bool {
        self.faults.load(Ordering::Acquire) > 0
    }

    pub(crate) fn count_anonymous_denial(&self) {
        self.anonymous_denials.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn meta(&self) -> &dyn MetaStore {
        self.meta.as_ref()
    }

    pub(super) fn blobs(&self) -> &Arc<dyn BlobStore> {
        &self.blobs
    }

    pub(super) fn compute(&self) -> &Arc<dyn ComputeDriver> {
        &self.compute
    }

    pub(super) fn web(&self) -> &dyn Web {
        self.web.as_ref()
    }

    pub(super) fn root(&self) -> &dyn KeyProvider {
        self.root.as_ref()
    }

    pub(super) fn keys(&self) -> &Keys {
        &self.keys
    }

    pub(crate) async fn shelf(&self, of: impl Into<Uuid>) -> Result<Shelf> {
        self.keys.shelf(self, of.into()).await
    }

    /// What customers' keys opened, with those keys.
    pub(crate) fn held_shelves(&self) -> Vec<(Uuid, CustomerKey)> {
        self.keys.held()
    }

    /// Closes what was opened by customers' keys of which nothing was heard for longer than the grace.
    pub(crate) fn close_untrusted(&self) {
        if self.keys.close_untrusted(self.now()) {
            self.scoring.forget_services();
            self.recall.forget_locked();
        }
    }

    /// What is locked since the holder of its key does not answer.
    pub(crate) fn silent_shelves(&self) -> Vec<Uuid> {
        self.keys.silent()
    }

    /// A holder answers again: whoever asks next finds out what it says.
    pub(crate) fn heard(&self, of: Uuid) {
        self.keys.heard(of);
    }

    /// How a customer's key holds the keyring of what has this GUID; none when none does.
    pub(crate) async fn held_by(&self, of: Uuid) -> Result<Option<HeldKeyring>> {
        self.keys.held_by(self, of).await
    }

    /// A customer's key was looked at again. When it may not be used any more, nothing that it opened is kept.
    pub(crate) async fn looked_at(
        &self,
        of: Uuid,
        key: &CustomerKey,
        at: Timestamp,
        outcome: &Result<()>,
    ) -> Result<()> {
        if self.keys.looked_at(self, (of, key), at, outcome).await? {
            self.scoring.forget_services();
            self.recall.forget_locked();
        }
        Ok(())
    }

    /// Reads one row; only for what the gate itself must know before an operation runs.
    pub(crate) async fn peek<T: Record>(&self, shelf: &Shelf, id: &[u8]) -> Result<Option<Row<T>>> {
        match self.meta.get(&shelf.key(T::TABLE, id)).await? {
            Some(stored) => shelf.open(&stored).map(Some),
            None => Ok(None),
        }
    }

    /// Reads a page of rows in id order.
    pub(super) async fn page<T: Record>(
        &self,
        shelf: &Shelf,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row<T>>> {
        let after = after.map(|id| shelf.key(T::TABLE, id));
        let found = self.meta.scan(&shelf.key(T::TABLE, prefix), after.as_deref(), limit).await?;
        found.iter().map(|stored| shelf.open(stored)).collect()
    }

    /// Reads all rows whose id starts with `prefix`, page by page.
    pub(crate) async fn all<T: Record>(&self, shelf: &Shelf, prefix: &[u8]) -> Result<Vec<Row<T>>> {
        const PAGE: usize = 1000;
        let mut rows: Vec<Row<T>> = Vec::new();
        loop {
            let after = rows.last().map(|row| row.id.clone());
            let page = self.page(shelf, prefix, after.as_deref(), PAGE).await?;
            let was_last = page.len() < PAGE;
            rows.extend(page);
            if was_last {
                return Ok(rows);
            }
        }
    }

    pub(crate) fn system(&self) -> &Shelf {
        self.keys.system()
    }

    /// Recompiles the access snapshot; called after every commit that touches its tables.
    pub(crate) async fn reload_access(&self) -> Result<()> {
        // One at a time: of two that scan at once, the older picture must not be published last.
        let _turn = self.turn.lock().await;
        let compiled = access::compiled(self).await?;
        self.access.store(Arc::new(compiled));
        Ok(())
    }

    /// Publishes what a commit changed. A snapshot that cannot be read is as good as none: everything is refused until the
    /// house's own work has read it again (deny by default).
    pub(super) async fn refresh(&self, identity: bool, access: bool) {
        let mut outcome = Ok(());
        if identity {
            outcome = self.reload_identity().await;
        }
        if access && outcome.is_ok() {
            outcome = self.reload_access().await;
        }
        if let Err(fault) = outcome {
            tracing::error!(?fault, "roles and principals could not be read; everything is refused until they can");
            // First that nothing is known, so that nobody takes the empty picture for an answer.
            self.faults.fetch_add(1, Ordering::AcqRel);
            self.access.store(Arc::default());
        }
    }

    /// Reads roles and principals again if that failed before. Called by the house's own work.
    pub async fn heal(&self) -> Result<()> {
        let seen = self.faults.load(Ordering::Acquire);
        if seen > 0 {
            self.reload_identity().await?;
            self.reload_access().await?;
            self.reload_networks().await?;
            self.reload_policies().await?;
            // What failed meanwhile is healed next time.
            let _ = self.faults.compare_exchange(seen, 0, Ordering::AcqRel, Ordering::Acquire);
        }
        Ok(())
    }

    pub(super) fn seal_record(&self, activity: &Activity) -> Result<Sealed> {
        let plain = serde_json::to_vec(activity).map_err(Error::internal)?;
        Ok(self.system().ring().seal(log_place(), &plain)?)
    }

    /// Opens a row of the log.
    pub(crate) fn open_record(&self, row: &LogRow) -> Result<Activity> {
        let plain = self.system().ring().open(log_place(), &row.record)?;
        serde_json::from_slice(&plain).map_err(Error::internal)
    }

    pub(crate) async fn log_page(&self, from: u64, limit: usize) -> Result<Vec<LogRow>> {
        Ok(self.meta.log(from, limit).await?)
    }

    pub(crate) async fn log_head(&self) -> Result<(u64, kernel::Link)> {
        Ok(self.meta.log_head().await?)
    }

    /// Writes a record by itself, durable when it returns.
    pub(super) async fn write_record(&self, activity: &Activity) -> Result<()> {
        let records = vec![self.seal_record(activity)?];
        self.store(Batch { changes: Vec::new(), records }, None).await.map_err(|fault| {
            Error::new(Kind::Unavailable, "the activity log cannot be written, so nothing was done").because(fault)
        })?;
        Ok(())
    }

    /// Queues a record for the next batch.
    pub(super) async fn queue_record(&self, activity: &Activity) -> Result<()> {
        if self.reads.push(self.seal_record(activity)?)? >= ENOUGH
            && let Err(fault) = self.flush_reads().await
        {
            // They are kept and tried again; only when too many wait is anyone refused.
            tracing::error!(?fault, "records of reads could not be written");
        }
        Ok(())
    }

    /// Ends what waits for changes: long polls, followed logs. Called when the server stops.
    pub fn end_waits(&self) {
        self.signals.end();
    }

    /// Writes what is queued. Called at least every second by the house's own work, and at the end.
    pub async fn flush_reads(&self) -> Result<()> {
        let records = self.reads.take();
        if records.is_empty() {
            return Ok(());
        }
        let batch = Batch { changes: Vec::new(), records: records.clone() };
        if let Err(fault) = self.store(batch, None).await {
            self.reads.put_back(records);
            return Err(fault.into());
        }
        Ok(())
    }
}

fn log_place() -> Place<'static> {
    Place { shelf: &Shelf::SYSTEM, table: LOG, id: b"", version: 0 }
}

fn chain_of(fault: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(fault), |fault| fault.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
