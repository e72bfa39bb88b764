//! A new key for a shelf, and sealing its rows anew under that: each stays the row, at the version, that it is.
//!
//! **Invariant:** what an older key sealed is committed before the newer one is there, so whoever looks through the shelf after
//! that finds all of it. **Invariant:** whoever holds the shelf has the newer key from that moment on.

use std::sync::Arc;

use kernel::{Batch, Change, Error, Kind, Result, StoreError};
use seal::{Place, Ring};
use uuid::Uuid;

use super::{Admission, Census, Changes, Row, Shelf, census::prefix_of, keys::OwnKeyring};

/// Rows that are looked at in one go.
const PAGE: usize = 1000;
/// What every reference to a blob has.
const DIGEST: &[u8] = b"\"sha256\":";

/// A shelf's keyring with one more version, before it is committed.
pub(crate) struct NextRing {
    of: Uuid,
    row: Row<OwnKeyring>,
    ring: Arc<Ring>,
    /// The versions that there are already.
    pub(crate) from: Vec<u32>,
}

impl NextRing {
    /// The number of the new version.
    pub(crate) fn to(&self) -> u32 {
        self.ring.current()
    }
}

/// A page of rows, of which those that an older key sealed are sealed anew.
pub(crate) struct ResealedPage {
    /// Rows that were looked at.
    pub(crate) seen: u64,
    /// The last of them; none at the table's end.
    pub(crate) last: Option<Vec<u8>>,
    /// References to blobs in what is sealed anew: the keys of the blobs lie in them.
    pub(crate) blobs: u64,
    /// Rows that nothing opens.
    pub(crate) unreadable: u64,
    /// What is sealed anew.
    pub(crate) rows: Vec<Change>,
}

