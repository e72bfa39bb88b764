//! The device authorization endpoint (RFC 8628 §3.1).

use axum::response::{IntoResponse, Response};
use domain::{gate::enter, identity::StartDevice};
use wire::oauth;

use super::{fault::Fault, form, refusal};
use crate::Guest;

/// `POST …/devicecode`.
pub(super) async fn start_device(guest: Guest) -> Result<Response, Fault> {
    let (house, caller) = (guest.house().clone(), guest.anyone());
    let form::Posted { form, client, source } = form::read(guest).await?;
    let scope = match (form.scope.is_empty(), form.resource.is_empty()) {
        (true, false) => format!("{}/.default offline_access openid profile", form.resource),
        _ => form.scope,
    };
    let claims = Some(form.claims).filter(|claims| !claims.is_empty());
    let answer = enter(&house, &caller, StartDevice { client, scope, claims }).await;
    let device = answer.map_err(|why| Fault::of(&source, &why))?.map_err(|why| refusal::of_token(&source, why))?;
    let verification_uri = format!("{}/device", house.settings().url);
    let message = format!(
        "To sign in, use a web browser to open the page {verification_uri} and enter the code {} to authenticate.",
        device.user_code
    );
    let view = oauth::DeviceResponse {
        verification_uri_complete: format!("{verification_uri}?user_code={}", device.user_code),
        verification_uri,
        device_code: device.device_code.expose().clone(),
        user_code: device.user_code,
        expires_in: device.expires_in,
        interval: device.interval,
        message,
    };
    Ok(axum::Json(view).into_response())
}
