//! Vaults as resources: what is set of one beside its labels, and where all of them are.

use std::collections::BTreeMap;

use async_trait::async_trait;
use kernel::{Action, Error, Kind, ResourceId, Result, TenantId};
use uuid::Uuid;

use super::{
    Addressed, Companion, KeyVault, Precondition, PutResource, Resource, ResourceGroup, ResourceType, Written, address,
    collection, companions::groups, deleted_vault, find, row_id,
};
use crate::{
    gate::{Admission, Changes, Cx, Op, Row},
    network::{self, AccountNetworkRequest},
};

/// Days that what is deleted may rest; Azure's bounds.
const REST: std::ops::RangeInclusive<i64> = 7..=90;

/// What a caller says of a vault; what is not said stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VaultWanted {
    /// The tenant whose principals use it: the house's own.
    pub tenant: Option<String>,
    /// `standard` or `premium`: a name for clients; keys are held alike.
    pub sku: Option<String>,
    /// Days that what is deleted rests, 7 to 90. Set once.
    pub retention_days: Option<i64>,
    /// Whether nothing is purged before its time. Once on, it stays.
    pub purge_protection: Option<bool>,
    /// Whether deleted things rest: they always do.
    pub soft_delete: Option<bool>,
    /// Whether roles say who may do what: they always do.
    pub by_roles: Option<bool>,
    /// How many access policies were given; there are none here.
    pub policies: usize,
    /// Take back the deletion of the vault that has this name.
    pub recover: bool,
    /// From where it is reached.
    pub network: AccountNetworkRequest,
}

impl VaultWanted {
    /// Refuses what is not offered.
    fn check(&self, tenant: TenantId) -> Result<()> {
        if self.tenant.as_ref().is_some_and(|named| named.parse() != Ok(tenant)) {
            return Err(Error::invalid("properties.tenantId", "must be the tenant of this server"));
        }
        if self.soft_delete == Some(false) {
            return Err(Error::invalid(
                "properties.enableSoftDelete",
                "cannot be set to false: what is deleted always rests",
            ));
        }
        if self.by_roles == Some(false) || self.policies > 0 {
            let why = "`properties.accessPolicies`: access policies are not supported; assign roles such as `Key Vault Secrets User` at \
                       the vault or at one of its objects";
            return Err(Error::new(Kind::Unsupported, why));
        }
        Ok(())
    }

    /// Changes what is said. Of a vault that is new nothing is set yet.
    fn apply(&self, vault: &mut KeyVault, is_new: bool) -> Result<()> {
        if let Some(sku) = &self.sku {
            vault.sku = match sku.to_ascii_lowercase().as_str() {
                "standard" => String::from("standard"),
                "premium" => String::from("premium"),
                _ => return Err(Error::invalid("properties.sku.name", "must be `standard` or `premium`")),
            };
        }
        if let Some(days) = self.retention_days {
            let field = "properties.softDeleteRetentionInDays";
            let wanted = u16::try_from(days).ok().filter(|_| REST.contains(&days));
            let wanted = wanted.ok_or_else(|| Error::invalid(field, "must be 7 to 90"))?;
            if !is_new && wanted != vault.retention_days {
                return Err(Error::invalid(field, "has been set already and cannot be modified"));
            }
            vault.retention_days = wanted;
        }
        match self.purge_protection {
            Some(true) => vault.purge_protection = true,
            Some(false) if vault.purge_protection => {
                let why = "cannot be set to false: protection against purging is irreversible";
                return Err(Error::invalid("properties.enablePurgeProtection", why));
            }
            Some(false) | None => {}
        }
        Ok(())
    }
}

/// Creates a vault, changes it, or takes its deletion back.
#[derive(Debug)]
pub struct PutVault {
    /// Its id, directly below a resource group.
    pub id: ResourceId,
    /// Where; kept when empty.
    pub location: String,
    /// Free labels; kept when not said.
    pub tags: Option<BTreeMap<String, String>>,
    /// What else is said.
    pub wanted: VaultWanted,
    /// What must hold.
    pub precondition: Precondition,
}

#[async_trait]
impl Op for PutVault {
    const ACTION: Action = KeyVault::WRITE;
    type Output = Written<Resource<KeyVault>>;

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let system = cx.system();
        let (_, group) = find::<ResourceGroup>(cx, &self.id.parent()).await?;
        let tenant = cx.house().tenant().ok_or_else(|| Error::internal("a house without a tenant"))?;
        let mut changes = Changes::new();
        let Self { id, location, tags, wanted, precondition } = self;
        wanted.check(tenant)?;
        let present = cx.get::<Resource<KeyVault>>(system, &row_id::<KeyVault>(system, &id)).await?;
        let is_new = present.is_none();
        let (guid, mut properties, old_tags) = match present {
            Some(Row { value: Resource { guid, properties, tags, .. }, .. }) => (guid, properties, tags),
            None if precondition.present => return Err(Error::not_found(format_args!("the resource `{id}`"))),
            None => {
                if let Some(deleted) = deleted_vault::resting(cx, id.name()).await? {
                    if wanted.recover && deleted.value.vault.id == id {
                        return deleted_vault::recover(cx, deleted).await;
                    }
                    return Err(deleted_vault::rests(&deleted.value));
                }
                KeyVault::check_name(id.name())?;
                let guid = Uuid::new_v4();
                address::found::<KeyVault>(cx, &id, guid, &mut changes).await?;
                // A group that is deleted meanwhile makes this commit stale, and the reverse.
                changes.put(system, &group)?;
                (guid, KeyVault::of_tenant(tenant), BTreeMap::new())
            }
        };
        wanted.apply(&mut properties, is_new)?;
        network::change_account(cx, &mut changes, &id, guid, &wanted.network).await?;
        cx.note("purgeProtection", properties.purge_protection.to_string());
        let tags = tags.unwrap_or(old_tags);
        PutResource { id, location, tags, properties, precondition }.apply_as(cx, changes, guid).await
    }
}

/// Every vault there is, the deleted ones not counted.
pub(crate) async fn every_vault(cx: &Admission<'_>) -> Result<Vec<Addressed>> {
    let mut found = Vec::new();
    for group in groups(cx).await? {
        let rows = cx.all::<Resource<KeyVault>>(cx.system(), &collection::<KeyVault>(cx.system(), &group)).await?;
        found.extend(rows.into_iter().map(|row| Addressed { id: row.value.id, guid: row.value.guid }));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protection_against_purging_stays_and_days_are_set_once() {
        let mut vault = KeyVault::of_tenant(TenantId::random());
        let days = |days| VaultWanted { retention_days: Some(days), ..VaultWanted::default() };
        let protection = |on| VaultWanted { purge_protection: Some(on), ..VaultWanted::default() };
        for bad in [-1, 0, 6, 91, i64::MAX] {
            assert!(days(bad).apply(&mut vault, true).is_err(), "{bad}");
        }
        days(7).apply(&mut vault, true).unwrap();
        assert!(days(8).apply(&mut vault, false).is_err() && days(7).apply(&mut vault, false).is_ok());
        protection(false).apply(&mut vault, false).unwrap();
        protection(true).apply(&mut vault, false).unwrap();
        assert!(protection(false).apply(&mut vault, false).is_err());
        assert!(vault.purge_protection && vault.retention_days == 7);
    }
}
