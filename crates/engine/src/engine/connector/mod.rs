//! One dialer for every connection to the engine: bollard's requests and BuildKit's streams.
//!
//! Which engine is meant follows the docker CLI (`-H`, `--context`, DOCKER_CONTEXT, DOCKER_HOST,
//! `docker context use`), so that both programs talk to the same one. Nothing here reads the
//! process environment: it comes as a parameter.

mod buildkit;
mod child;
mod context;
mod dial;
mod error;
mod exec;
mod host;
mod inside;
mod kubectl;
mod native;
mod permission;
mod ssh;
mod tls;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::rustls::ClientConfig;

pub(super) use error::error_within;
pub use error::{ConnectError, ConnectErrorKind};
use host::Host;
pub use kubectl::Kubectl;

use crate::engine::docker_config::{self, DockerConfig};
use crate::redact;

/// A byte stream to the engine.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// What decides which engine is meant.
#[derive(Debug, Clone, Default)]
pub struct ConnectorSettings {
    /// `-H/--host`.
    pub host: Option<String>,
    /// `--context`.
    pub context: Option<String>,
    /// The process environment: DOCKER_HOST, DOCKER_CONTEXT, DOCKER_CONFIG, DOCKER_TLS_VERIFY,
    /// DOCKER_TLS, DOCKER_CERT_PATH, XDG_RUNTIME_DIR, USER; child processes get all of it.
    pub environment: BTreeMap<String, String>,
    /// Home directory of the user.
    pub home: Option<PathBuf>,
}

impl ConnectorSettings {
    /// A variable that is set and not empty; Docker treats empty as unset.
    fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

/// Files for TLS with something that docker's configuration does not tell of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TlsFiles {
    /// Certificates of authorities; those of the system where there are none.
    pub ca: Option<PathBuf>,
    /// This side's certificate.
    pub certificate: Option<PathBuf>,
    /// Its key.
    pub key: Option<PathBuf>,
    /// The name in the other side's certificate, where that is not the host's.
    pub server_name: Option<String>,
}

/// What listens at an address: hints name its settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Listener {
    /// A docker engine.
    Engine,
    /// BuildKit itself.
    Buildkit,
}

/// How to reach an engine. Cheap to clone; every call of [`Connector::dial`] opens a new stream.
#[derive(Clone)]
pub struct Connector {
    inner: Arc<Inner>,
}

#[derive(Clone)]
struct Inner {
    host: Host,
    tls: Option<Arc<ClientConfig>>,
    /// The name in the other side's certificate, where that is not the host's.
    server_name: Option<String>,
    /// Address and, where that is not the command line, who named it.
    description: String,
    /// See [`Connector::peer`].
    peer: String,
    listener: Listener,
    route: Route,
    /// See [`Connector::notices`].
    notices: Vec<String>,
    context: String,
    settings: ConnectorSettings,
    missing: native::MissingRoutes,
}

/// How a stream gets to the other side.
#[derive(Clone)]
enum Route {
    /// By a socket.
    Direct,
    /// Through `buildctl` in a container of the engine at the address.
    Container(exec::BuildkitContainer),
    /// By the standard streams of a program.
    Program(child::Program),
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Connector").field(&self.inner.description).finish()
    }
}

impl Connector {
    /// A connector to a unix socket.
    pub fn unix(path: impl Into<PathBuf>) -> Self {
        let host = Host::Unix(path.into());
        Self::new(host, None, None, ConnectorSettings::default())
    }

    /// Finds the engine the user means, in this order: `-H`, `--context`, DOCKER_CONTEXT,
    /// DOCKER_HOST, the context chosen by `docker context use`, the default socket.
    ///
    /// The docker CLI documents that DOCKER_CONTEXT overrides DOCKER_HOST, which is what counts
    /// here; its code up to 28.x has it the other way round, hence [`Connector::notices`].
    ///
    /// # Errors
    /// [`ConnectErrorKind::Settings`] where options contradict or an address or context cannot be
    /// understood, [`ConnectErrorKind::Tls`] where certificates cannot be used. Nothing is dialled.
    pub fn resolve(settings: &ConnectorSettings) -> Result<Self, ConnectError> {
        let config = DockerConfig::of_user(&settings.environment, settings.home.as_deref());
        Self::resolve_with(settings, &config)
    }

