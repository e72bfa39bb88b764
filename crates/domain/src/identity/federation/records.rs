//! What is stored of providers and of the people who come through them.

use std::fmt;

use kernel::{PrincipalId, Secret, Timestamp};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::gate::Record;

/// A provider. Its row's id is the keyed hash of its issuer: one issuer has one provider.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Provider {
    /// Names it in addresses.
    pub id: Uuid,
    /// For people.
    pub name: String,
    /// `iss`, compared exactly. It never changes.
    pub issuer: String,
    /// As which client we are known there.
    pub client_id: String,
    /// What proves that; none for a public client.
    pub client_secret: Option<Hidden>,
    /// A disabled one signs nobody in.
    pub is_enabled: bool,
    /// Where it is, as it said when it was asked last.
    pub pinned: Pinned,
    /// Scopes that are asked for beside `openid`.
    pub scopes: Vec<String>,
    /// Whether people who come for the first time become users.
    pub creates_users: bool,
    /// The claim that a new user is named after.
    pub user_name_claim: String,
    /// The claim with groups; none when the provider has no say in them.
    pub group_claim: Option<String>,
    /// What those mean here.
    pub groups: Vec<GroupMapping>,
    /// What counts as two factors.
    pub mfa: MultiFactorTrust,
    /// When it was made known.
    pub created_at: Timestamp,
}

impl Record for Provider {
    const TABLE: &'static str = "identity-provider";
}

/// The provider's endpoints and habits (OpenID Connect Discovery 1.0 §3).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Pinned {
    /// Where browsers are sent.
    pub authorization: String,
    /// Where codes are redeemed.
    pub token: String,
    /// Where its keys are.
    pub keys: String,
    /// Whether its answers name their issuer (RFC 9207).
    pub announces_issuer: bool,
    /// Whether our secret goes into a header, and not into the form (RFC 6749 §2.3.1).
    pub takes_basic: bool,
    /// When it was asked.
    pub at: Timestamp,
}

/// What one of the provider's groups means here.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct GroupMapping {
    /// As the claim names it.
    pub value: String,
    /// Whose members those people are.
    pub group: PrincipalId,
}

/// Which claims of the provider count as two factors: none unless an administrator named them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct MultiFactorTrust {
    /// Values in `amr` (RFC 8176), any of them.
    pub amr: Vec<String>,
    /// Values of `acr`, any of them.
    pub acr: Vec<String>,
}

/// Who a subject of an issuer is here. Its row's id is the keyed hash of both.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct FederatedUser {
    /// `iss`.
    pub issuer: String,
    /// `sub`.
    pub subject: String,
    /// The user.
    pub principal: PrincipalId,
    /// Groups that the user belongs to by the provider's word alone: those it can take away again.
    pub groups: Vec<PrincipalId>,
    /// When it was written down.
    pub created_at: Timestamp,
}

impl Record for FederatedUser {
    const TABLE: &'static str = "federated-user";
}

/// A secret in a row: it does not print, and is wiped when dropped.
#[derive(Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Hidden(String);

impl Hidden {
    pub(super) fn new(secret: &Secret<String>) -> Self {
        Self(secret.expose().clone())
    }

    pub(super) fn secret(&self) -> Secret<String> {
        Secret::new(self.0.clone())
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("***")
    }
}

impl Drop for Hidden {
    fn drop(&mut self) {
        drop(Secret::new(std::mem::take(&mut self.0)));
    }
}
