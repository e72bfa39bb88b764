//! Addresses of single files that can be opened without a token, as Azure's clients want them: a signature in the query. It opens
//! one file of one run, to read it or to write it, for an hour at most, and ends with the sign-in of whoever asked for it.
//!
//! Nothing is stored for an address: it says to whom it was given, and a secret of the workspace signs that. The code of a job gets
//! addresses that say nothing: its proxy adds the run's token.

use std::time::Duration;

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use kernel::{Action, Caller, Error, KeyCaller, Kind, ResourceId, Result, RunId, Secret, Source, Timestamp, Who};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    gate::{Admission, Changes, Cx, House, Op, Record, Row, Shelf, turn_away},
    identity::Standing,
    resources::{Resource, Workspace, row_id, workspace_shelf},
    tracking::{
        ArtifactPath, Owner,
        action::{READ_ARTIFACTS, WRITE_ANY_ARTIFACT, WRITE_ARTIFACTS},
        artifact::Artifact,
        ownership, run, text,
    },
};

/// An address lives at most so long.
const LONGEST: Duration = Duration::from_secs(3600);
/// Most files of a request.
const MOST: usize = 1000;
/// Longest field of an address, in bytes.
const LONGEST_FIELD: usize = 2048;
/// The version that an address names, as signatures of storage accounts do.
const VERSION: &str = "2022-11-02";
const ATTEMPTS: usize = 8;
/// What whoever shows an address is told when its holder was signed out.
const SIGNED_OUT: &str = "what the address came from has ended; sign in again";

/// What a workspace's addresses are signed with.
#[derive(Serialize, Deserialize)]
struct Root {
    secret: Vec<u8>,
}

impl Record for Root {
    const TABLE: &'static str = "run-file-address";
}

impl Drop for Root {
    fn drop(&mut self) {
        drop(Secret::new(std::mem::take(&mut self.secret)));
    }
}

/// Where a file can be opened.
#[derive(Clone, Debug)]
pub struct FileAddress {
    /// The file.
    pub path: ArtifactPath,
    /// The query that opens it; none for the code of a job, which needs none.
    pub query: Option<Secret<String>>,
}

/// Says to whom an address was given.
#[derive(Serialize, Deserialize)]
struct Given {
    standing: Standing,
    /// The workspace, which may come again under its name.
    workspace: Uuid,
}

/// Gives addresses from which files of a run are read.
#[derive(Debug)]
pub struct AddressFiles {
    /// The workspace.
    pub workspace: ResourceId,
    /// The run.
    pub run: RunId,
    /// The files.
    pub paths: Vec<ArtifactPath>,
}

#[async_trait]
impl Op for AddressFiles {
    const ACTION: Action = READ_ARTIFACTS;
    /// An address for each of the files that are there.
    type Output = Vec<FileAddress>;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        must_be_few(&self.paths)?;
        let (shelf, workspace) = workspace_shelf(cx, &self.workspace).await?;
        run::find(cx, &shelf, &self.run).await?;
        let there = there(cx, &shelf, &self.run, self.paths).await?;
        cx.note("run", self.run.to_string());
        signed(cx, &shelf, &workspace, &self.run, there, "r").await
    }
}

/// Addresses for files to be, and the paths for which there is none since a file lies there.
pub struct NewFileAddresses {
    /// Addresses.
    pub free: Vec<FileAddress>,
    /// Paths that are taken.
    pub taken: Vec<ArtifactPath>,
}

/// Gives addresses to which new files of a run are written, and at which clients look for what they wrote. A file that is there
/// already is not replaced.
#[derive(Debug)]
pub struct AddressNewFiles {
    /// The workspace.
    pub workspace: ResourceId,
    /// The run.
    pub run: RunId,
    /// The files to be.
    pub paths: Vec<ArtifactPath>,
}

