//! Drivers for blobs.

mod local_disk;
mod memory;

use futures::StreamExt;
use kernel::{Sealed, SealedStream};

pub use local_disk::LocalDisk;
pub use memory::Memory;

/// The largest piece that a driver hands out, in bytes: whole segments, so that each is opened where it lies.
const PIECE: usize = 4 * Sealed::SEGMENT;

/// A stream of nothing.
fn nothing() -> SealedStream {
    futures::stream::empty().boxed()
}
