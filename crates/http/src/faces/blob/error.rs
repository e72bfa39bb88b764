//! Errors in the Blob service's form: XML, and the code in a header of its own (REST, "Blob service error codes").

use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use kernel::{Error, Kind};

use super::xml::Xml;
use crate::{Guest, challenge};

/// What a customer-managed key that may not be used is answered with within the house.
const LOCKED: &str = "CustomerManagedKeyUnavailable";

/// A refusal, and where a client that has no token gets one.
pub(super) struct Fault {
    error: Error,
    sign_in: Option<HeaderValue>,
    request: String,
}

impl Fault {
    pub(super) fn new(guest: &Guest, error: Error) -> Self {
        let house = guest.house();
        let sign_in = house.tenant().and_then(|tenant| {
            let url = &house.settings().url;
            let words = format!(
                "Bearer authorization_uri={url}/{tenant}/oauth2/authorize resource_id=https://storage.azure.com"
            );
            HeaderValue::from_str(&words).ok()
        });
        Self { error, sign_in, request: guest.source().correlation.to_string() }
    }
}

/// Status and code of each kind; most errors name a code of their own.
fn status_of(error: &Error) -> (StatusCode, &'static str) {
    let (status, code) = match error.kind() {
        Kind::Unauthenticated => (StatusCode::UNAUTHORIZED, "InvalidAuthenticationInfo"),
        Kind::Denied => (StatusCode::FORBIDDEN, "AuthorizationPermissionMismatch"),
        Kind::NotFound => (StatusCode::NOT_FOUND, "ResourceNotFound"),
        Kind::Exists => (StatusCode::CONFLICT, "ResourceAlreadyExists"),
        Kind::Conflict => (StatusCode::CONFLICT, "OperationNotAllowedOnResource"),
        Kind::Stale => (StatusCode::PRECONDITION_FAILED, "ConditionNotMet"),
        Kind::Invalid => (StatusCode::BAD_REQUEST, "InvalidInput"),
        Kind::TooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "RequestBodyTooLarge"),
        Kind::Unsupported => (StatusCode::BAD_REQUEST, "UnsupportedOperation"),
        Kind::Throttled | Kind::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "ServerBusy"),
        Kind::Internal => (StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
    };
    match error.code() {
        Some("NotModified") => (StatusCode::NOT_MODIFIED, "ConditionNotMet"),
        Some("InvalidRange") => (StatusCode::RANGE_NOT_SATISFIABLE, "InvalidRange"),
        Some("MissingContentLengthHeader") => (StatusCode::LENGTH_REQUIRED, "MissingContentLengthHeader"),
        Some(LOCKED) => (status, "KeyVaultEncryptionKeyNotFound"),
        // Only faces know of network rules by this name.
        Some("Forbidden") => (status, "AuthorizationFailure"),
        Some(own) => (status, own),
        None => (status, code),
    }
}

/// What is said of it. Whoever asked may have nothing but a link, or no right at all, so a refusal that is the gate's own says no
/// more than Azure's: neither where the account lies nor which key signed.
fn words(error: &Error) -> &str {
    match (error.kind(), error.code()) {
        // Which key holds the account is nobody's business who has nothing but a link.
        (_, Some(LOCKED)) => "The key vault key is not found to unwrap the encryption key.",
        (Kind::NotFound, None) => "The specified resource does not exist.",
        (Kind::Denied, None) => "This request is not authorized to perform this operation using this permission.",
        _ => error.public(),
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let (status, code) = status_of(&self.error);
        if status.is_server_error() {
            tracing::error!(fault = ?self.error, "a request failed");
        }
        let body = if status == StatusCode::NOT_MODIFIED {
            String::new()
        } else {
            let mut xml = Xml::begin("Error");
            xml.leaf("Code", code);
            xml.leaf("Message", &format!("{}\nRequestId:{}", words(&self.error), self.request));
            xml.end()
        };
        let mut response = (status, body).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/xml"));
        headers.insert("x-ms-error-code", HeaderValue::from_static(code));
        if status == StatusCode::UNAUTHORIZED {
            let plain = self.sign_in.filter(|_| self.error.challenge().is_none());
            headers.insert(header::WWW_AUTHENTICATE, plain.unwrap_or_else(|| challenge::bearer(&self.error)));
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(self.error.waits().unwrap_or(1)));
        }
        response
    }
}

/// What Azure has and this does not.
pub(super) fn unsupported(why: &str) -> Error {
    Error::new(Kind::Unsupported, why)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_tells_no_stranger_where_the_account_lies() {
        let place = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Storage/storageAccounts/a";
        let missing = Error::not_found(format_args!("the resource `{place}`"));
        assert_eq!(words(&missing), words(&Error::not_found("the storage account")));
        let denied =
            Error::new(Kind::Denied, format!("whoever shows the service SAS may not act over scope `{place}`"));
        assert!(!words(&denied).contains("/subscriptions") && !words(&denied).contains("SAS"));
        let locked = Error::new(Kind::Denied, "its key `https://v/keys/k` is away").coded(LOCKED);
        assert_eq!(status_of(&locked), (StatusCode::FORBIDDEN, "KeyVaultEncryptionKeyNotFound"));
        assert!(!words(&locked).contains("https://"));
    }
}
