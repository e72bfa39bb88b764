//! Bringing events to sinks: at least once, in the order of the log, each sink at its own pace.
//!
//! The log is the queue: nothing is copied, a sink that stands still costs nothing but its place. What was sent is noted after
//! the receiver took it, so an end in between sends it again. Nobody who writes the log waits for any of this.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use async_trait::async_trait;
use kernel::{Action, Caller, Class, Kind, ResourceId, Result, Timestamp};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};

use super::{
    Event, Setting, Subscription,
    cursor::{Cursor, cursor, rests},
    outlet::Outlet,
    sink::Sent,
};
use crate::{
    alerts::Receiver,
    gate::{Admission, Changes, Cx, House, Op, Row, enter},
    tracking::webhooks::Webhook,
};

/// Between two looks at the log.
const LOOK: Duration = Duration::from_millis(500);
/// Deliveries at once, and of one scope at once: a workspace whose receivers are slow leaves room for the others.
const AT_ONCE: usize = 16;
const OF_SCOPE: usize = 4;
/// Records looked at for one delivery.
const SCANNED: usize = 2000;
/// An archive is written when so many events wait, or when the first has waited so long: blobs have fewer blocks.
const ENOUGH: usize = 500;
const LINGER: Duration = Duration::from_secs(10);
/// A delivery that takes longer has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// How long a route rests after storage failed under it.
const HELD: Duration = Duration::from_secs(10);

