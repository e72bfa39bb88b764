//! Repositories: names below a registry, each with an id of its own that the rows of what it holds begin with.

use std::{collections::BTreeSet, sync::Arc};

use async_trait::async_trait;
use kernel::{Action, Class, ResourceId, Result, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Digest, RegistryPlace, RepositoryName, fault};
use crate::gate::{Admission, Changes, Cx, Op, Record, Row, Shelf};

/// How often contenders for a row try again.
pub(super) const ATTEMPTS: usize = 16;
/// Rows that are read at once.
pub(super) const PAGE: usize = 500;
/// Names of one answer.
pub const MOST_LISTED: usize = 1000;

/// Permission to pull.
pub const PULL: Action = Action::new("Microsoft.ContainerRegistry/registries/pull/read", Class::Read);
/// Permission to push.
pub const PUSH: Action = Action::new("Microsoft.ContainerRegistry/registries/push/write", Class::DataWrite);
/// Permission to delete.
pub const DELETE: Action = Action::new("Microsoft.ContainerRegistry/registries/artifacts/delete", Class::DataWrite);

/// A repository; its row's id is the keyed hash of its name.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Repository {
    /// What the rows of what it holds begin with. Never reused, unlike the name.
    pub(super) id: Uuid,
    /// Its name.
    pub name: RepositoryName,
    /// When something was first sent to it.
    pub created_at: Timestamp,
}

impl Record for Repository {
    const TABLE: &'static str = "oci-repository";
}

impl Repository {
    /// The id of a row below it, by the name that the row's table keeps secret.
    pub(super) fn below<T: Record>(&self, shelf: &Shelf, name: &str) -> Vec<u8> {
        let mut id = self.id.as_bytes().to_vec();
        id.extend_from_slice(&shelf.name_id::<T>(name));
        id
    }

    /// The same for a digest.
    pub(super) fn of_digest<T: Record>(&self, shelf: &Shelf, digest: &Digest) -> Vec<u8> {
        self.below::<T>(shelf, digest.as_str())
    }

    /// What the ids of all rows below it begin with.
    pub(super) fn all(&self) -> &[u8] {
        self.id.as_bytes()
    }
}

/// A repository that was deleted, by its id, until all that lay in it is removed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct GoneRepository {
    /// When.
    pub(super) at: Timestamp,
}

impl Record for GoneRepository {
    const TABLE: &'static str = "oci-repository-gone";
}

/// A repository that is asked for.
#[derive(Clone, Debug)]
pub struct InRepository {
    /// The registry.
    pub registry: Arc<RegistryPlace>,
    /// The name.
    pub name: RepositoryName,
}

impl InRepository {
    /// Where permission is looked up.
    pub(super) fn scope(&self) -> ResourceId {
        self.registry.id.clone()
    }

    pub(super) fn shelf(&self) -> &Shelf {
        &self.registry.shelf
    }

    /// The repository, if it is there. The record names it either way.
    pub(super) async fn look(&self, cx: &Admission<'_>) -> Result<Option<Repository>> {
        cx.note("repository", self.name.as_str());
        Ok(named(cx, self.shelf(), &self.name).await?.map(|row| row.value))
    }

    /// The repository, made with `changes` when there is none.
    pub(super) async fn ensure(&self, cx: &Admission<'_>, changes: &mut Changes) -> Result<Repository> {
        cx.note("repository", self.name.as_str());
        ensure(cx, self.shelf(), &self.name, changes).await
    }
}

/// The repository with this name.
pub(super) async fn named(cx: &Admission<'_>, shelf: &Shelf, name: &RepositoryName) -> Result<Option<Row<Repository>>> {
    cx.get(shelf, &shelf.name_id::<Repository>(name.as_str())).await
}

/// The same, made with `changes` when there is none: of two who make it at once, one finds its commit stale.
pub(super) async fn ensure(
    cx: &Admission<'_>,
    shelf: &Shelf,
    name: &RepositoryName,
    changes: &mut Changes,
) -> Result<Repository> {
    if let Some(row) = named(cx, shelf, name).await? {
        return Ok(row.value);
    }
    let made = Repository { id: Uuid::new_v4(), name: name.clone(), created_at: cx.now() };
    changes.put(shelf, &Row::new(shelf.name_id::<Repository>(name.as_str()), made.clone()))?;
    Ok(made)
}

