//! The log tables of Azure's machine-learning provider, as views over the activity log: fixed columns, null where nothing is
//! known here (Azure Monitor, monitoring data reference of Azure Machine Learning).

use kernel::TenantId;
use serde_json::{Value, json};

use super::category::{self, job_event, node_event, run_of};
use crate::gate::{Activity, Outcome};

/// A column.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name.
    pub name: &'static str,
    /// Its type, in Kusto's words.
    pub kind: &'static str,
}

/// A table.
#[derive(Clone, Copy, Debug)]
pub struct Table {
    /// Its name, which is that of a category.
    pub name: &'static str,
    columns: &'static [&'static str],
    /// The object's name, in tables of the later family.
    own: Option<&'static str>,
}

const JOB: &[&str] = &[
    "TimeGenerated",
    "OperationName",
    "Category",
    "JobId",
    "ExperimentId",
    "ExperimentName",
    "CustomerSubscriptionId",
    "WorkspaceName",
    "ClusterName",
    "ProvisioningState",
    "ResourceGroupName",
    "JobName",
    "ClusterId",
    "EventType",
    "ExecutionState",
    "ErrorDetails",
    "CreationApiVersion",
    "ClusterResourceGroupName",
    "TFWorkerCount",
    "TFParameterServerCount",
    "ToolType",
    "RunInContainer",
    "JobErrorMessage",
    "NodeId",
];

const CLUSTER: &[&str] = &[
    "TimeGenerated",
    "OperationName",
    "Category",
    "ProvisioningState",
    "ClusterName",
    "ClusterType",
    "CreatedBy",
    "CoreCount",
    "VmSize",
    "VmPriority",
    "ScalingType",
    "InitialNodeCount",
    "MinimumNodeCount",
    "MaximumNodeCount",
    "NodeDeallocationOption",
    "Publisher",
    "Offer",
    "Sku",
    "Version",
    "SubnetId",
    "AllocationState",
    "CurrentNodeCount",
    "TargetNodeCount",
    "EventType",
    "NodeIdleTimeSecondsBeforeScaleDown",
    "PreemptedNodeCount",
    "IsResizeGrow",
    "VmFamilyName",
    "LeavingNodeCount",
    "UnusableNodeCount",
    "IdleNodeCount",
    "RunningNodeCount",
    "PreparingNodeCount",
    "QuotaAllocated",
    "QuotaUtilized",
    "AllocationStateTransitionTime",
    "ClusterErrorCodes",
    "CreationApiVersion",
];

const NODE: &[&str] = &[
    "TimeGenerated",
    "OperationName",
    "Category",
    "ClusterName",
    "NodeId",
    "VmSize",
    "VmFamilyName",
    "VmPriority",
    "Publisher",
    "Offer",
    "Sku",
    "Version",
    "ClusterCreationTime",
    "ResizeStartTime",
    "ResizeEndTime",
    "NodeAllocationTime",
    "NodeBootTime",
    "StartTaskStartTime",
    "StartTaskEndTime",
    "TotalE2ETimeInSeconds",
];

/// The later family: who did what to which object.
const LATER: &[&str] = &[
    "TimeGenerated",
    "Level",
    "ResultType",
    "ResultSignature",
    "OperationName",
    "Category",
    "Identity",
    "AadTenantId",
    "CorrelationId",
];

/// Every table.
pub const TABLES: [Table; 9] = [
    Table { name: "AmlComputeClusterEvent", columns: CLUSTER, own: None },
    Table { name: "AmlComputeClusterNodeEvent", columns: NODE, own: None },
    Table { name: "AmlComputeJobEvent", columns: JOB, own: None },
    Table { name: "AmlDataStoreEvent", columns: LATER, own: Some("AmlDatastoreName") },
    Table { name: "AmlDeploymentEvent", columns: LATER, own: Some("AmlServiceName") },
    Table { name: "AmlEnvironmentEvent", columns: LATER, own: Some("AmlEnvironmentName") },
    Table { name: "AmlInferencingEvent", columns: LATER, own: Some("AmlServiceName") },
    Table { name: "AmlModelsEvent", columns: LATER, own: Some("AmlModelName") },
    Table { name: "AmlRunEvent", columns: LATER, own: Some("RunId") },
];

