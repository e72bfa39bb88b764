//! A client for small documents of servers elsewhere, such as an issuer's keys (invariant I10).

use std::{net::SocketAddr, time::Duration};

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use kernel::{Secret, Web, WebAnswer, WebError, WebMethod, WebReply, WebRequest};
use reqwest::{
    Method, RequestBuilder, Url,
    header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue},
    redirect::Policy,
};
use rustls::{ClientConfig, RootCertStore};
use tokio::sync::OnceCell;

use crate::{
    Error, Reach, Result, Timeouts,
    client::{add_authorities, trusting},
    line,
    reach::Host,
};

/// Fetches documents from the servers in its reach. A name is looked up once, the addresses that may not be met are put
/// aside, and the connection goes to one of the others: a second look-up could answer differently. Redirects are not
/// followed, proxies of the environment are not used.
#[derive(Debug)]
pub struct WebClient {
    reach: Reach,
    pub(crate) timeouts: Timeouts,
    tls: OnceCell<ClientConfig>,
}

impl WebClient {
    /// What suits documents that somebody waits for: 5 seconds to find and reach the server, 10 for the whole call.
    pub const PATIENCE: Timeouts = Timeouts { connect: Duration::from_secs(5), total: Duration::from_secs(10) };

    /// A client with this reach. A call takes at most `timeouts.total`, everything included. It reads the system's certificate authorities when it first makes a call.
    ///
    /// # Errors
    /// `Ca` when certificate authorities are given and there is no usable certificate among them.
    pub fn new(reach: Reach, timeouts: Timeouts) -> Result<Self> {
        if !reach.ca_pem.is_empty() {
            add_authorities(&mut RootCertStore::empty(), &reach.ca_pem)?;
        }
        Ok(Self { reach, timeouts, tls: OnceCell::new() })
    }

    async fn call(
        &self,
        method: Method,
        url: &str,
        most: usize,
        fill: impl FnOnce(RequestBuilder) -> RequestBuilder + Send,
    ) -> Result<WebReply, WebError> {
        let (url, host) = self.allowed(url)?;
        let away = |why: &str| WebError::Unreachable { host: host.to_string(), why: why.to_owned() };
        let exchange = async {
            let addresses = self.look_up(&host).await?;
            let http = self.client(&host, &addresses).await.map_err(|fault| away(&fault.to_string()))?;
            let request = http.request(method, url).header(ACCEPT, "application/json");
            let failed = |cause| away(&because(Error::calling(&host.to_string(), cause)));
            let mut response = fill(request).send().await.map_err(failed)?;
            let status = response.status().as_u16();
            let text = |(name, value): (&HeaderName, &HeaderValue)| {
                value.to_str().ok().map(|value| (name.as_str().to_owned(), value.to_owned()))
            };
            let headers = response.headers().iter().filter_map(text).collect();
            let mut body = BytesMut::new();
            while let Some(piece) = response.chunk().await.map_err(failed)? {
                if piece.len() > most.saturating_sub(body.len()) {
                    return Err(WebError::TooLarge { host: host.to_string(), most });
                }
                body.extend_from_slice(&piece);
            }
            Ok(WebReply { status, headers, body: body.freeze() })
        };
        tokio::time::timeout(self.timeouts.total, exchange).await.map_err(|_| away("it took too long"))?
    }

    fn allowed(&self, url: &str) -> Result<(Url, Host), WebError> {
        let no_address = || WebError::Refused(String::from("the address is not that of a document on the web"));
        let url = Url::parse(url).map_err(|_| no_address())?;
        let host = Host::of(&url).filter(|_| url.fragment().is_none()).ok_or_else(no_address)?;
        self.named(host).map(|host| (url, host))
    }

    /// A host that the operator named.
    pub(crate) fn named(&self, host: Host) -> Result<Host, WebError> {
        if self.reach.names(&host) {
            return Ok(host);
        }
        Err(WebError::Refused(format!(
            "`{host}` is not among the servers that this one may reach; the operator adds it with `serve --outbound-host`"
        )))
    }

    /// The addresses of a host that may be met.
    pub(crate) async fn look_up(&self, host: &Host) -> Result<Vec<SocketAddr>, WebError> {
        let away = |why: &str| WebError::Unreachable { host: host.to_string(), why: why.to_owned() };
        let found = tokio::time::timeout(self.timeouts.connect, tokio::net::lookup_host((host.name(), host.port())));
        let found = found.await.map_err(|_| away("its name could not be looked up in time"))?;
        let found: Vec<SocketAddr> = found.map_err(|_| away("its name cannot be looked up"))?.collect();
        if found.is_empty() {
            return Err(away("its name has no address"));
        }
        self.permitted(host, found)
    }

    fn permitted(&self, host: &Host, found: Vec<SocketAddr>) -> Result<Vec<SocketAddr>, WebError> {
        let permitted: Vec<SocketAddr> = found.into_iter().filter(|at| self.reach.permits(host, at.ip())).collect();
        if permitted.is_empty() {
            return Err(WebError::Refused(format!(
                "`{host}` has no public address; if it is to be met in a private network, the operator names that with \
                 `serve --outbound-network`"
            )));
        }
        Ok(permitted)
    }

