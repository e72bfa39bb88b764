//! Sign-in policies (conditional access): of whom multi-factor authentication is demanded, from where, and for what.
//!
//! A policy without operations is asked when somebody signs in. One with operations is asked when such an operation is
//! entered: whoever has shown one factor alone gets a claims challenge, signs in again with a second one, and goes on
//! (RFC 9470). Only people are asked; service principals have one credential (requirement A-04).

mod network;
mod operations;

pub use network::Network;
pub use operations::{
    CreateSignInPolicy, DeleteSignInPolicy, GetSignInPolicy, ListSignInPolicies, PolicyTerms, UpdateSignInPolicy,
};

use std::net::IpAddr;

use kernel::{Action, Caller, Class, Error, Kind, PrincipalId, PrincipalKind, Result, Timestamp, Who};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::gate::{House, Record};

/// The authentication context that multi-factor authentication satisfies.
pub(crate) const MULTI_FACTOR: &str = "c1";

/// A policy.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SignInPolicy {
    /// Names it.
    pub id: Uuid,
    /// What it says.
    pub terms: PolicyTerms,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub modified_at: Timestamp,
}

impl Record for SignInPolicy {
    const TABLE: &'static str = "sign-in-policy";
}

/// Classes of operations that can demand a second factor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OperationClass {
    /// Changes of resources, roles, people.
    Control,
    /// Reads and changes of secrets and keys.
    Vault,
    /// Changes of data: runs, metrics, files.
    DataWrite,
    /// Reads.
    Read,
}

impl OperationClass {
    fn is(self, class: Class) -> bool {
        matches!(
            (self, class),
            (Self::Control, Class::Control)
                | (Self::Vault, Class::Vault)
                | (Self::DataWrite, Class::DataWrite)
                | (Self::Read, Class::Read)
        )
    }
}

impl SignInPolicy {
    /// Whether it is about this person, coming from this address.
    fn is_about(&self, house: &House, principal: PrincipalId, address: Option<IpAddr>) -> bool {
        let terms = &self.terms;
        let groups = house.access().above(principal);
        let is_among = |named: &[PrincipalId]| named.iter().any(|named| *named == principal || groups.contains(named));
        let holds = |role: &Uuid| house.access().holds(principal, *role);
        let is_included = terms.everyone || is_among(&terms.principals) || terms.roles.iter().any(holds);
        // An address that is not known is not a trusted one.
        let is_trusted = address.is_some_and(|address| terms.trusted_networks.iter().any(|net| net.contains(address)));
        terms.is_enabled && is_included && !is_among(&terms.except) && !is_trusted
    }
}

/// Whether this person has to show a second factor to sign in, coming from this address.
pub(crate) fn demands_mfa(house: &House, principal: PrincipalId, address: Option<IpAddr>) -> bool {
    let state = house.identity.state();
    let asks = |policy: &SignInPolicy| policy.terms.operations.is_empty() && policy.is_about(house, principal, address);
    state.people.get(&principal).is_some_and(|person| person.needs_mfa) || state.policies.iter().any(asks)
}

/// Whether this person has to show a second factor for operations of this class, wherever they come from.
pub(crate) fn demands_for(house: &House, principal: PrincipalId, class: OperationClass) -> bool {
    let state = house.identity.state();
    state
        .policies
        .iter()
        .any(|policy| policy.terms.operations.contains(&class) && policy.is_about(house, principal, None))
}

/// Why the caller has to sign in again with a second factor before this action; none when it need not.
pub(crate) fn step_up(house: &House, caller: &Caller, action: &Action) -> Option<Error> {
    let Who::Principal(principal) = &caller.who else { return None };
    if principal.kind != PrincipalKind::User || principal.proof.contexts.iter().any(|known| known == MULTI_FACTOR) {
        return None;
    }
    let state = house.identity.state();
    let asks = |policy: &SignInPolicy| {
        policy.terms.operations.iter().any(|class| class.is(action.class()))
            && policy.is_about(house, principal.id, caller.source.address)
    };
    state.policies.iter().find(|policy| asks(policy)).map(|policy| {
        challenge(&format!(
            "the policy `{}` demands multi-factor authentication for this: sign in again with a second factor",
            policy.terms.name
        ))
    })
}

fn challenge(why: &str) -> Error {
    let claims = serde_json::json!({"access_token": {"acrs": {"essential": true, "value": MULTI_FACTOR}}});
    Error::new(Kind::Unauthenticated, why).challenging(claims.to_string())
}

/// Refuses a caller who has not shown a second factor: a person is asked to sign in with one, a service principal has none.
///
/// # Errors
/// `Unauthenticated` with the challenge, or `Denied`.
pub(crate) fn require_mfa(caller: &Caller) -> Result<()> {
    let why = "this takes multi-factor authentication: sign in again with a second factor";
    match caller.principal() {
        Some(principal) if principal.proof.contexts.iter().any(|known| known == MULTI_FACTOR) => Ok(()),
        Some(principal) if principal.kind == PrincipalKind::User => Err(challenge(why)),
        _ => Err(Error::new(Kind::Denied, "this takes multi-factor authentication, which people alone can show")),
    }
}

#[cfg(test)]
mod tests;
