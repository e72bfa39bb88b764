//! Connections that hold a place and ask nothing.

use std::{sync::Arc, time::Duration};

use axum::body::Body;
use http::{Request, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use kernel::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{client::Served, stand::Stand};

/// All that a client may say of HTTP/2 without asking anything: the preface and its settings.
const GREETING: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";

#[tokio::test(flavor = "multi_thread")]
async fn whoever_connects_and_asks_nothing_is_shown_out() {
    let stand = Stand::new().await;
    let limits = Limits { slow_client: Duration::from_millis(300), ..Limits::default() };
    let served = Served::within(Arc::clone(&stand.house), limits).await;
    // Whoever has asked something stays beside them.
    let guest = TokioIo::new(served.connect("h2").await);
    let (mut guest, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), guest).await.unwrap();
    tokio::spawn(connection);
    let health = || Request::get("https://localhost/nothing").body(Body::empty()).unwrap();
    assert_eq!(guest.send_request(health()).await.unwrap().status(), StatusCode::NOT_FOUND);

    let words: [&[u8]; 5] = [b"", b"P", b"PRI * HTTP/2", GREETING, b"GET / HTTP/1.1\r\nHost: localh"];
    let served = &served;
    let silent = ["", "http/1.1", "h2"].into_iter().flat_map(|protocol| words.map(|said| (protocol, said)));
    let shown_out = silent.map(async |(protocol, said)| {
        let mut silent = served.connect(protocol).await;
        silent.write_all(said).await.unwrap();
        // With a farewell or without one: what counts is that it ends.
        let mut told = Vec::new();
        let ended = tokio::time::timeout(Duration::from_secs(10), silent.read_to_end(&mut told)).await;
        assert!(ended.is_ok(), "{protocol}: {}", String::from_utf8_lossy(said));
    });
    futures::future::join_all(shown_out).await;
    assert_eq!(guest.send_request(health()).await.unwrap().status(), StatusCode::NOT_FOUND);
}
