//! The governance room: policies that say what resources may be (Azure Policy), and where they are assigned.
//!
//! A definition is a rule: if a resource is like this, then that. An assignment puts it into force at a scope and below. All that
//! is assigned is compiled into one snapshot (`snapshot.rs`); every commit that writes a resource is judged by it
//! (`enforce.rs`), so that no protocol, no template and no change of a part goes around it.

mod alias;
mod assignment;
mod assignments;
mod baseline;
mod built_in;
mod compliance;
mod condition;
mod definition;
mod definitions;
mod effect;
mod enforce;
mod facts;
mod operator;
mod parameters;
mod rule;
mod snapshot;
#[cfg(test)]
mod tests;
mod value;

pub use assignment::PolicyAssignment;
pub(crate) use assignments::remove_assignments_within;
pub use assignments::{
    AssignmentWanted, DeletePolicyAssignment, GetPolicyAssignment, ListPolicyAssignments, PutPolicyAssignment,
};
pub use baseline::{BaselineReport, Control, ControlGroup, ReportBaseline, Verdict};
pub use compliance::{Compliance, PolicyState, ScanCompliance};
pub use definition::{Mode, PolicyDefinition};
pub use definitions::{
    BuiltInPolicies, DeletePolicyDefinition, GetBuiltInPolicy, GetPolicyDefinition, ListPolicyDefinitions,
    PutPolicyDefinition,
};
pub(crate) use enforce::{amend, judge};
pub(crate) use snapshot::{Policies, compiled};

use crate::gate::Record;

/// A commit that touches one of these tables recompiles the snapshot.
pub(crate) const TABLES: &[&str] = &[PolicyDefinition::TABLE, PolicyAssignment::TABLE];
