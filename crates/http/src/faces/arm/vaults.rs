//! Key vaults as resources; what they hold has a face of its own.

use std::collections::BTreeMap;

use axum::response::{IntoResponse, Response};
use domain::{
    gate::{Row, enter},
    network::{AccountNetworkRequest, NetworkRules, network_of},
    resources::{
        CheckCompanionName, DeleteVault, DeletedVault, FindDeletedVault, GetDeletedVault, GetResource, KeyVault,
        ListDeletedVaults, ListInSubscription, ListResources, NameAnswer, PurgeVault, PutVault, Resource, ResourceType,
        VaultWanted,
    },
};
use http::{Method, StatusCode};
use kernel::{Caller, Error, Kind, ResourceId, SubscriptionId};
use serde::Deserialize;
use serde_json::{Value, json};
use wire::arm;

use super::{Fault, GROUP, list, named, precondition, show};
use crate::{Doors, Guest};

/// The doors of vaults.
pub(super) fn doors(doors: Doors) -> Doors {
    let all = format!("{GROUP}/providers/{}", KeyVault::TYPE);
    let one = format!("{all}/{{companion}}");
    let below = "/subscriptions/{subscription}/providers/Microsoft.KeyVault";
    let deleted = format!("{below}/locations/{{location}}/deletedVaults/{{name}}");
    doors
        .open::<ListInSubscription<KeyVault>, _, _>(Method::GET, &format!("{below}/vaults"), list_everywhere)
        .open::<ListResources<KeyVault>, _, _>(Method::GET, &all, list_all)
        .open::<GetResource<KeyVault>, _, _>(Method::GET, &one, get)
        .open::<PutVault, _, _>(Method::PUT, &one, put)
        .open::<PutVault, _, _>(Method::PATCH, &one, patch)
        .open::<DeleteVault, _, _>(Method::DELETE, &one, delete)
        .open::<PutVault, _, _>(Method::PUT, &format!("{one}/accessPolicies/{{kind}}"), policies)
        .open::<CheckCompanionName<KeyVault>, _, _>(Method::POST, &format!("{below}/checkNameAvailability"), check_name)
        .open::<ListDeletedVaults, _, _>(Method::GET, &format!("{below}/deletedVaults"), list_deleted)
        .open::<GetDeletedVault, _, _>(Method::GET, &deleted, get_deleted)
        .open::<PurgeVault, _, _>(Method::POST, &format!("{deleted}/purge"), purge)
}

fn view(guest: &Guest, row: &Row<Resource<KeyVault>>) -> arm::Resource<Value> {
    let vault = &row.value.properties;
    let network = network_of(guest.house(), &row.value.id).rules;
    let mut properties = json!({
        "tenantId": vault.tenant,
        "vaultUri": guest.house().settings().own_url(row.value.id.name(), "vault"),
        "sku": {"family": "A", "name": vault.sku},
        "accessPolicies": [],
        "enableRbacAuthorization": true,
        "enableSoftDelete": true,
        "softDeleteRetentionInDays": vault.retention_days,
        "publicNetworkAccess": if network.public_access { "Enabled" } else { "Disabled" },
        "networkAcls": view_network(&network),
        "enabledForDeployment": false,
        "enabledForDiskEncryption": false,
        "enabledForTemplateDeployment": false,
        "provisioningState": "Succeeded",
    });
    // Azure leaves it out where it is off.
    if vault.purge_protection
        && let Some(fields) = properties.as_object_mut()
    {
        fields.insert(String::from("enablePurgeProtection"), json!(true));
    }
    show(row, properties)
}

fn view_network(rules: &NetworkRules) -> Value {
    let allowed: Vec<Value> = rules.ip_allow.iter().map(|network| json!({"value": network.to_string()})).collect();
    json!({
        "bypass": "AzureServices",
        "defaultAction": if rules.denies_others { "Deny" } else { "Allow" },
        "ipRules": allowed,
        "virtualNetworkRules": [],
    })
}

