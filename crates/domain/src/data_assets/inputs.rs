//! The named inputs of a run: kept with it, found again by its agent, and opened file by file.

use kernel::{Error, Kind, ResourceId, Result, RunId, Timestamp};
use serde::{Deserialize, Serialize};

use super::{
    DataUse,
    resolve::{Given, InputFile, RunInput, Source, require_identity},
    used::note_use,
};
use crate::{
    gate::{Admission, ByteStream, Changes, Range, Record, Row, Shelf},
    resources::workspace_shelf,
    storage::{ContainerName, account_at, open_state},
    tracking::{DatasetInput, begin_links},
};

/// Files in one row.
const PAGE: usize = 100;
/// Characters of a digest that MLflow's clients take.
const SHOWN_DIGEST: usize = 32;

/// What a run was given. The row id is a hash of the run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct RunInputs {
    pub(crate) inputs: Vec<RunInput>,
}

impl Record for RunInputs {
    const TABLE: &'static str = "run-inputs";
}

/// A hundred files of an input. The row id is a hash of run and input, and the number of the page.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct InputPage {
    files: Vec<InputFile>,
}

impl Record for InputPage {
    const TABLE: &'static str = "run-input-files";
}

fn page_prefix(shelf: &Shelf, run: &RunId, input: &str) -> Vec<u8> {
    shelf.name_id::<InputPage>(&format!("{run}|{input}"))
}

fn page_id(shelf: &Shelf, run: &RunId, input: &str, page: usize) -> Vec<u8> {
    let mut id = page_prefix(shelf, run, input);
    id.extend(u32::try_from(page).unwrap_or(u32::MAX).to_be_bytes());
    id
}

/// Keeps the inputs of a new run with the commit that makes it: for its agent, in its lineage, and in that of the data.
pub(crate) fn record_inputs(
    shelf: &Shelf,
    changes: &mut Changes,
    (experiment, run): (&str, &RunId),
    given: &[Given],
    at: Timestamp,
) -> Result<()> {
    if given.is_empty() {
        return Ok(());
    }
    for Given { input, files } in given {
        for (number, page) in files.chunks(PAGE).enumerate() {
            let row = Row::new(page_id(shelf, run, &input.name, number), InputPage { files: page.to_vec() });
            changes.put(shelf, &row)?;
        }
        let (run, name, digest) = (run.clone(), input.name.clone(), input.digest.clone());
        note_use(shelf, input.guid, DataUse { run, input: name, digest, at }, changes)?;
    }
    let inputs: Vec<RunInput> = given.iter().map(|one| one.input.clone()).collect();
    begin_links(shelf, changes, (experiment, run), inputs.iter().map(dataset).collect())?;
    changes.put(shelf, &Row::new(shelf.name_id::<RunInputs>(run.as_str()), RunInputs { inputs }))?;
    Ok(())
}

/// An input as MLflow's clients see it among the data sets of a run.
fn dataset(input: &RunInput) -> DatasetInput {
    let (name, version) = (input.asset.parent().name().to_owned(), input.asset.name().to_owned());
    DatasetInput {
        name,
        digest: input.digest.chars().take(SHOWN_DIGEST).collect(),
        source_type: String::from("azureml"),
        source: serde_json::json!({"asset": input.asset, "uri": input.uri, "version": version}).to_string(),
        schema: None,
        profile: None,
        tags: vec![
            (String::from("mlflow.data.context"), input.name.clone()),
            (String::from("azureml.dataVersion"), version),
        ],
    }
}

/// The inputs of a run, each with its files.
pub(crate) async fn inputs_of(
    cx: &Admission<'_>,
    shelf: &Shelf,
    run: &RunId,
) -> Result<Vec<(RunInput, Vec<InputFile>)>> {
    let Some(row) = cx.get::<RunInputs>(shelf, &shelf.name_id::<RunInputs>(run.as_str())).await? else {
        return Ok(Vec::new());
    };
    let mut found = Vec::with_capacity(row.value.inputs.len());
    for input in row.value.inputs {
        let pages = cx.all::<InputPage>(shelf, &page_prefix(shelf, run, &input.name)).await?;
        found.push((input, pages.into_iter().flat_map(|row| row.value.files).collect()));
    }
    Ok(found)
}

/// Opens a file of an input by its place among the input's files. Gives its bytes and how many there are.
///
/// # Errors
/// `NotFound` for what the run was not given; `Conflict` when the file is not what it was when the job was submitted.
pub(crate) async fn open_input(
    cx: &Admission<'_>,
    (shelf, workspace): (&Shelf, &ResourceId),
    run: &RunId,
    (name, index): (&str, usize),
) -> Result<(ByteStream, u64)> {
    let missing = || Error::not_found("the file");
    let row = cx.get::<RunInputs>(shelf, &shelf.name_id::<RunInputs>(run.as_str())).await?.ok_or_else(missing)?;
    let input = row.value.inputs.into_iter().find(|input| input.name == name).ok_or_else(missing)?;
    let (page, place) = (index.checked_div(PAGE).unwrap_or(0), index.checked_rem(PAGE).unwrap_or(0));
    let page = cx.get::<InputPage>(shelf, &page_id(shelf, run, name, page)).await?.ok_or_else(missing)?;
    let file = page.value.files.into_iter().nth(place).ok_or_else(missing)?;
    let bytes = match (&file.source, &input.container) {
        (Source::Artifact(blob), _) => {
            let changed = |fault: Error| match fault.kind() {
                Kind::NotFound => Error::new(Kind::Conflict, "a file was replaced since the job was submitted"),
                _ => fault,
            };
            cx.open_blob(shelf, blob, Range::ALL).await.map_err(changed)?
        }
        (Source::Blob(state), Some((account, container))) => {
            let container = ContainerName::parse(container)?;
            let account = account_at(cx.house(), account).await?;
            let (_, workspace) = workspace_shelf(cx, workspace).await?;
            require_identity(cx, &workspace.value, &account, &container)?;
            open_state(cx, &account, &container, state).await?
        }
        (Source::Blob(_), None) => return Err(Error::internal("an input of blobs without a container")),
    };
    Ok((bytes, file.length))
}
