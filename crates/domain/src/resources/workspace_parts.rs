//! What is made together with a workspace: companions, default datastores, the local target.

use std::collections::BTreeMap;

use kernel::{Error, ResourceId, Result, WorkspaceId};
use uuid::Uuid;

use super::{
    AccountKey, Companion, Datastore, DatastoreKind, Keyed, Resource, ResourceType, SystemData, Target,
    TargetIdentities, account_keys, address, find, row_id,
};
use crate::{
    gate::{Admission, Changes, Row, Shelf},
    governance::amend,
};

/// Companion names: the workspace's letters and digits, and eight characters that make it unique.
pub(crate) fn companion_name(workspace: &str, id: WorkspaceId) -> String {
    let letters = workspace.chars().filter(char::is_ascii_alphanumeric).take(14);
    let unique = id.0.simple().to_string();
    letters.chain(unique.chars().take(8)).collect::<String>().to_ascii_lowercase()
}

/// Makes the resources that come with a workspace.
pub(super) struct Maker<'a, 'c> {
    pub(super) cx: &'a Admission<'c>,
    pub(super) changes: &'a mut Changes,
    pub(super) location: &'a str,
}

impl Maker<'_, '_> {
    /// The companion that was named, which must exist, or a new one beside the workspace.
    pub(super) async fn companion<P: Companion>(
        &mut self,
        group: &ResourceId,
        named: Option<ResourceId>,
        fresh: &str,
        properties: P,
    ) -> Result<(ResourceId, P, Uuid)> {
        if let Some(id) = named {
            return self.brought::<P>(id).await;
        }
        let (namespace, kind) = P::TYPE.split_once('/').unwrap_or((P::TYPE, ""));
        let id = group.child(["providers", namespace, kind, fresh]).map_err(|why| Error::invalid("name", why))?;
        let guid = self.add(&self.cx.system().clone(), id.clone(), properties.clone())?;
        address::found::<P>(self.cx, &id, guid, self.changes).await?;
        Ok((id, properties, guid))
    }

    /// A companion that was there before. Written unchanged: one that is deleted meanwhile makes this commit stale, and the
    /// reverse.
    pub(super) async fn brought<P: ResourceType>(&mut self, id: ResourceId) -> Result<(ResourceId, P, Uuid)> {
        self.cx.require(&P::READ, &id).await?;
        let (shelf, row) = find::<P>(self.cx, &id).await?;
        self.changes.put(&shelf, &row)?;
        Ok((row.value.id, row.value.properties, row.value.guid))
    }

    /// The keys of one that was brought: whoever brings it must be allowed to see them, since the workspace shows them.
    pub(super) async fn keys<P: Keyed>(
        &mut self,
        id: &ResourceId,
        guid: Uuid,
        is_new: bool,
    ) -> Result<Vec<AccountKey>> {
        if !is_new {
            self.cx.require(&P::LIST, id).await?;
        }
        Ok(account_keys::ensure::<P>(self.cx, guid, self.changes).await?.value.shown())
    }

    fn add<P: ResourceType>(&mut self, shelf: &Shelf, id: ResourceId, properties: P) -> Result<Uuid> {
        let guid = Uuid::new_v4();
        let mut resource = Resource {
            id: id.clone(),
            guid,
            location: self.location.to_owned(),
            tags: BTreeMap::new(),
            system: SystemData::new(self.cx),
            properties,
        };
        amend(self.cx, &mut resource, None)?;
        self.changes.put(shelf, &Row::new(row_id::<P>(shelf, &id), resource))?;
        Ok(guid)
    }

    /// Default datastores and the local target.
    pub(super) fn children(
        &mut self,
        shelf: &Shelf,
        id: &ResourceId,
        account: &str,
        workspace: WorkspaceId,
    ) -> Result<()> {
        let containers = [
            ("workspaceblobstore", DatastoreKind::AzureBlob, format!("azureml-blobstore-{workspace}"), true),
            ("workspaceartifactstore", DatastoreKind::AzureBlob, String::from("azureml"), false),
            ("workspacefilestore", DatastoreKind::AzureFile, format!("azureml-filestore-{workspace}"), false),
            ("workspaceworkingdirectory", DatastoreKind::AzureFile, format!("code-{workspace}"), false),
        ];
        let child = |kind: &str, name: &str| id.child([kind, name]).map_err(|why| Error::invalid("name", why));
        for (name, kind, container, is_default) in containers {
            let datastore = Datastore { kind, account: account.to_owned(), container, is_default, has_key: false };
            self.add(shelf, child("datastores", name)?, datastore)?;
        }
        let capabilities = self.cx.compute().capabilities().as_ref().clone();
        let target = Target { capabilities, identities: TargetIdentities::default() };
        self.add(shelf, child("computes", "local")?, target).map(drop)
    }
}
