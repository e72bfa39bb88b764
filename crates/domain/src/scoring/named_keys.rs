//! Named keys: one for each client of a service, beside the form of proof of the endpoint (requirements ).
//!
//! They are shown once and kept as fingerprints. Each may expire, may be for some deployments alone, and may be bound to a number
//! of calls a minute. They are valid where the endpoint says so (`namedKeysEnabled`); otherwise the one form of the article stays
//! the only one. **Invariant:** a revoked key is refused from the commit on that revoked it.

use std::collections::BTreeSet;

use async_trait::async_trait;
use kernel::{Action, Caller, Class, Error, Kind, ResourceId, Result, Secret, Timestamp};
use seal::Fingerprint;
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::{
    Form,
    endpoint::{ATTEMPTS, find_endpoint, kind_of},
    keys::{LIST_ACI, LIST_AKS, require_for_kind},
    name,
    traffic::MOST_DEPLOYMENTS,
};
use crate::{
    gate::{Admission, Changes, Cx, Guard, Guarded, House, Op, Record, Row, Shelf},
    resources::workspace_shelf,
};

/// Named keys of one endpoint.
const MOST_KEYS: usize = 100;
/// Largest bound of calls a minute.
const MOST_CALLS: u32 = 1_000_000;
/// What named keys are fingerprinted for.
pub(super) const PURPOSE: &str = "named service key";

/// A named key, without what its holder shows.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NamedKey {
    /// Its name; unique at its endpoint.
    pub name: String,
    /// Its own id, which a later one of the same name does not have.
    pub id: Uuid,
    fingerprint: Fingerprint,
    /// Since when it is there.
    pub created_at: Timestamp,
    /// From when on it is refused.
    pub expires_at: Option<Timestamp>,
    /// The deployments that it may call; all when it is empty.
    pub deployments: BTreeSet<String>,
    /// How many calls it has in a minute.
    pub calls_a_minute: Option<u32>,
}

impl Record for NamedKey {
    const TABLE: &'static str = "service-named-key";
}

impl NamedKey {
    /// Whether a credential with this fingerprint is this key, and it is still good.
    pub(super) fn is(&self, shelf: &Shelf, given: &str, fingerprint: &Fingerprint, now: Timestamp) -> bool {
        // What is compared at first is a keyed hash; only the one that it names is compared in constant time.
        self.fingerprint == *fingerprint
            && shelf.matches(PURPOSE, given, &self.fingerprint)
            && self.expires_at.is_none_or(|at| now < at)
    }

    /// Whether it may call a deployment.
    pub(super) fn may_call(&self, deployment: &str) -> bool {
        self.deployments.is_empty() || self.deployments.contains(deployment)
    }
}

fn row_id(endpoint: Uuid, name: &str) -> Vec<u8> {
    let mut id = endpoint.as_bytes().to_vec();
    id.extend_from_slice(name.as_bytes());
    id
}

/// All named keys of an endpoint, by name.
pub(super) async fn all(cx: &Admission<'_>, shelf: &Shelf, endpoint: Uuid) -> Result<Vec<Row<NamedKey>>> {
    cx.all::<NamedKey>(shelf, endpoint.as_bytes()).await
}

/// The same for the gateway.
pub(super) async fn peek_all(house: &House, shelf: &Shelf, endpoint: Uuid) -> Result<Vec<NamedKey>> {
    let rows = house.all::<NamedKey>(shelf, endpoint.as_bytes()).await?;
    Ok(rows.into_iter().map(|row| row.value).collect())
}

/// What a new key shall be.
#[derive(Clone, Debug, Default)]
pub struct NamedKeyRequest {
    /// From when on it is refused; never when nothing is said.
    pub expires_at: Option<Timestamp>,
    /// The deployments that it may call; all when it is empty.
    pub deployments: BTreeSet<String>,
    /// How many calls it has in a minute; any number when nothing is said.
    pub calls_a_minute: Option<u32>,
}

impl NamedKeyRequest {
    fn check(&self, now: Timestamp) -> Result<()> {
        if self.expires_at.is_some_and(|at| at <= now) {
            return Err(Error::invalid("expiresOn", "must be in the future"));
        }
        if self.deployments.len() > MOST_DEPLOYMENTS {
            return Err(Error::invalid("deployments", format_args!("at most {MOST_DEPLOYMENTS} names")));
        }
        for deployment in &self.deployments {
            name::check("deployments", deployment)?;
        }
        if self.calls_a_minute.is_some_and(|calls| !(1..=MOST_CALLS).contains(&calls)) {
            return Err(Error::invalid("callsPerMinute", format_args!("must be from 1 to {MOST_CALLS}")));
        }
        Ok(())
    }
}

/// A key that was just made.
#[derive(Debug)]
pub struct NewNamedKey {
    /// What is kept of it.
    pub key: NamedKey,
    /// What its holder shows; nobody sees it again.
    pub text: Secret<String>,
}

/// Makes a named key.
#[derive(Debug)]
pub struct CreateNamedKey {
    /// The endpoint.
    pub endpoint: ResourceId,
    /// The key's name.
    pub name: String,
    /// What it shall be.
    pub request: NamedKeyRequest,
}

#[async_trait]
impl Op for CreateNamedKey {
    const ACTION: Action =
        Action::new("Microsoft.MachineLearningServices/workspaces/onlineEndpoints/namedKeys/write", Class::Control);
    const GUARDS: &'static [Guard] = &[Guard::KeyChange];
    type Output = NewNamedKey;

