//! Redeeming a code at the provider's token endpoint (RFC 6749 §4.1.3).

use kernel::{Secret, WebError};
use serde::Deserialize;

use super::{attempts::Attempt, begin::escaped, provider::redirect_uri, records::Provider};
use crate::gate::Admission;

/// The longest answer of a token endpoint, in bytes.
const LONGEST_ANSWER: usize = 128 << 10;

/// What a provider gave for a code. The access token is not used: only the ID token's `at_hash` may speak of it.
pub(super) struct Redeemed {
    pub id_token: Secret<String>,
    pub access_token: Option<Secret<String>>,
}

/// Why it gave nothing; the words are for the log.
pub(super) enum ExchangeFault {
    /// It did not answer.
    Away(String),
    /// It refused the code, or us.
    Refused(String),
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    id_token: Option<String>,
    #[serde(default)]
    access_token: Option<String>,
    #[serde(default)]
    error: Option<String>,
}

pub(super) async fn redeem(
    cx: &Admission<'_>,
    provider: &Provider,
    attempt: &Attempt,
    code: &Secret<String>,
) -> Result<Redeemed, ExchangeFault> {
    let redirect_uri = redirect_uri(cx, provider);
    let mut fields = vec![
        ("grant_type", "authorization_code"),
        ("code", code.expose().as_str()),
        ("redirect_uri", redirect_uri.as_str()),
        ("code_verifier", attempt.verifier.expose().as_str()),
    ];
    let secret = provider.client_secret.as_ref().map(|secret| secret.secret());
    // In a header, both are escaped first (§2.3.1).
    let user = escaped(&provider.client_id);
    let password = secret.as_ref().map(|secret| Secret::new(escaped(secret.expose())));
    let basic = password.as_ref().filter(|_| provider.pinned.takes_basic).map(|password| (user.as_str(), password));
    if basic.is_none() {
        fields.push(("client_id", &provider.client_id));
        fields.extend(secret.as_ref().map(|secret| ("client_secret", secret.expose().as_str())));
    }
    let answered = cx.web().post_form(&provider.pinned.token, &fields, basic, LONGEST_ANSWER).await;
    let answered = answered.map_err(|fault: WebError| ExchangeFault::Away(fault.to_string()))?;
    let is_away = answered.status >= 500 || answered.status == 429;
    let answer: Option<Answer> = serde_json::from_slice(&answered.body).ok();
    match answer {
        Some(Answer { id_token: Some(id_token), access_token, .. }) if answered.status == 200 => {
            Ok(Redeemed { id_token: Secret::new(id_token), access_token: access_token.map(Secret::new) })
        }
        _ if is_away => Err(ExchangeFault::Away(format!("the token endpoint answers {}", answered.status))),
        Some(Answer { error: Some(error), .. }) => Err(ExchangeFault::Refused(word(&error))),
        _ => Err(ExchangeFault::Refused(format!("{} without an ID token", answered.status))),
    }
}

/// An error code of somebody else's, for the log: what may stand in one (RFC 6749 §5.2), and not much of it.
pub(super) fn word(code: &str) -> String {
    code.chars().filter(|c| c.is_ascii_graphic() && !matches!(c, '"' | '\\')).take(60).collect()
}
