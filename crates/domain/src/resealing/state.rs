//! How far it is: kept, so that a restart goes on where it was.

use std::collections::BTreeMap;

use kernel::{ResourceId, Result, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::gate::{Admission, Changes, Record};

/// A table's part.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableProgress {
    /// Rows that there were at the beginning.
    pub rows: u64,
    /// Rows that were looked at.
    pub seen: u64,
    /// Rows among them that were sealed anew; the others had been written since.
    pub resealed: u64,
    /// Blobs whose keys lie in those rows, and so were wrapped anew.
    pub rewrapped_blobs: u64,
    /// Rows that no key opens: they are damaged.
    #[serde(default)]
    pub unreadable: u64,
    /// Whether its end was reached.
    pub is_done: bool,
}

/// The last sealing anew of a workspace. On the system's shelf; its id is the workspace's GUID.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Reseal {
    /// The workspace.
    pub workspace: ResourceId,
    /// Its GUID.
    pub guid: Uuid,
    /// The operation to be asked about it.
    pub operation: Uuid,
    /// The versions that there were.
    pub from: Vec<u32>,
    /// The version that seals since.
    pub to: u32,
    /// When it began.
    pub started_at: Timestamp,
    /// By table.
    pub tables: BTreeMap<String, TableProgress>,
    /// The last id that was looked at in the first table that is not done.
    pub(super) after: Option<Vec<u8>>,
    /// When everything was sealed anew.
    pub sealed_at: Option<Timestamp>,
    /// When the older versions were destroyed.
    pub retired_at: Option<Timestamp>,
    /// Why the older versions cannot be destroyed, if they cannot.
    pub failure: Option<String>,
}

impl Record for Reseal {
    const TABLE: &'static str = "reseal";
}

impl Reseal {
    /// Whether there is something left to do.
    pub fn is_under_way(&self) -> bool {
        self.retired_at.is_none() && self.failure.is_none()
    }

    /// How much was looked at, in percent: 100 once all is sealed anew.
    pub fn percent(&self) -> u8 {
        if self.sealed_at.is_some() {
            return 100;
        }
        let all = self.tables.values().map(|table| table.rows).fold(0, u64::saturating_add);
        let seen = self.tables.values().map(|table| table.seen.min(table.rows)).fold(0, u64::saturating_add);
        let percent = seen.saturating_mul(100).checked_div(all).unwrap_or(0);
        u8::try_from(percent.min(99)).unwrap_or(99)
    }
}

/// Forgets it, with the workspace.
pub(crate) async fn forget(cx: &Admission<'_>, workspace: Uuid, changes: &mut Changes) -> Result<()> {
    if let Some(row) = cx.get::<Reseal>(cx.system(), workspace.as_bytes()).await? {
        changes.delete(cx.system(), &row);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_counts_what_was_there_at_the_beginning() {
        let table = |rows, seen| TableProgress { rows, seen, ..TableProgress::default() };
        let mut reseal = Reseal {
            workspace: ResourceId::root(),
            guid: Uuid::nil(),
            operation: Uuid::nil(),
            from: vec![1],
            to: 2,
            started_at: Timestamp(0),
            tables: BTreeMap::from([(String::from("a"), table(3, 5)), (String::from("b"), table(7, 0))]),
            after: None,
            sealed_at: None,
            retired_at: None,
            failure: None,
        };
        assert_eq!(reseal.percent(), 30);
        reseal.tables.insert(String::from("b"), table(7, 7));
        assert_eq!(reseal.percent(), 99, "not before it is said");
        reseal.sealed_at = Some(Timestamp(1));
        assert_eq!(reseal.percent(), 100);
        reseal.tables.clear();
        reseal.sealed_at = None;
        assert_eq!(reseal.percent(), 0);
    }
}