    /// The same for somebody who has read docker's configuration already.
    ///
    /// # Errors
    /// Those of [`Self::resolve`].
    pub fn resolve_with(
        settings: &ConnectorSettings,
        docker_config: &DockerConfig,
    ) -> Result<Self, ConnectError> {
        if settings.host.is_some() && settings.context.is_some() {
            return Err(settings_error("-H/--host and --context exclude each other")
                .hint("a context already names its host: give one of the two"));
        }
        let config = docker_config::directory(&settings.environment, settings.home.as_deref());
        let mut notices = docker_config.damage.clone();
        let (name, who) = if settings.host.is_some() {
            (context::DEFAULT_CONTEXT.to_owned(), "")
        } else if let Some(name) = settings.context.as_deref().filter(|name| !name.is_empty()) {
            (name.to_owned(), "--context")
        } else if let Some(name) = settings.variable("DOCKER_CONTEXT") {
            if settings.variable("DOCKER_HOST").is_some() && name != context::DEFAULT_CONTEXT {
                notices.push(format!(
                    "DOCKER_CONTEXT={name} is used; DOCKER_HOST is set too and ignored"
                ));
            }
            (name.to_owned(), "DOCKER_CONTEXT")
        } else if settings.variable("DOCKER_HOST").is_some() {
            (context::DEFAULT_CONTEXT.to_owned(), "")
        } else {
            let chosen = docker_config.current_context.clone().filter(|name| !name.is_empty());
            (chosen.unwrap_or_else(|| context::DEFAULT_CONTEXT.to_owned()), "docker context use")
        };
        let mut connector = if name == context::DEFAULT_CONTEXT {
            Self::from_environment(settings, config.as_deref())?
        } else {
            let config = config.ok_or_else(|| {
                settings_error(format!(
                    "docker context `{name}` cannot be read without a home directory"
                ))
                .hint("set DOCKER_CONFIG to the docker configuration directory")
            })?;
            Self::from_context(settings, &config, &name, who)?
        };
        if let Some(inner) = Arc::get_mut(&mut connector.inner) {
            inner.notices = notices;
            inner.context = name;
        }
        Ok(connector)
    }

    /// What HTTP/2 calls the other side: the name that its certificate or its address has.
    pub fn authority(&self) -> String {
        if !matches!(self.inner.route, Route::Direct) {
            return "localhost".to_owned();
        }
        match (&self.inner.server_name, &self.inner.host) {
            (Some(name), _) => name.clone(),
            (None, Host::Tcp { name, port, .. }) if name.contains(':') => {
                format!("[{name}]:{port}")
            }
            (None, Host::Tcp { name, port, .. }) => format!("{name}:{port}"),
            (None, _) => "localhost".to_owned(),
        }
    }

    /// The engine without any context: `-H`, DOCKER_HOST or the default socket, and the TLS
    /// variables.
    fn from_environment(
        settings: &ConnectorSettings,
        config: Option<&Path>,
    ) -> Result<Self, ConnectError> {
        let verify = settings.variable("DOCKER_TLS_VERIFY").is_some();
        let tls = verify || settings.variable("DOCKER_TLS").is_some();
        let (address, who) = match (settings.host.as_deref(), settings.variable("DOCKER_HOST")) {
            (Some(host), _) if !host.is_empty() => (host, None),
            (_, Some(host)) => (host, Some("DOCKER_HOST")),
            // docker/cli: asking for TLS and naming no host means the local TLS port.
            _ if tls => ("tcp://localhost:2376", Some("DOCKER_TLS_VERIFY")),
            _ => (host::DEFAULT_HOST, None),
        };
        let host = host::parse(address, tls).map_err(|what| {
            let address = redact::address(address);
            settings_error(format!("engine address `{address}` {what}")).hint(ADDRESS_HINT)
        })?;
        let trust = match (&host, verify, tls) {
            (Host::Tcp { .. }, true, _) => Some(tls::Trust::CaFile),
            (Host::Tcp { .. }, false, true) => Some(tls::Trust::Nothing),
            (Host::Tcp { https: true, .. }, _, _) => Some(tls::Trust::CaFileOrSystem),
            _ => None,
        };
        let directory = settings.variable("DOCKER_CERT_PATH").map(Path::new).or(config);
        let tls = trust.map(|trust| tls::client_config(directory, trust)).transpose()?;
        Ok(Self::new(host, tls, who.map(str::to_owned), settings.clone()))
    }

