//! Alert rules, action groups and alerts, at Azure's addresses.

mod groups;
mod instances;
mod rules;

use crate::Doors;

/// What the metrics of a rule belong to.
const NAMESPACE: &str = "Microsoft.MachineLearningServices/workspaces";

pub(super) fn doors(doors: Doors) -> Doors {
    doors.face(rules::doors).face(groups::doors).face(instances::doors)
}
