//! Fetching a service token. Whoever may read the workspace may call its services (ruling Z2).

use async_trait::async_trait;
use kernel::{Action, Class, Error, Kind, ResourceId, Result, WorkspaceId};
use uuid::Uuid;

use super::{Form, endpoint::find_endpoint};
use crate::{
    gate::{Cx, Op},
    identity::{ServiceToken, service_token},
    resources::workspace_shelf,
};

/// Reading the workspace is all that calling a service needs; asked again on every call with a token.
pub(super) const CALL: Action = Action::new("Microsoft.MachineLearningServices/workspaces/read", Class::Vault);

/// The audience of an endpoint's tokens: its own id, which a later one of the same name does not have.
pub(super) fn audience(workspace: WorkspaceId, endpoint: Uuid) -> String {
    format!("urn:bartizan:service:{workspace}:{endpoint}")
}

/// Issues a token of an hour for one service.
#[derive(Debug)]
pub struct IssueServiceToken {
    /// The endpoint.
    pub endpoint: ResourceId,
}

#[async_trait]
impl Op for IssueServiceToken {
    const ACTION: Action = CALL;
    type Output = ServiceToken;

    fn scope(&self) -> ResourceId {
        self.endpoint.clone()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<ServiceToken> {
        let (shelf, workspace) = workspace_shelf(cx, &self.endpoint).await?;
        let endpoint = find_endpoint(cx, &shelf, &self.endpoint).await?;
        match endpoint.value.properties.form {
            Some(Form::Token) => {}
            Some(Form::Key) => {
                return Err(Error::new(
                    Kind::Invalid,
                    "the service asks for keys, not tokens; list its keys, or switch it to tokens",
                ));
            }
            Some(Form::Off) | None => {
                return Err(Error::new(Kind::Invalid, "token authentication is not enabled on this service"));
            }
        }
        let who =
            cx.caller().principal().ok_or_else(|| Error::new(Kind::Denied, "only a principal gets a service token"))?;
        let audience = audience(WorkspaceId::from(workspace.value.guid), endpoint.value.guid);
        cx.note("audience", &audience);
        service_token::issue(cx.house(), &audience, who.id, &who.proof)
    }
}
