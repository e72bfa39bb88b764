//! Providers, in the form of Microsoft Graph's `identityProviders`.

use axum::response::{IntoResponse, Response};
use domain::{
    gate::enter,
    identity::{
        self, CreateIdentityProvider, DeleteIdentityProvider, GetIdentityProvider, LinkFederatedUser,
        ListIdentityProviders, MultiFactorTrust, ProviderForm, UnlinkFederatedUser, UpdateIdentityProvider,
    },
};
use http::StatusCode;
use kernel::{Error, ResourceId, Result, Secret};
use wire::{graph::List, identity_provider as wire_provider};

use crate::{Guest, faces::graph::Fault};

type Answer = std::result::Result<Response, Fault>;

pub(super) async fn list_providers(guest: Guest) -> Answer {
    let found = enter(guest.house(), &guest.caller().await?, ListIdentityProviders).await?;
    Ok(axum::Json(List { value: found.iter().map(view).collect::<Vec<_>>(), next_link: None }).into_response())
}

pub(super) async fn create_provider(guest: Guest) -> Answer {
    let house = guest.house().clone();
    let caller = guest.admitted::<CreateIdentityProvider>(&ResourceId::root()).await?;
    let body: wire_provider::NewIdentityProvider = guest.json().await?;
    check_type(body.odata_type.as_deref())?;
    let form = ProviderForm {
        name: Some(body.display_name),
        client_id: Some(body.client_id),
        client_secret: body.client_secret.map(Secret::new),
        is_enabled: body.is_enabled,
        scopes: body.scopes,
        creates_users: body.creates_users,
        user_name_claim: body.user_name_claim,
        group_claim: body.groups_claim,
        groups: body.group_mappings.map(mappings).transpose()?,
        mfa: body.multi_factor.map(trust),
    };
    let made = enter(&house, &caller, CreateIdentityProvider { issuer: body.issuer, form }).await?;
    Ok((StatusCode::CREATED, axum::Json(view(&made))).into_response())
}

pub(super) async fn get_provider(guest: Guest) -> Answer {
    let op = GetIdentityProvider { provider: guest.param("provider")? };
    let found = enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(axum::Json(view(&found)).into_response())
}

pub(super) async fn update_provider(guest: Guest) -> Answer {
    let house = guest.house().clone();
    let provider = guest.param("provider")?;
    let caller = guest.admitted::<UpdateIdentityProvider>(&ResourceId::root()).await?;
    let body: wire_provider::IdentityProviderUpdate = guest.json().await?;
    check_type(body.odata_type.as_deref())?;
    let form = ProviderForm {
        name: body.display_name,
        client_id: body.client_id,
        client_secret: body.client_secret.map(Secret::new),
        is_enabled: body.is_enabled,
        scopes: body.scopes,
        creates_users: body.creates_users,
        user_name_claim: body.user_name_claim,
        group_claim: body.groups_claim,
        groups: body.group_mappings.map(mappings).transpose()?,
        mfa: body.multi_factor.map(trust),
    };
    let is_refreshed = body.refresh_endpoints.unwrap_or(false);
    let changed = enter(&house, &caller, UpdateIdentityProvider { provider, form, is_refreshed }).await?;
    Ok(axum::Json(view(&changed)).into_response())
}

pub(super) async fn delete_provider(guest: Guest) -> Answer {
    let op = DeleteIdentityProvider { provider: guest.param("provider")? };
    enter(guest.house(), &guest.caller().await?, op).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn link_user(guest: Guest) -> Answer {
    let house = guest.house().clone();
    let provider = guest.param("provider")?;
    let caller = guest.admitted::<LinkFederatedUser>(&ResourceId::root()).await?;
    let body: wire_provider::UserLink = guest.json().await?;
    let user = body.user_id.parse().map_err(|_| Error::invalid("userId", "must be the object id of a user"))?;
    enter(&house, &caller, LinkFederatedUser { provider, subject: body.subject, user }).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

pub(super) async fn unlink_user(guest: Guest) -> Answer {
    let house = guest.house().clone();
    let provider = guest.param("provider")?;
    let caller = guest.admitted::<UnlinkFederatedUser>(&ResourceId::root()).await?;
    let body: wire_provider::UserUnlink = guest.json().await?;
    enter(&house, &caller, UnlinkFederatedUser { provider, subject: body.subject }).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

fn check_type(said: Option<&str>) -> Result<()> {
    match said {
        None | Some(wire_provider::TYPE) => Ok(()),
        Some(_) => Err(Error::invalid("@odata.type", format_args!("must be `{}`", wire_provider::TYPE))),
    }
}

fn mappings(lines: Vec<wire_provider::GroupMapping>) -> Result<Vec<identity::GroupMapping>> {
    let line = |line: wire_provider::GroupMapping| {
        let wrong = |_| Error::invalid("groupMappings", "each line needs the object id of a group");
        Ok(identity::GroupMapping { value: line.value, group: line.group_id.parse().map_err(wrong)? })
    };
    lines.into_iter().map(line).collect()
}

fn trust(said: wire_provider::MultiFactor) -> MultiFactorTrust {
    MultiFactorTrust { amr: said.amr, acr: said.acr }
}

fn view(provider: &identity::IdentityProvider) -> wire_provider::IdentityProvider {
    let [authorization_endpoint, token_endpoint, jwks_uri] = provider.endpoints.clone();
    let line = |line: &identity::GroupMapping| wire_provider::GroupMapping {
        value: line.value.clone(),
        group_id: line.group.to_string(),
    };
    wire_provider::IdentityProvider {
        odata_type: wire_provider::TYPE.to_owned(),
        id: provider.id.to_string(),
        display_name: provider.name.clone(),
        issuer: provider.issuer.clone(),
        client_id: provider.client_id.clone(),
        client_secret: provider.has_secret.then(|| String::from("******")),
        is_enabled: provider.is_enabled,
        scopes: provider.scopes.clone(),
        creates_users: provider.creates_users,
        user_name_claim: provider.user_name_claim.clone(),
        groups_claim: provider.group_claim.clone(),
        group_mappings: provider.groups.iter().map(line).collect(),
        multi_factor: wire_provider::MultiFactor { amr: provider.mfa.amr.clone(), acr: provider.mfa.acr.clone() },
        redirect_uri: provider.redirect_uri.clone(),
        authorization_endpoint,
        token_endpoint,
        jwks_uri,
        endpoints_date_time: provider.pinned_at.rfc3339(),
        created_date_time: provider.created_at.rfc3339(),
    }
}
