//! How long the log is kept, and the signed cut that removes its front: whoever verifies what is left needs no more than that.
//!
//! A cut is signed first and made after: an end in between leaves a whole log and a cut that has not happened. The rows go in
//! the transaction that stores the cut and its record.

use std::time::Duration;

use async_trait::async_trait;
use kernel::{Action, Class, Error, Kind, Link, ResourceId, Result, TenantId, Timestamp};
use seal::{CheckpointVerifier, SignedCheckpoint};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{checkpoint::key, list::SLACK};
use crate::gate::{Admission, Changes, Cx, House, Op, Record, Row};

/// The shortest time that records are kept.
const SHORTEST_DAYS: u32 = 90;
/// The longest that can be said; without a limit they are kept for ever.
const LONGEST_DAYS: u32 = 36_500;
/// Records are removed in segments of this many.
const SEGMENT: u64 = 1000;
/// At most so many segments at once: the writer of the log stands still meanwhile.
const SEGMENTS: u64 = 50;
/// Records that are looked at in one go.
const PAGE: usize = 1000;
const ONLY: &[u8] = b"1";
const DAY: Duration = Duration::from_secs(24 * 3600);
/// What a cut's first line begins with, so that no checkpoint is taken for one.
const ORIGIN: &str = "bartizan.activity-log-cut/";

/// How long records are kept.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Retention {
    /// Days; for ever when none.
    pub days: Option<u32>,
    /// When that was said.
    pub changed_at: Option<Timestamp>,
    /// Who said it: object id.
    pub changed_by: Option<String>,
}

impl Record for Retention {
    const TABLE: &'static str = "log-retention";
}

/// The newest cut.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct StoredCut {
    through: u64,
    link: Link,
    text: String,
}

impl Record for StoredCut {
    const TABLE: &'static str = "log-cut";
}

async fn retention(cx: &Admission<'_>) -> Result<Row<Retention>> {
    let found = cx.get::<Retention>(cx.system(), ONLY).await?;
    Ok(found.unwrap_or_else(|| Row::new(ONLY, Retention::default())))
}

/// What was said of how long records are kept.
pub(crate) async fn said_retention(cx: &Admission<'_>) -> Result<Retention> {
    Ok(retention(cx).await?.value)
}

/// Reads how long records are kept.
#[derive(Debug)]
pub struct GetRetention;

#[async_trait]
impl Op for GetRetention {
    const ACTION: Action = Action::new("Microsoft.Insights/eventtypes/retention/read", Class::Read);
    type Output = Retention;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Retention> {
        said_retention(cx).await
    }
}

/// Says how long records are kept.
#[derive(Debug)]
pub struct PutRetention {
    /// Days; for ever when none.
    pub days: Option<u32>,
}

#[async_trait]
impl Op for PutRetention {
    /// Not what a Contributor may do: it removes what others did.
    const ACTION: Action = Action::new("Microsoft.Authorization/activityLogRetention/write", Class::Control);
    type Output = Retention;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Retention> {
        if self.days.is_some_and(|days| !(SHORTEST_DAYS..=LONGEST_DAYS).contains(&days)) {
            let why = format_args!("are {SHORTEST_DAYS} to {LONGEST_DAYS}, or nothing: for ever");
            return Err(Error::invalid("days", why));
        }
        let mut row = retention(cx).await?;
        let by = cx.caller().principal().map(|principal| principal.id.to_string());
        row.value = Retention { days: self.days, changed_at: Some(cx.now()), changed_by: by };
        cx.note("days", self.days.map_or_else(|| String::from("for ever"), |days| days.to_string()));
        let mut changes = Changes::new();
        changes.put(cx.system(), &row)?;
        cx.commit(changes).await?;
        Ok(row.value)
    }
}

/// Reads the newest cut's text.
#[derive(Debug)]
pub struct GetCut;

#[async_trait]
impl Op for GetCut {
    const ACTION: Action = Action::new("Microsoft.Insights/eventtypes/cuts/read", Class::Open);
    type Output = String;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<String> {
        cut_text(cx).await?.ok_or_else(|| Error::not_found("a cut of the activity log"))
    }
}

/// The newest cut's text, if there was a cut.
pub(crate) async fn cut_text(cx: &Admission<'_>) -> Result<Option<String>> {
    Ok(cx.get::<StoredCut>(cx.system(), ONLY).await?.map(|row| row.value.text))
}

/// Signs the cut that is due, if one is: whole segments, all of whose records are older than they must be kept. It removes
/// nothing; [`CutLog`] does, once the text is where verifiers look.
#[derive(Debug)]
pub struct SignCut {
    /// How many records the newest checkpoint covers: the last of them is never removed.
    pub covered: u64,
}

