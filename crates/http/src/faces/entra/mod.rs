//! Sign-in at Entra's v2.0 addresses: discovery, tokens, devices and the authorization endpoint. The pages that people see on the
//! way are a face of their own.

mod authorize;
mod device;
mod discovery;
mod fault;
mod form;
mod refusal;
mod token;

use domain::identity::{Authorize, GetDiscovery, GetToken, ListSigningKeys, StartDevice};
use http::Method;
use kernel::Caller;

use crate::{Doors, Guest};

/// The doors of this face. The token endpoint is opened for the first of its grants; the others carry the same action.
pub fn doors(doors: Doors) -> Doors {
    let (get, post) = (Method::GET, Method::POST);
    doors
        .open::<GetDiscovery, _, _>(
            get.clone(),
            "/{tenant}/v2.0/.well-known/openid-configuration",
            discovery::get_discovery,
        )
        .open::<GetDiscovery, _, _>(get.clone(), "/{tenant}/.well-known/openid-configuration", discovery::get_discovery)
        .open::<GetDiscovery, _, _>(get.clone(), "/{tenant}/discovery/instance", discovery::get_instance)
        .open::<ListSigningKeys, _, _>(get.clone(), "/{tenant}/discovery/v2.0/keys", discovery::list_signing_keys)
        .open::<Authorize, _, _>(get.clone(), "/{tenant}/oauth2/v2.0/authorize", authorize::get_authorize)
        .open::<Authorize, _, _>(get, "/{tenant}/oauth2/authorize", authorize::get_authorize)
        .open::<Authorize, _, _>(post.clone(), "/{tenant}/oauth2/v2.0/authorize", authorize::post_authorize)
        .open::<Authorize, _, _>(post.clone(), "/{tenant}/oauth2/authorize", authorize::post_authorize)
        .open::<StartDevice, _, _>(post.clone(), "/{tenant}/oauth2/v2.0/devicecode", device::start_device)
        .open::<StartDevice, _, _>(post.clone(), "/{tenant}/oauth2/devicecode", device::start_device)
        .open::<GetToken, _, _>(post.clone(), "/{tenant}/oauth2/v2.0/token", token::get_token)
        .open::<GetToken, _, _>(post, "/{tenant}/oauth2/token", token::get_token)
}

impl Guest {
    /// Sign-in takes no bearer: whoever asks is nobody yet.
    pub(super) fn anyone(&self) -> Caller {
        Caller::nobody(self.source())
    }
}
