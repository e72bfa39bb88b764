//! Registered models and their versions.

use std::collections::BTreeMap;

use kernel::{Error, Kind, Result, RunId, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    ArtifactPath, ModelSource,
    action::{WRITE_ANY_MODEL, WRITE_ANY_RUN},
    artifact::{Artifact, Owner, files_below},
    import, logged_model,
    look::{self, Seen},
    ownership, run, text,
};
use crate::{
    gate::{Admission, BlobRef, Changes, Record, Row, Shelf},
    provenance::{SignedFiles, sign_model},
    resources::workspace_shelf,
};

/// The tag of models and versions that are prompts: all text, no files.
pub(super) const PROMPT_TAG: &str = "mlflow.prompt.is_prompt";
/// Most files of one version.
const MOST_FILES: usize = 10_000;

/// A registered model: a name with numbered versions.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RegisteredModel {
    /// Its own id, which survives renaming and is never reused.
    pub id: Uuid,
    /// Unique in the workspace.
    pub name: String,
    /// For people.
    pub description: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it or one of its versions was changed last.
    pub updated_at: Timestamp,
    /// Display name of whoever made it.
    pub user: String,
    /// Free labels.
    pub tags: BTreeMap<String, String>,
    /// Names that point to versions.
    pub aliases: BTreeMap<String, u64>,
    /// The highest number ever given, deleted versions included.
    pub last_version: u64,
    /// The run whose code made it, if one did.
    pub created_by_run: Option<RunId>,
}

impl RegisteredModel {
    /// Whether its versions are prompts: texts, not models.
    pub(super) fn is_prompt(&self) -> bool {
        self.tags.get(PROMPT_TAG).is_some_and(|value| value.eq_ignore_ascii_case("true"))
    }
}

impl Record for RegisteredModel {
    const TABLE: &'static str = "registered-model";
}

/// One version of a registered model.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ModelVersion {
    /// Its number, from 1.
    pub version: u64,
    /// For people.
    pub description: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
    /// Display name of whoever registered it.
    pub user: String,
    /// Where its files came from, as the client said it (checked).
    pub source: String,
    /// The run that made the files.
    pub run: Option<RunId>,
    /// The logged model it came from.
    pub logged_model: Option<String>,
    /// MLflow's deprecated stage: `None`, `Staging`, `Production` or `Archived`.
    pub stage: String,
    /// A link for people.
    pub run_link: String,
    /// Free labels.
    pub tags: BTreeMap<String, String>,
    /// The run whose code registered it, if one did.
    pub created_by_run: Option<RunId>,
    /// How many files it was registered with; none for a prompt, and for what lies elsewhere.
    pub files: usize,
    /// What it was called where it lies, if that is not here: it has no files.
    #[serde(default)]
    pub elsewhere: Option<String>,
    /// Whether its files were signed when it was registered.
    #[serde(default)]
    pub is_signed: bool,
}

impl Record for ModelVersion {
    const TABLE: &'static str = "model-version";
}

/// A model version to be.
#[derive(Clone, Debug)]
pub struct NewModelVersion {
    /// The registered model's name; made when it is missing.
    pub name: String,
    /// Where its files come from.
    pub source: ModelSource,
    /// The run that made them; inherited from the logged model when none is given.
    pub run: Option<RunId>,
    /// For people.
    pub description: String,
    /// Free labels.
    pub tags: Vec<(String, String)>,
}

/// The files behind a model version.
#[derive(Clone, Debug)]
pub struct ModelFiles {
    /// The registered model's name.
    pub name: String,
    /// The version.
    pub version: u64,
    /// The registered model's id.
    pub id: Uuid,
    /// Where they came from.
    pub source: String,
    /// Whether they were signed when they were registered; those of before there were statements were not.
    pub is_signed: bool,
    /// The run that made them.
    pub run: Option<RunId>,
    /// Relative path and content, sorted by path.
    pub files: Vec<(String, BlobRef)>,
}

