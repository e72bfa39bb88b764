//! Which records of the activity log are shown.

use kernel::{Class, CorrelationId, ResourceId, Timestamp};

use crate::{
    access::Catalogue,
    gate::{Activity, Actor},
};

/// Which records there are at all to choose from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    /// Changes, reads of secrets, denials and failures, of every object.
    #[default]
    Full,
    /// The same, and every read that succeeded.
    Everything,
    /// What Azure's own activity log has: the control plane of resources, without the start of training, the registration
    /// of models, writes of data and the directory.
    Azure,
}

/// What to show.
#[derive(Clone, Debug, Default)]
pub struct ActivityFilter {
    /// Not before.
    pub from: Option<Timestamp>,
    /// Not after.
    pub until: Option<Timestamp>,
    /// Only what one request caused.
    pub correlation: Option<CorrelationId>,
    /// Only at and below this resource.
    pub within: Option<ResourceId>,
    /// Only in the resource group of this name.
    pub group: Option<String>,
    /// Only of this resource provider (`Microsoft.MachineLearningServices`).
    pub provider: Option<String>,
    /// Only by this initiator: its name, or its object id.
    pub caller: Option<String>,
    /// Only with this status (`Succeeded`, `Failed`, `Denied`).
    pub status: Option<String>,
    /// Only of these levels (`Critical`, `Error`, `Warning`, `Informational`); of all when empty.
    pub levels: Vec<String>,
    /// Out of which records.
    pub view: View,
    /// At most this many, newest first.
    pub most: usize,
    /// Only records with a smaller number: the next page.
    pub before: Option<u64>,
}

/// What Azure does not log of its machine-learning provider, although it is management there too: training and registries
/// of models (the gap that later releases close by diagnostic tables).
const NOT_IN_AZURE: [&str; 7] = [
    "microsoft.machinelearningservices/workspaces/experiments/",
    "microsoft.machinelearningservices/workspaces/jobs/",
    "microsoft.machinelearningservices/workspaces/metadata/",
    "microsoft.machinelearningservices/workspaces/models/",
    "microsoft.machinelearningservices/workspaces/codes/",
    "microsoft.insights/eventtypes/",
    "microsoft.directory/",
];

impl ActivityFilter {
    /// Whether a record at or below `scope` is to be shown.
    pub(super) fn wants(&self, scope: &ResourceId, catalogue: &Catalogue, activity: &Activity) -> bool {
        let is = |wanted: &Option<String>, found: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(found))
        };
        activity.scope.is_within(scope)
            && self.from.is_none_or(|from| activity.at >= from)
            && self.until.is_none_or(|until| activity.at <= until)
            && self.view.has(catalogue, activity)
            && self.correlation.is_none_or(|correlation| activity.correlation == correlation)
            && self.within.as_ref().is_none_or(|within| activity.scope.is_within(within))
            && is(&self.group, activity.scope.value_of("resourceGroups").unwrap_or_default())
            && is(&self.provider, activity.provider())
            && is(&self.status, activity.outcome.word())
            && self.caller.as_ref().is_none_or(|caller| is_by(&activity.actor, caller))
            && (self.levels.is_empty() || self.levels.iter().any(|level| level.eq_ignore_ascii_case(activity.level())))
    }
}

impl View {
    fn has(self, catalogue: &Catalogue, activity: &Activity) -> bool {
        match self {
            Self::Everything => true,
            Self::Full => !activity.is_plain_read(),
            Self::Azure => is_in_azure(catalogue, &activity.action),
        }
    }
}

fn is_in_azure(catalogue: &Catalogue, action: &str) -> bool {
    let folded = action.to_ascii_lowercase();
    let is_control = catalogue
        .find(action)
        .is_some_and(|entry| !entry.action.is_data() && matches!(entry.action.class(), Class::Control | Class::Vault));
    is_control && !folded.ends_with("/read") && !NOT_IN_AZURE.iter().any(|prefix| folded.starts_with(prefix))
}

fn is_by(actor: &Actor, caller: &str) -> bool {
    let is_id = match actor {
        Actor::Principal { id, .. } => id.to_string().eq_ignore_ascii_case(caller),
        Actor::Run { on_behalf_of, run } => {
            on_behalf_of.to_string().eq_ignore_ascii_case(caller) || run.as_str() == caller
        }
        Actor::AccountKey { on_behalf_of: Some(by), .. } => by.to_string().eq_ignore_ascii_case(caller),
        Actor::Nobody | Actor::ServiceKey { .. } | Actor::AccountKey { .. } | Actor::House => false,
    };
    is_id || actor.label().eq_ignore_ascii_case(caller)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::Action;

    #[test]
    fn azure_s_view_has_the_control_plane_alone() {
        let action = |name| Action::new(name, Class::Control);
        let catalogue = Catalogue::new([
            action("Microsoft.MachineLearningServices/workspaces/write"),
            action("Microsoft.MachineLearningServices/workspaces/jobs/write"),
            action("Microsoft.MachineLearningServices/workspaces/models/write"),
            action("Microsoft.Directory/users/write"),
            Action::new("Microsoft.MachineLearningServices/workspaces/onlineEndpoints/listKeys/action", Class::Vault),
            Action::new("Microsoft.MachineLearningServices/workspaces/experiments/write", Class::DataWrite),
            Action::new("Microsoft.MachineLearningServices/workspaces/read", Class::Read),
        ]);
        for shown in ["workspaces/write", "workspaces/onlineEndpoints/listKeys/action"] {
            assert!(is_in_azure(&catalogue, &format!("Microsoft.MachineLearningServices/{shown}")), "{shown}");
        }
        for omitted in [
            "Microsoft.MachineLearningServices/workspaces/jobs/write",
            "Microsoft.MachineLearningServices/workspaces/models/write",
            "Microsoft.MachineLearningServices/workspaces/experiments/write",
            "Microsoft.MachineLearningServices/workspaces/read",
            "Microsoft.Directory/users/write",
            "Microsoft.Nothing/known/write",
        ] {
            assert!(!is_in_azure(&catalogue, omitted), "{omitted}");
        }
    }
}
