//! A stream that remembers why it failed: HTTP/2 keeps no more of an error than that there was one, and tells it to whoever
//! asks next, which may be as "broken pipe". With TLS 1.3 the other side judges our certificate after the handshake.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::engine::{ConnectError, Stream};

/// Why a stream failed, where the dialler has words for it.
pub(super) type Reason = Arc<OnceLock<ConnectError>>;

/// A stream with its reason to fail.
pub(super) struct WatchedStream {
    stream: Box<dyn Stream>,
    reason: Reason,
}

impl WatchedStream {
    pub(super) fn new(stream: Box<dyn Stream>, reason: Reason) -> Self {
        Self { stream, reason }
    }

    fn note<T>(&self, ended: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if let Poll::Ready(Err(error)) = &ended
            && let Some(found) = ConnectError::find(error)
        {
            let _ = self.reason.set(found.clone());
        }
        ended
    }
}

impl AsyncRead for WatchedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.note(read)
    }
}

impl AsyncWrite for WatchedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.note(written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.note(flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