/// A part of a list of names, in order.
#[derive(Clone, Debug, Default)]
pub struct Span {
    /// At most so many; as many as one answer holds when nothing is said.
    pub most: Option<usize>,
    /// Only what comes after this.
    pub after: String,
}

/// Names in order, and whether there are more.
#[derive(Clone, Debug, Default)]
pub struct Names {
    /// The names.
    pub names: Vec<String>,
    /// Whether there are more.
    pub has_more: bool,
}

/// The least names that come after what is asked for. Held in memory are no more than are given.
pub(super) struct Least {
    span: Span,
    most: usize,
    found: BTreeSet<String>,
}

impl Least {
    pub(super) fn of(span: Span) -> Self {
        let most = span.most.unwrap_or(MOST_LISTED).min(MOST_LISTED);
        Self { span, most, found: BTreeSet::new() }
    }

    pub(super) fn add(&mut self, name: &str) {
        if name <= self.span.after.as_str() || self.most == 0 {
            return;
        }
        let is_full = self.found.len() > self.most;
        if is_full && self.found.last().is_some_and(|last| last.as_str() <= name) {
            return;
        }
        self.found.insert(name.to_owned());
        if self.found.len() > self.most.saturating_add(1) {
            self.found.pop_last();
        }
    }

    pub(super) fn names(mut self) -> Names {
        let has_more = self.found.len() > self.most;
        if has_more {
            self.found.pop_last();
        }
        Names { names: self.found.into_iter().collect(), has_more }
    }
}

/// Lists the repositories of a registry by name.
#[derive(Debug)]
pub struct ListRepositories {
    /// The registry.
    pub registry: Arc<RegistryPlace>,
    /// Which of them.
    pub span: Span,
}

#[async_trait]
impl Op for ListRepositories {
    const ACTION: Action = PULL;
    type Output = Names;

    fn scope(&self) -> ResourceId {
        self.registry.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Names> {
        let (shelf, mut least) = (&self.registry.shelf, Least::of(self.span));
        let mut after: Option<Vec<u8>> = None;
        loop {
            let rows = cx.page::<Repository>(shelf, b"", after.as_deref(), PAGE).await?;
            rows.iter().for_each(|row| least.add(row.value.name.as_str()));
            after = rows.last().map(|row| row.id.clone());
            if rows.len() < PAGE {
                return Ok(least.names());
            }
        }
    }
}

/// Removes a repository with all that is in it. What lay in it is removed in the background; nobody finds it from now on.
#[derive(Debug)]
pub struct DeleteRepository {
    /// Which.
    pub at: InRepository,
}

#[async_trait]
impl Op for DeleteRepository {
    const ACTION: Action = DELETE;
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.at.scope()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        cx.note("repository", self.at.name.as_str());
        let shelf = self.at.shelf();
        let row = named(cx, shelf, &self.at.name).await?.ok_or_else(fault::no_repository)?;
        let mut changes = Changes::new();
        changes.delete(shelf, &row);
        changes.put(shelf, &Row::new(row.value.all(), GoneRepository { at: cx.now() }))?;
        cx.commit(changes).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn listed(most: Option<usize>, after: &str) -> (Vec<String>, bool) {
        let mut least = Least::of(Span { most, after: after.to_owned() });
        for name in ["d", "b", "e", "a", "c"] {
            least.add(name);
        }
        let names = least.names();
        (names.names, names.has_more)
    }

    #[test]
    fn a_list_goes_on_after_its_last_name() {
        let of = |text: &str| text.chars().map(String::from).collect::<Vec<_>>();
        assert_eq!(listed(None, ""), (of("abcde"), false));
        assert_eq!(listed(Some(2), ""), (of("ab"), true));
        assert_eq!(listed(Some(2), "b"), (of("cd"), true));
        assert_eq!(listed(Some(2), "c"), (of("de"), false));
        assert_eq!(listed(Some(2), "bb"), (of("cd"), true));
        assert_eq!(listed(Some(0), ""), (of(""), false));
        assert_eq!(listed(Some(usize::MAX), "z"), (of(""), false));
    }
}
