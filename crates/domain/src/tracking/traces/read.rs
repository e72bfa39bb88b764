//! Reading traces, with and without their spans.

use std::{collections::HashSet, time::Duration};

use async_trait::async_trait;
use kernel::{Action, Error, Kind, ResourceId, Result};
use serde_json::value::RawValue;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::{
    Trace,
    log_spans::MOST_BYTES,
    pages,
    trace::{find, look},
};
use crate::{
    gate::{Admission, Cx, Op, Shelf},
    resources::workspace_shelf,
    tracking::{action::READ_TRACES, text},
};

/// Most traces of one request.
const MOST: usize = 1000;
/// MiB of spans that lie in memory at once, whoever asked for them: on their way to clients, and as many that are only looked into.
const ROOM_SIZE: u32 = 256;
static ROOM: Semaphore = Semaphore::const_new(256);
/// Apart from the other, which slow clients hold for as long as they read: neither searches nor writers wait for them.
static LOOKS: Semaphore = Semaphore::const_new(256);
/// How long a reader waits for those before it.
const PATIENCE: Duration = Duration::from_secs(30);

fn mebibytes(bytes: usize) -> u32 {
    u32::try_from(bytes >> 20).unwrap_or(ROOM_SIZE).saturating_add(1).min(ROOM_SIZE)
}

/// Room for a trace's spans that are looked into; to be held for as long as they lie in memory. Nobody asks for two.
pub(super) async fn room_to_look(trace: &Trace) -> Result<SemaphorePermit<'static>> {
    LOOKS.acquire_many(mebibytes(trace.bytes)).await.map_err(Error::internal)
}

/// Room for what is sent to a client.
async fn room_to_send(bytes: usize) -> Result<SemaphorePermit<'static>> {
    let busy = |_| Error::new(Kind::Throttled, "too many spans are being read at once; try again");
    let room = tokio::time::timeout(PATIENCE, ROOM.acquire_many(mebibytes(bytes))).await;
    room.map_err(busy)?.map_err(Error::internal)
}

/// Counts a trace without its spans among those of one answer.
fn count(bytes: &mut usize, trace: &Trace) -> Result<()> {
    *bytes = bytes.saturating_add(trace.size());
    if *bytes > MOST_BYTES {
        let words =
            format!("these traces have more than {MOST_BYTES} bytes without their spans: ask for fewer at once");
        return Err(Error::new(Kind::TooLarge, words));
    }
    Ok(())
}

/// Ids, each once, in their order.
fn once(ids: &[String]) -> Vec<&str> {
    let mut seen = HashSet::new();
    ids.iter().map(String::as_str).filter(|id| seen.insert(*id)).collect()
}

/// Reads a trace without its spans.
#[derive(Debug)]
pub struct GetTrace {
    /// The workspace.
    pub workspace: ResourceId,
    /// Its id.
    pub id: String,
}

#[async_trait]
impl Op for GetTrace {
    const ACTION: Action = READ_TRACES;
    type Output = Trace;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        Ok(find(cx, &shelf, &self.id).await?.value)
    }
}

/// Reads several without their spans, in the order asked for. Those that are not there are left out.
#[derive(Debug)]
pub struct ListTraces {
    /// The workspace.
    pub workspace: ResourceId,
    /// Their ids.
    pub ids: Vec<String>,
    /// Only those of these experiments; none: of any.
    pub experiments: Option<Vec<String>>,
}

#[async_trait]
impl Op for ListTraces {
    const ACTION: Action = READ_TRACES;
    type Output = Vec<Trace>;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        if self.ids.len() > MOST {
            return Err(Error::new(Kind::Invalid, format!("at most {MOST} traces can be read at once")));
        }
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let (mut found, mut bytes) = (Vec::new(), 0);
        for id in once(&self.ids) {
            if let Some(row) = look(cx, &shelf, id).await?
                && is_wanted(&row.value, self.experiments.as_deref())
            {
                count(&mut bytes, &row.value)?;
                found.push(row.value);
            }
        }
        Ok(found)
    }
}

fn is_wanted(trace: &Trace, experiments: Option<&[String]>) -> bool {
    experiments.is_none_or(|wanted| wanted.contains(&trace.experiment))
}

/// A trace with its spans.
#[derive(Debug)]
pub struct OpenedTrace {
    /// The trace.
    pub trace: Trace,
    /// Its spans, each as it was said last: the first ones come first, then by when they began.
    pub spans: Vec<Box<RawValue>>,
}

/// Traces with their spans, and the room they take.
#[derive(Debug)]
pub struct OpenedTraces {
    /// The traces.
    pub traces: Vec<OpenedTrace>,
    /// To be held until the answer is written.
    pub room: SemaphorePermit<'static>,
}

/// Reads traces with their spans.
#[derive(Debug)]
pub struct ReadTraces {
    /// The workspace.
    pub workspace: ResourceId,
    /// Their ids.
    pub ids: Vec<String>,
    /// Only those of these experiments; none: of any.
    pub experiments: Option<Vec<String>>,
    /// Whether all must be there with all the spans they say they have. Otherwise those that are not are left out.
    pub whole: bool,
}

#[async_trait]
impl Op for ReadTraces {
    const ACTION: Action = READ_TRACES;
    type Output = OpenedTraces;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        let (found, around) = self.find(cx, &shelf).await?;
        let bytes = found.iter().map(|trace| trace.bytes).fold(0, usize::saturating_add);
        if bytes > MOST_BYTES {
            let words = format!("the spans of these traces have more than {MOST_BYTES} bytes: ask for fewer at once");
            return Err(Error::new(Kind::TooLarge, words));
        }
        let room = room_to_send(bytes.saturating_add(around)).await?;
        let mut traces = Vec::with_capacity(found.len());
        for trace in found {
            let spans = pages::spans(cx, &shelf, &trace.id).await?;
            let spans: Vec<_> = spans.into_iter().map(|(_, body)| body).collect();
            if self.whole && spans.len() < announced(&trace) {
                let id = text::echo(&trace.id);
                let words = format!("Trace with ID {id} is not fully exported yet, please try again later.");
                return Err(Error::new(Kind::NotFound, words));
            }
            traces.push(OpenedTrace { trace, spans });
        }
        Ok(OpenedTraces { traces, room })
    }
}

impl ReadTraces {
    /// The traces without their spans, and how many bytes they have.
    async fn find(&self, at: &Admission<'_>, shelf: &Shelf) -> Result<(Vec<Trace>, usize)> {
        if self.ids.len() > MOST {
            return Err(Error::new(Kind::Invalid, format!("at most {MOST} traces can be read at once")));
        }
        let (mut found, mut bytes) = (Vec::new(), 0);
        for id in once(&self.ids) {
            match look(at, shelf, id).await? {
                Some(row) if is_wanted(&row.value, self.experiments.as_deref()) => {
                    count(&mut bytes, &row.value)?;
                    found.push(row.value);
                }
                None if self.whole => {
                    let words = format!("Trace with ID {} is not found.", text::echo(id));
                    return Err(Error::new(Kind::NotFound, words));
                }
                Some(_) | None => {}
            }
        }
        Ok((found, bytes))
    }
}

/// How many spans the application says there are.
fn announced(trace: &Trace) -> usize {
    let said = trace.metadata.get("mlflow.trace.sizeStats");
    let stats: Option<serde_json::Value> = said.and_then(|stats| serde_json::from_str(stats).ok());
    let count = stats.as_ref().and_then(|stats| stats.get("num_spans")).and_then(serde_json::Value::as_u64);
    count.and_then(|count| usize::try_from(count).ok()).unwrap_or(0)
}
