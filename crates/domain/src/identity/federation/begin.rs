//! Sending a browser to a provider.

use std::fmt::Write;

use async_trait::async_trait;
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use kernel::{Action, Class, Kind, ResourceId, Result, Secret};
use seal::Sha256;
use uuid::Uuid;

use super::{
    FederationAnswer, FederationRefusal,
    attempts::Attempt,
    provider::{all, named, redirect_uri},
    records::Provider,
};
use crate::gate::{Admission, Cx, Op};

/// The longest path that a browser is sent back to, in bytes.
const LONGEST_RETURN: usize = 8 * 1024;

/// Lists the providers that the sign-in page offers.
#[derive(Debug)]
pub struct ListSignInProviders;

/// A provider as a person who is not signed in yet sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignInProvider {
    /// Names it in `/signin/federated/{id}`.
    pub id: String,
    /// For people.
    pub name: String,
}

#[async_trait]
impl Op for ListSignInProviders {
    const ACTION: Action = Action::public("Microsoft.Directory/identityProviders/signIn/read", Class::Open);
    type Output = Vec<SignInProvider>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let providers = all(cx).await?.into_iter().map(|row| row.value).filter(|provider| provider.is_enabled);
        Ok(providers.map(|provider| SignInProvider { id: provider.id.to_string(), name: provider.name }).collect())
    }
}

/// Begins a sign-in through a provider.
#[derive(Debug)]
pub struct BeginFederatedSignIn {
    /// The provider's id, as the address has it.
    pub provider: String,
    /// Where the browser wants to go in the end. It is handed back as it is; the face judges it.
    pub return_to: Option<String>,
    /// Whether the person is to prove there once more who they are, even if the provider knows the browser.
    pub again: bool,
}

/// Where a browser goes now.
#[derive(Debug)]
pub struct Begun {
    /// The provider's authorization endpoint with our question.
    pub location: String,
    /// What the browser keeps, so that no other can bring the answer.
    pub cookie: Secret<String>,
}

#[async_trait]
impl Op for BeginFederatedSignIn {
    const ACTION: Action = Action::public("Microsoft.Directory/signIns/federated/begin", Class::Open);
    type Output = FederationAnswer<Begun>;

    fn scope(&self) -> ResourceId {
        ResourceId::root()
    }

    async fn run(self, cx: &Cx<'_, Self>) -> Result<Self::Output> {
        let found = match Uuid::try_parse(&self.provider) {
            Ok(id) => named(cx, id).await?,
            Err(_) => None,
        };
        let Some(provider) = found.map(|row| row.value).filter(|provider| provider.is_enabled) else {
            cx.refuse(Kind::NotFound);
            return Ok(Err(FederationRefusal::NoProvider));
        };
        let [cookie, state, nonce, verifier] = [draw()?, draw()?, draw()?, draw()?];
        let location = question(cx, &provider, &state, &nonce, &verifier, self.again);
        let attempt = Attempt {
            provider: provider.id,
            nonce,
            verifier: Secret::new(verifier),
            return_to: self.return_to.filter(|place| place.len() <= LONGEST_RETURN),
            prove_since: self.again.then(|| cx.now()),
        };
        let cookie = Secret::new(cookie);
        let address = cx.caller().source.address;
        if !cx.house().identity.attempts.begin(&state, &cookie, attempt, address, cx.now()) {
            cx.refuse(Kind::Throttled);
            return Ok(Err(FederationRefusal::TooMany));
        }
        Ok(Ok(Begun { location, cookie }))
    }
}

/// The authorization request (OpenID Connect Core §3.1.2.1, RFC 7636 §4.3).
fn question(cx: &Admission<'_>, provider: &Provider, state: &str, nonce: &str, verifier: &str, again: bool) -> String {
    let scopes: Vec<&str> = std::iter::once("openid").chain(provider.scopes.iter().map(String::as_str)).collect();
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::of(verifier.as_bytes()));
    let parameters = [
        ("response_type", "code"),
        ("client_id", &provider.client_id),
        ("redirect_uri", &redirect_uri(cx, provider)),
        ("scope", &scopes.join(" ")),
        ("state", state),
        ("nonce", nonce),
        ("code_challenge", &challenge),
        ("code_challenge_method", "S256"),
    ];
    // Who is asked for `max_age` has to say in `auth_time` when it was; some providers know only one of the two.
    let anew: &[_] = if again { &[("prompt", "login"), ("max_age", "0")] } else { &[] };
    let mut location = provider.pinned.authorization.clone();
    let mut separator = if location.contains('?') { '&' } else { '?' };
    for (name, value) in parameters.iter().chain(anew) {
        // Writing to a string does not fail.
        let _ = write!(location, "{separator}{name}={}", escaped(value));
        separator = '&';
    }
    location
}

/// 256 bits in base64url: a cookie, a state, a nonce, a verifier (43 characters, as RFC 7636 §4.1 wants at least).
fn draw() -> Result<String> {
    Ok(URL_SAFE_NO_PAD.encode(seal::random::<32>()?))
}

/// Everything but the unreserved characters is escaped (RFC 3986 §2.3).
pub(in crate::identity) fn escaped(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    for byte in value.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}
