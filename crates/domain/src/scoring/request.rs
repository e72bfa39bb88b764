//! Records of scoring calls: who called which model, how it went and how long it took (requirements J-06, X-04).
//!
//! They wait in memory for at most a second and are written in chunks, sealed for the workspace, newest first in the
//! order of their ids.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use async_trait::async_trait;
use kernel::{Action, Caller, Class, CorrelationId, Error, Kind, ResourceId, Result, Timestamp, WorkspaceId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::endpoint::find_endpoint;
use crate::{
    customer_keys::KEY_UNAVAILABLE,
    gate::{Admission, Changes, Cx, House, Op, Record, Row, Shelf, enter},
    resources::workspace_shelf,
};

/// Calls whose record may wait; beyond it calls are refused: no record, no answer.
const MOST_WAITING: usize = 20_000;
/// Most records of one chunk.
const CHUNK: usize = 500;
/// Most characters of a `User-Agent` that are kept (requirement J-07).
const AGENT: usize = 70;

/// One call.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RequestRecord {
    /// When it came.
    pub at: Timestamp,
    /// `HTTPMethod`.
    pub method: String,
    /// `UserAgent`, at most 70 characters.
    pub user_agent: String,
    /// `ComputeType`: `SingleContainer` or `Cluster`.
    pub compute_type: String,
    /// `RequestUrl`, without its query.
    pub url: String,
    /// `StatusCode`; 499 when the client went away.
    pub status: u16,
    /// `RequestId`: what the answer's `x-ms-request-id` says.
    pub request: CorrelationId,
    /// `Duration`, in microseconds.
    pub micros: u64,
    /// Who called: `key primary`, `key {name of a named key}`, `principal {object id}`, `anonymous`.
    pub caller: String,
    /// The deployment that was to answer.
    pub deployment: String,
    /// The model behind it, `name:version`.
    pub model: String,
    /// Digest of the model's layer.
    pub model_digest: String,
}

/// What a face says about a call.
#[derive(Clone, Debug)]
pub struct CallWords {
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The `User-Agent` header.
    pub user_agent: String,
}

/// Records that wait to be written.
#[derive(Default)]
pub(crate) struct Waiting(Mutex<Vec<(Home, RequestRecord)>>);

/// Where records go.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Home {
    pub(super) workspace: WorkspaceId,
    pub(super) scope: ResourceId,
    /// The endpoint's own id, which a later one of the same name does not have.
    pub(super) endpoint: Uuid,
}

impl Waiting {
    /// Refuses when records cannot be written for long.
    pub(super) fn refuse_if_full(&self) -> Result<()> {
        if self.0.lock().unwrap_or_else(PoisonError::into_inner).len() < MOST_WAITING {
            return Ok(());
        }
        Err(Error::new(Kind::Unavailable, "records of calls cannot be written; nothing is served until they can"))
    }

    fn push(&self, home: Home, record: RequestRecord) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((home, record));
    }

    fn take(&self) -> Vec<(Home, RequestRecord)> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn put_back(&self, home: &Home, records: Vec<RequestRecord>) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        waiting.extend(records.into_iter().map(|record| (home.clone(), record)));
    }
}

/// An admitted call on its way. It leaves exactly one record: with the status it is concluded with, or 499 when it is
/// dropped before, which means that the client went away.
pub struct Ticket {
    waiting: Arc<Waiting>,
    began: Instant,
    due: Option<(Home, RequestRecord)>,
}

impl std::fmt::Debug for Ticket {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str("Ticket")
    }
}

impl Ticket {
    pub(super) fn new(waiting: Arc<Waiting>, home: Home, mut record: RequestRecord) -> Self {
        record.user_agent = record.user_agent.chars().take(AGENT).collect();
        record.status = 499;
        Self { waiting, began: Instant::now(), due: Some((home, record)) }
    }

    /// The deployment that is to answer, and its model.
    pub(super) fn note_target(&mut self, deployment: &str, model: &str, model_digest: &str) {
        if let Some((_, record)) = &mut self.due {
            record.deployment = deployment.to_owned();
            record.model = model.to_owned();
            record.model_digest = model_digest.to_owned();
        }
    }

    /// The model that is to answer, and its digest.
    pub(super) fn model(&self) -> [&str; 2] {
        self.due.as_ref().map_or(["", ""], |(_, record)| [&record.model, &record.model_digest])
    }

