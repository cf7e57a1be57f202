//! bollard on the [`Connector`]: Engine API requests over the same dialer as BuildKit's streams.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bollard::{API_DEFAULT_VERSION, BollardRequest, Docker};
use bytes::Bytes;
use http::Uri;
use http_body_util::Full;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};

use super::error::too_long;
use crate::engine::{Connector, Stream};

/// How long an idle connection is kept. An engine at the other end of ssh costs a login per
/// connection, and a prune makes hundreds of requests; on a local socket keeping costs nothing.
const IDLE: Duration = Duration::from_secs(30);

/// Bytes that are read of an answer which bollard keeps as a whole before anybody looks at it. It is asked for the
/// engine's version and settings, which have a few kilobytes.
const LONGEST_KEPT: usize = 16 << 20;

impl Connector {
    /// An Engine API client whose every request goes through this connector. `timeout` bounds the
    /// wait for the head of each response. The API version is bollard's newest: negotiate it
    /// (`Docker::negotiate_version`) before the first request.
    ///
    /// # Errors
    /// None today; bollard's signature allows for one.
    pub fn bollard(&self, timeout: Duration) -> Result<Docker, bollard::errors::Error> {
        let mut builder = Client::builder(TokioExecutor::new());
        builder.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE).pool_max_idle_per_host(1);
        let client = builder.build(Dial { connector: self.clone(), limit: LONGEST_KEPT });
        // The host part is what Go's client sends for sockets too; the dialer never looks at it.
        Docker::connect_with_custom_transport(
            move |request: BollardRequest| {
                let response = client.request(request);
                async move { response.await.map_err(bollard::errors::Error::from) }
            },
            Some("http://docker"),
            timeout.as_secs().max(1),
            API_DEFAULT_VERSION,
        )
    }
}

/// A client for plain requests; see [`Connector::http_client`].
pub(super) type HttpClient = Client<Dial, Full<Bytes>>;

impl Connector {
    /// A client for requests that bollard has no model for. It keeps as many idle connections as
    /// requests run at a time, so that a burst of them does not dial for each.
    pub(super) fn http_client(&self) -> HttpClient {
        Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(super::CONCURRENT_REQUESTS)
            // Whoever asks reads the answer in pieces, and stops where it is too long.
            .build(Dial { connector: self.clone(), limit: usize::MAX })
    }
}

/// hyper's view of the connector: whatever address is asked for, there is one engine.
#[derive(Clone)]
pub(super) struct Dial {
    connector: Connector,
    /// Bytes of an answer.
    limit: usize,
}

impl tower_service::Service<Uri> for Dial {
    type Response = EngineIo;
    type Error = std::io::Error;
    type Future = Pin<Box<dyn Future<Output = Result<EngineIo, std::io::Error>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _uri: Uri) -> Self::Future {
        let Self { connector, limit } = self.clone();
        Box::pin(async move { Ok(EngineIo::new(connector.dial().await?, limit)) })
    }
}

/// A stream of the connector with the traits hyper asks for.
pub(super) struct EngineIo {
    io: TokioIo<Box<dyn Stream>>,
    /// Bytes that may be read until something is written, which is the next request.
    limit: usize,
    left: usize,
}

impl EngineIo {
    fn new(stream: Box<dyn Stream>, limit: usize) -> Self {
        Self { io: TokioIo::new(stream), limit, left: limit }
    }
}

impl Connection for EngineIo {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for EngineIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: ReadBufCursor<'_>,
    ) -> Poll<std::io::Result<()>> {
        let room = buf.remaining();
        if self.left == 0 {
            return Poll::Ready(Err(std::io::Error::other(too_long(self.limit))));
        }
        let read = Pin::new(&mut self.io).poll_read(cx, buf);
        if read.is_ready() {
            // Whatever was read had room.
            self.left = self.left.saturating_sub(room);
        }
        read
    }
}

impl Write for EngineIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.left = self.limit;
        Pin::new(&mut self.io).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