    fn from_context(
        settings: &ConnectorSettings,
        config: &Path,
        name: &str,
        who: &str,
    ) -> Result<Self, ConnectError> {
        let endpoint = context::load(config, name)?;
        let address = if endpoint.host.is_empty() { host::DEFAULT_HOST } else { &endpoint.host };
        let with_tls = endpoint.certificates.is_some() || endpoint.skip_tls_verify;
        let host = host::parse(address, with_tls).map_err(|what| {
            let address = redact::address(address);
            settings_error(format!("engine address `{address}` of docker context `{name}` {what}"))
                .hint(ADDRESS_HINT)
        })?;
        let trust =
            if endpoint.skip_tls_verify { tls::Trust::Nothing } else { tls::Trust::CaFileOrSystem };
        let tls = match host {
            Host::Tcp { https, .. } if https || with_tls => {
                Some(tls::client_config(endpoint.certificates.as_deref(), trust)?)
            }
            _ => None,
        };
        Ok(Self::new(host, tls, Some(format!("docker context `{name}`, {who}")), settings.clone()))
    }

    fn new(
        host: Host,
        tls: Option<Arc<ClientConfig>>,
        who: Option<String>,
        settings: ConnectorSettings,
    ) -> Self {
        let description = match who {
            Some(who) => format!("{host} ({who})"),
            None => host.to_string(),
        };
        let context = context::DEFAULT_CONTEXT.to_owned();
        let route = ssh::to_engine(&host).map_or(Route::Direct, Route::Program);
        Self {
            inner: Arc::new(Inner {
                host,
                tls,
                server_name: None,
                peer: format!("the engine at {description}"),
                listener: Listener::Engine,
                route,
                description,
                notices: Vec::new(),
                context,
                settings,
                missing: native::MissingRoutes::default(),
            }),
        }
    }

    /// The engine's address and who named it, for messages: `tcp://build:2376 (DOCKER_HOST)`.
    pub fn description(&self) -> &str {
        &self.inner.description
    }

    /// What is there, for messages: `the engine at tcp://build:2376 (DOCKER_HOST)`.
    pub fn peer(&self) -> &str {
        &self.inner.peer
    }

    /// The engine's address as the docker CLI writes it, the key of `proxies` in its configuration.
    pub fn address(&self) -> String {
        self.inner.host.to_string()
    }

    /// What about docker's configuration and the choice of the engine the user may not expect, one
    /// sentence each.
    pub fn notices(&self) -> &[String] {
        &self.inner.notices
    }

    /// The name of the docker context that named the engine; `default` without one.
    pub fn context(&self) -> &str {
        &self.inner.context
    }

    /// The names of the docker contexts that the settings lead to.
    pub fn contexts(settings: &ConnectorSettings) -> Vec<String> {
        let config = docker_config::directory(&settings.environment, settings.home.as_deref());
        config.map(|config| context::names(&config)).unwrap_or_default()
    }
}

/// Which addresses there are.
const ADDRESS_HINT: &str = "addresses are unix:///path, tcp://host:port and ssh://user@host";

fn settings_error(message: impl Into<String>) -> ConnectError {
    ConnectError::new(ConnectErrorKind::Settings, message)
}

#[cfg(test)]
mod tests;
