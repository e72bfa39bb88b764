//! What refusals are called: OAuth's code and Entra's number for each.

use domain::identity::{AuthorizeFault, AuthorizeRefusal, TokenRefusal};
use kernel::Source;

use super::fault::Fault;

/// A refusal of the token or device endpoint.
pub(super) fn of_token(source: &Source, why: TokenRefusal) -> Fault {
    use TokenRefusal as Why;
    let fault = |number, code, words: &str| Fault::new(source, number, code, words);
    match why {
        Why::UnknownTenant => fault(90_002, "invalid_tenant", "the tenant was not found"),
        Why::UnknownClient => fault(700_016, "unauthorized_client", "the application was not found in the tenant"),
        Why::Disabled => fault(7_000_112, "unauthorized_client", "the application is disabled in the tenant"),
        Why::GrantNotAllowed => {
            let words = "this kind of application may not use this grant; see whether it is registered as public";
            fault(700_051, "unauthorized_client", words)
        }
        Why::Unproved => {
            let words = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'.";
            fault(7_000_218, "invalid_client", words)
        }
        Why::ProofOfPublic => {
            let words = "Client is public so neither 'client_assertion' nor 'client_secret' should be presented.";
            fault(700_025, "invalid_client", words)
        }
        Why::BadSecret => fault(7_000_215, "invalid_client", "Invalid client secret provided."),
        Why::ExpiredSecret => {
            fault(7_000_222, "invalid_client", "The provided client secret has expired; create a new one.")
        }
        Why::BadAssertion => {
            let words = "the client assertion is not valid: it must be signed with a registered certificate that its \
                         header names (`x5t` or `x5t#S256`), be for this endpoint, and have `iss` and `sub` equal to \
                         the client id; or come from an issuer that the application trusts";
            fault(700_027, "invalid_client", words)
        }
        Why::AssertionTimes => {
            let words =
                "the client assertion is not within its valid time range, or is valid for more than ten minutes";
            fault(700_024, "invalid_client", words)
        }
        Why::ReplayedAssertion => {
            fault(700_023, "invalid_client", "the client assertion was used before; sign a new one with another `jti`")
        }
        Why::BadScope => {
            let words = "the scope is not valid: ask for one resource of this server, as `{resource}/.default`";
            fault(70_011, "invalid_scope", words)
        }
        Why::Malformed(words) => fault(900_144, "invalid_request", &words),
        Why::BadCode => {
            let words =
                "the code is not valid: it is good once, for the application and the redirect URI it was asked for";
            fault(70_000, "invalid_grant", words)
        }
        Why::CodeExpired => fault(70_008, "invalid_grant", "the authorization code has expired; sign in again"),
        Why::BadVerifier => {
            fault(501_481, "invalid_grant", "The Code_Verifier does not match the code_challenge of the request.")
        }
        Why::BadRefreshToken => fault(70_000, "invalid_grant", "the refresh token is not valid; sign in again"),
        Why::GrantExpired => fault(700_082, "invalid_grant", "the refresh token has expired; sign in again"),
        Why::GrantRevoked => {
            let words = "the grant was revoked, by a sign-out, an administrator, or because one of its tokens was used \
                         twice; sign in again";
            fault(50_173, "invalid_grant", words)
        }
        Why::PersonDisabled => fault(50_057, "invalid_grant", "The user account is disabled."),
        Why::Pending => fault(70_016, "authorization_pending", "nobody has decided yet; go on polling"),
        Why::SlowDown => fault(70_016, "slow_down", "poll five seconds less often"),
        Why::Declined => fault(70_001, "authorization_declined", "the sign-in was declined"),
        Why::DeviceExpired => fault(70_020, "expired_token", "the device code has expired; start again"),
        Why::BadUserAssertion => {
            let words = "the assertion is not a valid access token of a user for this application";
            fault(50_013, "invalid_grant", words)
        }
        Why::BadSubjectToken => {
            fault(50_013, "invalid_request", "the subject token is not the token of a run that is alive")
        }
        Why::BadTarget => fault(
            500_011,
            "invalid_target",
            "a run token is exchanged for the run's own workspace, and for nothing else",
        ),
        Why::SecondFactor { claims, must_enrol } => {
            let number = if must_enrol { 50_079 } else { 50_076 };
            let words = "multi-factor authentication is needed; sign in again";
            fault(number, "interaction_required", words).demanding(Some(claims))
        }
        Why::PasswordChange => {
            let words = "the password has to be changed first; sign in with a browser";
            fault(50_055, "interaction_required", words).demanding(None)
        }
    }
}

/// What an application is told by way of the browser: OAuth's code, Entra's number, words.
pub(super) fn of_authorize(why: AuthorizeRefusal) -> (&'static str, u32, String) {
    use AuthorizeRefusal as Why;
    let own = String::from;
    match why {
        Why::Malformed(words) => ("invalid_request", 900_144, words),
        Why::ResponseType => ("unsupported_response_type", 70_005, own("the parameter `response_type` must be `code`")),
        Why::BadScope => ("invalid_scope", 70_011, own("the scope is not valid: ask for one resource of this server")),
        Why::RequestObject => ("request_not_supported", 900_144, own("request objects are not supported")),
        Why::RequestUri => ("request_uri_not_supported", 900_144, own("request objects are not supported")),
        Why::Registration => ("registration_not_supported", 900_144, own("registrations are not taken here")),
        Why::LoginRequired => ("login_required", 50_058, own("nobody is signed in; ask without `prompt=none`")),
        Why::InteractionRequired => {
            ("interaction_required", 50_076, own("a second factor is needed; ask without `prompt=none`"))
        }
        Why::Busy => ("temporarily_unavailable", 90_033, own("too many sign-ins are under way; try again")),
    }
}

/// What an application's developers are told on the page that a person sees.
pub(super) fn of_page(why: AuthorizeFault) -> &'static str {
    match why {
        AuthorizeFault::UnknownTenant => "AADSTS90002: the tenant in the address was not found",
        AuthorizeFault::UnknownClient => "AADSTS700016: `client_id` names no application of this tenant",
        AuthorizeFault::Disabled => "AADSTS7000112: the application is disabled",
        AuthorizeFault::NoRedirectUri => "AADSTS900144: the request must contain `redirect_uri`, once",
        AuthorizeFault::BadRedirectUri => "AADSTS50011: `redirect_uri` is not one that the application registered",
    }
}
