//! OAuth 2.0: grants at the token endpoint (RFC 6749, 7523, 7636, 8628, 8693), the authorization endpoint, and what is
//! remembered of both.
//!
//! A **grant** is a person's word for an application. It is opened when a code is redeemed, and everything issued under it
//! hangs on it: its refresh tokens rotate, and a credential that is used twice ends the whole of it. What has only been
//! offered (a code that nobody redeemed yet, a device that waits) is kept in memory, with bounds: strangers write nothing.

mod assertion;
mod authorize;
mod client;
mod client_credentials;
mod code;
mod credential;
mod demands;
mod device;
mod device_code;
mod device_page;
mod exchange;
mod grant;
mod guesses;
mod on_behalf_of;
mod redirect;
mod refresh;
mod refusal;
mod registry;
mod request;
mod scope;
mod ticket;
mod tokens;
mod upkeep;

#[cfg(test)]
mod tests;

pub use authorize::{Authorize, AuthorizeOutcome};
pub use client::{AZURE_DEVELOPER_CLIENT, COMMAND_LINE_CLIENT, ClientClaim, ClientProof};
pub use client_credentials::GetToken;
pub use code::RedeemCode;
pub use device::{DeviceAnswer, StartDevice};
pub use device_code::RedeemDeviceCode;
pub use device_page::{DecideDevice, DeviceRefusal, DeviceRequest, GetDeviceRequest};
pub use exchange::{ExchangeRunToken, ExchangedToken};
pub use on_behalf_of::ActOnBehalf;
pub use refresh::RefreshTokens;
pub use refusal::{AuthorizeFault, AuthorizeRefusal, TokenRefusal};
pub use request::{AuthorizeRequest, ResponseMode};
pub use tokens::TokenSet;
pub use upkeep::{FindStale, RemoveStale, look_after_tokens};

pub(in crate::identity) use client::{application_name, is_built_in};
pub(in crate::identity) use grant::{ends_at, revoke_grants, stands};
pub(crate) use redirect::check_redirect_uri;
pub(crate) use registry::prove_service_principal;

use std::sync::{Mutex, PoisonError};

use code::Codes;
use device::Devices;
use guesses::Guesses;

/// What is offered and not taken up yet.
#[derive(Default)]
pub(super) struct Offers {
    codes: Mutex<Codes>,
    devices: Mutex<Devices>,
    guesses: Mutex<Guesses>,
}

impl Offers {
    fn codes(&self) -> std::sync::MutexGuard<'_, Codes> {
        self.codes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn devices(&self) -> std::sync::MutexGuard<'_, Devices> {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn guesses(&self) -> std::sync::MutexGuard<'_, Guesses> {
        self.guesses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
