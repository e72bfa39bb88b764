//! The other ends of deliveries, on this machine: an HTTP server and a TCP listener.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

/// A request that came.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub target: String,
    pub headers: BTreeMap<String, String>,
    pub body: Vec<u8>,
}

impl Request {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// An HTTP server that keeps what it is sent and answers as a test says.
#[derive(Clone)]
pub struct Receiver {
    pub url: String,
    seen: Arc<Mutex<Vec<Request>>>,
    answer: Arc<Mutex<String>>,
    echoes: Arc<AtomicBool>,
}

impl Receiver {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://localhost:{}", listener.local_addr().unwrap().port());
        let receiver = Self { url, seen: Arc::default(), answer: Arc::default(), echoes: Arc::default() };
        receiver.answers("204 No Content");
        let server = receiver.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let server = server.clone();
                tokio::spawn(async move { server.serve(socket).await });
            }
        });
        receiver
    }

    /// Answers with this status line, and headers behind it.
    pub fn answers(&self, status: &str) {
        *self.answer.lock().unwrap() = status.to_owned();
    }

    /// Agrees to subscriptions of Event Grid: sends the code back that came with the question.
    pub fn echoes_validation(&self) {
        self.echoes.store(true, Ordering::Relaxed);
        self.answers("200 OK");
    }

    /// Waits until something has come that was not taken yet.
    pub async fn arrival(&self) {
        while self.seen.lock().unwrap().is_empty() {
            tokio::task::yield_now().await;
        }
    }

    /// What came since the last time it was asked.
    pub fn take(&self) -> Vec<Request> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }

    async fn serve(self, mut socket: TcpStream) {
        let mut buffer = Vec::new();
        let head = loop {
            if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
                break end;
            }
            if socket.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                return;
            }
        };
        let text = String::from_utf8(buffer[..head].to_vec()).unwrap();
        let mut lines = text.lines();
        let mut first = lines.next().unwrap().split(' ').map(ToOwned::to_owned);
        let (method, target) = (first.next().unwrap(), first.next().unwrap());
        let headers: BTreeMap<String, String> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let length: usize = headers.get("content-length").map_or(0, |text| text.parse().unwrap());
        while buffer.len() < head + 4 + length {
            if socket.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                return;
            }
        }
        let body = buffer[head + 4..head + 4 + length].to_vec();
        let request = Request { method, target, headers, body };
        let code = match self.echoes.load(Ordering::Relaxed) && request.headers.contains_key("aeg-event-type") {
            true => request.json()[0]["data"]["validationCode"].clone(),
            false => Value::Null,
        };
        self.seen.lock().unwrap().push(request);
        let answer = self.answer.lock().unwrap().clone();
        if answer == "nothing" {
            std::future::pending::<()>().await;
        }
        let said = if code.is_null() { String::new() } else { json!({"validationResponse": code}).to_string() };
        let length = said.len();
        let answer = format!("HTTP/1.1 {answer}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{said}");
        let _ = socket.write_all(answer.as_bytes()).await;
    }
}

/// A syslog server: keeps the messages of each connection.
#[derive(Clone)]
pub struct Syslog {
    pub place: String,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Syslog {
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let place = format!("tcp://localhost:{}", listener.local_addr().unwrap().port());
        let syslog = Self { place, seen: Arc::default() };
        let server = syslog.clone();
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let mut stream = Vec::new();
                socket.read_to_end(&mut stream).await.unwrap();
                server.seen.lock().unwrap().extend(messages(&stream));
            }
        });
        syslog
    }

    pub fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

/// Octet counting, RFC 5425 §4.3.
fn messages(mut stream: &[u8]) -> Vec<String> {
    let mut found = Vec::new();
    while let Some(space) = stream.iter().position(|byte| *byte == b' ') {
        let length: usize = std::str::from_utf8(&stream[..space]).unwrap().parse().unwrap();
        found.push(String::from_utf8(stream[space + 1..space + 1 + length].to_vec()).unwrap());
        stream = &stream[space + 1 + length..];
    }
    assert!(stream.is_empty());
    found
}