pub(super) fn model_row_id(shelf: &Shelf, name: &str) -> Vec<u8> {
    shelf.name_id::<RegisteredModel>(name)
}

pub(super) fn version_row_id(model: Uuid, version: u64) -> Vec<u8> {
    let mut id = model.as_bytes().to_vec();
    id.extend_from_slice(&version.to_be_bytes());
    id
}

pub(super) async fn find_model(cx: &Admission<'_>, shelf: &Shelf, name: &str) -> Result<Row<RegisteredModel>> {
    could_be_name(name)?;
    let row = cx.get::<RegisteredModel>(shelf, &model_row_id(shelf, name)).await?;
    row.ok_or_else(|| Error::new(Kind::NotFound, format!("Registered Model with name={} not found", text::echo(name))))
}

pub(super) async fn find_version(
    cx: &Admission<'_>,
    shelf: &Shelf,
    name: &str,
    version: u64,
) -> Result<(Row<RegisteredModel>, Row<ModelVersion>)> {
    could_be_name(name)?;
    let missing = || {
        let words = format!("Model Version (name={}, version={version}) not found", text::echo(name));
        Error::new(Kind::NotFound, words)
    };
    let Some(model) = cx.get::<RegisteredModel>(shelf, &model_row_id(shelf, name)).await? else {
        return Err(missing());
    };
    let row = cx.get::<ModelVersion>(shelf, &version_row_id(model.value.id, version)).await?;
    Ok((model, row.ok_or_else(missing)?))
}

/// What webhooks are told of a model, or of one of its versions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Shown {
    /// For people.
    pub(crate) description: String,
    /// Free labels.
    pub(crate) tags: BTreeMap<String, String>,
    /// Where a version's files came from.
    pub(crate) source: String,
    /// The run that made them.
    pub(crate) run: Option<RunId>,
}

/// Reads what webhooks are told.
///
/// # Errors
/// `NotFound` for an unknown model or version.
pub(crate) async fn registry_shown(
    cx: &Admission<'_>,
    shelf: &Shelf,
    name: &str,
    version: Option<u64>,
) -> Result<Shown> {
    let gone = || Error::new(Kind::NotFound, "the registered model is gone");
    let model = cx.get::<RegisteredModel>(shelf, &model_row_id(shelf, name)).await?.ok_or_else(gone)?.value;
    let Some(version) = version else {
        return Ok(Shown { description: model.description, tags: model.tags, ..Shown::default() });
    };
    let found = cx.get::<ModelVersion>(shelf, &version_row_id(model.id, version)).await?.ok_or_else(gone)?.value;
    Ok(Shown { description: found.description, tags: found.tags, source: found.source, run: found.run })
}

/// The files of a registered version, sorted by path.
///
/// # Errors
/// `NotFound` for an unknown model or version.
pub async fn model_files(cx: &Admission<'_>, shelf: &Shelf, name: &str, version: u64) -> Result<ModelFiles> {
    let (model, row) = find_version(cx, shelf, name, version).await?;
    let files = version_files(cx, shelf, model.value.id, version).await?;
    let ModelVersion { source, run, is_signed, .. } = row.value;
    Ok(ModelFiles { name: model.value.name, version, id: model.value.id, source, is_signed, run, files })
}

async fn version_files(cx: &Admission<'_>, shelf: &Shelf, model: Uuid, version: u64) -> Result<Vec<(String, BlobRef)>> {
    let all = ArtifactPath::default();
    Ok(relative(files_below(cx, shelf, &Owner::Version { model, version }, &all).await?, &all))
}

