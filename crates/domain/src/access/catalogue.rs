//! The operation catalogue: every action that is checked anywhere, and those that Azure's documented roles name although this
//! release has nothing behind them. Role definitions are read against it.

use std::collections::{BTreeMap, HashMap};

use kernel::{Action, Class};

/// The catalogue.
#[derive(Debug, Default)]
pub struct Catalogue {
    entries: Vec<Entry>,
    /// By the action in lower case.
    places: HashMap<String, usize>,
    /// By the action as it is spelled where it is checked.
    spelled: HashMap<&'static str, usize>,
}

/// One action of the catalogue.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The action.
    pub action: Action,
    /// Whether this release has an operation behind it.
    pub is_served: bool,
}

impl Catalogue {
    /// The catalogue of a server with these doors. Public actions are not in it: no role is asked about them.
    pub fn new(of_doors: impl IntoIterator<Item = Action>) -> Self {
        let served = of_doors.into_iter().filter(|action| !action.is_public());
        let within = CHECKED_WITHIN.iter().map(|name| Action::new(name, Class::Control));
        let reserved = RESERVED.iter().map(|name| Action::new(name, Class::Control));
        let reserved = reserved.chain(RESERVED_DATA.iter().map(|name| Action::data(name, Class::DataWrite)));
        let mut by_name: BTreeMap<String, Entry> = BTreeMap::new();
        let all = served.chain(within).map(|action| (action, true)).chain(reserved.map(|action| (action, false)));
        let mut spelled = Vec::new();
        for (action, is_served) in all {
            spelled.push(action.name());
            by_name.entry(action.name().to_ascii_lowercase()).or_insert(Entry { action, is_served });
        }
        let places: HashMap<String, usize> = by_name.keys().cloned().zip(0..).collect();
        let spelled = spelled.into_iter().filter_map(|name| Some((name, *places.get(&name.to_ascii_lowercase())?)));
        Self { spelled: spelled.collect(), entries: by_name.into_values().collect(), places }
    }

    /// All of it, in alphabetical order.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The entry of an action; case does not count.
    pub fn find(&self, name: &str) -> Option<&Entry> {
        self.entries.get(*self.places.get(&name.to_ascii_lowercase())?)
    }

    /// The place of an action among the entries: what compiled roles are indexed by.
    pub(super) fn place(&self, action: &Action) -> Option<usize> {
        self.spelled.get(action.name()).copied()
    }
}

/// Actions that operations ask for beside their own, and that no door has.
const CHECKED_WITHIN: &[&str] = &[
    "Microsoft.Authorization/workspaceEditions/write",
    "Microsoft.Directory/roleAssignments/write",
    "Microsoft.MachineLearningServices/workspaces/environments/build/action",
    "Microsoft.MachineLearningServices/workspaces/privateEndpointConnectionsApproval/action",
    "Microsoft.MachineLearningServices/workspaces/services/aci/delete",
    "Microsoft.MachineLearningServices/workspaces/services/aci/listkeys/action",
    "Microsoft.MachineLearningServices/workspaces/services/aci/write",
    "Microsoft.MachineLearningServices/workspaces/services/aks/delete",
    "Microsoft.MachineLearningServices/workspaces/services/aks/listkeys/action",
    "Microsoft.MachineLearningServices/workspaces/services/aks/write",
    "Microsoft.ManagedIdentity/userAssignedIdentities/assign/action",
    "Microsoft.Network/virtualNetworks/subnets/join/action",
];

