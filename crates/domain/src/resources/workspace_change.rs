//! Changing a workspace.

use std::collections::BTreeMap;

use async_trait::async_trait;
use kernel::{Action, Error, ResourceId, Result, WorkspaceId};

use super::{
    Edition, Precondition, Resource, ResourceType, Workspace, edition, find, name, throughput::require_same_throughput,
};
use crate::{
    customer_keys::{KeyRequest, require_same_key},
    gate::{Admission, Changes, Cx, Op, Row},
    governance::amend,
    impact,
    network::{self, NetworkRequest},
    secrets::{ContentScan, ModelScan, SecretDetection},
};

/// Changes a workspace's words and tags (RFC 7396 semantics for what is given).
#[derive(Debug)]
pub struct PatchWorkspace {
    /// Its id.
    pub id: ResourceId,
    /// What shall change.
    pub wanted: Wanted,
    /// What must hold.
    pub precondition: Precondition,
}

/// What can be changed of a workspace; what is not given stays.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// New tags.
    pub tags: Option<BTreeMap<String, String>>,
    /// New name for people.
    pub friendly_name: Option<String>,
    /// New description.
    pub description: Option<String>,
    /// From where it may be reached.
    pub network: NetworkRequest,
    /// Days for which it can be recovered after its deletion.
    pub retention_days: Option<u8>,
    /// Another edition: from basic to enterprise, by owners alone.
    pub edition: Option<Edition>,
    /// What becomes of secrets that are written out.
    pub secret_detection: Option<SecretDetection>,
    /// What becomes of code that holds such.
    pub content_scan: Option<ContentScan>,
    /// What becomes of models that run code when they are loaded.
    pub model_scan: Option<ModelScan>,
    /// The customer's key, which can be said again and not be changed so.
    pub encryption: Option<KeyRequest>,
    /// High business impact, which can be said again and not be changed so.
    pub hbi: Option<bool>,
    /// Whether diagnostics of it may be collected.
    pub sends_diagnostics: Option<bool>,
    /// Request units a second, which can be said again and not be changed so.
    pub throughput: Option<u32>,
}

#[async_trait]
impl Op for PatchWorkspace {
    const ACTION: Action = Workspace::WRITE;
    type Output = Row<Resource<Workspace>>;

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let (_, row) = find::<Workspace>(cx, &self.id).await?;
        self.precondition.hold(Some(&row))?;
        rewrite(cx, row, self.wanted).await
    }
}

/// Changes one that was read.
pub(super) async fn rewrite(
    cx: &Admission<'_>,
    mut row: Row<Resource<Workspace>>,
    wanted: Wanted,
) -> Result<Row<Resource<Workspace>>> {
    let workspace = &mut row.value;
    let Wanted {
        tags,
        friendly_name,
        description,
        mut network,
        retention_days,
        edition,
        secret_detection,
        content_scan,
        model_scan,
        encryption,
        hbi,
        sends_diagnostics,
        throughput,
    } = wanted;
    require_same_throughput(throughput, workspace.properties.throughput)?;
    require_same_key(encryption.as_ref(), workspace.properties.encryption.as_ref())?;
    impact::require_same(hbi, workspace.properties.hbi)?;
    if let Some(tags) = tags {
        name::check_tags(&tags)?;
        workspace.tags = tags;
    }
    if let Some(words) = friendly_name {
        name::check_words("properties.friendlyName", &words)?;
        workspace.properties.friendly_name = words;
    }
    if let Some(words) = description {
        name::check_words("properties.description", &words)?;
        workspace.properties.description = words;
    }
    if let Some(days) = retention_days {
        workspace.properties.retention_days = check_retention(days)?;
    }
    if let Some(edition) = edition {
        edition::require_change(cx, workspace, edition).await?;
        workspace.properties.edition = edition;
    }
    if let Some(mode) = secret_detection {
        cx.note("secretDetection", mode.word());
        workspace.properties.secret_detection = mode;
    }
    if let Some(sends) = sends_diagnostics {
        cx.note("sendDiagnostics", sends.to_string());
        workspace.properties.sends_diagnostics = sends;
    }
    if let Some(mode) = content_scan {
        cx.note("contentScan", mode.word());
        workspace.properties.content_scan = mode;
    }
    if let Some(mode) = model_scan {
        cx.note("modelScan", mode.word());
        workspace.properties.model_scan = mode;
    }
    workspace.system.touch(cx);
    amend(cx, workspace, Some(&mut network))?;
    let mut changes = Changes::new();
    changes.put(cx.system(), &row)?;
    let guid = WorkspaceId::from(row.value.guid);
    network::change(cx, &mut changes, &row.value.id, guid, &network).await?;
    cx.commit(changes).await?;
    row.version = row.version.saturating_add(1);
    Ok(row)
}

/// Days for which a deleted one is kept.
pub(super) fn check_retention(days: u8) -> Result<u8> {
    if (1..=14).contains(&days) {
        return Ok(days);
    }
    Err(Error::invalid("properties.softDeleteRetentionInDays", "must be 1 to 14"))
}