impl Admission<'_> {
    /// A new version for a shelf's keyring, held as it is now.
    pub(crate) async fn next_ring(&self, of: impl Into<Uuid>) -> Result<NextRing> {
        let of = of.into();
        let row = self.get::<OwnKeyring>(self.system(), of.as_bytes()).await?;
        let mut row = row.ok_or_else(|| Error::not_found("the key of what was asked for"))?;
        let from = row.value.versions();
        let (next, ring) = row.value.rotated(self.house(), of).await?;
        row.value = next;
        Ok(NextRing { of, row, ring, from })
    }

    /// Commits, and from then on the new version seals. Commits under way are waited for, and others wait meanwhile.
    pub(crate) async fn commit_rotation(&self, next: NextRing, mut changes: Changes) -> Result<()> {
        changes.put(self.system(), &next.row)?;
        let _alone = self.house().sealing.write().await;
        self.commit_in(changes, ()).await?;
        drop(self.house().keys().enroll(next.of, next.ring));
        Ok(())
    }

    /// Takes the older versions than `to` out of a shelf's keyring with `changes`.
    ///
    /// # Errors
    /// `Stale` when another version is the newest one: nothing is destroyed then.
    pub(crate) async fn retire_versions(&self, of: impl Into<Uuid>, to: u32, changes: &mut Changes) -> Result<()> {
        let of = of.into();
        let row = self.get::<OwnKeyring>(self.system(), of.as_bytes()).await?;
        let mut row = row.ok_or_else(|| Error::not_found("the key of what was asked for"))?;
        row.value = row.value.newest(self.house(), of).await?;
        if row.value.versions() != [to] {
            return Err(self.other_version(of.as_bytes()));
        }
        changes.put(self.system(), &row).map(drop)
    }

    /// The ring in memory is not the one that was made, or the one that was made is not the newest any more: what is opened is read
    /// again by whoever needs it next.
    fn other_version(&self, of: &[u8]) -> Error {
        self.house().keys().forget_opened(&[of.to_vec()]);
        Error::new(Kind::Stale, "another version of the key is the newest one; it is read again")
    }

    /// Seals rows of a table anew with version `to`; they are stored once they are kept.
    ///
    /// # Errors
    /// `Stale` when another version seals.
    pub(crate) async fn reseal_page(
        &self,
        shelf: &Shelf,
        table: &str,
        (after, limit): (Option<&[u8]>, usize),
        to: u32,
    ) -> Result<ResealedPage> {
        let prefix = prefix_of(table, shelf.id());
        let after = after.map(|id| [prefix.as_slice(), id].concat());
        let found = self.house().meta().scan(&prefix, after.as_deref(), limit).await?;
        let id_of = |key: &[u8]| key.get(prefix.len()..).unwrap_or_default().to_vec();
        let seen = u64::try_from(found.len()).unwrap_or(u64::MAX);
        let last = found.last().map(|row| id_of(&row.key));
        let mut page = ResealedPage { seen, last, blobs: 0, unreadable: 0, rows: Vec::new() };
        shelf.latch().hold()?;
        let ring = shelf.ring();
        if ring.current() != to {
            return Err(self.other_version(shelf.id()));
        }
        for stored in found {
            if ring.is_newest(&stored.value).unwrap_or(false) {
                continue;
            }
            let id = id_of(&stored.key);
            let place = Place { shelf: shelf.id(), table, id: &id, version: stored.version };
            let Ok(plain) = ring.open(place, &stored.value) else {
                page.unreadable = page.unreadable.saturating_add(1);
                continue;
            };
            page.blobs = page.blobs.saturating_add(blobs_in(&plain));
            let value = ring.seal(place, &plain)?;
            page.rows.push(Change::Reseal { key: stored.key, version: stored.version, value });
        }
        Ok(page)
    }

    /// Stores what was sealed anew, with changes that nobody else makes. A row that was written meanwhile is sealed anew by that.
    pub(crate) async fn keep_resealed(&self, rows: Vec<Change>, changes: Changes) -> Result<()> {
        let house = self.house();
        let own = {
            let _turn = house.sealing.read().await;
            changes.seal()?
        };
        let batch = |changes: Vec<Change>| Batch { changes, records: Vec::new() };
        match house.store(batch(own.iter().chain(&rows).cloned().collect()), None).await {
            Ok(_) => return Ok(()),
            Err(StoreError::Stale { .. }) => {}
            Err(fault) => return Err(fault.into()),
        }
        for row in rows {
            match house.store(batch(vec![row]), None).await {
                Ok(_) | Err(StoreError::Stale { .. }) => {}
                Err(fault) => return Err(fault.into()),
            }
        }
        house.store(batch(own), None).await?;
        Ok(())
    }

    /// How many rows of a shelf an older key than the newest sealed; that one is version `to`, if any is said.
    ///
    /// # Errors
    /// `Stale` when another version than `to` seals.
    pub(crate) async fn older_rows(&self, shelf: &Shelf, to: Option<u32>) -> Result<Census> {
        let house = self.house();
        let is_other = |seals: u32| to.is_some_and(|to| to != seals);
        if is_other(shelf.ring().current()) {
            return Err(self.other_version(shelf.id()));
        }
        let mut older = Census::new();
        for table in house.tables_of(shelf.id()).await? {
            let prefix = prefix_of(&table, shelf.id());
            let mut after = None;
            loop {
                let page = house.meta().scan(&prefix, after.as_deref(), PAGE).await?;
                let Some(last) = page.last() else { break };
                after = Some(last.key.clone());
                let ring = shelf.ring();
                if is_other(ring.current()) {
                    return Err(self.other_version(shelf.id()));
                }
                let found = page.iter().filter(|row| !ring.is_newest(&row.value).unwrap_or(false)).count();
                if found > 0 {
                    let count = older.entry(table.clone()).or_default();
                    *count = count.saturating_add(u64::try_from(found).unwrap_or(u64::MAX));
                }
            }
        }
        Ok(older)
    }
}

/// References to blobs in a row's plaintext.
fn blobs_in(plain: &[u8]) -> u64 {
    if !plain.windows(DIGEST.len()).any(|window| window == DIGEST) {
        return 0;
    }
    let value = plain.get(1..).and_then(|json| serde_json::from_slice(json).ok());
    value.as_ref().map_or(0, count)
}

fn count(value: &serde_json::Value) -> u64 {
    match value {
        serde_json::Value::Object(fields) => {
            let is_blob =
                fields.len() == 4 && ["id", "key", "length", "sha256"].iter().all(|name| fields.contains_key(*name));
            if is_blob { 1 } else { fields.values().map(count).fold(0, u64::saturating_add) }
        }
        serde_json::Value::Array(items) => items.iter().map(count).fold(0, u64::saturating_add),
        _ => 0,
    }
}
