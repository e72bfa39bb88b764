//! Bytes over a connection of their own, for receivers that are no web servers (syslog).

use std::{net::SocketAddr, sync::Arc};

use bytes::Bytes;
use kernel::WebError;
use reqwest::Url;
use rustls::pki_types::ServerName;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

use crate::{WebClient, reach::Host};

/// The other end of `tls://host:port` or `tcp://host:port`; none when it is neither.
pub(crate) fn parse(place: &str) -> Option<Host> {
    let url = Url::parse(place).ok()?;
    let is_bare = matches!(url.path(), "" | "/") && url.query().is_none() && url.fragment().is_none();
    Host::of_line(&url).filter(|_| is_bare)
}

impl WebClient {
    /// Connects, sends all of it, says that this was all, and waits until the other end has closed too: a receiver that
    /// died before it read everything resets the connection instead.
    pub(crate) async fn pour_out(&self, place: &str, bytes: Bytes) -> Result<(), WebError> {
        let no_address = || WebError::Refused(String::from("give an address like `tls://logs.example.org:6514`"));
        let host = self.named(parse(place).ok_or_else(no_address)?)?;
        let away = |why: &str| WebError::Unreachable { host: host.to_string(), why: why.to_owned() };
        let exchange = async {
            let addresses = self.look_up(&host).await?;
            let connection = self.connect(&host, &addresses).await.map_err(|why| away(&why))?;
            if !host.is_secure() {
                return send(connection, &bytes).await.map_err(|_| away("the connection broke off"));
            }
            let name = ServerName::try_from(host.name().to_owned()).map_err(|_| away("that is no name of a host"))?;
            let config = self.trusted().await.map_err(|_| away("TLS cannot be set up"))?;
            let mut config = config.clone();
            config.alpn_protocols.clear();
            let connector = TlsConnector::from(Arc::new(config));
            let secured = connector.connect(name, connection).await;
            let secured = secured.map_err(|_| away("it did not prove to be that host"))?;
            send(secured, &bytes).await.map_err(|_| away("the connection broke off"))
        };
        tokio::time::timeout(self.timeouts.total, exchange).await.map_err(|_| away("it took too long"))?
    }

    async fn connect(&self, host: &Host, addresses: &[SocketAddr]) -> Result<TcpStream, String> {
        let connecting = tokio::time::timeout(self.timeouts.connect, TcpStream::connect(addresses)).await;
        let connection = connecting.map_err(|_| String::from("it took too long"))?;
        connection.map_err(|_| format!("nobody listens on port {}", host.port()))
    }
}

async fn send(mut connection: impl AsyncRead + AsyncWrite + Unpin, bytes: &[u8]) -> std::io::Result<()> {
    connection.write_all(bytes).await?;
    connection.flush().await?;
    connection.shutdown().await?;
    // Receivers of syslog say nothing; whatever comes is not kept.
    let mut heard = [0; 512];
    loop {
        match connection.read(&mut heard).await {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            // Many close without TLS's own farewell; everything was sent and taken by then.
            Err(fault) if fault.kind() == std::io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(fault) => return Err(fault),
        }
    }
}
