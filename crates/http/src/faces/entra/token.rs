//! The token endpoint: one address for all grants (RFC 6749 §3.2).

use std::sync::Arc;

use axum::response::{IntoResponse, Response};
use domain::{
    gate::{House, Op, enter},
    identity::{
        AccessToken, ActOnBehalf, ExchangeRunToken, ExchangedToken, GetToken, RedeemCode, RedeemDeviceCode,
        RefreshTokens, TokenRefusal, TokenSet,
    },
};
use kernel::{Caller, Secret, Source};
use wire::oauth::{self, TokenRequest};

use super::{fault::Fault, form, refusal};
use crate::Guest;

/// `POST …/token`.
pub(super) async fn get_token(guest: Guest) -> Result<Response, Fault> {
    let desk = Desk { house: guest.house().clone(), caller: guest.anyone(), source: guest.source() };
    let form::Posted { mut form, client, .. } = form::read(guest).await?;
    let scope = scope_of(&form);
    let claims = Some(std::mem::take(&mut form.claims)).filter(|claims| !claims.is_empty());
    match form.grant_type.as_str() {
        "client_credentials" => desk.ask(GetToken { client, scope, claims }).await.map(|token| of_app(&token)),
        "authorization_code" => {
            let code = desk.secret(&mut form.code, "code")?;
            let verifier = Some(std::mem::take(&mut form.code_verifier)).filter(|text| !text.is_empty());
            let (verifier, redirect_uri) = (verifier.map(Secret::new), form.redirect_uri);
            desk.ask(RedeemCode { client, code, verifier, redirect_uri, scope, claims }).await.map(|set| of_user(&set))
        }
        "refresh_token" => {
            let token = desk.secret(&mut form.refresh_token, "refresh_token")?;
            desk.ask(RefreshTokens { client, token, scope, claims }).await.map(|set| of_user(&set))
        }
        // Entra's clients send the code under both names.
        oauth::DEVICE_CODE | "device_code" => {
            let twin = std::mem::take(&mut form.code);
            if form.device_code.is_empty() {
                form.device_code = twin;
            } else if !twin.is_empty() && twin != form.device_code {
                return Err(desk.malformed("`code` and `device_code` are not the same"));
            }
            let code = desk.secret(&mut form.device_code, "device_code")?;
            desk.ask(RedeemDeviceCode { client, code, claims }).await.map(|set| of_user(&set))
        }
        oauth::JWT_BEARER => {
            if form.requested_token_use != "on_behalf_of" {
                return Err(desk.malformed("the parameter `requested_token_use` must be `on_behalf_of`"));
            }
            let assertion = desk.secret(&mut form.assertion, "assertion")?;
            desk.ask(ActOnBehalf { client, assertion, scope, claims }).await.map(|set| of_user(&set))
        }
        oauth::TOKEN_EXCHANGE => {
            let op = desk.exchange(client.tenant, form)?;
            desk.ask(op).await.map(|token| exchanged(&token))
        }
        "" => Err(desk.malformed("The request body must contain the following parameter: 'grant_type'.")),
        "password" => {
            let words = "passwords are for the sign-in page alone; use a browser, a device code, or an application's \
                         own credential";
            Err(Fault::new(&desk.source, 70_003, "unsupported_grant_type", words))
        }
        _ => {
            let words = format!("the grant type is not supported; there are {}", oauth::GRANTS.join(", "));
            Err(Fault::new(&desk.source, 70_003, "unsupported_grant_type", &words))
        }
    }
}

/// Where a request is answered, once its body has been read.
struct Desk {
    house: Arc<House>,
    caller: Caller,
    source: Source,
}

impl Desk {
    async fn ask<T: Send, O: Op<Output = Result<T, TokenRefusal>>>(&self, op: O) -> Result<T, Fault> {
        let answer = enter(&self.house, &self.caller, op).await.map_err(|why| Fault::of(&self.source, &why))?;
        answer.map_err(|why| refusal::of_token(&self.source, why))
    }

    fn malformed(&self, why: &str) -> Fault {
        Fault::new(&self.source, 900_144, "invalid_request", why)
    }

    /// A parameter that a grant cannot do without.
    fn secret(&self, value: &mut String, name: &str) -> Result<Secret<String>, Fault> {
        let text = std::mem::take(value);
        if text.is_empty() {
            let words = format!("The request body must contain the following parameter: '{name}'.");
            return Err(self.malformed(&words));
        }
        Ok(Secret::new(text))
    }

    fn exchange(&self, tenant: String, mut form: TokenRequest) -> Result<ExchangeRunToken, Fault> {
        let is_token = |kind: &str| kind == oauth::ACCESS_TOKEN || kind == oauth::JWT;
        if !is_token(&form.subject_token_type) {
            return Err(self.malformed("`subject_token_type` must be an access token or a JSON Web Token"));
        }
        if !form.requested_token_type.is_empty() && !is_token(&form.requested_token_type) {
            return Err(self.malformed("`requested_token_type` must be an access token"));
        }
        if !form.actor_token.is_empty() {
            return Err(self.malformed("nobody else acts with a run token: leave `actor_token` out"));
        }
        let token = self.secret(&mut form.subject_token, "subject_token")?;
        let audience = match (form.audience.is_empty(), form.resource.is_empty()) {
            (false, _) => Some(form.audience),
            (true, false) => Some(form.resource),
            (true, true) => None,
        };
        Ok(ExchangeRunToken { tenant, token, audience, scope: form.scope })
    }
}

/// `scope`, or the v1 form of it.
fn scope_of(form: &TokenRequest) -> String {
    match (form.scope.is_empty(), form.resource.is_empty()) {
        (true, false) => format!("{}/.default", form.resource),
        _ => form.scope.clone(),
    }
}

fn response(token: &AccessToken) -> oauth::TokenResponse {
    oauth::TokenResponse {
        token_type: "Bearer",
        scope: None,
        expires_in: token.expires_in,
        ext_expires_in: token.expires_in,
        refresh_in: token.expires_in.saturating_add(1).div_euclid(2),
        expires_on: token.expires_on,
        resource: token.resource.clone(),
        access_token: token.token.expose().clone(),
        refresh_token: None,
        id_token: None,
        client_info: None,
    }
}

fn of_app(token: &AccessToken) -> Response {
    axum::Json(response(token)).into_response()
}

fn of_user(set: &TokenSet) -> Response {
    let exposed = |token: &Option<Secret<String>>| token.as_ref().map(|token| token.expose().clone());
    let view = oauth::TokenResponse {
        scope: Some(set.scope.clone()),
        refresh_token: exposed(&set.refresh_token),
        id_token: exposed(&set.id_token),
        client_info: Some(set.client_info.clone()),
        ..response(&set.access)
    };
    axum::Json(view).into_response()
}

fn exchanged(token: &ExchangedToken) -> Response {
    let view = oauth::ExchangeResponse {
        access_token: token.token.expose().clone(),
        issued_token_type: oauth::ACCESS_TOKEN,
        token_type: "Bearer",
        expires_in: token.expires_in,
        scope: token.scope.clone(),
    };
    axum::Json(view).into_response()
}
