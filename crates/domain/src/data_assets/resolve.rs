//! From the named inputs of a job to versions of data assets, and from there to files: who may read them, which they are, in which
//! state.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use kernel::{Error, Kind, ResourceId, Result};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    DataKind, DataPlace,
    container::{READ, check_name, look},
    version::DataVersion,
};
use crate::{
    gate::{Admission, BlobRef, Op, Row, Shelf},
    resources::{Datastore, DatastoreKind, ListDatastoreSecrets, Resource, Workspace, row_id},
    storage::{self, BlobState, ContainerName, account_at, blobs_at},
    tracking::{ArtifactPath, action::READ_ARTIFACTS, files_of_run},
};

/// Most inputs of one job (requirement M-11).
pub(crate) const MOST_INPUTS: usize = 200;
/// Most files of all inputs of one job.
const MOST_FILES: usize = 10_000;
/// Inputs that the record of a submission names; the run names all.
const MOST_NOTED: usize = 20;
/// Where the program finds them.
const INSIDE: &str = "/inputs";

/// What a client says of a named input that is data.
#[derive(Clone, Debug)]
pub struct InputWanted {
    /// Which version: `azureml:NAME:VERSION`, `azureml:NAME@latest`, or its resource id.
    pub asset: String,
    /// What it must be, if the client says so.
    pub kind: Option<DataKind>,
}

/// A named input, as far as it is known once a job is submitted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunInput {
    /// Its name.
    pub name: String,
    /// The version.
    pub asset: ResourceId,
    /// The version's GUID.
    pub guid: Uuid,
    /// What it is.
    pub kind: DataKind,
    /// Where it lies.
    pub uri: String,
    /// Where the program finds it: the file, or the folder.
    pub inside: String,
    /// A digest of paths, lengths and states of all files: SHA-256, lower-case hex.
    pub digest: String,
    /// How many files.
    pub files: u64,
    /// How many bytes.
    pub bytes: u64,
    /// The storage account and container that its blobs lie in.
    pub(super) container: Option<(ResourceId, String)>,
}

/// A file of an input.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct InputFile {
    /// Below the input's directory.
    pub(crate) path: String,
    /// Bytes.
    pub(crate) length: u64,
    pub(super) source: Source,
}

/// What a file is read from.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Source {
    /// A blob of the container.
    Blob(BlobState),
    /// A file of a run.
    Artifact(BlobRef),
}

/// An input with its files.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub(crate) input: RunInput,
    pub(super) files: Vec<InputFile>,
}

/// Finds what the inputs of a job are. The caller must be allowed to read each version and what it points to: blobs through their
/// datastore, files of runs as such.
///
/// # Errors
/// `Invalid`, naming the input, for what is not there or does not fit; `Denied`; `TooLarge` beyond 10,000 files; `Unsupported` for
/// datastores that are not on this server.
pub(crate) async fn resolve(
    cx: &Admission<'_>,
    shelf: &Shelf,
    workspace: &Resource<Workspace>,
    wanted: &BTreeMap<String, InputWanted>,
    scratch_mib: u64,
) -> Result<Vec<Given>> {
    if wanted.is_empty() {
        return Ok(Vec::new());
    }
    let mut found = Vec::with_capacity(wanted.len());
    let (mut left, mut bytes) = (MOST_FILES, 0_u64);
    for (name, wanted) in wanted {
        let given = one(cx, shelf, workspace, name, wanted, left).await?;
        left = left.saturating_sub(given.files.len());
        bytes = bytes.saturating_add(given.input.bytes);
        found.push(given);
    }
    cx.note("inputs", noted(&found));
    // They lie in the scratch, beside what the program writes.
    if bytes > scratch_mib.saturating_mul(1 << 20) {
        let why = format!(
            "the inputs have {bytes} bytes and the scratch {scratch_mib} MiB; ask for more with `properties.resources.scratchMiB`"
        );
        return Err(Error::invalid("properties.inputs", why));
    }
    Ok(found)
}

