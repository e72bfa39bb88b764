//! The statement about a model version: which files, from which run, of which snapshot.

use kernel::{Error, Kind, Result, RunId};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    keys,
    statement::{Definition, Named, OF_MODEL, Statement, Words, digest, files_digest},
};
use crate::{
    compute::snapshot_of_run,
    gate::{Admission, BlobRef, Changes, Record, Row, Shelf},
    tracking::{ModelFiles, model_files},
};

/// The envelope of a model version; its row's id is the model's id and the number.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct ModelStatement {
    pub(super) envelope: String,
}

impl Record for ModelStatement {
    const TABLE: &'static str = "model-statement";
}

pub(super) fn row_id(model: Uuid, version: u64) -> Vec<u8> {
    let mut id = model.as_bytes().to_vec();
    id.extend_from_slice(&version.to_be_bytes());
    id
}

/// A version that is to be signed.
pub(crate) struct SignedFiles<'a> {
    /// The registered model's id and name.
    pub(crate) model: (Uuid, &'a str),
    /// The version.
    pub(crate) version: u64,
    /// Where its files came from.
    pub(crate) source: &'a str,
    /// The run that made them.
    pub(crate) run: Option<&'a RunId>,
    /// They.
    pub(crate) files: &'a [(String, BlobRef)],
}

/// Signs a version with `changes`.
///
/// # Errors
/// What reading its run and making a key bring.
pub(crate) async fn sign_model(
    cx: &Admission<'_>,
    shelf: &Shelf,
    changes: &mut Changes,
    new: &SignedFiles<'_>,
) -> Result<()> {
    let id = row_id(new.model.0, new.version);
    let mut materials = Vec::new();
    if let Some(run) = new.run {
        let uri = Some(format!("runs:/{run}"));
        materials.push(Named { name: Some(String::from("run")), uri, ..Named::default() });
        if let Some(snapshot) = snapshot_of_run(cx, shelf, run).await? {
            let uri = Some(format!("urn:bartizan:snapshot:{snapshot}"));
            let digest = digest("bartizanTree", snapshot);
            materials.push(Named { name: Some(String::from("snapshot")), uri, digest });
        }
    }
    let number = new.version.to_string();
    let said = [("model", new.model.1), ("version", &number), ("source", new.source)];
    let definition = Definition {
        build_type: OF_MODEL.to_owned(),
        external_parameters: said.map(|(name, value)| (name.to_owned(), value.to_owned())).into(),
        internal_parameters: Words::from([(String::from("modelId"), new.model.0.to_string())]),
        resolved_dependencies: materials,
    };
    let uri = Some(format!("models:/{}/{number}", new.model.1));
    let subject = Named { name: Some(new.model.1.to_owned()), uri, digest: files_digest(new.files) };
    let key = keys::signer(cx, shelf, changes).await?;
    let envelope = Statement::new(cx, subject, definition).signed(&key)?;
    let row = match cx.get::<ModelStatement>(shelf, &id).await? {
        Some(mut row) => {
            row.value.envelope = envelope;
            row
        }
        None => Row::new(id, ModelStatement { envelope }),
    };
    changes.put(shelf, &row)?;
    Ok(())
}

/// Removes a version's statement with it. An image built from it keeps a copy.
pub(crate) async fn drop_statement(
    cx: &Admission<'_>,
    shelf: &Shelf,
    changes: &mut Changes,
    model: Uuid,
    version: u64,
) -> Result<()> {
    if let Some(row) = cx.get::<ModelStatement>(shelf, &row_id(model, version)).await? {
        changes.delete(shelf, &row);
    }
    Ok(())
}

/// The envelope of a version that is what was signed when it was registered. One that is of before there were statements is signed as
/// it is.
///
/// # Errors
/// `Conflict` when its files or its run are other ones.
pub(crate) async fn require_model(cx: &Admission<'_>, shelf: &Shelf, files: &ModelFiles) -> Result<String> {
    let broken = |why: &str| {
        let words = format!(
            "the chain is broken at the model `{}` version {}: {why}; find out who changed it, then register the model again",
            files.name, files.version
        );
        Error::new(Kind::Conflict, words)
    };
    let id = row_id(files.id, files.version);
    if let Some(row) = cx.get::<ModelStatement>(shelf, &id).await? {
        let keys = keys::all(cx, shelf).await?;
        let (statement, _) = Statement::open(keys.iter().map(|(key, _)| key), &row.value.envelope, OF_MODEL)
            .ok_or_else(|| broken("its statement is not signed by a key of the workspace"))?;
        return match differs(&statement, files) {
            Some(why) => Err(broken(why)),
            None => Ok(row.value.envelope),
        };
    }
    if files.is_signed {
        return Err(broken("its statement is gone"));
    }
    let mut changes = Changes::new();
    let source = files.source.as_str();
    let old = SignedFiles {
        model: (files.id, &files.name),
        version: files.version,
        source,
        run: files.run.as_ref(),
        files: &files.files,
    };
    sign_model(cx, shelf, &mut changes, &old).await?;
    cx.commit(changes).await?;
    let row = cx.get::<ModelStatement>(shelf, &id).await?;
    row.map(|row| row.value.envelope).ok_or_else(|| broken("its statement is gone"))
}

/// In what a version is not what was signed.
pub(super) fn differs(statement: &Statement, files: &ModelFiles) -> Option<&'static str> {
    let run = statement.material("run").and_then(|run| run.uri.as_deref()).and_then(|uri| uri.strip_prefix("runs:/"));
    if statement.found("modelId") != files.id.to_string() || statement.said("version") != files.version.to_string() {
        return Some("its statement is about another model version");
    }
    if statement.about() != Some(&files_digest(&files.files)) {
        return Some("its files are not those that were signed");
    }
    (run != files.run.as_ref().map(RunId::as_str)).then_some("it names another run than the one that was signed")
}

/// The version that a statement is about, as it is now; none when it was deleted.
pub(super) async fn present(cx: &Admission<'_>, shelf: &Shelf, name: &str, version: u64) -> Result<Option<ModelFiles>> {
    match model_files(cx, shelf, name, version).await {
        Ok(files) => Ok(Some(files)),
        Err(fault) if fault.kind() == Kind::NotFound => Ok(None),
        Err(fault) => Err(fault),
    }
}
