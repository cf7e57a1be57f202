//! Which builder a build goes to: those that `docker buildx` knows, its choice among them, and what one tells of itself.
//!
//! The order and the files are buildx's (`commands/root.go`, `builder/builder.go`, `store/store.go`). The files are read
//! and never written. Nothing but `probe.rs` asks anybody.

mod choice;
mod probe;
mod store;

use std::collections::BTreeMap;

pub use choice::{Choice, ChosenBy, UnknownBuilder, of_context};
pub use probe::{Probe, Reach, probe};
pub use store::Store;

use crate::engine::{Connector, ConnectorSettings};

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