fn view_deleted(deleted: &Row<DeletedVault>) -> Value {
    let DeletedVault { vault, deleted_at, purge_at } = &deleted.value;
    let location = if vault.location.is_empty() { "local" } else { &vault.location };
    let subscription = vault.id.subscription_id().map(|id| id.to_string()).unwrap_or_default();
    let id = format!(
        "/subscriptions/{subscription}/providers/Microsoft.KeyVault/locations/{location}/deletedVaults/{}",
        vault.id.name()
    );
    json!({
        "id": id,
        "name": vault.id.name(),
        "type": "Microsoft.KeyVault/deletedVaults",
        "properties": {
            "vaultId": vault.id.to_string(),
            "location": location,
            "tags": vault.tags,
            "deletionDate": deleted_at.rfc3339(),
            "scheduledPurgeDate": purge_at.rfc3339(),
            "purgeProtectionEnabled": vault.properties.purge_protection,
        },
    })
}

async fn list_all(guest: Guest) -> Result<Response, Fault> {
    let op = ListResources::<KeyVault>::new(guest.resource(3)?);
    let rows = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(list(rows.iter().map(|row| view(&guest, row)).collect()))
}

async fn list_everywhere(guest: Guest) -> Result<Response, Fault> {
    let op = ListInSubscription::<KeyVault>::new(guest.param("subscription")?);
    let rows = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(list(rows.iter().map(|row| view(&guest, row)).collect()))
}

async fn get(guest: Guest) -> Result<Response, Fault> {
    let op = GetResource::<KeyVault>::new(guest.resource(0)?);
    let row = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(named(StatusCode::OK, view(&guest, &row)))
}

