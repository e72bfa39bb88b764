//! Data containers: a name with versions.

use std::collections::BTreeMap;

use async_trait::async_trait;
use kernel::{Action, Class, Error, Kind, ResourceId, Result};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{DataKind, version::DataVersion};
use crate::{
    gate::{Admission, Changes, Cx, Op, Row, Shelf},
    governance::amend,
    resources::{
        Precondition, Resource, ResourceType, SystemData, Written, check_tags, check_words, collection, row_id,
        workspace_shelf,
    },
};

/// How often a write is tried when others write the same name.
pub(super) const ATTEMPTS: usize = 8;

pub(super) const READ: Action =
    Action::new("Microsoft.MachineLearningServices/workspaces/data/versions/read", Class::Read);
pub(super) const WRITE: Action =
    Action::new("Microsoft.MachineLearningServices/workspaces/data/versions/write", Class::Control);
pub(super) const DELETE: Action =
    Action::new("Microsoft.MachineLearningServices/workspaces/data/versions/delete", Class::Control);

/// A name with versions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataContainer {
    /// What all its versions are.
    pub kind: DataKind,
    /// For people.
    pub description: String,
    /// Free properties.
    pub properties: BTreeMap<String, String>,
    /// Whether lists leave it out.
    pub is_archived: bool,
    /// The highest number that a version was called, deleted ones included.
    pub last_number: u64,
    /// How many versions there are.
    pub count: u64,
    /// The newest version that is not archived: what `latest` means.
    pub latest: Option<String>,
}

/// Azure's catalogue knows the actions of versions alone; they are those of names too.
impl ResourceType for DataContainer {
    const TYPE: &'static str = "Microsoft.MachineLearningServices/workspaces/data";
    const READ: Action = READ;
    const WRITE: Action = WRITE;
    const DELETE: Action = DELETE;
}

impl DataContainer {
    pub(super) fn new(kind: DataKind) -> Self {
        Self {
            kind,
            description: String::new(),
            properties: BTreeMap::new(),
            is_archived: false,
            last_number: 0,
            count: 0,
            latest: None,
        }
    }

    /// The number that the next version can be called.
    pub fn next(&self) -> u64 {
        self.last_number.saturating_add(1)
    }
}

/// What a client says of a container.
#[derive(Clone, Debug)]
pub struct NewDataContainer {
    /// What its versions are; never changes.
    pub kind: DataKind,
    /// For people.
    pub description: String,
    /// Free labels.
    pub tags: BTreeMap<String, String>,
    /// Free properties.
    pub properties: BTreeMap<String, String>,
    /// Whether lists leave it out.
    pub is_archived: bool,
}

/// Makes a container, or changes what is said about it.
#[derive(Debug)]
pub struct PutDataContainer {
    /// Its id: `…/data/{name}`.
    pub id: ResourceId,
    /// What it shall be.
    pub wanted: NewDataContainer,
    /// What must hold.
    pub precondition: Precondition,
}

#[async_trait]
impl Op for PutDataContainer {
    const ACTION: Action = WRITE;
    type Output = Written<Resource<DataContainer>>;

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        check_name("name", self.id.name())?;
        check_said(&self.wanted.description, &self.wanted.tags, &self.wanted.properties)?;
        for _ in 0..ATTEMPTS {
            match self.once(cx).await {
                Err(fault) if fault.kind() == Kind::Stale && !is_demanding(self.precondition) => {}
                done => return done,
            }
        }
        Err(too_busy())
    }
}

