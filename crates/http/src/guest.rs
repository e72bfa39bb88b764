//! A request on its way in: what every handler starts from. It holds claims; only `caller` turns them into an identity.

use std::{
    collections::HashMap,
    convert::Infallible,
    str::FromStr,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    body::Body,
    extract::{FromRequest, FromRequestParts, RawPathParams, Request},
};
use bytes::Bytes;
use domain::{
    gate::{ByteStream, House, Op, knock},
    identity::identify,
};
use futures::{StreamExt, TryStreamExt, stream};
use http::{HeaderMap, Method, header, request::Parts};
use http_body_util::{BodyExt, Limited};
use kernel::{Caller, Error, Kind, Limits, ResourceId, Result, Source};
use serde::de::DeserializeOwned;

use crate::{AskedAs, inside::Inside, path};

/// What all handlers share.
#[derive(Clone)]
pub struct App {
    /// The house.
    pub house: Arc<House>,
    /// Its bounds.
    pub limits: Arc<Limits>,
}

impl App {
    /// The house with these bounds.
    pub fn new(house: Arc<House>, limits: Arc<Limits>) -> Self {
        Self { house, limits }
    }
}

/// A request.
pub struct Guest {
    app: App,
    parts: Parts,
    params: HashMap<String, String>,
    /// A body is not `Sync`, and a guest is borrowed across awaits; the lock is never contended.
    body: Mutex<Body>,
}

impl FromRequest<App> for Guest {
    type Rejection = Infallible;

    async fn from_request(request: Request, app: &App) -> std::result::Result<Self, Infallible> {
        let (mut parts, body) = request.into_parts();
        // Parameters that are no UTF-8 are left out, and so refused as missing by whoever asks for them.
        let params = match RawPathParams::from_request_parts(&mut parts, app).await {
            Ok(found) => found.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            Err(_) => HashMap::new(),
        };
        Ok(Self { app: app.clone(), parts, params, body: Mutex::new(body) })
    }
}

impl Guest {
    /// The house.
    pub fn house(&self) -> &Arc<House> {
        &self.app.house
    }

    /// The bounds.
    pub fn limits(&self) -> &Limits {
        &self.app.limits
    }

    /// The headers.
    pub fn headers(&self) -> &HeaderMap {
        &self.parts.headers
    }

