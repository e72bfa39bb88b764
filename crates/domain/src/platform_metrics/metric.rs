//! The metrics of a workspace and their dimensions, as Azure Monitor names them (supported metrics of
//! `Microsoft.MachineLearningServices/workspaces`).

use serde::{Deserialize, Serialize};

/// A metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Metric {
    /// Deployments that could not be brought to serve.
    ModelDeployFailed,
    /// Deployments begun.
    ModelDeployStarted,
    /// Deployments that came to serve.
    ModelDeploySucceeded,
    /// Registrations of models that were refused.
    ModelRegisterFailed,
    /// Versions of models registered.
    ModelRegisterSucceeded,
    /// Cores of nodes with work.
    ActiveCores,
    /// Nodes with work.
    ActiveNodes,
    /// Cores of nodes without work.
    IdleCores,
    /// Nodes without work.
    IdleNodes,
    /// Cores of nodes that are being given back.
    LeavingCores,
    /// Nodes that are being given back.
    LeavingNodes,
    /// Cores of low-priority nodes that were taken away.
    PreemptedCores,
    /// Low-priority nodes that were taken away.
    PreemptedNodes,
    /// Share of all cores with work.
    QuotaUtilizationPercentage,
    /// All cores.
    TotalCores,
    /// All nodes.
    TotalNodes,
    /// Cores of nodes that start nothing.
    UnusableCores,
    /// Nodes that start nothing.
    UnusableNodes,
    /// Runs that ended well.
    CompletedRuns,
    /// Runs that ended badly.
    FailedRuns,
    /// Runs whose program began.
    StartedRuns,
}

/// What a metric counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Things.
    Count,
    /// Hundredths.
    Percent,
}

/// The dimensions of runs.
pub(super) const OF_RUNS: &[&str] = &["ComputeType", "PipelineStepType", "PublishedPipelineId", "RunType"];
/// The dimensions of quotas.
pub(super) const OF_QUOTAS: &[&str] = &["ClusterName", "VmFamilyName", "VmPriority"];

use Metric::{
    ActiveCores, ActiveNodes, CompletedRuns, FailedRuns, IdleCores, IdleNodes, LeavingCores, LeavingNodes,
    ModelDeployFailed, ModelDeployStarted, ModelDeploySucceeded, ModelRegisterFailed, ModelRegisterSucceeded,
    PreemptedCores, PreemptedNodes, QuotaUtilizationPercentage, StartedRuns, TotalCores, TotalNodes, UnusableCores,
    UnusableNodes,
};

impl Metric {
    /// Every metric.
    pub const ALL: [Self; 21] = [
        ModelDeployFailed,
        ModelDeployStarted,
        ModelDeploySucceeded,
        ModelRegisterFailed,
        ModelRegisterSucceeded,
        ActiveCores,
        ActiveNodes,
        IdleCores,
        IdleNodes,
        LeavingCores,
        LeavingNodes,
        PreemptedCores,
        PreemptedNodes,
        QuotaUtilizationPercentage,
        TotalCores,
        TotalNodes,
        UnusableCores,
        UnusableNodes,
        CompletedRuns,
        FailedRuns,
        StartedRuns,
    ];

    /// Its name, in English: how clients ask for it.
    pub fn name(self) -> String {
        let mut name = String::new();
        for letter in format!("{self:?}").chars() {
            if letter.is_ascii_uppercase() && !name.is_empty() {
                name.push(' ');
            }
            name.push(letter);
        }
        name
    }

    /// The metric of a name; case and spaces do not matter.
    pub fn named(name: &str) -> Option<Self> {
        let squeezed: String = name.chars().filter(|letter| !matches!(letter, ' ' | '_')).collect();
        Self::ALL.into_iter().find(|metric| format!("{metric:?}").eq_ignore_ascii_case(&squeezed))
    }

    /// Azure's group for it: `Model`, `Quota`, `Run`.
    pub fn category(self) -> &'static str {
        match self {
            ModelDeployFailed
            | ModelDeployStarted
            | ModelDeploySucceeded
            | ModelRegisterFailed
            | ModelRegisterSucceeded => "Model",
            CompletedRuns | FailedRuns | StartedRuns => "Run",
            _ => "Quota",
        }
    }

    /// Whether it is a level that stands until it changes, rather than a number of things that happened.
    pub fn is_level(self) -> bool {
        self.category() == "Quota"
    }

    /// Its unit.
    pub fn unit(self) -> Unit {
        if self == QuotaUtilizationPercentage { Unit::Percent } else { Unit::Count }
    }

    /// Its dimensions.
    pub fn dimensions(self) -> &'static [&'static str] {
        match self.category() {
            "Run" => OF_RUNS,
            "Quota" => OF_QUOTAS,
            _ => &[],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_five_of_models_thirteen_of_quotas_and_three_of_runs() {
        let of = |category| Metric::ALL.into_iter().filter(|metric| metric.category() == category).count();
        assert_eq!((of("Model"), of("Quota"), of("Run")), (5, 13, 3));
    }

    #[test]
    fn names_are_found_however_they_are_written() {
        for metric in Metric::ALL {
            assert_eq!(Metric::named(&metric.name()), Some(metric));
            assert_eq!(Metric::named(&metric.name().to_lowercase().replace(' ', "")), Some(metric));
        }
        assert_eq!(Metric::CompletedRuns.name(), "Completed Runs");
        assert_eq!(Metric::named("Runs Completed"), None);
    }
}
