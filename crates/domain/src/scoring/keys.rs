//! The two static keys of a service (requirements ). They are stored sealed and not as fingerprints, since
//! whoever may list them sees them again.

use async_trait::async_trait;
use kernel::{Action, Caller, Class, Error, Kind, ResourceId, Result, Secret};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::{
    Form, ServiceKind,
    endpoint::{Endpoint, find_endpoint, kind_of},
};
use crate::{
    gate::{Admission, Changes, Cx, Guard, Guarded, House, Op, Record, Row, Shelf},
    resources::{Resource, workspace_shelf},
};

/// The keys of one endpoint, in a row of their own, so that no list ever carries them.
#[derive(Clone, Serialize, Deserialize)]
pub(super) struct ServiceKeys {
    primary: String,
    secondary: String,
}

impl Record for ServiceKeys {
    const TABLE: &'static str = "service-keys";
}

impl Drop for ServiceKeys {
    fn drop(&mut self) {
        drop(Secret::new(std::mem::take(&mut self.primary)));
        drop(Secret::new(std::mem::take(&mut self.secondary)));
    }
}

/// Both keys of a service.
#[derive(Clone, Debug)]
pub struct KeyPair {
    /// The first.
    pub primary: Secret<String>,
    /// The second, so that the first can be changed without a gap.
    pub secondary: Secret<String>,
}

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyName {
    /// The first.
    Primary,
    /// The second.
    Secondary,
}

impl std::str::FromStr for KeyName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.to_ascii_lowercase().as_str() {
            "primary" => Ok(Self::Primary),
            "secondary" => Ok(Self::Secondary),
            _ => Err(Error::invalid("keyType", "must be `Primary` or `Secondary`")),
        }
    }
}

impl KeyPair {
    fn generate() -> Result<Self> {
        Ok(Self { primary: seal::new_service_key()?, secondary: seal::new_service_key()? })
    }

    /// Both, as an approval is bound to them.
    pub(super) fn joined(&self) -> Secret<String> {
        Secret::new(format!("{} {}", self.primary.expose(), self.secondary.expose()))
    }

    /// Keys that a caller chose.
    pub fn supplied(primary: Secret<String>, secondary: Secret<String>) -> Result<Self> {
        check_key("properties.keys.primaryKey", &primary)?;
        check_key("properties.keys.secondaryKey", &secondary)?;
        if primary.expose() == secondary.expose() {
            return Err(Error::invalid("properties.keys", "the two keys must differ"));
        }
        Ok(Self { primary, secondary })
    }
}

/// A chosen key must be fit for a header and hard to guess.
fn check_key(field: &str, key: &Secret<String>) -> Result<()> {
    let key = key.expose();
    if (32..=256).contains(&key.len()) && key.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Ok(());
    }
    Err(Error::invalid(field, "a key is 32 to 256 printable ASCII characters without spaces"))
}

/// Reads the keys of an endpoint.
pub(super) async fn read(cx: &Admission<'_>, shelf: &Shelf, endpoint: Uuid) -> Result<Option<Row<ServiceKeys>>> {
    cx.get::<ServiceKeys>(shelf, endpoint.as_bytes()).await
}

/// Sees to it that an endpoint has keys: those that were supplied, those it has, or new ones.
pub(super) async fn ensure(
    cx: &Admission<'_>,
    shelf: &Shelf,
    changes: &mut Changes,
    endpoint: Uuid,
    supplied: Option<KeyPair>,
) -> Result<()> {
    let present = read(cx, shelf, endpoint).await?;
    if present.is_some() && supplied.is_none() {
        return Ok(());
    }
    let pair = supplied.map_or_else(KeyPair::generate, Ok)?;
    let keys = ServiceKeys { primary: pair.primary.expose().clone(), secondary: pair.secondary.expose().clone() };
    let row = match present {
        Some(row) => Row { value: keys, ..row },
        None => Row::new(endpoint.as_bytes().as_slice(), keys),
    };
    changes.put(shelf, &row)?;
    Ok(())
}

impl ServiceKeys {
    pub(super) fn pair(&self) -> KeyPair {
        KeyPair { primary: Secret::new(self.primary.clone()), secondary: Secret::new(self.secondary.clone()) }
    }
}

/// Reading keys needs the permission of the service's kind as well, which roles of the article's time name.
pub(super) async fn require_for_kind(
    cx: &Admission<'_>,
    kind: Option<ServiceKind>,
    single: &Action,
    cluster: &Action,
    scope: &ResourceId,
) -> Result<()> {
    let action = if kind == Some(ServiceKind::SingleContainer) { single } else { cluster };
    cx.require(action, scope).await
}

