//! Registries as resources: what is set of one beside its labels (requirement F-13).

use std::collections::BTreeMap;

use async_trait::async_trait;
use kernel::{Action, Caller, Class, Error, Kind, PrincipalId, ResourceId, Result};
use serde_json::json;
use uuid::Uuid;

use super::{
    AccountEncryption, CheckCompanionName, Companion, NameAnswer, Precondition, PutResource, Registry, Resource,
    ResourceGroup, ResourceType, Written, address, find, managed_identity::add_managed, row_id,
};
use crate::{
    customer_keys::{choose, move_key, move_role},
    gate::{Admission, Changes, Cx, Guard, Guarded, House, Op},
};

/// What a caller says of a registry; what is not said stays.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RegistryWanted {
    /// `Basic`, `Standard` or `Premium`. Only a name here: all can do the same.
    pub sku: Option<String>,
    /// Whether the admin account is on.
    pub admin_enabled: Option<bool>,
    /// Whether it shall have an identity of its own.
    pub has_identity: bool,
    /// What shall hold its images.
    pub encryption: Option<AccountEncryption>,
}

/// Creates a registry, or changes it.
#[derive(Debug)]
pub struct PutRegistry {
    /// Its id, directly below a resource group.
    pub id: ResourceId,
    /// Where; kept when empty.
    pub location: String,
    /// Free labels; kept when not said.
    pub tags: Option<BTreeMap<String, String>>,
    /// What else is said.
    pub wanted: RegistryWanted,
    /// What must hold.
    pub precondition: Precondition,
}

#[async_trait]
impl Op for PutRegistry {
    const ACTION: Action = Registry::WRITE;
    const GUARDS: &'static [Guard] = &[Guard::KeyChange];
    type Output = Written<Resource<Registry>>;

    fn scope(&self) -> ResourceId {
        self.id.clone()
    }

    fn guarded(&self, _: &House, _: &Caller) -> Result<Guarded> {
        let RegistryWanted { sku, admin_enabled, has_identity, encryption } = &self.wanted;
        let asked = match encryption {
            None => return Ok(Guarded::default()),
            Some(AccountEncryption::Server) => json!({"status": "disabled"}),
            Some(AccountEncryption::Customer(key)) => {
                json!({"status": "enabled", "key": key.identifier, "elsewhere": key.elsewhere})
            }
        };
        // What is changed in the same breath is approved with it.
        let body = json!({
            "encryption": asked,
            "location": self.location,
            "tags": self.tags,
            "sku": sku,
            "adminUserEnabled": admin_enabled,
            "identity": has_identity,
        });
        Ok(Guarded::at(Guard::KeyChange, &self.id, body))
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        // Keys and roles change one after the other, and so does what a registry says of them.
        let _turn = cx.house().assigning.lock().await;
        let system = cx.system();
        let (_, group) = find::<ResourceGroup>(cx, &self.id.parent()).await?;
        let mut changes = Changes::new();
        let Self { id, location, tags, wanted, precondition } = self;
        let present = cx.get::<Resource<Registry>>(system, &row_id::<Registry>(system, &id)).await?;
        let is_new = present.is_none();
        let (guid, mut properties, old_tags, mut place) = match present {
            Some(row) => (row.value.guid, row.value.properties, row.value.tags, row.value.location),
            None if precondition.present => return Err(Error::not_found(format_args!("the resource `{id}`"))),
            None => {
                Registry::check_name(id.name())?;
                // A group that is deleted meanwhile makes this commit stale, and the reverse.
                changes.put(system, &group)?;
                let tenant = cx.house().tenant().ok_or_else(|| Error::internal("a house without a tenant"))?;
                (Uuid::new_v4(), Registry::fresh(tenant), BTreeMap::new(), String::new())
            }
        };
        apply(&wanted, &mut properties)?;
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
            address::found_held::<Registry>(cx, &id, guid, key, &mut changes).await?;
            move_role(cx, None, key, &mut changes).await?;
        } else if properties.encryption != before || again {
            move_key(cx, guid, before.as_ref(), properties.encryption.as_ref(), &mut changes).await?;
        }
        cx.note("adminUserEnabled", properties.admin_enabled.to_string());
        let tags = tags.unwrap_or(old_tags);
        PutResource { id, location, tags, properties, precondition }.apply_as(cx, changes, guid).await
    }
}

fn apply(wanted: &RegistryWanted, registry: &mut Registry) -> Result<()> {
    if let Some(sku) = &wanted.sku {
        if !["Basic", "Standard", "Premium"].contains(&sku.as_str()) {
            return Err(Error::invalid("sku.name", "must be `Basic`, `Standard` or `Premium`"));
        }
        registry.sku = Some(sku.clone());
    }
    if let Some(enabled) = wanted.admin_enabled {
        registry.admin_enabled = enabled;
    }
    Ok(())
}

/// What shall hold the images, with the identity in whose name it does.
async fn encrypt(
    cx: &Admission<'_>,
    wanted: &RegistryWanted,
    (id, place): (&ResourceId, &str),
    registry: &mut Registry,
    changes: &mut Changes,
) -> Result<()> {
    if wanted.has_identity {
        identity_of(cx, id, registry, changes)?;
    }
    let key = match &wanted.encryption {
        None => return Ok(()),
        Some(AccountEncryption::Server) => None,
        Some(AccountEncryption::Customer(request)) => {
            let identity = identity_of(cx, id, registry, changes)?;
            Some(choose(cx, request, id, place, identity).await?)
        }
    };
    if key != registry.encryption {
        cx.note("key", key.as_ref().map_or("disabled", |key| key.identifier.as_str()));
        registry.encryption = key;
    }
    Ok(())
}

/// The registry's own identity, made when it has none.
fn identity_of(
    cx: &Admission<'_>,
    id: &ResourceId,
    registry: &mut Registry,
    changes: &mut Changes,
) -> Result<PrincipalId> {
    if let Some(identity) = registry.identity {
        return Ok(identity);
    }
    let (identity, _) = add_managed(cx, changes, id.name(), id)?;
    registry.identity = Some(identity);
    Ok(identity)
}

/// Refuses a registry without an admin account: a workspace hands out its passwords (requirement F-13).
pub(super) fn require_admin(id: &ResourceId, registry: &Registry) -> Result<()> {
    if registry.admin_enabled {
        return Ok(());
    }
    let why =
        format!("the admin account of the registry `{}` is off; turn it on first (`adminUserEnabled`)", id.name());
    Err(Error::invalid("properties.containerRegistry", why))
}

/// Refuses what is asked of an admin account that is off.
pub(super) fn require_admin_for_credentials(registry: &Resource<Registry>) -> Result<()> {
    if registry.properties.admin_enabled {
        return Ok(());
    }
    let why = format!(
        "cannot perform credential operations for `{}`, since its admin account is off; turn it on first (`adminUserEnabled`)",
        registry.id
    );
    Err(Error::new(Kind::Conflict, why).coded("UnAuthorizedForCredentialOperations"))
}

#[async_trait]
impl Op for CheckCompanionName<Registry> {
    const ACTION: Action = Action::new("Microsoft.ContainerRegistry/checkNameAvailability/read", Class::Read);
    type Output = NameAnswer;

    fn scope(&self) -> ResourceId {
        self.place()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<NameAnswer> {
        self.answer(cx).await
    }
}
