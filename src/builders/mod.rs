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
pub struct Known {
    /// What buildx's files say.
    pub store: Store,
    /// How the user's engines are reached.
    pub settings: ConnectorSettings,
    /// The docker contexts that there are.
    contexts: Vec<String>,
    /// The docker context of the engine; `default` where none is used.
    context: String,
    /// The engine's address.
    address: String,
}

impl Known {
    /// Reads what there is for somebody whose engine is that of `connector`.
    pub fn read(settings: ConnectorSettings, connector: &Connector) -> Self {
        let directory = store::directory(&settings.environment, settings.home.as_deref());
        Self {
            store: directory.map(|directory| Store::read(&directory)).unwrap_or_default(),
            contexts: Connector::contexts(&settings),
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
        let wanted = choice::Wanted {
            option,
            environment: &self.settings.environment,
            context: &self.context,
            address: &self.address,
            contexts: &self.contexts,
        };
        choice::choose(&self.store, wanted)
    }

    /// The builders within engines: the name of each, and whether it is the user's engine.
    pub fn engines(&self) -> impl Iterator<Item = (&str, bool)> {
        let own = [self.context.as_str()].into_iter();
        let default = [choice::DEFAULT].into_iter().filter(|it| *it != self.context);
        let others = self.contexts.iter().map(String::as_str);
        let others = others.filter(|it| *it != self.context && *it != choice::DEFAULT);
        own.map(|it| (it, true)).chain(default.chain(others).map(|it| (it, false)))
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