    /// A client that knows one name, and these addresses of it.
    async fn client(&self, host: &Host, addresses: &[SocketAddr]) -> Result<reqwest::Client> {
        let tls = self.trusted().await?;
        reqwest::Client::builder()
            .tls_backend_preconfigured(tls.clone())
            .http1_only()
            .no_proxy()
            .redirect(Policy::none())
            .referer(false)
            .retry(reqwest::retry::never())
            .resolve_to_addrs(host.name(), addresses)
            .connect_timeout(self.timeouts.connect)
            .timeout(self.timeouts.total)
            .pool_max_idle_per_host(0)
            .user_agent(concat!("bartizan/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(Error::setup)
    }

    /// TLS as this client speaks it.
    pub(crate) async fn trusted(&self) -> Result<&ClientConfig> {
        self.tls.get_or_try_init(|| async { self.trust() }).await
    }

    fn trust(&self) -> Result<ClientConfig> {
        let mut roots = RootCertStore::empty();
        if !self.reach.is_pinned {
            // A certificate of the system's that cannot be read is one less to trust, and no reason to stop.
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        if !self.reach.ca_pem.is_empty() {
            add_authorities(&mut roots, &self.reach.ca_pem)?;
        }
        trusting(roots)
    }
}

#[async_trait]
impl Web for WebClient {
    fn permits(&self, url: &str) -> Result<(), WebError> {
        match line::parse(url) {
            Some(host) => self.named(host).map(|_| ()),
            None => self.allowed(url).map(|_| ()),
        }
    }

    async fn get(&self, url: &str, most: usize) -> Result<WebAnswer, WebError> {
        self.call(Method::GET, url, most, |request| request).await.map(bare)
    }

    async fn post_form(
        &self,
        url: &str,
        fields: &[(&str, &str)],
        basic: Option<(&str, &Secret<String>)>,
        most: usize,
    ) -> Result<WebAnswer, WebError> {
        let body = form(fields);
        let fill = |request: RequestBuilder| {
            let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
            match basic {
                Some((name, password)) => request.basic_auth(name, Some(password.expose())),
                None => request,
            }
        };
        self.call(Method::POST, url, most, fill).await.map(bare)
    }

    async fn send(&self, request: WebRequest<'_>) -> Result<WebReply, WebError> {
        let WebRequest { method, url, headers, body, most } = request;
        let method = match method {
            WebMethod::Options => Method::OPTIONS,
            WebMethod::Post => Method::POST,
        };
        let mut filled = Vec::with_capacity(headers.len());
        for (name, value) in headers {
            let header = HeaderName::try_from(*name).ok().zip(HeaderValue::try_from(*value).ok());
            let (name, mut value) = header
                .ok_or_else(|| WebError::Refused(format!("`{name}` is no header, or has a value that none has")))?;
            value.set_sensitive(true);
            filled.push((name, value));
        }
        let fill = |request: RequestBuilder| {
            filled.into_iter().fold(request, |request, (name, value)| request.header(name, value)).body(body)
        };
        self.call(method, url, most, fill).await
    }

    async fn pour(&self, place: &str, bytes: Bytes) -> Result<(), WebError> {
        self.pour_out(place, bytes).await
    }
}

fn bare(reply: WebReply) -> WebAnswer {
    WebAnswer { status: reply.status, body: reply.body }
}

/// The fields of a form, escaped. The query of a URL is escaped by the same rules.
fn form(fields: &[(&str, &str)]) -> Bytes {
    let Ok(mut url) = Url::parse("https://form.invalid/") else { return Bytes::new() };
    url.query_pairs_mut().extend_pairs(fields);
    Bytes::from(url.query().unwrap_or_default().to_owned())
}

/// Why a call failed, without the host, which is said already.
fn because(fault: Error) -> String {
    match fault {
        Error::Untrusted { .. } => String::from(
            "it did not prove to be that host; if its certificate is of an authority of your own, the operator names that \
             with `serve --outbound-ca`",
        ),
        Error::TimedOut { .. } => String::from("it took too long"),
        Error::Unreachable { .. } => String::from("nobody listens there"),
        _ => String::from("the connection failed"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(hosts: &[&str]) -> WebClient {
        let hosts = hosts.iter().map(|host| host.parse().unwrap()).collect();
        WebClient::new(Reach { hosts, ..Reach::default() }, WebClient::PATIENCE).unwrap()
    }

    #[test]
    fn only_listed_servers_are_allowed() {
        let client = client(&["login.example.org", "http://localhost:9000"]);
        for good in ["https://login.example.org/a?b=c", "https://LOGIN.example.org:443/", "http://localhost:9000/x"] {
            assert!(client.permits(good).is_ok(), "{good}");
        }
        let bad = [
            "http://login.example.org/",
            "https://login.example.org:8443/",
            "https://login.example.org.evil.example/",
            "https://login.example.org@evil.example/",
            "https://user:pw@login.example.org/",
            "https://evil.example/#login.example.org",
            "https://login.example.org/#x",
            "http://localhost:9001/",
            "https://localhost:9000/",
            "http://127.0.0.1:9000/",
            "file:///etc/passwd",
            "//login.example.org/",
            "",
        ];
        for bad in bad {
            assert!(matches!(client.permits(bad), Err(WebError::Refused(_))), "{bad}");
        }
    }

    #[test]
    fn of_a_name_s_addresses_only_public_ones_are_met() {
        let client = client(&["login.example.org"]);
        let host: Host = "login.example.org".parse().unwrap();
        let at = |addresses: &[&str]| addresses.iter().map(|at| at.parse().unwrap()).collect::<Vec<SocketAddr>>();
        let mixed = at(&["127.0.0.1:443", "1.1.1.1:443", "[::ffff:10.0.0.1]:443"]);
        assert_eq!(client.permitted(&host, mixed).unwrap(), at(&["1.1.1.1:443"]));
        for private in ["127.0.0.1:443", "169.254.169.254:443", "[64:ff9b::a9fe:a9fe]:443", "[::1]:443"] {
            assert!(matches!(client.permitted(&host, at(&[private])), Err(WebError::Refused(_))), "{private}");
        }
    }
}
