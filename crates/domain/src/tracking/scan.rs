//! Looking at many rows, a few at a time.

use kernel::Result;

use crate::gate::{Admission, Record, Row, Shelf};

/// Rows read at a time: enough that a hop to another thread is cheap, few enough that the largest fit.
pub(super) const STRIDE: usize = 256;

/// Looks at all rows whose id starts with `prefix`, in id order.
pub(super) async fn scan<T: Record>(
    cx: &Admission<'_>,
    shelf: &Shelf,
    prefix: &[u8],
    mut look: impl FnMut(Row<T>) + Send,
) -> Result<()> {
    let mut after: Option<Vec<u8>> = None;
    loop {
        let rows = cx.page::<T>(shelf, prefix, after.as_deref(), STRIDE).await?;
        let was_last = rows.len() < STRIDE;
        after = rows.last().map(|row| row.id.clone());
        rows.into_iter().for_each(&mut look);
        if was_last {
            return Ok(());
        }
    }
}
