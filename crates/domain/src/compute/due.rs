//! What is due about live runs: a start, an end, a release; judged from the record, the process and the last sign of life.

use std::time::Duration;

use async_trait::async_trait;
use kernel::{Action, Class, Kind, ProcessState, ResourceId, Result, Timestamp};

use super::{
    Launch, LaunchState, RunState,
    launch::{End, LiveRun},
    places::Places,
    start::MOST_ATTEMPTS,
};
use crate::{
    customer_keys::KEY_UNAVAILABLE,
    gate::{Cx, Op, Row},
};

/// How long a start may take until it counts as lost with the server that began it.
const STUCK: Duration = Duration::from_secs(60);
/// How long an agent may take to go after its run ended.
const FAREWELL: Duration = Duration::from_secs(10);

/// What is to be done about a live run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Due {
    /// Its agent can be started.
    Start,
    /// It fell silent.
    Silence,
    /// It speaks again.
    Return,
    /// It ends now, for this reason.
    End(Reason),
    /// The customer's key of its workspace may not be used any more: its process ends at once, and what became of it is written
    /// down when the key is back.
    Lock,
    /// It ended; its process and its place here go.
    Release,
}

/// Why a run is ended by the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// No sign of life for too long.
    Silent,
    /// Its process is gone.
    Gone,
    /// It was asked to end and did not.
    Stubborn,
    /// Its agent never came.
    NeverCame,
    /// It runs on beyond its time.
    Overdue,
    /// The customer's key could not be used any more.
    Locked,
}

impl Reason {
    pub(super) fn end(self, state: &LaunchState) -> End {
        let was_canceled = state.state == RunState::CancelRequested;
        let message = match self {
            Self::Silent => "there was no sign of life from the compute target for too long",
            Self::Gone if state.started_at.is_none() => "the agent on the compute target ended before it began the run",
            Self::Gone => "the agent on the compute target ended without a word",
            Self::Stubborn => "ended by force after it did not end on request",
            Self::NeverCame => "the agent on the compute target never began the run",
            Self::Locked => "ended because the customer-managed key of its workspace could not be used any more",
            Self::Overdue => "the time limit was reached, and the run did not end by itself",
        };
        let state = if was_canceled || self == Self::Overdue { RunState::Canceled } else { RunState::Failed };
        End { state, message: Some(message.to_owned()), exit_code: None }
    }
}

/// A live run, and what is to be done about it.
#[derive(Clone, Debug)]
pub(crate) struct DueRun {
    pub(crate) live: Row<LiveRun>,
    pub(crate) due: Due,
}

/// Says what is due. It changes nothing, and so leaves no record.
#[derive(Debug)]
pub(crate) struct ListDueRuns {
    /// Whether the target is asked about processes, or only the queue is looked at.
    pub(crate) asks_target: bool,
}

#[async_trait]
impl Op for ListDueRuns {
    const ACTION: Action =
        Action::new("Microsoft.MachineLearningServices/workspaces/experiments/runs/read", Class::Open);
    type Output = Vec<DueRun>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Vec<DueRun>> {
        let mut live = cx.all::<LiveRun>(cx.system(), b"").await?;
        live.sort_by_key(|row| row.value.queued_at);
        // The queue is served in order; services do not wait for jobs.
        let mut places = Places::new(cx, &live).await?;
        let mut found = Vec::new();
        let mut ready = Vec::new();
        for row in live {
            let due = match self.look(cx, &row.value).await {
                Ok(due) => due,
                Err(fault) => {
                    // One workspace whose key is away does not stop the others.
                    tracing::warn!(run = %row.value.run, ?fault, "a live run could not be looked after");
                    continue;
                }
            };
            match due {
                Some(Due::Start) => ready.push(row),
                Some(due) => found.push(DueRun { live: row, due }),
                None => {}
            }
        }
        for row in ready {
            let needs_place = row.value.is_job && row.value.tried_at.is_none();
            if needs_place && !places.take(&row.value) {
                continue;
            }
            found.push(DueRun { live: row, due: Due::Start });
        }
        Ok(found)
    }
}

