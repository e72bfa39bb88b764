//! The proof that a raised workspace is as it must be: all that is not, by name; and the house's look that ends it.

use std::collections::BTreeMap;

use async_trait::async_trait;
use kernel::{Action, Caller, Class, Kind, ResourceId, Result, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{
    compute::{Launch, LaunchState, SCRATCH_WALL, Work},
    diagnostics::{count_of, forget_of},
    gate::{Admission, Changes, Cx, House, Op, Record, Row, Shelf, enter},
    resources::{Resource, Target, Workspace, collection, workspace_shelf},
};

/// Findings that are shown one by one; all are counted.
const MOST_SHOWN: usize = 1000;

/// Where the proof of a workspace stands. On the system's shelf, under the workspace's GUID.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Proof {
    workspace: ResourceId,
    guid: Uuid,
    raised_at: Timestamp,
    raised_by: Option<String>,
    /// When the house looked last, and how much it found.
    looked_at: Option<Timestamp>,
    found: usize,
    /// When it found nothing for the first time.
    proven_at: Option<Timestamp>,
}

impl Record for Proof {
    const TABLE: &'static str = "impact-proof";
}

/// What is not as it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FindingKind {
    /// A compute target.
    Node,
    /// A job's run that has not ended.
    Run,
    /// A replica of a service.
    Service,
    /// What was collected for diagnostics.
    Outbox,
}

impl FindingKind {
    /// The word for it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Node => "node",
            Self::Run => "run",
            Self::Service => "service",
            Self::Outbox => "outbox",
        }
    }
}

/// One thing that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub kind: FindingKind,
    /// Its name.
    pub name: String,
    /// What is wrong, and what to do.
    pub why: &'static str,
}

/// How a workspace stands to high business impact, now.
#[derive(Clone, Debug)]
pub struct Impact {
    /// Whether it is of high business impact.
    pub is_raised: bool,
    /// When it became one, and by whom (object id).
    pub raised: Option<(Timestamp, Option<String>)>,
    /// When the house looked last.
    pub looked_at: Option<Timestamp>,
    /// When the house first found nothing that is not as it must be.
    pub proven_at: Option<Timestamp>,
    /// How many of each kind were looked at.
    pub looked_through: BTreeMap<&'static str, usize>,
    /// What is not as it must be: all, or as many as are shown.
    pub findings: Vec<Finding>,
    /// How many there are.
    pub found: usize,
}

/// Whether the proof of a workspace was ever begun.
pub(super) async fn is_begun(cx: &Admission<'_>, guid: Uuid) -> Result<bool> {
    Ok(cx.get::<Proof>(cx.system(), guid.as_bytes()).await?.is_some())
}

/// Begins the proof of a workspace, once its row with `changes` is committed.
pub(crate) async fn begin_proof(
    cx: &Admission<'_>,
    workspace: &Resource<Workspace>,
    changes: &mut Changes,
) -> Result<()> {
    let system = cx.system();
    let id = workspace.guid.as_bytes();
    let proof = Proof {
        workspace: workspace.id.clone(),
        guid: workspace.guid,
        raised_at: cx.now(),
        raised_by: cx.caller().principal().map(|principal| principal.id.to_string()),
        looked_at: None,
        found: 0,
        proven_at: None,
    };
    let mut row = cx.get::<Proof>(system, id).await?.unwrap_or_else(|| Row::new(id.as_slice(), proof.clone()));
    row.value = proof;
    changes.put(system, &row)?;
    Ok(())
}

/// Forgets the proof of a workspace that is gone for good, and what was collected of it.
pub(crate) async fn forget(cx: &Admission<'_>, guid: Uuid, changes: &mut Changes) -> Result<()> {
    let system = cx.system();
    if let Some(row) = cx.get::<Proof>(system, guid.as_bytes()).await? {
        changes.delete(system, &row);
    }
    forget_of(cx, guid, changes).await
}

/// How a workspace stands. Looked at now, whatever the house found before.
pub(super) async fn impact(cx: &Admission<'_>, id: &ResourceId) -> Result<Impact> {
    let (shelf, workspace) = workspace_shelf(cx, id).await?;
    let proof = cx.get::<Proof>(cx.system(), workspace.value.guid.as_bytes()).await?.map(|row| row.value);
    let (looked_through, mut findings) = look(cx, &shelf, &workspace.value).await?;
    let found = findings.len();
    findings.truncate(MOST_SHOWN);
    Ok(Impact {
        is_raised: workspace.value.properties.hbi,
        raised: proof.as_ref().map(|proof| (proof.raised_at, proof.raised_by.clone())),
        looked_at: proof.as_ref().and_then(|proof| proof.looked_at),
        proven_at: proof.as_ref().and_then(|proof| proof.proven_at),
        looked_through,
        findings,
        found,
    })
}

