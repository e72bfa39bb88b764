//! Why a step was refused, in the reader's language. The same words and the same status whether an account exists or not.

use axum::response::{IntoResponse, Response};
use domain::identity::{PasswordFault, SignInRefusal};
use http::{HeaderValue, StatusCode, header};
use serde_json::json;

use super::{
    messages::Messages,
    return_path::{ReturnPath, with_again, with_return},
    visit::Visit,
};

/// What is done about a refusal.
pub(super) enum Refused {
    /// The page is shown again, and says this.
    Again(Problem),
    /// The sign-in has to begin anew: the address of its first page.
    Elsewhere(String),
}

/// What went wrong, on the page where it did.
pub(super) struct Problem {
    pub(super) status: StatusCode,
    pub(super) text: String,
    /// When the next attempt is looked at, in seconds.
    wait: Option<u64>,
}

impl Problem {
    /// Something the reader can put right.
    pub(super) fn new(text: impl ToString) -> Self {
        Self { status: StatusCode::BAD_REQUEST, text: text.to_string(), wait: None }
    }

    /// Something to know on a page that was come to in order.
    pub(super) fn hint(text: impl ToString) -> Self {
        Self { status: StatusCode::OK, ..Self::new(text) }
    }

    /// Too many attempts.
    pub(super) fn throttled(say: &Messages, seconds: u64) -> Self {
        let text = say.problem_throttled.fill("seconds", seconds);
        Self { status: StatusCode::TOO_MANY_REQUESTS, text, wait: Some(seconds) }
    }

    /// Says it in the answer's headers.
    pub(super) fn mark(&self, response: &mut Response) {
        *response.status_mut() = self.status;
        if let Some(seconds) = self.wait {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds.max(1)));
        }
    }
}

impl Refused {
    pub(super) fn of(visit: &Visit, why: SignInRefusal) -> Self {
        let say = visit.say;
        Self::Again(match why {
            SignInRefusal::Expired => return Self::Elsewhere(start("expired", visit.return_to.as_ref())),
            SignInRefusal::ProveAgain => {
                let security = ReturnPath::parse("/signin/security");
                return Self::Elsewhere(start("prove", visit.return_to.as_ref().or(security.as_ref())));
            }
            SignInRefusal::Throttled { seconds } => Problem::throttled(say, seconds),
            SignInRefusal::BadCredentials => Problem::new(&say.problem_bad_credentials),
            SignInRefusal::BadCode => Problem::new(&say.problem_bad_code),
            SignInRefusal::BadPasskey => Problem::new(&say.problem_bad_passkey),
            SignInRefusal::NotPossible => Problem::new(&say.problem_not_possible),
            SignInRefusal::WeakPassword { why } => Problem::new(weak(say, why)),
        })
    }

    /// The same for a script: what to say, or where to go.
    pub(super) fn into_json(self) -> Response {
        match self {
            Self::Again(problem) => {
                let mut response = axum::Json(json!({"problem": problem.text})).into_response();
                problem.mark(&mut response);
                response
            }
            Self::Elsewhere(place) => (StatusCode::CONFLICT, axum::Json(json!({"location": place}))).into_response(),
        }
    }
}

/// The first page, which says why one is there again.
fn start(why: &str, return_to: Option<&ReturnPath>) -> String {
    with_again(&with_return("/signin", return_to), why)
}

fn weak(say: &Messages, why: PasswordFault) -> String {
    match why {
        PasswordFault::TooShort { least } => say.password_too_short.fill("least", least),
        PasswordFault::TooLong { most } => say.password_too_long.fill("most", most),
        PasswordFault::Guessable => say.password_too_easy.to_string(),
        PasswordFault::Unchanged => say.password_unchanged.to_string(),
    }
}
