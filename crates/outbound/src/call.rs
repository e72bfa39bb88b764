//! A call that is being put together.

use std::time::Duration;

use bytes::Bytes;
use futures::{Stream, TryStreamExt};
use kernel::Secret;
use reqwest::{
    Body, Request,
    header::{AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue},
};
use serde::{Serialize, de::DeserializeOwned};

use crate::{Answer, Error, Result};

/// A call that is being put together. A mistake on the way is reported by [`Call::send`].
#[derive(Debug)]
#[must_use = "a call does nothing until it is sent"]
pub struct Call {
    http: reqwest::Client,
    base: String,
    request: Result<Request>,
    /// From one piece of a streamed answer to the next.
    patience: Duration,
}

impl Call {
    pub(crate) fn new(http: reqwest::Client, base: String, request: Result<Request>, total: Duration) -> Self {
        Self { http, base, request, patience: total }.deadline(total)
    }

    fn with(mut self, change: impl FnOnce(&mut Request) -> Result<()>) -> Self {
        self.request = self.request.and_then(|mut request| change(&mut request).map(|()| request));
        self
    }

    /// Adds a header.
    pub fn header(self, name: &str, value: &str) -> Self {
        self.with(|request| {
            let header = HeaderName::try_from(name).ok().zip(HeaderValue::try_from(value).ok());
            let (name, value) = header.ok_or_else(|| Error::Header { name: name.to_owned() })?;
            request.headers_mut().append(name, value);
            Ok(())
        })
    }

    /// Adds a bearer token. It is left out of debug prints.
    pub fn bearer(self, token: &Secret<String>) -> Self {
        self.authorization(&Secret::new(["Bearer ", token.expose()].concat()))
    }

    /// Adds a whole `Authorization` header. It is left out of debug prints.
    pub fn authorization(self, text: &Secret<String>) -> Self {
        self.with(|request| {
            let value = HeaderValue::try_from(text.expose().as_str());
            let mut value = value.map_err(|_| Error::Header { name: AUTHORIZATION.to_string() })?;
            value.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, value);
            Ok(())
        })
    }

    /// Adds parameters to the query, escaped.
    pub fn query(self, parameters: &[(&str, &str)]) -> Self {
        self.with(|request| {
            request.url_mut().query_pairs_mut().extend_pairs(parameters);
            Ok(())
        })
    }

    /// Sends a value as JSON.
    pub fn json(self, value: &(impl Serialize + ?Sized)) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => self.body("application/json", body),
            Err(cause) => self.with(|_| Err(Error::setup(cause))),
        }
    }

    /// Sends the fields of a form, escaped.
    pub fn form(self, fields: &[(&str, &str)]) -> Self {
        // The query of a URL is escaped by the same rules.
        let mut url = match &self.request {
            Ok(request) => request.url().clone(),
            Err(_) => return self,
        };
        url.query_pairs_mut().clear().extend_pairs(fields);
        let body = url.query().unwrap_or_default().to_owned();
        self.body("application/x-www-form-urlencoded", body)
    }

    /// Sends bytes of the given media type.
    pub fn body(self, media_type: &str, body: impl Into<Bytes>) -> Self {
        let body = Body::from(body.into());
        self.content(media_type, body)
    }

    /// Sends a stream of the given media type, with its length in bytes when it is known. The call has no deadline then:
    /// the caller sets one that suits the size. An error of the stream ends the call.
    pub fn stream<S>(self, media_type: &str, length: Option<u64>, pieces: S) -> Self
    where
        S: Stream<Item = std::io::Result<Bytes>> + Send + 'static,
    {
        let call = self.content(media_type, Body::wrap_stream(pieces.into_stream())).without_deadline();
        call.with(|request| {
            if let Some(length) = length {
                request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
            }
            Ok(())
        })
    }

    fn content(self, media_type: &str, body: Body) -> Self {
        self.with(|request| {
            let kind = HeaderValue::try_from(media_type);
            let kind = kind.map_err(|_| Error::Header { name: CONTENT_TYPE.to_string() })?;
            request.headers_mut().insert(CONTENT_TYPE, kind);
            *request.body_mut() = Some(body);
            Ok(())
        })
    }

    /// Sets how long the call may take, its answer's body included.
    pub fn deadline(self, span: Duration) -> Self {
        self.with(|request| {
            *request.timeout_mut() = Some(span);
            Ok(())
        })
    }

    /// Lets the call take as long as it takes: for answers that are read as a stream.
    pub fn without_deadline(self) -> Self {
        self.with(|request| {
            *request.timeout_mut() = None;
            Ok(())
        })
    }

    /// Sends the call; the answer may have any status.
    ///
    /// # Errors
    /// When the call was put together wrongly, or there is no answer.
    pub async fn send(self) -> Result<Answer> {
        match self.http.execute(self.request?).await {
            Ok(response) => Ok(Answer::new(response, self.base, self.patience)),
            Err(cause) => Err(Error::calling(&self.base, cause)),
        }
    }

    /// Sends the call and reads its answer as JSON.
    ///
    /// # Errors
    /// As [`Call::send`]; `Answered` when the status is not a success.
    pub async fn send_for_json<T: DeserializeOwned>(self) -> Result<T> {
        self.send().await?.success().await?.json().await
    }
}
