//! Which builder a build goes to: those that `docker buildx` knows, its choice among them, and what one tells of itself.
//!
//! The order and the files are buildx's (`commands/root.go`, `builder/builder.go`, `store/store.go`). The files are read
//! and never written. Nothing but `open.rs` and `probe.rs` asks BuildKit.

mod choice;
mod cluster;
mod open;
mod pods;
mod probe;
mod refs;
mod ring;
mod share;
mod store;

use std::collections::BTreeMap;
use std::path::PathBuf;

pub use choice::{Choice, ChosenBy, UnknownBuilder, of_context};
pub use cluster::Pod;
pub use open::{LostPod, OpenBuildkit, OpenError, Opening, open};
pub use pods::{Choosing, ChosenPod, Pods};
pub use probe::{Probe, Reach, probe};
pub use refs::Origin;
pub use share::share;
pub use store::Store;

use crate::engine::{ConnectError, Connector, ConnectorSettings, TlsFiles};

/// What there is to choose from.
#[derive(Debug, Clone)]
pub struct Catalog {
    /// The builders of buildx.
    pub store: Store,
    /// How the user's engines are reached; its docker contexts are builders, too.
    pub settings: ConnectorSettings,
    /// The docker context of the engine; `default` where none is used.
    context: String,
    /// The engine's address.
    address: String,
}

impl Catalog {
    /// What there is for somebody whose engine is that of `connector`. Nothing is read yet.
    pub fn new(settings: ConnectorSettings, connector: &Connector) -> Self {
        let directory = store::directory(&settings.environment, settings.home.as_deref());
        Self {
            store: Store::new(directory),
            context: connector.context().to_owned(),
            address: connector.address(),
            settings,
        }
    }

    /// The builder that a build would go to. `option` is that of the command line.
    ///
    /// # Errors
    /// A name that no builder has.
    pub fn choose(&self, option: Option<&str>) -> Result<Choice, UnknownBuilder> {
        let contexts = || Connector::contexts(&self.settings);
        let criteria = choice::Criteria {
            option,
            environment: &self.settings.environment,
            context: &self.context,
            address: &self.address,
            contexts: &contexts,
        };
        choice::choose(&self.store, &criteria)
    }

    /// Where a build for `platforms` goes that has this choice; `None` where this program cannot reach builders of the kind.
    ///
    /// # Errors
    /// The address of a node cannot be understood, or files for TLS cannot be used.
    pub fn destination(
        &self,
        choice: &Choice,
        platforms: &[String],
    ) -> Result<Option<Destination>, ConnectError> {
        if choice.is_engine {
            return Ok(Some(Destination::OwnEngine));
        }
        let builder = &choice.builder;
        if builder.is_shared(platforms) {
            let mut nodes = Vec::new();
            for node in &builder.nodes {
                let Some(destination) = self.at(choice, node)? else { return Ok(None) };
                let (name, given) = (node.name.clone(), node.platforms.clone());
                nodes.push(NodeOffer { name, destination, given });
            }
            return Ok(Some(Destination::Nodes(nodes)));
        }
        match builder.node_for(platforms) {
            Some(node) => self.at(choice, node),
            None => Ok(None),
        }
    }

    /// Where a build goes that goes to `node`.
    fn at(&self, choice: &Choice, node: &Node) -> Result<Option<Destination>, ConnectError> {
        let builder = &choice.builder;
        let name = choice.node_name(node);
        let connector = match builder.driver {
            // What is set for the user's engine is not for another one.
            Driver::Docker => {
                node.engine(&ConnectorSettings { host: None, ..self.settings.clone() })?
            }
            Driver::Remote => node.buildkit(&name, &self.settings)?,
            Driver::DockerContainer => node.in_container(&name, &self.settings)?,
            Driver::Kubernetes => {
                let pods = node.pods(&builder.name, &name, &self.settings)?;
                return Ok(Some(Destination::Pods(pods)));
            }
            Driver::Other(_) => return Ok(None),
        };
        Ok(Some(match builder.driver {
            Driver::Docker => Destination::Engine(connector),
            _ => {
                Destination::Buildkit { connector, name: format!("{}/{}", builder.name, node.name) }
            }
        }))
    }

    /// The builders within engines: the name of each, and whether it is the user's engine.
    pub fn engines(&self) -> Vec<(String, bool)> {
        let mut others = vec![choice::DEFAULT.to_owned()];
        others.extend(
            Connector::contexts(&self.settings).into_iter().filter(|it| it != choice::DEFAULT),
        );
        others.retain(|it| *it != self.context);
        let others = others.into_iter().map(|it| (it, false));
        std::iter::once((self.context.clone(), true)).chain(others).collect()
    }
}

/// Where a build goes.
#[derive(Debug, Clone)]
pub enum Destination {
    /// The user's engine.
    OwnEngine,
    /// Another docker engine.
    Engine(Connector),
    /// BuildKit by itself.
    Buildkit {
        /// How it is reached.
        connector: Connector,
        /// `BUILDER/NODE`.
        name: String,
    },
    /// BuildKit in one of these pods.
    Pods(Pods),
    /// These nodes, of which none was given all platforms.
    Nodes(Vec<NodeOffer>),
}