/// Who is due: the owner of a cursor, and the sink's name.
type Route = (Vec<u8>, &'static str);

/// Delivers until `stop` turns true.
pub(crate) async fn keep_delivering(house: Arc<House>, mut stop: watch::Receiver<bool>) {
    let mut engine = Engine::default();
    let mut next = later(LOOK);
    loop {
        tokio::select! {
            _ = stop.wait_for(|stopped| *stopped) => return,
            () = sleep_until(next) => next = later(LOOK),
            // A place that came free is taken at once, if somebody waits for one.
            Some(done) = engine.running.join_next() => {
                engine.note(done.ok());
                if !engine.is_crowded {
                    continue;
                }
            }
        }
        if let Err(fault) = engine.look(&house).await {
            tracing::error!(?fault, "what is to be delivered could not be found out; it is tried again");
            engine.is_crowded = false;
        }
    }
}

fn later(span: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(span).unwrap_or(now)
}

/// Delivers what is due now to every outlet, and waits until it is done: for tests and for whoever wants it flushed.
///
/// # Errors
/// When the settings cannot be read. What a receiver refuses is noted at its sink.
pub async fn deliver_once(house: &Arc<House>) -> Result<()> {
    let mut engine = Engine::default();
    loop {
        engine.look(house).await?;
        let mut is_more = engine.is_crowded && engine.routes.values().any(|route| route.turn == 0);
        while let Some(done) = engine.running.join_next().await {
            is_more |= engine.note(done.ok());
        }
        if !is_more {
            return Ok(());
        }
    }
}

/// What is under way. Nothing in it is needed after a restart.
#[derive(Default)]
struct Engine {
    running: JoinSet<(Route, Result<Came>)>,
    routes: HashMap<Route, State>,
    /// Deliveries that were begun.
    begun: u64,
    /// Whether somebody was due and found no place.
    is_crowded: bool,
}

/// Where a route stands.
#[derive(Default)]
struct State {
    /// Records before this one were looked at.
    seen: u64,
    /// Which delivery its last one was: who waited longest comes first.
    turn: u64,
    is_running: bool,
    /// Not before this time, unless it was changed since.
    rest: Option<(Timestamp, Timestamp)>,
    /// Not before this time, since storage failed under it or it is too early.
    held: Option<Instant>,
}

impl State {
    fn is_due(&self, outlet: &Outlet, head: u64, now: Timestamp) -> bool {
        let rests = self.rest.is_some_and(|(until, changed)| changed == outlet.changed_at() && rests(until, now));
        let is_held = self.held.is_some_and(|until| until > Instant::now());
        !self.is_running && !rests && !is_held && self.seen <= head
    }
}

impl Engine {
    async fn look(&mut self, house: &Arc<House>) -> Result<()> {
        while let Some(done) = self.running.try_join_next() {
            self.note(done.ok());
        }
        let (head, _) = house.log_head().await?;
        let outlets = enter(house, &Caller::house(), ListOutlets).await?;
        let known: HashSet<Route> = outlets.iter().map(route_of).collect();
        self.routes.retain(|route, state| state.is_running || known.contains(route));
        let mut of_scope: HashMap<String, usize> = HashMap::new();
        let mut due = Vec::new();
        for outlet in outlets {
            let state = self.routes.entry(route_of(&outlet)).or_default();
            if state.is_running {
                let busy = of_scope.entry(outlet.scope().folded().to_owned()).or_default();
                *busy = busy.saturating_add(1);
            } else if state.is_due(&outlet, head, house.now()) {
                due.push((state.turn, outlet));
            }
        }
        due.sort_by_key(|(turn, _)| *turn);
        self.is_crowded = false;
        for (_, outlet) in due {
            let busy = of_scope.entry(outlet.scope().folded().to_owned()).or_default();
            if self.running.len() >= AT_ONCE || *busy >= OF_SCOPE {
                self.is_crowded = true;
                continue;
            }
            *busy = busy.saturating_add(1);
            self.begin(house, outlet);
        }
        Ok(())
    }

    fn begin(&mut self, house: &Arc<House>, outlet: Outlet) {
        let (route, house) = (route_of(&outlet), Arc::clone(house));
        self.begun = self.begun.saturating_add(1);
        let state = self.routes.entry(route.clone()).or_default();
        (state.is_running, state.turn) = (true, self.begun);
        let op = Deliver { outlet, seen: state.seen };
        self.running.spawn(async move { (route, enter(&house, &Caller::house(), op).await) });
    }

    /// Notes what a delivery came to; whether it is to be made anew at once.
    fn note(&mut self, done: Option<(Route, Result<Came>)>) -> bool {
        let Some((route, outcome)) = done else {
            // One broke off, and it is not known which: all are looked at anew.
            self.routes.clear();
            return false;
        };
        let word = route.1;
        let state = self.routes.entry(route).or_default();
        (state.is_running, state.rest, state.held) = (false, None, None);
        state.seen = match outcome {
            Ok(Came::To(next)) => next,
            Ok(Came::Rests { next, until, changed }) => {
                state.rest = Some((until, changed));
                next
            }
            Ok(Came::Early(next)) => {
                state.held = Some(later(LOOK));
                next
            }
            Ok(Came::Lost) => 0,
            Err(fault) => {
                tracing::error!(?fault, sink = word, "a delivery could not be noted; it is made again");
                state.held = Some(later(HELD));
                0
            }
        };
        state.seen == 0 && state.held.is_none()
    }
}

fn route_of(outlet: &Outlet) -> Route {
    (outlet.owner().to_vec(), outlet.word())
}

/// Lists everything that is to be served.
struct ListOutlets;

#[async_trait]
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
        let hooks = cx.all::<Webhook>(cx.system(), b"").await?;
        outlets.extend(hooks.into_iter().map(|row| Outlet::Registry(Arc::new(row))));
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

/// What a look for an outlet came to. A record's number is the one that comes next.
enum Came {
    /// Everything before it is done with.
    To(u64),
    /// Nothing is sent before a time, unless the outlet is changed after the one that was served.
    Rests { next: u64, until: Timestamp, changed: Timestamp },
    /// More may come together first.
    Early(u64),
    /// Another commit came between, and nothing was noted.
    Lost,
}

#[async_trait]
impl Op for Deliver {
    const ACTION: Action = Action::new("Microsoft.Insights/diagnosticSettings/deliver/action", Class::Open);
    type Output = Came;

    fn scope(&self) -> ResourceId {
        self.outlet.scope().clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Came> {
        let outlet = &self.outlet;
        let Some(mut row) = cursor(cx, outlet.owner(), outlet.word()).await? else { return Ok(Came::Early(0)) };
        let now = cx.now();
        if row.value.rests(now) {
            return Ok(stand(&row.value, outlet, now));
        }
        let from = row.value.next.max(self.seen);
        let batch = collect(cx, outlet, from).await?;
        row.value.lost = row.value.lost.saturating_add(batch.lost);
        if batch.events.is_empty() {
            // Far enough to be worth a write of its own?
            let is_far = batch.next.saturating_sub(row.value.next) > 10_000;
            if is_far || batch.lost > 0 {
                row.value.next = batch.next;
                return Ok(if save(cx, &row, Changes::new()).await? { Came::To(batch.next) } else { Came::Lost });
            }
            return Ok(Came::To(batch.next));
        }
        if outlet.lingers() && is_fresh(&batch, now) {
            return Ok(Came::Early(from));
        }
        let mut changes = Changes::new();
        let sent = match send(cx, outlet, &batch.events, &mut changes).await {
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
        Ok(if save(cx, &row, changes).await? { stand(&row.value, outlet, now) } else { Came::Lost })
    }
}

fn stand(cursor: &Cursor, outlet: &Outlet, now: Timestamp) -> Came {
    match cursor.rests(now) {
        true => Came::Rests { next: cursor.next, until: cursor.not_before, changed: outlet.changed_at() },
        false => Came::To(cursor.next),
    }
}

async fn send(cx: &Admission<'_>, outlet: &Outlet, events: &[Event], changes: &mut Changes) -> Result<Sent> {
    match timeout(PATIENCE, outlet.send(cx, events, changes)).await {
        Ok(sent) => sent,
        Err(_) => {
            *changes = Changes::new();
            Ok(Sent::none(format_args!("it took longer than {} seconds", PATIENCE.as_secs())))
        }
    }
}

/// Takes the next events from the log: all of a record's, or none.
async fn collect(cx: &Admission<'_>, outlet: &Outlet, from: u64) -> Result<Batch> {
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

/// Whether more may come together. An event from a time that is still to come, since the clock was set back, waits for none.
fn is_fresh(batch: &Batch, now: Timestamp) -> bool {
    let is_new = |first: &Event| first.at() <= now && now.since(first.at()) < LINGER;
    batch.events.len() < ENOUGH && batch.events.first().is_some_and(is_new)
}

/// Moves the cursor behind the last record all of whose events were taken.
fn note(cursor: &mut Cursor, batch: &Batch, sent: Sent, now: Timestamp) -> Result<()> {
    match batch.events.get(sent.taken) {
        None => {
            cursor.next = batch.next;
            cursor.succeed(now);
            if let Some(why) = sent.fault {
                cursor.fault = Some(why);
                cursor.failed_at = Some(now);
            }
        }
        Some(left) => {
            cursor.next = left.seq;
            match sent.fault {
                Some(why) => cursor.fail(now, why, u16::from_be_bytes(seal::random::<2>()?)),
                None => cursor.succeed(now),
            }
        }
    }
    Ok(())
}

/// Keeps the cursor; whether it was kept. It is not when the setting was changed or removed meanwhile, or another outlet wrote
/// to the same archive: then what was sent is sent again, or no more.
async fn save(cx: &Admission<'_>, row: &Row<Cursor>, mut changes: Changes) -> Result<bool> {
    changes.put(cx.system(), row)?;
    match cx.keep(changes).await {
        Err(fault) if fault.kind() == Kind::Stale => Ok(false),
        done => done.map(|()| true),
    }
}