/// Actions of Azure's catalogue that its documented roles name, as `Microsoft.MachineLearningServices` spells them (Azure
/// resource provider operations, AI + machine learning). A role may name them; nothing here asks for them yet.
const RESERVED: &[&str] = &[
    "Microsoft.Authorization/elevateAccess/action",
    "Microsoft.ContainerRegistry/registries/delete",
    "Microsoft.ContainerRegistry/registries/write",
    "Microsoft.Insights/components/delete",
    "Microsoft.Insights/components/write",
    "Microsoft.KeyVault/vaults/delete",
    "Microsoft.KeyVault/vaults/write",
    "Microsoft.MachineLearningServices/featurestores/delete",
    "Microsoft.MachineLearningServices/featurestores/write",
    "Microsoft.MachineLearningServices/hubs/delete",
    "Microsoft.MachineLearningServices/hubs/write",
    "Microsoft.MachineLearningServices/locations/computeoperationsstatus/read",
    "Microsoft.MachineLearningServices/locations/quotas/read",
    "Microsoft.MachineLearningServices/locations/updateQuotas/action",
    "Microsoft.MachineLearningServices/locations/usages/read",
    "Microsoft.MachineLearningServices/locations/vmsizes/read",
    "Microsoft.MachineLearningServices/locations/workspaceOperationsStatus/read",
    "Microsoft.MachineLearningServices/operations/read",
    "Microsoft.MachineLearningServices/register/action",
    "Microsoft.MachineLearningServices/workspaces/batchEndpoints/delete",
    "Microsoft.MachineLearningServices/workspaces/batchEndpoints/read",
    "Microsoft.MachineLearningServices/workspaces/batchEndpoints/write",
    "Microsoft.MachineLearningServices/workspaces/checkComputeNameAvailability/action",
    "Microsoft.MachineLearningServices/workspaces/codes/versions/delete",
    "Microsoft.MachineLearningServices/workspaces/components/versions/delete",
    "Microsoft.MachineLearningServices/workspaces/components/versions/read",
    "Microsoft.MachineLearningServices/workspaces/components/versions/write",
    "Microsoft.MachineLearningServices/workspaces/computes/applicationaccess/action",
    "Microsoft.MachineLearningServices/workspaces/computes/delete",
    "Microsoft.MachineLearningServices/workspaces/computes/listKeys/action",
    "Microsoft.MachineLearningServices/workspaces/computes/listNodes/action",
    "Microsoft.MachineLearningServices/workspaces/computes/reimage/action",
    "Microsoft.MachineLearningServices/workspaces/computes/restart/action",
    "Microsoft.MachineLearningServices/workspaces/computes/start/action",
    "Microsoft.MachineLearningServices/workspaces/computes/stop/action",
    "Microsoft.MachineLearningServices/workspaces/computes/updateDataMounts/action",
    "Microsoft.MachineLearningServices/workspaces/computes/updateIdleShutdownSetting/action",
    "Microsoft.MachineLearningServices/workspaces/computes/updateSchedules/action",
    "Microsoft.MachineLearningServices/workspaces/datadriftdetectors/read",
    "Microsoft.MachineLearningServices/workspaces/datadriftdetectors/write",
    "Microsoft.MachineLearningServices/workspaces/datasets/registered/delete",
    "Microsoft.MachineLearningServices/workspaces/datasets/registered/preview/read",
    "Microsoft.MachineLearningServices/workspaces/datasets/registered/profile/read",
    "Microsoft.MachineLearningServices/workspaces/datasets/registered/profile/write",
    "Microsoft.MachineLearningServices/workspaces/datasets/registered/read",
    "Microsoft.MachineLearningServices/workspaces/datasets/registered/schema/read",
    "Microsoft.MachineLearningServices/workspaces/datasets/registered/write",
    "Microsoft.MachineLearningServices/workspaces/datasets/unregistered/delete",
    "Microsoft.MachineLearningServices/workspaces/datasets/unregistered/preview/read",
    "Microsoft.MachineLearningServices/workspaces/datasets/unregistered/profile/read",
    "Microsoft.MachineLearningServices/workspaces/datasets/unregistered/profile/write",
    "Microsoft.MachineLearningServices/workspaces/datasets/unregistered/read",
    "Microsoft.MachineLearningServices/workspaces/datasets/unregistered/schema/read",
    "Microsoft.MachineLearningServices/workspaces/datasets/unregistered/write",
    "Microsoft.MachineLearningServices/workspaces/datastores/delete",
    "Microsoft.MachineLearningServices/workspaces/datastores/listsecrets/action",
    "Microsoft.MachineLearningServices/workspaces/datastores/write",
    "Microsoft.MachineLearningServices/workspaces/diagnose/read",
    "Microsoft.MachineLearningServices/workspaces/endpoints/pipelines/read",
    "Microsoft.MachineLearningServices/workspaces/endpoints/pipelines/write",
    "Microsoft.MachineLearningServices/workspaces/environments/readSecrets/action",
    "Microsoft.MachineLearningServices/workspaces/environments/write",
    "Microsoft.MachineLearningServices/workspaces/eventGridFilters/delete",
    "Microsoft.MachineLearningServices/workspaces/eventGridFilters/read",
    "Microsoft.MachineLearningServices/workspaces/eventGridFilters/write",
    "Microsoft.MachineLearningServices/workspaces/experiments/delete",
    "Microsoft.MachineLearningServices/workspaces/experiments/runs/delete",
    "Microsoft.MachineLearningServices/workspaces/experiments/runs/submit/action",
    "Microsoft.MachineLearningServices/workspaces/experiments/write",
    "Microsoft.MachineLearningServices/workspaces/jobs/delete",
    "Microsoft.MachineLearningServices/workspaces/labeling/export/action",
    "Microsoft.MachineLearningServices/workspaces/labeling/labels/approve_unapprove/action",
    "Microsoft.MachineLearningServices/workspaces/labeling/labels/delete",
    "Microsoft.MachineLearningServices/workspaces/labeling/labels/read",
    "Microsoft.MachineLearningServices/workspaces/labeling/labels/reject/action",
    "Microsoft.MachineLearningServices/workspaces/labeling/labels/update/action",
    "Microsoft.MachineLearningServices/workspaces/labeling/labels/write",
    "Microsoft.MachineLearningServices/workspaces/labeling/projects/delete",
    "Microsoft.MachineLearningServices/workspaces/labeling/projects/read",
    "Microsoft.MachineLearningServices/workspaces/labeling/projects/summary/read",
    "Microsoft.MachineLearningServices/workspaces/labeling/projects/write",
    "Microsoft.MachineLearningServices/workspaces/linkedServices/delete",
    "Microsoft.MachineLearningServices/workspaces/linkedServices/read",
    "Microsoft.MachineLearningServices/workspaces/linkedServices/write",
    "Microsoft.MachineLearningServices/workspaces/listKeys/action",
    "Microsoft.MachineLearningServices/workspaces/listStorageAccountKeys/action",
    "Microsoft.MachineLearningServices/workspaces/metadata/artifacts/delete",
    "Microsoft.MachineLearningServices/workspaces/metadata/secrets/delete",
    "Microsoft.MachineLearningServices/workspaces/metadata/secrets/write",
    "Microsoft.MachineLearningServices/workspaces/metadata/snapshots/delete",
    "Microsoft.MachineLearningServices/workspaces/metrics/resource/write",
    "Microsoft.MachineLearningServices/workspaces/models/delete",
    "Microsoft.MachineLearningServices/workspaces/modules/read",
    "Microsoft.MachineLearningServices/workspaces/modules/write",
    "Microsoft.MachineLearningServices/workspaces/notebooks/samples/read",
    "Microsoft.MachineLearningServices/workspaces/notebooks/storage/delete",
    "Microsoft.MachineLearningServices/workspaces/notebooks/storage/read",
    "Microsoft.MachineLearningServices/workspaces/notebooks/storage/write",
    "Microsoft.MachineLearningServices/workspaces/notebooks/vm/delete",
    "Microsoft.MachineLearningServices/workspaces/notebooks/vm/read",
    "Microsoft.MachineLearningServices/workspaces/notebooks/vm/write",
    "Microsoft.MachineLearningServices/workspaces/onlineEndpoints/token/action",
    "Microsoft.MachineLearningServices/workspaces/pipelinedrafts/delete",
    "Microsoft.MachineLearningServices/workspaces/pipelinedrafts/read",
    "Microsoft.MachineLearningServices/workspaces/pipelinedrafts/write",
    "Microsoft.MachineLearningServices/workspaces/providers/Microsoft.Insights/diagnosticSettings/read",
    "Microsoft.MachineLearningServices/workspaces/providers/Microsoft.Insights/diagnosticSettings/write",
    "Microsoft.MachineLearningServices/workspaces/providers/Microsoft.Insights/logDefinitions/read",
    "Microsoft.MachineLearningServices/workspaces/providers/Microsoft.Insights/metricDefinitions/read",
    "Microsoft.MachineLearningServices/workspaces/reports/read",
    "Microsoft.MachineLearningServices/workspaces/reports/write",
    "Microsoft.MachineLearningServices/workspaces/resynckeys/action",
    "Microsoft.MachineLearningServices/workspaces/schedules/delete",
    "Microsoft.MachineLearningServices/workspaces/schedules/read",
    "Microsoft.MachineLearningServices/workspaces/schedules/write",
    "Microsoft.MachineLearningServices/workspaces/services/aks/score/action",
    "Microsoft.MachineLearningServices/workspaces/services/read",
    "Microsoft.Network/virtualNetworks/join/action",
    "Microsoft.Network/virtualNetworks/subnet/join/action",
    "Microsoft.Storage/storageAccounts/delete",
    "Microsoft.Storage/storageAccounts/write",
];

