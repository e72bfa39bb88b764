//! Reading objects and listing them, page by page.

use std::marker::PhantomData;

use async_trait::async_trait;
use kernel::{Action, Error, Kind as Fault, ResourceId, Result};

use super::{
    Kind, Object, ObjectName, Recovery, Version, VersionId,
    object::Older,
    opened::{Opened, open, scope_of},
};
use crate::{
    gate::{Admission, Cx, Op, Row},
    resources::Addressed,
};

/// Entries of a page; Azure's bound, and what is meant when nobody says.
const MOST: usize = 25;

/// One version of an object, with what its vault says about deletion.
#[derive(Clone, Debug)]
pub struct Shown<K: Kind> {
    /// The object's name.
    pub name: String,
    /// The version.
    pub version: Version<K>,
    /// What belongs to all versions.
    pub whole: K::Whole,
    /// Whether it came with a certificate.
    pub is_managed: bool,
    /// What a deletion can be taken back within.
    pub recovery: Recovery,
}

impl<K: Kind> Shown<K> {
    /// The current version.
    pub(super) fn current(object: Object<K>, recovery: Recovery) -> Self {
        let Object { name, current, whole, is_managed, .. } = object;
        Self { name, version: current, whole, is_managed, recovery }
    }

    fn older(object: Object<K>, version: Version<K>, recovery: Recovery) -> Self {
        Self { version, ..Self::current(object, recovery) }
    }
}

/// Refuses one that is disabled, where its kind is not to be read then.
pub(super) fn require_enabled<K: Kind>(version: &Version<K>, what: &str) -> Result<()> {
    if version.attributes.enabled {
        return Ok(());
    }
    let why = format!("operation {what} is not allowed on a disabled {}", K::WORD);
    Err(Error::new(Fault::Denied, why).coded(K::DISABLED))
}

/// A version of an object: the newest when none is named.
pub(super) async fn find_version<K: Kind>(
    cx: &Admission<'_>,
    opened: &Opened,
    object: Row<Object<K>>,
    version: Option<VersionId>,
) -> Result<Shown<K>> {
    let Row { id: mut place, value: object, .. } = object;
    match version {
        Some(wanted) if wanted != object.current.id => {
            place.extend_from_slice(wanted.as_bytes());
            let found = cx.get::<Older<K>>(&opened.shelf, &place).await?;
            let found = found.ok_or_else(|| no_version::<K>(&object.name, wanted))?;
            Ok(Shown::older(object, found.value.0, opened.recovery()))
        }
        _ => Ok(Shown::current(object, opened.recovery())),
    }
}

pub(super) fn no_version<K: Kind>(name: &str, version: VersionId) -> Error {
    let why = format!("the {} `{name}` has no version `{version}`", K::WORD);
    Error::new(Fault::NotFound, why).coded(K::NOT_FOUND)
}

/// Reads one version of an object.
#[derive(Debug)]
pub struct GetObject<K> {
    /// The vault.
    pub vault: Addressed,
    /// The object.
    pub name: ObjectName,
    /// Which version; the newest when none.
    pub version: Option<VersionId>,
    /// What kind of object.
    pub kind: PhantomData<fn() -> K>,
}

#[async_trait]
impl<K: Kind> Op for GetObject<K> {
    const ACTION: Action = K::READ;
    type Output = Shown<K>;

    fn scope(&self) -> ResourceId {
        scope_of::<K>(&self.vault, &self.name)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Shown<K>> {
        let opened = open(cx, &self.vault).await?;
        let object = opened.object::<K>(cx, &self.name).await?;
        let shown = find_version(cx, &opened, object, self.version).await?;
        cx.note("version", shown.version.id.to_string());
        if !K::SHOWS_DISABLED {
            require_enabled(&shown.version, "get")?;
        }
        Ok(shown)
    }
}

/// Which page of a list.
#[derive(Clone, Debug, Default)]
pub struct Paging {
    /// At most this many entries, 1 to 25.
    pub most: Option<usize>,
    /// Those after this mark, as the page before gave it.
    pub after: Option<String>,
}

/// A page of a list.
#[derive(Clone, Debug)]
pub struct Page<T> {
    /// The entries.
    pub entries: Vec<T>,
    /// The mark to go on from; none at the end.
    pub next: Option<String>,
}

impl Paging {
    /// How many are wanted.
    ///
    /// # Errors
    /// `Invalid` beyond the bounds.
    pub(super) fn most(&self) -> Result<usize> {
        let most = self.most.unwrap_or(MOST);
        if (1..=MOST).contains(&most) {
            return Ok(most);
        }
        Err(Error::invalid("maxresults", format_args!("must be 1 to {MOST}")))
    }

