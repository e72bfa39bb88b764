//! Managed identities of runs: tokens for principals without a credential, for the code of runs that may act as them
//! (requirement A-06). They die with the run, and the workspace's own identity is never among them.

use kernel::{Action, AppId, Class, Error, Kind, PrincipalId, Proof, ResourceId, Result, RunCaller};
use serde::{Deserialize, Serialize};

use super::{
    AccessToken,
    claims::{Grant, access_token, audience},
};
use crate::gate::Admission;

/// An identity that a run may act as.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunIdentity {
    /// Object id.
    pub principal: PrincipalId,
    /// Client id.
    pub client: AppId,
    /// The identity's resource; none for the target's own.
    pub resource: Option<ResourceId>,
}

/// Which of a run's identities is meant, as the IMDS form names it.
#[derive(Clone, Debug, Default)]
pub struct IdentityChoice {
    /// `client_id`.
    pub client: Option<String>,
    /// `object_id`.
    pub object: Option<String>,
    /// `msi_res_id`.
    pub resource: Option<String>,
}

impl IdentityChoice {
    /// The identity named; the first when none is.
    pub fn among<'a>(&self, held: &'a [RunIdentity]) -> Option<&'a RunIdentity> {
        let same = |named: &Option<String>, found: Option<String>| {
            named.as_ref().is_none_or(|named| found.is_some_and(|found| found.eq_ignore_ascii_case(named)))
        };
        held.iter().find(|identity| {
            same(&self.client, Some(identity.client.to_string()))
                && same(&self.object, Some(identity.principal.to_string()))
                && same(&self.resource, identity.resource.as_ref().map(ToString::to_string))
        })
    }
}

/// What giving a run such a token needs: nobody has it by a role, and runs only for themselves.
pub(crate) const ISSUE: Action =
    Action::new("Microsoft.MachineLearningServices/workspaces/experiments/runs/identityTokens/action", Class::Control)
        .open_to_runs();

/// A token of one of the run's identities.
///
/// # Errors
/// `Invalid` when the run has no such identity or nothing here answers to the resource, `Denied` when the identity is
/// disabled or gone.
pub(crate) fn identity_token(
    cx: &Admission<'_>,
    run: &RunCaller,
    held: &[RunIdentity],
    choice: &IdentityChoice,
    resource: &str,
) -> Result<(AccessToken, RunIdentity)> {
    let none = || {
        let why = "no such managed identity belongs to this run: give the compute target one, or name one in the job";
        Error::invalid("client_id", why)
    };
    let identity = choice.among(held).ok_or_else(none)?;
    let house = cx.house();
    let gone = || Error::new(Kind::Denied, "the managed identity is disabled or was deleted");
    let member = house.identity.member(identity.principal).filter(|member| !member.is_disabled).ok_or_else(gone)?;
    let tenant = house.tenant().ok_or_else(|| Error::internal("a house without a tenant"))?;
    let audience = audience(cx.settings(), resource)
        .ok_or_else(|| Error::invalid("resource", "nothing on this server answers to that resource"))?;
    cx.note("identity", member.id.to_string());
    let proof = Proof { run: Some((run.workspace, run.run.clone())), ..Proof::default() };
    let grant = Grant { member: &member, client: identity.client, audience, proof, capabilities: Vec::new() };
    Ok((access_token(cx, tenant, grant)?, identity.clone()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_identity_is_the_default_and_a_wrong_name_finds_none() {
        let make = |resource: Option<&str>| RunIdentity {
            principal: PrincipalId::random(),
            client: AppId::random(),
            resource: resource.map(|text| text.parse().unwrap()),
        };
        let id = "/subscriptions/s/resourceGroups/g/providers/Microsoft.ManagedIdentity/userAssignedIdentities/ann";
        let held = [make(None), make(Some(id))];
        let by = |client: Option<&str>, object: Option<&str>, resource: Option<&str>| {
            let [client, object, resource] = [client, object, resource].map(|text| text.map(str::to_owned));
            IdentityChoice { client, object, resource }.among(&held).cloned()
        };
        assert_eq!(by(None, None, None), Some(held[0].clone()));
        assert_eq!(by(Some(&held[1].client.to_string().to_uppercase()), None, None), Some(held[1].clone()));
        assert_eq!(by(None, Some(&held[1].principal.to_string()), None), Some(held[1].clone()));
        assert_eq!(by(None, None, Some(&id.to_uppercase())), Some(held[1].clone()));
        assert_eq!(by(Some(&held[0].client.to_string()), None, Some(id)), None);
        assert_eq!(by(Some("other"), None, None), None);
        assert_eq!(IdentityChoice::default().among(&[]), None);
    }
}