/// Data actions of Azure's catalogue for what a workspace's companions hold.
const RESERVED_DATA: &[&str] = &[
    "Microsoft.KeyVault/vaults/keys/write",
    "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/add/action",
    "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/delete",
    "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/move/action",
    "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read",
    "Microsoft.Storage/storageAccounts/blobServices/containers/blobs/write",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_action_is_found_in_any_case_and_once() {
        let read = Action::new("Microsoft.MachineLearningServices/workspaces/read", Class::Read);
        let shout = Action::new("MICROSOFT.MachineLearningServices/workspaces/READ", Class::Read);
        let public = Action::public("Microsoft.Directory/tokens/issue", Class::Read);
        let catalogue = Catalogue::new([read, shout, public]);
        assert_eq!(catalogue.place(&read), catalogue.place(&shout));
        assert!(catalogue.find("microsoft.machinelearningservices/WORKSPACES/read").unwrap().is_served);
        assert!(!catalogue.find("Microsoft.MachineLearningServices/workspaces/modules/read").unwrap().is_served);
        assert!(catalogue.find("Microsoft.Directory/tokens/issue").is_none());
        assert!(catalogue.find("Microsoft.MachineLearningServices/workspaces/reed").is_none());
        assert!(catalogue.entries().is_sorted_by_key(|entry| entry.action.name().to_ascii_lowercase()));
    }
}
