//! Sign-in through upstream providers: to them and back, and their administration.

mod providers;
mod sign_in;

use domain::identity::{
    BeginFederatedSignIn, CreateIdentityProvider, DeleteIdentityProvider, FinishFederatedSignIn, GetIdentityProvider,
    LinkFederatedUser, ListIdentityProviders, UnlinkFederatedUser, UpdateIdentityProvider,
};
use http::Method;

use crate::Doors;

/// The doors of this face. Whoever comes by the first two is nobody to the gate yet.
pub fn doors(doors: Doors) -> Doors {
    let all = "/graph/v1.0/identity/identityProviders";
    let one = "/graph/v1.0/identity/identityProviders/{provider}";
    let link = "/graph/v1.0/identity/identityProviders/{provider}/linkUser";
    let unlink = "/graph/v1.0/identity/identityProviders/{provider}/unlinkUser";
    doors
        .open::<BeginFederatedSignIn, _, _>(Method::GET, "/signin/federated/{provider}", sign_in::begin)
        .open::<FinishFederatedSignIn, _, _>(Method::GET, "/signin/federated/{provider}/callback", sign_in::finish)
        .open::<ListIdentityProviders, _, _>(Method::GET, all, providers::list_providers)
        .open::<CreateIdentityProvider, _, _>(Method::POST, all, providers::create_provider)
        .open::<GetIdentityProvider, _, _>(Method::GET, one, providers::get_provider)
        .open::<UpdateIdentityProvider, _, _>(Method::PATCH, one, providers::update_provider)
        .open::<DeleteIdentityProvider, _, _>(Method::DELETE, one, providers::delete_provider)
        .open::<LinkFederatedUser, _, _>(Method::POST, link, providers::link_user)
        .open::<UnlinkFederatedUser, _, _>(Method::POST, unlink, providers::unlink_user)
}
