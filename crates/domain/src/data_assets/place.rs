//! Where the files of a data asset lie: what a URI says.

use kernel::{Error, Kind, ResourceId, Result, RunId};
use serde::{Deserialize, Serialize};

use super::DataKind;
use crate::tracking::ArtifactPath;

/// Longest URI, in bytes.
const LONGEST: usize = 2048;
const FIELD: &str = "properties.dataUri";

/// A place within the workspace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DataPlace {
    /// Blobs of a datastore.
    Datastore {
        /// Its name.
        name: String,
        /// The blob, or what the names of blobs begin with, without a slash at the end; empty for all.
        path: ArtifactPath,
    },
    /// Files of a run.
    Run {
        /// The run.
        run: RunId,
        /// The file or directory; empty for all.
        path: ArtifactPath,
    },
}

impl DataPlace {
    /// Reads a URI: `azureml://datastores/{name}/paths/{path}`, the same with the workspace in front
    /// (`azureml://subscriptions/{id}/resourcegroups/{group}/workspaces/{workspace}/datastores/…`),
    /// `azureml://jobs/{run}/outputs/artifacts/paths/{path}` or `runs:/{run}/{path}`. These are the forms of Azure's clients
    /// (`azure-ai-ml`, "Data URIs") and MLflow's. A path is taken as it is written, without decoding.
    ///
    /// # Errors
    /// `Invalid` for a malformed one and for another workspace's, `Unsupported` for what lies elsewhere.
    pub fn parse(uri: &str, kind: DataKind, workspace: &ResourceId) -> Result<Self> {
        if uri.is_empty() || uri.len() > LONGEST {
            return Err(Error::invalid(FIELD, format_args!("must be 1 to {LONGEST} bytes")));
        }
        let place = if let Some(rest) = uri.strip_prefix("azureml://") {
            Self::of_azureml(rest, workspace)?
        } else if let Some(rest) = uri.strip_prefix("runs:/") {
            let (run, path) = rest.split_once('/').unwrap_or((rest, ""));
            Self::Run { run: run_of(run)?, path: path_of(path)? }
        } else {
            let why = format!(
                "`{FIELD}`: only data within the workspace can be registered: \
                 `azureml://datastores/NAME/paths/PATH` or `azureml://jobs/NAME/outputs/artifacts/paths/PATH`"
            );
            return Err(Error::new(Kind::Unsupported, why));
        };
        let ends_as_file = !uri.ends_with('/') && !place.path().is_root();
        if kind == DataKind::UriFile && !ends_as_file {
            return Err(Error::invalid(FIELD, "a `uri_file` names one file; use `uri_folder` for a folder"));
        }
        Ok(place)
    }

    fn of_azureml(rest: &str, workspace: &ResourceId) -> Result<Self> {
        let mut parts = rest;
        let mut next = || {
            let (part, after) = parts.split_once('/').unwrap_or((parts, ""));
            parts = after;
            part
        };
        let mut word = next();
        if word.eq_ignore_ascii_case("subscriptions") {
            word = within(&mut next, workspace)?;
        }
        match word.to_ascii_lowercase().as_str() {
            "datastores" => {
                let name = next();
                let fits = |c: char| c.is_ascii_alphanumeric() || c == '_';
                if !(1..=255).contains(&name.len()) || !name.chars().all(fits) {
                    return Err(Error::invalid(FIELD, "a datastore's name is 1 to 255 letters, digits or `_`"));
                }
                if !next().eq_ignore_ascii_case("paths") {
                    return Err(Error::invalid(FIELD, "must go on with `/paths/` after the datastore"));
                }
                Ok(Self::Datastore { name: name.to_owned(), path: path_of(parts)? })
            }
            "jobs" => {
                let run = run_of(next())?;
                let fixed = [next(), next(), next()];
                if !fixed
                    .iter()
                    .zip(["outputs", "artifacts", "paths"])
                    .all(|(said, word)| said.eq_ignore_ascii_case(word))
                {
                    return Err(Error::invalid(FIELD, "must go on with `/outputs/artifacts/paths/` after the job"));
                }
                Ok(Self::Run { run, path: path_of(parts)? })
            }
            _ => Err(Error::invalid(FIELD, "must name `datastores` or `jobs` after `azureml://`")),
        }
    }

    /// The path below the datastore or run.
    pub fn path(&self) -> &ArtifactPath {
        match self {
            Self::Datastore { path, .. } | Self::Run { path, .. } => path,
        }
    }
}

