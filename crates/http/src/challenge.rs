//! What a refused bearer token is answered with (RFC 6750 §3), and what a new one has to show (RFC 9470; Microsoft's "Claims
//! challenges, claims requests, and client capabilities").

use base64::{Engine, engine::general_purpose::STANDARD};
use http::HeaderValue;
use kernel::Error;

/// The `WWW-Authenticate` of a 401.
pub(crate) fn bearer(fault: &Error) -> HeaderValue {
    let plain = HeaderValue::from_static("Bearer realm=\"bartizan\", error=\"invalid_token\"");
    let Some(claims) = fault.challenge() else { return plain };
    let claims = STANDARD.encode(claims);
    let text = format!("Bearer realm=\"bartizan\", error=\"insufficient_claims\", claims=\"{claims}\"");
    HeaderValue::try_from(text).unwrap_or(plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kernel::Kind;

    #[test]
    fn claims_travel_in_base64() {
        let plain = Error::new(Kind::Unauthenticated, "no");
        assert_eq!(bearer(&plain), "Bearer realm=\"bartizan\", error=\"invalid_token\"");
        let asked = plain.challenging(String::from(r#"{"access_token":{}}"#));
        let header = bearer(&asked);
        let text = header.to_str().unwrap();
        assert!(text.ends_with("error=\"insufficient_claims\", claims=\"eyJhY2Nlc3NfdG9rZW4iOnt9fQ==\""), "{text}");
    }
}