/// The inputs as the record names them; of many, the first.
fn noted(found: &[Given]) -> String {
    let name =
        |one: &Given| format!("{}={}:{}", one.input.name, one.input.asset.parent().name(), one.input.asset.name());
    found.iter().take(MOST_NOTED).map(name).collect::<Vec<_>>().join(" ")
}

async fn one(
    cx: &Admission<'_>,
    shelf: &Shelf,
    workspace: &Resource<Workspace>,
    name: &str,
    wanted: &InputWanted,
    most: usize,
) -> Result<Given> {
    let field = format!("properties.inputs.{name}");
    let row = version(cx, shelf, &workspace.id, &field, wanted).await?;
    let version = &row.value.properties;
    if wanted.kind.is_some_and(|kind| kind != version.kind) {
        return Err(Error::invalid(field, format_args!("the version is `{}`, so say that", version.kind.word())));
    }
    let (container, found) = match &version.place {
        DataPlace::Datastore { name: datastore, path } => {
            let (account, container) = place_of(cx, shelf, workspace, &field, datastore).await?;
            let account_id = account.id.clone();
            let states = blobs_at(cx, &account, &container, path.as_str(), most).await;
            let states = states.map_err(|fault| within(&field, fault))?;
            let files = states.into_iter().map(|state| (state.name.clone(), state.length, Source::Blob(state)));
            (Some((account_id, container.as_str().to_owned())), files.collect::<Vec<_>>())
        }
        DataPlace::Run { run, path } => {
            cx.require(&READ_ARTIFACTS, &workspace.id).await?;
            let files = files_of_run(cx, shelf, run, path).await.map_err(|fault| within(&field, fault))?;
            if files.len() > most {
                let why = format!("`{field}`: all inputs of a job have at most {MOST_FILES} files");
                return Err(Error::new(Kind::TooLarge, why));
            }
            let files =
                files.into_iter().map(|file| (file.path.to_string(), file.blob.length, Source::Artifact(file.blob)));
            (None, files.collect())
        }
    };
    let files = laid_out(&field, version.kind, version.place.path(), found)?;
    let inside = match files.as_slice() {
        [file] if version.kind == DataKind::UriFile => format!("{INSIDE}/{name}/{}", file.path),
        _ => format!("{INSIDE}/{name}"),
    };
    let bytes = files.iter().fold(0_u64, |sum, file| sum.saturating_add(file.length));
    let input = RunInput {
        name: name.to_owned(),
        asset: row.value.id.clone(),
        guid: row.value.guid,
        kind: version.kind,
        uri: version.uri.clone(),
        inside,
        digest: digest_of(&files),
        files: u64::try_from(files.len()).unwrap_or(u64::MAX),
        bytes,
        container,
    };
    Ok(Given { input, files })
}

/// The fault of a place, with the input that it is about; what is not there is the client's fault.
fn within(field: &str, fault: Error) -> Error {
    match fault.kind() {
        Kind::NotFound => Error::invalid(field, format_args!("nothing lies there: {}", fault.public())),
        Kind::TooLarge => Error::new(Kind::TooLarge, format!("`{field}`: {}", fault.public())),
        _ => fault,
    }
}

/// The version that an input names.
async fn version(
    cx: &Admission<'_>,
    shelf: &Shelf,
    workspace: &ResourceId,
    field: &str,
    wanted: &InputWanted,
) -> Result<Row<Resource<DataVersion>>> {
    let missing = |what: &str| Error::invalid(field, format_args!("there is no data asset `{what}` in this workspace"));
    let (name, version) = named(field, workspace, &wanted.asset)?;
    let above = workspace.child(["data", name.as_str()]).map_err(|_| missing(&name))?;
    cx.require(&READ, &above).await?;
    let container = look(cx, shelf, &above).await?.ok_or_else(|| missing(&name))?;
    let version = match version {
        Some(version) => version,
        None => container.value.properties.latest.ok_or_else(|| missing(&format!("{name}@latest")))?,
    };
    let shown = format!("{name}:{version}");
    let id = above.child(["versions", version.as_str()]).map_err(|_| missing(&shown))?;
    let row = cx.get::<Resource<DataVersion>>(shelf, &row_id::<DataVersion>(shelf, &id)).await?;
    row.ok_or_else(|| missing(&shown))
}

