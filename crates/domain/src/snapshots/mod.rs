//! The snapshots room: directories of code as immutable, content-addressed trees (requirements L-01 to L-04).
//!
//! Files travel in packs, once per workspace and content; a code version names its files by path and content, and the
//! server computes the tree's id from that. Who may enter: principals by their roles. Runs get the files of their own
//! snapshot through the agent alone. **Invariant:** a content hash is never a key in a store, only a keyed hash of it.

mod code;
mod file;
mod look;
mod pack;
mod tree;

pub use code::{Code, CodeVersion, GetCode, NewCode, PutCode};
pub use file::{GetSnapshotFile, ListMissingFiles, MissingFile, PutPack};
pub(crate) use file::{find_manifest, is_snapshot_whole, open_file, read_text};
pub use look::Finding;
pub use tree::SnapshotFile;
