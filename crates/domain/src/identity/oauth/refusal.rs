//! Why a token or a code was refused, in OAuth's terms; the face gives each its code and number.

use kernel::{Error, Kind, Result};

use crate::gate::Admission;

/// Why the token endpoint refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TokenRefusal {
    /// No such tenant here.
    UnknownTenant,
    /// No such application.
    UnknownClient,
    /// The application's principal is disabled.
    Disabled,
    /// The application has credentials, and none was presented.
    Unproved,
    /// A public application has no credential; what was presented is somebody else's.
    ProofOfPublic,
    /// Wrong secret.
    BadSecret,
    /// The secret was right once.
    ExpiredSecret,
    /// The assertion is malformed, for somebody else, under an unknown or expired certificate, or not signed by it.
    BadAssertion,
    /// The assertion is not valid yet, not any more, or for more than ten minutes.
    AssertionTimes,
    /// The assertion was used before.
    ReplayedAssertion,
    /// This application may not use this grant.
    GrantNotAllowed,
    /// Nothing here answers to that scope.
    BadScope,
    /// The request is malformed; the words say how.
    Malformed(String),
    /// No such code, another application's, or another address than it was asked for.
    BadCode,
    /// The code was redeemed too late.
    CodeExpired,
    /// The code is not proved by what the client showed of it (RFC 7636 §4.6).
    BadVerifier,
    /// No such refresh token, or another application's.
    BadRefreshToken,
    /// The grant has come to its end: sign in again.
    GrantExpired,
    /// The grant, the session or everything of the person's was revoked: sign in again.
    GrantRevoked,
    /// The person's account is disabled or gone.
    PersonDisabled,
    /// The person has not decided yet.
    Pending,
    /// The same, and the client asks too often.
    SlowDown,
    /// The person declined.
    Declined,
    /// Nobody decided in time.
    DeviceExpired,
    /// The user's token is not valid, or not for this application.
    BadUserAssertion,
    /// The token to be exchanged is not a living run token.
    BadSubjectToken,
    /// The run token would be for something else.
    BadTarget,
    /// A second factor is needed.
    SecondFactor {
        /// What the application is to ask for, as the `claims` parameter takes it.
        claims: String,
        /// The person has no second factor yet.
        must_enrol: bool,
    },
    /// The person has to choose a new password first.
    PasswordChange,
}

/// Why the authorization endpoint refused, told to the application.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuthorizeRefusal {
    /// The request is malformed; the words say how.
    Malformed(String),
    /// Only `code` is offered.
    ResponseType,
    /// Nothing here answers to that scope.
    BadScope,
    /// A request object (OpenID Connect Core §6.1).
    RequestObject,
    /// A request object by address.
    RequestUri,
    /// A registration (OpenID Connect Core §7.2.1).
    Registration,
    /// Nobody is signed in, and the application wants nobody to be asked.
    LoginRequired,
    /// Something else is needed of the person, and the application wants nobody to be asked.
    InteractionRequired,
    /// Too many codes wait to be redeemed.
    Busy,
}

/// Why the authorization endpoint refused, told to the person alone: the application or its address is not known, so nothing
/// may go there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuthorizeFault {
    /// No such tenant here.
    UnknownTenant,
    /// No such application.
    UnknownClient,
    /// The application is disabled.
    Disabled,
    /// The request names no address to answer to, or names it twice.
    NoRedirectUri,
    /// The address to answer to is not one that the application registered.
    BadRedirectUri,
}

/// What ends a grant's way early: a refusal, which is an answer, or a failure, which is none.
#[derive(Debug)]
pub(super) enum Stop {
    /// An answer.
    Refused(TokenRefusal),
    /// No answer.
    Failed(Error),
}

/// A step of a grant.
pub(super) type Granted<T> = std::result::Result<T, Stop>;

impl From<TokenRefusal> for Stop {
    fn from(why: TokenRefusal) -> Self {
        Self::Refused(why)
    }
}

impl From<Error> for Stop {
    fn from(fault: Error) -> Self {
        Self::Failed(fault)
    }
}

/// Whether somebody else was faster, so that everything has to be read again.
pub(super) fn is_stale<T>(granted: &Granted<T>) -> bool {
    matches!(granted, Err(Stop::Failed(fault)) if fault.kind() == Kind::Stale)
}

/// An operation's output from its last step. The record of a refusal says why.
pub(super) fn answer<T>(cx: &Admission<'_>, granted: Granted<T>) -> Result<std::result::Result<T, TokenRefusal>> {
    match granted {
        Ok(done) => Ok(Ok(done)),
        Err(Stop::Failed(fault)) => Err(fault),
        Err(Stop::Refused(why)) => {
            cx.note("refused", word(&why));
            cx.refuse(Kind::Unauthenticated);
            Ok(Err(why))
        }
    }
}

/// A refusal for the record.
fn word(why: &TokenRefusal) -> &'static str {
    match why {
        TokenRefusal::UnknownTenant => "unknown tenant",
        TokenRefusal::UnknownClient => "unknown application",
        TokenRefusal::Disabled => "the application is disabled",
        TokenRefusal::Unproved => "no credential",
        TokenRefusal::ProofOfPublic => "a credential for a public application",
        TokenRefusal::BadSecret => "wrong client secret",
        TokenRefusal::ExpiredSecret => "expired client secret",
        TokenRefusal::BadAssertion => "bad client assertion",
        TokenRefusal::AssertionTimes => "client assertion out of time",
        TokenRefusal::ReplayedAssertion => "client assertion used before",
        TokenRefusal::GrantNotAllowed => "grant not allowed to the application",
        TokenRefusal::BadScope => "unknown scope",
        TokenRefusal::Malformed(_) => "malformed request",
        TokenRefusal::BadCode => "bad code",
        TokenRefusal::CodeExpired => "expired code",
        TokenRefusal::BadVerifier => "code not proved",
        TokenRefusal::BadRefreshToken => "bad refresh token",
        TokenRefusal::GrantExpired => "expired grant",
        TokenRefusal::GrantRevoked => "revoked grant or session",
        TokenRefusal::PersonDisabled => "the account is disabled",
        TokenRefusal::Pending | TokenRefusal::SlowDown => "not decided yet",
        TokenRefusal::Declined => "declined",
        TokenRefusal::DeviceExpired => "device code expired",
        TokenRefusal::BadUserAssertion => "bad user token",
        TokenRefusal::BadSubjectToken => "bad run token",
        TokenRefusal::BadTarget => "another target",
        TokenRefusal::SecondFactor { .. } => "second factor needed",
        TokenRefusal::PasswordChange => "password change needed",
    }
}
