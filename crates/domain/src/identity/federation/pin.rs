//! Asking a provider where it is, and writing that down.

use kernel::{Error, Result};

use super::records::Pinned;
use crate::{
    gate::Admission,
    identity::issuers::{Metadata, discover},
};

/// The longest endpoint, in bytes.
const LONGEST: usize = 2048;

/// Asks an issuer for its endpoints, and for its keys when they are needed next. Errors name `issuer`.
pub(super) async fn pin(cx: &Admission<'_>, issuer: &str) -> Result<Pinned> {
    let metadata = discover(cx.web(), issuer).await.map_err(|fault| fault.into_error("issuer"))?;
    let Metadata { authorization_endpoint, token_endpoint, jwks_uri, .. } = metadata;
    for (name, place) in [
        ("authorization_endpoint", &authorization_endpoint),
        ("token_endpoint", &token_endpoint),
        ("jwks_uri", &jwks_uri),
    ] {
        if !is_endpoint(place, issuer) {
            let why = format_args!("the discovery document names no usable `{name}`");
            return Err(Error::invalid("issuer", why));
        }
    }
    // What would fail at the first sign-in is said now.
    for place in [&token_endpoint, &jwks_uri] {
        cx.web().permits(place).map_err(|fault| Error::invalid("issuer", fault))?;
    }
    cx.house().identity.issuers.forget(&jwks_uri);
    let ways = metadata.token_endpoint_auth_methods_supported;
    let takes = |way: &str| ways.iter().any(|known| known == way);
    Ok(Pinned {
        authorization: authorization_endpoint,
        token: token_endpoint,
        keys: jwks_uri,
        announces_issuer: metadata.authorization_response_iss_parameter_supported,
        // Basic is what a provider that says nothing takes (OpenID Connect Discovery §3).
        takes_basic: ways.is_empty() || takes("client_secret_basic") || !takes("client_secret_post"),
        at: cx.now(),
    })
}

/// Whether a browser or this server may be sent there: over TLS, unless the issuer itself is a trial on this machine.
fn is_endpoint(place: &str, issuer: &str) -> bool {
    let is_safe = place.starts_with("https://") || (issuer.starts_with("http://") && place.starts_with("http://"));
    let is_plain = place.bytes().all(|c| c.is_ascii_graphic() && !matches!(c, b'#' | b'\\' | b'"' | b'<' | b'>'));
    is_safe && is_plain && place.len() <= LONGEST
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_is_a_safe_place() {
        for good in ["https://idp.example/auth", "https://idp.example/auth?p=policy"] {
            assert!(is_endpoint(good, "https://idp.example"), "{good}");
        }
        assert!(is_endpoint("http://localhost:9000/auth", "http://localhost:9000"));
        let bad = ["", "http://idp.example/", "javascript:alert(1)", "https://idp.example/#x", "https://a b/", "//idp"];
        for bad in bad {
            assert!(!is_endpoint(bad, "https://idp.example"), "{bad}");
        }
        assert!(!is_endpoint("javascript:alert(1)", "http://localhost:9000"));
    }
}