impl ListDueRuns {
    async fn look(&self, cx: &Cx<'_, Self>, live: &LiveRun) -> Result<Option<Due>> {
        let shelf = match cx.shelf(live.workspace).await {
            Ok(shelf) => shelf,
            // The workspace is gone, and its runs with it.
            Err(fault) if fault.kind() == Kind::NotFound => return Ok(Some(Due::Release)),
            Err(fault) if fault.code() == Some(KEY_UNAVAILABLE) => {
                return Ok(self.is_to_be_locked(cx, live).await.then_some(Due::Lock));
            }
            Err(fault) => return Err(fault),
        };
        let id = shelf.name_id::<LaunchState>(live.run.as_str());
        let Some(state) = cx.get::<LaunchState>(&shelf, &id).await?.map(|row| row.value) else {
            return Ok(Some(Due::Release));
        };
        let now = cx.now();
        if state.state.is_waiting() {
            return Ok((live.not_before <= now).then_some(Due::Start));
        }
        if !self.asks_target {
            return Ok(None);
        }
        let process = match &live.launched {
            Some(launched) => cx.compute().state(launched).await.ok(),
            None => None,
        };
        let heard = state.seen_at.max(cx.house().pulses.last(live.workspace, &live.run, now));
        let mut due = judge(live, &state, process, heard, now, (cx.settings().silence, cx.settings().patience));
        if due.is_none()
            && live.is_job
            && let Some(since) = state.running_at
        {
            // The agent holds the limit; this is for the agent that does not.
            let slack = cx.settings().patience.saturating_mul(2);
            let launch = cx.get::<Launch>(&shelf, &shelf.name_id::<Launch>(live.run.as_str())).await?;
            let limit = launch.map_or(0, |launch| launch.value.limits.seconds);
            if limit > 0 && now.since(since) > Duration::from_secs(limit).saturating_add(slack) {
                due = Some(Due::End(Reason::Overdue));
            }
        }
        Ok(due)
    }

    /// Whether the process of a run whose key may not be used is still to be ended. What was begun and has no process yet ends itself
    /// when it finds its place here changed.
    async fn is_to_be_locked(&self, cx: &Cx<'_, Self>, live: &LiveRun) -> bool {
        if live.tried_at.is_none() || live.locked_at.is_none() {
            return live.tried_at.is_some();
        }
        match &live.launched {
            Some(launched) if self.asks_target => !matches!(cx.compute().state(launched).await, Ok(ProcessState::Gone)),
            _ => false,
        }
    }
}

