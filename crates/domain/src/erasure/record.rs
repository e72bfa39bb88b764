//! What is kept of an erasure, and how it comes into the commit that destroys the key.

use kernel::{ResourceId, Result};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::certificate::{Certificate, ErasedKeyring, Erasure, Party, Voice};
use crate::gate::{Actor, Admission, Census, Changes, ForgottenKey, Record, Row};

/// The detail of a record of the log that names the erasure.
pub(super) const DETAIL: &str = "erasure";

/// Who wanted a workspace gone, kept with one that rests.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Asked {
    by: Party,
    at: String,
    #[serde(default)]
    approved_by: Vec<Voice>,
}

impl Asked {
    /// Whoever asks now, with those who approved it. To be asked before the commit.
    pub(crate) fn of(cx: &Admission<'_>) -> Self {
        let actor = cx.actor();
        let id = match &actor {
            Actor::Principal { id, .. } => Some(id.to_string()),
            _ => None,
        };
        let voice =
            |one: crate::access::Decision| Voice { id: one.by.to_string(), name: one.name, at: one.at.rfc3339() };
        let approved_by = cx.approvals().into_iter().map(voice).collect();
        Self { by: Party { id, name: actor.label() }, at: cx.now().rfc3339(), approved_by }
    }
}

/// An erasure as it is kept; its id is the workspace's GUID.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct StoredErasure {
    pub(super) erasure: Erasure,
    /// How many records the log had before: the erasure's own is one of those that follow.
    pub(super) after: u64,
    /// The signed text, once the record's number is known.
    #[serde(default)]
    pub(super) signed: Option<String>,
}

impl Record for StoredErasure {
    const TABLE: &'static str = "erasure";
}

impl StoredErasure {
    pub(super) fn certificate(&self, signed: &str) -> Result<Certificate> {
        Certificate::new(&self.erasure, signed.to_owned())
    }
}

/// Says with `changes`, and in the record of their commit, that a workspace's key is destroyed by them.
pub(crate) async fn tell(
    cx: &Admission<'_>,
    (workspace, guid): (&ResourceId, Uuid),
    asked: Asked,
    (key, objects): (ForgottenKey, Census),
    changes: &mut Changes,
) -> Result<()> {
    let id = Uuid::new_v4();
    let erasure = Erasure {
        id,
        workspace: workspace.clone(),
        workspace_guid: guid,
        asked_by: asked.by,
        asked_at: asked.at,
        approved_by: asked.approved_by,
        erased_at: cx.now().rfc3339(),
        keyring: ErasedKeyring {
            id: guid,
            versions: key.versions,
            customer_key: key.customer_key.map(|key| key.identifier),
        },
        objects,
    };
    let stored = StoredErasure { erasure, after: cx.house().log_head().await?.0, signed: None };
    changes.put(cx.system(), &Row::new(guid.as_bytes().as_slice(), stored))?;
    cx.note(DETAIL, id.to_string());
    Ok(())
}
