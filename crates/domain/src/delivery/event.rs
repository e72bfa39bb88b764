//! One record of the activity log in the form of Azure's resource logs: what every sink gets.

use kernel::{TenantId, Timestamp};
use serde_json::{Value, json};
use uuid::Uuid;

use super::Category;
use crate::gate::{Activity, Actor, Outcome};

/// A record under one of its categories.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    /// The record's number.
    pub seq: u64,
    /// The category.
    pub category: &'static str,
    /// The record.
    pub activity: Activity,
}

impl Event {
    /// The events that a record is, in the categories that are wanted.
    pub(super) fn of<'a>(seq: u64, activity: &'a Activity, wanted: &'a [Category]) -> impl Iterator<Item = Self> + 'a {
        let under = move |category: &Category| Self { seq, category: category.name, activity: activity.clone() };
        wanted.iter().filter(|category| category.has(activity)).map(under)
    }

    /// Tells this event from all others, in every delivery of it.
    pub(super) fn id(&self) -> String {
        Uuid::from_u128(self.activity.event.as_u128() ^ u128::from(name_code(self.category))).to_string()
    }

    pub(super) fn at(&self) -> Timestamp {
        self.activity.at
    }

    /// The event's content (Azure Monitor, resource log top-level schema).
    pub(super) fn content(&self, tenant: Option<TenantId>) -> Value {
        let activity = &self.activity;
        let (claims, initiator) = identity(&activity.actor);
        json!({
            "time": activity.at.rfc3339(),
            "resourceId": activity.scope.as_str().to_ascii_uppercase(),
            "operationName": activity.action,
            "category": self.category,
            "level": activity.level(),
            "resultType": activity.outcome.word(),
            "resultSignature": signature(&activity.outcome),
            "correlationId": activity.correlation,
            "callerIpAddress": activity.address,
            "tenantId": tenant,
            "identity": {"caller": initiator, "claims": claims},
            "eventId": activity.event,
            "sequence": self.seq,
            "properties": activity.detail,
        })
    }
}

/// Separates the ids of one record's events; the names of categories are few and differ in it.
fn name_code(text: &str) -> u64 {
    // FNV-1a, 64 bits.
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

/// Why, in a word, when it did not succeed.
fn signature(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Succeeded => "",
        Outcome::Denied => "Forbidden",
        Outcome::Failed(kind) => kind,
    }
}

/// The initiator: what the server established of it, and its name.
pub(crate) fn identity(actor: &Actor) -> (Value, String) {
    let claims = match actor {
        Actor::Principal { id, kind, .. } => json!({"oid": id, "principalType": format!("{kind:?}")}),
        Actor::Run { run, on_behalf_of } => json!({"run": run, "onBehalfOf": on_behalf_of}),
        Actor::ServiceKey { key } => json!({"key": key}),
        Actor::AccountKey { credential, on_behalf_of } => json!({"key": credential, "onBehalfOf": on_behalf_of}),
        Actor::House | Actor::Nobody => json!({}),
    };
    (claims, actor.label())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::{OF_SUBSCRIPTIONS, OF_WORKSPACES};

    #[test]
    fn categories_have_ids_of_their_own() {
        let mut codes: Vec<u64> =
            OF_WORKSPACES.iter().chain(&OF_SUBSCRIPTIONS).map(|category| name_code(category.name)).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), OF_WORKSPACES.len() + OF_SUBSCRIPTIONS.len());
    }
}