#[async_trait]
impl Op for AddressNewFiles {
    const ACTION: Action = WRITE_ARTIFACTS;
    type Output = NewFileAddresses;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        must_be_few(&self.paths)?;
        let (shelf, workspace) = workspace_shelf(cx, &self.workspace).await?;
        let run = run::find(cx, &shelf, &self.run).await?.value;
        ownership::of_run(cx, &run, &WRITE_ANY_ARTIFACT).await?;
        run::must_be_active(cx, &shelf, &run).await?;
        if self.paths.iter().any(ArtifactPath::is_root) {
            return Err(Error::new(Kind::Invalid, "the path of a file is empty"));
        }
        let taken = there(cx, &shelf, &self.run, self.paths.clone()).await?;
        let free = self.paths.into_iter().filter(|path| !taken.contains(path)).collect();
        cx.note("run", self.run.to_string());
        Ok(NewFileAddresses { free: signed(cx, &shelf, &workspace, &self.run, free, "rcw").await?, taken })
    }
}

/// Those of the files that are there.
async fn there(cx: &Admission<'_>, shelf: &Shelf, run: &RunId, paths: Vec<ArtifactPath>) -> Result<Vec<ArtifactPath>> {
    let owner = Owner::Run(run.clone());
    let mut there = Vec::with_capacity(paths.len());
    for path in paths {
        if cx.get::<Artifact>(shelf, &owner.row_id(shelf, &path)).await?.is_some() {
            there.push(path);
        }
    }
    Ok(there)
}

fn must_be_few(paths: &[ArtifactPath]) -> Result<()> {
    if paths.len() <= MOST {
        return Ok(());
    }
    Err(text::bad("paths", &paths.len().to_string(), &format!("at most {MOST} files can be asked for at once")))
}

async fn signed(
    cx: &Admission<'_>,
    shelf: &Shelf,
    workspace: &Row<Resource<Workspace>>,
    run: &RunId,
    paths: Vec<ArtifactPath>,
    letters: &str,
) -> Result<Vec<FileAddress>> {
    let principal = match &cx.caller().who {
        Who::Run(_) => return Ok(paths.into_iter().map(|path| FileAddress { path, query: None }).collect()),
        Who::Principal(principal) => principal,
        Who::Keyed(_) | Who::House | Who::Nobody => {
            return Err(Error::new(Kind::Denied, "addresses of files are given to whoever has a bearer token"));
        }
    };
    let standing = Standing::of(cx.house(), principal);
    let mut until = cx.now().plus(LONGEST);
    if let Some(bound) = standing.ends_at(cx.house()).await? {
        until = until.min(bound);
    }
    let until = Timestamp(until.seconds().saturating_mul(1000)).rfc3339();
    let given = Given { standing, workspace: workspace.value.guid };
    let given = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&given).map_err(Error::internal)?);
    let key = root(cx, shelf).await?;
    let address = |path: ArtifactPath| {
        let code = seal::message_code(&key, said(run, &path, letters, &until, &given).as_bytes());
        let (until, code) = (until.replace(':', "%3A"), URL_SAFE_NO_PAD.encode(code));
        let query = format!("sv={VERSION}&sr=b&sp={letters}&se={until}&spr=https&si={given}&sig={code}");
        FileAddress { path, query: Some(Secret::new(query)) }
    };
    Ok(paths.into_iter().map(address).collect())
}

/// What is signed: no field of it can hold a line's end.
fn said(run: &RunId, path: &ArtifactPath, letters: &str, until: &str, given: &str) -> String {
    format!("file of a run\n{run}\n{path}\n{letters}\n{until}\n{given}")
}

/// The workspace's secret, made when there is none.
async fn root(cx: &Admission<'_>, shelf: &Shelf) -> Result<Secret<Vec<u8>>> {
    for _ in 0..ATTEMPTS {
        if let Some(row) = cx.get::<Root>(shelf, b"").await? {
            return Ok(Secret::new(row.value.secret.clone()));
        }
        let row = Row::new(b"".as_slice(), Root { secret: seal::random::<32>()?.to_vec() });
        let mut changes = Changes::new();
        changes.put(shelf, &row)?;
        match cx.keep(changes).await {
            Err(fault) if fault.kind() != Kind::Stale => return Err(fault),
            _ => {}
        }
    }
    Err(Error::new(Kind::Throttled, "too many ask for the workspace's first address at once; try again"))
}

