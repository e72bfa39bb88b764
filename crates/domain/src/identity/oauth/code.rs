//! The authorization-code grant (RFC 6749 §4.1, RFC 7636): a code is good once, for a minute, for the application and the
//! address it was asked for, and for whoever knows what its challenge was made of.

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use kernel::{Action, AppId, Class, PrincipalId, ResourceId, Result, Secret, Timestamp};
use seal::{Fingerprint, Sha256};
use uuid::Uuid;

use super::{
    ClientClaim, TokenRefusal, TokenSet,
    client::{Proved, prove},
    credential::CODE,
    demands::Demands,
    grant::refuse_replay,
    refusal::{Granted, answer, is_stale},
    scope::Asked,
    tokens::{Moment, Subject, Terms, issue, name_person, new_grant, standing},
};
use crate::gate::{Changes, Cx, Op};

/// A code is good for this long (RFC 6749 §4.1.2 allows ten minutes, RFC 9700 asks for less).
pub(super) const LIFETIME: Duration = Duration::from_secs(60);
/// Codes that wait at once.
const MOST: usize = 10_000;
/// Codes of one session that wait at once.
const MOST_OF_A_SESSION: usize = 20;
/// What a verifier is made of (RFC 7636 §4.1).
const VERIFIER: std::ops::RangeInclusive<usize> = 43..=128;

/// A code that nobody redeemed yet.
#[derive(Clone, Debug)]
pub(super) struct OfferedCode {
    pub fingerprint: Fingerprint,
    pub client: AppId,
    pub principal: PrincipalId,
    pub session: Uuid,
    /// As the request had it.
    pub redirect_uri: String,
    pub challenge: Option<String>,
    pub nonce: Option<String>,
    pub asked: Asked,
    pub demands: Demands,
    pub offered_at: Timestamp,
}

/// Codes that nobody redeemed yet, by the grant that they would open.
#[derive(Default)]
pub(super) struct Codes(HashMap<Uuid, OfferedCode>);

impl Codes {
    /// Offers a code; whether there was room.
    pub(super) fn offer(&mut self, grant: Uuid, code: OfferedCode) -> bool {
        let now = code.offered_at;
        if self.0.len() >= MOST {
            self.0.retain(|_, code| now < code.offered_at.plus(LIFETIME));
        }
        let of_session = self.0.iter().filter(|(_, other)| other.session == code.session);
        if of_session.clone().count() >= MOST_OF_A_SESSION
            && let Some(oldest) = of_session.min_by_key(|(_, code)| code.offered_at).map(|(grant, _)| *grant)
        {
            self.0.remove(&oldest);
        }
        let has_room = self.0.len() < MOST;
        if has_room {
            self.0.insert(grant, code);
        }
        has_room
    }
}

/// Redeems a code.
#[derive(Debug)]
pub struct RedeemCode {
    /// The application.
    pub client: ClientClaim,
    /// `code`.
    pub code: Secret<String>,
    /// `code_verifier`.
    pub verifier: Option<Secret<String>>,
    /// `redirect_uri`, exactly as the authorization request had it.
    pub redirect_uri: String,
    /// `scope`, when it is repeated: another than the code's does not change what the code is for.
    pub scope: String,
    /// `claims`.
    pub claims: Option<String>,
}

#[async_trait]
impl Op for RedeemCode {
    const ACTION: Action = Action::public("Microsoft.Directory/tokens/issue", Class::Control);
    type Output = std::result::Result<TokenSet, TokenRefusal>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        cx.note("grant", "authorization_code");
        let mut granted = self.redeem(cx).await;
        // Whoever was slower finds the grant open, and so a replay.
        if is_stale(&granted) {
            granted = self.redeem(cx).await;
        }
        answer(cx, granted)
    }
}

