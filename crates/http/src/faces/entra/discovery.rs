//! What clients read before they sign in.

use axum::response::{IntoResponse, Response};
use domain::{
    gate::enter,
    identity::{GetDiscovery, ListSigningKeys, PublicKey},
};
use wire::oauth;

use super::fault::Fault;
use crate::Guest;

/// `GET …/.well-known/openid-configuration`.
pub(super) async fn get_discovery(guest: Guest) -> Result<Response, Fault> {
    let op = GetDiscovery { tenant: guest.param("tenant").map_err(|why| guest.fault(&why))? };
    let (issuer, tenant) = enter(guest.house(), &guest.anyone(), op).await.map_err(|why| guest.fault(&why))?;
    let url = &guest.house().settings().url;
    // By the tenant's id, whatever alias it was asked by: clients keep tokens by the first segment.
    let base = format!("{url}/{tenant}");
    let document = oauth::Discovery {
        issuer,
        authorization_endpoint: format!("{base}/oauth2/v2.0/authorize"),
        token_endpoint: format!("{base}/oauth2/v2.0/token"),
        device_authorization_endpoint: format!("{base}/oauth2/v2.0/devicecode"),
        jwks_uri: format!("{base}/discovery/v2.0/keys"),
        end_session_endpoint: format!("{url}/signout"),
        token_endpoint_auth_methods_supported: vec![
            "client_secret_post",
            "client_secret_basic",
            "private_key_jwt",
            "none",
        ],
        token_endpoint_auth_signing_alg_values_supported: vec!["RS256", "PS256", "ES256"],
        grant_types_supported: oauth::GRANTS.to_vec(),
        response_types_supported: vec!["code"],
        response_modes_supported: vec!["query", "fragment", "form_post"],
        code_challenge_methods_supported: vec!["S256"],
        prompt_values_supported: vec!["none", "login", "select_account", "consent"],
        subject_types_supported: vec!["public"],
        id_token_signing_alg_values_supported: vec!["ES256"],
        scopes_supported: vec!["openid", "profile", "email", "offline_access"],
        claims_supported: vec![
            "iss",
            "aud",
            "sub",
            "oid",
            "tid",
            "preferred_username",
            "name",
            "iat",
            "nbf",
            "exp",
            "auth_time",
            "nonce",
            "at_hash",
            "amr",
            "sid",
            "ver",
        ],
        claims_parameter_supported: true,
        request_parameter_supported: false,
        request_uri_parameter_supported: false,
        authorization_response_iss_parameter_supported: true,
    };
    Ok(axum::Json(document).into_response())
}

/// `GET …/discovery/instance?authorization_endpoint=…`: this server is the one authority it knows.
pub(super) async fn get_instance(guest: Guest) -> Result<Response, Fault> {
    let op = GetDiscovery { tenant: guest.param("tenant").map_err(|why| guest.fault(&why))? };
    let (issuer, _) = enter(guest.house(), &guest.anyone(), op).await.map_err(|why| guest.fault(&why))?;
    let url = &guest.house().settings().url;
    let asked = guest.query("authorization_endpoint").unwrap_or_else(|| format!("{url}/"));
    if asked.strip_prefix(url.as_str()).is_none_or(|rest| !rest.starts_with('/')) {
        let words = "the address is not one of this server's";
        return Err(Fault::new(&guest.source(), 50_049, "invalid_instance", words));
    }
    let host = url.strip_prefix("https://").unwrap_or(url).to_owned();
    let metadata =
        oauth::InstanceMetadata { preferred_network: host.clone(), preferred_cache: host.clone(), aliases: vec![host] };
    let document = oauth::Instance {
        tenant_discovery_endpoint: format!("{issuer}/.well-known/openid-configuration"),
        api_version: "1.1",
        metadata: vec![metadata],
    };
    Ok(axum::Json(document).into_response())
}

/// `GET …/discovery/v2.0/keys`.
pub(super) async fn list_signing_keys(guest: Guest) -> Result<Response, Fault> {
    let op = ListSigningKeys { tenant: guest.param("tenant").map_err(|why| guest.fault(&why))? };
    let keys = enter(guest.house(), &guest.anyone(), op).await.map_err(|why| guest.fault(&why))?;
    let view = |key: PublicKey| oauth::Key {
        kty: "EC",
        usage: "sig",
        alg: "ES256",
        crv: "P-256",
        kid: key.kid,
        x: key.x,
        y: key.y,
    };
    Ok(axum::Json(oauth::KeySet { keys: keys.into_iter().map(view).collect() }).into_response())
}
