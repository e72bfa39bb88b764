//! The context of an admitted operation.

use std::{
    collections::{BTreeMap, BTreeSet},
    marker::PhantomData,
    ops::Deref,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use kernel::{
    Action, Batch, Caller, Class, ComputeDriver, Error, Kind, ResourceId, Result, StoreError, Timestamp, Web, Who,
};
use uuid::Uuid;

use super::{
    Activity, Actor, Changes, Happening, House, Op, Outcome, Record, Row, Settings, Shelf, admit, is_recorded_first,
    keys::OwnKeyring,
};
use crate::{
    access::{self, ApprovalRequest, Decision},
    governance, identity, network, scoring,
    storage::Accounts,
    tracking,
};

/// The detail of a record that names what was asked for beside the operation's own action.
pub(crate) const ALSO_NEEDED: &str = "alsoNeeded";

/// Rows that are read at once where all are.
const ALL_AT_ONCE: usize = 1000;

/// Proof that `O` was authorized for this caller. Only the gate makes one.
pub struct Cx<'a, O> {
    admission: Admission<'a>,
    op: PhantomData<fn(O)>,
}

impl<'a, O: Op> Cx<'a, O> {
    pub(super) fn new(house: &'a House, caller: &'a Caller, scope: ResourceId) -> Self {
        Self { admission: Admission::new(house, caller, O::ACTION, scope), op: PhantomData }
    }
}

impl<'a, O> Deref for Cx<'a, O> {
    type Target = Admission<'a>;

    fn deref(&self) -> &Admission<'a> {
        &self.admission
    }
}

/// What an admitted caller may use, whatever the operation is. What rules of several operations share takes this, and is
/// compiled once.
pub struct Admission<'a> {
    house: &'a House,
    caller: &'a Caller,
    action: Action,
    scope: ResourceId,
    notes: Mutex<Notes>,
    is_recorded: AtomicBool,
    denial_is_recorded: AtomicBool,
    /// The approval that the first commit uses up.
    approval: Mutex<Option<Row<ApprovalRequest>>>,
    /// The workspace whose request units this uses.
    pub(super) metered: OnceLock<Uuid>,
}

/// What an operation says of itself for its record.
#[derive(Default)]
struct Notes {
    detail: BTreeMap<String, String>,
    /// Actions that were asked for beside the operation's own.
    needed: BTreeSet<&'static str>,
    actor: Option<Actor>,
    refusal: Option<Kind>,
}

impl<'a> Admission<'a> {
    fn new(house: &'a House, caller: &'a Caller, action: Action, scope: ResourceId) -> Self {
        Self {
            house,
            caller,
            action,
            scope,
            notes: Mutex::default(),
            is_recorded: AtomicBool::new(false),
            denial_is_recorded: AtomicBool::new(false),
            approval: Mutex::default(),
            metered: OnceLock::new(),
        }
    }

