//! To a provider and back.

use axum::response::{IntoResponse, Response};
use domain::{
    gate::enter,
    identity::{BeginFederatedSignIn, FederationRefusal, FinishFederatedSignIn},
};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use kernel::{Caller, Error, Result, Secret};

use crate::{
    Guest,
    faces::signin::{Fault, ReturnPath, go_on},
};

/// What a browser keeps while its person is at the provider. `Lax`: the provider sends the browser back by a redirection from
/// another site.
const COOKIE: &str = "__Host-bartizan-federated";
const RULES: &str = "Path=/; Secure; HttpOnly; SameSite=Lax";
/// Seconds it is kept; the attempt itself lives as long.
const LIFE: u32 = 600;
/// How much of what a browser calls itself is read.
const LONGEST_AGENT: usize = 400;

pub(super) async fn begin(guest: Guest) -> Response {
    let op = BeginFederatedSignIn {
        provider: guest.param("provider").unwrap_or_default(),
        return_to: guest.query("return"),
        again: guest.query("again").is_some(),
    };
    let begun = match enter(guest.house(), &Caller::nobody(guest.source()), op).await {
        Ok(Ok(begun)) => begun,
        Ok(Err(refusal)) => return refused(&guest, refusal),
        Err(why) => return fault(&guest, &why),
    };
    let mut headers = HeaderMap::new();
    let cookie = format!("{COOKIE}={}; {RULES}; Max-Age={LIFE}", begun.cookie.expose());
    for (name, text) in [(header::LOCATION, begun.location), (header::SET_COOKIE, cookie)] {
        let Ok(mut value) = HeaderValue::from_str(&text) else {
            return fault(&guest, &Error::internal("a header cannot carry what a provider names"));
        };
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    (StatusCode::SEE_OTHER, headers).into_response()
}

pub(super) async fn finish(guest: Guest) -> Response {
    let mut response = match question(&guest) {
        Ok(op) => answer(&guest, op).await,
        Err(why) => fault(&guest, &why),
    };
    // It has done its work, whatever came of it.
    let gone =
        HeaderValue::from_static("__Host-bartizan-federated=; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=0");
    response.headers_mut().append(header::SET_COOKIE, gone);
    response
}

async fn answer(guest: &Guest, op: FinishFederatedSignIn) -> Response {
    match enter(guest.house(), &Caller::nobody(guest.source()), op).await {
        Ok(Ok((signed, return_to))) => go_on(&signed, return_to.as_deref().and_then(ReturnPath::parse).as_ref()),
        Ok(Err(refusal)) => refused(guest, refusal),
        Err(why) => fault(guest, &why),
    }
}

fn question(guest: &Guest) -> Result<FinishFederatedSignIn> {
    Ok(FinishFederatedSignIn {
        provider: guest.param("provider").unwrap_or_default(),
        cookie: guest.cookie(COOKIE),
        state: only(guest, "state")?,
        code: only(guest, "code")?.map(Secret::new),
        issuer: only(guest, "iss")?,
        error: only(guest, "error")?,
        agent: guest.header("user-agent").unwrap_or_default().chars().take(LONGEST_AGENT).collect(),
    })
}

/// A parameter that may come once (RFC 6749 §3.1).
fn only(guest: &Guest, name: &str) -> Result<Option<String>> {
    let mut found = guest.query_all(name).into_iter();
    let first = found.next();
    match found.next() {
        None => Ok(first),
        Some(_) => Err(Error::invalid(name, "comes twice in the provider's answer")),
    }
}

fn refused(guest: &Guest, refusal: FederationRefusal) -> Response {
    Fault::of_provider(guest.header("accept-language"), &guest.source(), refusal).into_response()
}

fn fault(guest: &Guest, why: &Error) -> Response {
    Fault::of_gate(guest.header("accept-language"), &guest.source(), why).into_response()
}
