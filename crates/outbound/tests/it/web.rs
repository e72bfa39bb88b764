//! The web client against a real TLS server on this machine.

use std::time::Duration;

use kernel::{Secret, Web, WebError};
use outbound::{Reach, Timeouts, WebClient};
use serde_json::Value;

use crate::server::Server;

fn client(server: &Server, ca: &str, timeouts: Timeouts) -> WebClient {
    let hosts = vec![server.url.parse().unwrap()];
    WebClient::new(Reach { hosts, ca_pem: ca.as_bytes().to_vec(), ..Reach::default() }, timeouts).unwrap()
}

#[tokio::test]
async fn a_document_and_a_form_come_through() {
    let server = Server::start().await;
    let client = client(&server, &server.ca, WebClient::PATIENCE);
    let answer = client.get(&format!("{}/echo?a=1", server.url), 4096).await.unwrap();
    let seen: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!((answer.status, &seen["place"], &seen["method"]), (200, &"/echo?a=1".into(), &"GET".into()));

    let fields = [("grant_type", "authorization_code"), ("code", "a&b=c d+\u{e9}")];
    let password = Secret::new(String::from("p4ss"));
    let place = format!("{}/echo", server.url);
    let answer = client.post_form(&place, &fields, Some(("name", &password)), 4096).await.unwrap();
    let seen: Value = serde_json::from_slice(&answer.body).unwrap();
    assert_eq!(seen["body"], "grant_type=authorization_code&code=a%26b%3Dc+d%2B%C3%A9");
    assert_eq!(seen["headers"]["authorization"], "Basic bmFtZTpwNHNz");
    assert_eq!(seen["headers"]["content-type"], "application/x-www-form-urlencoded");
}

#[tokio::test]
async fn a_redirect_is_an_answer_and_not_followed() {
    let server = Server::start().await;
    let client = client(&server, &server.ca, WebClient::PATIENCE);
    assert_eq!(client.get(&format!("{}/redirect", server.url), 4096).await.unwrap().status, 302);
}

#[tokio::test]
async fn a_long_answer_and_a_slow_one_are_given_up() {
    let server = Server::start().await;
    let soon = Duration::from_millis(300);
    let client = client(&server, &server.ca, Timeouts { connect: Duration::from_secs(5), total: soon });
    for place in ["/zeros/5000", "/chunks/5000"] {
        let refused = client.get(&format!("{}{place}", server.url), 4096).await;
        assert!(matches!(refused, Err(WebError::TooLarge { .. })), "{place}: {refused:?}");
    }
    for place in ["/silent", "/stalls"] {
        let refused = client.get(&format!("{}{place}", server.url), 4096).await;
        assert!(matches!(refused, Err(WebError::Unreachable { .. })), "{place}: {refused:?}");
    }
}

#[tokio::test]
async fn a_host_has_to_prove_itself() {
    let (server, other) = (Server::start().await, Server::start().await);
    for ca in ["", &other.ca] {
        let client = client(&server, ca, WebClient::PATIENCE);
        let refused = client.get(&format!("{}/echo", server.url), 4096).await.unwrap_err();
        assert!(refused.to_string().contains("did not prove"), "{refused}");
    }
    assert!(
        WebClient::new(Reach { ca_pem: b"no certificate".to_vec(), ..Reach::default() }, WebClient::PATIENCE).is_err()
    );
}

#[tokio::test]
async fn a_server_that_nobody_named_is_not_even_connected_to() {
    let (server, other) = (Server::start().await, Server::start().await);
    let client = client(&other, &server.ca, WebClient::PATIENCE);
    let by_address = server.url.replace("localhost", "127.0.0.1");
    for place in [&server.url, &by_address] {
        let refused = client.get(&format!("{place}/echo"), 4096).await;
        assert!(matches!(refused, Err(WebError::Refused(_))), "{refused:?}");
    }
    assert_eq!(server.connections(), 0);
}

#[tokio::test]
async fn a_trial_on_this_machine_may_do_without_tls_where_it_was_named_so() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://localhost:{}", listener.local_addr().unwrap().port());
    let served = tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.unwrap();
        let _ = socket.read(&mut [0; 4096]).await.unwrap();
        socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await.unwrap();
    });
    let hosts = vec![url.parse().unwrap()];
    let client = WebClient::new(Reach { hosts, ..Reach::default() }, WebClient::PATIENCE).unwrap();
    assert_eq!(client.get(&format!("{url}/x"), 4096).await.unwrap().body, "{}");
    served.await.unwrap();
    let secure = url.replace("http://", "https://");
    assert!(matches!(client.get(&secure, 4096).await, Err(WebError::Refused(_))));
}
