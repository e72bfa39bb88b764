//! The frames between this process and a worker: a kind, a length, that many bytes. `worker.py` is the other end.

use std::io;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderName, HeaderValue, Response, StatusCode};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;

use crate::answer::{Answer, Failure};

/// An answer that is larger ends the worker: nobody could take it in, and it must not exhaust this process.
const LARGEST: usize = 64 << 20;

/// What a worker says.
#[derive(Debug)]
pub(super) enum Said {
    /// `init()` has returned; the payload is JSON of what the script declares.
    Ready(Vec<u8>),
    /// The script could not be loaded, or `init()` raised.
    InitFailed(String),
    /// `run()` returned; the payload is JSON.
    Result(Vec<u8>),
    /// `run()` returned an HTTP response.
    Response(Vec<u8>),
    /// `run()` raised.
    Raised(String),
    /// The request does not fit what `run()` declares.
    Refused(String),
}

impl Said {
    /// What it means to the caller of `POST /score`.
    pub(super) fn answer(self) -> Result<Answer, Failure> {
        match self {
            Self::Result(json) => Ok(Answer::Json(json)),
            Self::Response(made) => response(&made)
                .map(Answer::Made)
                .ok_or_else(|| Failure::RunFailed("run() returned a response that is not HTTP".into())),
            Self::Raised(why) => Err(Failure::RunFailed(format!("run() raised {why}"))),
            Self::Refused(why) => Err(Failure::Invalid(why)),
            Self::Ready(_) | Self::InitFailed(_) => Err(Failure::Internal("the worker spoke out of turn".into())),
        }
    }
}

/// What a worker is asked.
pub(super) enum Asked {
    /// The body alone, as text.
    Body(Bytes),
    /// One line of JSON with method, path and headers, then the body.
    WithHead(Bytes),
}

impl Asked {
    /// A whole HTTP request.
    pub(super) fn with_head(head: &Parts, body: &[u8]) -> Self {
        let headers: Vec<_> =
            head.headers.iter().filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?))).collect();
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let head = serde_json::json!({"method": head.method.as_str(), "path": path, "headers": headers});
        let mut whole = head.to_string().into_bytes();
        whole.push(b'\n');
        whole.extend_from_slice(body);
        Self::WithHead(Bytes::from(whole))
    }
}

/// One end of the channel.
pub(super) struct Channel {
    stream: BufReader<UnixStream>,
    frame: Vec<u8>,
}

impl Channel {
    /// Speaks over `stream`.
    pub(super) fn over(stream: UnixStream) -> Self {
        Self { stream: BufReader::new(stream), frame: Vec::new() }
    }

    /// Sends one request.
    ///
    /// # Errors
    /// When the worker is gone.
    pub(super) async fn ask(&mut self, asked: &Asked) -> io::Result<()> {
        let (kind, body) = match asked {
            Asked::Body(body) => (b'R', body),
            Asked::WithHead(whole) => (b'H', whole),
        };
        let length = u32::try_from(body.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        // One write for the whole frame: a second one would wake the worker twice.
        self.frame.clear();
        self.frame.push(kind);
        self.frame.extend_from_slice(&length.to_le_bytes());
        self.frame.extend_from_slice(body);
        self.stream.get_mut().write_all(&self.frame).await
    }

    /// Receives one frame.
    ///
    /// # Errors
    /// When the worker is gone or does not keep to the form.
    pub(super) async fn hear(&mut self) -> io::Result<Said> {
        let kind = self.stream.read_u8().await?;
        let length = self.stream.read_u32_le().await?;
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length > LARGEST {
            return Err(io::Error::new(io::ErrorKind::InvalidData, format!("an answer of more than {LARGEST} bytes")));
        }
        let mut payload = vec![0; length];
        self.stream.read_exact(&mut payload).await?;
        let text = |payload: Vec<u8>| String::from_utf8_lossy(&payload).into_owned();
        Ok(match kind {
            b'S' => Said::Ready(payload),
            b'I' => Said::InitFailed(text(payload)),
            b'O' => Said::Result(payload),
            b'A' => Said::Response(payload),
            b'E' => Said::Raised(text(payload)),
            b'B' => Said::Refused(text(payload)),
            _ => return Err(io::Error::new(io::ErrorKind::InvalidData, "a frame of an unknown kind")),
        })
    }
}

#[derive(serde::Deserialize)]
struct Head {
    status: u16,
    headers: Vec<(String, String)>,
}

/// One line of JSON with status and headers, then the body.
fn response(made: &[u8]) -> Option<Response<Bytes>> {
    let end = made.iter().position(|byte| *byte == b'\n')?;
    let (head, body) = made.split_at_checked(end)?;
    let head: Head = serde_json::from_slice(head).ok()?;
    let mut response = Response::new(Bytes::copy_from_slice(body.get(1..)?));
    *response.status_mut() = StatusCode::from_u16(head.status).ok()?;
    for (name, value) in head.headers {
        let name = HeaderName::try_from(name).ok()?;
        // The length and the connection are this server's own business.
        if !matches!(name.as_str(), "content-length" | "connection" | "transfer-encoding" | "keep-alive" | "upgrade") {
            response.headers_mut().append(name, HeaderValue::try_from(value).ok()?);
        }
    }
    Some(response)
}