/// Adds a model version to `changes` and says its number: one more than the highest ever given. Makes the registered model
/// when it is missing. Two at once contend for the number: a commit that is `Stale` is to be built anew, with the same `seen`.
///
/// # Errors
/// `Invalid` for names, tags and paths out of bounds and for a source without files, `NotFound` for an unknown source.
pub async fn add_model_version(
    cx: &Admission<'_>,
    shelf: &Shelf,
    changes: &mut Changes,
    new: NewModelVersion,
    seen: &Seen,
) -> Result<u64> {
    check_model_name(&new.name)?;
    let id = model_row_id(shelf, &new.name);
    let model = match cx.get::<RegisteredModel>(shelf, &id).await? {
        Some(row) => row,
        None => Row::new(id, new_model(cx, &new.name)),
    };
    Ok(add_seen_version(cx, shelf, changes, model, (new, Claims::default()), seen).await?.version)
}

/// The address under which clients read a version's files; what it was called, if they are not here.
pub(super) fn artifact_uri(model: &RegisteredModel, version: &ModelVersion) -> String {
    let here = || format!("mlflow-artifacts:/registry/{}/{}/artifacts", model.id, version.version);
    version.elsewhere.clone().unwrap_or_else(here)
}

/// What a client says about a version beside what is checked.
#[derive(Clone, Debug, Default)]
pub(super) struct Claims {
    pub(super) source: Option<String>,
    pub(super) run_link: String,
    pub(super) taken_over: Option<TakenOver>,
}

/// What a version was where it was taken over from.
#[derive(Clone, Debug)]
pub(super) struct TakenOver {
    pub(super) number: u64,
    pub(super) user: String,
    pub(super) created_at: Timestamp,
    pub(super) updated_at: Timestamp,
    pub(super) stage: &'static str,
}

pub(super) async fn add_version(
    cx: &Admission<'_>,
    shelf: &Shelf,
    changes: &mut Changes,
    model: Row<RegisteredModel>,
    new: NewModelVersion,
    claims: Claims,
) -> Result<ModelVersion> {
    add_seen_version(cx, shelf, changes, model, (new, claims), &Seen::default()).await
}

/// Looks at what a version would hold, so that nobody waits for that in a queue.
pub(super) async fn look_ahead(cx: &Admission<'_>, shelf: &Shelf, source: &ModelSource, seen: &Seen) -> Result<()> {
    let gathered = gather(cx, shelf, source).await?;
    let (_, workspace) = workspace_shelf(cx, cx.scope()).await?;
    // What is to be kept is put into the changes of the attempt.
    let mut changes = Changes::new();
    look::look(cx, shelf, &workspace.value.properties, &gathered.files, seen, &mut changes).await?;
    Ok(())
}

