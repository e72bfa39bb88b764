//! Opening a workspace without its customer's key: agreeing to it, asking, approving, closing.

use axum::{
    Json,
    response::{IntoResponse, Response},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use domain::{
    customer_keys::{
        ApproveOpening, AskOpening, AskedOpening, BreakGlass, CloseOpening, Custodian, CustodianKey, DisableBreakGlass,
        EnableBreakGlass, GetBreakGlass, GlassState, Opening, Party,
    },
    gate::{House, enter},
};
use http::{Method, StatusCode};
use kernel::{Error, PrincipalId, Result, Secret};
use wire::encryption as shape;

use super::{Fault, WORKSPACE};
use crate::{Doors, Guest};

/// Bytes of a share.
const SHARE: usize = 32;

/// The doors.
pub(super) fn doors(doors: Doors) -> Doors {
    let place = format!("{WORKSPACE}/encryption/breakGlass");
    doors
        .open::<GetBreakGlass, _, _>(Method::GET, &place, get)
        .open::<EnableBreakGlass, _, _>(Method::PUT, &place, enable)
        .open::<DisableBreakGlass, _, _>(Method::DELETE, &place, disable)
        .open::<AskOpening, _, _>(Method::POST, &format!("{place}/request"), ask)
        .open::<ApproveOpening, _, _>(Method::POST, &format!("{place}/approve"), approve)
        .open::<CloseOpening, _, _>(Method::POST, &format!("{place}/close"), close)
}

fn party(party: &Party) -> String {
    format!("{} ({})", party.name, party.id)
}

/// What is open, as it is shown to everybody who sees the workspace.
pub(super) fn opening(opening: &Opening) -> shape::BreakGlassOpening {
    shape::BreakGlassOpening {
        requested_by: party(&opening.asked_by),
        approved_by: party(&opening.approved_by),
        reason: opening.reason.clone(),
        opened_at: opening.opened_at.rfc3339(),
        until: opening.until.rfc3339(),
    }
}

fn request(asked: &AskedOpening) -> shape::BreakGlassRequest {
    shape::BreakGlassRequest {
        name: asked.name.to_string(),
        requested_by: party(&asked.by),
        reason: asked.reason.clone(),
        minutes: asked.minutes,
        expires_at: asked.expires_at.rfc3339(),
    }
}

fn custodian(house: &House, custodian: &Custodian) -> Result<shape::Custodian> {
    Ok(shape::Custodian {
        principal_id: custodian.principal.to_string(),
        public_key: serde_json::to_value(&custodian.key).map_err(Error::internal)?,
        name: house.display_name(custodian.principal),
    })
}

fn view(house: &House, glass: &BreakGlass) -> Result<shape::BreakGlass> {
    let state = match (&glass.state, &glass.terms) {
        (GlassState { opening: Some(_), .. }, _) => "Open",
        (GlassState { asked: Some(_), .. }, _) => "Requested",
        (_, Some(_)) => "Enabled",
        (_, None) => "Disabled",
    };
    let terms = glass.terms.as_ref();
    let custodians = terms.map(|terms| terms.custodians.as_slice()).unwrap_or_default();
    Ok(shape::BreakGlass {
        state: state.to_owned(),
        custodians: custodians.iter().map(|one| custodian(house, one)).collect::<Result<_>>()?,
        longest_minutes: terms.map(|terms| terms.longest_minutes),
        agreed_at: terms.map(|terms| terms.agreed_at.rfc3339()),
        agreed_by: terms.map(|terms| terms.agreed_by.to_string()),
        wrapped_share: glass.wrapped_share.as_ref().map(|share| STANDARD.encode(share)),
        request: glass.state.asked.as_ref().map(request),
        opening: glass.state.opening.as_ref().map(opening),
    })
}

fn share(text: String) -> Result<Secret<Vec<u8>>> {
    let text = Secret::new(text);
    let bytes = STANDARD.decode(text.expose()).map(Secret::new).ok();
    bytes.filter(|bytes| bytes.expose().len() == SHARE).ok_or_else(|| {
        Error::invalid("share", "must be the 32 bytes of your share, unwrapped with your private key, in base64")
    })
}

fn asked_custodian(one: shape::Custodian) -> Result<(PrincipalId, CustodianKey)> {
    let who = one.principal_id.parse().map_err(|why| Error::invalid("custodians.principalId", why))?;
    let key = serde_json::from_value(one.public_key).map_err(|_| {
        Error::invalid("custodians.publicKey", "must be an RSA public key as a JSON Web Key: `kty`, `n` and `e`")
    })?;
    Ok((who, key))
}

async fn get(guest: Guest) -> Result<Response, Fault> {
    let op = GetBreakGlass { workspace: guest.resource(2)? };
    let found = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(Json(view(guest.house(), &found)?).into_response())
}

async fn enable(guest: Guest) -> Result<Response, Fault> {
    let workspace = guest.resource(2)?;
    let caller = guest.admitted::<EnableBreakGlass>(&workspace).await?;
    let shell = guest.shell();
    let body: shape::BreakGlassInput = guest.json().await?;
    let custodians = body.custodians.into_iter().map(asked_custodian).collect::<Result<_>>()?;
    let op = EnableBreakGlass { workspace, custodians, longest_minutes: body.longest_minutes };
    let terms = enter(shell.house(), &caller, op).await?;
    let glass = BreakGlass { terms: Some(terms), wrapped_share: None, state: GlassState::default() };
    Ok(Json(view(shell.house(), &glass)?).into_response())
}

async fn disable(guest: Guest) -> Result<Response, Fault> {
    let op = DisableBreakGlass { workspace: guest.resource(2)? };
    enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn ask(guest: Guest) -> Result<Response, Fault> {
    let workspace = guest.resource(3)?;
    let caller = guest.admitted::<AskOpening>(&workspace).await?;
    let shell = guest.shell();
    let body: shape::BreakGlassAsk = guest.json().await?;
    let op = AskOpening { workspace, share: share(body.share)?, minutes: body.minutes, reason: body.reason };
    let asked = enter(shell.house(), &caller, op).await?;
    Ok((StatusCode::ACCEPTED, Json(request(&asked))).into_response())
}

async fn approve(guest: Guest) -> Result<Response, Fault> {
    let workspace = guest.resource(3)?;
    let caller = guest.admitted::<ApproveOpening>(&workspace).await?;
    let shell = guest.shell();
    let body: shape::BreakGlassApproval = guest.json().await?;
    let request = body.request.parse().map_err(|why| Error::invalid("request", why))?;
    let op = ApproveOpening { workspace, request, share: share(body.share)? };
    let opened = enter(shell.house(), &caller, op).await?;
    Ok(Json(opening(&opened)).into_response())
}

async fn close(guest: Guest) -> Result<Response, Fault> {
    let op = CloseOpening { workspace: guest.resource(3)? };
    enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}