/// Looks through nodes, whatever runs, and the outbox.
async fn look(
    cx: &Admission<'_>,
    shelf: &Shelf,
    workspace: &Resource<Workspace>,
) -> Result<(BTreeMap<&'static str, usize>, Vec<Finding>)> {
    let mut findings = Vec::new();
    let mut counts = BTreeMap::new();
    let targets = cx.all::<Resource<Target>>(shelf, &collection::<Target>(shelf, &workspace.id)).await?;
    // What the machine enforces today counts; all targets here are that machine.
    let stands = cx.compute().capabilities().walls.iter().any(|wall| wall.name == SCRATCH_WALL && wall.stands);
    counts.insert(FindingKind::Node.word(), targets.len());
    if !stands {
        let why = "its scratch can reach a disk in clear (wall `private-scratch`), so nothing is started there; `bartizan doctor` says why";
        let named = targets.iter().map(|row| row.value.id.name().to_owned());
        findings.extend(named.map(|name| Finding { kind: FindingKind::Node, name, why }));
    }
    // A state does not name its run.
    for launch in cx.all::<Launch>(shelf, b"").await? {
        let run = &launch.value.run;
        let Some(state) = cx.get::<LaunchState>(shelf, &shelf.name_id::<LaunchState>(run.as_str())).await? else {
            continue;
        };
        let (kind, why) = match &launch.value.work {
            Work::Job { .. } => (
                FindingKind::Run,
                "began before on a target whose scratch can reach a disk; it conforms once it ended: wait, or cancel it",
            ),
            Work::Service { .. } => (
                FindingKind::Service,
                "began before on a target whose scratch can reach a disk; it conforms once it is deployed anew or deleted",
            ),
        };
        *counts.entry(kind.word()).or_default() += 1;
        let is_open =
            !state.value.state.is_final() && state.value.missing_walls.iter().any(|wall| wall == SCRATCH_WALL);
        if is_open {
            findings.push(Finding { kind, name: run.to_string(), why });
        }
    }
    let kept = count_of(cx, workspace.guid).await?;
    counts.insert(FindingKind::Outbox.word(), kept);
    if kept > 0 {
        let why = "was collected before; the house removes it at its next look";
        findings.push(Finding { kind: FindingKind::Outbox, name: format!("{kept} entries"), why });
    }
    Ok((counts, findings))
}

/// Says how a workspace stands to high business impact, and what in it is not as it must be.
#[derive(Debug)]
pub struct GetImpact {
    /// The workspace.
    pub workspace: ResourceId,
}

#[async_trait]
impl Op for GetImpact {
    const ACTION: Action = Action::new("Microsoft.MachineLearningServices/workspaces/businessImpact/read", Class::Read);
    type Output = Impact;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Impact> {
        impact(cx, &self.workspace).await
    }
}

/// What the house finds of a workspace whose proof is not complete.
enum Standing {
    /// It is gone, or rests: its proof waits until it is recovered, and goes with it when it is purged.
    Gone,
    /// So much is not as it must be and cannot be removed by the house; and so many entries of the outbox can.
    There { left: usize, kept: usize },
}

async fn standing(cx: &Admission<'_>, proof: &Proof) -> Result<Standing> {
    let (shelf, workspace) = match workspace_shelf(cx, &proof.workspace).await {
        Ok((shelf, row)) if row.value.guid == proof.guid => (shelf, row.value),
        Ok(_) => return Ok(Standing::Gone),
        Err(fault) if fault.kind() == Kind::NotFound => return Ok(Standing::Gone),
        Err(fault) => return Err(fault),
    };
    let (_, findings) = look(cx, &shelf, &workspace).await?;
    let left = findings.iter().filter(|finding| finding.kind != FindingKind::Outbox).count();
    Ok(Standing::There { left, kept: count_of(cx, workspace.guid).await? })
}

/// The workspaces whose proof is not complete, and has become another than it was. It changes nothing, and so leaves no record.
#[derive(Debug)]
struct ListUnproven;

#[async_trait]
impl Op for ListUnproven {
    const ACTION: Action = Action::new("Microsoft.MachineLearningServices/workspaces/prove/read", Class::Open);
    type Output = Vec<ProveImpact>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let mut due = Vec::new();
        for proof in cx.all::<Proof>(cx.system(), b"").await? {
            let known = &proof.value;
            if known.proven_at.is_some() {
                continue;
            }
            let is_news = match standing(cx, known).await {
                Ok(Standing::Gone) => false,
                Ok(Standing::There { left, kept }) => {
                    left == 0 || kept > 0 || known.looked_at.is_none() || known.found != left
                }
                Err(fault) => {
                    // One workspace whose key is away does not stop the others.
                    tracing::debug!(workspace = %known.workspace, ?fault, "a raised workspace could not be looked through");
                    false
                }
            };
            if is_news {
                due.push(ProveImpact { proof });
            }
        }
        Ok(due)
    }
}

/// Removes what the house can remove of a raised workspace, and writes down what is left.
#[derive(Debug)]
struct ProveImpact {
    proof: Row<Proof>,
}

#[async_trait]
impl Op for ProveImpact {
    const ACTION: Action = Action::new("Microsoft.MachineLearningServices/workspaces/prove/action", Class::Control);
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.proof.value.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let mut row = self.proof;
        let mut changes = Changes::new();
        match standing(cx, &row.value).await? {
            Standing::Gone => return Ok(()),
            Standing::There { left, .. } => {
                forget_of(cx, row.value.guid, &mut changes).await?;
                cx.note("nonConforming", left.to_string());
                row.value.looked_at = Some(cx.now());
                row.value.found = left;
                row.value.proven_at = (left == 0).then(|| cx.now());
                changes.put(cx.system(), &row)?;
            }
        }
        cx.commit(changes).await
    }
}

/// One look at all workspaces whose proof is not complete.
///
/// # Errors
/// When they cannot be found out; what fails for one is logged and left to the next look.
pub async fn prove_what_is_raised(house: &House) -> Result<()> {
    for op in enter(house, &Caller::house(), ListUnproven).await? {
        let name = op.scope();
        if let Err(fault) = enter(house, &Caller::house(), op).await {
            tracing::warn!(workspace = %name, ?fault, "a raised workspace could not be looked through");
        }
    }
    Ok(())
}