/// Name and version of an asset; no version for the latest one.
fn named(field: &str, workspace: &ResourceId, asset: &str) -> Result<(String, Option<String>)> {
    let bad = || Error::invalid(field, "name data as `azureml:NAME:VERSION` or `azureml:NAME@latest`");
    let (name, version) = if let Some(rest) = asset.strip_prefix("azureml:").filter(|rest| !rest.starts_with('/')) {
        match (rest.split_once(':'), rest.split_once('@')) {
            (Some((name, version)), _) => (name.to_owned(), Some(version.to_owned())),
            (None, Some((name, "latest"))) => (name.to_owned(), None),
            _ => return Err(bad()),
        }
    } else {
        let id: ResourceId = asset.strip_prefix("azureml:").unwrap_or(asset).parse().map_err(|_| bad())?;
        let (above, version) = (id.parent(), id.name());
        if workspace.child(["data", above.name(), "versions", version]).ok().as_ref() != Some(&id) {
            return Err(bad());
        }
        (above.name().to_owned(), Some(version.to_owned()))
    };
    check_name(field, &name)?;
    if let Some(version) = &version {
        check_name(field, version)?;
    }
    Ok((name, version))
}

/// The account and container behind a datastore, for whoever may use it.
async fn place_of(
    cx: &Admission<'_>,
    shelf: &Shelf,
    workspace: &Resource<Workspace>,
    field: &str,
    name: &str,
) -> Result<(Arc<storage::Account>, ContainerName)> {
    let gone = || Error::invalid(field, format_args!("the datastore `{name}` is not there any more"));
    let id = workspace.id.child(["datastores", name]).map_err(|_| gone())?;
    let row = cx.get::<Resource<Datastore>>(shelf, &row_id::<Datastore>(shelf, &id)).await?;
    let datastore = row.ok_or_else(gone)?.value.properties;
    cx.require(&<ListDatastoreSecrets as Op>::ACTION, &id).await?;
    storage::require_factors(cx, false)?;
    let account = &workspace.properties.storage_account;
    let is_own = datastore.account == account.name() && !datastore.has_key;
    if !is_own || datastore.kind != DatastoreKind::AzureBlob {
        let why = format!(
            "`{field}`: only blobs of the workspace's own storage account can be inputs; the datastore `{name}` is elsewhere or has a key of its own"
        );
        return Err(Error::new(Kind::Unsupported, why));
    }
    let container = ContainerName::parse(&datastore.container)?;
    let account = account_at(cx.house(), account).await?;
    require_identity(cx, workspace, &account, &container)?;
    Ok((account, container))
}

/// Jobs read in the name of the workspace's identity: without its role, nothing is read.
pub(super) fn require_identity(
    cx: &Admission<'_>,
    workspace: &Resource<Workspace>,
    account: &storage::Account,
    container: &ContainerName,
) -> Result<()> {
    if cx.house().access().allows(workspace.properties.identity, &storage::READ, &account.container(container)) {
        return Ok(());
    }
    let why = "the workspace's identity may not read its storage account; `bartizan workspace sync-keys` gives its roles back";
    Err(Error::new(Kind::Conflict, why))
}