/// The secret of a workspace that is there. None as well when it cannot be read.
async fn key_of(house: &House, workspace: Uuid) -> Option<Secret<Vec<u8>>> {
    let read = async {
        let shelf = house.shelf(workspace).await?;
        house.peek::<Root>(&shelf, b"").await
    };
    match read.await {
        Ok(row) => row.map(|row| Secret::new(row.value.secret.clone())),
        Err(fault) => {
            tracing::debug!(%workspace, ?fault, "an address was shown for a workspace that cannot be opened");
            None
        }
    }
}

/// What an address hangs on. Whoever takes long is asked for it again when what came with the address counts.
#[derive(Clone, Debug)]
pub struct AddressProof(Standing);

impl AddressProof {
    /// Refuses what came with an address that has ended meanwhile.
    pub(in crate::tracking) async fn must_hold(&self, house: &House) -> Result<()> {
        if self.0.holds(house).await? {
            return Ok(());
        }
        Err(refused(SIGNED_OUT))
    }
}

fn refused(why: &str) -> Error {
    Error::new(Kind::Denied, why.to_owned()).coded("AuthenticationFailed")
}

/// Who shows an address, and for what. `field` gives the fields of the query.
///
/// # Errors
/// `Denied` for an address that is none, that ended, or that is for something else; recorded once it is clear whose it was.
pub async fn arrive_with_address(
    house: &House,
    source: Source,
    workspace: &ResourceId,
    (run, path): (&RunId, &ArtifactPath),
    writes: bool,
    field: impl Fn(&str) -> String,
) -> Result<(Caller, AddressProof)> {
    let none = || {
        house.count_anonymous_denial();
        refused("the signature in the address does not fit the file; ask for the address again")
    };
    let [letters, until, given, code] = ["sp", "se", "si", "sig"].map(&field);
    if [&letters, &until, &given, &code].iter().any(|field| field.is_empty() || field.len() > LONGEST_FIELD) {
        return Err(none());
    }
    let system = house.system();
    let found = house.peek::<Resource<Workspace>>(system, &row_id::<Workspace>(system, workspace)).await?;
    let Some(found) = found else { return Err(none()) };
    // That a workspace is locked, or how else it fares, is nothing for a stranger: nothing was proved so far.
    let Some(key) = key_of(house, found.value.guid).await else { return Err(none()) };
    let Ok(code) = URL_SAFE_NO_PAD.decode(&code) else { return Err(none()) };
    if !seal::is_message_code(&key, said(run, path, &letters, &until, &given).as_bytes(), &code) {
        return Err(none());
    }
    // From here on it is what this server said itself.
    let read = URL_SAFE_NO_PAD.decode(&given).ok().and_then(|text| serde_json::from_slice::<Given>(&text).ok());
    let Some(Given { standing, workspace: guid }) = read else { return Err(none()) };
    let action = if writes { WRITE_ARTIFACTS } else { READ_ARTIFACTS };
    let who = KeyCaller {
        credential: format!("file address given to {}", standing.holder()),
        scope: workspace.clone(),
        only: vec![action],
        on_behalf_of: Some(standing.holder()),
    };
    let caller = Caller { who: Who::Keyed(who), source };
    let ends = Timestamp::parse_rfc3339(&until).unwrap_or(Timestamp(0));
    let why = match () {
        () if guid != found.value.guid => Some("the workspace is another one than that of the address"),
        () if ends <= house.now() => Some("the address has ended; ask for it again"),
        () if !letters.contains(if writes { 'w' } else { 'r' }) => Some("the address is not for this"),
        () if !standing.holds(house).await? => Some(SIGNED_OUT),
        () => None,
    };
    match why {
        Some(why) => Err(turn_away(house, &caller, &action, workspace, refused(why)).await),
        None => Ok((caller, AddressProof(standing))),
    }
}
