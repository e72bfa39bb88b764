//! Data versions: where files lie, for good.

use std::collections::BTreeMap;

use async_trait::async_trait;
use kernel::{Action, Error, Kind, ResourceId, Result};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    DataKind, DataPlace,
    container::{
        ATTEMPTS, DELETE, DataContainer, READ, WRITE, check_name, check_said, is_demanding, latest_of, look, new_row,
        require_kind, too_busy, versions,
    },
};
use crate::{
    gate::{Admission, Changes, Cx, Op, Row, Shelf},
    governance::amend,
    resources::{Datastore, Precondition, Resource, ResourceType, SystemData, Written, row_id, workspace_shelf},
    tracking::{action::READ_RUNS, require_run},
};

/// Most versions of one name.
const MOST_VERSIONS: u64 = 10_000;
/// Names that mean another version from day to day.
const LABELS: &[&str] = &["latest"];

/// A version of a data asset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataVersion {
    /// What it is.
    pub kind: DataKind,
    /// Where it lies, as it was said.
    pub uri: String,
    /// The same, understood.
    pub place: DataPlace,
    /// Its name as a number; 0 when it is none.
    pub number: u64,
    /// For people.
    pub description: String,
    /// Free properties.
    pub properties: BTreeMap<String, String>,
    /// Whether it was made on the way by a client, and nobody named it.
    pub is_anonymous: bool,
    /// Whether lists leave it out.
    pub is_archived: bool,
}

impl ResourceType for DataVersion {
    const TYPE: &'static str = "Microsoft.MachineLearningServices/workspaces/data/versions";
    const READ: Action = READ;
    const WRITE: Action = WRITE;
    const DELETE: Action = DELETE;
}

/// What a client says of a version.
#[derive(Clone, Debug)]
pub struct NewDataVersion {
    /// What it is.
    pub kind: DataKind,
    /// Where it lies.
    pub uri: String,
    /// For people.
    pub description: String,
    /// Free labels.
    pub tags: BTreeMap<String, String>,
    /// Free properties.
    pub properties: BTreeMap<String, String>,
    /// Whether nobody named it.
    pub is_anonymous: bool,
    /// Whether lists leave it out.
    pub is_archived: bool,
}

/// Registers a version, and its name with the first one; or changes what is said about one that is there.
#[derive(Debug)]
pub struct PutDataVersion {
    /// Its id: `…/data/{name}/versions/{version}`.
    pub id: ResourceId,
    /// What it shall be.
    pub wanted: NewDataVersion,
    /// What must hold.
    pub precondition: Precondition,
}

#[async_trait]
impl Op for PutDataVersion {
    const ACTION: Action = WRITE;
    type Output = Written<Resource<DataVersion>>;

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        check_name("name", self.id.parent().name())?;
        check_version(self.id.name())?;
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

impl PutDataVersion {
    async fn once(&self, cx: &Admission<'_>) -> Result<Written<Resource<DataVersion>>> {
        let (shelf, workspace) = workspace_shelf(cx, &self.id).await?;
        let above = self.id.parent();
        let container = look(cx, &shelf, &above).await?;
        let id = row_id::<DataVersion>(&shelf, &self.id);
        let present = cx.get::<Resource<DataVersion>>(&shelf, &id).await?;
        self.precondition.hold(present.as_ref())?;
        let mut container = container.unwrap_or_else(|| new_row(cx, &shelf, &above, self.wanted.kind));
        let is_new = present.is_none();
        let mut row = match present {
            Some(row) => {
                self.require_same(&row.value.properties)?;
                row
            }
            None => Row::new(id, self.begun(cx, &shelf, &workspace.value.id, &container.value).await?),
        };
        let was_archived = !is_new && row.value.properties.is_archived;
        self.say(cx, &mut row.value, is_new);
        amend(cx, &mut row.value, None)?;
        let mut changes = Changes::new();
        changes.put(&shelf, &row)?;
        let is_archived = row.value.properties.is_archived;
        if is_new || was_archived != is_archived {
            let latest = if is_new && !is_archived {
                Some(self.id.name().to_owned())
            } else {
                let mut all = versions(cx, &shelf, &above).await?;
                all.retain(|one| one.id != row.id);
                all.push(row.clone());
                latest_of(&all)
            };
            let known = &mut container.value.properties;
            known.latest = latest;
            if is_new {
                known.count = known.count.saturating_add(1);
                known.last_number = known.last_number.max(row.value.properties.number);
            }
            container.value.system.touch(cx);
            changes.put(&shelf, &container)?;
        }
        cx.note("dataType", self.wanted.kind.word());
        cx.note("archived", is_archived.to_string());
        cx.commit(changes).await?;
        row.version = row.version.saturating_add(1);
        Ok(Written { row, is_new })
    }

