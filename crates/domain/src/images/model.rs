//! Registered models as resources of the workspace. There is one registry: these are the models and versions that MLflow's
//! clients see.

use std::{cmp::Reverse, collections::BTreeMap};

use async_trait::async_trait;
use kernel::{Action, Error, Kind, ResourceId, Result, RunId};

use super::name::check_model_name;
use crate::{
    gate::{Admission, Changes, Cx, Happening, Op, Row, Shelf},
    resources::workspace_shelf,
    tracking::{
        ModelSource, ModelVersion, NewModelVersion, RegisteredModel, Seen,
        action::{READ_MODELS, WRITE_MODELS},
        add_model_version, model_files,
    },
};

/// How often contenders for a number try again.
const ATTEMPTS: usize = 8;

/// A registered model with the numbers of its versions.
#[derive(Clone, Debug)]
pub struct ModelContainer {
    /// Canonical id.
    pub id: ResourceId,
    /// The model.
    pub model: RegisteredModel,
    /// Its newest version, if any is left.
    pub latest: Option<u64>,
}

/// A version with the model it belongs to.
#[derive(Clone, Debug)]
pub struct VersionedModel {
    /// Canonical id.
    pub id: ResourceId,
    /// The version.
    pub version: ModelVersion,
    /// Whether its files are a model in MLflow's own form; told by their names.
    pub is_mlflow: bool,
}

/// `{workspace}/models/{name}`, from an id that is or lies below it.
pub(super) fn parse_model(id: &ResourceId) -> Result<(ResourceId, String)> {
    let unusable = || Error::not_found(format_args!("the resource `{id}`"));
    let workspace = id.workspace().ok_or_else(unusable)?;
    let mut below = id.segments().skip(workspace.segments().count());
    match (below.next(), below.next()) {
        (Some(word), Some(name)) if word.eq_ignore_ascii_case("models") => {
            let model = workspace.child(["models", name]).map_err(|_| unusable())?;
            Ok((model, name.to_owned()))
        }
        _ => Err(unusable()),
    }
}

/// Name and number of `{workspace}/models/{name}/versions/{v}`.
pub(crate) fn parse_version(id: &ResourceId) -> Result<(String, u64)> {
    let (model, name) = parse_model(id)?;
    let mut below = id.segments().skip(model.segments().count());
    let number = match (below.next(), below.next(), below.next()) {
        (Some(word), Some(number), None) if word.eq_ignore_ascii_case("versions") => number.parse::<u64>().ok(),
        _ => None,
    };
    number
        .filter(|number| *number > 0)
        .map(|number| (name, number))
        .ok_or_else(|| Error::not_found(format_args!("the model version `{id}`")))
}

async fn find_model(cx: &Admission<'_>, shelf: &Shelf, name: &str) -> Result<Row<RegisteredModel>> {
    let row = cx.get::<RegisteredModel>(shelf, &shelf.name_id::<RegisteredModel>(name)).await?;
    row.ok_or_else(|| Error::not_found(format_args!("the model `{}`", name.chars().take(120).collect::<String>())))
}

/// All versions that are left, newest first.
async fn versions_of(cx: &Admission<'_>, shelf: &Shelf, model: &RegisteredModel) -> Result<Vec<ModelVersion>> {
    let rows = cx.all::<ModelVersion>(shelf, model.id.as_bytes()).await?;
    let mut versions: Vec<_> = rows.into_iter().map(|row| row.value).collect();
    versions.sort_by_key(|version| Reverse(version.version));
    Ok(versions)
}

async fn container(
    cx: &Admission<'_>,
    shelf: &Shelf,
    workspace: &ResourceId,
    model: RegisteredModel,
) -> Result<Option<ModelContainer>> {
    // Names that MLflow allows and addresses do not are seen through MLflow only.
    let Ok(id) = workspace.child(["models", &model.name]) else { return Ok(None) };
    let latest = versions_of(cx, shelf, &model).await?.first().map(|version| version.version);
    Ok(Some(ModelContainer { id, model, latest }))
}

