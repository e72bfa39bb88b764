//! Token exchange (RFC 8693) for run tokens: a run gets another token for itself, for the same time and for as much or less,
//! and nothing else is exchanged for anything.

use async_trait::async_trait;
use kernel::{Action, Class, ResourceId, Result, RunCaller, Secret};

use super::{
    TokenRefusal,
    refusal::{Granted, answer},
};
use crate::{
    compute,
    gate::{Actor, Cx, Op},
    identity::{
        claims::{issuer, tenant_of},
        run_token::{self, RunClaims},
        token_keys::SKEW,
    },
};

/// Actions that a narrower token may list.
const MOST_ACTIONS: usize = 50;
/// The longest list, in bytes.
const LONGEST: usize = 4096;

/// Exchanges a run token. It is its own proof: no application asks.
#[derive(Debug)]
pub struct ExchangeRunToken {
    /// The tenant segment of the address.
    pub tenant: String,
    /// `subject_token`.
    pub token: Secret<String>,
    /// `audience` or `resource`: the run's own workspace; it may be left out, and be nothing else.
    pub audience: Option<String>,
    /// `scope`: the actions to keep, separated by spaces; all that the token has when empty.
    pub scope: String,
}

/// A run token that was exchanged.
#[derive(Debug)]
pub struct ExchangedToken {
    /// The token.
    pub token: Secret<String>,
    /// Seconds until it expires: not later than the one it was exchanged for.
    pub expires_in: i64,
    /// The actions it is for; empty for all that are open to runs.
    pub scope: String,
}

#[async_trait]
impl Op for ExchangeRunToken {
    const ACTION: Action = Action::public("Microsoft.Directory/tokens/exchange", Class::Read);
    type Output = std::result::Result<ExchangedToken, TokenRefusal>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        cx.note("grant", "token_exchange");
        let granted = self.exchange(cx).await;
        answer(cx, granted)
    }
}

impl ExchangeRunToken {
    async fn exchange(&self, cx: &Cx<'_, Self>) -> Granted<ExchangedToken> {
        let tenant = tenant_of(cx.house(), &self.tenant).ok_or(TokenRefusal::UnknownTenant)?;
        let keys = cx.house().identity.state();
        let held = keys.keys.verify::<RunClaims>(run_token::TYPE, self.token.expose());
        let held = held.ok_or(TokenRefusal::BadSubjectToken)?;
        let now = cx.now().seconds();
        let skew = i64::try_from(SKEW.as_secs()).unwrap_or(60);
        let fits = held.iss == issuer(cx.settings(), tenant)
            && held.aud == run_token::audience(held.workspace)
            && held.iat <= now.saturating_add(skew)
            && now < held.exp;
        let run = RunCaller {
            run: held.run.clone(),
            workspace: held.workspace,
            scope: held.scope.clone(),
            on_behalf_of: held.on_behalf_of,
            only: held.only.clone(),
        };
        if !fits || !compute::is_alive(cx.house(), &run).await? {
            return Err(TokenRefusal::BadSubjectToken.into());
        }
        cx.establish(Actor::Run { run: held.run.clone(), on_behalf_of: held.on_behalf_of });
        if self.audience.as_ref().is_some_and(|audience| *audience != held.aud) {
            return Err(TokenRefusal::BadTarget.into());
        }
        let only = narrowed(&held.only, &self.scope).ok_or(TokenRefusal::BadScope)?;
        cx.note("actions", only.len().to_string());
        let scope = only.join(" ");
        let token = run_token::issue_narrowed(cx.house(), held, only)?;
        Ok(ExchangedToken { token: token.0, expires_in: token.1.saturating_sub(now), scope })
    }
}

/// What is left of `held` (nothing listed: everything) when `asked` is wanted of it; none when that would be more.
fn narrowed(held: &[String], asked: &str) -> Option<Vec<String>> {
    let mut only: Vec<String> = asked.split_ascii_whitespace().map(str::to_owned).collect();
    if only.is_empty() {
        return Some(held.to_vec());
    }
    only.sort();
    only.dedup();
    let is_part = held.is_empty() || only.iter().all(|action| held.contains(action));
    (is_part && only.len() <= MOST_ACTIONS && asked.len() <= LONGEST).then_some(only)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn less_may_be_asked_and_never_more() {
        let list = |text: &str| -> Vec<String> { text.split_whitespace().map(String::from).collect() };
        assert_eq!(narrowed(&[], ""), Some(Vec::new()));
        assert_eq!(narrowed(&[], "b a a"), Some(list("a b")));
        assert_eq!(narrowed(&list("a b"), ""), Some(list("a b")));
        assert_eq!(narrowed(&list("a b"), "b"), Some(list("b")));
        assert_eq!(narrowed(&list("a b"), "b c"), None);
        assert_eq!(narrowed(&list("a"), "*"), None);
        assert_eq!(narrowed(&[], &"a ".repeat(5000)), None);
    }
}
