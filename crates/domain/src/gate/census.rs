//! What lies on a shelf, by table: found by the keys alone, so that it needs no opening, and no list of tables that could lack one.

use std::collections::BTreeMap;

use kernel::Result;
use uuid::Uuid;

use super::{Admission, House};

/// Rows that are looked at in one go. They come with their values, which may be of some MiB each.
const PAGE: usize = 64;

/// Rows by table.
pub(crate) type Census = BTreeMap<String, u64>;

/// What all keys of a table on a shelf begin with.
pub(super) fn prefix_of(table: &str, shelf: &[u8; 16]) -> Vec<u8> {
    [table.as_bytes(), &[0], shelf].concat()
}

impl House {
    /// The tables that have rows on this shelf.
    pub(super) async fn tables_of(&self, shelf: &[u8; 16]) -> Result<Vec<String>> {
        let mut found = Vec::new();
        let mut after: Option<Vec<u8>> = None;
        loop {
            let next = self.meta().scan(b"", after.as_deref(), 1).await?;
            let Some(row) = next.first() else { return Ok(found) };
            let name = row.key.split(|byte| *byte == 0).next().unwrap_or_default();
            if let Ok(table) = std::str::from_utf8(name)
                && !self.meta().scan(&prefix_of(table, shelf), None, 1).await?.is_empty()
            {
                found.push(table.to_owned());
            }
            // Behind all keys of this table: in each of them the name is followed by a zero byte.
            after = Some([name, &[1]].concat());
        }
    }
}

/// Which versions of a shelf's key its rows name, by table, as far as was looked.
#[derive(Default)]
pub(crate) struct NamedVersions {
    /// Rows by table and version.
    pub(crate) tables: BTreeMap<String, BTreeMap<u32, u64>>,
    /// Tables with more rows than were looked at.
    pub(crate) unfinished: Vec<String>,
}

impl Admission<'_> {
    /// Looks at `most` rows of each table of this shelf, by what each says of its key. It takes no key, so it says the same of what is
    /// locked.
    pub(crate) async fn named_versions(&self, of: Uuid, most: usize) -> Result<NamedVersions> {
        let (house, shelf) = (self.house(), *of.as_bytes());
        let mut named = NamedVersions::default();
        for table in house.tables_of(&shelf).await? {
            let prefix = prefix_of(&table, &shelf);
            let (mut looked, mut after) = (0_usize, None);
            let mut versions: BTreeMap<u32, u64> = BTreeMap::new();
            loop {
                let wanted = PAGE.min(most.saturating_sub(looked));
                let page = house.meta().scan(&prefix, after.as_deref(), wanted).await?;
                for row in &page {
                    let count = versions.entry(seal::record_key_version(&row.value)?).or_default();
                    *count = count.saturating_add(1);
                }
                looked = looked.saturating_add(page.len());
                after = page.last().map(|row| row.key.clone());
                if page.len() < wanted {
                    break;
                }
                if looked >= most {
                    named.unfinished.push(table.clone());
                    break;
                }
            }
            named.tables.insert(table, versions);
        }
        Ok(named)
    }
}

impl Admission<'_> {
    /// How many rows there are on the shelf of this GUID.
    pub(crate) async fn census(&self, of: impl Into<Uuid>) -> Result<Census> {
        let (house, shelf) = (self.house(), *of.into().as_bytes());
        let mut census = Census::new();
        for table in house.tables_of(&shelf).await? {
            let prefix = prefix_of(&table, &shelf);
            let (mut count, mut after) = (0_u64, None);
            loop {
                let page = house.meta().scan(&prefix, after.as_deref(), PAGE).await?;
                let Some(last) = page.last() else { break };
                after = Some(last.key.clone());
                count = count.saturating_add(u64::try_from(page.len()).unwrap_or(u64::MAX));
            }
            census.insert(table, count);
        }
        Ok(census)
    }
}