async fn versioned(
    cx: &Admission<'_>,
    shelf: &Shelf,
    model: &ResourceId,
    name: &str,
    version: ModelVersion,
) -> Result<VersionedModel> {
    let number = version.version.to_string();
    let id = model.child(["versions", &number]).map_err(|why| Error::invalid("version", why))?;
    let files = model_files(cx, shelf, name, version.version).await?.files;
    let is_mlflow = files.iter().any(|(path, _)| path == "MLmodel");
    Ok(VersionedModel { id, version, is_mlflow })
}

/// All models, by name.
#[derive(Debug)]
pub struct ListModels {
    /// The workspace.
    pub workspace: ResourceId,
}

#[async_trait]
impl Op for ListModels {
    const ACTION: Action = READ_MODELS;
    type Output = Vec<ModelContainer>;

    fn scope(&self) -> ResourceId {
        self.workspace.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let (shelf, workspace) = workspace_shelf(cx, &self.workspace).await?;
        let mut models = Vec::new();
        for row in cx.all::<RegisteredModel>(&shelf, b"").await? {
            models.extend(container(cx, &shelf, &workspace.value.id, row.value).await?);
        }
        models.sort_by(|a, b| a.model.name.cmp(&b.model.name));
        Ok(models)
    }
}

/// One model.
#[derive(Debug)]
pub struct GetModel {
    /// `{workspace}/models/{name}`.
    pub id: ResourceId,
}

#[async_trait]
impl Op for GetModel {
    const ACTION: Action = READ_MODELS;
    type Output = ModelContainer;

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let (_, name) = parse_model(&self.id)?;
        let (shelf, workspace) = workspace_shelf(cx, &self.id).await?;
        let row = find_model(cx, &shelf, &name).await?;
        let found = container(cx, &shelf, &workspace.value.id, row.value).await?;
        found.ok_or_else(|| Error::not_found(format_args!("the resource `{}`", self.id)))
    }
}

/// The versions of a model, newest first. A model that does not exist has none, as clients expect who look for the next
/// number.
#[derive(Debug)]
pub struct ListModelVersions {
    /// `{workspace}/models/{name}`.
    pub model: ResourceId,
    /// At most this many.
    pub most: usize,
}

#[async_trait]
impl Op for ListModelVersions {
    const ACTION: Action = READ_MODELS;
    type Output = Vec<VersionedModel>;

    fn scope(&self) -> ResourceId {
        self.model.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let (model, name) = parse_model(&self.model)?;
        let (shelf, _) = workspace_shelf(cx, &self.model).await?;
        let row = match find_model(cx, &shelf, &name).await {
            Err(fault) if fault.kind() == Kind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let mut found = Vec::new();
        for version in versions_of(cx, &shelf, &row.value).await?.into_iter().take(self.most) {
            found.push(versioned(cx, &shelf, &model, &name, version).await?);
        }
        Ok(found)
    }
}

/// One version.
#[derive(Debug)]
pub struct GetModelVersion {
    /// `{workspace}/models/{name}/versions/{v}`.
    pub id: ResourceId,
}

#[async_trait]
impl Op for GetModelVersion {
    const ACTION: Action = READ_MODELS;
    type Output = VersionedModel;

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let (shelf, _) = workspace_shelf(cx, &self.id).await?;
        show(cx, &shelf, &self.id).await
    }
}

async fn show(cx: &Admission<'_>, shelf: &Shelf, id: &ResourceId) -> Result<VersionedModel> {
    let (model, name) = parse_model(id)?;
    let (_, number) = parse_version(id)?;
    let row = find_model(cx, shelf, &name).await?;
    let versions = versions_of(cx, shelf, &row.value).await?;
    let version = versions.into_iter().find(|version| version.version == number);
    let version = version.ok_or_else(|| Error::not_found(format_args!("the model version `{id}`")))?;
    versioned(cx, shelf, &model, &name, version).await
}

/// Registers a version from the files of a run. The number must be the next one.
#[derive(Debug)]
pub struct PutModelVersion {
    /// `{workspace}/models/{name}/versions/{v}`.
    pub id: ResourceId,
    /// `azureml://jobs/{job}/outputs/artifacts/paths/{path}` or `runs:/{run}/{path}`.
    pub uri: String,
    /// For people.
    pub description: String,
    /// Free labels.
    pub tags: BTreeMap<String, String>,
}

