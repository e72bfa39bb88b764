//! The sign-in pages: server-rendered, in three languages, without a line of script but for passkeys.
//!
//! Every page works by keyboard alone. A GET changes nothing; a POST is taken only from a page of ours (`form`), and answers
//! with a redirection or with the page again. What the pages may load, and where their forms may go, is in `page`.

mod agent;
mod assets;
mod cookie;
mod device;
mod enrol;
mod fault;
mod form;
mod form_post;
mod messages;
mod page;
mod password;
mod refusal;
mod return_path;
mod second_factor;
mod security;
mod sign_in;
mod visit;

pub(crate) use cookie::set_browser;
pub(crate) use fault::Fault;
pub(crate) use form_post::form_post;
pub(crate) use page::go_on;
pub(crate) use return_path::{ReturnPath, escape};

use domain::identity::{
    BeginPasskey, BeginPasskeyEnrolment, BeginTotpEnrolment, ChangePassword, DecideDevice, EndOwnSession,
    FinishPasskey, FinishPasskeyEnrolment, FinishTotpEnrolment, GetDeviceRequest, GetSession, GetSignInPage,
    NewRecoveryCodes, ProveRecoveryCode, ProveTotp, RemovePasskey, RemoveTotp, SignInWithPassword, SignOut,
};
use http::Method;

use crate::Doors;

/// The doors of this face. Whoever comes is nobody to the gate yet: each operation takes the browser's session key and establishes
/// by itself whose it is.
pub fn doors(doors: Doors) -> Doors {
    let (get, post) = (Method::GET, Method::POST);
    doors
        .open::<GetSignInPage, _, _>(get.clone(), "/signin", sign_in::get_sign_in)
        .open::<SignInWithPassword, _, _>(post.clone(), "/signin", sign_in::post_sign_in)
        .open::<GetSignInPage, _, _>(get.clone(), "/signin/continue", sign_in::get_continue)
        .open::<GetSignInPage, _, _>(get.clone(), "/signin/assets/{name}", assets::get_asset)
        .open::<BeginPasskey, _, _>(post.clone(), "/signin/passkey/begin", second_factor::begin_passkey)
        .open::<FinishPasskey, _, _>(post.clone(), "/signin/passkey", second_factor::post_passkey)
        .open::<GetSession, _, _>(get.clone(), "/signin/second-factor", second_factor::get_second_factor)
        .open::<ProveTotp, _, _>(post.clone(), "/signin/second-factor/totp", second_factor::post_totp)
        .open::<ProveRecoveryCode, _, _>(
            post.clone(),
            "/signin/second-factor/recovery-code",
            second_factor::post_recovery_code,
        )
        .open::<BeginPasskey, _, _>(
            post.clone(),
            "/signin/second-factor/passkey/begin",
            second_factor::begin_passkey_as_second,
        )
        .open::<FinishPasskey, _, _>(
            post.clone(),
            "/signin/second-factor/passkey",
            second_factor::post_passkey_as_second,
        )
        .open::<GetSession, _, _>(get.clone(), "/signin/enrol", enrol::get_enrol)
        .open::<BeginTotpEnrolment, _, _>(post.clone(), "/signin/enrol/totp/begin", enrol::begin_totp)
        .open::<FinishTotpEnrolment, _, _>(post.clone(), "/signin/enrol/totp", enrol::post_totp)
        .open::<BeginPasskeyEnrolment, _, _>(post.clone(), "/signin/enrol/passkey/begin", enrol::begin_passkey)
        .open::<FinishPasskeyEnrolment, _, _>(post.clone(), "/signin/enrol/passkey", enrol::post_passkey)
        .open::<GetSession, _, _>(get.clone(), "/signin/password", password::get_password)
        .open::<ChangePassword, _, _>(post.clone(), "/signin/password", password::post_password)
        .open::<GetSession, _, _>(get.clone(), "/signin/security", security::get_security)
        .open::<RemovePasskey, _, _>(
            post.clone(),
            "/signin/security/passkeys/{passkey}/remove",
            security::remove_passkey,
        )
        .open::<RemoveTotp, _, _>(post.clone(), "/signin/security/totp/remove", security::remove_totp)
        .open::<NewRecoveryCodes, _, _>(post.clone(), "/signin/security/recovery-codes", security::new_recovery_codes)
        .open::<EndOwnSession, _, _>(post.clone(), "/signin/security/sessions/{session}/end", security::end_session)
        .open::<GetSession, _, _>(get.clone(), "/device", device::get_device)
        .open::<GetSignInPage, _, _>(get.clone(), "/devicelogin", device::get_device_alias)
        .open::<GetSignInPage, _, _>(get.clone(), "/{tenant}/oauth2/deviceauth", device::get_device_alias)
        .open::<GetDeviceRequest, _, _>(post.clone(), "/device", device::post_device)
        .open::<DecideDevice, _, _>(post.clone(), "/device/decide", device::post_decision)
        .open::<GetSession, _, _>(get, "/signout", sign_in::get_sign_out)
        .open::<SignOut, _, _>(post, "/signout", sign_in::post_sign_out)
}
