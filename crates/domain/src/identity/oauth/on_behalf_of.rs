//! The on-behalf-of grant (RFC 7523 §2.1 in Entra's form): an application that was called with a user's token calls on for
//! that user. What it gets ends with that token, that session and that grant, and cannot be refreshed.

use async_trait::async_trait;
use kernel::{Action, Class, ResourceId, Result, Secret};

use super::{
    ClientClaim, TokenRefusal, TokenSet,
    client::prove,
    demands::Demands,
    grant::stands,
    refusal::{Granted, answer, is_stale},
    scope::{Asked, is_of},
    tokens::{Moment, Subject, Terms, issue, standing},
};
use crate::{
    gate::{Changes, Cx, Op},
    identity::{
        claims::{self, Claims},
        token_keys::SKEW,
    },
};

/// Asks for a token on behalf of the user whose token it presents.
#[derive(Debug)]
pub struct ActOnBehalf {
    /// The application; it must prove itself.
    pub client: ClientClaim,
    /// `assertion`: an access token of a user for this application.
    pub assertion: Secret<String>,
    /// `scope`.
    pub scope: String,
    /// `claims`.
    pub claims: Option<String>,
}

#[async_trait]
impl Op for ActOnBehalf {
    const ACTION: Action = Action::public("Microsoft.Directory/tokens/issue", Class::Control);
    type Output = std::result::Result<TokenSet, TokenRefusal>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        cx.note("grant", "on_behalf_of");
        let mut granted = self.issue(cx).await;
        if is_stale(&granted) {
            granted = self.issue(cx).await;
        }
        answer(cx, granted)
    }
}

impl ActOnBehalf {
    async fn issue(&self, cx: &Cx<'_, Self>) -> Granted<TokenSet> {
        let claims = self.claims.as_deref().unwrap_or_default();
        let what = ["on_behalf_of", self.assertion.expose().as_str(), &self.scope, claims];
        let proved = prove(cx, &self.client, &what).await?;
        if proved.client.is_public {
            return Err(TokenRefusal::GrantNotAllowed.into());
        }
        let app = proved.client.app;
        // Run tokens, ID tokens and all others are of another type, and do not verify as this one.
        let held = cx.house().identity.state().keys.verify::<Claims>(claims::TYPE, self.assertion.expose());
        let held = held.ok_or(TokenRefusal::BadUserAssertion)?;
        let now = cx.now().seconds();
        let skew = i64::try_from(SKEW.as_secs()).unwrap_or(60);
        let fits = held.iss == claims::issuer(cx.settings(), proved.tenant)
            && held.tid == proved.tenant.0
            && is_of(&held.aud, app)
            && held.nbf.max(held.iat) <= now.saturating_add(skew)
            && now < held.exp;
        let (session, grant) = match (fits, held.sid, held.grant) {
            (true, Some(session), Some(grant)) => (session, grant),
            _ => return Err(TokenRefusal::BadUserAssertion.into()),
        };
        let demands = Demands::read(self.claims.as_deref())?;
        let since = kernel::Timestamp(held.iat.saturating_mul(1000).saturating_add(999));
        let (member, session) = standing(cx, held.oid.into(), session, since, &demands, Moment::Absent).await?;
        if !stands(cx.house(), grant).await? {
            return Err(TokenRefusal::GrantRevoked.into());
        }
        cx.note("calledBy", held.appid.to_string());
        let mut asked = Asked::by_user(cx, app, &self.scope).await?;
        asked.offline = false;
        let mut changes = Changes::new();
        proved.remember(cx, &mut changes)?;
        let subject = Subject { tenant: proved.tenant, client: app, member, session, grant };
        let terms = Terms {
            asked: &asked,
            capabilities: demands.capabilities,
            nonce: None,
            generation: None,
            not_after: Some(held.exp),
        };
        let tokens = issue(cx, &subject, terms, &mut changes).await?;
        if !changes.is_empty() {
            cx.commit(changes).await?;
        }
        Ok(tokens)
    }
}
