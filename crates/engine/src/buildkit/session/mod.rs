//! The session: the engine calls back on it for files, credentials, secrets and exports.
//!
//! We dial, the connection is upgraded, and from then on we are the HTTP/2 server; BuildKit that stands by itself, and an engine
//! without the upgrade, take the session's bytes within a call of the Control API (`tunnel.rs`). The engine may
//! ask for everything that a session serves, for every solve that uses it: `build::sessions` decides
//! who shares one. A method that is not announced in the headers counts as unsupported by the engine.

pub mod auth;
pub mod content;
mod diff_copy;
pub mod file_send;
pub mod file_sync;
mod health;
mod packet;
pub mod secrets;
pub mod ssh;
mod tunnel;

use http::{HeaderMap, HeaderName, HeaderValue};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::task::JoinHandle;
use tokio_util::task::AbortOnDropHandle;
use tonic::server::NamedService;
use tonic::service::RoutesBuilder;

use self::diff_copy::{DiffCopy, Server};
use super::Control;
use super::transport::{CONNECTION_WINDOW, HEADER_LIMIT, STREAM_WINDOW, TransportError};
use super::within::{self, SessionStream};
use crate::engine::Connector;

/// The services of a session and the method names to announce.
pub struct Services {
    routes: RoutesBuilder,
    methods: Vec<String>,
}

impl Default for Services {
    fn default() -> Self {
        let services = Self { routes: RoutesBuilder::default(), methods: Vec::new() };
        services.with(health::server(), &["Check"])
    }
}

impl Services {
    /// Adds a gRPC service and announces `methods` of it.
    #[must_use]
    pub fn with<S>(mut self, service: S, methods: &[&str]) -> Self
    where
        S: tower_service::Service<
                http::Request<tonic::body::Body>,
                Response = http::Response<tonic::body::Body>,
                Error = std::convert::Infallible,
            > + NamedService
            + Clone
            + Send
            + Sync
            + 'static,
        S::Future: Send + 'static,
    {
        self.methods.extend(methods.iter().map(|method| format!("/{}/{method}", S::NAME)));
        self.routes.add_service(service);
        self
    }

    /// Adds [`file_sync::FileSync`] or [`file_send::FileSend`].
    #[must_use]
    pub fn with_diff_copy(self, service: impl DiffCopy) -> Self {
        self.with(Server(service), &["DiffCopy"])
    }
}

/// Where a session is opened.
#[derive(Clone, Copy)]
pub enum Opening<'a> {
    /// In a connection of its own to a docker engine.
    Engine(&'a Connector),
    /// Within the connection to BuildKit: behind an address may be several, and it has to be the one that solves.
    Tunnel(&'a Control),
}

/// An open session. Dropping it closes the connection; running solves that need it then fail, but
/// only after seconds, so cancel them first.
pub struct Session {
    id: String,
    _serving: AbortOnDropHandle<()>,
    _passing: Option<AbortOnDropHandle<()>>,
}

impl Session {
    /// Opens a session. `shared_key` scopes what the engine keeps of synced directories between
    /// runs: it must be the same in the next run for the sync to be incremental.
    ///
    /// # Errors
    /// The engine could not be reached, or takes no session.
    pub async fn open(
        at: Opening<'_>,
        shared_key: &str,
        services: Services,
    ) -> Result<Self, TransportError> {
        let id = super::new_ref();
        let mut headers = HeaderMap::new();
        let mut put = |name: &'static str, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.append(HeaderName::from_static(name), value);
            }
        };
        put("x-docker-expose-session-uuid", &id);
        put("x-docker-expose-session-name", "doc2md-docker");
        put("x-docker-expose-session-sharedkey", shared_key);
        for method in &services.methods {
            put("x-docker-expose-session-grpc-method", method);
        }
        let stream = match at {
            Opening::Engine(connector) => within::session_stream(connector, &headers).await?,
            Opening::Tunnel(control) => SessionStream::Control(control.channel()),
        };
        let (serving, passing) = match stream {
            SessionStream::Upgraded(io) => (serve(io, services), None),
            SessionStream::Control(channel) => {
                let (io, passing) = tunnel::open(channel, headers);
                (serve(TokioIo::new(io), services), Some(AbortOnDropHandle::new(passing)))
            }
        };
        Ok(Self { id, _serving: AbortOnDropHandle::new(serving), _passing: passing })
    }

    /// The id solves refer to the session by.
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// Serves a session on its one connection.
fn serve(
    io: impl hyper::rt::Read + hyper::rt::Write + Send + Unpin + 'static,
    services: Services,
) -> JoinHandle<()> {
    let service = TowerToHyperService::new(services.routes.routes().prepare());
    tokio::spawn(async move {
        // The engine closes the connection when the run is over; that is not an error of ours,
        // and a lost engine shows in every running solve.
        let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .timer(TokioTimer::new())
            .max_header_list_size(HEADER_LIMIT)
            .initial_stream_window_size(STREAM_WINDOW)
            .initial_connection_window_size(CONNECTION_WINDOW)
            .serve_connection(io, service)
            .await;
    })
}
