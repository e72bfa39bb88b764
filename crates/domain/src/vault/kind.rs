//! What differs between secrets, keys and certificates.

use std::{fmt::Debug, future::Future};

use kernel::{Action, Result};
use serde::{Serialize, de::DeserializeOwned};

use crate::gate::{Admission, Changes, Shelf};

/// A kind of object. Everything that is the same for all kinds is written over this.
pub trait Kind: Clone + Debug + Send + Sync + 'static {
    /// Its collection, in addresses and in scopes: `secrets`.
    const COLLECTION: &'static str;
    /// The word for one of them: `secret`.
    const WORD: &'static str;
    /// The code of there being none: `SecretNotFound`.
    const NOT_FOUND: &'static str;
    /// The code of one that is disabled: `SecretDisabled`.
    const DISABLED: &'static str;
    /// Whether a disabled one can still be read (its public part), or not at all.
    const SHOWS_DISABLED: bool;
    /// Whether each comes with a key and a secret of the same name and versions, to which the same happens.
    const HAS_PAIR: bool = false;
    /// The table of objects, each with its current version.
    const TABLE: &'static str;
    /// The table of older versions.
    const VERSIONS: &'static str;
    /// The table of deleted objects.
    const DELETED: &'static str;

    /// Reading one.
    const READ: Action;
    /// Listing, and reading what is not secret.
    const LIST: Action;
    /// Changing attributes and tags.
    const UPDATE: Action;
    /// Deleting one: it can be recovered.
    const DELETE: Action;
    /// Recovering a deleted one.
    const RECOVER: Action;
    /// Destroying a deleted one.
    const PURGE: Action;
    /// Taking one out as a sealed blob.
    const BACKUP: Action;
    /// Bringing one back from a sealed blob.
    const RESTORE: Action;

    /// What a version holds.
    type Content: Serialize + DeserializeOwned + Clone + Send + Sync + 'static;
    /// What belongs to the object as a whole, whatever its version.
    type Whole: Serialize + DeserializeOwned + Clone + Debug + Default + Send + Sync + 'static;
    /// What an update may change beside attributes and tags.
    type Patch: Clone + Debug + Default + Send + Sync + 'static;

    /// Changes a version's content as an update asks.
    ///
    /// # Errors
    /// `Invalid`, naming the field.
    fn patch(content: &mut Self::Content, patch: Self::Patch) -> Result<()>;

    /// Changes what belongs to all versions as an update asks. `now` is epoch seconds.
    ///
    /// # Errors
    /// `Invalid`, naming the field.
    fn patch_whole(_whole: &mut Self::Whole, _patch: &Self::Patch, _now: i64) -> Result<()> {
        Ok(())
    }

    /// Adds what else must be there, once an object with this row id is brought back from a backup.
    ///
    /// # Errors
    /// When it cannot be read or sealed.
    fn restored(
        _cx: &Admission<'_>,
        _shelf: &Shelf,
        _id: &[u8],
        _whole: &Self::Whole,
        _changes: &mut Changes,
    ) -> impl Future<Output = Result<()>> + Send {
        async { Ok(()) }
    }
}
