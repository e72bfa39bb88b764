//! A small HTTPS server with a CA of its own.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use futures::{StreamExt, stream, stream::BoxStream};
use http_body_util::{BodyExt, StreamBody};
use hyper::{
    Request, Response,
    body::{Frame, Incoming},
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::json;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{ServerConfig, crypto::aws_lc_rs, pki_types::PrivateKeyDer},
};

type Body = StreamBody<BoxStream<'static, Result<Frame<Bytes>, Infallible>>>;

/// A running server; dropping it closes its port.
pub struct Server {
    pub url: String,
    pub ca: String,
    connections: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub async fn start() -> Self {
        let (ca, tls) = tls();
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let connections = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&connections);
        let task = tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                counted.fetch_add(1, Ordering::SeqCst);
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    // A client that does not trust us goes away.
                    let Ok(socket) = acceptor.accept(socket).await else { return };
                    let service = service_fn(async |request| Ok::<_, Infallible>(answer(request).await));
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(socket), service)
                        .await;
                });
            }
        });
        Self { url, ca, connections, task }
    }

    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }
}

pub fn tls() -> (String, ServerConfig) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let ca = params.self_signed(&key).unwrap();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new([String::from("localhost")]).unwrap().signed_by(&key, &issuer).unwrap();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    (ca.pem(), config)
}

async fn answer(request: Request<Incoming>) -> Response<Body> {
    let (head, body) = request.into_parts();
    let count = || head.uri.path().rsplit('/').next().unwrap().parse::<usize>().unwrap();
    match head.uri.path() {
        "/echo" => {
            let headers: BTreeMap<String, String> =
                head.headers.iter().map(|(name, it)| (name.to_string(), it.to_str().unwrap().to_owned())).collect();
            let body = String::from_utf8(body.collect().await.unwrap().to_bytes().to_vec()).unwrap();
            let method = head.method.to_string();
            let seen = json!({ "method": method, "place": head.uri.to_string(), "headers": headers, "body": body });
            whole(200, seen.to_string())
        }
        "/length" => {
            let length = body.into_data_stream().fold(0, async |sum, piece| sum + piece.map_or(0, |it| it.len())).await;
            whole(200, length.to_string())
        }
        "/redirect" => {
            let mut answer = whole(302, "");
            answer.headers_mut().insert("location", "https://example.test/".parse().unwrap());
            answer
        }
        "/refuse" => whole(404, body.collect().await.unwrap().to_bytes()),
        "/silent" => std::future::pending().await,
        "/stalls" => Response::new(StreamBody::new(pieces([Bytes::from("x")]).chain(stream::pending()).boxed())),
        place if place.starts_with("/zeros/") => whole(200, vec![0; count()]),
        _ => {
            let size = (count() / 1000).max(100);
            let chunks = vec![Bytes::from(vec![0; size]); count() / size];
            let rest = Bytes::from(vec![0; count() % size]);
            Response::new(StreamBody::new(pieces(chunks).chain(pieces([rest])).boxed()))
        }
    }
}

fn pieces(
    pieces: impl IntoIterator<Item = Bytes, IntoIter: Send + 'static>,
) -> BoxStream<'static, Result<Frame<Bytes>, Infallible>> {
    stream::iter(pieces.into_iter().map(|piece| Ok(Frame::data(piece)))).boxed()
}

fn whole(status: u16, body: impl Into<Bytes>) -> Response<Body> {
    let body = body.into();
    let builder = Response::builder().status(status).header("content-length", body.len());
    builder.body(StreamBody::new(pieces([body]))).unwrap()
}
