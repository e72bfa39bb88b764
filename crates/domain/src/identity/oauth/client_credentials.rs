//! The client-credentials grant (RFC 6749 §4.4): an application for itself.

use async_trait::async_trait;
use kernel::{Action, Class, Proof, ResourceId, Result};

use super::{
    ClientClaim, TokenRefusal,
    client::prove,
    demands::Demands,
    refusal::{Granted, answer, is_stale},
    scope::Asked,
};
use crate::{
    gate::{Changes, Cx, Op},
    identity::{
        AccessToken,
        claims::{Grant, access_token},
    },
};

/// A token request by an application for itself.
#[derive(Debug)]
pub struct GetToken {
    /// The application.
    pub client: ClientClaim,
    /// `scope`: one resource with `/.default`.
    pub scope: String,
    /// `claims`.
    pub claims: Option<String>,
}

#[async_trait]
impl Op for GetToken {
    const ACTION: Action = Action::public("Microsoft.Directory/tokens/issue", Class::Read);
    type Output = std::result::Result<AccessToken, TokenRefusal>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        cx.note("grant", "client_credentials");
        let mut granted = self.issue(cx).await;
        // An assertion may be used for two resources at once; whoever comes second reads again.
        if is_stale(&granted) {
            granted = self.issue(cx).await;
        }
        answer(cx, granted)
    }
}

impl GetToken {
    async fn issue(&self, cx: &Cx<'_, Self>) -> Granted<AccessToken> {
        let claims = self.claims.as_deref().unwrap_or_default();
        let proved = prove(cx, &self.client, &["client_credentials", &self.scope, claims]).await?;
        let member = match &proved.member {
            Some(member) if !proved.client.is_public => member,
            _ => return Err(TokenRefusal::GrantNotAllowed.into()),
        };
        let audience = Asked::by_application(cx, &self.scope).await?;
        // An application has one credential, so no context is satisfied, and none is demanded of it (requirement A-04).
        let capabilities = Demands::read(self.claims.as_deref())?.capabilities;
        let grant = Grant { member, client: proved.client.app, audience, proof: Proof::default(), capabilities };
        let token = access_token(cx, proved.tenant, grant)?;
        let mut changes = Changes::new();
        proved.remember(cx, &mut changes)?;
        if !changes.is_empty() {
            cx.commit(changes).await?;
        }
        Ok(token)
    }
}