pub(super) const LIST_ACI: Action =
    Action::new("Microsoft.MachineLearningServices/workspaces/services/aci/listkeys/action", Class::Vault);
pub(super) const LIST_AKS: Action =
    Action::new("Microsoft.MachineLearningServices/workspaces/services/aks/listkeys/action", Class::Vault);

/// Shows both keys.
#[derive(Debug)]
pub struct ListServiceKeys {
    /// The endpoint.
    pub endpoint: ResourceId,
}

#[async_trait]
impl Op for ListServiceKeys {
    const ACTION: Action =
        Action::new("Microsoft.MachineLearningServices/workspaces/onlineEndpoints/listKeys/action", Class::Vault);
    type Output = KeyPair;

    fn scope(&self) -> ResourceId {
        self.endpoint.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<KeyPair> {
        let (shelf, _) = workspace_shelf(cx, &self.endpoint).await?;
        let endpoint = find_endpoint(cx, &shelf, &self.endpoint).await?;
        let kind = kind_of(cx, &shelf, &endpoint.value.id).await?;
        require_for_kind(cx, kind, &LIST_ACI, &LIST_AKS, &self.endpoint).await?;
        Ok(keys_in_force(cx, &shelf, &endpoint).await?.value.pair())
    }
}

async fn keys_in_force(
    cx: &Admission<'_>,
    shelf: &Shelf,
    endpoint: &Row<Resource<Endpoint>>,
) -> Result<Row<ServiceKeys>> {
    let why = match endpoint.value.properties.form {
        Some(Form::Key) => {
            let row = read(cx, shelf, endpoint.value.guid).await?;
            return row.ok_or_else(|| Error::internal("an endpoint that asks for keys has none"));
        }
        Some(Form::Token) => "the service asks for tokens, not keys; fetch one with `POST …/token`",
        Some(Form::Off) => "authentication is not enabled on this service, so it has no keys",
        None => "the service has no keys before its first deployment, unless its `authMode` is `Key`",
    };
    Err(Error::new(Kind::Invalid, why))
}

/// Replaces one key; the other stays valid.
#[derive(Debug)]
pub struct RegenerateServiceKey {
    /// The endpoint.
    pub endpoint: ResourceId,
    /// Which key.
    pub key: KeyName,
    /// The new key, if the caller chooses it. A present key is ignored here: some clients echo the old one.
    pub value: Option<Secret<String>>,
}

#[async_trait]
impl Op for RegenerateServiceKey {
    const ACTION: Action = Action::new(
        "Microsoft.MachineLearningServices/workspaces/onlineEndpoints/regenerateKeys/action",
        Class::Control,
    );
    const GUARDS: &'static [Guard] = &[Guard::KeyChange];
    type Output = ();

    fn scope(&self) -> ResourceId {
        self.endpoint.clone()
    }

    fn guarded(&self, _: &House, _: &Caller) -> Result<Guarded> {
        let body = json!({"key": format!("{:?}", self.key), "isChosen": self.value.is_some()});
        let mut guarded = Guarded::at(Guard::KeyChange, &self.endpoint, body);
        guarded.secret.clone_from(&self.value);
        Ok(guarded)
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<()> {
        let (shelf, _) = workspace_shelf(cx, &self.endpoint).await?;
        let endpoint = find_endpoint(cx, &shelf, &self.endpoint).await?;
        let kind = kind_of(cx, &shelf, &endpoint.value.id).await?;
        require_for_kind(cx, kind, &LIST_ACI, &LIST_AKS, &self.endpoint).await?;
        let mut row = keys_in_force(cx, &shelf, &endpoint).await?;
        let echoed =
            |value: &Secret<String>| *value.expose() == row.value.primary || *value.expose() == row.value.secondary;
        let fresh = match self.value.filter(|value| !echoed(value)) {
            Some(value) => {
                check_key("keyValue", &value)?;
                value
            }
            None => seal::new_service_key()?,
        };
        match self.key {
            KeyName::Primary => row.value.primary = fresh.expose().clone(),
            KeyName::Secondary => row.value.secondary = fresh.expose().clone(),
        }
        cx.note("key", format!("{:?}", self.key).to_ascii_lowercase());
        let mut changes = Changes::new();
        changes.put(&shelf, &row)?;
        cx.commit(changes).await
    }
}
