//! The safekeeping room: the root key that everything is sealed under, copies of everything, and coming back from one.

mod archive;
mod backup;
mod reading;
mod restore;
mod root_key;

pub use archive::{Manifest, Name, RELEASE};
pub use backup::{Backup, MakeBackup};
pub use reading::{Member, ReadBackup, Unpack, UnpackFault};
pub use restore::{Restored, SayRestored};
pub use root_key::{GetRootKey, MoveRootKey, RotateRootKey};
