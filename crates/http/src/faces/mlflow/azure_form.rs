//! How `azureml-mlflow` is told where a run's files are: by an `azureml://` address, since it cannot read `mlflow-artifacts:/`.

use kernel::ResourceId;
use wire::mlflow::{Run, RunInfo};

use crate::Guest;

/// What its requests say about themselves, under whatever address they come.
const PLUGIN: &str = "azureml-mlflow/";
/// Where it asks, with MLflow 2 and 3. Whoever was given our own address (`/mlflow/v1.0`) is a plain client that has the plugin too.
const ITS_ADDRESS: &str = "/mlflow/v2.0/";

/// The form for one client.
pub(super) struct AzureForm {
    /// `azureml://HOST/mlflow/v2.0/subscriptions/…/workspaces/{workspace}`, for that plugin alone.
    base: Option<String>,
}

impl AzureForm {
    pub(super) fn of(guest: &Guest, workspace: &ResourceId) -> Self {
        let is_plugin = guest.header("user-agent").is_some_and(|agent| agent.contains(PLUGIN));
        let url = &guest.house().settings().url;
        let host = url.split_once("://").map_or(url.as_str(), |(_, host)| host);
        let is_its = is_plugin && guest.path().starts_with(ITS_ADDRESS);
        Self {
            base: is_its
                .then(|| format!("azureml://{host}{ITS_ADDRESS}{}", workspace.to_string().trim_start_matches('/'))),
        }
    }

    /// Puts the address into a run's facts.
    pub(super) fn say(&self, info: &mut RunInfo) {
        if let Some(base) = &self.base {
            info.artifact_uri = format!("{base}/experiments/{}/runs/{}/artifacts", info.experiment_id, info.run_id);
        }
    }

    pub(super) fn said(&self, mut run: Run) -> Run {
        self.say(&mut run.info);
        run
    }
}
