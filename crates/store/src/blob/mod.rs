//! Drivers for blobs.

mod local_disk;
mod memory;

use futures::StreamExt;
use kernel::SealedStream;

pub use local_disk::LocalDisk;
pub use memory::Memory;

/// The largest piece that a driver hands out, in bytes.
const PIECE: usize = 256 << 10;

/// A stream of nothing.
fn nothing() -> SealedStream {
    futures::stream::empty().boxed()
}
