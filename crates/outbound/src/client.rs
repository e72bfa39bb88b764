//! A client for one server.

use std::{sync::Arc, time::Duration};

use reqwest::{Method, Url, redirect::Policy};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, pem::PemObject},
};

use crate::{Call, Error, Result};

/// How long a call may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// To connect.
    pub connect: Duration,
    /// To send a request and read its answer; for streams, from one piece to the next.
    pub total: Duration,
}

impl Default for Timeouts {
    /// 10 and 60 seconds.
    fn default() -> Self {
        Self { connect: Duration::from_secs(10), total: Duration::from_secs(60) }
    }
}

/// Calls one server and keeps its connections. Cheap to clone; a process needs one.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
    timeouts: Timeouts,
}

impl Client {
    /// A client for the server at `base_url` (`https://host:port`, nothing behind it) that trusts only the CA
    /// certificates in `ca_pem`. Connects when it is first used.
    ///
    /// # Errors
    /// `Address` when the URL is not of that form, `Ca` when there is no usable certificate in `ca_pem`.
    pub fn to_server(base_url: &str, ca_pem: &[u8], timeouts: Timeouts) -> Result<Self> {
        let base = Url::parse(base_url).ok().filter(is_origin);
        let base = base.ok_or_else(|| Error::Address { text: base_url.to_owned() })?;
        // System roots are not even loaded: that would cost a start more than everything else here.
        let mut authorities = RootCertStore::empty();
        add_authorities(&mut authorities, ca_pem)?;
        let http = plain(authorities, timeouts)?.https_only(true).build().map_err(Error::setup)?;
        Ok(Self { http, base, timeouts })
    }

    /// A client for a server elsewhere that whoever runs the command named: `http://host:port` or `https://host:port`, nothing
    /// behind it. Over HTTPS it trusts the certificates in `ca_pem` alone, or the system's where none are given.
    ///
    /// # Errors
    /// `Address` when the URL is not of that form, `Ca` when there is no usable certificate in `ca_pem`.
    pub fn to_named_server(base_url: &str, ca_pem: Option<&[u8]>, timeouts: Timeouts) -> Result<Self> {
        let base = Url::parse(base_url).ok().filter(|url| is_bare(url) && matches!(url.scheme(), "http" | "https"));
        let base = base.ok_or_else(|| Error::Address { text: base_url.to_owned() })?;
        let mut authorities = RootCertStore::empty();
        match ca_pem {
            Some(pem) => add_authorities(&mut authorities, pem)?,
            None if base.scheme() == "https" => {
                // One that cannot be read is one less to trust, and no reason to stop.
                authorities.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            }
            None => {}
        }
        let http = plain(authorities, timeouts)?.build().map_err(Error::setup)?;
        Ok(Self { http, base, timeouts })
    }

    /// The server's address, without a slash at its end.
    pub fn base(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Begins a call. `place` is a path that starts with a slash, query included, or a whole URL that the server itself
    /// gave (a next page, an operation to poll). A URL of another host is refused when the call is sent.
    pub fn call(&self, method: Method, place: &str) -> Call {
        let url = self.base.join(place).ok().filter(|url| url.origin() == self.base.origin());
        let url = url.filter(|url| url.username().is_empty() && url.password().is_none());
        let request = match url {
            Some(url) => Ok(reqwest::Request::new(method, url)),
            None => Err(Error::Elsewhere { base: self.base().to_owned(), place: place.to_owned() }),
        };
        Call::new(self.http.clone(), self.base().to_owned(), request, self.timeouts.total)
    }

    /// Begins a `GET`.
    pub fn get(&self, place: &str) -> Call {
        self.call(Method::GET, place)
    }

    /// Begins a `POST`.
    pub fn post(&self, place: &str) -> Call {
        self.call(Method::POST, place)
    }

    /// Begins a `PUT`.
    pub fn put(&self, place: &str) -> Call {
        self.call(Method::PUT, place)
    }

    /// Begins a `PATCH`.
    pub fn patch(&self, place: &str) -> Call {
        self.call(Method::PATCH, place)
    }

    /// Begins a `DELETE`.
    pub fn delete(&self, place: &str) -> Call {
        self.call(Method::DELETE, place)
    }
}

/// No proxies of the environment, no redirects, no second tries of its own.
fn plain(authorities: RootCertStore, timeouts: Timeouts) -> Result<reqwest::ClientBuilder> {
    Ok(reqwest::Client::builder()
        .tls_backend_preconfigured(trusting(authorities)?)
        .http1_only()
        .no_proxy()
        .redirect(Policy::none())
        .referer(false)
        .retry(reqwest::retry::never())
        .connect_timeout(timeouts.connect)
        .user_agent(concat!("bartizan/", env!("CARGO_PKG_VERSION"))))
}

fn is_origin(url: &Url) -> bool {
    url.scheme() == "https" && is_bare(url)
}

/// A host and perhaps a port, and nothing else.
fn is_bare(url: &Url) -> bool {
    let bare = url.path() == "/" && url.query().is_none() && url.fragment().is_none();
    url.has_host() && bare && url.username().is_empty() && url.password().is_none()
}

/// Adds the certificates of a PEM file to those that are trusted; at least one of them must be usable.
pub(crate) fn add_authorities(authorities: &mut RootCertStore, ca_pem: &[u8]) -> Result<()> {
    let before = authorities.len();
    for certificate in CertificateDer::pem_slice_iter(ca_pem) {
        let certificate = certificate.map_err(|cause| Error::Ca { source: Some(cause.into()) })?;
        authorities.add(certificate).map_err(|cause| Error::Ca { source: Some(cause.into()) })?;
    }
    if authorities.len() == before { Err(Error::Ca { source: None }) } else { Ok(()) }
}

/// TLS that trusts these authorities and no others.
pub(crate) fn trusting(authorities: RootCertStore) -> Result<ClientConfig> {
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(Error::setup)?;
    let mut config = builder.with_root_certificates(authorities).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}
