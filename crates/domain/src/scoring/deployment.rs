//! Deployments: one image, kept running behind an endpoint.

use std::collections::BTreeMap;

use kernel::{Action, Class, PrincipalId, RunId, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{RequestSettings, ServiceKind};
use crate::resources::ResourceType;

/// A deployment.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Deployment {
    /// What it shall be.
    pub plan: Plan,
    /// The plan that the newest replica was made for.
    pub made_for: Option<Plan>,
    /// The kind of service.
    pub kind: ServiceKind,
    /// The image that is planned.
    pub image: UsedImage,
    /// Object id of who deployed it last; replicas run on that principal's behalf.
    pub deployed_by: PrincipalId,
    /// What callers find.
    pub state: ServiceState,
    /// How the last change of the plan went.
    pub provisioning: Provisioning,
    /// Why it is not well, in one line.
    pub reason: Option<String>,
    /// The replica that answers.
    pub current: Option<Replica>,
    /// The replica that is to take over.
    pub coming: Option<Replica>,
    /// Replicas lost in a row.
    pub losses: u32,
    /// When the next replica is started, after a loss.
    pub retry_at: Option<Timestamp>,
    /// The operation that is told about the last change.
    pub operation: Option<Uuid>,
    /// The launch whose log is shown: the last one that began.
    pub log: Option<RunId>,
    /// What somebody should look at.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// What a caller decides about a deployment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// For people.
    pub description: String,
    /// Environment variables of the entry script.
    pub variables: BTreeMap<String, String>,
    /// Processor cores asked for; shown, not enforced.
    pub cpu: f64,
    /// Memory asked for, in GB; shown.
    pub memory_gb: f64,
    /// Memory a replica may use, in MiB; enforced.
    pub memory_limit_mib: u64,
    /// Bounds of its calls.
    pub requests: RequestSettings,
    /// Whether telemetry was asked for.
    pub app_insights: bool,
    /// Azure's name of a machine size; shown.
    pub instance_type: Option<String>,
    /// Azure's word for the kind (`Managed`, `Kubernetes`), when the caller used one; shown.
    pub kind_word: Option<String>,
    /// Free properties.
    pub properties: BTreeMap<String, String>,
}

impl Default for Plan {
    /// The defaults of the article's single container (requirement O-06), but for the enforced limit, which leaves room for
    /// the runtime.
    fn default() -> Self {
        Self {
            description: String::new(),
            variables: BTreeMap::new(),
            cpu: 0.1,
            memory_gb: 0.5,
            memory_limit_mib: 2048,
            requests: RequestSettings::default(),
            app_insights: false,
            instance_type: None,
            kind_word: None,
            properties: BTreeMap::new(),
        }
    }
}

impl Plan {
    /// Whether a replica made for `other` serves this plan as well.
    pub(super) fn runs_like(&self, other: &Self) -> bool {
        self.variables == other.variables && self.memory_limit_mib == other.memory_limit_mib
    }
}

/// The image behind a deployment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedImage {
    /// Its name.
    pub name: String,
    /// Its number.
    pub number: u32,
    /// `sha256:…` of its manifest.
    pub digest: String,
    /// Name of the registered model in it.
    pub model: String,
    /// That model's version.
    pub version: u64,
    /// Digest of the layer that holds the model's files.
    pub model_digest: String,
}

/// What callers find (requirement O-03).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ServiceState {
    /// It is being started.
    Transitioning,
    /// Nothing answers just now; it is seen to.
    Unhealthy,
    /// The target does not take it.
    Unschedulable,
    /// It will not run as it is.
    Failed,
    /// It answers.
    Healthy,
}

/// How a change of the plan went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Provisioning {
    /// Under way, for the first time.
    Creating,
    /// Under way, again.
    Updating,
    /// Done.
    Succeeded,
    /// It did not work.
    Failed,
}

/// One replica: a launch that serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replica {
    /// The launch.
    pub launch: RunId,
    /// The Unix socket at which it listens.
    pub socket: String,
    /// What it serves; the plan's image may be newer.
    pub image: UsedImage,
    /// When it was asked for.
    pub asked_at: Timestamp,
    /// Since when it answers; none while it does not.
    pub healthy_since: Option<Timestamp>,
}

impl Deployment {
    /// All its replicas.
    pub fn replicas(&self) -> impl Iterator<Item = &Replica> {
        self.current.iter().chain(&self.coming)
    }
}

impl ServiceState {
    /// The word clients see.
    pub fn word(self) -> &'static str {
        match self {
            Self::Transitioning => "Transitioning",
            Self::Unhealthy => "Unhealthy",
            Self::Unschedulable => "Unschedulable",
            Self::Failed => "Failed",
            Self::Healthy => "Healthy",
        }
    }
}

impl Provisioning {
    /// The word clients see.
    pub fn word(self) -> &'static str {
        match self {
            Self::Creating => "Creating",
            Self::Updating => "Updating",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
        }
    }
}

impl ResourceType for Deployment {
    const TYPE: &'static str = "Microsoft.MachineLearningServices/workspaces/onlineEndpoints/deployments";
    const READ: Action =
        Action::new("Microsoft.MachineLearningServices/workspaces/onlineEndpoints/deployments/read", Class::Read);
    const WRITE: Action =
        Action::new("Microsoft.MachineLearningServices/workspaces/onlineEndpoints/deployments/write", Class::Control);
    const DELETE: Action =
        Action::new("Microsoft.MachineLearningServices/workspaces/onlineEndpoints/deployments/delete", Class::Control);
}