impl Table {
    /// The table of this name.
    pub fn named(name: &str) -> Option<&'static Self> {
        TABLES.iter().find(|table| table.name == name)
    }

    /// Its columns, in their order.
    pub fn columns(&self) -> impl Iterator<Item = Column> + '_ {
        self.columns.iter().copied().chain(self.own).map(|name| Column { name, kind: kind_of(name) })
    }

    /// The row that a record is; none when it belongs to another table.
    pub(super) fn row(&self, activity: &Activity, tenant: Option<TenantId>) -> Option<Vec<Value>> {
        let is_ours =
            category::OF_WORKSPACES.iter().any(|category| category.name == self.name && category.has(activity));
        // Reads are no events of the objects that were read; a call of a service is.
        let is_event = is_ours && (!activity.is_plain_read() || self.name == "AmlInferencingEvent");
        is_event.then(|| self.columns().map(|column| self.cell(column.name, activity, tenant)).collect())
    }

    fn cell(&self, column: &str, activity: &Activity, tenant: Option<TenantId>) -> Value {
        let scope = &activity.scope;
        let noted = |key: &str| activity.detail.get(key).map(String::as_str);
        let allocated = node_event(activity) == Some("NodeAllocated");
        match column {
            "TimeGenerated" => json!(activity.at.rfc3339()),
            "OperationName" => json!(activity.action),
            "Category" => json!(self.name),
            "Level" => json!(activity.level()),
            "ResultType" => json!(if activity.outcome == Outcome::Succeeded { "Succeeded" } else { "Failed" }),
            "ResultSignature" => json!(status(&activity.outcome)),
            "Identity" => json!(activity.actor.label()),
            "CreatedBy" if self.name == "AmlComputeClusterEvent" => json!(activity.actor.label()),
            "AadTenantId" => json!(tenant),
            "CorrelationId" => json!(activity.correlation),
            "JobId" | "JobName" | "RunId" => json!(run_of(activity)),
            "ExperimentName" => json!(noted("experiment")),
            "CustomerSubscriptionId" => json!(scope.value_of("subscriptions")),
            "WorkspaceName" => json!(scope.value_of("workspaces")),
            "ResourceGroupName" => json!(scope.value_of("resourceGroups")),
            "ClusterName" => json!(scope.value_of("computes").or(noted("compute"))),
            "NodeId" => json!(noted("node")),
            "NodeAllocationTime" if allocated => json!(activity.at.rfc3339()),
            "EventType" => json!(job_event(activity).or_else(|| last_word(&activity.action))),
            "ExecutionState" => json!(noted("state")),
            "ProvisioningState" => json!(activity.outcome.word()),
            "AmlModelName" => json!(noted("model").or(scope.value_of("models"))),
            "AmlDatastoreName" => json!(scope.value_of("datastores")),
            "AmlServiceName" => json!(scope.value_of("onlineEndpoints").or(scope.value_of("services"))),
            "AmlEnvironmentName" => json!(scope.value_of("environments").or(noted("image"))),
            _ => Value::Null,
        }
    }
}

fn last_word(action: &str) -> Option<&str> {
    action.rsplit('/').next()
}

/// The HTTP status that an outcome had.
fn status(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::Succeeded => "200",
        Outcome::Denied => "403",
        Outcome::Failed(kind) => match kind.as_str() {
            "Invalid" | "Unsupported" => "400",
            "Unauthenticated" => "401",
            "NotFound" => "404",
            "Exists" | "Conflict" => "409",
            "Stale" => "412",
            "TooLarge" => "413",
            "Throttled" => "429",
            "Unavailable" => "503",
            _ => "500",
        },
    }
}

fn kind_of(column: &str) -> &'static str {
    match column {
        "TFWorkerCount" | "TFParameterServerCount" | "CoreCount" => "int",
        "RunInContainer" | "IsResizeGrow" => "bool",
        "QuotaAllocated" | "QuotaUtilized" | "TotalE2ETimeInSeconds" | "NodeIdleTimeSecondsBeforeScaleDown" => "int",
        name if name == "TimeGenerated" || name.ends_with("Time") => "datetime",
        name if name.ends_with("Count") => "int",
        _ => "string",
    }
}