/// The files of an input, each with its path below the input's directory.
fn laid_out(
    field: &str,
    kind: DataKind,
    place: &ArtifactPath,
    found: Vec<(String, u64, Source)>,
) -> Result<Vec<InputFile>> {
    let is_file = kind == DataKind::UriFile;
    let mut files = Vec::with_capacity(found.len());
    for (name, length, source) in found {
        let is_itself = name == place.as_str();
        // Tools mark directories with empty blobs; a folder's own name may be one too.
        let is_marker = length == 0 && (name.ends_with('/') || is_itself);
        if is_itself != is_file || (is_marker && !is_file) {
            continue;
        }
        let strange = || Error::invalid(field, "a name there is no plain path, so that it cannot become a file");
        let path = ArtifactPath::parse(&name).map_err(|_| strange())?;
        let path = if is_file { path.name() } else { path.below(place).unwrap_or_default() };
        if path.is_empty() {
            return Err(strange());
        }
        files.push(InputFile { path: path.to_owned(), length, source });
    }
    if files.is_empty() {
        return Err(Error::invalid(field, format_args!("nothing lies at `{place}`")));
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    let known: BTreeSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
    let is_above =
        |path: &str| path.match_indices('/').any(|(at, _)| path.get(..at).is_some_and(|up| known.contains(up)));
    match known.iter().find(|path| is_above(path)) {
        None => Ok(files),
        Some(_) => {
            Err(Error::invalid(field, "a name there is both a file and a folder, so that it cannot be laid out"))
        }
    }
}

/// Says which files in which state: the same data has the same digest.
fn digest_of(files: &[InputFile]) -> String {
    let line = |InputFile { path, length, source }: &InputFile| {
        let state = match source {
            Source::Blob(state) => format!("{:x}", state.etag),
            Source::Artifact(blob) => blob.sha256.clone(),
        };
        format!("{path}\0{length}\0{state}\n")
    };
    let lines: Vec<String> = files.iter().map(line).collect();
    seal::sha256_hex(lines.concat().as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blob(name: &str, length: u64) -> (String, u64, Source) {
        (name.to_owned(), length, Source::Blob(BlobState { name: name.to_owned(), length, etag: 7 }))
    }

    fn paths(kind: DataKind, place: &str, found: &[(&str, u64)]) -> Result<Vec<String>> {
        let found = found.iter().map(|(name, length)| blob(name, *length)).collect();
        let files = laid_out("x", kind, &ArtifactPath::parse(place).unwrap(), found)?;
        Ok(files.into_iter().map(|file| file.path).collect())
    }

    #[test]
    fn files_lie_below_their_input_and_markers_of_folders_do_not() {
        let found = [("a/b/c.csv", 3), ("a/", 0), ("a", 0), ("a/d.csv", 0)];
        assert_eq!(paths(DataKind::UriFolder, "a", &found).unwrap(), ["b/c.csv", "d.csv"]);
        assert_eq!(paths(DataKind::UriFolder, "", &[("x", 1), ("y/z", 1)]).unwrap(), ["x", "y/z"]);
        assert_eq!(paths(DataKind::UriFile, "a/d.csv", &[("a/d.csv", 0)]).unwrap(), ["d.csv"]);
        assert!(paths(DataKind::UriFile, "a", &[("a/b", 1)]).is_err(), "a folder is no file");
        assert!(paths(DataKind::UriFolder, "a", &[]).is_err());
        for bad in ["a/b\\c", "a//b", "a/%2e%2e/b", "a/b/"] {
            assert!(paths(DataKind::UriFolder, "a", &[(bad, 1)]).is_err(), "{bad}");
        }
        assert!(paths(DataKind::UriFolder, "a", &[("a/b", 1), ("a/b/c", 1)]).is_err(), "a file and a folder at once");
    }

    #[test]
    fn an_input_names_an_asset_of_its_workspace() {
        let here: ResourceId = "/subscriptions/6f9619ff-8b86-d011-b42d-00c04fc964ff/resourceGroups/rg/providers/Microsoft.MachineLearningServices/workspaces/ws1".parse().unwrap();
        let name = |text: &str| named("x", &here, text);
        let one = (String::from("taxi"), Some(String::from("1")));
        assert_eq!(name("azureml:taxi:1").unwrap(), one);
        assert_eq!(name(&format!("{here}/data/taxi/versions/1")).unwrap(), one);
        assert_eq!(name(&format!("azureml:{here}/data/taxi/versions/1")).unwrap(), one);
        assert_eq!(name("azureml:taxi@latest").unwrap(), (String::from("taxi"), None));
        let other = format!("{here}2/data/taxi/versions/1");
        for bad in [
            "",
            "taxi:1",
            "azureml:taxi",
            "azureml:taxi@old",
            "azureml:../x:1",
            "azureml:taxi:1/2",
            "azureml:taxi:",
            &other,
        ] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }
}
