//! A served house, and a client that trusts its authority.

use std::{net::SocketAddr, sync::Arc};

use axum::body::Body;
use bytes::Bytes;
use domain::gate::House;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use http_faces::{App, Listener, Tls, faces};
use hyper_util::rt::TokioIo;
use kernel::{Clock, Limits, SystemClock};
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::{net::TcpStream, sync::watch};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// A house behind TLS on a port of its own.
pub struct Served {
    address: SocketAddr,
    tls: rustls::ClientConfig,
    _stop: watch::Sender<bool>,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Bytes,
    /// Whether the body arrived to its end.
    pub is_whole: bool,
}

impl Answer {
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

impl Served {
    pub async fn new(house: Arc<House>) -> Self {
        Self::within(house, Limits { body: 64 * 1024, ..Limits::default() }).await
    }

    pub async fn within(house: Arc<House>, limits: Limits) -> Self {
        let year: i32 = SystemClock.now().rfc3339()[..4].parse().unwrap();
        let authority = seal::Authority::generate(year).unwrap();
        let identity = authority.issue(&[String::from("localhost")], year).unwrap();
        let tls = Tls::from_pem(&identity.chain_pem, identity.key_pem.expose()).unwrap();
        let socket = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let app = App::new(house, Arc::new(limits));
        let names = [String::from("localhost")];
        let listener = Listener::new(socket, tls, app, faces::doors(), &names, "bartizan.test");
        let address = listener.address().unwrap();
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(listener.run(stopped));

        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.certificate_pem().as_bytes()).unwrap()).unwrap();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let tls = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self { address, tls, _stop: stop }
    }

    /// A connection on which nothing was said yet, with this protocol negotiated, if any.
    pub async fn connect(&self, protocol: &str) -> TlsStream<TcpStream> {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let mut tls = self.tls.clone();
        tls.alpn_protocols =
            [protocol].iter().filter(|name| !name.is_empty()).map(|name| name.as_bytes().to_vec()).collect();
        let name = ServerName::try_from("localhost").unwrap();
        TlsConnector::from(Arc::new(tls)).connect(name, stream).await.unwrap()
    }

    /// Sends one request on a connection of its own.
    pub async fn send(&self, mut request: Request<Body>) -> Answer {
        request.headers_mut().insert("host", "localhost".parse().unwrap());
        let stream = self.connect("").await;
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        let response = sender.send_request(request).await.unwrap();
        let (parts, mut incoming) = response.into_parts();
        let mut body = Vec::new();
        let mut is_whole = true;
        while let Some(frame) = incoming.frame().await {
            match frame {
                Ok(frame) => body.extend_from_slice(&frame.into_data().unwrap_or_default()),
                Err(_) => {
                    is_whole = false;
                    break;
                }
            }
        }
        Answer { status: parts.status, headers: parts.headers, body: body.into(), is_whole }
    }
}
