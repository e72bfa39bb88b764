//! What has to be right about an ID token (OpenID Connect Core §3.1.3.7), and what it says.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use kernel::{Secret, Timestamp};
use seal::{ForeignToken, Sha256};
use serde_json::{Map, Value};

use super::records::{MultiFactorTrust, Provider};
use crate::identity::{
    issuers::{checked, numeric_date},
    token_keys::SKEW,
};

/// Values of one claim that are looked at.
const MOST_VALUES: usize = 2000;

/// An ID token that is right.
pub(super) struct IdToken {
    /// `sub`.
    pub subject: String,
    claims: Map<String, Value>,
}

/// What the token is held against.
pub(super) struct Expected<'a> {
    pub provider: &'a Provider,
    pub nonce: &'a str,
    pub access_token: Option<&'a Secret<String>>,
    pub now: Timestamp,
}

impl IdToken {
    /// Checks a token whose signature is good; otherwise what is wrong, in words for the log.
    pub(super) fn check(token: ForeignToken, expected: &Expected<'_>) -> Result<Self, &'static str> {
        let Expected { provider, nonce, access_token, now } = expected;
        // An access token or a logout token under the same key is none (RFC 8725 §3.11).
        if token.kind.as_deref().is_some_and(|kind| !kind.eq_ignore_ascii_case("JWT")) {
            return Err("the token is of another type");
        }
        let found = checked(token.claims, &provider.issuer, &provider.client_id, *now)?;
        let claims = found.other;
        let text = |name: &str| claims.get(name).and_then(Value::as_str);
        let is_for_several = claims.get("aud").and_then(Value::as_array).is_some_and(|all| all.len() > 1);
        let azp = claims.get("azp");
        if (is_for_several && azp.is_none()) || (azp.is_some() && text("azp") != Some(provider.client_id.as_str())) {
            return Err("the token was issued to another client");
        }
        if !claims.contains_key("iat") {
            return Err("the token does not say when it was issued");
        }
        if text("nonce") != Some(*nonce) {
            return Err("the token does not answer this sign-in");
        }
        if claims.contains_key("at_hash") {
            let due = access_token.map(half_digest);
            if due.is_none() || text("at_hash") != due.as_deref() {
                return Err("the token belongs to another access token");
            }
        }
        Ok(Self { subject: found.subject, claims })
    }

    /// When the person proved to the provider who they are (`auth_time`), as far as it says so; never later than now.
    pub(super) fn proved_at(&self, now: Timestamp) -> Option<Timestamp> {
        let said = numeric_date(self.claims.get("auth_time")?)?;
        Some(Timestamp(said.saturating_mul(1000)).min(now))
    }

    /// The same when it has to be after `since`; none when it is not, or when the provider does not say.
    pub(super) fn proved_since(&self, since: Timestamp, now: Timestamp) -> Option<Timestamp> {
        // The provider's clock may be behind, and it counts whole seconds.
        let said = self.proved_at(now).filter(|said| said.plus(SKEW) >= since)?;
        Some(said.max(since).min(now))
    }

    /// The text of a claim.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.claims.get(name)?.as_str()
    }

    /// The values of a claim: a list of texts, or a single one. A name that begins with a slash is a JSON pointer (RFC 6901).
    pub(super) fn values(&self, name: &str) -> Vec<&str> {
        let mut steps = name.strip_prefix('/').map_or(vec![name], |pointer| pointer.split('/').collect()).into_iter();
        let first = steps.next().and_then(|step| self.claims.get(&unescaped(step)));
        let found = steps.try_fold(first, |at, step| at.map(|value| value.get(unescaped(step))));
        match found.flatten() {
            Some(Value::String(one)) => vec![one],
            Some(Value::Array(all)) => all.iter().filter_map(Value::as_str).take(MOST_VALUES).collect(),
            _ => Vec::new(),
        }
    }

    /// Whether it says what was named as proof of two factors.
    pub(super) fn is_multi_factor(&self, trust: &MultiFactorTrust) -> bool {
        let by_method = self.values("amr").iter().any(|said| trust.amr.iter().any(|named| named == said));
        let by_context = self.text("acr").is_some_and(|said| trust.acr.iter().any(|named| named == said));
        by_method || by_context
    }
}

fn unescaped(step: &str) -> String {
    step.replace("~1", "/").replace("~0", "~")
}

/// The left half of the digest (§3.1.3.6); the algorithms that are believed all go with SHA-256.
fn half_digest(token: &Secret<String>) -> String {
    let digest = Sha256::of(token.expose().as_bytes());
    let (left, _) = digest.split_at(digest.len() / 2);
    URL_SAFE_NO_PAD.encode(left)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn token(claims: Value) -> IdToken {
        IdToken { subject: String::from("s"), claims: claims.as_object().unwrap().clone() }
    }

    #[test]
    fn groups_are_found_wherever_the_provider_puts_them() {
        let said = token(json!({"groups": ["a", "b", 3], "one": "a", "realm": {"a/b": {"roles": ["c"]}}}));
        assert_eq!(said.values("groups"), ["a", "b"]);
        assert_eq!(said.values("one"), ["a"]);
        assert_eq!(said.values("/realm/a~1b/roles"), ["c"]);
        for none in ["missing", "/realm/missing/roles", "/realm", "/", ""] {
            assert!(said.values(none).is_empty(), "{none}");
        }
    }

    #[test]
    fn the_time_of_a_proof_is_the_provider_s_word() {
        let at = |said: Value| token(json!({"auth_time": said}));
        let (now, since) = (Timestamp(1_000_000), Timestamp(900_500));
        let cases = [
            (json!(950), Some(950_000), Some(950_000)),
            (json!(950.7), Some(950_000), Some(950_000)),
            (json!(900), Some(900_000), Some(900_500)),
            (json!(841), Some(841_000), Some(900_500)),
            (json!(840), Some(840_000), None),
            (json!(0), Some(0), None),
            (json!(2000), Some(1_000_000), Some(1_000_000)),
            (json!(i64::MIN), Some(i64::MIN), None),
            (json!("950"), None, None),
            (json!(null), None, None),
        ];
        for (said, plain, again) in cases {
            let token = at(said.clone());
            assert_eq!(token.proved_at(now), plain.map(Timestamp), "{said}");
            assert_eq!(token.proved_since(since, now), again.map(Timestamp), "{said}");
        }
        assert_eq!(token(json!({})).proved_at(now), None);
        assert_eq!(token(json!({})).proved_since(since, now), None);
    }

    #[test]
    fn two_factors_are_believed_as_far_as_they_were_named() {
        let said = token(json!({"amr": ["pwd", "mfa"], "acr": "urn:two"}));
        let trust = |amr: &[&str], acr: &[&str]| MultiFactorTrust {
            amr: amr.iter().map(|word| String::from(*word)).collect(),
            acr: acr.iter().map(|word| String::from(*word)).collect(),
        };
        assert!(!said.is_multi_factor(&MultiFactorTrust::default()));
        assert!(!said.is_multi_factor(&trust(&["otp"], &["urn:three"])));
        assert!(said.is_multi_factor(&trust(&["mfa"], &[])));
        assert!(said.is_multi_factor(&trust(&[], &["urn:two"])));
        assert!(!token(json!({"amr": "pwd"})).is_multi_factor(&trust(&["mfa"], &["1"])));
    }
}
