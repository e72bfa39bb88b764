//! Lists of tags and manifests.

use async_trait::async_trait;
use kernel::{Action, ResourceId, Result, Timestamp};

use super::{
    Digest, InRepository, fault,
    manifest::{Manifest, Tag},
    repository::{Least, Names, PAGE, PULL, Repository, Span},
};
use crate::gate::{Admission, Cx, Op, Shelf};

/// Lists the tags of a repository by name.
#[derive(Debug)]
pub struct ListTags {
    /// Of which repository.
    pub at: InRepository,
    /// Which of them.
    pub span: Span,
}

#[async_trait]
impl Op for ListTags {
    const ACTION: Action = PULL;
    type Output = Names;

    fn scope(&self) -> ResourceId {
        self.at.scope()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Names> {
        let repository = self.at.look(cx).await?.ok_or_else(fault::no_repository)?;
        let mut least = Least::of(self.span);
        let mut after: Option<Vec<u8>> = None;
        loop {
            let rows = cx.page::<Tag>(self.at.shelf(), repository.all(), after.as_deref(), PAGE).await?;
            rows.iter().for_each(|row| least.add(row.value.tag.as_str()));
            after = rows.last().map(|row| row.id.clone());
            if rows.len() < PAGE {
                return Ok(least.names());
            }
        }
    }
}

/// A tag with its times.
#[derive(Clone, Debug)]
pub struct TagView {
    /// The tag.
    pub name: String,
    /// What it names.
    pub digest: Digest,
    /// When it was first given.
    pub created_at: Timestamp,
    /// When it was given last.
    pub updated_at: Timestamp,
}

/// A manifest with its tags.
#[derive(Clone, Debug)]
pub struct ManifestView {
    /// Its digest.
    pub digest: Digest,
    /// Its type.
    pub media_type: String,
    /// The type of its configuration.
    pub config_type: Option<String>,
    /// What it holds, where it says so.
    pub artifact_type: Option<String>,
    /// Bytes of the manifest itself.
    pub length: u64,
    /// When it was pushed.
    pub pushed_at: Timestamp,
    /// What it is called.
    pub tags: Vec<String>,
}

/// A repository with what is in it: Azure's own lists.
#[derive(Clone, Debug)]
pub struct Details {
    /// The repository.
    pub repository: Repository,
    /// Its tags by name, as far as asked for.
    pub tags: Vec<TagView>,
    /// Its manifests by digest, as far as asked for.
    pub manifests: Vec<ManifestView>,
    /// Whether there are more.
    pub has_more: bool,
}

/// Which of a repository's lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Tags.
    Tags,
    /// Manifests.
    Manifests,
}

/// Which entries of a list.
#[derive(Clone, Debug)]
pub enum Entries {
    /// As far as asked for.
    Span(Span),
    /// The one with this name or digest.
    One(String),
}

/// Reads a list of a repository, or one entry of it, with all that is known of each entry.
#[derive(Debug)]
pub struct GetDetails {
    /// Which repository.
    pub at: InRepository,
    /// Which list.
    pub detail: Detail,
    /// Which of its entries.
    pub entries: Entries,
}

#[async_trait]
impl Op for GetDetails {
    const ACTION: Action = PULL;
    type Output = Details;

    fn scope(&self) -> ResourceId {
        self.at.scope()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Details> {
        let repository = self.at.look(cx).await?.ok_or_else(fault::no_repository)?;
        let shelf = self.at.shelf();
        // First the names that are shown, then their rows: held in memory is no more than one answer.
        let is_one = matches!(self.entries, Entries::One(_));
        let Names { names, has_more } = match self.entries {
            Entries::One(name) => Names { names: vec![name], has_more: false },
            Entries::Span(span) => names_in(cx, shelf, &repository, self.detail, span).await?,
        };
        let mut details = Details { repository, tags: Vec::new(), manifests: Vec::new(), has_more };
        for name in names {
            match self.detail {
                Detail::Tags => {
                    let id = details.repository.below::<Tag>(shelf, &name);
                    let Some(row) = cx.get::<Tag>(shelf, &id).await? else { continue };
                    let Tag { digest, created_at, updated_at, .. } = row.value;
                    details.tags.push(TagView { name, digest, created_at, updated_at });
                }
                Detail::Manifests => {
                    let id = details.repository.below::<Manifest>(shelf, &name);
                    let Some(row) = cx.get::<Manifest>(shelf, &id).await? else { continue };
                    let Manifest { digest, media_type, config_type, artifact_type, length, pushed_at, .. } = row.value;
                    let tags = Vec::new();
                    let view = ManifestView { digest, media_type, config_type, artifact_type, length, pushed_at, tags };
                    details.manifests.push(view);
                }
            }
        }
        if is_one && details.tags.is_empty() && details.manifests.is_empty() {
            return Err(fault::no_manifest());
        }
        if self.detail == Detail::Manifests {
            let mut after: Option<Vec<u8>> = None;
            loop {
                let rows = cx.page::<Tag>(shelf, details.repository.all(), after.as_deref(), PAGE).await?;
                after = rows.last().map(|row| row.id.clone());
                let is_last = rows.len() < PAGE;
                for Tag { tag, digest, .. } in rows.into_iter().map(|row| row.value) {
                    if let Some(manifest) = details.manifests.iter_mut().find(|found| found.digest == digest) {
                        manifest.tags.push(tag.to_string());
                    }
                }
                if is_last {
                    break;
                }
            }
            details.manifests.iter_mut().for_each(|manifest| manifest.tags.sort());
        }
        Ok(details)
    }
}

/// The names of a list's entries, as far as asked for.
async fn names_in(
    cx: &Admission<'_>,
    shelf: &Shelf,
    repository: &Repository,
    detail: Detail,
    span: Span,
) -> Result<Names> {
    let mut least = Least::of(span);
    let mut after: Option<Vec<u8>> = None;
    loop {
        let found: Vec<(Vec<u8>, String)> = match detail {
            Detail::Tags => {
                let rows = cx.page::<Tag>(shelf, repository.all(), after.as_deref(), PAGE).await?;
                rows.into_iter().map(|row| (row.id, row.value.tag.to_string())).collect()
            }
            Detail::Manifests => {
                let rows = cx.page::<Manifest>(shelf, repository.all(), after.as_deref(), PAGE).await?;
                rows.into_iter().map(|row| (row.id, row.value.digest.to_string())).collect()
            }
        };
        let is_last = found.len() < PAGE;
        for (id, name) in found {
            least.add(&name);
            after = Some(id);
        }
        if is_last {
            return Ok(least.names());
        }
    }
}
