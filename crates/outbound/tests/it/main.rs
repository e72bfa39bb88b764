//! The clients against a real TLS server on this machine.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod line;
mod server;
mod web;

use std::time::Duration;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use kernel::Secret;
use outbound::{Client, Error, StatusCode, Timeouts};
use serde_json::{Value, json};

use server::Server;

fn client(server: &Server) -> Client {
    Client::to_server(&server.url, server.ca.as_bytes(), Timeouts::default()).unwrap()
}

#[tokio::test]
async fn json_goes_there_and_back_on_one_connection() {
    let server = Server::start().await;
    let client = client(&server);
    for round in 0..3 {
        let seen: Value = client
            .post("/echo?a=1")
            .query(&[("b", "x y&z")])
            .bearer(&Secret::new(String::from("t0ken")))
            .header("x-ms-version", "1")
            .json(&json!({ "round": round }))
            .send_for_json()
            .await
            .unwrap();
        assert_eq!(seen["method"], "POST");
        assert_eq!(seen["place"], "/echo?a=1&b=x+y%26z");
        assert_eq!(seen["headers"]["authorization"], "Bearer t0ken");
        assert_eq!(seen["headers"]["content-type"], "application/json");
        assert_eq!(seen["headers"]["x-ms-version"], "1");
        assert_eq!(seen["body"], format!("{{\"round\":{round}}}"));
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_form_is_escaped() {
    let server = Server::start().await;
    let call = client(&server).post("/echo?kept=1").form(&[("secret", "a&b=c d+é"), ("scope", "x/.default")]);
    let seen: Value = call.send_for_json().await.unwrap();
    assert_eq!(seen["place"], "/echo?kept=1");
    assert_eq!(seen["headers"]["content-type"], "application/x-www-form-urlencoded");
    assert_eq!(seen["body"], "secret=a%26b%3Dc+d%2B%C3%A9&scope=x%2F.default");
}

#[tokio::test]
async fn bodies_stream_both_ways() {
    let server = Server::start().await;
    let client = client(&server);
    let pieces = || stream::iter((0..64).map(|_| Ok(Bytes::from(vec![7; 65_536]))));
    for length in [Some(64 * 65_536), None] {
        let call = client.put("/length").stream("application/octet-stream", length, pieces());
        assert_eq!(call.send_for_json::<u64>().await.unwrap(), 64 * 65_536);
    }
    let answer = client.get("/zeros/10000000").without_deadline().send().await.unwrap().success().await.unwrap();
    assert_eq!(answer.length(), Some(10_000_000));
    let read = answer.stream().try_fold(0, async |sum, piece| Ok(sum + piece.len())).await.unwrap();
    assert_eq!(read, 10_000_000);
    // A stream that breaks off does not look like a whole one.
    let broken = pieces().chain(stream::iter([Err(std::io::Error::other("lost"))]));
    assert!(client.put("/length").stream("application/octet-stream", None, broken).send().await.is_err());
}

#[tokio::test]
async fn only_the_given_ca_is_trusted() {
    let (server, other) = (Server::start().await, Server::start().await);
    let client = Client::to_server(&server.url, other.ca.as_bytes(), Timeouts::default()).unwrap();
    let refused = client.get("/echo").send().await;
    assert!(matches!(refused, Err(Error::Untrusted { .. })), "{refused:?}");
    // Several certificates may be given, as while a CA is being replaced.
    let both = [other.ca.as_str(), server.ca.as_str()].concat();
    let client = Client::to_server(&server.url, both.as_bytes(), Timeouts::default()).unwrap();
    assert!(client.get("/echo").send().await.is_ok());
}

#[tokio::test]
async fn a_certificate_for_another_name_is_refused() {
    let server = Server::start().await;
    let url = server.url.replace("localhost", "127.0.0.1");
    let client = Client::to_server(&url, server.ca.as_bytes(), Timeouts::default()).unwrap();
    assert!(matches!(client.get("/echo").send().await, Err(Error::Untrusted { .. })));
}

#[test]
fn what_is_not_a_server_or_a_ca_is_refused() {
    for bad in [
        "",
        "localhost:8443",
        "http://localhost:8443",
        "https://",
        "https://localhost/path",
        "https://u:p@localhost",
        "https://localhost/?q",
    ] {
        let refused = Client::to_server(bad, b"", Timeouts::default());
        assert!(matches!(refused, Err(Error::Address { .. })), "{bad}: {refused:?}");
    }
    let empty = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    for bad in ["", "no certificate", empty] {
        let refused = Client::to_server("https://localhost", bad.as_bytes(), Timeouts::default());
        assert!(matches!(refused, Err(Error::Ca { .. })), "{bad}: {refused:?}");
    }
}

#[tokio::test]
async fn no_other_host_is_called() {
    let server = Server::start().await;
    let client = client(&server);
    let http = server.url.replace("https", "http");
    for place in ["https://example.test/x", "//example.test/x", &http, "file:///etc/passwd"] {
        let refused = client.get(place).send().await;
        assert!(matches!(refused, Err(Error::Elsewhere { .. })), "{place}: {refused:?}");
    }
    let next = format!("{}/echo?page=2", client.base());
    assert_eq!(client.get(&next).send_for_json::<Value>().await.unwrap()["place"], "/echo?page=2");
    // A redirect is an answer like another, for the caller to judge.
    let answer = client.get("/redirect").send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::FOUND);
    assert_eq!(answer.header("location"), Some("https://example.test/"));
    assert!(matches!(answer.success().await, Err(Error::Answered { status: 302, .. })));
}

#[tokio::test]
async fn an_absent_server_is_named() {
    let server = Server::start().await;
    let (url, ca) = (server.url.clone(), server.ca.clone());
    drop(server);
    let client = Client::to_server(&url, ca.as_bytes(), Timeouts::default()).unwrap();
    let refused = client.get("/echo?sig=secret").send().await.unwrap_err();
    assert!(matches!(refused, Error::Unreachable { .. }), "{refused:?}");
    assert_eq!(refused.to_string(), format!("cannot reach `{url}`; is the server running there?"));
    assert!(!format!("{refused:?}").contains("secret"), "{refused:?}");
}

#[tokio::test]
async fn a_silent_server_is_given_up() {
    let server = Server::start().await;
    let timeouts = Timeouts { total: Duration::from_millis(100), ..Timeouts::default() };
    let client = Client::to_server(&server.url, server.ca.as_bytes(), timeouts).unwrap();
    assert!(matches!(client.get("/silent").send().await, Err(Error::TimedOut { .. })));
    // Without a deadline the headers may take their time; the pieces of the body may not.
    let answer = client.get("/stalls").without_deadline().send().await.unwrap();
    let pieces: Vec<_> = answer.stream().collect().await;
    assert!(matches!(pieces.as_slice(), [Ok(_), Err(Error::TimedOut { .. })]), "{pieces:?}");
}

#[tokio::test]
async fn answers_are_bounded_and_understood() {
    let server = Server::start().await;
    let client = client(&server);
    for place in ["/zeros/1001", "/chunked-zeros/1001"] {
        let answer = client.get(place).send().await.unwrap();
        assert!(matches!(answer.bytes(1000).await, Err(Error::TooLarge { most: 1000, .. })), "{place}");
    }
    for place in ["/zeros/1000", "/chunked-zeros/1000"] {
        assert_eq!(client.get(place).send().await.unwrap().bytes(1000).await.unwrap().len(), 1000, "{place}");
    }
    let endless = client.get("/chunked-zeros/100000000").send_for_json::<Value>().await;
    assert!(matches!(endless, Err(Error::TooLarge { .. })), "{endless:?}");
    let malformed = client.get("/zeros/10").send_for_json::<Value>().await;
    assert!(matches!(malformed, Err(Error::Malformed { .. })), "{malformed:?}");
}

#[tokio::test]
async fn a_refusal_says_what_the_server_said() {
    let server = Server::start().await;
    let client = client(&server);
    let said = [
        (json!({ "error": { "code": "NotFound", "message": "no such\u{1b}[2J thing" } }), ": no such[2J thing"),
        (json!({ "error": "invalid_client", "error_description": "wrong secret" }), ": wrong secret"),
        (json!({ "error_code": "X", "message": "no run" }), ": no run"),
        (json!({ "errors": [{ "code": "DENIED", "message": "denied" }] }), ": denied"),
        (json!({ "error": "invalid_grant" }), ": invalid_grant"),
        (json!([]), ""),
    ];
    for (body, due) in said {
        let refused = client.post("/refuse").json(&body).send_for_json::<Value>().await.unwrap_err();
        assert_eq!(refused.to_string(), format!("the server answered 404{due}"));
        assert!(matches!(refused, Error::Answered { status: 404, body: kept } if kept == body.to_string()));
    }
}

#[tokio::test]
async fn what_cannot_be_sent_is_said_when_it_is_sent() {
    let server = Server::start().await;
    let client = client(&server);
    let token = Secret::new(String::from("secret\ntoken"));
    let refused = client.get("/echo").bearer(&token).header("x-fine", "y").send().await.unwrap_err();
    assert!(matches!(&refused, Error::Header { name } if name == "authorization"), "{refused:?}");
    assert!(matches!(client.get("/echo").header("x y", "z").send().await, Err(Error::Header { .. })));
    let call = client.get("/echo").bearer(&Secret::new(String::from("t0ken")));
    assert!(!format!("{call:?}").contains("t0ken"));
}
