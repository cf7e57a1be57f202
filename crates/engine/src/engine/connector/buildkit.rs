//! Connectors to BuildKit that has no engine around it: at an address, in a container of an engine, or where a program leads.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::exec::{BuildkitContainer, WhenStopped};
use super::host::{self, Host};
use super::{
    ConnectError, Connector, ConnectorSettings, Inner, Listener, Route, TlsFiles, child, inside,
    native, settings_error, ssh, tls,
};
use crate::redact;

/// Which addresses there are.
const BUILDKIT_HINT: &str = "addresses are unix:///path, tcp://host:port, ssh://user@host, kube-pod://POD, \
     docker-container://NAME, podman-container://NAME and nerdctl-container://NAME";

impl Connector {
    /// A connector to what speaks BuildKit's gRPC itself at `address`: `unix://` or `tcp://`, what a program reaches (`ssh://`,
    /// `kube-pod://`, `podman-container://`, `nerdctl-container://`), or a container of a docker engine, which is that of
    /// `user` unless `docker-container://` names a context. With `files` it is reached over TLS: `ca`, `certificate` and `key`,
    /// and the name in its certificate. Messages call it `name`.
    ///
    /// # Errors
    /// The address cannot be understood, or the files cannot be used; those of [`Connector::resolve`].
    pub fn to_buildkit(
        name: &str,
        address: &str,
        files: Option<&TlsFiles>,
        user: &ConnectorSettings,
    ) -> Result<Self, ConnectError> {
        let shown = redact::address(address);
        let wrong = |what: &str| settings_error(format!("the address `{shown}` of {name} {what}"));
        if let Some(inside) = inside::docker_container(address) {
            let (container, context) = inside.map_err(|what| wrong(&what))?;
            if files.is_some() {
                return Err(wrong("takes no certificates: a docker engine reaches it"));
            }
            let engine = match context {
                None => Self::resolve(user)?,
                context => {
                    let settings = ConnectorSettings { host: None, context, ..user.clone() };
                    Self::resolve(&settings).map_err(|error| error.about(name))?
                }
            };
            let container = BuildkitContainer { name: container, when_stopped: WhenStopped::Fail };
            return Ok(Self::in_container(name, &engine, container));
        }
        let (host, program) = match inside::program(address) {
            Some(program) => {
                (Host::Inside(shown.clone()), Some(program.map_err(|what| wrong(&what))?))
            }
            None => {
                let host = host::parse(address, files.is_some()).map_err(|what| wrong(&what))?;
                let program = ssh::to_buildkit(&host);
                (host, program)
            }
        };
        let route = match program {
            Some(_) if files.is_some() => {
                return Err(wrong("takes no certificates: a program reaches it"));
            }
            Some(program) => Route::Program(program),
            None if matches!(host, Host::Unix(_) | Host::Tcp { .. }) => Route::Direct,
            None => {
                return Err(
                    wrong("has a scheme that BuildKit is not reached by").hint(BUILDKIT_HINT)
                );
            }
        };
        let identity = |files: &TlsFiles| tls::Identity {
            ca: files.ca.clone(),
            certificate: files.certificate.clone(),
            key: files.key.clone(),
        };
        let config = files
            .map(|files| tls::config_of(&identity(files), tls::Trust::CaFileOrSystem))
            .transpose()
            .map_err(|error| error.about(name))?
            .map(|config| tls::over_http2(&config));
        let mut connector = Self::new(host, config, None, ConnectorSettings::default());
        if let Some(inner) = Arc::get_mut(&mut connector.inner) {
            inner.server_name = files.and_then(|files| files.server_name.clone());
            inner.route = route;
            inner.peer = format!("{name} at {}", inner.description);
            inner.listener = Listener::Buildkit;
        }
        Ok(connector)
    }

    /// A connector to BuildKit in `container` of the engine behind `engine`, which is started where it does not run. Messages
    /// call it `name`.
    pub fn to_container(name: &str, engine: &Self, container: &str) -> Self {
        let container = container.to_owned();
        let when_stopped = WhenStopped::Start;
        Self::in_container(name, engine, BuildkitContainer { name: container, when_stopped })
    }

    fn in_container(name: &str, engine: &Self, container: BuildkitContainer) -> Self {
        let inner = &*engine.inner;
        let description = format!("container `{}` of {}", container.name, inner.peer);
        Self {
            inner: Arc::new(Inner {
                host: inner.host.clone(),
                tls: inner.tls.clone(),
                server_name: inner.server_name.clone(),
                peer: format!("{name} in {description}"),
                description,
                listener: Listener::Buildkit,
                route: Route::Container(container),
                notices: Vec::new(),
                context: inner.context.clone(),
                settings: inner.settings.clone(),
                missing: native::MissingRoutes::default(),
            }),
        }
    }

    /// A connector to BuildKit that `program` reaches, in `place`. Messages call it `peer`.
    pub(super) fn through(
        program: child::Program,
        environment: &BTreeMap<String, String>,
        peer: &str,
        place: String,
    ) -> Self {
        let settings =
            ConnectorSettings { environment: environment.clone(), ..ConnectorSettings::default() };
        let mut connector = Self::new(Host::Inside(place), None, None, settings);
        if let Some(inner) = Arc::get_mut(&mut connector.inner) {
            peer.clone_into(&mut inner.peer);
            inner.route = Route::Program(program);
            inner.listener = Listener::Buildkit;
        }
        connector
    }

    /// The engine that the container is in.
    pub(super) fn around(&self) -> Self {
        let inner = &*self.inner;
        let mut engine =
            Self::new(inner.host.clone(), inner.tls.clone(), None, inner.settings.clone());
        if let Some(of_engine) = Arc::get_mut(&mut engine.inner) {
            of_engine.server_name.clone_from(&inner.server_name);
        }
        engine
    }
}