    /// The row to go on from: marks are row ids in hexadecimal digits.
    ///
    /// # Errors
    /// `Invalid` when it is no mark.
    pub(super) fn after(&self) -> Result<Option<Vec<u8>>> {
        let Some(mark) = &self.after else { return Ok(None) };
        match mark.parse::<VersionId>() {
            Ok(id) => Ok(Some(id.as_bytes().to_vec())),
            Err(_) => Err(Error::invalid("$skiptoken", "is none that this server gave")),
        }
    }
}

/// Cuts what was read, one more than wanted, to a page. `mark` says where the next one goes on.
pub(super) fn cut<T>(mut found: Vec<T>, most: usize, mark: impl Fn(&T) -> Option<[u8; 16]>) -> Page<T> {
    let is_more = found.len() > most;
    found.truncate(most);
    let next = found.last().filter(|_| is_more).and_then(mark);
    Page { entries: found, next: next.map(|id| uuid::Uuid::from_bytes(id).as_simple().to_string()) }
}

impl<T> Page<T> {
    pub(super) fn map<U>(self, change: impl FnMut(T) -> U) -> Page<U> {
        Page { entries: self.entries.into_iter().map(change).collect(), next: self.next }
    }
}

pub(super) fn row_mark<T>(row: &Row<T>) -> Option<[u8; 16]> {
    row.id.as_slice().try_into().ok()
}

/// Lists the objects of a vault, each by its current version.
#[derive(Debug)]
pub struct ListObjects<K> {
    /// The vault.
    pub vault: Addressed,
    /// Which page.
    pub paging: Paging,
    /// What kind of objects.
    pub kind: PhantomData<fn() -> K>,
}

#[async_trait]
impl<K: Kind> Op for ListObjects<K> {
    const ACTION: Action = K::LIST;
    type Output = Page<Shown<K>>;

    fn scope(&self) -> ResourceId {
        self.vault.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let (most, after) = (self.paging.most()?, self.paging.after()?);
        let opened = open(cx, &self.vault).await?;
        let rows = cx.page::<Object<K>>(&opened.shelf, b"", after.as_deref(), most.saturating_add(1)).await?;
        cx.note("listed", format!("{} of the vault", K::COLLECTION));
        let recovery = opened.recovery();
        let mut page = cut(rows, most, row_mark);
        // A page may so be short, or empty, and still not the last one: what it costs is bounded.
        page.entries.retain(|row| row.value.deletion.is_none());
        Ok(page.map(|row| Shown::current(row.value, recovery)))
    }
}

/// Lists the versions of an object.
#[derive(Debug)]
pub struct ListVersions<K> {
    /// The vault.
    pub vault: Addressed,
    /// The object.
    pub name: ObjectName,
    /// Which page.
    pub paging: Paging,
    /// What kind of object.
    pub kind: PhantomData<fn() -> K>,
}

#[async_trait]
impl<K: Kind> Op for ListVersions<K> {
    const ACTION: Action = K::LIST;
    type Output = Page<Shown<K>>;

    fn scope(&self) -> ResourceId {
        scope_of::<K>(&self.vault, &self.name)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let (most, after) = (self.paging.most()?, self.paging.after()?);
        let opened = open(cx, &self.vault).await?;
        let found = opened.named::<K>(cx, &self.name).await?.filter(|row| row.value.deletion.is_none());
        // As Azure has it: what is not there has no versions.
        let Some(Row { id: place, value: object, .. }) = found else {
            return Ok(Page { entries: Vec::new(), next: None });
        };
        let start = after.as_ref().map(|mark| [place.as_slice(), mark].concat());
        let older = cx.page::<Older<K>>(&opened.shelf, &place, start.as_deref(), most.saturating_add(1)).await?;
        let mut versions: Vec<Version<K>> = older.into_iter().map(|row| row.value.0).collect();
        // The current one takes its place among the others, so that a page goes on where the last one ended.
        if after.is_none_or(|mark| object.current.id.as_bytes().as_slice() > mark.as_slice()) {
            versions.push(object.current.clone());
            versions.sort_by_key(|version| version.id);
        }
        cx.note("listed", format!("versions of the {}", K::WORD));
        let recovery = opened.recovery();
        let page = cut(versions, most, |version| Some(*version.id.as_bytes()));
        Ok(page.map(|version| Shown::older(object.clone(), version, recovery)))
    }
}
