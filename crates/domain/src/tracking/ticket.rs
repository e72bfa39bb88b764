//! Tickets: what is shown in the place of a token for one part of an upload or one file, for a while. MLflow's client sends such
//! requests without its token, with the headers that it was handed.
//!
//! A ticket is a keyed code of what it is for, under the workspace's own key; nothing of it is stored. It says who it was given to
//! and what their token hung on, and is worth no more than that token would be (decision 0042).

use std::time::Duration;

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use kernel::{Action, Caller, Error, KeyCaller, Kind, PrincipalId, ResourceId, Result, Source, Timestamp, Who};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    ArtifactPlace,
    action::{READ_ARTIFACTS, WRITE_ARTIFACTS},
    artifact::Artifact,
    uploads::Upload,
};
use crate::{
    gate::{Cx, House, Op, Shelf, turn_away},
    identity::Standing,
    resources::{Resource, Workspace, row_id, workspace_shelf},
};

/// A ticket for a file lives so long; clients ask for another one when it has ended.
const FILE: Duration = Duration::from_secs(15 * 60);
/// No ticket is longer.
const LONGEST: usize = 4096;
const PART_PURPOSE: &str = "artifact part";
const FILE_PURPOSE: &str = "artifact file";

/// What a ticket for a file says.
#[derive(Serialize, Deserialize)]
struct Claims {
    standing: Standing,
    until: Timestamp,
}

/// The refusal of what MLflow's client offers and code of runs does not need; the words are those it falls back on.
pub(super) fn not_for_runs(what: &str) -> Error {
    let why = format!(
        "{what} is not supported for the code of a job: its requests go through the job's own proxy. Send and read files whole"
    );
    Error::new(Kind::Unsupported, why).coded("NOT_IMPLEMENTED")
}

/// That a ticket was one, and is none any more.
pub(super) fn ended() -> Error {
    Error::new(Kind::Unauthenticated, "the ticket, or what it came from, has ended; ask for another one")
}

/// One and the same for a ticket that is none, and for what is not there.
fn unfit(house: &House) -> Error {
    house.count_anonymous_denial();
    Error::new(Kind::Unauthenticated, "the ticket does not fit this request")
}

fn part_text((upload, grant): (Uuid, Uuid), number: u32, until: &str) -> String {
    format!("{upload}\n{grant}\n{number}\n{until}")
}

/// A ticket for a part of an upload; it is good while the upload's tickets name this grant.
pub(super) fn for_part(shelf: &Shelf, upload: (Uuid, Uuid), number: u32, until: Timestamp) -> String {
    let until = until.0.to_string();
    let code = shelf.fingerprint(PART_PURPOSE, &part_text(upload, number, &until));
    format!("{until}.{}", code.to_text())
}

fn file_text(shelf: &Shelf, place: &ArtifactPlace, said: &str) -> String {
    format!("{}\n{said}", URL_SAFE_NO_PAD.encode(place.owner.row_id(shelf, &place.path)))
}

fn for_file(shelf: &Shelf, place: &ArtifactPlace, claims: &Claims) -> Result<String> {
    let said = URL_SAFE_NO_PAD.encode(serde_json::to_vec(claims).map_err(Error::internal)?);
    let code = shelf.fingerprint(FILE_PURPOSE, &file_text(shelf, place, &said));
    Ok(format!("{said}.{}", code.to_text()))
}

/// Whether a text with this purpose has this code.
fn fits(shelf: &Shelf, purpose: &str, text: &str, code: &str) -> bool {
    seal::Fingerprint::from_text(code).is_some_and(|code| shelf.matches(purpose, text, &code))
}

/// The shelf of a workspace. None as well when it cannot be opened: that it is locked, or how else it fares, is nothing for a stranger,
/// and nothing was proved so far.
async fn shelf_of(house: &House, workspace: &ResourceId) -> Result<Option<Shelf>> {
    let system = house.system();
    let row = house.peek::<Resource<Workspace>>(system, &row_id::<Workspace>(system, workspace)).await?;
    let Some(row) = row else { return Ok(None) };
    match house.shelf(row.value.guid).await {
        Ok(shelf) => Ok(Some(shelf)),
        Err(fault) => {
            tracing::debug!(%workspace, ?fault, "a ticket was shown for a workspace that cannot be opened");
            Ok(None)
        }
    }
}

/// Whoever shows a proved ticket, for the gate: it may do this one thing, as long as the holder may.
fn bearer(source: Source, workspace: &ResourceId, action: Action, holder: PrincipalId, what: &str) -> Caller {
    let who = KeyCaller {
        credential: format!("ticket for {what}, given to {holder}"),
        scope: workspace.clone(),
        only: vec![action],
        on_behalf_of: Some(holder),
    };
    Caller { who: Who::Keyed(who), source }
}