#[async_trait]
impl Op for PutModelVersion {
    const ACTION: Action = WRITE_MODELS;
    type Output = VersionedModel;

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        cx.happened(Happening::ModelRegistered);
        let (name, number) = parse_version(&self.id)?;
        check_model_name(&name)?;
        let (run, path) = parse_uri(&self.uri)?;
        let (shelf, _) = workspace_shelf(cx, &self.id).await?;
        let seen = Seen::default();
        let mut attempt = 0;
        loop {
            attempt += 1;
            let next = match find_model(cx, &shelf, &name).await {
                Ok(row) => row.value.last_version.saturating_add(1),
                Err(fault) if fault.kind() == Kind::NotFound => 1,
                Err(fault) => return Err(fault),
            };
            if number != next {
                let why =
                    format!("versions are numbered in order and never change: the next version of `{name}` is {next}");
                return Err(Error::new(Kind::Conflict, why));
            }
            let mut changes = Changes::new();
            let new = NewModelVersion {
                name: name.clone(),
                source: ModelSource::Run { run: run.clone(), path: path.clone() },
                run: Some(run.clone()),
                description: self.description.clone(),
                tags: self.tags.clone().into_iter().collect(),
            };
            let given = add_model_version(cx, &shelf, &mut changes, new, &seen).await?;
            cx.note("model", format!("{name}:{given}"));
            cx.note("registered", format!("{name}:{given}"));
            cx.note("source", &self.uri);
            match cx.commit(changes).await {
                Err(fault) if fault.kind() == Kind::Stale && attempt < ATTEMPTS => {}
                other => {
                    other?;
                    return show(cx, &shelf, &self.id).await;
                }
            }
        }
    }
}

/// Where a model's files come from.
fn parse_uri(uri: &str) -> Result<(RunId, String)> {
    let unusable = || {
        let why = "use `azureml://jobs/{job}/outputs/artifacts/paths/{path}` or `runs:/{run}/{path}`";
        Error::invalid("properties.modelUri", why)
    };
    let (run, path) = if let Some(rest) = uri.strip_prefix("runs:/") {
        rest.trim_start_matches('/').split_once('/').ok_or_else(unusable)?
    } else {
        let start = uri.strip_prefix("azureml://").and_then(|rest| match rest.strip_prefix("jobs/") {
            Some(below) => Some(below),
            // The long form names the workspace first; which one is decided by the address of the request.
            None => rest.split_once("/jobs/").map(|(_, below)| below),
        });
        let (job, below) = start.and_then(|rest| rest.split_once('/')).ok_or_else(unusable)?;
        (job, below.strip_prefix("outputs/artifacts/paths/").ok_or_else(unusable)?)
    };
    Ok((run.parse().map_err(|_| unusable())?, path.trim_end_matches('/').to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_a_path_of_a_run() {
        let read = |uri: &str| parse_uri(uri).map(|(run, path)| format!("{run}|{path}")).ok();
        assert_eq!(read("runs:/r1/outputs/m"), Some("r1|outputs/m".into()));
        assert_eq!(read("azureml://jobs/r1/outputs/artifacts/paths/outputs/m/"), Some("r1|outputs/m".into()));
        let long = "azureml://subscriptions/s/resourcegroups/g/workspaces/w/jobs/r1/outputs/artifacts/paths/m";
        assert_eq!(read(long), Some("r1|m".into()));
        for bad in [
            "",
            "runs:/r1",
            "https://x/y",
            "azureml://jobs/r1/outputs/default/paths/m",
            "azureml://datastores/a/paths/b",
            "runs:/../m",
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn names_are_taken_from_below_the_workspace() {
        let id = "/subscriptions/s/resourceGroups/g/providers/Microsoft.MachineLearningServices/workspaces/models/models/m/versions/7";
        let id: ResourceId = id.parse().unwrap();
        assert_eq!(parse_version(&id).unwrap(), (String::from("m"), 7));
        let bad: ResourceId = id.as_str().replace("/7", "/0").parse().unwrap();
        assert!(parse_version(&bad).is_err());
    }
}
