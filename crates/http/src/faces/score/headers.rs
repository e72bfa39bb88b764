//! Which headers pass the gateway.
//!
//! Inwards everything passes but credentials, what concerns one connection only (RFC 9110 §7.6.1), and claims about where
//! the call came from. Outwards little passes: a replica runs user code, and it answers from the origin of the whole server.

use http::{HeaderMap, HeaderName, header};

/// Headers that concern one connection only, or that the gateway sets itself.
const OF_CONNECTION: &[&str] = &[
    "connection",
    "keep-alive",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "content-length",
    "host",
    "expect",
    "http2-settings",
];

/// Credentials, and claims that only a trusted proxy could make.
const NEVER_INWARD: &[&str] = &[
    "authorization",
    "cookie",
    "forwarded",
    "via",
    "x-real-ip",
    "azureml-model-deployment",
    "x-ms-request-id",
    "x-ms-correlation-request-id",
];

/// What a replica may say, beside its own `x-` headers.
const OUTWARD: &[&str] = &[
    "content-type",
    "content-encoding",
    "content-language",
    "content-disposition",
    "cache-control",
    "etag",
    "expires",
    "last-modified",
    "retry-after",
    "vary",
];

/// `x-` headers that decide how a browser treats the origin, or that are the gateway's own.
const NEVER_OUTWARD: &[&str] = &[
    "x-content-type-options",
    "x-frame-options",
    "x-permitted-cross-domain-policies",
    "x-ms-request-id",
    "x-ms-correlation-request-id",
];

/// The headers of a call, for the replica.
pub(super) fn inward(given: &HeaderMap) -> HeaderMap {
    let named = named_by_connection(given);
    let passes = |name: &HeaderName| {
        let name = name.as_str();
        !OF_CONNECTION.contains(&name)
            && !NEVER_INWARD.contains(&name)
            && !name.starts_with("proxy-")
            && !name.starts_with("x-forwarded-")
            && !named.iter().any(|listed| listed == name)
    };
    filtered(given, passes)
}

/// The headers of an answer, for the caller.
pub(super) fn outward(given: &HeaderMap) -> HeaderMap {
    let named = named_by_connection(given);
    let passes = |name: &HeaderName| {
        let name = name.as_str();
        let is_own = name.starts_with("x-") && !NEVER_OUTWARD.contains(&name);
        let is_cors = name.starts_with("access-control-");
        (OUTWARD.contains(&name) || is_own || is_cors) && !named.iter().any(|listed| listed == name)
    };
    filtered(given, passes)
}

fn filtered(given: &HeaderMap, passes: impl Fn(&HeaderName) -> bool) -> HeaderMap {
    let kept = given.iter().filter(|(name, _)| passes(name));
    let mut out = HeaderMap::with_capacity(given.len());
    for (name, value) in kept {
        out.append(name.clone(), value.clone());
    }
    out
}

/// Names that `Connection` adds to the list.
fn named_by_connection(given: &HeaderMap) -> Vec<String> {
    let values = given.get_all(header::CONNECTION).iter().filter_map(|value| value.to_str().ok());
    values.flat_map(|value| value.split(',')).map(|name| name.trim().to_ascii_lowercase()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())).collect()
    }

    fn names(headers: &HeaderMap) -> Vec<&str> {
        headers.keys().map(HeaderName::as_str).collect()
    }

    #[test]
    fn credentials_and_hops_stay_outside() {
        let given = headers(&[
            ("authorization", "Bearer k"),
            ("cookie", "a=b"),
            ("connection", "close, X-Hop"),
            ("x-hop", "1"),
            ("transfer-encoding", "chunked"),
            ("proxy-authorization", "Basic x"),
            ("x-forwarded-for", "1.2.3.4"),
            ("forwarded", "for=1.2.3.4"),
            ("host", "h"),
            ("expect", "100-continue"),
            ("content-type", "application/json"),
            ("x-mine", "2"),
        ]);
        assert_eq!(names(&inward(&given)), ["content-type", "x-mine"]);
    }

    #[test]
    fn an_answer_cannot_speak_for_the_server() {
        let given = headers(&[
            ("set-cookie", "a=b"),
            ("content-security-policy", "x"),
            ("clear-site-data", "*"),
            ("www-authenticate", "Basic"),
            ("location", "https://elsewhere"),
            ("server", "x"),
            ("strict-transport-security", "max-age=0"),
            ("x-frame-options", "ALLOWALL"),
            ("x-ms-request-id", "1"),
            ("content-type", "application/json"),
            ("access-control-allow-origin", "*"),
            ("x-ms-run-function-failed", "true"),
        ]);
        let kept = outward(&given);
        assert_eq!(names(&kept), ["content-type", "access-control-allow-origin", "x-ms-run-function-failed"]);
    }
}
