//! Bringing events to sinks: at least once, in the order of the log, each sink at its own pace.
//!
//! The log is the queue: nothing is copied, a sink that stands still costs nothing but its place. What was sent is noted after
//! the receiver took it, so an end in between sends it again. Nobody who writes the log waits for any of this.

use std::{collections::HashMap, sync::Arc, time::Duration};

use kernel::{Action, Caller, Class, Kind, ResourceId, Result};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, timeout},
};

use super::{
    Event, Setting, Subscription,
    cursor::{Cursor, cursor},
    outlet::Outlet,
    sink::Sent,
};
use crate::{
    alerts::Receiver,
    gate::{Changes, Cx, House, Op, Row, enter},
};

/// Between two looks at the log.
const LOOK: Duration = Duration::from_millis(500);
/// Deliveries at once.
const AT_ONCE: usize = 16;
/// Records looked at for one delivery.
const SCANNED: usize = 2000;
/// An archive is written when so many events wait, or when the first has waited so long: blobs have fewer blocks.
const ENOUGH: usize = 500;
const LINGER: Duration = Duration::from_secs(10);

/// How long a route rests after storage failed under it.
const HELD: Duration = Duration::from_secs(10);

/// Who is due: the owner of a cursor, and the sink's name.
type Route = (Vec<u8>, &'static str);

/// Delivers until `stop` turns true.
pub(crate) async fn keep_delivering(house: Arc<House>, mut stop: watch::Receiver<bool>) {
    let mut engine = Engine::default();
    while timeout(LOOK, stop.wait_for(|stopped| *stopped)).await.is_err() {
        if let Err(fault) = engine.look(&house).await {
            tracing::error!(?fault, "what is to be delivered could not be found out; it is tried again");
        }
    }
}

/// Delivers what is due now, and waits until it is done: for tests and for whoever wants it flushed.
///
/// # Errors
/// When the settings cannot be read. What a receiver refuses is noted at its sink.
pub async fn deliver_once(house: &Arc<House>) -> Result<()> {
    let mut engine = Engine::default();
    engine.look(house).await?;
    while engine.finish_one().await {}
    Ok(())
}

/// What is under way. Nothing in it is needed after a restart.
#[derive(Default)]
struct Engine {
    running: JoinSet<(Route, Result<u64>)>,
    /// How far each route has looked, and whether it is under way.
    seen: HashMap<Route, (u64, bool)>,
    /// Routes that rest until a time, since storage failed under them.
    held: HashMap<Route, Instant>,
}

impl Engine {
    async fn look(&mut self, house: &Arc<House>) -> Result<()> {
        while let Some(done) = self.running.try_join_next() {
            self.note(done.ok());
        }
        let (head, _) = house.log_head().await?;
        for outlet in enter(house, &Caller::house(), ListOutlets).await? {
            let route = (outlet.owner().to_vec(), outlet.word());
            let (seen, is_running) = self.seen.get(&route).copied().unwrap_or_default();
            let is_held = self.held.get(&route).is_some_and(|until| *until > Instant::now());
            if is_running || is_held || seen > head || self.running.len() >= AT_ONCE {
                continue;
            }
            self.seen.insert(route.clone(), (seen, true));
            let op = Deliver { outlet, seen };
            let house = Arc::clone(house);
            self.running.spawn(async move { (route, enter(&house, &Caller::house(), op).await) });
        }
        Ok(())
    }

    async fn finish_one(&mut self) -> bool {
        let Some(done) = self.running.join_next().await else { return false };
        self.note(done.ok());
        true
    }

    fn note(&mut self, done: Option<(Route, Result<u64>)>) {
        let Some((route, outcome)) = done else {
            // One broke off, and it is not known which: all are looked at anew.
            self.seen.clear();
            return;
        };
        let seen = match outcome {
            Ok(next) => next,
            Err(fault) => {
                tracing::error!(?fault, sink = route.1, "a delivery could not be noted; it is made again");
                let until = Instant::now().checked_add(HELD).unwrap_or_else(Instant::now);
                self.held.insert(route.clone(), until);
                0
            }
        };
        self.seen.insert(route, (seen, false));
    }
}

/// Lists everything that is to be served.
struct ListOutlets;

impl Op for ListOutlets {
    const ACTION: Action = Action::new("Microsoft.Insights/diagnosticSettings/deliver/read", Class::Open);
    type Output = Vec<Outlet>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let mut outlets = Vec::new();
        for row in cx.all::<Setting>(cx.system(), b"").await? {
            let row = Arc::new(row);
            outlets.extend((0..row.value.sinks.len()).map(|index| Outlet::Sink(Arc::clone(&row), index)));
        }
        let subscriptions = cx.all::<Subscription>(cx.system(), b"").await?;
        outlets.extend(subscriptions.into_iter().map(|row| Outlet::Subscription(Arc::new(row))));
        let receivers = cx.all::<Receiver>(cx.system(), b"").await?;
        outlets.extend(receivers.into_iter().filter_map(Outlet::receiver));
        Ok(outlets)
    }
}

