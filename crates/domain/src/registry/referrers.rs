//! Referrers: manifests that name another one as their subject.

use std::collections::BTreeMap;

use async_trait::async_trait;
use kernel::{Action, ResourceId, Result};
use serde::{Deserialize, Serialize};

use super::{Digest, InRepository, Repository, manifest::Manifest, repository::PULL};
use crate::gate::{Cx, Op, Record, Shelf};

/// Referrers of one answer.
const PAGE: usize = 200;
/// Characters of annotations that are shown of one referrer: an answer stays within what clients take of a manifest.
const MOST_ANNOTATIONS: usize = 16 << 10;

/// A referrer; its row's id is the repository's id, then the keyed hashes of the subject and of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Referrer {
    /// Its digest.
    pub digest: Digest,
    /// Its type.
    pub media_type: String,
    /// Bytes.
    pub length: u64,
    /// What it is.
    pub artifact_type: Option<String>,
    /// What it says of itself.
    pub annotations: BTreeMap<String, String>,
}

impl Record for Referrer {
    const TABLE: &'static str = "oci-referrer";
}

impl Referrer {
    pub(super) fn of(manifest: &Manifest, annotations: BTreeMap<String, String>) -> Self {
        let mut room = MOST_ANNOTATIONS;
        let fits = |(key, value): &(String, String)| {
            let left = room.checked_sub(key.len().saturating_add(value.len()));
            room = left.unwrap_or(room);
            left.is_some()
        };
        Self {
            digest: manifest.digest.clone(),
            media_type: manifest.media_type.clone(),
            length: manifest.length,
            artifact_type: manifest.artifact_type.clone(),
            annotations: annotations.into_iter().filter(fits).collect(),
        }
    }

    pub(super) fn row_id(shelf: &Shelf, repository: &Repository, subject: &Digest, digest: &Digest) -> Vec<u8> {
        let mut id = repository.of_digest::<Self>(shelf, subject);
        id.extend_from_slice(&shelf.name_id::<Self>(digest.as_str()));
        id
    }
}

/// Referrers of a manifest, and where the list goes on.
#[derive(Clone, Debug, Default)]
pub struct Referrers {
    /// They.
    pub found: Vec<Referrer>,
    /// The last one, when there may be more.
    pub next: Option<Digest>,
}

/// Lists what refers to a manifest, whether that is there or not.
#[derive(Debug)]
pub struct ListReferrers {
    /// Of which repository.
    pub at: InRepository,
    /// To which.
    pub subject: Digest,
    /// Only what is of this type.
    pub artifact_type: Option<String>,
    /// Only what the list shows after this one.
    pub after: Option<Digest>,
}

#[async_trait]
impl Op for ListReferrers {
    const ACTION: Action = PULL;
    type Output = Referrers;

    fn scope(&self) -> ResourceId {
        self.at.scope()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Referrers> {
        cx.note("digest", self.subject.as_str());
        let Some(repository) = self.at.look(cx).await? else { return Ok(Referrers::default()) };
        let shelf = self.at.shelf();
        let prefix = repository.of_digest::<Referrer>(shelf, &self.subject);
        let after = self.after.map(|digest| Referrer::row_id(shelf, &repository, &self.subject, &digest));
        let rows = cx.page::<Referrer>(shelf, &prefix, after.as_deref(), PAGE).await?;
        let next = (rows.len() == PAGE).then(|| rows.last().map(|row| row.value.digest.clone())).flatten();
        let is_wanted =
            |referrer: &Referrer| self.artifact_type.is_none() || self.artifact_type == referrer.artifact_type;
        Ok(Referrers { found: rows.into_iter().map(|row| row.value).filter(is_wanted).collect(), next })
    }
}