    fn scope(&self) -> ResourceId {
        self.endpoint.clone()
    }

    fn guarded(&self, _: &House, _: &Caller) -> Result<Guarded> {
        let NamedKeyRequest { expires_at, deployments, calls_a_minute } = &self.request;
        let body = json!({
            "name": self.name,
            "expiresOn": expires_at.map(Timestamp::rfc3339),
            "deployments": deployments,
            "callsPerMinute": calls_a_minute,
        });
        Ok(Guarded::at(Guard::KeyChange, &self.endpoint, body))
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<NewNamedKey> {
        name::check("name", &self.name)?;
        if ["primary", "secondary"].contains(&self.name.as_str()) {
            return Err(Error::invalid(
                "name",
                "`primary` and `secondary` are the names of the service's own two keys",
            ));
        }
        self.request.check(cx.now())?;
        let text = seal::new_service_key()?;
        let mut attempt = 0;
        loop {
            attempt += 1;
            match make(cx, &self, &text).await {
                Err(fault) if fault.kind() == Kind::Stale && attempt < ATTEMPTS => {}
                other => return other.map(|key| NewNamedKey { key, text }),
            }
        }
    }
}

async fn make(cx: &Admission<'_>, op: &CreateNamedKey, text: &Secret<String>) -> Result<NamedKey> {
    let (shelf, _) = workspace_shelf(cx, &op.endpoint).await?;
    let endpoint = find_endpoint(cx, &shelf, &op.endpoint).await?;
    // Whoever makes a key can call: that takes what seeing one takes.
    let kind = kind_of(cx, &shelf, &endpoint.value.id).await?;
    require_for_kind(cx, kind, &LIST_ACI, &LIST_AKS, &op.endpoint).await?;
    if !endpoint.value.properties.named_keys {
        let why = "named keys are not enabled on this endpoint; set `namedKeysEnabled` to true";
        return Err(Error::new(Kind::Invalid, why));
    }
    if endpoint.value.properties.form == Some(Form::Off) {
        return Err(Error::new(Kind::Invalid, "authentication is not enabled on this service, so it has no keys"));
    }
    let present = all(cx, &shelf, endpoint.value.guid).await?;
    if present.iter().any(|row| row.value.name == op.name) {
        let why = format!("the service has a key `{}`; revoke it first, or choose another name", op.name);
        return Err(Error::new(Kind::Exists, why));
    }
    if present.len() >= MOST_KEYS {
        let why = format!("a service has at most {MOST_KEYS} named keys; revoke one that is not used");
        return Err(Error::new(Kind::Conflict, why));
    }
    let key = NamedKey {
        name: op.name.clone(),
        id: Uuid::new_v4(),
        fingerprint: shelf.fingerprint(PURPOSE, text.expose()),
        created_at: cx.now(),
        expires_at: op.request.expires_at,
        deployments: op.request.deployments.clone(),
        calls_a_minute: op.request.calls_a_minute,
    };
    cx.note("key", key.name.as_str());
    let mut changes = Changes::new();
    changes.put(&shelf, &Row::new(row_id(endpoint.value.guid, &key.name), key.clone()))?;
    // Written as well, so that of two keys at once only one is counted at a time, and none is left behind by an endpoint that goes.
    changes.put(&shelf, &endpoint)?;
    cx.commit(changes).await?;
    Ok(key)
}

/// Lists the named keys of an endpoint, without what their holders show.
#[derive(Debug)]
pub struct ListNamedKeys {
    /// The endpoint.
    pub endpoint: ResourceId,
}

#[async_trait]
impl Op for ListNamedKeys {
    const ACTION: Action =
        Action::new("Microsoft.MachineLearningServices/workspaces/onlineEndpoints/namedKeys/read", Class::Read);
    type Output = Vec<NamedKey>;

    fn scope(&self) -> ResourceId {
        self.endpoint.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Vec<NamedKey>> {
        let (shelf, _) = workspace_shelf(cx, &self.endpoint).await?;
        let endpoint = find_endpoint(cx, &shelf, &self.endpoint).await?;
        let rows = all(cx, &shelf, endpoint.value.guid).await?;
        Ok(rows.into_iter().map(|row| row.value).collect())
    }
}

/// Revokes a named key: it is refused from the commit on, and nobody else notices.
#[derive(Debug)]
pub struct RevokeNamedKey {
    /// The endpoint.
    pub endpoint: ResourceId,
    /// The key's name.
    pub name: String,
}

#[async_trait]
impl Op for RevokeNamedKey {
    const ACTION: Action =
        Action::new("Microsoft.MachineLearningServices/workspaces/onlineEndpoints/namedKeys/delete", Class::Control);
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.endpoint.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let (shelf, _) = workspace_shelf(cx, &self.endpoint).await?;
        let endpoint = find_endpoint(cx, &shelf, &self.endpoint).await?;
        let missing = || Error::not_found(format_args!("the key `{}`", self.name));
        name::check("name", &self.name).map_err(|_| missing())?;
        let row = cx.get::<NamedKey>(&shelf, &row_id(endpoint.value.guid, &self.name)).await?;
        let row = row.ok_or_else(missing)?;
        cx.note("key", self.name.as_str());
        let mut changes = Changes::new();
        changes.delete(&shelf, &row);
        cx.commit(changes).await
    }
}