    /// The status of the answer, once it is known. The record is written when the ticket is dropped.
    pub fn note_status(&mut self, status: u16) {
        if let Some((_, record)) = &mut self.due {
            record.status = status;
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some((home, mut record)) = self.due.take() {
            record.micros = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.waiting.push(home, record);
        }
    }
}

/// Records written together.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Chunk {
    records: Vec<RequestRecord>,
}

impl Record for Chunk {
    const TABLE: &'static str = "request-chunk";
}

/// Newest first: ids begin with the endpoint and count down with time.
fn chunk_id(endpoint: Uuid, at: Timestamp) -> Vec<u8> {
    let mut id = endpoint.as_bytes().to_vec();
    let countdown = u64::MAX.saturating_sub(u64::try_from(at.0).unwrap_or(0));
    id.extend_from_slice(&countdown.to_be_bytes());
    id.extend_from_slice(Uuid::new_v4().as_bytes());
    id
}

/// Writes what waits. Called at least every second by the house's own work, and at the end.
pub async fn flush_requests(house: &House) -> Result<()> {
    let mut homes: HashMap<Home, Vec<RequestRecord>> = HashMap::new();
    for (home, record) in house.scoring.waiting.take() {
        homes.entry(home).or_default().push(record);
    }
    let mut outcome = Ok(());
    for (home, mut records) in homes {
        // While its key is away they wait, and nobody is asked in vain.
        if house.shelf(home.workspace).await.is_err_and(|fault| fault.code() == Some(KEY_UNAVAILABLE)) {
            house.scoring.waiting.put_back(&home, records);
            continue;
        }
        while !records.is_empty() {
            let rest = records.split_off(records.len().min(CHUNK));
            let op = KeepRequests { home: home.clone(), records: records.clone() };
            match enter(house, &Caller::house(), op).await {
                Ok(()) => records = rest,
                // The workspace is gone, and the right to read its records with it.
                Err(fault) if fault.kind() == Kind::NotFound => break,
                Err(fault) => {
                    records.extend(rest);
                    house.scoring.waiting.put_back(&home, records);
                    outcome = Err(fault);
                    break;
                }
            }
        }
    }
    outcome
}

struct KeepRequests {
    home: Home,
    records: Vec<RequestRecord>,
}

#[async_trait]
impl Op for KeepRequests {
    const ACTION: Action = Action::new("Microsoft.Insights/components/requests/write", Class::DataWrite);
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.home.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let shelf = cx.shelf(self.home.workspace).await?;
        cx.note("calls", self.records.len().to_string());
        let mut changes = Changes::new();
        let id = chunk_id(self.home.endpoint, cx.now());
        changes.put(&shelf, &Row::new(id, Chunk { records: self.records }))?;
        cx.commit(changes).await
    }
}

/// The newest calls of an endpoint, newest first. What still waits is not among them: flush before.
#[derive(Debug)]
pub struct ListRequests {
    /// The endpoint.
    pub endpoint: ResourceId,
    /// At most this many.
    pub most: usize,
}

#[async_trait]
impl Op for ListRequests {
    const ACTION: Action = super::endpoint::READ;
    type Output = Vec<RequestRecord>;

    fn scope(&self) -> ResourceId {
        self.endpoint.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Vec<RequestRecord>> {
        let (shelf, _) = workspace_shelf(cx, &self.endpoint).await?;
        let endpoint = find_endpoint(cx, &shelf, &self.endpoint).await?;
        let mut found = newest(cx, &shelf, endpoint.value.guid, self.most).await?;
        found.truncate(self.most);
        Ok(found)
    }
}

async fn newest(cx: &Admission<'_>, shelf: &Shelf, endpoint: Uuid, most: usize) -> Result<Vec<RequestRecord>> {
    const PAGE: usize = 20;
    let mut found: Vec<RequestRecord> = Vec::new();
    let mut after: Option<Vec<u8>> = None;
    while found.len() < most {
        let page = cx.page::<Chunk>(shelf, endpoint.as_bytes(), after.as_deref(), PAGE).await?;
        let was_last = page.len() < PAGE;
        after = page.last().map(|row| row.id.clone());
        for row in page {
            found.extend(row.value.records.into_iter().rev());
        }
        if was_last {
            break;
        }
    }
    found.sort_by_key(|record| std::cmp::Reverse(record.at));
    Ok(found)
}
