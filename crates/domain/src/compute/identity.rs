//! The managed identities of a job: which it may act as, and the tokens its agent fetches for it.

use async_trait::async_trait;
use kernel::{Action, AppId, Error, Kind, ResourceId, Result};

use super::{
    Launch,
    agent::{AgentAddress, launch, live_state},
};
use crate::{
    gate::{Admission, Cx, Op, Row},
    identity::{AccessToken, ISSUE_IDENTITY_TOKEN, IdentityChoice, RunIdentity, identity_token},
    resources::{Resource, Target, UserAssignedIdentity, assignable, find},
};

/// What a job says about whom its code acts as (`properties.identity` in Azure's job).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum JobIdentity {
    /// Nothing said: the identities of the compute target.
    #[default]
    OfTarget,
    /// `AMLToken`: nobody but the run itself.
    RunOnly,
    /// `Managed`: one of the target's by client or object id, or a user-assigned one by its resource id, which the submitter
    /// must have the right to assign.
    Managed(IdentityWanted),
}

/// The identity that a job names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IdentityWanted {
    /// `clientId`.
    pub client: Option<String>,
    /// `objectId`.
    pub object: Option<String>,
    /// `resourceId`.
    pub resource: Option<ResourceId>,
}

/// The identities that a job's code may act as; the first is the one it gets when it names none.
pub(super) async fn identities_of_job(
    cx: &Admission<'_>,
    target: &Row<Resource<Target>>,
    wanted: &JobIdentity,
) -> Result<Vec<RunIdentity>> {
    let field = "properties.identity";
    let held = match wanted {
        JobIdentity::RunOnly => return Ok(Vec::new()),
        JobIdentity::OfTarget | JobIdentity::Managed(_) => of_target(cx, target).await?,
    };
    let JobIdentity::Managed(wanted) = wanted else { return Ok(held) };
    if let Some(id) = &wanted.resource {
        let found = assignable(cx, id, field).await?;
        return Ok(vec![of_user(found)]);
    }
    let choice = IdentityChoice { client: wanted.client.clone(), object: wanted.object.clone(), resource: None };
    let none = || {
        let why = "the compute target has no such managed identity; give it one with `bartizan compute update`, or name a \
                   user-assigned one by `resourceId`";
        Error::invalid(field, why)
    };
    Ok(vec![choice.among(&held).cloned().ok_or_else(none)?])
}

/// Those of the target that still are.
async fn of_target(cx: &Admission<'_>, target: &Row<Resource<Target>>) -> Result<Vec<RunIdentity>> {
    let identities = &target.value.properties.identities;
    let own = identities.system.as_ref();
    let mut held: Vec<RunIdentity> = own
        .map(|own| RunIdentity { principal: own.principal, client: own.client, resource: None })
        .into_iter()
        .collect();
    for handed in &identities.user_assigned {
        match find::<UserAssignedIdentity>(cx, &handed.id).await {
            Ok((_, row)) if handed.is(&row.value, target.value.system.last_modified_at) => {
                held.push(of_user(row.value));
            }
            // Made anew under the name of one that was handed over: nobody had to have the right to assign this one.
            Ok(_) => {}
            // Deleted since it was handed to the target.
            Err(fault) if fault.kind() == Kind::NotFound => {}
            Err(fault) => return Err(fault),
        }
    }
    Ok(held)
}

fn of_user(found: Resource<UserAssignedIdentity>) -> RunIdentity {
    let UserAssignedIdentity { principal, client, .. } = found.properties;
    RunIdentity { principal, client, resource: Some(found.id) }
}

/// Fetches a token of one of the run's managed identities, for the code of the run.
#[derive(Debug)]
pub struct GetRunIdentityToken {
    /// Whose agent asks.
    pub address: AgentAddress,
    /// The audience: a resource of this server.
    pub resource: String,
    /// Which identity.
    pub choice: IdentityChoice,
}

#[async_trait]
impl Op for GetRunIdentityToken {
    const ACTION: Action = ISSUE_IDENTITY_TOKEN;
    /// The token, and the client id of the identity it stands for.
    type Output = (AccessToken, AppId);

    fn scope(&self) -> ResourceId {
        self.address.scope.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let (shelf, run) = self.address.enter(cx).await?;
        live_state(cx, &shelf, &run.run).await?;
        let Launch { identities, .. } = launch(cx, &shelf, &run.run).await?;
        let (token, identity) = identity_token(cx, &run, &identities, &self.choice, &self.resource)?;
        Ok((token, identity.client))
    }
}
