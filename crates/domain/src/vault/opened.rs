//! A vault, opened for an operation that was admitted: its shelf and what it says about deletion.

use kernel::{Error, Kind as Fault, ResourceId, Result};

use super::{Kind, Object, ObjectName, object::Deletion};
use crate::{
    gate::{Admission, Row, Shelf},
    resources::{Addressed, KeyVault, Resource, find},
};

/// How often a change that meets others tries again.
pub(super) const ATTEMPTS: usize = 8;

/// What a deletion can be taken back within.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Recovery {
    /// Days that a deleted object rests.
    pub days: u16,
    /// Whether it may be purged before.
    pub is_purgeable: bool,
}

impl Recovery {
    /// The longest rest, and the one that is meant when nobody chose.
    const LONGEST: u16 = 90;

    /// Azure's word for it.
    pub fn level(&self) -> &'static str {
        match (self.days >= Self::LONGEST, self.is_purgeable) {
            (true, true) => "Recoverable+Purgeable",
            (true, false) => "Recoverable",
            (false, true) => "CustomizedRecoverable+Purgeable",
            (false, false) => "CustomizedRecoverable",
        }
    }
}

/// An open vault.
pub(crate) struct Opened {
    pub(super) shelf: Shelf,
    pub(super) vault: Row<Resource<KeyVault>>,
}

/// Opens the vault at an address.
///
/// # Errors
/// `NotFound` when it went away, or another one has its name, since the address was looked up.
pub(crate) async fn open(cx: &Admission<'_>, at: &Addressed) -> Result<Opened> {
    let (_, vault) = find::<KeyVault>(cx, &at.id).await?;
    if vault.value.guid != at.guid {
        return Err(Error::not_found(format_args!("the resource `{}`", at.id)));
    }
    Ok(Opened { shelf: cx.shelf(at.guid).await?, vault })
}

impl Opened {
    /// What the vault says about deletion.
    pub(super) fn recovery(&self) -> Recovery {
        let properties = &self.vault.value.properties;
        Recovery { days: properties.retention_days, is_purgeable: !properties.purge_protection }
    }

    /// The vault's address.
    pub(super) fn at(&self) -> Addressed {
        Addressed { id: self.vault.value.id.clone(), guid: self.vault.value.guid }
    }

    /// Whether the vault is of the premium tier.
    pub(super) fn is_premium(&self) -> bool {
        self.vault.value.properties.sku == "premium"
    }

    /// The row id of an object's name.
    pub(super) fn row_id<K: Kind>(&self, name: &ObjectName) -> Vec<u8> {
        self.shelf.name_id::<Object<K>>(&name.folded())
    }

    /// What has this name, deleted or not.
    pub(super) async fn named<K: Kind>(&self, cx: &Admission<'_>, name: &ObjectName) -> Result<Option<Row<Object<K>>>> {
        cx.get::<Object<K>>(&self.shelf, &self.row_id::<K>(name)).await
    }

    /// The object of this name that is not deleted.
    ///
    /// # Errors
    /// `NotFound`.
    pub(crate) async fn object<K: Kind>(&self, cx: &Admission<'_>, name: &ObjectName) -> Result<Row<Object<K>>> {
        let found = self.named(cx, name).await?.filter(|row| row.value.deletion.is_none());
        found.ok_or_else(|| missing::<K>(name))
    }

    /// The deleted object of this name.
    ///
    /// # Errors
    /// `NotFound`.
    pub(super) async fn deleted<K: Kind>(
        &self,
        cx: &Admission<'_>,
        name: &ObjectName,
    ) -> Result<(Row<Object<K>>, Deletion)> {
        let found = self.named::<K>(cx, name).await?;
        let found = found.and_then(|row| row.value.deletion.map(|deletion| (row, deletion)));
        found.ok_or_else(|| {
            let why = format!("a deleted {} with the name `{}` was not found in this vault", K::WORD, name.as_str());
            Error::new(Fault::NotFound, why).coded(K::NOT_FOUND)
        })
    }
}

/// Refuses what a deleted object's name is not to be used for.
///
/// # Errors
/// `Conflict`, as Azure codes it.
pub(super) fn require_alive<K: Kind>(object: &Object<K>) -> Result<()> {
    let Some(deletion) = object.deletion else { return Ok(()) };
    if deletion.is_going {
        return Err(going::<K>(&object.name));
    }
    let why = format!(
        "the {} `{}` is deleted and recoverable, so its name cannot be used again: recover it or purge it",
        K::WORD,
        object.name
    );
    Err(Error::new(Fault::Conflict, why).coded("ObjectIsDeletedButRecoverable"))
}

/// The scope of one object, at which roles can be held.
pub(super) fn scope_of<K: Kind>(at: &Addressed, name: &ObjectName) -> ResourceId {
    // A name has no character that a segment may not have.
    at.id.child([K::COLLECTION, name.as_str()]).unwrap_or_else(|_| at.id.clone())
}

pub(super) fn missing<K: Kind>(name: &ObjectName) -> Error {
    let why = format!("a {} with the name `{}` was not found in this vault", K::WORD, name.as_str());
    Error::new(Fault::NotFound, why).coded(K::NOT_FOUND)
}

pub(super) fn going<K: Kind>(name: &str) -> Error {
    let why = format!("the {} `{name}` is being purged; try again later", K::WORD);
    Error::new(Fault::Conflict, why).coded("ObjectIsBeingDeleted")
}

/// The answer to a change that met too many others.
pub(super) fn too_busy<K: Kind>() -> Error {
    Error::new(Fault::Throttled, format!("the {} changes too fast; try again", K::WORD))
}

/// Refuses to change what came with a certificate by itself.
pub(super) fn require_own<K: Kind>(object: &Object<K>) -> Result<()> {
    if !object.is_managed {
        return Ok(());
    }
    let why = format!("the {} `{}` belongs to a certificate; change the certificate instead", K::WORD, object.name);
    Err(Error::new(Fault::Denied, why).coded("Forbidden"))
}
