//! Forms that applications post: each parameter once (RFC 6749 §3.2), and who they say they are.

use base64::{Engine, engine::general_purpose::STANDARD};
use domain::identity::{ClientClaim, ClientProof};
use http::{HeaderMap, header};
use kernel::{Secret, Source};
use wire::oauth::{self, TokenRequest};

use super::fault::Fault;
use crate::{Guest, path};

/// A form of a few fields, of which one may be a signed assertion with its certificates. In bytes.
const LONGEST: usize = 48 * 1024;
const MALFORMED: &str = "the `Authorization` header is not well formed";

/// A form, and whose it claims to be.
pub(super) struct Posted {
    pub form: TokenRequest,
    pub client: ClientClaim,
    pub source: Source,
}

/// Reads a request of the token or the device endpoint.
pub(super) async fn read(guest: Guest) -> Result<Posted, Fault> {
    let source = guest.source();
    let fault = |why: kernel::Error| Fault::of(&source, &why);
    let malformed = |why: &str| Fault::new(&source, 900_144, "invalid_request", why);
    let tenant: String = guest.param("tenant").map_err(fault)?;
    let basic = authorization(guest.headers()).map_err(malformed)?;
    // Whoever asks is nobody yet.
    let body = guest.bytes_to(LONGEST).await.map_err(fault)?;
    let mut form = parse(&body).map_err(|why| malformed(&why))?;
    let client = claim(tenant, &mut form, basic).map_err(malformed)?;
    Ok(Posted { form, client, source })
}

fn parse(body: &[u8]) -> Result<TokenRequest, String> {
    let text = std::str::from_utf8(body).map_err(|_| String::from("the body is not a form"))?;
    let count = text.split('&').filter(|pair| !pair.is_empty()).count();
    let pairs: Vec<(String, String)> = path::pairs(text).collect();
    if pairs.len() != count {
        return Err(String::from("the body is not a form: a parameter is not well encoded"));
    }
    let mut form = TokenRequest::default();
    let mut seen: Vec<String> = Vec::new();
    for (key, value) in pairs {
        if seen.contains(&key) {
            let shown: String = key.chars().filter(|c| c.is_ascii_alphanumeric() || *c == '_').take(40).collect();
            return Err(format!("the parameter `{shown}` comes twice"));
        }
        if let Some(field) = field(&mut form, &key) {
            *field = value;
        }
        seen.push(key);
    }
    Ok(form)
}

fn field<'a>(form: &'a mut TokenRequest, key: &str) -> Option<&'a mut String> {
    Some(match key {
        "grant_type" => &mut form.grant_type,
        "client_id" => &mut form.client_id,
        "client_secret" => &mut form.client_secret,
        "client_assertion" => &mut form.client_assertion,
        "client_assertion_type" => &mut form.client_assertion_type,
        "scope" => &mut form.scope,
        "resource" => &mut form.resource,
        "claims" => &mut form.claims,
        "code" => &mut form.code,
        "device_code" => &mut form.device_code,
        "redirect_uri" => &mut form.redirect_uri,
        "code_verifier" => &mut form.code_verifier,
        "refresh_token" => &mut form.refresh_token,
        "assertion" => &mut form.assertion,
        "requested_token_use" => &mut form.requested_token_use,
        "subject_token" => &mut form.subject_token,
        "subject_token_type" => &mut form.subject_token_type,
        "actor_token" => &mut form.actor_token,
        "requested_token_type" => &mut form.requested_token_type,
        "audience" => &mut form.audience,
        _ => return None,
    })
}

/// Who asks. There is one way to prove that in a request (RFC 6749 §2.3).
fn claim(
    tenant: String,
    form: &mut TokenRequest,
    basic: Option<(String, String)>,
) -> Result<ClientClaim, &'static str> {
    let take = |text: &mut String| Some(std::mem::take(text)).filter(|text| !text.is_empty());
    let (secret, assertion) = (take(&mut form.client_secret), take(&mut form.client_assertion));
    if assertion.is_some() && form.client_assertion_type != oauth::CLIENT_ASSERTION {
        return Err("`client_assertion_type` must be `urn:ietf:params:oauth:client-assertion-type:jwt-bearer`");
    }
    let mut id = std::mem::take(&mut form.client_id);
    let proof = match (basic, secret, assertion) {
        (Some((named, secret)), None, None) => {
            if !id.is_empty() && id != named {
                return Err("the `Authorization` header and `client_id` name two applications");
            }
            id = named;
            ClientProof::Secret(Secret::new(secret))
        }
        (None, Some(secret), None) => ClientProof::Secret(Secret::new(secret)),
        (None, None, Some(assertion)) => ClientProof::Assertion(Secret::new(assertion)),
        (None, None, None) => ClientProof::None,
        _ => return Err("an application proves itself in one way: by header, secret or assertion"),
    };
    Ok(ClientClaim { tenant, id, proof })
}