/// What is due about a run that waits no more.
fn judge(
    live: &LiveRun,
    state: &LaunchState,
    process: Option<ProcessState>,
    heard: Timestamp,
    now: Timestamp,
    (silence, patience): (Duration, Duration),
) -> Option<Due> {
    let is_gone = process == Some(ProcessState::Gone);
    if state.state.is_final() {
        let ended = state.ended_at.unwrap_or(now);
        let may_still_start = live.launched.is_none() && live.tried_at.is_some_and(|tried| now.since(tried) < STUCK);
        let is_time = is_gone || now.since(ended) >= FAREWELL;
        return (is_time && !may_still_start).then_some(Due::Release);
    }
    if live.locked_at.is_some() {
        return Some(Due::End(Reason::Locked));
    }
    if is_gone {
        return Some(Due::End(Reason::Gone));
    }
    if state.state == RunState::CancelRequested {
        let asked = state.cancel_requested_at.unwrap_or(now);
        return (now.since(asked) > patience).then_some(Due::End(Reason::Stubborn));
    }
    if state.started_at.is_none() {
        let tried = live.tried_at.unwrap_or(now);
        // Without a process the start was lost with the server that began it; with one, the agent has its time.
        return match live.launched {
            None if now.since(tried) > STUCK && live.attempts < MOST_ATTEMPTS => Some(Due::Start),
            None if now.since(tried) > STUCK => Some(Due::End(Reason::NeverCame)),
            Some(_) if now.since(tried) > silence.saturating_add(patience) => Some(Due::End(Reason::NeverCame)),
            None | Some(_) => None,
        };
    }
    let quiet = now.since(heard);
    match state.state {
        RunState::NotResponding if quiet > silence.saturating_add(patience) => Some(Due::End(Reason::Silent)),
        RunState::NotResponding if quiet <= silence => Some(Due::Return),
        RunState::NotResponding => None,
        _ if quiet > silence => Some(Due::Silence),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use kernel::{Launched, RunId, WorkspaceId};

    use super::*;
    use crate::compute::launch::new_state;

    const SPANS: (Duration, Duration) = (Duration::from_secs(60), Duration::from_secs(60));

    fn at(seconds: i64) -> Timestamp {
        Timestamp(seconds * 1000)
    }

    fn live(tried: Option<i64>, has_process: bool, attempts: u32) -> LiveRun {
        LiveRun {
            run: RunId::random(),
            workspace: WorkspaceId::random(),
            scope: ResourceId::root(),
            is_job: true,
            queued_at: at(0),
            tried_at: tried.map(at),
            not_before: at(0),
            launched: has_process.then(|| Launched { handle: String::from("h") }),
            attempts,
            locked_at: None,
        }
    }

    fn state(state: RunState, began: bool) -> LaunchState {
        let mut fresh = new_state(at(0), true);
        fresh.state = state;
        fresh.started_at = began.then(|| at(0));
        fresh.ended_at = state.is_final().then(|| at(0));
        fresh.cancel_requested_at = (state == RunState::CancelRequested).then(|| at(0));
        fresh
    }

    #[test]
    fn what_is_due_follows_the_table() {
        use ProcessState::{Alive, Gone};
        use RunState::{CancelRequested, Completed, NotResponding, Provisioning, Running};
        let cases = [
            // A start that was lost with its server is tried again, up to a bound.
            (live(Some(0), false, 1), state(Provisioning, false), None, 0, 60, None),
            (live(Some(0), false, 1), state(Provisioning, false), None, 0, 61, Some(Due::Start)),
            (live(Some(0), false, 3), state(Provisioning, false), None, 0, 61, Some(Due::End(Reason::NeverCame))),
            // One with a process is not started twice.
            (live(Some(0), true, 1), state(Provisioning, false), Some(Alive), 0, 120, None),
            (
                live(Some(0), true, 1),
                state(Provisioning, false),
                Some(Alive),
                0,
                121,
                Some(Due::End(Reason::NeverCame)),
            ),
            (live(Some(0), true, 1), state(Provisioning, false), Some(Gone), 0, 1, Some(Due::End(Reason::Gone))),
            // An agent that began needs no handle to live on.
            (live(Some(0), false, 1), state(Running, true), None, 100, 150, None),
            (live(Some(0), true, 1), state(Running, true), Some(Alive), 100, 160, None),
            (live(Some(0), true, 1), state(Running, true), Some(Alive), 100, 161, Some(Due::Silence)),
            (live(Some(0), true, 1), state(NotResponding, true), Some(Alive), 100, 160, Some(Due::Return)),
            (live(Some(0), true, 1), state(NotResponding, true), Some(Alive), 100, 220, None),
            (live(Some(0), true, 1), state(NotResponding, true), Some(Alive), 100, 221, Some(Due::End(Reason::Silent))),
            (live(Some(0), true, 1), state(Running, true), Some(Gone), 100, 101, Some(Due::End(Reason::Gone))),
            // A target that cannot be asked proves nothing.
            (live(Some(0), true, 1), state(Running, true), None, 100, 101, None),
            (live(Some(0), true, 1), state(CancelRequested, true), Some(Alive), 0, 60, None),
            (
                live(Some(0), true, 1),
                state(CancelRequested, true),
                Some(Alive),
                60,
                61,
                Some(Due::End(Reason::Stubborn)),
            ),
            // What ended has a moment to go.
            (live(Some(0), true, 1), state(Completed, true), Some(Alive), 0, 9, None),
            (live(Some(0), true, 1), state(Completed, true), Some(Alive), 0, 10, Some(Due::Release)),
            (live(Some(0), true, 1), state(Completed, true), Some(Gone), 0, 1, Some(Due::Release)),
            // A start that is still under way will bring a handle to end.
            (live(Some(0), false, 1), state(Completed, false), None, 0, 59, None),
            (live(Some(0), false, 1), state(Completed, false), None, 0, 60, Some(Due::Release)),
        ];
        for (at_case, (live, state, process, heard, now, due)) in cases.into_iter().enumerate() {
            assert_eq!(judge(&live, &state, process, at(heard), at(now), SPANS), due, "case {at_case}");
        }
    }
}