/// Reads the workspace of a long URI, and refuses another one. Gives the word after it.
fn within<'a>(next: &mut impl FnMut() -> &'a str, workspace: &ResourceId) -> Result<&'a str> {
    let foreign = || Error::invalid(FIELD, "must lie in the workspace that the asset is registered in");
    let is = |said: &str, key: &str| workspace.value_of(key).is_some_and(|known| known.eq_ignore_ascii_case(said));
    let subscription = next();
    let (group_word, group) = (next(), next());
    let mut word = next();
    if word.eq_ignore_ascii_case("providers") {
        // The namespace, then the type.
        next();
        word = next();
    }
    let name = next();
    let is_shaped = group_word.eq_ignore_ascii_case("resourcegroups") && word.eq_ignore_ascii_case("workspaces");
    let is_here =
        is(subscription, "subscriptions") && is(group, "resourceGroups") && workspace.name().eq_ignore_ascii_case(name);
    if is_shaped && is_here { Ok(next()) } else { Err(foreign()) }
}

fn run_of(text: &str) -> Result<RunId> {
    text.parse().map_err(|why| Error::invalid(FIELD, why))
}

/// A path that every reader takes for the same: one that leads nowhere else under any decoding.
fn path_of(text: &str) -> Result<ArtifactPath> {
    let refuse =
        |_| Error::invalid(FIELD, "the path must be plain: no `..`, no empty parts, no backslashes, `#` or `?`");
    ArtifactPath::parse(text.strip_suffix('/').unwrap_or(text)).map_err(refuse)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HERE: &str = "/subscriptions/6f9619ff-8b86-d011-b42d-00c04fc964ff/resourceGroups/rg/providers/Microsoft.MachineLearningServices/workspaces/ws1";

    fn parsed(uri: &str, kind: DataKind) -> Result<DataPlace> {
        DataPlace::parse(uri, kind, &HERE.parse().unwrap())
    }

    #[test]
    fn every_form_of_a_uri_leads_to_its_place() {
        let path = |text| ArtifactPath::parse(text).unwrap();
        let store = |text| DataPlace::Datastore { name: String::from("store"), path: path(text) };
        let run = |text| DataPlace::Run { run: "job1".parse().unwrap(), path: path(text) };
        let here = "azureml://subscriptions/6F9619FF-8b86-d011-b42d-00c04fc964ff/resourcegroups/RG";
        for (uri, kind, expected) in [
            (String::from("azureml://datastores/store/paths/a/b.csv"), DataKind::UriFile, store("a/b.csv")),
            (String::from("azureml://datastores/store/paths/a/"), DataKind::UriFolder, store("a")),
            (String::from("azureml://datastores/store/paths/"), DataKind::MlTable, store("")),
            (format!("{here}/workspaces/ws1/datastores/store/paths/a"), DataKind::UriFolder, store("a")),
            (
                format!("{here}/providers/Microsoft.MachineLearningServices/workspaces/ws1/datastores/store/paths/a"),
                DataKind::UriFolder,
                store("a"),
            ),
            (
                String::from("azureml://jobs/job1/outputs/artifacts/paths/outputs/x"),
                DataKind::UriFile,
                run("outputs/x"),
            ),
            (String::from("runs:/job1/outputs"), DataKind::UriFolder, run("outputs")),
            (String::from("runs:/job1"), DataKind::UriFolder, run("")),
        ] {
            assert_eq!(parsed(&uri, kind).unwrap(), expected, "{uri}");
        }
    }

    #[test]
    fn what_leads_elsewhere_is_refused() {
        for bad in [
            "",
            "azureml://",
            "azureml://datastores/store",
            "azureml://datastores/store/a",
            "azureml://datastores/st-ore/paths/a",
            "azureml://datastores/store/paths/../a",
            "azureml://datastores/store/paths/a/%2e%2e/b",
            "azureml://datastores/store/paths//a",
            "azureml://datastores/store/paths/a\\b",
            "azureml://models/m/paths/a",
            "azureml://jobs/job1/outputs/paths/a",
            "azureml://jobs/../outputs/artifacts/paths/a",
            "azureml://subscriptions/6f9619ff-8b86-d011-b42d-00c04fc964ff/resourcegroups/rg/workspaces/ws2/datastores/store/paths/a",
            "azureml://subscriptions/6f9619ff-8b86-d011-b42d-00c04fc964fe/resourcegroups/rg/workspaces/ws1/datastores/store/paths/a",
            "azureml://subscriptions/x",
            "runs:/",
            "file:///etc/passwd",
            "https://example.org/a",
            "/etc/passwd",
            &format!("azureml://datastores/store/paths/{}", "a".repeat(LONGEST)),
        ] {
            assert!(parsed(bad, DataKind::UriFolder).is_err(), "{bad}");
        }
        for bad in ["azureml://datastores/store/paths/", "azureml://datastores/store/paths/a/", "runs:/job1"] {
            assert!(parsed(bad, DataKind::UriFile).is_err(), "{bad}");
        }
    }
}
