//! Which runs used a version: the lineage of data, from the data's side.

use async_trait::async_trait;
use kernel::{Action, Error, ResourceId, Result, RunId, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{container::READ, version::DataVersion};
use crate::{
    gate::{Admission, Changes, Cx, Op, Record, Row, Shelf},
    resources::find,
};

/// Most entries of a page.
const MOST: usize = 1000;

/// A use of a version as a named input of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataUse {
    /// The job's run.
    pub run: RunId,
    /// The input's name.
    pub input: String,
    /// What was read: a digest of paths, lengths and states of all its files.
    pub digest: String,
    /// When the job was submitted.
    pub at: Timestamp,
}

/// The row id is the version's GUID, the time (the newest comes first), and a hash of run and input.
impl Record for DataUse {
    const TABLE: &'static str = "data-use";
}

/// Notes a use with a job's own commit.
pub(super) fn note_use(shelf: &Shelf, version: Uuid, one: DataUse, changes: &mut Changes) -> Result<()> {
    let mut id = version.as_bytes().to_vec();
    let at = u64::try_from(one.at.0).unwrap_or_default();
    id.extend(u64::MAX.saturating_sub(at).to_be_bytes());
    id.extend(shelf.name_id::<DataUse>(&format!("{}|{}", one.run, one.input)));
    changes.put(shelf, &Row::new(id, one))?;
    Ok(())
}

/// Whether any run used a version.
pub(super) async fn is_used(cx: &Admission<'_>, shelf: &Shelf, version: Uuid) -> Result<bool> {
    Ok(!cx.page::<DataUse>(shelf, version.as_bytes(), None, 1).await?.is_empty())
}

/// Lists the runs that used a version, newest first.
#[derive(Debug)]
pub struct ListDataUses {
    /// The version.
    pub id: ResourceId,
    /// Where an earlier page ended, as it was told there.
    pub after: Option<Vec<u8>>,
    /// Entries of this page; a thousand at most.
    pub most: usize,
}

#[async_trait]
impl Op for ListDataUses {
    const ACTION: Action = READ;
    /// The page, and where the next one begins.
    type Output = (Vec<DataUse>, Option<Vec<u8>>);

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let (shelf, version) = find::<DataVersion>(cx, &self.id).await?;
        let prefix = version.value.guid.as_bytes().as_slice();
        if self.after.as_ref().is_some_and(|after| !after.starts_with(prefix) || after.len() > 128) {
            return Err(Error::invalid("$skipToken", "must be taken from the page before"));
        }
        let most = self.most.clamp(1, MOST);
        let mut rows = cx.page::<DataUse>(&shelf, prefix, self.after.as_deref(), most.saturating_add(1)).await?;
        let has_more = rows.len() > most;
        rows.truncate(most);
        let next = rows.last().filter(|_| has_more).map(|row| row.id.clone());
        Ok((rows.into_iter().map(|row| row.value).collect(), next))
    }
}
