//! The refresh grant (RFC 6749 §6): each token is good once and gives the next. One that comes again was stolen, before or
//! after its owner used it, and ends the whole grant (RFC 9700 §4.14.2).

use async_trait::async_trait;
use kernel::{Action, Class, ResourceId, Result, Secret};
use uuid::Uuid;

use super::{
    ClientClaim, TokenRefusal, TokenSet,
    client::prove,
    credential::REFRESH_TOKEN,
    demands::Demands,
    grant::{OpenGrant, RefreshToken, revoke},
    refusal::{Granted, answer, is_stale},
    scope::Asked,
    tokens::{Moment, Subject, Terms, issue, name_person, standing},
};
use crate::gate::{Changes, Cx, Op};

/// Asks for the next tokens.
#[derive(Debug)]
pub struct RefreshTokens {
    /// The application.
    pub client: ClientClaim,
    /// `refresh_token`.
    pub token: Secret<String>,
    /// `scope`: another resource than before, too; the first one's when empty.
    pub scope: String,
    /// `claims`.
    pub claims: Option<String>,
}

#[async_trait]
impl Op for RefreshTokens {
    const ACTION: Action = Action::public("Microsoft.Directory/tokens/issue", Class::Control);
    type Output = std::result::Result<TokenSet, TokenRefusal>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        cx.note("grant", "refresh_token");
        let mut granted = self.refresh(cx).await;
        // Whoever was slower finds the token used, and so a replay.
        if is_stale(&granted) {
            granted = self.refresh(cx).await;
        }
        answer(cx, granted)
    }
}

impl RefreshTokens {
    async fn refresh(&self, cx: &Cx<'_, Self>) -> Granted<TokenSet> {
        let claims = self.claims.as_deref().unwrap_or_default();
        let what = ["refresh_token", self.token.expose().as_str(), &self.scope, claims];
        let proved = prove(cx, &self.client, &what).await?;
        let id: [u8; 32] = REFRESH_TOKEN.id_of(&self.token).ok_or(TokenRefusal::BadRefreshToken)?;
        let found = cx.get::<RefreshToken>(cx.system(), &id).await?;
        let known = found.filter(|row| REFRESH_TOKEN.matches(cx.system(), &self.token, &row.value.fingerprint));
        let mut known = known.ok_or(TokenRefusal::BadRefreshToken)?;
        let grant = Uuid::from_bytes(id.first_chunk::<16>().copied().unwrap_or_default());
        let grant = OpenGrant::find(cx, grant).await?.ok_or(TokenRefusal::BadRefreshToken)?.value;
        if grant.client != proved.client.app {
            return Err(TokenRefusal::BadRefreshToken.into());
        }
        grant.check(cx.now())?;
        name_person(cx, grant.principal);
        if known.value.used_at.is_some() {
            revoke(cx, grant.id, "a refresh token was used twice").await?;
            return Err(TokenRefusal::GrantRevoked.into());
        }
        let mut demands = Demands::read(self.claims.as_deref())?;
        let since = grant.started_at;
        let (member, session) = standing(cx, grant.principal, grant.session, since, &demands, Moment::Absent).await?;
        demands.capabilities.extend(grant.capabilities.iter().cloned());
        demands.capabilities.dedup();
        let scope = if self.scope.trim().is_empty() { &grant.scope } else { &self.scope };
        let asked = Asked::by_user(cx, grant.client, scope).await?;
        let mut changes = Changes::new();
        known.value.used_at = Some(cx.now());
        changes.put(cx.system(), &known)?;
        proved.remember(cx, &mut changes)?;
        let subject = Subject { tenant: proved.tenant, client: grant.client, member, session, grant: grant.id };
        let terms = Terms {
            asked: &asked,
            capabilities: demands.capabilities,
            nonce: None,
            generation: Some(known.value.generation.saturating_add(1)),
            not_after: None,
        };
        let tokens = issue(cx, &subject, terms, &mut changes).await?;
        cx.commit(changes).await?;
        Ok(tokens)
    }
}
