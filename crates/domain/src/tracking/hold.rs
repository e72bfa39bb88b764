//! Holds: who needs a model version's files, so that it cannot be deleted.

use kernel::{Error, Kind, Result};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    RegisteredModel,
    registry::{find_version, model_row_id, version_row_id},
};
use crate::gate::{Admission, Changes, Record, Row, Shelf};

/// Somebody needs a version's files: while such a row is there, the version cannot be deleted.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Hold {
    holder: String,
}

impl Record for Hold {
    const TABLE: &'static str = "model-hold";
}

fn hold_id(shelf: &Shelf, model: Uuid, version: u64, holder: &str) -> Vec<u8> {
    let mut id = version_row_id(model, version);
    id.extend(shelf.name_id::<Hold>(holder));
    id
}

/// Keeps a model version from being deleted until [`release_model_version`] by the same holder (a deployment's id, say).
///
/// # Errors
/// `NotFound` for an unknown version.
pub async fn hold_model_version(
    cx: &Admission<'_>,
    shelf: &Shelf,
    changes: &mut Changes,
    (name, version): (&str, u64),
    holder: &str,
) -> Result<()> {
    let (model, _) = find_version(cx, shelf, name, version).await?;
    let id = hold_id(shelf, model.value.id, version, holder);
    if cx.get::<Hold>(shelf, &id).await?.is_none() {
        changes.put(shelf, &Row::new(id, Hold { holder: holder.to_owned() }))?;
    }
    Ok(())
}

/// Ends a hold; one that is not there is no error.
pub async fn release_model_version(
    cx: &Admission<'_>,
    shelf: &Shelf,
    changes: &mut Changes,
    (name, version): (&str, u64),
    holder: &str,
) -> Result<()> {
    let Some(model) = cx.get::<RegisteredModel>(shelf, &model_row_id(shelf, name)).await? else { return Ok(()) };
    if let Some(row) = cx.get::<Hold>(shelf, &hold_id(shelf, model.value.id, version, holder)).await? {
        changes.delete(shelf, &row);
    }
    Ok(())
}

/// Refuses while somebody holds it: one version, or any of the model's.
pub(super) async fn must_be_free(cx: &Admission<'_>, shelf: &Shelf, model: Uuid, version: Option<u64>) -> Result<()> {
    let prefix = version.map_or_else(|| model.as_bytes().to_vec(), |version| version_row_id(model, version));
    match cx.page::<Hold>(shelf, &prefix, None, 1).await?.first() {
        Some(hold) => {
            let words = format!("the model version is in use by `{}` and cannot be deleted", hold.value.holder);
            Err(Error::new(Kind::Conflict, words))
        }
        None => Ok(()),
    }
}
