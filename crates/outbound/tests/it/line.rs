//! Bytes over connections of their own, and requests with bodies, to real receivers on this machine.

use std::sync::Arc;

use bytes::Bytes;
use kernel::{Web, WebError, WebMethod, WebRequest};
use outbound::{Reach, WebClient};
use serde_json::Value;
use tokio::{io::AsyncReadExt, net::TcpListener};
use tokio_rustls::TlsAcceptor;

use crate::server::{Server, tls};

fn client(host: &str, ca: &str) -> WebClient {
    let reach = Reach { hosts: vec![host.parse().unwrap()], ca_pem: ca.as_bytes().to_vec(), ..Reach::default() };
    WebClient::new(reach, WebClient::PATIENCE).unwrap()
}

#[tokio::test]
async fn bytes_arrive_whole_over_tls_and_only_at_a_host_that_proves_itself() {
    let ((ca, config), (other, _)) = (tls(), tls());
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let place = format!("tls://localhost:{}", listener.local_addr().unwrap().port());
    let served = tokio::spawn(async move {
        let mut seen = Vec::new();
        for _ in 0..2 {
            let (socket, _) = listener.accept().await.unwrap();
            if let Ok(mut socket) = acceptor.accept(socket).await {
                socket.read_to_end(&mut seen).await.unwrap();
            }
        }
        seen
    });
    let refused = client(&place, &other).pour(&place, Bytes::from_static(b"no")).await.unwrap_err();
    assert!(refused.to_string().contains("did not prove"), "{refused}");
    let message = Bytes::from("x".repeat(300_000));
    client(&place, &ca).pour(&place, message.clone()).await.unwrap();
    assert_eq!(served.await.unwrap(), message);
}

#[tokio::test]
async fn what_nobody_named_or_is_no_line_is_not_even_connected_to() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let client = client("tcp://localhost:1", "");
    for place in [
        format!("tcp://localhost:{port}"),
        format!("tcp://127.0.0.1:{port}"),
        String::from("tls://localhost:1"),
        String::from("https://localhost:1"),
        String::from("tcp://localhost:1/path"),
        String::from("tcp://user:word@localhost:1"),
        String::from("nonsense"),
    ] {
        let refused = client.pour(&place, Bytes::new()).await;
        assert!(matches!(refused, Err(WebError::Refused(_))), "{place}: {refused:?}");
        assert!(client.permits(&place).is_err(), "{place}");
    }
    assert!(client.permits("tcp://localhost:1").is_ok());
    let away = client.pour("tcp://localhost:1", Bytes::new()).await;
    assert!(matches!(away, Err(WebError::Unreachable { .. })), "{away:?}");
}

#[tokio::test]
async fn a_request_carries_its_body_and_headers_and_its_answer_has_headers() {
    let server = Server::start().await;
    let client = client(&server.url, &server.ca);
    let url = format!("{}/echo", server.url);
    let headers = [("content-type", "application/cloudevents+json"), ("webhook-id", "7")];
    let request = WebRequest {
        method: WebMethod::Post,
        url: &url,
        headers: &headers,
        body: Bytes::from_static(b"{}"),
        most: 4096,
    };
    let reply = client.send(request.clone()).await.unwrap();
    let seen: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!((reply.status, &seen["method"], &seen["body"]), (200, &"POST".into(), &"{}".into()));
    assert_eq!(seen["headers"]["webhook-id"], "7");
    assert!(reply.headers.contains_key("date"), "{:?}", reply.headers);
    let asked = client.send(WebRequest { method: WebMethod::Options, ..request.clone() }).await.unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&asked.body).unwrap()["method"], "OPTIONS");
    let bad = [("a header", "x")];
    let refused = client.send(WebRequest { headers: &bad, ..request }).await;
    assert!(matches!(refused, Err(WebError::Refused(_))), "{refused:?}");
}