#[async_trait]
impl Op for SignCut {
    const ACTION: Action = Action::new("Microsoft.Insights/eventtypes/cuts/sign/action", Class::Open);
    type Output = Option<SignedCheckpoint>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let Retention { days: Some(days), changed_by, .. } = retention(cx).await?.value else { return Ok(None) };
        // Reads are written late: an hour more, so that a record's neighbours are old enough too.
        let oldest_kept = cx.now().less(DAY.saturating_mul(days)).less(SLACK);
        let through = last_old(cx.house(), oldest_kept, self.covered.saturating_sub(1)).await?;
        let Some(through) = through else { return Ok(None) };
        let row = cx.house().log_page(through, 1).await?.into_iter().next().filter(|row| row.seq == through);
        let row = row.ok_or_else(|| Error::internal("the record at a cut is missing"))?;
        let policy = format!("kept {days} days, as said by {}", changed_by.as_deref().unwrap_or("the server"));
        let key = key(cx).await?;
        Ok(Some(key.sign_with(&origin(cx.house()), through, &row.link, &cx.now().rfc3339(), &[&policy])))
    }
}

/// The end of the segments that can go: records in front of the first that must be kept, up to `most`. Each of them is opened,
/// since a clock that was set leaves records whose times do not rise.
async fn last_old(house: &House, oldest_kept: Timestamp, most: u64) -> Result<Option<u64>> {
    let Some(first) = house.log_page(1, 1).await?.first().map(|row| row.seq) else { return Ok(None) };
    let most = most.min(first.saturating_sub(1).saturating_add(SEGMENT.saturating_mul(SEGMENTS)));
    let mut next = first;
    'pages: while next <= most {
        let rows = house.log_page(next, PAGE).await?;
        if rows.is_empty() {
            break;
        }
        for row in rows {
            if row.seq > most || house.open_record(&row)?.at >= oldest_kept {
                break 'pages;
            }
            next = row.seq.saturating_add(1);
        }
    }
    let old = next.saturating_sub(1);
    let through = old.saturating_sub(old % SEGMENT);
    Ok((through >= first).then_some(through))
}

fn origin(house: &House) -> String {
    format!("{ORIGIN}{}", house.tenant().unwrap_or(TenantId::from(Uuid::nil())))
}

/// Whether a signed text is of a cut, and not of a checkpoint.
pub fn is_cut(signed: &SignedCheckpoint) -> bool {
    signed.origin.starts_with(ORIGIN)
}

/// Makes a cut that was signed.
#[derive(Debug)]
pub struct CutLog {
    /// The signed text.
    pub text: String,
}

#[async_trait]
impl Op for CutLog {
    const ACTION: Action = Action::new("Microsoft.Insights/eventtypes/cuts/write", Class::Control);
    type Output = u64;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<u64> {
        let refused = || Error::new(Kind::Conflict, "that is no cut that was signed for this log");
        let verifier = CheckpointVerifier::from_line(&key(cx).await?.public_line()).ok_or_else(refused)?;
        let cut = verifier.verify(&self.text).map_err(|fault| refused().because(fault))?;
        let row = cx.house().log_page(cut.size, 1).await?.into_iter().next();
        let fits = row.is_some_and(|row| row.seq == cut.size && row.link == cut.link);
        if !fits || cut.origin != origin(cx.house()) {
            return Err(refused());
        }
        let mut stored = cx
            .get::<StoredCut>(cx.system(), ONLY)
            .await?
            .unwrap_or_else(|| Row::new(ONLY, StoredCut { through: 0, link: [0; 32], text: String::new() }));
        stored.value = StoredCut { through: cut.size, link: cut.link, text: self.text };
        let mut changes = Changes::new();
        changes.put(cx.system(), &stored)?;
        cx.note("through", cut.size.to_string());
        cx.note("link", seal::hex(&cut.link));
        cx.commit_cut(changes, cut.size).await?;
        Ok(cut.size)
    }
}

/// Refuses a log that begins anywhere but behind the newest cut, or is empty after one: somebody else removed that.
pub(crate) async fn check_front(house: &House) -> Result<()> {
    let cut = house.peek::<StoredCut>(house.system(), ONLY).await?.map_or(0, |row| row.value.through);
    let due = cut.saturating_add(1);
    match house.log_page(0, 1).await?.first() {
        Some(row) if row.seq != due => {
            let why = format!("the activity log starts at record {}, not {due}; restore a backup", row.seq);
            Err(Error::new(Kind::Unavailable, why))
        }
        // No cut removes the last record that a checkpoint covers.
        None if cut > 0 => {
            let why = format!("the activity log is empty, though it was cut at record {cut}; restore a backup");
            Err(Error::new(Kind::Unavailable, why))
        }
        _ => Ok(()),
    }
}
