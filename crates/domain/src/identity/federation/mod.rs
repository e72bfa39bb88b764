//! Sign-in through upstream OpenID providers: a company's own Entra, Keycloak, Google.
//!
//! A provider is made known by an administrator; its endpoints are written down then, and stay until they are asked for again,
//! so that nobody who answers in its place later is believed (invariant I7). A person is one *issuer and subject*: never an
//! e-mail address, which is only what somebody says. What a provider says of groups and factors counts as far as it was
//! configured, and no further.
//!
//! The flow is the authorization code with PKCE (RFC 7636), `state` bound to the browser, and a nonce in the ID token (OpenID
//! Connect Core §3.1); what is open is kept in memory for minutes, so that a stranger writes nothing to the disk.

mod attempts;
mod begin;
mod ending;
mod exchange;
mod finish;
mod form;
mod id_token;
mod links;
mod person;
mod pin;
mod provider;
mod providers;
mod records;

#[cfg(test)]
mod tests;

pub(super) use attempts::Attempts;
pub(super) use begin::escaped;
pub use begin::{BeginFederatedSignIn, Begun, ListSignInProviders, SignInProvider};
pub use finish::{FederationAnswer, FederationRefusal, FinishFederatedSignIn};
pub use form::ProviderForm;
pub use links::{LinkFederatedUser, UnlinkFederatedUser};
pub use provider::IdentityProvider;
pub(super) use provider::comes_through;
pub use providers::{
    CreateIdentityProvider, DeleteIdentityProvider, GetIdentityProvider, ListIdentityProviders, UpdateIdentityProvider,
};
pub use records::{GroupMapping, MultiFactorTrust};
