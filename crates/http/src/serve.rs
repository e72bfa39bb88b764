//! The listener: our own accept loop, for bounds that must hold before a request exists (handshake and header deadlines,
//! connections at once, the peer's address).

use std::{
    convert::Infallible,
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use hyper::{Request, body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::{conn::auto::Builder, graceful::GracefulShutdown},
};
use kernel::Limits;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use crate::{
    App, Doors,
    crowd::Crowd,
    front::Front,
    large_reads::{self, Filled},
    porch::{self, Hosts, Peer},
    unread,
};

/// A server's TLS configuration: its chain and key in PEM.
pub struct Tls(TlsAcceptor);

impl Tls {
    /// Reads chain and key. TLS 1.2 and 1.3, HTTP/2 and HTTP/1.1 by ALPN.
    ///
    /// # Errors
    /// A sentence for the operator when the PEM is unusable.
    pub fn from_pem(chain_pem: &str, key_pem: &str) -> Result<Self, String> {
        use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
        let unusable = |why: String| format!("the server's certificate is unusable: {why}");
        let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain_pem.as_bytes()).collect();
        let chain = chain.map_err(|why| unusable(why.to_string()))?;
        let key = PrivateKeyDer::from_pem_slice(key_pem.as_bytes()).map_err(|why| unusable(why.to_string()))?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = rustls::ServerConfig::builder_with_provider(provider)
            .with_protocol_versions(&[&rustls::version::TLS13, &rustls::version::TLS12])
            .map_err(|why| unusable(why.to_string()))?
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .map_err(|why| unusable(why.to_string()))?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }
}

/// A bound port with its routes.
pub struct Listener {
    socket: TcpListener,
    tls: TlsAcceptor,
    front: Front,
    limits: Arc<Limits>,
}

/// Connections of one network at once, as a share of all: one host cannot take every place.
const SHARE_OF_ONE_NETWORK: usize = 8;

impl Listener {
    /// Prepares to serve the doors on a bound socket. `names` are the host names it answers to, beside those that end in
    /// `.suffix`.
    pub fn new(socket: TcpListener, tls: Tls, app: App, doors: Doors, names: &[String], suffix: &str) -> Self {
        let limits = Arc::clone(&app.limits);
        let hosts = Arc::new(Hosts::new(names, suffix));
        let router = porch::wrap(doors.into_router().with_state(app), hosts, Arc::clone(&limits));
        Self { socket, tls: tls.0, front: Front::new(router, suffix), limits }
    }

    /// Where it listens.
    pub fn address(&self) -> std::io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// Serves until `stop` turns true, then lets requests in flight finish for at most ten seconds.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let places = Arc::new(Semaphore::new(self.limits.connections));
        let crowd = Crowd::new(self.limits.connections / SHARE_OF_ONE_NETWORK);
        let graceful = GracefulShutdown::new();
        loop {
            let accepted = tokio::select! {
                accepted = self.socket.accept() => accepted,
                _ = stop.wait_for(|stopped| *stopped) => break,
            };
            let (stream, peer) = match accepted {
                Ok(accepted) => accepted,
                Err(fault) => {
                    tracing::warn!(%fault, "a connection could not be accepted");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            };
            // Beyond the bound the connection is closed at once: shedding is cheaper than queueing.
            let Ok(place) = Arc::clone(&places).try_acquire_owned() else { continue };
            let Some(seat) = crowd.enter(network(peer.ip())) else { continue };
            let watcher = graceful.watcher();
            let connection =
                Connection { tls: self.tls.clone(), front: self.front.clone(), limits: Arc::clone(&self.limits) };
            tokio::spawn(async move {
                connection.serve(stream, peer, watcher).await;
                drop((place, seat));
            });
        }
        let _ = timeout(Duration::from_secs(10), graceful.shutdown()).await;
    }
}

struct Connection {
    tls: TlsAcceptor,
    front: Front,
    limits: Arc<Limits>,
}

impl Connection {
    async fn serve(self, stream: TcpStream, peer: SocketAddr, watcher: hyper_util::server::graceful::Watcher) {
        let _ = stream.set_nodelay(true);
        let own = stream.local_addr().ok();
        let address = peer.ip();
        let is_here = address.to_canonical().is_loopback()
            || own.is_some_and(|own| own.ip().to_canonical() == address.to_canonical());
        let peer = Peer { address, is_here };
        let accepted = timeout(self.limits.slow_client, self.tls.accept(large_reads::ahead(stream))).await;
        let Ok(Ok(mut stream)) = accepted else { return };
        // Of an answer that is large, this much is encrypted for one call of the system.
        stream.get_mut().1.set_buffer_limit(Some(large_reads::SOCKET));
        let mut builder = Builder::new(TokioExecutor::new());
        builder.http1().timer(TokioTimer::new()).header_read_timeout(self.limits.slow_client).max_buf_size(64 * 1024);
        builder
            .http2()
            .timer(TokioTimer::new())
            .max_concurrent_streams(128)
            .max_header_list_size(64 * 1024)
            .keep_alive_interval(self.limits.slow_client)
            .keep_alive_timeout(self.limits.slow_client);
        let front = self.front;
        let has_asked = Arc::new(AtomicBool::new(false));
        let asks = Arc::clone(&has_asked);
        let service = service_fn(move |request: Request<Incoming>| {
            asks.store(true, Ordering::Relaxed);
            let front = front.clone();
            async move { Ok::<_, Infallible>(unread::answer(request, |request| front.answer(request, peer, 0)).await) }
        });
        let connection = builder.serve_connection(TokioIo::new(Filled::new(stream)), service).into_owned();
        // The deadlines of the two protocols begin when it is known which of them is spoken.
        let silence = async {
            tokio::time::sleep(self.limits.slow_client).await;
            if has_asked.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            ended = watcher.watch(connection) => {
                if let Err(fault) = ended {
                    tracing::debug!(fault, "a connection ended early");
                }
            }
            () = silence => tracing::debug!("a connection brought no request in time"),
        }
    }
}

/// What one host has of a family's addresses: one of the fourth version, and 64 bits' worth of the sixth.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
        v4 => v4,
    }
}

/// Goes on with what a request began, after it was answered.
pub(crate) fn go_on(work: impl Future<Output = ()> + Send + 'static) {
    tokio::spawn(work);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_one_network_however_many_addresses_it_draws() {
        let same = |a: &str, b: &str| network(a.parse().unwrap()) == network(b.parse().unwrap());
        assert!(
            same("2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff") && !same("2001:db8:0:1::1", "2001:db8:0:2::1")
        );
        assert!(same("192.0.2.1", "::ffff:192.0.2.1") && !same("192.0.2.1", "192.0.2.2"));
        assert!(!same("::ffff:192.0.2.1", "::ffff:192.0.2.2"));
    }
}
