//! The activity record: what, when, where, by whom, with which outcome. Never a value, never a secret.

use std::{collections::BTreeMap, net::IpAddr};

use kernel::{Action, Caller, CorrelationId, Kind, PrincipalId, PrincipalKind, ResourceId, RunId, Timestamp, Who};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::House;

/// One record of the activity log.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Activity {
    /// The record's own id.
    pub event: Uuid,
    /// When it was made.
    pub at: Timestamp,
    /// Ties together everything that one request caused.
    pub correlation: CorrelationId,
    /// Who did it, as the server established it.
    pub actor: Actor,
    /// The peer's address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<IpAddr>,
    /// The action, as Azure spells it.
    pub action: String,
    /// The scope.
    pub scope: ResourceId,
    /// How it ended.
    pub outcome: Outcome,
    /// More about it: names, versions, digests, counts; never contents.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub detail: BTreeMap<String, String>,
}

/// An established identity, as the log names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind")]
pub enum Actor {
    /// Nobody who could be established.
    Nobody,
    /// A user, group member or service principal.
    Principal {
        /// Object id.
        id: PrincipalId,
        /// What it is.
        #[serde(rename = "principalType")]
        kind: PrincipalKind,
        /// Its name then.
        name: String,
    },
    /// A run's own code, and who submitted the run.
    Run {
        /// The run.
        run: RunId,
        /// The principal that submitted it.
        on_behalf_of: PrincipalId,
    },
    /// Whoever holds a key of a web service.
    ServiceKey {
        /// Which one: `primary`, `secondary`, or its own name.
        key: String,
    },
    /// Whoever holds a key of a storage account, or a signature that was made with one or delegated.
    AccountKey {
        /// What was shown: `key1`, `service SAS signed with key2`.
        credential: String,
        /// Who delegated it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        on_behalf_of: Option<PrincipalId>,
    },
    /// The server's own background work.
    House,
}

/// How an operation ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// Done.
    Succeeded,
    /// Not permitted.
    Denied,
    /// Permitted, and failed for this kind of reason.
    Failed(String),
}

impl Outcome {
    pub(super) fn failed(kind: Kind) -> Self {
        Self::Failed(format!("{kind:?}"))
    }

    /// Azure's word for it (`Succeeded`, `Failed`, `Denied`).
    pub fn word(&self) -> &'static str {
        match self {
            Self::Succeeded => "Succeeded",
            Self::Denied => "Denied",
            Self::Failed(_) => "Failed",
        }
    }
}

impl Actor {
    pub(super) fn of(caller: &Caller) -> Self {
        match &caller.who {
            Who::Nobody => Self::Nobody,
            Who::House => Self::House,
            Who::Run(run) => Self::Run { run: run.run.clone(), on_behalf_of: run.on_behalf_of },
            Who::Keyed(key) => Self::AccountKey { credential: key.credential.clone(), on_behalf_of: key.on_behalf_of },
            Who::Principal(principal) => {
                Self::Principal { id: principal.id, kind: principal.kind, name: principal.name.clone() }
            }
        }
    }

    /// The initiator in words, for tables.
    pub fn label(&self) -> String {
        match self {
            Self::Nobody => String::from("anonymous"),
            Self::House => String::from("bartizan"),
            Self::ServiceKey { key } => format!("service key {key}"),
            Self::AccountKey { credential, on_behalf_of: None } => credential.clone(),
            Self::AccountKey { credential, on_behalf_of: Some(by) } => format!("{credential} of {by}"),
            Self::Run { run, on_behalf_of } => format!("run {run} for {on_behalf_of}"),
            Self::Principal { name, .. } => name.clone(),
        }
    }
}

impl Activity {
    /// The resource provider: what its action begins with.
    pub fn provider(&self) -> &str {
        self.action.split('/').next().unwrap_or_default()
    }

    /// Azure's level.
    pub fn level(&self) -> &'static str {
        match self.outcome {
            Outcome::Succeeded => "Informational",
            Outcome::Denied => "Warning",
            Outcome::Failed(_) => "Error",
        }
    }

    /// Whether it is a read that succeeded, of something else than secrets.
    pub(crate) fn is_plain_read(&self) -> bool {
        let action = self.action.to_ascii_lowercase();
        let reads = action.ends_with("/read") && !action.ends_with("/secrets/read");
        reads && self.outcome == Outcome::Succeeded
    }

    pub(super) fn new(house: &House, caller: &Caller, action: &Action, scope: &ResourceId, outcome: Outcome) -> Self {
        Self {
            event: Uuid::new_v4(),
            at: house.now(),
            correlation: caller.source.correlation,
            actor: Actor::of(caller),
            address: caller.source.address,
            action: action.name().to_owned(),
            scope: scope.clone(),
            outcome,
            detail: BTreeMap::new(),
        }
    }
}
