//! A deployment as it is stored.

use kernel::{Action, Class, Error, ResourceId, Result, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::{gate::Record, resources::ResourceType};

/// A deployment of a template to a resource group or subscription.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TemplateDeployment {
    /// This run of it: a deployment under a name that was used before is another run.
    pub run: Uuid,
    /// Where it stands.
    pub state: DeploymentState,
    /// The parameters; secure ones without their values.
    pub parameters: Map<String, Value>,
    /// The outputs; secure ones without their values.
    pub outputs: Map<String, Value>,
    /// SHA-256 of the template, in hex.
    pub template_hash: String,
    /// What ties its records together.
    pub correlation: String,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Why it failed.
    pub fault: Option<DeploymentFault>,
    /// What was done, in order.
    pub steps: Vec<StepRecord>,
}

/// Where a deployment or one of its steps stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DeploymentState {
    /// Under way.
    Running,
    /// Done.
    Succeeded,
    /// Ended by the first resource that failed.
    Failed,
    /// Ended because somebody asked.
    Canceled,
}

impl DeploymentState {
    /// Azure's word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Canceled => "Canceled",
        }
    }
}

/// Why a deployment or one of its steps failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeploymentFault {
    /// A stable code.
    pub code: String,
    /// For people.
    pub message: String,
    /// The resource that failed.
    pub target: Option<ResourceId>,
}

/// One resource of a deployment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StepRecord {
    /// Its number, which is the operation's id.
    pub number: usize,
    /// The resource.
    pub target: ResourceId,
    /// Its type.
    pub kind: String,
    /// How it went.
    pub state: DeploymentState,
    /// The HTTP status of the answer.
    pub status: u16,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub ended_at: Timestamp,
    /// Why it failed.
    pub fault: Option<DeploymentFault>,
}

impl ResourceType for TemplateDeployment {
    const TYPE: &'static str = "Microsoft.Resources/deployments";
    const READ: Action = Action::new("Microsoft.Resources/deployments/read", Class::Read);
    const WRITE: Action = Action::new("Microsoft.Resources/deployments/write", Class::Control);
    const DELETE: Action = Action::new("Microsoft.Resources/deployments/delete", Class::Control);

    fn check(&self, id: &ResourceId) -> Result<()> {
        check_name(id.name())
    }
}

pub(super) fn check_name(name: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '(' | ')');
    if (1..=64).contains(&name.len()) && name.chars().all(fits) {
        return Ok(());
    }
    Err(Error::invalid("deploymentName", "must be 1 to 64 letters, digits or `-_.()`"))
}

/// The template of a run, kept apart: it is read when it is asked for, and written once.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct KeptTemplate {
    /// As it was sent.
    pub template: Value,
}

impl Record for KeptTemplate {
    const TABLE: &'static str = "deployment-template";
}