/// A node that could build a part.
#[derive(Debug, Clone)]
pub struct NodeOffer {
    /// Its name.
    pub name: String,
    /// How it is reached.
    pub destination: Destination,
    /// Platforms that the user gave it.
    pub given: Vec<String>,
}

/// A builder: nodes of one kind under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Builder {
    /// Its name; that of a docker context for the builder within an engine.
    pub name: String,
    /// How its nodes are reached.
    pub driver: Driver,
    /// Its nodes, in the order in which buildx asks them.
    pub nodes: Vec<Node>,
}

impl Builder {
    /// The node for builds for `platforms`: the first that was given all of them, else the first.
    fn node_for(&self, platforms: &[String]) -> Option<&Node> {
        self.nodes.iter().find(|node| node.has_all(platforms)).or_else(|| self.nodes.first())
    }

    /// Whether builds for `platforms` may be shared among the nodes: none was given all of them.
    fn is_shared(&self, platforms: &[String]) -> bool {
        // An engine is one node.
        let is_one = self.driver == Driver::Docker || self.nodes.len() < 2 || platforms.is_empty();
        !is_one && !self.nodes.iter().any(|node| node.has_all(platforms))
    }
}

/// How the nodes of a builder are reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Driver {
    /// BuildKit within a docker engine.
    Docker,
    /// BuildKit in a container of a docker engine.
    DockerContainer,
    /// BuildKit in pods.
    Kubernetes,
    /// BuildKit behind an address.
    Remote,
    /// One that this program does not know.
    Other(String),
}

impl Driver {
    fn new(name: &str) -> Self {
        match name {
            "docker" => Self::Docker,
            "docker-container" => Self::DockerContainer,
            "kubernetes" => Self::Kubernetes,
            "remote" => Self::Remote,
            other => Self::Other(other.to_owned()),
        }
    }

    /// The name that buildx has for it.
    pub fn name(&self) -> &str {
        match self {
            Self::Docker => "docker",
            Self::DockerContainer => "docker-container",
            Self::Kubernetes => "kubernetes",
            Self::Remote => "remote",
            Self::Other(name) => name,
        }
    }
}

/// A node of a builder.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    /// Its name.
    pub name: String,
    /// A docker context, the address of an engine or of BuildKit, or what the driver makes of it.
    pub endpoint: String,
    /// Platforms that the user gave it, such as `linux/arm64`.
    pub platforms: Vec<String>,
    /// Options of its driver.
    pub options: BTreeMap<String, String>,
}

impl Node {
    /// Whether it was given all of `platforms`, which are some.
    fn has_all(&self, platforms: &[String]) -> bool {
        let offers = std::slice::from_ref(&self.platforms);
        !platforms.is_empty() && share(platforms, offers).iter().all(Option::is_some)
    }

    /// How the engine is reached that the endpoint means: a docker context, an address, or without one the user's engine.
    ///
    /// # Errors
    /// Those of [`Connector::resolve`].
    fn engine(&self, user: &ConnectorSettings) -> Result<Connector, ConnectError> {
        if self.endpoint.is_empty() {
            return Connector::resolve(user);
        }
        let is_address = self.endpoint.contains("://");
        let named = Some(self.endpoint.clone());
        Connector::resolve(&ConnectorSettings {
            host: named.clone().filter(|_| is_address),
            context: named.filter(|_| !is_address),
            ..user.clone()
        })
    }

    /// How BuildKit in the node's container is reached, which messages call `name`. buildx calls the container after the
    /// node (`driver/docker-container`).
    ///
    /// # Errors
    /// Those of [`Connector::resolve`].
    pub fn in_container(
        &self,
        name: &str,
        user: &ConnectorSettings,
    ) -> Result<Connector, ConnectError> {
        Ok(Connector::to_container(name, &self.engine(user)?, &self.container()))
    }

    /// The name of its container, if it is in one.
    fn container(&self) -> String {
        format!("buildx_buildkit_{}", self.name)
    }

    /// Its pods, which messages call `name`, of the builder `builder`.
    ///
    /// # Errors
    /// Its endpoint, name or options cannot be understood.
    pub fn pods(
        &self,
        builder: &str,
        name: &str,
        user: &ConnectorSettings,
    ) -> Result<Pods, ConnectError> {
        Pods::new(builder, self, name, user)
    }

    /// How BuildKit at the node's address is reached, which messages call `name`.
    ///
    /// # Errors
    /// The address cannot be understood, or files for TLS cannot be used; those of [`Connector::resolve`].
    pub fn buildkit(
        &self,
        name: &str,
        user: &ConnectorSettings,
    ) -> Result<Connector, ConnectError> {
        let option = |name: &str| self.options.get(name).filter(|value| !value.is_empty());
        let file = |name: &str| option(name).map(PathBuf::from);
        let files = TlsFiles {
            ca: file("cacert"),
            certificate: file("cert"),
            key: file("key"),
            server_name: option("servername").cloned(),
        };
        let files = Some(files).filter(|files| *files != TlsFiles::default());
        Connector::to_buildkit(name, &self.endpoint, files.as_ref(), user)
    }
}
