//! Making a version: the one way in which an object comes to be and gets on.

use std::collections::BTreeMap;

use kernel::{Error, Kind as Fault, Result};

use super::{
    AttributesForm, Kind, Object, ObjectName, Shown, Version, VersionId,
    attributes::check_tags,
    object::Older,
    opened::{ATTEMPTS, Opened, require_alive, require_own, too_busy},
};
use crate::gate::{Admission, Changes, Row};

/// Versions of one object, the current one not counted.
pub(super) const MOST_OLDER: u32 = 10_000;

/// A version that is to be.
#[derive(Clone)]
pub(crate) struct Draft<K: Kind> {
    id: VersionId,
    is_managed: bool,
    attributes: AttributesForm,
    tags: BTreeMap<String, String>,
    content: K::Content,
    whole: Option<K::Whole>,
}

impl<K: Kind> Draft<K> {
    /// One with a name of its own.
    pub fn new(attributes: AttributesForm, tags: BTreeMap<String, String>, content: K::Content) -> Self {
        Self { id: VersionId::random(), is_managed: false, attributes, tags, content, whole: None }
    }

    /// The same under a name that others have too; `is_managed` when it comes with a certificate.
    #[must_use]
    pub fn named(self, id: VersionId, is_managed: bool) -> Self {
        Self { id, is_managed, ..self }
    }

    /// The same, with what belongs to all versions from then on.
    #[must_use]
    pub fn with(self, whole: K::Whole) -> Self {
        Self { whole: Some(whole), ..self }
    }
}

/// Adds a version to `changes`: the object's first, or one that takes the place of the current one. `present` is the object as it
/// was read, which is what must still be there at the commit.
///
/// # Errors
/// `Invalid` for attributes and tags, `Conflict` when the object is deleted or has too many versions.
pub(crate) fn stage_version<K: Kind>(
    cx: &Admission<'_>,
    opened: &Opened,
    name: &ObjectName,
    present: Option<Row<Object<K>>>,
    draft: Draft<K>,
    changes: &mut Changes,
) -> Result<Row<Object<K>>> {
    check_tags(&draft.tags)?;
    let attributes = draft.attributes.fresh(cx.now())?;
    let version = Version { id: draft.id, attributes, tags: draft.tags, content: draft.content };
    let row = match present {
        None => {
            let name = name.as_str().to_owned();
            let whole = draft.whole.unwrap_or_default();
            let object =
                Object { name, current: version, older: 0, whole, is_managed: draft.is_managed, deletion: None };
            Row::new(opened.row_id::<K>(&ObjectName::new(&object.name)?), object)
        }
        Some(mut row) => {
            require_alive(&row.value)?;
            if row.value.older >= MOST_OLDER {
                let why = format!("the {} has {MOST_OLDER} older versions; use another name", K::WORD);
                return Err(Error::new(Fault::Conflict, why));
            }
            row.value.older = row.value.older.saturating_add(1);
            row.value.whole = draft.whole.unwrap_or(row.value.whole);
            let before = std::mem::replace(&mut row.value.current, version);
            changes.put(&opened.shelf, &Row::new(older_id(&row.id, before.id), Older(before)))?;
            row
        }
    };
    changes.put(&opened.shelf, &row)?;
    Ok(row)
}

/// The row id of an older version.
pub(super) fn older_id(object: &[u8], version: VersionId) -> Vec<u8> {
    [object, version.as_bytes()].concat()
}

/// Gives an object a new version, or makes the object.
///
/// # Errors
/// As [`stage_version`]; `Denied` when it belongs to a certificate.
pub(crate) async fn add_version<K: Kind>(
    cx: &Admission<'_>,
    opened: &Opened,
    name: &ObjectName,
    draft: Draft<K>,
) -> Result<Shown<K>> {
    for _ in 0..ATTEMPTS {
        let present = opened.named::<K>(cx, name).await?;
        if let Some(row) = &present {
            require_own(&row.value)?;
        }
        let mut changes = Changes::new();
        let row = stage_version(cx, opened, name, present, draft.clone(), &mut changes)?;
        cx.note("version", row.value.current.id.to_string());
        match cx.commit(changes).await {
            Err(fault) if fault.kind() == Fault::Stale => {}
            done => return done.map(|()| Shown::current(row.value, opened.recovery())),
        }
    }
    Err(too_busy::<K>())
}
