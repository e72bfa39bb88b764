//! Code versions: a snapshot under a name, immutable.

use std::collections::BTreeMap;

use async_trait::async_trait;
use kernel::{Action, Class, Error, Kind, ResourceId, Result};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{
    Finding, SnapshotFile,
    file::{self, Manifest, find_manifest},
    look::look,
    tree::Tree,
};
use crate::{
    gate::{Admission, Changes, Cx, Op, Row, Shelf},
    resources::{Resource, ResourceType, SystemData, Written, find, row_id, workspace_shelf},
};

/// Largest snapshot, in bytes (requirement L-02).
pub(super) const MOST_BYTES: u64 = 300 << 20;
/// Most files that differ from the parent (requirement L-02).
const MOST_CHANGED: usize = 2000;
/// Most files at all.
const MOST_FILES: usize = 20_000;
const ATTEMPTS: usize = 8;

/// A code version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeVersion {
    /// The id of its tree.
    pub snapshot: String,
    /// The tree it was made from, if the client said so.
    pub parent: Option<String>,
    /// How many files.
    pub files: u64,
    /// How many bytes.
    pub bytes: u64,
    /// For people.
    pub description: String,
    /// Where it came from: `azureml.git.…`.
    pub properties: BTreeMap<String, String>,
    /// Lines that look as if they held a secret or personal data; at most 50.
    #[serde(default)]
    pub findings: Vec<Finding>,
    /// Files that were not looked at for such, or not to their end, because there was too much.
    #[serde(default)]
    pub unseen: u64,
}

impl ResourceType for CodeVersion {
    const TYPE: &'static str = "Microsoft.MachineLearningServices/workspaces/codes/versions";
    const READ: Action = Action::new("Microsoft.MachineLearningServices/workspaces/codes/versions/read", Class::Read);
    const WRITE: Action =
        Action::new("Microsoft.MachineLearningServices/workspaces/codes/versions/write", Class::Control);
    const DELETE: Action =
        Action::new("Microsoft.MachineLearningServices/workspaces/codes/versions/delete", Class::Control);
}

/// A code version with its files.
#[derive(Clone, Debug)]
pub struct Code {
    /// The version.
    pub row: Row<Resource<CodeVersion>>,
    /// Its files.
    pub files: Vec<SnapshotFile>,
}

/// What a client says of a new code version.
#[derive(Clone, Debug, Default)]
pub struct NewCode {
    /// The files; their contents were brought before.
    pub files: Vec<SnapshotFile>,
    /// The snapshot it was made from: what it shares with that one does not count as changed.
    pub parent: Option<String>,
    /// For people.
    pub description: String,
    /// Where it came from.
    pub properties: BTreeMap<String, String>,
    /// Free labels.
    pub tags: BTreeMap<String, String>,
}

/// Makes a code version. The same files under the same name again change nothing; others are refused.
#[derive(Debug)]
pub struct PutCode {
    /// Its id: `…/codes/{name}/versions/{version}`.
    pub id: ResourceId,
    /// What it shall be.
    pub code: NewCode,
}

#[async_trait]
impl Op for PutCode {
    const ACTION: Action = CodeVersion::WRITE;
    type Output = Written<Resource<CodeVersion>>;

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        self.check_words()?;
        for _ in 0..ATTEMPTS {
            match self.once(cx).await {
                Err(fault) if fault.kind() == Kind::Stale => {}
                done => return done,
            }
        }
        Err(Error::new(Kind::Throttled, "too many others write the same code at once; try again"))
    }
}

impl PutCode {
    fn check_words(&self) -> Result<()> {
        let parent = self.id.parent();
        check_name("name", parent.name())?;
        check_name("version", self.id.name())?;
        let maps = [("properties.properties", &self.code.properties, 4096), ("properties.tags", &self.code.tags, 256)];
        for (field, map, longest) in maps {
            let fits = map.iter().all(|(key, value)| (1..=512).contains(&key.len()) && value.len() <= longest);
            if !fits || map.len() > 50 {
                let why = format!("at most 50 entries, names of 1 to 512 and values of at most {longest} bytes");
                return Err(Error::invalid(field, why));
            }
        }
        if self.code.description.len() > 4096 {
            return Err(Error::invalid("properties.description", "at most 4096 bytes"));
        }
        Ok(())
    }

