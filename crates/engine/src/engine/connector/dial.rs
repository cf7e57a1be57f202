//! Opens streams: by a socket, through a container, by a program; and says why that fails.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;

use super::error::{ConnectError, ConnectErrorKind};
use super::host::Host;
use super::{Connector, Listener, Route, Stream, child, exec, permission, tls};

/// Longest wait for a TCP connection and its TLS handshake; ssh has its own.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Where nothing listens.
const START_BUILDKIT: &str = "is buildkitd running, and does it listen on this address?";

impl Connector {
    /// Opens a stream to the engine's HTTP API.
    ///
    /// # Errors
    /// An [`io::Error`] that carries a [`ConnectError`]; [`ConnectError::find`] gets it back, also
    /// out of the errors of bollard, hyper and tonic. A stream over ssh fails with its first read.
    pub async fn dial(&self) -> io::Result<Box<dyn Stream>> {
        Ok(self.open().await?)
    }

    pub(super) async fn open(&self) -> Result<Box<dyn Stream>, ConnectError> {
        let inner = &*self.inner;
        match &inner.route {
            Route::Container(container) => exec::open(&self.around(), container, &inner.peer).await,
            Route::Program(program) => {
                let environment = &inner.settings.environment;
                Ok(Box::new(child::open(program.clone(), environment, &inner.peer)?))
            }
            Route::Direct => self.open_socket().await,
        }
    }

    async fn open_socket(&self) -> Result<Box<dyn Stream>, ConnectError> {
        match &self.inner.host {
            Host::Unix(path) => self.open_unix(path).await,
            Host::NamedPipe(_) => Err(self
                .failed(ConnectErrorKind::Settings, "named pipes exist on Windows only")
                .hint("from WSL 2, use the engine's unix socket")),
            // Programs reach them.
            Host::Ssh { .. } | Host::Inside(_) => {
                Err(self.failed(ConnectErrorKind::Settings, "it has no socket on this machine"))
            }
            Host::Tcp { name, port, .. } => {
                match tokio::time::timeout(CONNECT_TIMEOUT, self.open_tcp(name, *port)).await {
                    Ok(stream) => stream,
                    Err(_) => Err(self
                        .failed(
                            ConnectErrorKind::TimedOut,
                            format!("no answer within {} s", CONNECT_TIMEOUT.as_secs()),
                        )
                        .hint("is the machine up, and does its firewall let this port through?")),
                }
            }
        }
    }

    async fn open_unix(&self, path: &Path) -> Result<Box<dyn Stream>, ConnectError> {
        match tokio::net::UnixStream::connect(path).await {
            Ok(stream) => Ok(Box::new(stream)),
            Err(error) => Err(self.explain_unix(path, &error)),
        }
    }

    async fn open_tcp(&self, name: &str, port: u16) -> Result<Box<dyn Stream>, ConnectError> {
        let addresses: Vec<_> = tokio::net::lookup_host((name, port))
            .await
            .map_err(|error| {
                self.failed(ConnectErrorKind::NotThere, format!("cannot find host {name}: {error}"))
                    .hint("check the host's name")
            })?
            .collect();
        let tcp =
            TcpStream::connect(&*addresses).await.map_err(|error| self.explain_any(&error))?;
        // Small gRPC frames must not wait for each other's acknowledgement.
        tcp.set_nodelay(true).map_err(|error| self.explain_any(&error))?;
        match &self.inner.tls {
            Some(config) => {
                let config = Arc::clone(config);
                let name = self.inner.server_name.as_deref().unwrap_or(name);
                Ok(Box::new(tls::handshake(tcp, name, config, self.tls_peer()).await?))
            }
            None => Ok(Box::new(tcp)),
        }
    }

    fn tls_peer(&self) -> tls::Peer {
        tls::Peer { name: self.inner.peer.as_str().into(), listener: self.inner.listener }
    }

    fn failed(&self, kind: ConnectErrorKind, why: impl fmt::Display) -> ConnectError {
        ConnectError::new(kind, format!("cannot reach {}: {why}", self.inner.peer))
    }

    fn explain_unix(&self, path: &Path, error: &io::Error) -> ConnectError {
        if self.inner.listener == Listener::Buildkit {
            return match error.kind() {
                io::ErrorKind::NotFound => self
                    .failed(ConnectErrorKind::NotThere, "there is no such socket")
                    .hint(START_BUILDKIT),
                io::ErrorKind::PermissionDenied => self
                    .failed(ConnectErrorKind::PermissionDenied, "permission denied on the socket")
                    .hint("buildkitd's option --group gives a group the right to use it"),
                _ => self.explain_any(error),
            };
        }
        match error.kind() {
            io::ErrorKind::NotFound => {
                let mut failed = self
                    .failed(ConnectErrorKind::NotThere, "there is no such socket")
                    .hint("start the engine (sudo systemctl start docker), or name another one with -H, DOCKER_HOST or --context");
                if let Some(socket) = self.socket_elsewhere(path) {
                    failed = failed
                        .hint(format!("there is a socket at {0}: -H unix://{0}", socket.display()));
                }
                failed
            }
            io::ErrorKind::PermissionDenied => self
                .failed(ConnectErrorKind::PermissionDenied, "permission denied on the socket")
                .hint(permission::hint(path, self.inner.settings.variable("USER"))),
            io::ErrorKind::ConnectionRefused => self
                .failed(
                    ConnectErrorKind::Refused,
                    "the socket is there, but no engine listens on it",
                )
                .hint("start the engine: sudo systemctl start docker"),
            _ => self.explain_any(error),
        }
    }

    fn explain_any(&self, error: &io::Error) -> ConnectError {
        match error.kind() {
            io::ErrorKind::ConnectionRefused => self
                .failed(ConnectErrorKind::Refused, "connection refused")
                .hint(match self.inner.listener {
                    Listener::Engine => {
                        "is the engine running, and does it listen on this address and port?"
                    }
                    Listener::Buildkit => START_BUILDKIT,
                }),
            io::ErrorKind::TimedOut => self
                .failed(ConnectErrorKind::TimedOut, "no answer")
                .hint("is the machine up, and does its firewall let this port through?"),
            io::ErrorKind::NotFound => self.failed(ConnectErrorKind::NotThere, error),
            io::ErrorKind::PermissionDenied => {
                self.failed(ConnectErrorKind::PermissionDenied, error)
            }
            _ => self.failed(ConnectErrorKind::Other, error),
        }
    }

    /// A socket where rootless engines and desktop products put it. The docker CLI does not look
    /// there by itself, so neither do we: it is only pointed out.
    fn socket_elsewhere(&self, tried: &Path) -> Option<PathBuf> {
        let settings = &self.inner.settings;
        let home = |below: &str| settings.home.as_ref().map(|home| home.join(below));
        [
            settings
                .variable("XDG_RUNTIME_DIR")
                .map(|folder| Path::new(folder).join("docker.sock")),
            home(".docker/run/docker.sock"),
            home(".colima/default/docker.sock"),
        ]
        .into_iter()
        .flatten()
        .find(|socket| socket != tried && socket.exists())
    }
}
