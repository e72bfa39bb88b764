//! Large reads from a TLS connection: fewer system calls below the TLS library, which asks for 4 KiB at a time, and fewer
//! steps above it, where one record of 16 KiB would otherwise be one piece of a body.

use std::{
    io,
    pin::Pin,
    task::{Context, Poll, ready},
};

use tokio::io::{AsyncRead, AsyncWrite, BufReader, ReadBuf};

/// Bytes fetched from the socket at once. A connection touches no more of them than its peer sends in one go.
pub(crate) const SOCKET: usize = 128 << 10;

/// A socket that is read ahead.
pub(crate) fn ahead<S: AsyncRead>(socket: S) -> BufReader<S> {
    BufReader::with_capacity(SOCKET, socket)
}

/// A stream whose reads are filled with all that is there.
pub(crate) struct Filled<S> {
    stream: S,
    /// How a read ended after it had brought something; told at the next one.
    fault: Option<io::Error>,
}

impl<S> Filled<S> {
    pub(crate) fn new(stream: S) -> Self {
        Self { stream, fault: None }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Filled<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if let Some(fault) = self.fault.take() {
            return Poll::Ready(Err(fault));
        }
        let mut filled = into.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, into))?;
        while into.filled().len() > filled && into.remaining() > 0 {
            filled = into.filled().len();
            match Pin::new(&mut self.stream).poll_read(cx, into) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(fault)) => self.fault = Some(fault),
                Poll::Pending => break,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Filled<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, from)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        from: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, from)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
