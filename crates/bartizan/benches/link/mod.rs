//! A client that costs as little as it can: HTTP/1.1 over one TLS connection, requests made beforehand.

#![allow(dead_code, reason = "each benchmark uses a part of it")]

use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::{TlsConnector, client::TlsStream};

/// A connection.
pub type Link = TlsStream<TcpStream>;

/// Trusts one authority.
pub fn connector(ca_pem: &[u8]) -> TlsConnector {
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(ca_pem) {
        roots.add(certificate.unwrap()).unwrap();
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    TlsConnector::from(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

/// Connects to a port of this machine.
pub async fn connect(connector: &TlsConnector, port: u16) -> Link {
    let stream = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
    stream.set_nodelay(true).unwrap();
    connector.connect(ServerName::try_from("localhost").unwrap(), stream).await.unwrap()
}

/// Sends a request and reads its answer into the buffer as far as it fits; the answer's length in bytes.
pub async fn ask(link: &mut Link, request: &[u8], buffer: &mut [u8]) -> usize {
    link.write_all(request).await.unwrap();
    hear(link, buffer).await
}

/// Reads one answer. What does not fit into the buffer is read and dropped.
pub async fn hear(link: &mut Link, buffer: &mut [u8]) -> usize {
    let (mut filled, mut end) = (0, None);
    while end.is_none() {
        let read = link.read(&mut buffer[filled..]).await.unwrap();
        assert!(read > 0, "the connection ended");
        filled += read;
        end = buffer[..filled].windows(4).position(|four| four == b"\r\n\r\n");
    }
    let end = end.unwrap();
    let head = std::str::from_utf8(&buffer[..end]).unwrap().to_ascii_lowercase();
    assert!(head.starts_with("http/1.1 20"), "{head}");
    let length = head.split("content-length: ").nth(1).map_or("0", |rest| rest.split("\r\n").next().unwrap());
    assert!(!head.contains("transfer-encoding"), "{head}");
    let due = end + 4 + length.parse::<usize>().unwrap();
    let mut total = filled;
    while total < due {
        let from = if total < buffer.len() { total } else { end + 4 };
        let read = link.read(&mut buffer[from..]).await.unwrap();
        assert!(read > 0, "the connection ended");
        total += read;
    }
    total
}