    /// A new version, of which the place was looked at.
    async fn begun(
        &self,
        cx: &Admission<'_>,
        shelf: &Shelf,
        workspace: &ResourceId,
        container: &Resource<DataContainer>,
    ) -> Result<Resource<DataVersion>> {
        let NewDataVersion { kind, uri, is_anonymous, .. } = &self.wanted;
        require_kind(&container.properties, *kind)?;
        if container.properties.count >= MOST_VERSIONS {
            let why = format!("a data asset has at most {MOST_VERSIONS} versions; delete some or choose another name");
            return Err(Error::new(Kind::Conflict, why));
        }
        let place = DataPlace::parse(uri, *kind, workspace)?;
        require_place(cx, shelf, workspace, &place).await?;
        Ok(Resource {
            id: self.id.clone(),
            guid: Uuid::new_v4(),
            location: String::new(),
            tags: BTreeMap::new(),
            system: SystemData::new(cx),
            properties: DataVersion {
                kind: *kind,
                uri: uri.clone(),
                place,
                number: number_of(self.id.name()),
                description: String::new(),
                properties: BTreeMap::new(),
                is_anonymous: *is_anonymous,
                is_archived: false,
            },
        })
    }

    /// What is said about it, as it is wanted.
    fn say(&self, cx: &Admission<'_>, resource: &mut Resource<DataVersion>, is_new: bool) {
        let wanted = &self.wanted;
        if !is_new {
            resource.system.touch(cx);
        }
        resource.tags.clone_from(&wanted.tags);
        let version = &mut resource.properties;
        version.description.clone_from(&wanted.description);
        version.properties.clone_from(&wanted.properties);
        version.is_archived = wanted.is_archived;
    }

    /// Refuses another kind or place than the version was registered with.
    fn require_same(&self, present: &DataVersion) -> Result<()> {
        if present.kind == self.wanted.kind && present.uri == self.wanted.uri {
            return Ok(());
        }
        let name = self.id.name();
        let why = format!("the version `{name}` exists and its type and path never change; register another version");
        Err(Error::new(Kind::Conflict, why))
    }
}

/// Refuses a datastore or run that is not there. To whoever may not see it, it is not.
async fn require_place(cx: &Admission<'_>, shelf: &Shelf, workspace: &ResourceId, place: &DataPlace) -> Result<()> {
    let missing =
        |what: &str| Error::invalid("properties.dataUri", format_args!("there is no {what} in this workspace"));
    match place {
        DataPlace::Datastore { name, .. } => {
            let what = format!("datastore `{name}`");
            let id = workspace.child(["datastores", name.as_str()]).map_err(|_| missing(&what))?;
            let row = cx.get::<Resource<Datastore>>(shelf, &row_id::<Datastore>(shelf, &id)).await?;
            if row.is_some() && cx.may(&Datastore::READ, &id) { Ok(()) } else { Err(missing(&what)) }
        }
        DataPlace::Run { run, .. } => {
            let is_there = require_run(cx, shelf, run).await;
            match is_there {
                Ok(()) if cx.may(&READ_RUNS, workspace) => Ok(()),
                Err(fault) if fault.kind() != Kind::NotFound => Err(fault),
                _ => Err(missing(&format!("run `{run}`"))),
            }
        }
    }
}

fn check_version(name: &str) -> Result<()> {
    check_name("version", name)?;
    if LABELS.iter().any(|label| label.eq_ignore_ascii_case(name)) {
        let why = "`latest` is whichever version is the newest; name this one with a number";
        return Err(Error::invalid("version", why));
    }
    Ok(())
}

/// The number that a version is called, if it is one.
fn number_of(name: &str) -> u64 {
    let is_plain = name.len() <= 18 && !name.starts_with('0') && name.bytes().all(|digit| digit.is_ascii_digit());
    if is_plain { name.parse().unwrap_or(0) } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_labels_are_nobody_s() {
        for good in ["1", "2026-01-31", "1.0_rc", "v2"] {
            assert!(check_version(good).is_ok(), "{good}");
        }
        for bad in ["", ".", "..", "-1", "a b", "a/b", "a:b", "latest", "LATEST", &"1".repeat(256)] {
            assert!(check_version(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_plain_numbers_count() {
        for (name, number) in [("1", 1), ("120", 120), ("01", 0), ("1.0", 0), ("v1", 0), ("9999999999999999999", 0)] {
            assert_eq!(number_of(name), number, "{name}");
        }
    }
}