/// What is read of a PUT or PATCH; what SDKs echo is not bound.
#[derive(Default, Deserialize)]
struct Body {
    #[serde(default)]
    location: Option<String>,
    #[serde(default)]
    tags: Option<BTreeMap<String, String>>,
    #[serde(default)]
    properties: Option<Properties>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Properties {
    tenant_id: Option<String>,
    sku: Option<Sku>,
    access_policies: Option<Vec<Value>>,
    create_mode: Option<String>,
    enable_rbac_authorization: Option<bool>,
    enable_soft_delete: Option<bool>,
    soft_delete_retention_in_days: Option<i64>,
    enable_purge_protection: Option<bool>,
    public_network_access: Option<String>,
    network_acls: Option<Acls>,
}

#[derive(Deserialize)]
struct Sku {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Acls {
    bypass: Option<String>,
    default_action: Option<String>,
    ip_rules: Option<Vec<IpRule>>,
    virtual_network_rules: Option<Vec<Value>>,
}

#[derive(Deserialize)]
struct IpRule {
    value: String,
}

impl Properties {
    fn wanted(self) -> Result<VaultWanted, Error> {
        let mut network = AccountNetworkRequest {
            public_network_access: self.public_network_access,
            ..AccountNetworkRequest::default()
        };
        if let Some(acls) = self.network_acls {
            // Whoever asks for a wall must not believe that it stands.
            if acls.virtual_network_rules.is_some_and(|rules| !rules.is_empty()) {
                let why =
                    "`properties.networkAcls.virtualNetworkRules`: not supported; name the addresses in `ipRules`";
                return Err(Error::new(Kind::Unsupported, why));
            }
            if acls.bypass.is_some_and(|word| !word.eq_ignore_ascii_case("AzureServices")) {
                let why = "must be `AzureServices`: the server itself always reaches its vaults";
                return Err(Error::invalid("properties.networkAcls.bypass", why));
            }
            network.default_action = acls.default_action;
            network.ip_rules = acls.ip_rules.map(|rules| rules.into_iter().map(|rule| rule.value).collect());
        }
        let recover = match self.create_mode.as_deref() {
            None => false,
            Some(word) if word.eq_ignore_ascii_case("default") => false,
            Some(word) if word.eq_ignore_ascii_case("recover") => true,
            Some(_) => return Err(Error::invalid("properties.createMode", "must be `default` or `recover`")),
        };
        Ok(VaultWanted {
            tenant: self.tenant_id,
            sku: self.sku.map(|sku| sku.name),
            retention_days: self.soft_delete_retention_in_days,
            purge_protection: self.enable_purge_protection,
            soft_delete: self.enable_soft_delete,
            by_roles: self.enable_rbac_authorization,
            policies: self.access_policies.map_or(0, |all| all.len()),
            recover,
            network,
        })
    }
}

async fn put(guest: Guest) -> Result<Response, Fault> {
    write(guest, false).await
}

async fn patch(guest: Guest) -> Result<Response, Fault> {
    write(guest, true).await
}

async fn write(guest: Guest, is_patch: bool) -> Result<Response, Fault> {
    let id = guest.resource(0)?;
    let (caller, mut precondition) = (guest.admitted::<PutVault>(&id).await?, precondition(&guest)?);
    precondition.present = precondition.present || is_patch;
    let shell = guest.shell();
    let body: Body = guest.json().await?;
    let tags = if is_patch { body.tags } else { Some(body.tags.unwrap_or_default()) };
    let wanted = body.properties.unwrap_or_default().wanted()?;
    // What comes back has the tags it had.
    let tags = tags.filter(|tags| !(wanted.recover && tags.is_empty()));
    let op = PutVault { id, location: body.location.unwrap_or_default(), tags, wanted, precondition };
    let written = enter(shell.house(), &caller, op).await?;
    let status = if written.is_new { StatusCode::CREATED } else { StatusCode::OK };
    Ok(named(status, view(&shell, &written.row)))
}

/// `PUT …/accessPolicies/{add|replace|remove}`: there are none here, and the answer says what there is instead.
async fn policies(guest: Guest) -> Result<Response, Fault> {
    let id = guest.resource(2)?;
    let caller = guest.admitted::<PutVault>(&id).await?;
    let wanted = VaultWanted { policies: 1, ..VaultWanted::default() };
    let precondition = domain::resources::Precondition { present: true, ..Default::default() };
    let op = PutVault { id, location: String::new(), tags: None, wanted, precondition };
    let written = enter(guest.house(), &caller, op).await?;
    Ok(named(StatusCode::OK, view(&guest, &written.row)))
}

async fn delete(guest: Guest) -> Result<Response, Fault> {
    let op = DeleteVault { id: guest.resource(0)? };
    enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(StatusCode::OK.into_response())
}

async fn list_deleted(guest: Guest) -> Result<Response, Fault> {
    let op = ListDeletedVaults { subscription: guest.param("subscription")? };
    let rows = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(list(rows.iter().map(view_deleted).collect()))
}

async fn get_deleted(guest: Guest) -> Result<Response, Fault> {
    let op = GetDeletedVault { subscription: guest.param("subscription")?, name: guest.param("name")? };
    let row = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(axum::Json(view_deleted(&row)).into_response())
}

async fn purge(guest: Guest) -> Result<Response, Fault> {
    let (subscription, name): (SubscriptionId, String) = (guest.param("subscription")?, guest.param("name")?);
    let caller = guest.caller().await?;
    let found = FindDeletedVault { subscription, name: name.clone() };
    let vault = enter(guest.house(), &Caller::house(), found).await?;
    enter(guest.house(), &caller, PurgeVault { subscription, name, vault }).await?;
    Ok(StatusCode::OK.into_response())
}

/// Which name a client would like to have.
#[derive(Deserialize)]
struct WantedName {
    name: String,
}

async fn check_name(guest: Guest) -> Result<Response, Fault> {
    let (shell, subscription) = (guest.shell(), guest.param("subscription")?);
    let caller = guest.admitted::<CheckCompanionName<KeyVault>>(&ResourceId::subscription(subscription)).await?;
    let wanted: WantedName = guest.json().await?;
    let answer = enter(shell.house(), &caller, CheckCompanionName::<KeyVault>::new(subscription, wanted.name)).await?;
    let (reason, message) = match answer {
        NameAnswer::Free => return Ok(axum::Json(json!({"nameAvailable": true})).into_response()),
        NameAnswer::Unfit(why) => ("AccountNameInvalid", why),
        NameAnswer::Taken => {
            ("AlreadyExists", String::from("the vault's name is already taken, by a deleted vault perhaps"))
        }
    };
    Ok(axum::Json(json!({"nameAvailable": false, "reason": reason, "message": message})).into_response())
}