    /// A header as text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.parts.headers.get(name)?.to_str().ok()
    }

    /// Where the request came from.
    pub fn source(&self) -> Source {
        self.parts.extensions.get::<Source>().cloned().unwrap_or_else(Source::internal)
    }

    /// How the client wrote the address, where the resource has a name of its own.
    pub(crate) fn asked_as(&self) -> Option<&AskedAs> {
        self.parts.extensions.get::<AskedAs>()
    }

    /// The method.
    pub fn method(&self) -> &Method {
        &self.parts.method
    }

    /// The server's own doors, for what follows from this request.
    pub(crate) fn inside(&self) -> Option<Inside> {
        self.parts.extensions.get::<Inside>().cloned()
    }

    /// The bearer token, if there is one. Two `Authorization` headers are as good as none.
    pub fn bearer(&self) -> Option<&str> {
        let mut values = self.parts.headers.get_all(header::AUTHORIZATION).iter();
        let (value, more) = (values.next()?.to_str().ok()?, values.next());
        let (scheme, token) = value.split_once(' ')?;
        (scheme.eq_ignore_ascii_case("bearer") && more.is_none()).then_some(token.trim())
    }

    /// Who asks. Nobody without a bearer token; an error with a bad one.
    pub async fn caller(&self) -> Result<Caller> {
        match self.bearer() {
            Some(token) => identify(self.house(), token, self.source()).await,
            None => Ok(Caller::nobody(self.source())),
        }
    }

    /// Who asks, once it is clear that operation `O` is theirs to ask for at this scope: to be called before a body is
    /// read. `enter` decides again when the operation is built.
    pub async fn admitted<O: Op>(&self, scope: &ResourceId) -> Result<Caller> {
        let caller = self.caller().await?;
        knock::<O>(self.house(), &caller, scope).await?;
        Ok(caller)
    }

    /// A parameter of the path, parsed. A name that does not parse cannot exist, so it is not found.
    pub fn param<T: FromStr>(&self, name: &str) -> Result<T> {
        self.params
            .get(name)
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| Error::not_found(format_args!("the {name} in the address")))
    }

    /// The path as a resource id, without its last `drop` segments (an action or a collection's name).
    pub fn resource(&self, drop: usize) -> Result<ResourceId> {
        let decoded = path::decode(self.parts.uri.path()).ok_or_else(|| Error::not_found("this address"))?;
        let mut segments: Vec<&str> = decoded.split('/').filter(|segment| !segment.is_empty()).collect();
        segments.truncate(segments.len().saturating_sub(drop));
        let text = format!("/{}", segments.join("/"));
        text.parse().map_err(|_| Error::not_found("this address"))
    }

    /// The path's part from its first `/subscriptions/` up to and including the workspace's name: the scope of faces that
    /// lie below a workspace.
    pub fn workspace(&self) -> Result<ResourceId> {
        let decoded = path::decode(self.parts.uri.path()).ok_or_else(|| Error::not_found("this address"))?;
        let start = decoded.find("/subscriptions/").ok_or_else(|| Error::not_found("a workspace in the address"))?;
        let segments: Vec<&str> = decoded.get(start..).unwrap_or_default().split('/').take(9).collect();
        let id: ResourceId = segments.join("/").parse().map_err(|_| Error::not_found("a workspace in the address"))?;
        id.workspace().ok_or_else(|| Error::not_found("a workspace in the address"))
    }

    /// What the addresses of a vault's objects begin with, in the style in which the client asked.
    pub(crate) fn vault_base(&self, vault: &str) -> String {
        match self.parts.extensions.get::<AskedAs>() {
            Some(asked) if asked.is_host_style => format!("https://{}", asked.authority),
            Some(asked) if !asked.authority.is_empty() => format!("https://{}/vaults/{vault}", asked.authority),
            _ => format!("{}/vaults/{vault}", self.app.house.settings().url),
        }
    }

    /// The name and port under which the client called: one of the server's own, since others reach nothing.
    pub(crate) fn authority(&self) -> Option<&str> {
        let named = self.parts.uri.authority().map(http::uri::Authority::as_str);
        named.or_else(|| self.header(header::HOST.as_str()))
    }

    /// The path, as it was sent.
    pub fn path(&self) -> &str {
        self.parts.uri.path()
    }

    /// The whole query, as it was sent.
    pub fn query_text(&self) -> &str {
        self.parts.uri.query().unwrap_or_default()
    }

    /// The first value of a query parameter, percent-decoded.
    pub fn query(&self, name: &str) -> Option<String> {
        self.query_all(name).into_iter().next()
    }

    /// All values of a query parameter, percent-decoded.
    pub fn query_all(&self, name: &str) -> Vec<String> {
        let query = self.parts.uri.query().unwrap_or_default();
        path::pairs(query).filter(|(key, _)| key == name).map(|(_, value)| value).collect()
    }

    /// This request's own address with one query parameter set: the link to a next page.
    pub fn link_with(&self, name: &str, value: &str) -> String {
        let query = self.parts.uri.query().unwrap_or_default();
        let others = query.split('&').filter(|pair| !pair.is_empty() && pair.split('=').next() != Some(name));
        let pairs: Vec<&str> = others.collect();
        let before = if pairs.is_empty() { String::new() } else { format!("{}&", pairs.join("&")) };
        format!("{}{}?{before}{name}={value}", self.house().settings().url, self.parts.uri.path())
    }

    /// The request without its body: for views that come after the body was read.
    pub fn shell(&self) -> Self {
        Self {
            app: self.app.clone(),
            parts: self.parts.clone(),
            params: self.params.clone(),
            body: Mutex::new(Body::empty()),
        }
    }

    /// The whole body, at most `Limits::body` bytes.
    pub async fn bytes(self) -> Result<Bytes> {
        let most = self.app.limits.body;
        self.bytes_to(most).await
    }

    /// The whole body, at most `most` bytes, within the time a slow client has.
    pub async fn bytes_to(self, most: usize) -> Result<Bytes> {
        let too_large = || Error::new(Kind::TooLarge, format!("the body is larger than {most} bytes"));
        let deadline = self.app.limits.slow_client;
        let whole = tokio::time::timeout(deadline, Limited::new(self.take_body(), most).collect()).await;
        let slow = |_| Error::new(Kind::Invalid, "the body did not arrive in time");
        match whole.map_err(slow)? {
            Ok(whole) => Ok(whole.to_bytes()),
            Err(fault) if fault.is::<http_body_util::LengthLimitError>() => Err(too_large()),
            Err(fault) => Err(Error::new(Kind::Invalid, "the body broke off").because(fault)),
        }
    }

    /// The body as JSON. The error names the field.
    pub async fn json<T: DeserializeOwned>(self) -> Result<T> {
        parse_json(&self.bytes().await?)
    }

    fn take_body(self) -> Body {
        self.body.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the client said that it sends no body, or none is left.
    pub fn is_without_body(&self) -> bool {
        http_body::Body::is_end_stream(&*self.body.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The body as a stream. A client that sends nothing for as long as a slow one may is given up.
    pub fn stream(self) -> ByteStream {
        let broke = |fault: axum::Error| Error::new(Kind::Invalid, "the body broke off").because(fault);
        let silence = self.app.limits.slow_client;
        let pieces = TryStreamExt::map_err(self.take_body().into_data_stream(), broke);
        let slow = |_| Error::new(Kind::Invalid, "the body did not arrive in time");
        stream::unfold(Box::pin(pieces), move |mut pieces| async move {
            match tokio::time::timeout(silence, pieces.next()).await.map_err(slow) {
                Ok(piece) => piece.map(|piece| (piece, pieces)),
                Err(fault) => Some((Err(fault), pieces)),
            }
        })
        .boxed()
    }
}

/// Reads JSON. The error names the field where it can.
pub(crate) fn parse_json<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
    // Serde reads structs from arrays too; no protocol here means that.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(Error::invalid("body", "must be a JSON object"));
    }
    serde_json::from_slice(bytes).map_err(|fault| {
        // serde_json's words name fields and positions, never values beyond a short echo of the type.
        Error::invalid("body", fault.to_string())
    })
}
