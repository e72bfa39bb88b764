//! A server for agents, in memory: the other side of `wire::agent`, over real TLS.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{Arc, Condvar, Mutex},
    time::Duration,
};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use wire::agent::{Assignment, Finish, Heartbeat, Orders, Start, Status};

pub const BOOTSTRAP: &str = "bootstrap-token-canary-5d1f";
pub const RUN_TOKEN: &str = "run-token-canary-91ac";

/// What the server saw.
#[derive(Default)]
pub struct Seen {
    pub start: Option<Start>,
    pub statuses: Vec<Status>,
    pub logs: BTreeMap<String, Vec<u8>>,
    pub artifacts: BTreeMap<String, Vec<u8>>,
    pub finish: Option<Finish>,
    pub proxied: Vec<(String, String, Option<String>, Vec<u8>)>,
    pub cancel: bool,
    pub broken_logs: u32,
}

pub struct House {
    pub assignment: Assignment,
    pub contents: BTreeMap<String, Vec<u8>>,
    pub seen: Mutex<Seen>,
    pub changed: Condvar,
    pub url: String,
    pub ca_pem: String,
}

/// A CA and a TLS acceptor for `localhost` and `127.0.0.1`.
pub fn tls() -> (String, TlsAcceptor) {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    // Not the leaf's own default name: a leaf named like its issuer looks self-signed to OpenSSL.
    params.distinguished_name.push(rcgen::DnType::CommonName, "test authority");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec![String::from("localhost"), String::from("127.0.0.1")])
        .unwrap()
        .signed_by(&key, &ca)
        .unwrap();
    let key = PrivateKeyDer::from(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], key)
        .unwrap();
    (ca.pem(), TlsAcceptor::from(Arc::new(config)))
}

impl House {
    /// Opens a house with one assignment.
    pub async fn open(assignment: Assignment, contents: BTreeMap<String, Vec<u8>>) -> Arc<Self> {
        let (ca_pem, acceptor) = tls();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let house =
            Arc::new(Self { assignment, contents, seen: Mutex::default(), changed: Condvar::new(), url, ca_pem });
        let serving = Arc::clone(&house);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (house, acceptor) = (Arc::clone(&serving), acceptor.clone());
                tokio::spawn(async move {
                    let Ok(stream) = acceptor.accept(stream).await else { return };
                    let service = service_fn(move |request| {
                        let house = Arc::clone(&house);
                        async move { Ok::<_, Infallible>(house.answer(request).await) }
                    });
                    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
                });
            }
        });
        house
    }

    /// Waits for something to be seen.
    pub fn until<T>(&self, most: Duration, mut what: impl FnMut(&mut Seen) -> Option<T>) -> T {
        let begun = std::time::Instant::now();
        let mut seen = self.seen.lock().unwrap();
        loop {
            if let Some(found) = what(&mut seen) {
                return found;
            }
            assert!(
                begun.elapsed() < most && seen.finish.is_none(),
                "waited in vain; finish {:?}, statuses {:?}, logs {:?}",
                seen.finish,
                seen.statuses,
                seen.log()
            );
            seen = self.changed.wait_timeout(seen, Duration::from_millis(200)).unwrap().0;
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let body = body.collect().await.map(|body| body.to_bytes().to_vec()).unwrap_or_default();
        let path = head.uri.path().to_owned();
        let bearer = head.headers.get(header::AUTHORIZATION).and_then(|v| v.to_str().ok()).map(str::to_owned);
        let Some(call) = path.strip_prefix("/agent/v1/runs/run-1/") else {
            let mut seen = self.seen.lock().unwrap();
            seen.proxied.push((head.method.to_string(), head.uri.to_string(), bearer, body));
            return reply(StatusCode::OK, "{\"ok\":true}");
        };
        let expected = if call == "start" { BOOTSTRAP } else { RUN_TOKEN };
        if bearer.as_deref() != Some(&format!("Bearer {expected}")) {
            return reply(StatusCode::UNAUTHORIZED, "{}");
        }
        let answered = self.call(&head.method, call, head.uri.query(), body).await;
        self.changed.notify_all();
        answered
    }

    async fn call(&self, method: &Method, call: &str, query: Option<&str>, body: Vec<u8>) -> Response<Full<Bytes>> {
        let (word, rest) = call.split_once('/').unwrap_or((call, ""));
        match (method.as_str(), word) {
            ("POST", "start") => {
                self.seen.lock().unwrap().start = Some(serde_json::from_slice(&body).unwrap());
                reply(StatusCode::OK, &serde_json::to_string(&self.assignment).unwrap())
            }
            ("POST", "status") => {
                self.seen.lock().unwrap().statuses.push(serde_json::from_slice(&body).unwrap());
                reply(StatusCode::NO_CONTENT, "")
            }
            ("POST", "heartbeat") => {
                let beat: Heartbeat = serde_json::from_slice(&body).unwrap();
                for _ in 0..beat.wait_seconds * 20 {
                    if self.seen.lock().unwrap().cancel {
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                let cancel = self.seen.lock().unwrap().cancel;
                let orders = Orders { cancel, ..Orders::default() };
                reply(StatusCode::OK, &serde_json::to_string(&orders).unwrap())
            }
            ("POST", "logs") => {
                let offset: usize = query.unwrap().strip_prefix("offset=").unwrap().parse().unwrap();
                let mut seen = self.seen.lock().unwrap();
                if seen.broken_logs > 0 {
                    seen.broken_logs -= 1;
                    return reply(StatusCode::SERVICE_UNAVAILABLE, "");
                }
                let log = seen.logs.entry(rest.to_owned()).or_default();
                assert_eq!(log.len(), offset, "the log has a hole");
                log.extend_from_slice(&body);
                reply(StatusCode::NO_CONTENT, "")
            }
            ("PUT", "artifacts") => {
                self.seen.lock().unwrap().artifacts.insert(rest.to_owned(), body);
                reply(StatusCode::NO_CONTENT, "")
            }
            ("POST", "finish") => {
                self.seen.lock().unwrap().finish = Some(serde_json::from_slice(&body).unwrap());
                reply(StatusCode::NO_CONTENT, "")
            }
            ("GET", "files" | "layers") => match self.contents.get(rest) {
                Some(bytes) => Response::new(Full::new(Bytes::from(bytes.clone()))),
                None => reply(StatusCode::NOT_FOUND, "{}"),
            },
            _ => reply(StatusCode::NOT_FOUND, "{}"),
        }
    }
}

impl Seen {
    /// The program's output.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(self.logs.get("user_logs/std_log.txt").map_or(&[][..], Vec::as_slice)).into_owned()
    }
}

fn reply(status: StatusCode, text: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text.to_owned())));
    *response.status_mut() = status;
    response
}