/// The same as `add_version`, for whoever looked at files before.
pub(super) async fn add_seen_version(
    cx: &Admission<'_>,
    shelf: &Shelf,
    changes: &mut Changes,
    mut model: Row<RegisteredModel>,
    (new, claims): (NewModelVersion, Claims),
    seen: &Seen,
) -> Result<ModelVersion> {
    let mut tags: BTreeMap<String, String> = new.tags.into_iter().collect();
    // What the server says of a version's files, nobody else says; a version that is copied is looked at anew.
    tags.retain(|key, _| !is_of_server(key) || (claims.taken_over.is_some() && import::is_of_import(key)));
    check_tags(&tags)?;
    text::check_length("description", &new.description, 100_000)?;
    text::check_length("run_link", &claims.run_link, 500)?;
    let gathered = gather(cx, shelf, &new.source).await?;
    // MLflow's clients keep versions of what lies elsewhere; whoever asks in another way wants the files.
    let may_lack_files = gathered.elsewhere.is_some() && claims.source.is_some();
    let source = claims.source.unwrap_or(gathered.source);
    // A version is what it was registered with, for good: one that waited for its files would be whatever came.
    if gathered.files.is_empty() && !may_lack_files && !matches!(new.source, ModelSource::Nothing) {
        let why = "there are no files; log the model's files first, or name the logged model that has them";
        return Err(text::bad("source", &source, why));
    }
    let (_, workspace) = workspace_shelf(cx, cx.scope()).await?;
    tags.extend(look::look(cx, shelf, &workspace.value.properties, &gathered.files, seen, changes).await?);
    let version = match &claims.taken_over {
        Some(there) => there.number,
        None => {
            // Its numbers are given here from now on: one that was given comes from nowhere else.
            model.value.tags.remove(import::SOURCE_TAG);
            model.value.last_version.saturating_add(1)
        }
    };
    if cx.get::<ModelVersion>(shelf, &version_row_id(model.value.id, version)).await?.is_some() {
        return Err(Error::new(Kind::Exists, format!("the version {version} already exists")));
    }
    let owner = Owner::Version { model: model.value.id, version };
    for (path, blob) in &gathered.files {
        let path = ArtifactPath::parse(path)?;
        let file = Artifact { path: path.clone(), blob: blob.clone() };
        changes.put(shelf, &Row::new(owner.row_id(shelf, &path), file))?;
    }
    let mut row = ModelVersion {
        version,
        description: new.description,
        created_at: cx.now(),
        updated_at: cx.now(),
        user: ownership::caller_name(cx),
        source,
        run: new.run.or(gathered.run),
        logged_model: gathered.logged_model,
        stage: String::from("None"),
        run_link: claims.run_link,
        tags,
        created_by_run: ownership::own_run(cx),
        files: gathered.files.len(),
        elsewhere: gathered.elsewhere,
        is_signed: !gathered.files.is_empty(),
    };
    if let Some(there) = claims.taken_over {
        (row.user, row.created_at, row.updated_at) = (there.user, there.created_at, there.updated_at);
        row.stage = there.stage.to_owned();
    }
    if row.is_signed {
        let new = SignedFiles {
            model: (model.value.id, &model.value.name),
            version,
            source: &row.source,
            run: row.run.as_ref(),
            files: &gathered.files,
        };
        sign_model(cx, shelf, changes, &new).await?;
    }
    changes.put(shelf, &Row::new(version_row_id(model.value.id, version), row.clone()))?;
    model.value.last_version = model.value.last_version.max(version);
    model.value.updated_at = cx.now();
    changes.put(shelf, &model)?;
    Ok(row)
}

/// What a source comes to.
#[derive(Default)]
struct Gathered {
    files: Vec<(String, BlobRef)>,
    source: String,
    run: Option<RunId>,
    logged_model: Option<String>,
    elsewhere: Option<String>,
}