/// What the `Authorization` header says. Of two, neither counts: a proxy may have looked at the other one.
fn authorization(headers: &HeaderMap) -> Result<Option<(String, String)>, &'static str> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(only), None) => basic_credentials(only.to_str().map_err(|_| MALFORMED)?),
        (Some(_), Some(_)) => Err("there are two `Authorization` headers; an application proves itself in one way"),
    }
}

/// `client_secret_basic`: both parts are form-encoded first (RFC 6749 §2.3.1). Other schemes are none of ours.
fn basic_credentials(header: &str) -> Result<Option<(String, String)>, &'static str> {
    let Some((scheme, encoded)) = header.split_once(' ') else { return Ok(None) };
    if !scheme.eq_ignore_ascii_case("basic") {
        return Ok(None);
    }
    let bytes = STANDARD.decode(encoded.trim()).map_err(|_| MALFORMED)?;
    let text = String::from_utf8(bytes).map_err(|_| MALFORMED)?;
    let (id, secret) = text.split_once(':').ok_or(MALFORMED)?;
    let decoded = |part: &str| path::pairs(part).next().map(|(text, _)| text);
    // A part with `&` or `=` in it was not encoded at all.
    let is_encoded = !text.contains(['&', '=']);
    match (decoded(id), decoded(secret)) {
        (Some(id), Some(secret)) if is_encoded => Ok(Some((id, secret))),
        _ => Ok(Some((id.to_owned(), secret.to_owned()))),
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn claimed(body: &str, header: Option<&str>) -> Result<(String, String), String> {
        let basic = match header {
            Some(text) => basic_credentials(&format!("Basic {}", STANDARD.encode(text)))?,
            None => None,
        };
        let claim = claim(String::new(), &mut parse(body.as_bytes())?, basic)?;
        let proof = match claim.proof {
            ClientProof::None => String::from("none"),
            ClientProof::Secret(secret) => format!("secret {}", secret.expose()),
            ClientProof::Assertion(text) => format!("assertion {}", text.expose()),
        };
        Ok((claim.id, proof))
    }

    #[test]
    fn an_application_proves_itself_in_one_way() {
        let jwt =
            "client_assertion_type=urn%3Aietf%3Aparams%3Aoauth%3Aclient-assertion-type%3Ajwt-bearer&client_assertion=x";
        let is = |found: Result<(String, String), String>, id: &str, proof: &str| {
            assert_eq!(found.unwrap(), (id.to_owned(), proof.to_owned()));
        };
        is(claimed("client_id=a", None), "a", "none");
        is(claimed("client_id=a&client_secret=b%2Bc", None), "a", "secret b+c");
        is(claimed("", Some("a%3A1:b%2Bc")), "a:1", "secret b+c");
        is(claimed("client_id=a", Some("a:b")), "a", "secret b");
        is(claimed("", Some("a:b=c&d")), "a", "secret b=c&d");
        is(claimed(jwt, None), "", "assertion x");
        for (body, header) in [
            ("client_id=a&client_secret=b", Some("a:b")),
            ("client_id=other", Some("a:b")),
            ("client_assertion=x", None),
            ("client_assertion=x&client_assertion_type=saml", None),
            (&format!("{jwt}&client_secret=b"), None),
            (jwt, Some("a:b")),
            ("", Some("no colon")),
            ("client_id=a&client_id=a", None),
            ("client_id=%zz", None),
            ("client_id=%ff", None),
        ] {
            assert!(claimed(body, header).is_err(), "{body} {header:?}");
        }
    }

    #[test]
    fn of_two_headers_neither_counts_and_one_must_be_text() {
        let said = |values: &[&[u8]]| {
            let values = values.iter().map(|value| HeaderValue::from_bytes(value).unwrap());
            let headers: HeaderMap = values.map(|value| (header::AUTHORIZATION, value)).collect();
            authorization(&headers)
        };
        let (first, second): (&[u8], &[u8]) = (b"Basic YTpi", b"Basic YTpj");
        assert_eq!(said(&[]), Ok(None));
        assert_eq!(said(&[first]), Ok(Some((String::from("a"), String::from("b")))));
        assert_eq!(said(&[b"Negotiate x"]), Ok(None));
        for values in
            [&[first, second][..], &[first, first], &[b"Negotiate x", first], &[b"Basic \xffYTpi"], &[b"\xff"]]
        {
            assert!(said(values).is_err(), "{values:?}");
        }
    }
}