    async fn once(&self, cx: &Cx<'_, Self>) -> Result<Written<Resource<CodeVersion>>> {
        let (shelf, workspace) = workspace_shelf(cx, &self.id).await?;
        let files = &self.code.files;
        let bytes = check_size(files)?;
        let snapshot = Tree::of(files)?.id();
        let row_id = row_id::<CodeVersion>(&shelf, &self.id);
        if let Some(row) = cx.get::<Resource<CodeVersion>>(&shelf, &row_id).await? {
            if row.value.properties.snapshot == snapshot {
                return Ok(Written { row, is_new: false });
            }
            let why =
                format!("the code version `{}` exists with other content; choose another version", self.id.name());
            return Err(Error::new(Kind::Conflict, why));
        }
        let manifest_id = shelf.name_id::<Manifest>(&snapshot);
        let is_known = cx.get::<Manifest>(&shelf, &manifest_id).await?.is_some();
        let mut changes = Changes::new();
        if !is_known {
            self.check_changed(cx, &shelf).await?;
            check_present(cx, &shelf, files).await?;
            let mut files = files.clone();
            files.sort_by(|a, b| a.path.cmp(&b.path));
            changes.put(&shelf, &Row::new(manifest_id, Manifest { files }))?;
        }
        let looked = look(cx, &shelf, workspace.value.properties.content_scan, files, &mut changes).await?;
        let mut row = Row::new(
            row_id,
            Resource {
                id: self.id.clone(),
                guid: Uuid::new_v4(),
                location: String::new(),
                tags: self.code.tags.clone(),
                system: SystemData::new(cx),
                properties: CodeVersion {
                    snapshot: snapshot.clone(),
                    parent: self.code.parent.clone(),
                    files: u64::try_from(files.len()).unwrap_or(u64::MAX),
                    bytes,
                    description: self.code.description.clone(),
                    properties: self.code.properties.clone(),
                    findings: looked.findings,
                    unseen: looked.unseen,
                },
            },
        );
        changes.put(&shelf, &row)?;
        cx.note("snapshot", snapshot);
        cx.note("files", files.len().to_string());
        cx.commit(changes).await?;
        row.version = 1;
        Ok(Written { row, is_new: true })
    }

    /// Counts what differs from the parent; without one, everything does.
    async fn check_changed(&self, cx: &Cx<'_, Self>, shelf: &Shelf) -> Result<()> {
        let files = &self.code.files;
        let changed = match &self.code.parent {
            Some(parent) => {
                let known = find_manifest(cx, shelf, parent).await.map_err(|fault| match fault.kind() {
                    Kind::NotFound => Error::invalid("properties.parentSnapshotId", "there is no such snapshot here"),
                    _ => fault,
                })?;
                let known: BTreeMap<&str, &SnapshotFile> =
                    known.files.iter().map(|file| (file.path.as_str(), file)).collect();
                files.iter().filter(|file| known.get(file.path.as_str()) != Some(file)).count()
            }
            None => files.len(),
        };
        if changed > MOST_CHANGED {
            let why = format!(
                "{changed} files are new or changed, and a snapshot may change at most {MOST_CHANGED}; leave files out with \
                 `.amlignore`"
            );
            return Err(Error::invalid("properties.files", why));
        }
        Ok(())
    }
}

/// Refuses what is too large at all; the length otherwise.
fn check_size(files: &[SnapshotFile]) -> Result<u64> {
    if files.is_empty() || files.len() > MOST_FILES {
        return Err(Error::invalid("properties.files", format_args!("a snapshot has 1 to {MOST_FILES} files")));
    }
    let bytes = files.iter().fold(0_u64, |sum, file| sum.saturating_add(file.length));
    if bytes > MOST_BYTES {
        return Err(Error::invalid("properties.files", "Your total snapshot size exceeds the limit of 300.0 MB"));
    }
    Ok(bytes)
}

async fn check_present(cx: &Admission<'_>, shelf: &Shelf, files: &[SnapshotFile]) -> Result<()> {
    for wanted in files {
        match file::find(cx, shelf, &wanted.sha256).await? {
            Some(stored) if stored.length == wanted.length => {}
            Some(stored) => {
                let why = format!("`{}` has {} bytes, not {}", wanted.path, stored.length, wanted.length);
                return Err(Error::invalid("properties.files", why));
            }
            None => {
                let why =
                    format!("the content of `{}` is not in the workspace yet; send it in a pack first", wanted.path);
                return Err(Error::invalid("properties.files", why));
            }
        }
    }
    Ok(())
}

fn check_name(field: &str, name: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
    let starts_well = name.starts_with(|c: char| c.is_ascii_alphanumeric());
    if starts_well && name.len() <= 255 && name.chars().all(fits) {
        return Ok(());
    }
    Err(Error::invalid(field, "must be 1 to 255 letters, digits, `-`, `_` or `.`, starting with a letter or digit"))
}

/// Reads a code version with its files.
#[derive(Debug)]
pub struct GetCode {
    /// Its id.
    pub id: ResourceId,
}

#[async_trait]
impl Op for GetCode {
    const ACTION: Action = CodeVersion::READ;
    type Output = Code;

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Code> {
        let (shelf, row) = find::<CodeVersion>(cx, &self.id).await?;
        let files = find_manifest(cx, &shelf, &row.value.properties.snapshot).await?.files;
        Ok(Code { row, files })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(length: u64) -> SnapshotFile {
        SnapshotFile { path: String::from("a"), length, sha256: String::new(), executable: false }
    }

    #[test]
    fn a_snapshot_has_at_most_300_mb() {
        assert_eq!(check_size(&[file(MOST_BYTES)]).unwrap(), MOST_BYTES);
        let fault = check_size(&[file(MOST_BYTES), file(1)]).unwrap_err();
        assert!(fault.public().contains("Your total snapshot size exceeds the limit of 300.0 MB"), "{fault}");
        assert!(check_size(&[file(u64::MAX), file(u64::MAX)]).is_err());
        assert!(check_size(&[]).is_err());
    }

    #[test]
    fn names_are_plain() {
        for bad in ["", ".", "-a", "a b", "a/b", &"a".repeat(256)] {
            assert!(check_name("name", bad).is_err(), "{bad:?}");
        }
        assert!(check_name("version", "1.0-rc_1").is_ok());
    }
}
