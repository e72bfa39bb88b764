//! Rotating keys, and their rotation policies.

use axum::response::{IntoResponse, Response};
use domain::vault::{
    GetRotationPolicy, LifetimeAct, LifetimeAction, ObjectName, PutRotationPolicy, RotateKey, RotationPolicy, Trigger,
};
use http::Method;
use kernel::{Error, Result};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Fault, Visit, shown};
use crate::{Doors, Guest};

pub(super) fn doors(doors: Doors) -> Doors {
    let policy = "/vaults/{vault}/keys/{name}/rotationpolicy";
    doors
        .open::<RotateKey, _, _>(Method::POST, "/vaults/{vault}/keys/{name}/rotate", rotate)
        .open::<GetRotationPolicy, _, _>(Method::GET, policy, get_policy)
        .open::<PutRotationPolicy, _, _>(Method::PUT, policy, put_policy)
}

async fn rotate(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<RotateKey>(guest).await?;
    let op = RotateKey { vault: visit.vault.clone(), name: visit.name()? };
    let made = visit.enter(op).await?;
    Ok(shown(&visit, &made))
}

fn view(visit: &Visit, name: &ObjectName, policy: &RotationPolicy) -> Value {
    let action = |action: &LifetimeAction| {
        let trigger = match action.trigger {
            Trigger::AfterCreate(span) => json!({"timeAfterCreate": span.to_string()}),
            Trigger::BeforeExpiry(span) => json!({"timeBeforeExpiry": span.to_string()}),
        };
        json!({"trigger": trigger, "action": {"type": action.act.name()}})
    };
    let mut attributes = json!({"created": policy.created, "updated": policy.updated});
    if let (Some(life), Some(fields)) = (policy.life, attributes.as_object_mut()) {
        fields.insert(String::from("expiryTime"), json!(life.to_string()));
    }
    json!({
        "id": format!("{}/keys/{}/rotationpolicy", visit.base, name.as_str()),
        "lifetimeActions": policy.actions.iter().map(action).collect::<Vec<_>>(),
        "attributes": attributes,
    })
}

async fn get_policy(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<GetRotationPolicy>(guest).await?;
    let name = visit.name()?;
    let policy = visit.enter(GetRotationPolicy { vault: visit.vault.clone(), name: name.clone() }).await?;
    Ok(axum::Json(view(&visit, &name, &policy)).into_response())
}

/// What is read of a `PUT`; what only the server says is not looked at.
#[derive(Deserialize)]
struct PolicyBody {
    #[serde(default, rename = "lifetimeActions")]
    actions: Option<Vec<ActionBody>>,
    #[serde(default)]
    attributes: Option<PolicyAttributes>,
}

#[derive(Deserialize)]
struct PolicyAttributes {
    #[serde(default, rename = "expiryTime")]
    life: Option<String>,
}

#[derive(Deserialize)]
struct ActionBody {
    trigger: TriggerBody,
    action: ActBody,
}

#[derive(Deserialize)]
struct TriggerBody {
    #[serde(default, rename = "timeAfterCreate")]
    after_create: Option<String>,
    #[serde(default, rename = "timeBeforeExpiry")]
    before_expiry: Option<String>,
}

#[derive(Deserialize)]
struct ActBody {
    #[serde(rename = "type")]
    name: String,
}

impl TryFrom<ActionBody> for LifetimeAction {
    type Error = Error;

    fn try_from(body: ActionBody) -> Result<Self> {
        let acts = [LifetimeAct::Rotate, LifetimeAct::Notify];
        let act = acts.into_iter().find(|act| act.name().eq_ignore_ascii_case(&body.action.name));
        let act = act.ok_or_else(|| Error::invalid("lifetimeActions", "an action must be `Rotate` or `Notify`"))?;
        let trigger = match (body.trigger.after_create, body.trigger.before_expiry) {
            (Some(span), None) => Trigger::AfterCreate(span.parse()?),
            (None, Some(span)) => Trigger::BeforeExpiry(span.parse()?),
            _ => {
                let why = "a trigger must have one of `timeAfterCreate` and `timeBeforeExpiry`";
                return Err(Error::invalid("lifetimeActions", why));
            }
        };
        Ok(Self { act, trigger })
    }
}

async fn put_policy(guest: Guest) -> Result<Response, Fault> {
    let visit = Visit::new::<PutRotationPolicy>(guest).await?;
    let name = visit.name()?;
    visit.knock::<PutRotationPolicy>(&visit.scope("keys", &name)?).await?;
    let (visit, body): (_, PolicyBody) = visit.body().await?;
    let actions = body.actions.unwrap_or_default().into_iter().map(LifetimeAction::try_from);
    let life = body.attributes.and_then(|attributes| attributes.life);
    let op = PutRotationPolicy {
        vault: visit.vault.clone(),
        name: name.clone(),
        actions: actions.collect::<Result<_>>()?,
        life: life.map(|life| life.parse()).transpose()?,
    };
    let policy = visit.enter(op).await?;
    Ok(axum::Json(view(&visit, &name, &policy)).into_response())
}
