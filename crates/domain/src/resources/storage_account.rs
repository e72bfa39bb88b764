//! Storage accounts as resources: what is set of one beside its labels, and from where it is reached.

use std::collections::BTreeMap;

use async_trait::async_trait;
use kernel::{Action, Caller, Error, PrincipalId, ResourceId, Result};
use serde_json::json;
use uuid::Uuid;

use super::{
    Companion, Precondition, PutResource, Resource, ResourceGroup, ResourceType, StorageAccount, Written, address,
    find, managed_identity::add_managed, row_id,
};
use crate::{
    customer_keys::{KeyRequest, choose, move_key, move_role},
    gate::{Admission, Changes, Cx, Guard, Guarded, House, Op},
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
    /// Whether it shall have an identity of its own.
    pub has_identity: bool,
    /// What shall hold its blobs.
    pub encryption: Option<AccountEncryption>,
}

/// What holds an account's blobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AccountEncryption {
    /// The server's own keyring (`Microsoft.Storage`).
    Server,
    /// A customer's key (`Microsoft.Keyvault`).
    Customer(KeyRequest),
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
    const GUARDS: &'static [Guard] = &[Guard::KeyChange];
    type Output = Written<Resource<StorageAccount>>;

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    fn guarded(&self, _: &House, _: &Caller) -> Result<Guarded> {
        let AccountWanted { sku, kind, allow_shared_key, network, has_identity, encryption } = &self.wanted;
        let asked = match encryption {
            None => return Ok(Guarded::default()),
            Some(AccountEncryption::Server) => json!({"keySource": "Microsoft.Storage"}),
            Some(AccountEncryption::Customer(key)) => {
                json!({"keySource": "Microsoft.Keyvault", "key": key.identifier, "elsewhere": key.elsewhere})
            }
        };
        // What is changed in the same breath is approved with it.
        let body = json!({
            "encryption": asked,
            "location": self.location,
            "tags": self.tags,
            "sku": sku,
            "kind": kind,
            "allowSharedKeyAccess": allow_shared_key,
            "publicNetworkAccess": network.public_network_access,
            "defaultAction": network.default_action,
            "ipRules": network.ip_rules,
            "identity": has_identity,
        });
        Ok(Guarded::at(Guard::KeyChange, &self.id, body))
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        // Keys and roles change one after the other, and so does what an account says of them.
        let _turn = cx.house().assigning.lock().await;
        let system = cx.system();
        let (_, group) = find::<ResourceGroup>(cx, &self.id.parent()).await?;
        let mut changes = Changes::new();
        let Self { id, location, tags, wanted, precondition } = self;
        let present = cx.get::<Resource<StorageAccount>>(system, &row_id::<StorageAccount>(system, &id)).await?;
        let is_new = present.is_none();
        let (guid, mut properties, old_tags, mut place) = match present {
            Some(row) => (row.value.guid, row.value.properties, row.value.tags, row.value.location),
            None if precondition.present => return Err(Error::not_found(format_args!("the resource `{id}`"))),
            None => {
                StorageAccount::check_name(id.name())?;
                // A group that is deleted meanwhile makes this commit stale, and the reverse.
                changes.put(system, &group)?;
                let tenant = cx.house().tenant().ok_or_else(|| Error::internal("a house without a tenant"))?;
                (Uuid::new_v4(), StorageAccount::fresh(tenant), BTreeMap::new(), String::new())
            }
        };
        wanted.apply(&mut properties)?;
        if !location.is_empty() {
            place.clone_from(&location);
        }
        let before = properties.encryption.clone();
        encrypt(cx, &wanted, (&id, &place), &mut properties, &mut changes).await?;
        // A holder elsewhere tells nobody of its next version: to say its key again is to wrap with that.
        let again =
            wanted.encryption.is_some() && properties.encryption.as_ref().is_some_and(|key| key.here().is_none());
        if is_new {
            let key = properties.encryption.as_ref();
            address::found_held::<StorageAccount>(cx, &id, guid, key, &mut changes).await?;
            move_role(cx, None, key, &mut changes).await?;
        } else if properties.encryption != before || again {
            move_key(cx, guid, before.as_ref(), properties.encryption.as_ref(), &mut changes).await?;
        }
        network::change_account(cx, &mut changes, &id, guid, &wanted.network).await?;
        cx.note("allowSharedKeyAccess", properties.takes_keys().to_string());
        let tags = tags.unwrap_or(old_tags);
        PutResource { id, location, tags, properties, precondition }.apply_as(cx, changes, guid).await
    }
}

/// What shall hold the blobs, with the identity in whose name it does.
async fn encrypt(
    cx: &Admission<'_>,
    wanted: &AccountWanted,
    (id, place): (&ResourceId, &str),
    account: &mut StorageAccount,
    changes: &mut Changes,
) -> Result<()> {
    if wanted.has_identity {
        identity_of(cx, id, account, changes)?;
    }
    let key = match &wanted.encryption {
        None => return Ok(()),
        Some(AccountEncryption::Server) => None,
        Some(AccountEncryption::Customer(request)) => {
            let identity = identity_of(cx, id, account, changes)?;
            Some(choose(cx, request, id, place, identity).await?)
        }
    };
    if key != account.encryption {
        cx.note("key", key.as_ref().map_or("Microsoft.Storage", |key| key.identifier.as_str()));
        account.encryption = key;
    }
    Ok(())
}

/// The account's own identity, made when it has none.
fn identity_of(
    cx: &Admission<'_>,
    id: &ResourceId,
    account: &mut StorageAccount,
    changes: &mut Changes,
) -> Result<PrincipalId> {
    if let Some(identity) = account.identity {
        return Ok(identity);
    }
    let (identity, _) = add_managed(cx, changes, id.name(), id)?;
    account.identity = Some(identity);
    Ok(identity)
}
