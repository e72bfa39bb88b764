//! Drivers for metadata and the activity log.

mod memory;
mod sqlite;

use std::collections::HashSet;

use kernel::{Batch, Change, StoreResult};

pub use memory::Memory;
pub use sqlite::Sqlite;

use crate::fault;

/// Refuses a batch that no state of the store could accept: a key twice, or a version that does not exist.
fn well_formed(batch: &Batch) -> StoreResult<()> {
    let mut seen = HashSet::with_capacity(batch.changes.len());
    for change in &batch.changes {
        let (Change::Put { version, .. } | Change::Reseal { version, .. } | Change::Delete { version, .. }) = change;
        if *version == 0 || i64::try_from(*version).is_err() {
            return Err(fault::refused(format!("a change names the impossible version {version}")));
        }
        if !seen.insert(change.key()) {
            return Err(fault::refused("a batch changes one key twice"));
        }
    }
    Ok(())
}

/// Refuses a cut that nothing would tell of.
fn cuttable(batch: &Batch) -> StoreResult<()> {
    match batch.records.is_empty() {
        true => Err(fault::refused("records are not removed without a record of it")),
        false => Ok(()),
    }
}

/// Keys from `.0` on and below `.1` (no bound when none): those that start with `prefix` and are greater than `after`.
fn bounds(prefix: &[u8], after: Option<&[u8]>) -> (Vec<u8>, Option<Vec<u8>>) {
    // The next key after `a` in the order of bytes is `a` followed by a zero byte.
    let lower = match after {
        Some(after) if after >= prefix => [after, &[0]].concat(),
        _ => prefix.to_vec(),
    };
    let mut upper = prefix.to_vec();
    while let Some(last) = upper.pop() {
        if let Some(next) = last.checked_add(1) {
            upper.push(next);
            return (lower, Some(upper));
        }
    }
    (lower, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_of_ff_bytes_has_no_upper_bound() {
        assert_eq!(bounds(b"", None), (vec![], None));
        assert_eq!(bounds(b"\xff\xff", None), (b"\xff\xff".to_vec(), None));
        assert_eq!(bounds(b"a\xff", None), (b"a\xff".to_vec(), Some(b"b".to_vec())));
        assert_eq!(bounds(b"ab", Some(b"ab")), (b"ab\0".to_vec(), Some(b"ac".to_vec())));
        assert_eq!(bounds(b"ab", Some(b"aa")), (b"ab".to_vec(), Some(b"ac".to_vec())));
    }
}
