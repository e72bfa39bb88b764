//! What of a request's body nobody read. A server that answers before the body has come, as one does that refuses, would have to
//! close the connection: what is still on its way would be taken for the next request. The client may have sent that next request
//! already, and finds it lost. So a small rest is read and thrown away, and of a large one the answer says that it closes.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderValue, Request, Response, Version, header};
use http_body::{Body as HttpBody, Frame, SizeHint};
use http_body_util::BodyExt;
use tokio::time::timeout;

/// As much of a body as is read only to be thrown away.
const REST: u64 = 1 << 20;
/// How long such a rest is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

type Left<B> = Arc<Mutex<Option<B>>>;

/// A body that is left behind when whoever was to read it is done before its end.
struct Read<B: HttpBody + Unpin> {
    body: Option<B>,
    left: Left<B>,
}

impl<B: HttpBody + Unpin> HttpBody for Read<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map_or_else(|| SizeHint::with_exact(0), HttpBody::size_hint)
    }
}

impl<B: HttpBody + Unpin> Drop for Read<B> {
    fn drop(&mut self) {
        *self.left.lock().unwrap_or_else(PoisonError::into_inner) = self.body.take();
    }
}

/// The answer to a request of HTTP/1.1, after which its connection can be used again or says that it cannot (RFC 9112, 9.3 and
/// 9.6). Streams of HTTP/2 end singly.
pub(crate) async fn answer<B, F>(request: Request<B>, answer: impl FnOnce(Request<Body>) -> F) -> Response<Body>
where
    B: HttpBody<Data = Bytes, Error: Into<axum::BoxError>> + Send + Unpin + 'static,
    F: Future<Output = Response<Body>>,
{
    if request.version() > Version::HTTP_11 || request.body().is_end_stream() {
        return answer(request.map(Body::new)).await;
    }
    // Whoever asks first whether to send the body has not sent it, and need not.
    let waits_to_send = request.headers().contains_key(header::EXPECT);
    let left = Left::default();
    let mut response = answer(request.map(|body| Body::new(Read { body: Some(body), left: Arc::clone(&left) }))).await;
    let rest = left.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(rest) = rest.filter(|rest| !rest.is_end_stream())
        && (waits_to_send || !timeout(PATIENCE, is_read_to_its_end(rest)).await.unwrap_or_default())
    {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

async fn is_read_to_its_end<B: HttpBody<Data = Bytes> + Unpin>(mut body: B) -> bool {
    let mut read = 0;
    while read + body.size_hint().lower() <= REST {
        match body.frame().await {
            Some(Ok(frame)) => read += frame.data_ref().map_or(0, |data| u64::try_from(data.len()).unwrap_or(REST)),
            Some(Err(_)) => return false,
            None => return true,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use hyper::{server::conn::http1, service::service_fn};
    use hyper_util::rt::TokioIo;
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
        sync::mpsc,
    };

    use super::*;

    /// A server that refuses every request unread and says that it did, and a connection to it.
    fn refusing() -> (DuplexStream, mpsc::UnboundedReceiver<()>) {
        let (client, server) = tokio::io::duplex(4 << 20);
        let (tell, refused) = mpsc::unbounded_channel();
        let service = service_fn(move |request: Request<hyper::body::Incoming>| {
            let tell = tell.clone();
            async move {
                let refuse = |request: Request<Body>| async move {
                    drop(request);
                    tell.send(()).unwrap();
                    Response::builder().status(403).body(Body::empty()).unwrap()
                };
                Ok::<_, std::convert::Infallible>(answer(request, refuse).await)
            }
        });
        tokio::spawn(http1::Builder::new().serve_connection(TokioIo::new(server), service));
        (client, refused)
    }

    async fn head_of_the_answer(client: &mut DuplexStream) -> String {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(client.read_u8().await.unwrap());
        }
        String::from_utf8(head).unwrap()
    }

    #[tokio::test]
    async fn a_body_that_comes_after_its_refusal_leaves_the_connection_as_it_was() {
        let (mut client, mut refused) = refusing();
        for _ in 0..2 {
            client.write_all(b"PUT / HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n").await.unwrap();
            refused.recv().await.unwrap();
            client.write_all(b"hello").await.unwrap();
            let head = head_of_the_answer(&mut client).await;
            assert!(head.starts_with("HTTP/1.1 403") && !head.contains("connection: close"), "{head}");
        }
    }

    #[tokio::test]
    async fn of_a_body_that_is_large_or_waits_to_be_asked_for_nothing_is_read() {
        for more in ["content-length: 2000000", "content-length: 5\r\nexpect: 100-continue"] {
            let (mut client, _refused) = refusing();
            let request = format!("PUT / HTTP/1.1\r\nhost: x\r\n{more}\r\n\r\n");
            client.write_all(request.as_bytes()).await.unwrap();
            let head = head_of_the_answer(&mut client).await;
            assert!(head.starts_with("HTTP/1.1 403") && head.contains("connection: close"), "{head}");
        }
    }

    #[tokio::test]
    async fn a_body_without_a_length_is_read_up_to_the_bound() {
        for (pieces, closes) in [(2, false), (200, true)] {
            let (mut client, _refused) = refusing();
            client.write_all(b"PUT / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
            let piece = [b"2000\r\n".as_slice(), &[b'x'; 0x2000], b"\r\n"].concat();
            for _ in 0..pieces {
                client.write_all(&piece).await.unwrap();
            }
            client.write_all(b"0\r\n\r\n").await.unwrap();
            let head = head_of_the_answer(&mut client).await;
            assert_eq!(head.contains("connection: close"), closes, "{head}");
        }
    }
}
