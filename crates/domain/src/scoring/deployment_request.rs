//! What callers say of a deployment, and the bounds on it.

use std::collections::BTreeMap;

use kernel::{Error, ResourceId, Result};
use serde_json::{Value, json};

use super::{AuthWords, KeyPair, RequestSettings, ServiceKind, endpoint::check_labels};
use crate::{
    compute::check_variables,
    gate::{Admission, Guard, Guarded},
    images::{Code, ImageRef},
    resources::workspace_shelf,
    secrets::{Given, admit},
};

/// Largest memory limit, in MiB.
const MOST_MEMORY: u64 = 1 << 20;

/// What a caller says of a deployment.
#[derive(Clone, Debug, Default)]
pub struct DeploymentRequest {
    /// Where.
    pub location: Option<String>,
    /// Free labels.
    pub tags: Option<BTreeMap<String, String>>,
    /// The kind of service; `Cluster` for a new one when nothing is said.
    pub kind: Option<ServiceKind>,
    /// The word for it, if it was not one of ours.
    pub kind_word: Option<String>,
    /// The image.
    pub image: Option<ImageRef>,
    /// A registered model's version; its image is built when it has none yet.
    pub model: Option<ResourceId>,
    /// Code around the model, for an image that is to be built.
    pub code: Option<Code>,
    /// The form of proof.
    pub auth: AuthWords,
    /// Keys that the caller chose.
    pub keys: Option<KeyPair>,
    /// For people.
    pub description: Option<String>,
    /// Environment variables of the entry script.
    pub variables: Option<BTreeMap<String, String>>,
    /// Processor cores.
    pub cpu: Option<f64>,
    /// Memory, in GB.
    pub memory_gb: Option<f64>,
    /// Enforced memory, in GB.
    pub memory_limit_gb: Option<f64>,
    /// Bounds of its calls.
    pub requests: Option<RequestSettings>,
    /// Whether telemetry is asked for.
    pub app_insights: Option<bool>,
    /// Azure's name of a machine size.
    pub instance_type: Option<String>,
    /// Free properties.
    pub properties: Option<BTreeMap<String, String>>,
}

impl DeploymentRequest {
    /// What an approval of it is for.
    pub(super) fn guarded(&self, id: &ResourceId, is_patch: bool) -> Guarded {
        let body = json!({"deployment": self.in_words(), "isPatch": is_patch});
        let mut guarded = Guarded::at(Guard::Deploy, id, body);
        if let Some(keys) = &self.keys {
            guarded.places.places.push((Guard::KeyChange, id.clone()));
            guarded.secret = Some(keys.joined());
        }
        guarded
    }

    /// Refuses variables that must not be said (`kept` are those that stay when none are). The replica's secrets are read in the
    /// name of who deploys it, whether they name them now or somebody did before. Gives back warnings.
    pub(super) async fn admit_secrets(
        &self,
        cx: &Admission<'_>,
        id: &ResourceId,
        kept: Option<&BTreeMap<String, String>>,
    ) -> Result<Vec<String>> {
        let none = BTreeMap::new();
        let said = self.variables.as_ref();
        let given = Given { variables: said.or(kept).unwrap_or(&none), said: said.unwrap_or(&none), command: None };
        let (shelf, workspace) = workspace_shelf(cx, id).await?;
        admit(cx, (&shelf, &workspace), given).await
    }

    /// All of it but the keys, as approvers read it.
    fn in_words(&self) -> Value {
        let Self { location, tags, kind, kind_word, image, model, code, auth, keys, description, .. } = self;
        let Self { variables, cpu, memory_gb, memory_limit_gb, requests, app_insights, instance_type, .. } = self;
        json!({
            "location": location,
            "tags": tags,
            "kind": kind,
            "kindWord": kind_word,
            "image": image.as_ref().map(|image| format!("{}: {:?}", image.name, image.which)),
            "model": model,
            "code": code.as_ref().map(|code| json!({"asset": code.asset, "script": code.script})),
            "authentication": {"key": auth.key, "token": auth.token},
            "choosesKeys": keys.is_some(),
            "description": description,
            "environmentVariables": variables,
            "cpu": cpu,
            "memoryInGB": memory_gb,
            "memoryInGBLimit": memory_limit_gb,
            "requestSettings": requests,
            "appInsights": app_insights,
            "instanceType": instance_type,
            "properties": self.properties,
        })
    }
}

/// GB as MiB, within bounds.
pub(super) fn mebibytes(gigabytes: f64) -> Result<u64> {
    let mebibytes = gigabytes * 1024.0;
    // Steps of one MiB; what lies outside of the bounds is refused below.
    let mut steps: u64 = 0;
    for bit in (0..21).rev() {
        let more = steps | (1 << bit);
        if u32::try_from(more).is_ok_and(|more| f64::from(more) <= mebibytes) {
            steps = more;
        }
    }
    if gigabytes.is_finite() && (64..=MOST_MEMORY).contains(&steps) {
        return Ok(steps);
    }
    Err(Error::invalid("properties.memoryInGB", "must be from 0.0625 to 1024"))
}

/// Refuses words out of bounds.
pub(super) fn check_words(request: &DeploymentRequest) -> Result<()> {
    check_labels("tags", request.tags.as_ref())?;
    check_labels("properties.properties", request.properties.as_ref())?;
    if request.description.as_ref().is_some_and(|words| words.len() > 5000) {
        return Err(Error::invalid("properties.description", "at most 5000 bytes"));
    }
    if request.instance_type.as_ref().is_some_and(|words| words.len() > 100) {
        return Err(Error::invalid("properties.instanceType", "at most 100 bytes"));
    }
    if request.cpu.is_some_and(|cores| !(cores.is_finite() && (0.01..=1024.0).contains(&cores))) {
        return Err(Error::invalid("properties.cpu", "must be from 0.01 to 1024"));
    }
    if let Some(settings) = request.requests {
        let fits = (1..=256).contains(&settings.concurrent)
            && settings.wait_ms <= 60_000
            && (1..=180_000).contains(&settings.timeout_ms);
        if !fits {
            let why = "at most 256 calls at once, a wait of at most one and a timeout of at most three minutes";
            return Err(Error::invalid("properties.requestSettings", why));
        }
    }
    request.variables.as_ref().map_or(Ok(()), check_variables)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_counted_in_mebibytes() {
        assert_eq!(mebibytes(0.5).unwrap(), 512);
        assert_eq!(mebibytes(2.0).unwrap(), 2048);
        assert_eq!(mebibytes(1024.0).unwrap(), 1 << 20);
        for bad in [0.0, -1.0, 0.01, f64::NAN, f64::INFINITY, 5000.0] {
            assert!(mebibytes(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn variables_are_checked_as_those_of_jobs_are() {
        let check = |name: &str, value: &str| {
            let variables = Some(BTreeMap::from([(name.to_owned(), value.to_owned())]));
            check_words(&DeploymentRequest { variables, ..DeploymentRequest::default() })
        };
        for name in ["", "1A", "A-B", "AZUREML_MODEL_DIR", "MLFLOW_TRACKING_TOKEN", "MLFLOW_RUN_ID", "BARTIZAN_X"] {
            assert!(check(name, "v").is_err(), "{name}");
        }
        assert!(check("A", "v\0").is_err());
        assert!(check("A", &"v".repeat(64 << 10)).is_err());
        check("THRESHOLD", "0.5").unwrap();
        check("MLFLOW_VERBOSE", "1").unwrap();
        check_words(&DeploymentRequest::default()).unwrap();
    }
}
