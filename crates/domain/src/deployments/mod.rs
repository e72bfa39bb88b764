//! The deployments room: templates of resources, read here and carried out by whoever enters with the caller's own rights.
//!
//! A template gives no right: each of its resources goes through the same door as a request of its own would, with the
//! credential of whoever deploys. What is here is the language, the order, and the record of what became of it.

mod begin;
mod expression;
mod fault;
mod known;
mod order;
mod parameters;
mod progress;
mod record;
mod running;
mod shape;
mod template;
#[cfg(test)]
mod tests;

pub(crate) use begin::forget_deployments;
pub use begin::{BeginDeployment, Begun, PreviewDeployment, Rehearsal, TemplateRequest, ValidateDeployment};
pub use expression::Wanted;
pub use progress::{
    CancelDeployment, DeleteTemplateDeployment, EndDeployment, ExportTemplate, ListDeploymentOperations, NoteStep,
    standing,
};
pub use record::{DeploymentFault, DeploymentState, StepRecord, TemplateDeployment};
pub(crate) use running::Running;
pub use running::UnderWay;
pub use template::{Plan, Step};
