//! The authorization code grant with PKCE (RFC 7636) in this machine's browser, answered on loopback (RFC 8252 §7.3).

use std::process::Stdio;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use outbound::Client;
use seal::Sha256;

use super::{CLIENT, Provider, Tokens, draw, loopback::Loopback, scope_of, unexpected};
use crate::{cli::tell, failure::Failure};

/// Whether a browser can be expected here: a program that is named, or a display for one.
pub(super) fn is_here() -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    is_set("BROWSER") || is_set("DISPLAY") || is_set("WAYLAND_DISPLAY") || cfg!(target_os = "macos")
}

/// Opens a browser, and waits for its answer. Also gives the nonce that the ID token must carry.
pub(super) async fn sign_in(
    client: &Client,
    provider: &Provider,
    claims: Option<&str>,
) -> Result<(Tokens, Option<String>), Failure> {
    let loopback = Loopback::bind().await?;
    let (state, nonce, verifier) = (draw()?, draw()?, draw()?);
    let challenge = URL_SAFE_NO_PAD.encode(Sha256::of(verifier.as_bytes()));
    let (scope, redirect_uri) = (scope_of(client), loopback.address());
    let mut query = vec![
        ("client_id", CLIENT),
        ("response_type", "code"),
        ("response_mode", "query"),
        ("redirect_uri", redirect_uri.as_str()),
        ("scope", scope.as_str()),
        ("state", state.as_str()),
        ("nonce", nonce.as_str()),
        ("code_challenge", challenge.as_str()),
        ("code_challenge_method", "S256"),
    ];
    query.extend(claims.map(|claims| ("claims", claims)));
    let pairs: Vec<String> = query.iter().map(|(name, value)| format!("{name}={}", escape(value))).collect();
    let address = format!("{}?{}", provider.authorization_endpoint, pairs.join("&"));
    if !address.starts_with(&format!("{}/", client.base())) {
        return Err(unexpected());
    }
    if open(&address) {
        tell("sign in in the browser window that was opened; if there is none, open this address:");
    } else {
        tell("no browser could be started; open this address in one on this machine, or use --use-device-code:");
    }
    tell(&address);
    let code = loopback.answer(&state, &provider.issuer).await?;
    let form = [
        ("grant_type", "authorization_code"),
        ("client_id", CLIENT),
        ("code", code.expose().as_str()),
        ("code_verifier", verifier.as_str()),
        ("redirect_uri", redirect_uri.as_str()),
        ("scope", scope.as_str()),
    ];
    let tokens = client.post(&provider.token_endpoint).form(&form).send_for_json().await?;
    Ok((tokens, Some(nonce)))
}

/// Starts a browser; whether that worked. The address holds nothing secret.
fn open(address: &str) -> bool {
    let program = std::env::var_os("BROWSER").filter(|name| !name.is_empty());
    let usual = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let mut command = std::process::Command::new(program.unwrap_or_else(|| usual.into()));
    command.arg(address).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().is_ok()
}

fn escape(text: &str) -> String {
    let escaped = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(escaped).collect()
}
