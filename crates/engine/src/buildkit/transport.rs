//! Raw HTTP/2 streams to BuildKit: a stream to the engine's HTTP API is upgraded, one to BuildKit itself is HTTP/2 from the
//! first byte on.
//!
//! dockerd answers `POST /grpc` (we are the client) and `POST /session` (we are the server) with
//! `101 Switching Protocols` and `Upgrade: h2c`; unversioned paths work on every engine since
//! 18.09. Source: moby `api/server/router/{grpc,session}`. An engine without these routes: [`super::within`].

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use tonic::transport::{Channel, Endpoint, Uri};

use super::watched::{Reason, WatchedStream};
use crate::engine::{ConnectError, Connector, LONGEST_REFUSAL, message_in};

/// Largest gRPC message either side may send, as BuildKit's own client sets it.
pub(super) const MESSAGE_LIMIT: usize = 16 << 20;
/// Largest list of headers that the engine may send to a session, as BuildKit's own has it (grpc-go's
/// default). hyper's 16 KiB end with a `.dockerignore` of 240 lines: its patterns are headers of a call.
/// The engine obeys the limit: it fails the call and names it.
pub const HEADER_LIMIT: u32 = 16 << 20;
/// Largest list of headers that an answer of the Control API may have. The trailers of a failed solve
/// hold the whole Dockerfile, in base64 twice. The engine's server knows no limit, and above 1.25
/// times ours h2 ends the connection with every solve on it, so there is room for a Dockerfile
/// larger than any that is read here.
pub(super) const ANSWER_HEADER_LIMIT: u32 = 64 << 20;
/// How long BuildKit may take to be reached and to answer the first question, which costs it nothing.
pub(super) const FIRST_ANSWER: Duration = Duration::from_secs(20);
/// HTTP/2 flow control windows: a context must not wait for round trips.
pub(super) const STREAM_WINDOW: u32 = 1 << 20;
pub(super) const CONNECTION_WINDOW: u32 = 4 << 20;

/// Why a BuildKit stream could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The engine could not be dialled.
    #[error("connect to the engine")]
    Dial(#[from] std::io::Error),
    /// HTTP failed before the upgrade.
    #[error("open {path} on the engine")]
    Http {
        /// API path.
        path: &'static str,
        /// What hyper answered.
        #[source]
        source: hyper::Error,
    },
    /// The engine answered something else than `101`.
    #[error("the engine refused {path} with status {status}: {body}")]
    Refused {
        /// API path.
        path: &'static str,
        /// HTTP status.
        status: StatusCode,
        /// What its body says.
        body: String,
    },
    /// The gRPC channel could not be set up.
    #[error("speak gRPC with the engine")]
    Grpc(#[from] tonic::transport::Error),
    /// Something is there, but the first question has no answer of BuildKit's.
    #[error("{0}")]
    NotBuildkit(String),
}

impl TransportError {
    /// Whether the engine has no such route, or nothing there that upgrades. moby answers 404 for a path and for a method that it
    /// does not have (`daemon/server/server.go`); the others are those of HTTP.
    pub(super) fn is_missing_route(&self) -> bool {
        const MISSING: [StatusCode; 5] = [
            StatusCode::NOT_FOUND,
            StatusCode::BAD_REQUEST,
            StatusCode::METHOD_NOT_ALLOWED,
            StatusCode::UPGRADE_REQUIRED,
            StatusCode::NOT_IMPLEMENTED,
        ];
        matches!(self, Self::Refused { status, .. } if MISSING.contains(status))
    }

    /// Why the first question failed. The reason that the dialler gave goes before gRPC's words for it.
    pub(super) fn unanswered(status: &tonic::Status, reason: &Reason) -> Self {
        if let Some(found) = reason.get().or_else(|| ConnectError::find(status)) {
            return Self::Dial(found.clone().into());
        }
        let mut innermost: &(dyn std::error::Error + 'static) = status;
        while let Some(cause) = innermost.source() {
            innermost = cause;
        }
        Self::NotBuildkit(match innermost.downcast_ref::<tonic::Status>() {
            Some(status) => status.message().to_owned(),
            None => innermost.to_string(),
        })
    }
}

/// Dials the engine and upgrades the connection to HTTP/2 on `path`.
pub(super) async fn upgrade(
    connector: &Connector,
    path: &'static str,
    headers: HeaderMap,
) -> Result<Upgraded, TransportError> {
    let stream = connector.dial().await?;
    let http_error = |source| TransportError::Http { path, source };
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(http_error)?;
    let driver = tokio::spawn(connection.with_upgrades());
    let mut request = Request::post(path)
        .header(header::HOST, "docker")
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "h2c")
        .body(Empty::<Bytes>::new())
        .expect("a constant request is valid");
    request.headers_mut().extend(headers);
    let response = sender.send_request(request).await.map_err(http_error)?;
    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        let status = response.status();
        // Whatever answers here may not be an engine, and send without an end.
        let body = Limited::new(response.into_body(), LONGEST_REFUSAL).collect().await;
        let body = body.map(|body| body.to_bytes()).unwrap_or_default();
        return Err(TransportError::Refused { path, status, body: message_in(&body) });
    }
    let upgraded = hyper::upgrade::on(response).await.map_err(http_error)?;
    drop(driver);
    Ok(upgraded)
}