impl PutDataContainer {
    async fn once(&self, cx: &Admission<'_>) -> Result<Written<Resource<DataContainer>>> {
        let (shelf, _) = workspace_shelf(cx, &self.id).await?;
        let present = look(cx, &shelf, &self.id).await?;
        self.precondition.hold(present.as_ref())?;
        let is_new = present.is_none();
        let mut row = match present {
            Some(mut row) => {
                row.value.system.touch(cx);
                row
            }
            None => new_row(cx, &shelf, &self.id, self.wanted.kind),
        };
        let wanted = &self.wanted;
        require_kind(&row.value.properties, wanted.kind)?;
        row.value.tags.clone_from(&wanted.tags);
        let container = &mut row.value.properties;
        container.description.clone_from(&wanted.description);
        container.properties.clone_from(&wanted.properties);
        container.is_archived = wanted.is_archived;
        amend(cx, &mut row.value, None)?;
        let mut changes = Changes::new();
        changes.put(&shelf, &row)?;
        cx.commit(changes).await?;
        row.version = row.version.saturating_add(1);
        Ok(Written { row, is_new })
    }
}

/// The container of this id, if it is there.
pub(super) async fn look(
    cx: &Admission<'_>,
    shelf: &Shelf,
    id: &ResourceId,
) -> Result<Option<Row<Resource<DataContainer>>>> {
    cx.get::<Resource<DataContainer>>(shelf, &row_id::<DataContainer>(shelf, id)).await
}

/// The row of a container to be.
pub(super) fn new_row(
    cx: &Admission<'_>,
    shelf: &Shelf,
    id: &ResourceId,
    kind: DataKind,
) -> Row<Resource<DataContainer>> {
    let resource = Resource {
        id: id.clone(),
        guid: Uuid::new_v4(),
        location: String::new(),
        tags: BTreeMap::new(),
        system: SystemData::new(cx),
        properties: DataContainer::new(kind),
    };
    Row::new(row_id::<DataContainer>(shelf, id), resource)
}

/// Refuses another kind than the container's.
pub(super) fn require_kind(container: &DataContainer, kind: DataKind) -> Result<()> {
    if container.kind == kind {
        return Ok(());
    }
    let word = container.kind.word();
    let why =
        format!("the data asset holds `{word}`, and that never changes; choose another name for `{}`", kind.word());
    Err(Error::new(Kind::Conflict, why))
}

/// The newest of these versions that is not archived.
pub(super) fn latest_of(versions: &[Row<Resource<DataVersion>>]) -> Option<String> {
    let active = versions.iter().map(|row| &row.value).filter(|one| !one.properties.is_archived);
    active.max_by_key(|one| (one.system.created_at, one.properties.number)).map(|one| one.id.name().to_owned())
}

/// All versions of a container.
pub(super) async fn versions(
    cx: &Admission<'_>,
    shelf: &Shelf,
    container: &ResourceId,
) -> Result<Vec<Row<Resource<DataVersion>>>> {
    cx.all::<Resource<DataVersion>>(shelf, &collection::<DataVersion>(shelf, container)).await
}

pub(super) fn is_demanding(precondition: Precondition) -> bool {
    precondition.version.is_some() || precondition.absent || precondition.present
}

pub(super) fn too_busy() -> Error {
    Error::new(Kind::Throttled, "too many others write the same data asset at once; try again")
}

/// Names of assets and versions.
pub(super) fn check_name(field: &str, name: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if starts_well && name.len() <= 255 && name.chars().all(fits) {
        return Ok(());
    }
    Err(Error::invalid(field, "must be 1 to 255 letters, digits, `-`, `_` or `.`, starting with a letter or digit"))
}

/// Bounds on what is said about an asset.
pub(super) fn check_said(
    description: &str,
    tags: &BTreeMap<String, String>,
    properties: &BTreeMap<String, String>,
) -> Result<()> {
    check_words("properties.description", description)?;
    check_tags(tags)?;
    let fits = properties.iter().all(|(name, value)| (1..=512).contains(&name.len()) && value.len() <= 4096);
    if fits && properties.len() <= 50 {
        return Ok(());
    }
    let why = "at most 50 entries, names of 1 to 512 and values of at most 4096 bytes";
    Err(Error::invalid("properties.properties", why))
}