/// Whoever shows a ticket that was proved, while it is in time and what it came from stands. A refusal is recorded: a ticket that was
/// stolen shows in the log.
async fn in_force(
    house: &House,
    caller: Caller,
    workspace: &ResourceId,
    action: &Action,
    claims: &Claims,
) -> Result<Caller> {
    if claims.until > house.now() && claims.standing.holds(house).await? {
        return Ok(caller);
    }
    Err(turn_away(house, &caller, action, workspace, ended()).await)
}

/// Establishes who brings a part with a ticket.
///
/// # Errors
/// `Unauthenticated` for whatever is no ticket for this part, or none any more.
pub async fn ticket_for_part(
    house: &House,
    source: Source,
    workspace: &ResourceId,
    (upload, number): (Uuid, u32),
    shown: &str,
) -> Result<Caller> {
    let Some((until, code)) = shown.split_once('.').filter(|_| shown.len() <= LONGEST) else {
        return Err(unfit(house));
    };
    let Some(shelf) = shelf_of(house, workspace).await? else { return Err(unfit(house)) };
    // Aborted or given up: whose it was is known no more. As above, what cannot be read is not told.
    let row = match house.peek::<Upload>(&shelf, upload.as_bytes()).await {
        Ok(row) => row.ok_or_else(|| unfit(house))?,
        Err(fault) => {
            tracing::debug!(%workspace, ?fault, "a ticket was shown for an upload that cannot be read");
            return Err(unfit(house));
        }
    };
    if !fits(&shelf, PART_PURPOSE, &part_text((upload, row.value.grant()), number, until), code) {
        return Err(unfit(house));
    }
    let until = Timestamp(until.parse().map_err(|_| unfit(house))?);
    let standing = row.value.standing().clone();
    let caller = bearer(source, workspace, WRITE_ARTIFACTS, standing.holder(), "a part of an upload");
    in_force(house, caller, workspace, &WRITE_ARTIFACTS, &Claims { standing, until }).await
}

/// Establishes who reads a file with a ticket.
///
/// # Errors
/// `Unauthenticated` for whatever is no ticket for this file, or none any more.
pub async fn ticket_for_file(
    house: &House,
    source: Source,
    workspace: &ResourceId,
    place: &ArtifactPlace,
    shown: &str,
) -> Result<Caller> {
    let Some((said, code)) = shown.split_once('.').filter(|_| shown.len() <= LONGEST) else { return Err(unfit(house)) };
    let Some(shelf) = shelf_of(house, workspace).await? else { return Err(unfit(house)) };
    if !fits(&shelf, FILE_PURPOSE, &file_text(&shelf, place, said), code) {
        return Err(unfit(house));
    }
    let claims = URL_SAFE_NO_PAD.decode(said).ok().and_then(|json| serde_json::from_slice::<Claims>(&json).ok());
    let claims = claims.ok_or_else(|| unfit(house))?;
    let caller = bearer(source, workspace, READ_ARTIFACTS, claims.standing.holder(), "a file");
    in_force(house, caller, workspace, &READ_ARTIFACTS, &claims).await
}

/// A ticket for a file.
#[derive(Clone, Debug)]
pub struct FileTicket {
    /// What is shown in the place of a token.
    pub code: String,
    /// Bytes of the file.
    pub length: u64,
}

/// Gives out a ticket to read one file, whole or by ranges, for a quarter of an hour.
#[derive(Debug)]
pub struct IssueFileTicket {
    /// The workspace.
    pub workspace: ResourceId,
    /// The file.
    pub place: ArtifactPlace,
}

#[async_trait]
impl Op for IssueFileTicket {
    const ACTION: Action = READ_ARTIFACTS;
    type Output = FileTicket;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<FileTicket> {
        let Some(principal) = cx.caller().principal() else { return Err(not_for_runs("Multipart download")) };
        let (shelf, _) = workspace_shelf(cx, &self.workspace).await?;
        self.place.must_exist(cx, &shelf).await?;
        self.place.note(cx);
        let row = cx.get::<Artifact>(&shelf, &self.place.owner.row_id(&shelf, &self.place.path)).await?;
        let length = row.ok_or_else(|| self.place.missing())?.value.blob.length;
        let standing = Standing::of(cx.house(), principal);
        let mut until = cx.now().plus(FILE);
        if let Some(bound) = standing.ends_at(cx.house()).await? {
            until = until.min(bound);
        }
        Ok(FileTicket { code: for_file(&shelf, &self.place, &Claims { standing, until })?, length })
    }
}