/// A gRPC channel to BuildKit's Control API inside the engine, upgraded on `path`.
///
/// Opened at once, so that an unreachable engine is an error here and not at the first call.
pub(super) async fn upgraded(
    connector: &Connector,
    path: &'static str,
) -> Result<Channel, TransportError> {
    let first = upgrade(connector, path, HeaderMap::new()).await?;
    let mut first = Some(first);
    let connector = connector.clone();
    let endpoint = sized(Endpoint::from_static("http://buildkit"));
    let dial = tower::service_fn(move |_: Uri| {
        let opened = first.take();
        let connector = connector.clone();
        async move {
            match opened {
                Some(io) => Ok(io),
                None => upgrade(&connector, path, HeaderMap::new()).await,
            }
        }
    });
    Ok(endpoint.connect_with_connector(dial).await?)
}

/// The limits of a connection.
fn sized(endpoint: Endpoint) -> Endpoint {
    endpoint
        .http2_max_header_list_size(ANSWER_HEADER_LIMIT)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
}

/// How often a connection without traffic is asked whether it is alive, and how long it may take to answer: a machine
/// that is gone tells nobody. grpc-go ends a connection that asks too often, but counts anew whenever it sends something
/// (`internal/transport/http2_server.go`, `resetPingStrikes`), and BuildKit looks after a session every 5 s.
const KEEP_ALIVE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(10));

/// A gRPC channel to BuildKit by itself. Opened at once, see [`upgraded`]. A connection that fails leaves its `reason`.
pub(super) async fn native(
    connector: &Connector,
    reason: &Reason,
) -> Result<Channel, TransportError> {
    let endpoint = named(connector)?;
    let endpoint =
        endpoint.http2_keep_alive_interval(KEEP_ALIVE.0).keep_alive_timeout(KEEP_ALIVE.1);
    open(endpoint, connector, reason).await
}

/// The same to an engine that takes gRPC on its own socket. What is silent is waited for as on its other connections.
pub(super) async fn native_engine(connector: &Connector) -> Result<Channel, TransportError> {
    let connector = connector.over_http2();
    open(named(&connector)?, &connector, &Reason::default()).await
}

fn named(connector: &Connector) -> Result<Endpoint, TransportError> {
    Ok(sized(Endpoint::from_shared(format!("http://{}", connector.authority()))?))
}

async fn open(
    endpoint: Endpoint,
    connector: &Connector,
    reason: &Reason,
) -> Result<Channel, TransportError> {
    let (connector, reason) = (connector.clone(), reason.clone());
    let mut first = Some(connector.dial().await?);
    let dial = tower::service_fn(move |_: Uri| {
        let opened = first.take();
        let (connector, reason) = (connector.clone(), reason.clone());
        async move {
            let stream = match opened {
                Some(stream) => stream,
                None => connector.dial().await?,
            };
            std::io::Result::Ok(TokioIo::new(WatchedStream::new(stream, reason)))
        }
    });
    Ok(endpoint.connect_with_connector(dial).await?)
}
