//! The one HTTP client for the Engine API, over the same dialer as BuildKit's streams. bollard's requests and plain ones
//! share its connections.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream as Sequence;
use http::Uri;
use http_body_util::{Either, Full, StreamBody};
use hyper::body::Frame;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::error::TooLong;
use crate::engine::{Connector, Stream};

/// How long an idle connection is kept. An engine at the other end of ssh costs a login per
/// connection, and a prune makes hundreds of requests; on a local socket keeping costs nothing.
const IDLE: Duration = Duration::from_secs(30);

/// Largest answer that is taken: the disk usage of an engine with 500,000 records of build cache has about as much,
/// and what never ends must not fill the memory.
const LONGEST_ANSWER: usize = 256 << 20;

/// The body of a request as bollard has it.
pub(super) type Body =
    Either<Full<Bytes>, StreamBody<Pin<Box<dyn Sequence<Item = io::Result<Frame<Bytes>>> + Send>>>>;

/// A client of one engine. Cheap to clone; clones share connections.
pub(super) type HttpClient = Client<Dial, Body>;

/// Returns a client whose every connection is dialled by `connector`. It keeps as many idle connections as requests run
/// at a time, so that a burst of them does not dial for each.
pub(super) fn client(connector: &Connector) -> HttpClient {
    Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .pool_idle_timeout(IDLE)
        .pool_max_idle_per_host(super::CONCURRENT_REQUESTS)
        .build(Dial(connector.clone()))
}

/// hyper's view of the connector: whatever address is asked for, there is one engine.
#[derive(Clone)]
pub(super) struct Dial(Connector);

impl tower_service::Service<Uri> for Dial {
    type Response = TokioIo<EngineStream>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Self::Response>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _uri: Uri) -> Self::Future {
        let connector = self.0.clone();
        Box::pin(async move {
            let stream = connector.dial().await?;
            Ok(TokioIo::new(EngineStream { stream, allowance: Allowance::default() }))
        })
    }
}

/// How many bytes of an answer are read. bollard collects an answer before anybody looks at it, so the connection itself
/// has to end one that goes on and on. Every response carries the allowance of its connection among its extensions.
#[derive(Debug, Clone, Default)]
pub(super) struct Allowance(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    limit: AtomicUsize,
    read: AtomicUsize,
}

impl Allowance {
    /// Limits the answer that is being read.
    pub(super) fn limit(&self, bytes: usize) {
        self.0.limit.store(bytes, Ordering::Relaxed);
    }

    /// A request is being written: the next answer is another one.
    fn renew(&self) {
        self.limit(LONGEST_ANSWER);
        self.0.read.store(0, Ordering::Relaxed);
    }

    fn spend(&self, bytes: usize) -> io::Result<()> {
        let before = self.0.read.fetch_add(bytes, Ordering::Relaxed);
        let limit = self.0.limit.load(Ordering::Relaxed);
        if before.saturating_add(bytes) > limit {
            return Err(io::Error::other(TooLong(limit)));
        }
        Ok(())
    }
}

/// A connection to the engine.
pub(super) struct EngineStream {
    stream: Box<dyn Stream>,
    allowance: Allowance,
}

impl Connection for EngineStream {
    fn connected(&self) -> Connected {
        Connected::new().extra(self.allowance.clone())
    }
}

impl AsyncRead for EngineStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        match Pin::new(&mut self.stream).poll_read(cx, buf) {
            Poll::Ready(Ok(())) => Poll::Ready(self.allowance.spend(buf.filled().len() - before)),
            other => other,
        }
    }
}

impl AsyncWrite for EngineStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.allowance.renew();
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