impl RedeemCode {
    async fn redeem(&self, cx: &Cx<'_, Self>) -> Granted<TokenSet> {
        let claims = self.claims.as_deref().unwrap_or_default();
        let what = ["authorization_code", self.code.expose().as_str(), claims];
        let proved = prove(cx, &self.client, &what).await?;
        let grant = Uuid::from_bytes(CODE.id_of(&self.code).ok_or(TokenRefusal::BadCode)?);
        let (code, checked) = {
            let mut codes = cx.house().identity.offers.codes();
            let code = codes.0.get(&grant).cloned();
            let code = code.filter(|code| CODE.matches(cx.system(), &self.code, &code.fingerprint));
            let checked = code.as_ref().map(|code| self.check(cx.now(), &proved, code));
            // One guess at verifier, client or address is all there is.
            if matches!(checked, Some(Err(_))) {
                codes.0.remove(&grant);
            }
            (code, checked)
        };
        let Some((code, checked)) = code.zip(checked) else {
            refuse_replay(cx, &CODE, grant, &self.code).await?;
            return Err(TokenRefusal::BadCode.into());
        };
        name_person(cx, code.principal);
        checked?;
        let issued = self.issue(cx, proved, grant, &code).await;
        if !is_stale(&issued) {
            cx.house().identity.offers.codes().0.remove(&grant);
        }
        issued
    }

    fn check(&self, now: Timestamp, proved: &Proved, code: &OfferedCode) -> Granted<()> {
        if code.client != proved.client.app || code.redirect_uri != self.redirect_uri {
            return Err(TokenRefusal::BadCode.into());
        }
        if now >= code.offered_at.plus(LIFETIME) || now < code.offered_at {
            return Err(TokenRefusal::CodeExpired.into());
        }
        match (&code.challenge, &self.verifier) {
            (None, None) if !proved.client.needs_challenge => Ok(()),
            (Some(challenge), Some(verifier)) if proves(verifier, challenge) => Ok(()),
            // A verifier for a code without a challenge is a code that was put under another's request (RFC 9700 §4.8.2).
            _ => Err(TokenRefusal::BadVerifier.into()),
        }
    }

    async fn issue(&self, cx: &Cx<'_, Self>, proved: Proved, grant: Uuid, code: &OfferedCode) -> Granted<TokenSet> {
        if let Some(row) = super::grant::OpenGrant::find(cx, grant).await? {
            super::grant::revoke(cx, row.value.id, "a code was redeemed twice").await?;
            return Err(TokenRefusal::BadCode.into());
        }
        let since = code.offered_at;
        let (member, session) =
            standing(cx, code.principal, code.session, since, &code.demands, Moment::Present).await?;
        let mut demands = Demands::read(self.claims.as_deref())?;
        demands.capabilities.extend(code.demands.capabilities.iter().cloned());
        demands.capabilities.dedup();
        let subject = Subject { tenant: proved.tenant, client: proved.client.app, member, session, grant };
        let mut changes = Changes::new();
        new_grant(cx, &subject, &code.asked, &demands, code.fingerprint.clone()).open(cx, &mut changes)?;
        proved.remember(cx, &mut changes)?;
        let terms = Terms {
            asked: &code.asked,
            capabilities: demands.capabilities,
            nonce: code.nonce.clone(),
            generation: code.asked.offline.then_some(0),
            not_after: None,
        };
        let tokens = issue(cx, &subject, terms, &mut changes).await?;
        cx.commit(changes).await?;
        Ok(tokens)
    }
}

/// Whether the challenge was made of this verifier. Both are public or used up by now, so that time tells nothing.
fn proves(verifier: &Secret<String>, challenge: &str) -> bool {
    let text = verifier.expose();
    let is_one = VERIFIER.contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte));
    is_one && URL_SAFE_NO_PAD.encode(Sha256::of(text.as_bytes())) == challenge
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 7636, appendix B.
    #[test]
    fn the_vector_of_the_standard() {
        let challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
        assert!(proves(&Secret::new(String::from("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk")), challenge));
        for wrong in ["", challenge, "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXK", &"a".repeat(129), &" ".repeat(43)] {
            assert!(!proves(&Secret::new(wrong.to_owned()), challenge), "{wrong}");
        }
    }
}
