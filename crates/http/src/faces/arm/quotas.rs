//! Quotas of cores, by location.

use axum::response::{IntoResponse, Response};
use domain::{
    gate::enter,
    resources::{ListQuotas, ListUsages, Quota, QuotaOutcome, QuotaWanted, UpdateQuotas},
};
use http::Method;
use kernel::{Error, ResourceId, Result as DomainResult};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Fault, list};
use crate::{Doors, Guest};

const NAMESPACE: &str = "Microsoft.MachineLearningServices";

/// The doors of quotas.
pub(super) fn doors(doors: Doors) -> Doors {
    let base = format!("/subscriptions/{{subscription}}/providers/{NAMESPACE}/locations/{{location}}");
    doors
        .open::<ListQuotas, _, _>(Method::GET, &format!("{base}/quotas"), list_quotas)
        .open::<ListUsages, _, _>(Method::GET, &format!("{base}/usages"), list_usages)
        .open::<UpdateQuotas, _, _>(Method::POST, &format!("{base}/updateQuotas"), update_quotas)
}

fn base_of(scope: &ResourceId, location: &str) -> String {
    match scope.workspace() {
        Some(workspace) => workspace.to_string(),
        None => format!("{scope}/providers/{NAMESPACE}/locations/{location}"),
    }
}

fn view(quota: &Quota, kind: &str, used: Option<usize>) -> Value {
    let mut shown = json!({
        "id": format!("{}/{kind}/{}", base_of(&quota.scope, &quota.location), quota.family),
        "type": format!("{NAMESPACE}/workspaces/dedicatedCores/{kind}"),
        "amlWorkspaceLocation": quota.location,
        "name": {"value": quota.family, "localizedValue": quota.family},
        "limit": quota.limit,
        "unit": "Count",
    });
    if let (Some(fields), Some(used)) = (shown.as_object_mut(), used) {
        fields.insert(String::from("currentValue"), json!(used));
    }
    shown
}

async fn list_quotas(guest: Guest) -> Result<Response, Fault> {
    let op = ListQuotas { subscription: guest.param("subscription")?, location: guest.param("location")? };
    let found = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(list(found.iter().map(|quota| view(quota, "quotas", None)).collect()))
}

async fn list_usages(guest: Guest) -> Result<Response, Fault> {
    let op = ListUsages { subscription: guest.param("subscription")?, location: guest.param("location")? };
    let found = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(list(found.iter().map(|(quota, used)| view(quota, "usages", Some(*used))).collect()))
}

#[derive(Deserialize)]
struct Update {
    #[serde(default)]
    value: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    id: String,
    limit: i64,
    #[serde(default)]
    unit: Option<String>,
}

impl Entry {
    /// `{workspace}/quotas/{family}`, or `…/locations/{location}/quotas/{family}` of the subscription.
    fn wanted(&self) -> DomainResult<QuotaWanted> {
        let (before, family) = self
            .id
            .rsplit_once('/')
            .and_then(|(before, family)| Some((before.strip_suffix("/quotas")?, family)))
            .ok_or_else(|| Error::invalid("value.id", "must end in `/quotas/{family}`"))?;
        let place: ResourceId = before.parse().map_err(|why| Error::invalid("value.id", why))?;
        let subscription = place.subscription_id().map(ResourceId::subscription);
        let scope = place.workspace().or(subscription);
        let scope = scope.ok_or_else(|| Error::invalid("value.id", "must name a subscription or a workspace"))?;
        let limit = u32::try_from(self.limit);
        let limit = limit.map_err(|_| Error::invalid("value.limit", "must be 0 to 4294967295"))?;
        if self.unit.as_deref().is_some_and(|unit| !unit.eq_ignore_ascii_case("Count")) {
            return Err(Error::invalid("value.unit", "must be `Count`"));
        }
        Ok(QuotaWanted { scope, family: family.to_owned(), limit })
    }
}

async fn update_quotas(guest: Guest) -> Result<Response, Fault> {
    let (house, subscription) = (guest.house().clone(), guest.param("subscription")?);
    let location: String = guest.param("location")?;
    let caller = guest.admitted::<UpdateQuotas>(&ResourceId::subscription(subscription)).await?;
    let body: Update = guest.json().await?;
    let wanted = body.value.iter().map(Entry::wanted).collect::<DomainResult<Vec<_>>>()?;
    if let Some(other) = wanted.iter().find(|wanted| wanted.scope.subscription_id() != Some(subscription)) {
        return Err(Error::invalid("value.id", format_args!("`{}` is of another subscription", other.scope)).into());
    }
    let op = UpdateQuotas { subscription, location: location.clone(), wanted };
    let view = |(wanted, outcome): &(QuotaWanted, QuotaOutcome)| {
        json!({
            "id": format!("{}/quotas/{}", base_of(&wanted.scope, &location), wanted.family),
            "type": format!("{NAMESPACE}/workspaces/dedicatedCores/quotas"),
            "limit": wanted.limit,
            "unit": "Count",
            "status": format!("{outcome:?}"),
        })
    };
    let outcomes = enter(&house, &caller, op).await?;
    let value: Vec<Value> = outcomes.iter().map(view).collect();
    Ok(axum::Json(json!({"value": value, "nextLink": null})).into_response())
}
