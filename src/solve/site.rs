//! Where a run's solves go, and the docker engine that its images end up in. One is not always the other: BuildKit at a
//! node of a builder has no engine around it, and what it makes is loaded into an engine or goes elsewhere.

use std::sync::Arc;

use crate::buildkit::{About, Control, TransportError};
use crate::engine::{Connector, Engine};
use crate::error::{CommandError, ExitKind};
use crate::progress::FailureKind;
use crate::progress::outcome::BuildFailure;
use crate::solve::loading::{BlobLease, ByLayers};
use crate::solve::starting;
use crate::unreachable::unreachable;

/// Where solves go.
#[derive(Clone)]
pub enum Site {
    /// BuildKit within a docker engine, whose images they become.
    Engine(DockerEngine),
    /// BuildKit by itself.
    Node(NodeSite),
    /// Several nodes of a builder, among which the plan is shared; two at least.
    Nodes(Vec<NodeSite>),
}

/// A docker engine, and how it is reached.
#[derive(Clone)]
pub struct DockerEngine {
    /// How it is reached.
    pub connector: Connector,
    /// Its API.
    pub engine: Engine,
}

impl DockerEngine {
    /// The engine behind `connector`.
    pub fn new(connector: &Connector) -> Self {
        Self { connector: connector.clone(), engine: Engine::new(connector) }
    }
}

/// BuildKit at a node of a builder.
#[derive(Clone)]
pub struct NodeSite {
    /// How it is reached.
    pub connector: Connector,
    /// Builder and node as buildx has them in references of builds: `BUILDER/NODE`.
    pub name: String,
    /// The engine of the user, into which images are loaded.
    pub engine: DockerEngine,
    /// When they are.
    pub load: Load,
    /// The connection, and what BuildKit said of itself, where somebody had to try whether it is there.
    pub opened: Option<Box<(Control, About)>>,
}

/// When images of a builder are loaded into the user's engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Load {
    /// Where they are not pushed, and the engine is there.
    #[default]
    IfThere,
    /// Always.
    Asked,
}

impl Site {
    /// How BuildKit is reached.
    pub fn connector(&self) -> &Connector {
        match self {
            Self::Engine(engine) => &engine.connector,
            Self::Node(node) => &node.connector,
            Self::Nodes(nodes) => &nodes[0].connector,
        }
    }
}

impl NodeSite {
    /// Opens the connection, unless it is open, and asks BuildKit what it is.
    ///
    /// # Errors
    /// It cannot be reached, or is not BuildKit.
    pub async fn introduce(&self) -> Result<(Control, About), CommandError> {
        match &self.opened {
            Some(opened) => Ok((**opened).clone()),
            None => {
                let introduced = Control::introduce(&self.connector).await;
                introduced.map_err(|error| self.unreachable(error))
            }
        }
    }

    /// What it means that it cannot be reached.
    pub fn unreachable(&self, error: TransportError) -> CommandError {
        unreachable_buildkit(&self.connector, error)
    }
}

/// BuildKit that solves go to, as it was found.
#[derive(Clone)]
pub struct SolvePlace {
    /// The connection.
    pub control: Control,
    /// What is around it.
    pub surroundings: Surroundings,
    /// What it says of itself, where it is not within an engine.
    pub about: Option<About>,
}

/// What it means that BuildKit by itself cannot be reached.
pub fn unreachable_buildkit(connector: &Connector, error: TransportError) -> CommandError {
    let TransportError::NotBuildkit(why) = error else {
        return unreachable(connector, error);
    };
    let message = format!("cannot talk to {}: {why}", connector.peer());
    CommandError::new(ExitKind::EngineUnreachable, message)
        .hint("is it BuildKit that listens there, and does it expect TLS?")
}

/// What the executor needs besides BuildKit itself.
#[derive(Clone)]
pub struct Surroundings {
    /// The engine that images are in at the end, where they get into one.
    pub engine: Option<Engine>,
    /// How they get there by their layers, where they do.
    pub(super) by_layers: Option<ByLayers>,
    /// The node that solves go to, if that is not the engine.
    node: Option<SolvingNode>,
}

#[derive(Clone)]
struct SolvingNode {
    name: String,
    peer: String,
    loses_cancels: bool,
}

impl Surroundings {
    /// Of solves within an engine.
    pub fn of_engine(engine: Engine) -> Self {
        Self { engine: Some(engine), by_layers: None, node: None }
    }

    /// Of solves at `site`, which says `about` itself. Images are loaded into the user's engine if `loads`, by their layers
    /// where these are `kept`.
    pub(super) fn of_node(
        site: &NodeSite,
        about: &About,
        loads: bool,
        kept: Option<Arc<BlobLease>>,
    ) -> Self {
        let node = SolvingNode {
            name: site.name.clone(),
            peer: site.connector.peer().to_owned(),
            loses_cancels: about.version.as_deref().is_none_or(starting::buildkit_loses_cancels),
        };
        let DockerEngine { connector, engine } = site.engine.clone();
        let by_layers = kept.filter(|_| loads);
        let by_layers = by_layers.map(|kept| ByLayers { connector, engine: engine.clone(), kept });
        Self { engine: loads.then_some(engine), by_layers, node: Some(node) }
    }

    /// What buildx writes before the id of a build: BUILDER/NODE. The engine's own builder is called `default`.
    pub(super) fn builder(&self) -> &str {
        self.node.as_ref().map_or("default/default", |node| &node.name)
    }

    /// Ends once it is known that a cancel is not lost while a step starts; never otherwise.
    pub(super) async fn keep_cancels(&self) {
        let keeps = match (&self.node, &self.engine) {
            (Some(node), _) => !node.loses_cancels,
            (None, Some(engine)) => {
                engine.version().await.is_ok_and(|release| !starting::loses_cancels(&release))
            }
            (None, None) => false,
        };
        if !keeps {
            std::future::pending().await
        }
    }

    /// Says which builder was lost, where it is not the engine.
    pub(super) fn name_lost(&self, mut failure: BuildFailure) -> BuildFailure {
        if let (FailureKind::EngineLost, Some(node)) = (failure.kind, &self.node) {
            failure.message = format!("the connection to {} was lost during the build", node.peer);
            let hint = "check that it is running, then build again: finished steps are cached";
            failure.hint = Some(hint.to_owned());
        }
        failure
    }
}