    /// Who asks.
    pub fn caller(&self) -> &'a Caller {
        self.caller
    }

    /// Who asks, as the log names them.
    pub(crate) fn actor(&self) -> Actor {
        Actor::of(self.caller)
    }

    /// Now.
    pub fn now(&self) -> Timestamp {
        self.house.now()
    }

    /// What an operator set.
    pub fn settings(&self) -> &'a Settings {
        self.house.settings()
    }

    /// What the caller was admitted to.
    pub(crate) fn action(&self) -> Action {
        self.action
    }

    /// The scope the operation was admitted for.
    pub fn scope(&self) -> &ResourceId {
        &self.scope
    }

    /// Whether the caller may also do this; for filtering lists and for rights that depend on the content.
    pub fn may(&self, action: &Action, scope: &ResourceId) -> bool {
        admit::may(self.house, self.caller, action, scope)
    }

    /// Refuses unless the caller may also do this.
    pub async fn require(&self, action: &Action, scope: &ResourceId) -> Result<()> {
        let admitted = admit::admit(self.house, self.caller, action, scope).await;
        match admitted {
            Ok(()) => self.notes().needed.insert(action.name()),
            Err(_) => self.denial_is_recorded.swap(true, Ordering::AcqRel),
        };
        admitted
    }

    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds to the activity record: names, versions, digests, counts; never contents or secrets.
    pub fn note(&self, key: &str, value: impl Into<String>) {
        self.notes().detail.insert(key.to_owned(), value.into());
    }

    /// Says in the record that something people count or wait for came about. Said before the attempt, it also names what failed.
    pub(crate) fn happened(&self, happening: Happening) {
        let (key, word) = happening.note();
        self.note(key, word);
    }

    /// Takes back what an attempt said that was not committed; to be called before each further one.
    pub(crate) fn begin_attempt(&self) {
        let (happening, _) = Happening::RunStarted.note();
        let mut notes = self.notes();
        for key in [happening, "state", "computeType"] {
            notes.detail.remove(key);
        }
    }

    /// The operation itself established who asks (a sign-in): the record names that identity.
    pub(crate) fn establish(&self, actor: Actor) {
        self.notes().actor = Some(actor);
    }

    /// The operation gives an answer that is a refusal in its protocol's own terms: the record says so.
    pub(crate) fn refuse(&self, kind: Kind) {
        self.notes().refusal = Some(kind);
    }

    /// Keeps an approval until the commit that uses it up.
    pub(super) fn hold(&self, approval: Row<ApprovalRequest>) {
        *self.approval.lock().unwrap_or_else(PoisonError::into_inner) = Some(approval);
    }

    /// The eligibility whose activation was approved.
    pub(crate) fn approved_eligibility(&self) -> Option<uuid::Uuid> {
        let held = self.approval.lock().unwrap_or_else(PoisonError::into_inner);
        held.as_ref().and_then(|row| row.value.places.eligibility)
    }

    /// Who approved what is asked; nobody when nothing had to be. To be asked before the commit that uses it up.
    pub(crate) fn approvals(&self) -> Vec<Decision> {
        let held = self.approval.lock().unwrap_or_else(PoisonError::into_inner);
        let decisions = held.iter().flat_map(|row| &row.value.decisions);
        decisions.filter(|decision| decision.approves).cloned().collect()
    }

    /// A part of what was approved; none when nothing had to be.
    pub(super) fn approved_part(&self, name: &str) -> Option<serde_json::Value> {
        let held = self.approval.lock().unwrap_or_else(PoisonError::into_inner);
        held.as_ref().and_then(|row| row.value.body.get(name).cloned())
    }

    fn take_approval(&self) -> Option<Row<ApprovalRequest>> {
        self.approval.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// What was noted up to now.
    pub(super) fn noted(&self) -> BTreeMap<String, String> {
        self.notes().detail.clone()
    }

    /// That the operation was refused has its record already.
    pub(super) fn denial_was_recorded(&self) {
        self.denial_is_recorded.store(true, Ordering::Release);
    }

    /// The system's shelf.
    pub fn system(&self) -> &'a Shelf {
        self.house.system()
    }

    /// The shelf of a workspace, or of what else has data of its own, by its GUID.
    pub async fn shelf(&self, of: impl Into<Uuid>) -> Result<Shelf> {
        self.house.shelf(of.into()).await
    }

    /// Reads one row.
    pub async fn get<T: Record>(&self, shelf: &Shelf, id: &[u8]) -> Result<Option<Row<T>>> {
        let found = self.house.meta().get(&shelf.key(T::TABLE, id)).await?;
        self.charge_read(shelf, found.as_ref().map_or(0, |stored| stored.value.bytes().len()));
        found.as_ref().map(|stored| shelf.open(stored)).transpose()
    }

    /// Reads at most `limit` rows whose id starts with `prefix` and is greater than `after`, in id order.
    pub async fn page<T: Record>(
        &self,
        shelf: &Shelf,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row<T>>> {
        let after = after.map(|id| shelf.key(T::TABLE, id));
        let found = self.house.meta().scan(&shelf.key(T::TABLE, prefix), after.as_deref(), limit).await?;
        self.charge_read(shelf, found.iter().map(|stored| stored.value.bytes().len()).sum());
        found.iter().map(|stored| shelf.open(stored)).collect()
    }

    /// Reads all rows whose id starts with `prefix`, in id order.
    pub async fn all<T: Record>(&self, shelf: &Shelf, prefix: &[u8]) -> Result<Vec<Row<T>>> {
        let mut rows: Vec<Row<T>> = Vec::new();
        loop {
            let after = rows.last().map(|row| row.id.clone());
            let page = self.page(shelf, prefix, after.as_deref(), ALL_AT_ONCE).await?;
            let was_last = page.len() < ALL_AT_ONCE;
            rows.extend(page);
            if was_last {
                return Ok(rows);
            }
        }
    }

    /// Makes the changes durable, together with the record of this operation. `Stale` when a row was written by someone
    /// else since it was read; nothing is half done. An approval that the operation needed is used up in the same commit.
    pub async fn commit(&self, changes: Changes) -> Result<()> {
        let turn = self.house.sealing.read().await;
        self.commit_in(changes, turn).await
    }

    /// The same while whoever asks holds the turn to seal.
    pub(super) async fn commit_in<T: Send>(&self, mut changes: Changes, turn: T) -> Result<()> {
        let Some(held) = self.take_approval() else { return self.write(changes, None, turn).await };
        let mut used = held.clone();
        used.value.used_at = Some(self.now());
        changes.put(self.system(), &used)?;
        let outcome = self.write(changes, None, turn).await;
        match outcome {
            Ok(()) => Ok(()),
            Err(fault) => {
                let fault = self.explain_stale(&held, fault).await;
                self.hold(held);
                Err(fault)
            }
        }
    }

    /// Commits, and removes the log's records up to `through` with it.
    pub(crate) async fn commit_cut(&self, changes: Changes, through: u64) -> Result<()> {
        let turn = self.house.sealing.read().await;
        self.write(changes, Some(through), turn).await
    }

    async fn write<T: Send>(&self, changes: Changes, cut: Option<u64>, turn: T) -> Result<()> {
        governance::judge(self, &changes).await?;
        let touches_access = changes.touches(access::TABLES);
        let touches_identity = changes.touches(identity::TABLES);
        let touches_applications = changes.touches(identity::APPLICATION_TABLES);
        let touches_networks = changes.touches(network::TABLES);
        let touches_policies = changes.touches(governance::TABLES);
        let touches_services = changes.touches(scoring::TABLES);
        let touches_accounts = changes.touches(Accounts::TABLES);
        let touched_keys = changes.ids(OwnKeyring::TABLE);
        let touches_keys = !touched_keys.is_empty();
        self.house.accounts.suspects.clear_named(&changes);
        let records = vec![self.house.seal_record(&self.activity(Outcome::Succeeded))?];
        let price = self.price(&changes);
        let changes = changes.seal()?;
        self.house.store(Batch { changes, records }, cut).await.map_err(|fault| match fault {
            StoreError::Stale { .. } => Error::from(fault),
            other => {
                Error::new(Kind::Unavailable, "the change could not be recorded, so it does not count").because(other)
            }
        })?;
        self.is_recorded.store(true, Ordering::Release);
        self.charge(price);
        if touches_access && touches_keys {
            // A key may be used by a role that this very commit gave: whoever opens the shelf anew is to find it.
            self.house.refresh(touches_identity, true).await;
        }
        if touches_keys {
            self.house.forget_keyrings(&touched_keys);
        }
        drop(turn);
        if touches_applications {
            self.house.identity.forget_applications();
        }
        if touches_services || touches_keys {
            self.house.scoring.forget_services();
        }
        if touches_accounts || touches_keys {
            self.house.accounts.forget();
            self.house.registries.forget();
        }
        if touches_networks {
            self.house.refresh_networks().await;
        }
        if touches_policies {
            self.house.refresh_policies().await;
        }
        if !(touches_access && touches_keys) {
            self.house.refresh(touches_identity, touches_access).await;
        }
        Ok(())
    }

    /// Makes changes durable that change nothing a caller could name: counters of guesses, one-time states, when a session
    /// was heard last. They leave no record of their own; the operation's own comes at its end and says how it went.
    pub(crate) async fn keep(&self, changes: Changes) -> Result<()> {
        let kept_in_memory = [
            access::TABLES,
            governance::TABLES,
            identity::TABLES,
            identity::APPLICATION_TABLES,
            network::TABLES,
            scoring::TABLES,
            tracking::TABLES,
        ];
        if kept_in_memory.iter().any(|tables| changes.touches(tables)) {
            return Err(Error::internal("a change that must be recorded was to be kept without a record"));
        }
        self.house.accounts.suspects.clear_named(&changes);
        let _turn = self.house.sealing.read().await;
        self.house.store(Batch { changes: changes.seal()?, records: Vec::new() }, None).await?;
        Ok(())
    }

    /// The house's in-memory companions, for rooms of this crate.
    pub(crate) fn house(&self) -> &'a House {
        self.house
    }

    /// The compute target.
    pub(crate) fn compute(&self) -> Arc<dyn ComputeDriver> {
        Arc::clone(self.house.compute())
    }

    /// Servers elsewhere.
    pub(crate) fn web(&self) -> &'a dyn Web {
        self.house.web()
    }

    fn activity(&self, outcome: Outcome) -> Activity {
        let mut activity = Activity::new(self.house, self.caller, &self.action, &self.scope, outcome);
        let notes = self.notes();
        activity.detail = notes.detail.clone();
        let needed: Vec<_> = notes.needed.iter().copied().filter(|name| *name != self.action.name()).collect();
        if !needed.is_empty() {
            activity.detail.insert(String::from(ALSO_NEEDED), needed.join(" "));
        }
        if let Some(actor) = notes.actor.clone() {
            activity.actor = actor;
        }
        activity
    }

    /// How the operation ended: by its error, or by the refusal it gave as its answer.
    fn outcome(&self, fault: Option<&Error>) -> Outcome {
        match fault.map(Error::kind).or(self.notes().refusal) {
            None => Outcome::Succeeded,
            Some(Kind::Denied) => Outcome::Denied,
            Some(kind) => Outcome::failed(kind),
        }
    }

    /// Writes the record of an operation that did not write its own with a commit.
    pub(super) async fn close(&self, fault: Option<&Error>) -> Result<()> {
        let outcome = self.outcome(fault);
        let was_recorded = self.is_recorded.load(Ordering::Acquire) && outcome == Outcome::Succeeded;
        if was_recorded || (fault.is_some() && self.denial_is_recorded.load(Ordering::Acquire)) {
            return Ok(());
        }
        // A failure of somebody who could not be established at all is only counted.
        if outcome != Outcome::Succeeded && matches!(self.caller.who, Who::Nobody) && self.notes().actor.is_none() {
            self.house.count_anonymous_denial();
            return Ok(());
        }
        match self.action.class() {
            Class::Open => Ok(()),
            class if is_recorded_first(class) => self.house.write_record(&self.activity(outcome)).await,
            _ => self.house.queue_record(&self.activity(outcome)).await,
        }
    }
}