/// Brings the next events to an outlet. It leaves no record of its own: that would be the next event.
struct Deliver {
    outlet: Outlet,
    /// Records before this one were looked at, and none was wanted.
    seen: u64,
}

/// What waits for a sink.
struct Batch {
    events: Vec<Event>,
    /// The record after the last that was looked at.
    next: u64,
    lost: u64,
}

impl Op for Deliver {
    const ACTION: Action = Action::new("Microsoft.Insights/diagnosticSettings/deliver/action", Class::Open);
    /// The record that comes next.
    type Output = u64;

    fn scope(&self) -> ResourceId {
        self.outlet.scope().clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<u64> {
        let outlet = &self.outlet;
        let Some(mut row) = cursor(cx, outlet.owner(), outlet.word()).await? else { return Ok(0) };
        let now = cx.now();
        if row.value.not_before > now {
            return Ok(row.value.next);
        }
        let from = row.value.next.max(self.seen);
        let batch = collect(cx, outlet, from).await?;
        row.value.lost = row.value.lost.saturating_add(batch.lost);
        if batch.events.is_empty() {
            // Far enough to be worth a write of its own?
            let is_far = batch.next.saturating_sub(row.value.next) > 10_000;
            if is_far || batch.lost > 0 {
                row.value.next = batch.next;
                save(cx, &row, Changes::new()).await?;
            }
            return Ok(batch.next);
        }
        if outlet.lingers() && is_fresh(&batch, now) {
            return Ok(from);
        }
        let mut changes = Changes::new();
        let sent = match outlet.send(cx, &batch.events, &mut changes).await {
            Ok(sent) => sent,
            Err(fault) => {
                if fault.kind() == Kind::Internal {
                    tracing::error!(?fault, sink = outlet.word(), "events could not be made ready");
                }
                changes = Changes::new();
                Sent::none(fault)
            }
        };
        note(&mut row.value, &batch, sent, now)?;
        save(cx, &row, changes).await?;
        Ok(row.value.next)
    }
}

/// Takes the next events from the log: all of a record's, or none.
async fn collect<O: Op>(cx: &Cx<'_, O>, outlet: &Outlet, from: u64) -> Result<Batch> {
    let (wanted, most) = (outlet.wanted(), outlet.most());
    let rows = cx.house().log_page(from, SCANNED).await?;
    // Records that retention removed meanwhile cannot be sent any more.
    let lost = rows.first().map_or(0, |row| row.seq.saturating_sub(from));
    let mut batch = Batch { events: Vec::new(), next: from.saturating_add(lost), lost };
    for row in rows {
        if batch.events.len() >= most {
            break;
        }
        let activity = cx.house().open_record(&row)?;
        batch.next = row.seq.saturating_add(1);
        if activity.scope.is_within(outlet.scope()) {
            batch.events.extend(outlet.events(&wanted, row.seq, &activity));
        }
    }
    Ok(batch)
}

fn is_fresh(batch: &Batch, now: kernel::Timestamp) -> bool {
    batch.events.len() < ENOUGH && batch.events.first().is_some_and(|first| now.since(first.at()) < LINGER)
}

/// Moves the cursor behind the last record all of whose events were taken.
fn note(cursor: &mut Cursor, batch: &Batch, sent: Sent, now: kernel::Timestamp) -> Result<()> {
    match batch.events.get(sent.taken) {
        None => {
            cursor.next = batch.next;
            cursor.succeed(now);
            if let Some(why) = sent.fault {
                cursor.fault = Some(why);
                cursor.failed_at = Some(now);
            }
        }
        Some(refused) => {
            cursor.next = refused.seq;
            let dice = u16::from_be_bytes(seal::random::<2>()?);
            cursor.fail(now, sent.fault.unwrap_or_default(), dice);
        }
    }
    Ok(())
}

/// Keeps the cursor. When the setting was changed or removed meanwhile, what was sent is sent again, or no more.
async fn save<O: Op>(cx: &Cx<'_, O>, row: &Row<Cursor>, mut changes: Changes) -> Result<()> {
    changes.put(cx.system(), row)?;
    match cx.keep(changes).await {
        Err(fault) if fault.kind() == Kind::Stale => Ok(()),
        done => done,
    }
}
