//! Which types of resources there are, and by which api-versions: what clients ask when they were given an id alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::OnceLock,
};

use axum::response::{IntoResponse, Response};
use domain::{gate::enter, resources::ListProviders};
use http::Method;
use kernel::{Error, SubscriptionId};
use serde_json::{Value, json};

use super::{Fault, list};
use crate::{Doors, Guest};

/// The api-version that each namespace's shapes here are of. Others are answered alike.
const VERSIONS: &[(&str, &str)] = &[
    ("Microsoft.Authorization", "2022-04-01"),
    ("Microsoft.ContainerRegistry", "2023-07-01"),
    ("Microsoft.EventGrid", "2022-06-15"),
    ("Microsoft.Insights", "2021-05-01-preview"),
    ("Microsoft.KeyVault", "2023-07-01"),
    ("Microsoft.MachineLearningServices", "2024-04-01"),
    ("Microsoft.ManagedIdentity", "2023-01-31"),
    ("Microsoft.Network", "2023-09-01"),
    ("Microsoft.OperationalInsights", "2022-10-01"),
    ("Microsoft.Resources", "2022-09-01"),
    ("Microsoft.Security", "2019-01-01-preview"),
    ("Microsoft.Storage", "2023-01-01"),
];

/// The doors of resource providers.
pub(super) fn doors(doors: Doors) -> Doors {
    let all = "/subscriptions/{subscription}/providers";
    doors.open::<ListProviders, _, _>(Method::GET, all, list_providers).open::<ListProviders, _, _>(
        Method::GET,
        &format!("{all}/{{namespace}}"),
        get_provider,
    )
}

type Types = BTreeMap<&'static str, BTreeSet<String>>;

/// Every type that can be read or written by an address of its own, by namespace.
fn types() -> &'static Types {
    static TYPES: OnceLock<Types> = OnceLock::new();
    TYPES.get_or_init(|| {
        let mut found: Types = VERSIONS.iter().map(|(namespace, _)| (*namespace, BTreeSet::new())).collect();
        for door in crate::faces::doors().list() {
            let is_arm = door.path.starts_with("/subscriptions/") || door.path.starts_with("/providers/");
            let is_read_or_write = door.method == Method::GET || door.method == Method::PUT;
            let Some((_, within)) = door.path.rsplit_once("/providers/") else { continue };
            let mut segments = within.split('/');
            let types = segments.next().and_then(|namespace| found.get_mut(namespace));
            if let Some(types) = types.filter(|_| is_arm && is_read_or_write) {
                types.insert(segments.step_by(2).collect::<Vec<_>>().join("/"));
            }
        }
        if let Some(types) = found.get_mut("Microsoft.Resources") {
            types.extend(["resourceGroups", "subscriptions"].map(String::from));
        }
        found
    })
}

fn view(subscription: SubscriptionId, namespace: &str, types: &BTreeSet<String>) -> Value {
    let version = VERSIONS.iter().find(|(known, _)| *known == namespace).map(|(_, version)| *version);
    let view = |kind: &String| json!({"resourceType": kind, "locations": ["local"], "apiVersions": version.as_slice(), "capabilities": "None"});
    json!({
        "id": format!("/subscriptions/{subscription}/providers/{namespace}"),
        "namespace": namespace,
        "registrationState": "Registered",
        "registrationPolicy": "RegistrationFree",
        "resourceTypes": types.iter().map(view).collect::<Vec<_>>(),
    })
}

async fn list_providers(guest: Guest) -> Result<Response, Fault> {
    let subscription = guest.param("subscription")?;
    enter(guest.house(), &guest.caller().await?, ListProviders { subscription }).await?;
    Ok(list(types().iter().map(|(namespace, types)| view(subscription, namespace, types)).collect()))
}

async fn get_provider(guest: Guest) -> Result<Response, Fault> {
    let (subscription, wanted): (_, String) = (guest.param("subscription")?, guest.param("namespace")?);
    enter(guest.house(), &guest.caller().await?, ListProviders { subscription }).await?;
    let found = types().iter().find(|(namespace, _)| namespace.eq_ignore_ascii_case(&wanted));
    let (namespace, types) = found.ok_or_else(|| {
        Error::not_found(format_args!("the resource provider `{wanted}`")).coded("InvalidResourceNamespace")
    })?;
    Ok(axum::Json(view(subscription, namespace, types)).into_response())
}