/// Reads the source, which a run's own code must have made.
async fn gather(cx: &Admission<'_>, shelf: &Shelf, source: &ModelSource) -> Result<Gathered> {
    let mut gathered = Gathered::default();
    match source {
        ModelSource::Nothing => ownership::of_people(cx, &WRITE_ANY_MODEL).await?,
        ModelSource::Files(files) => {
            ownership::of_people(cx, &WRITE_ANY_MODEL).await?;
            gathered.files.clone_from(files);
            gathered.files.sort_by(|a, b| a.0.cmp(&b.0));
            if gathered.files.windows(2).any(|pair| matches!(pair, [a, b] if a.0 == b.0)) {
                return Err(Error::invalid("files", "a path is named twice"));
            }
        }
        ModelSource::Run { run, path } => {
            gathered.source = format!("runs:/{run}/{path}");
            let found = match run::find(cx, shelf, run).await {
                Ok(found) => found,
                // A run of another place: a person may register what it was called, and it has no files here.
                Err(fault) if fault.kind() == Kind::NotFound => {
                    ownership::of_people(cx, &WRITE_ANY_MODEL).await?;
                    gathered.elsewhere = Some(gathered.source.clone());
                    return Ok(gathered);
                }
                Err(fault) => return Err(fault),
            };
            ownership::of_run(cx, &found.value, &WRITE_ANY_RUN).await?;
            let (owner, path) = (Owner::Run(run.clone()), ArtifactPath::parse(path)?);
            gathered.files = relative(files_below(cx, shelf, &owner, &path).await?, &path);
            gathered.run = Some(run.clone());
        }
        ModelSource::LoggedModel(id) => {
            let model = logged_model::find(cx, shelf, id).await?.value;
            ownership::of_logged_model(cx, &model, &WRITE_ANY_MODEL).await?;
            let owner = Owner::LoggedModel(id.clone());
            let all = ArtifactPath::default();
            gathered.files = relative(files_below(cx, shelf, &owner, &all).await?, &all);
            gathered.source = format!("models:/{id}");
            gathered.run = model.source_run;
            gathered.logged_model = Some(id.clone());
        }
        ModelSource::Version { name, version } => {
            if find_model(cx, shelf, name).await?.value.is_prompt() {
                let source = text::quoted(&format!("models:/{name}/{version}"));
                let words = "Prompt versions cannot be used as model version sources.";
                return Err(Error::new(Kind::Invalid, format!("Invalid model version source: {source}. {words}")));
            }
            let (model, row) = find_version(cx, shelf, name, *version).await?;
            ownership::of_version(cx, &row.value).await?;
            gathered.files = version_files(cx, shelf, model.value.id, *version).await?;
            gathered.source = format!("models:/{name}/{version}");
            gathered.run = row.value.run;
            gathered.logged_model = row.value.logged_model;
            gathered.elsewhere = row.value.elsewhere;
        }
    }
    if gathered.files.len() > MOST_FILES {
        return Err(Error::new(Kind::TooLarge, format!("a model version holds at most {MOST_FILES} files")));
    }
    Ok(gathered)
}

/// Paths below a directory; a file that is the path itself keeps its own name.
fn relative(files: Vec<Artifact>, directory: &ArtifactPath) -> Vec<(String, BlobRef)> {
    let name = |file: &Artifact| match file.path.below(directory) {
        Some(rest) => rest.to_owned(),
        None => file.path.name().to_owned(),
    };
    files.into_iter().map(|file| (name(&file), file.blob)).collect()
}

pub(super) fn new_model(cx: &Admission<'_>, name: &str) -> RegisteredModel {
    RegisteredModel {
        id: Uuid::new_v4(),
        name: name.to_owned(),
        description: String::new(),
        created_at: cx.now(),
        updated_at: cx.now(),
        user: ownership::caller_name(cx),
        tags: BTreeMap::new(),
        aliases: BTreeMap::new(),
        last_version: 0,
        created_by_run: ownership::own_run(cx),
    }
}

/// Refuses a new name that would be a part of an address or of a file's name.
pub(super) fn check_model_name(name: &str) -> Result<()> {
    could_be_name(name)?;
    text::check("name", name, 1..=256)?;
    if name.contains(['\\', '#', '%']) || name.chars().all(|c| c == '.') {
        return Err(text::bad("name", name, "Registered model name cannot contain '\\', '#' or '%'"));
    }
    Ok(())
}

/// Refuses what no model can be called, with the protocol's words.
pub(super) fn could_be_name(name: &str) -> Result<()> {
    if name.trim().is_empty() {
        return Err(Error::new(Kind::Invalid, "Missing value for required parameter 'name'."));
    }
    if name.contains(['/', ':']) {
        let name = text::quoted(name);
        return Err(Error::new(Kind::Invalid, format!("Invalid model name {name}. Names cannot contain '/' or ':'.")));
    }
    text::check_path("name", name)
}

/// Whether a version's tag says what the server found, or from where it was taken over.
pub(super) fn is_of_server(key: &str) -> bool {
    key.starts_with(look::TAG) || import::is_of_import(key)
}

pub(super) fn check_tags(tags: &BTreeMap<String, String>) -> Result<()> {
    for (key, value) in tags {
        text::check_key("key", key)?;
        text::check_length("value", value, 100_000)?;
    }
    Ok(())
}
