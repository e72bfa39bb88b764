//! Storage accounts as resources: what is set of one beside its labels, and from where it is reached.

use std::collections::BTreeMap;

use async_trait::async_trait;
use kernel::{Action, Error, ResourceId, Result};
use uuid::Uuid;

use super::{
    Companion, Precondition, PutResource, Resource, ResourceGroup, ResourceType, StorageAccount, Written, address,
    find, row_id,
};
use crate::{
    gate::{Changes, Cx, Op},
    network::{self, AccountNetworkRequest},
};

/// What a caller says of an account; what is not said stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountWanted {
    /// `Standard_LRS` and the like. Only a name here: there is one kind of disk.
    pub sku: Option<String>,
    /// `StorageV2` and the like; the same.
    pub kind: Option<String>,
    /// Whether the account's keys, and what is signed with them, are taken.
    pub allow_shared_key: Option<bool>,
    /// From where it is reached.
    pub network: AccountNetworkRequest,
}

impl AccountWanted {
    fn apply(&self, account: &mut StorageAccount) -> Result<()> {
        let word = |field: &str, text: &str| {
            let is_word = (1..=40).contains(&text.len()) && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
            if is_word { Ok(text.to_owned()) } else { Err(Error::invalid(field, "must be a word of Azure's")) }
        };
        if let Some(sku) = &self.sku {
            account.sku = Some(word("sku.name", sku)?);
        }
        if let Some(kind) = &self.kind {
            if !["Storage", "StorageV2", "BlobStorage", "BlockBlobStorage"].contains(&kind.as_str()) {
                let why = "must be `StorageV2`, `BlobStorage`, `BlockBlobStorage` or `Storage`; there are no files, queues and tables";
                return Err(Error::invalid("kind", why));
            }
            account.kind = Some(kind.clone());
        }
        if let Some(allow) = self.allow_shared_key {
            account.refuses_keys = !allow;
        }
        Ok(())
    }
}

/// Creates a storage account, or changes it.
#[derive(Debug)]
pub struct PutStorageAccount {
    /// Its id, directly below a resource group.
    pub id: ResourceId,
    /// Where; kept when empty.
    pub location: String,
    /// Free labels; kept when not said.
    pub tags: Option<BTreeMap<String, String>>,
    /// What else is said.
    pub wanted: AccountWanted,
    /// What must hold.
    pub precondition: Precondition,
}

#[async_trait]
impl Op for PutStorageAccount {
    const ACTION: Action = StorageAccount::WRITE;
    type Output = Written<Resource<StorageAccount>>;

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let system = cx.system();
        let (_, group) = find::<ResourceGroup, _>(cx, &self.id.parent()).await?;
        let mut changes = Changes::new();
        let Self { id, location, tags, wanted, precondition } = self;
        let present = cx.get::<Resource<StorageAccount>>(system, &row_id::<StorageAccount>(system, &id)).await?;
        let (guid, mut properties, old_tags) = match present {
            Some(row) => (row.value.guid, row.value.properties, row.value.tags),
            None if precondition.present => return Err(Error::not_found(format_args!("the resource `{id}`"))),
            None => {
                StorageAccount::check_name(id.name())?;
                let guid = Uuid::new_v4();
                address::found::<StorageAccount, _>(cx, &id, guid, &mut changes).await?;
                // A group that is deleted meanwhile makes this commit stale, and the reverse.
                changes.put(system, &group)?;
                let tenant = cx.house().tenant().ok_or_else(|| Error::internal("a house without a tenant"))?;
                (guid, StorageAccount::fresh(tenant), BTreeMap::new())
            }
        };
        wanted.apply(&mut properties)?;
        network::change_account(cx, &mut changes, &id, guid, &wanted.network).await?;
        cx.note("allowSharedKeyAccess", properties.takes_keys().to_string());
        let tags = tags.unwrap_or(old_tags);
        PutResource { id, location, tags, properties, precondition }.apply_as(cx, changes, guid).await
    }
}
