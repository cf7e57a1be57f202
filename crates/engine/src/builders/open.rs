//! Opens the BuildKits of a node, all of them: what is asked of a cache is asked of each pod. Nothing is started for that.

use futures_util::future::join_all;

use super::{Builder, Driver, Node, Pod};
use crate::buildkit::{About, Control, TransportError};
use crate::engine::{ConnectError, Connector, ConnectorSettings, Engine, EngineError};

/// What there is of a node.
pub enum Opening {
    /// BuildKit has answered.
    Open {
        /// It, in each pod where it has, if it is in pods.
        buildkits: Vec<OpenBuildkit>,
        /// Pods that run, and in which it has not.
        lost: Vec<LostPod>,
        /// All pods.
        pods: Vec<Pod>,
    },
    /// Its container is not running: the container's state.
    Stopped(String),
    /// None of its pods runs.
    NoPod(Vec<Pod>),
    /// This program does not reach nodes of this kind.
    NotReached,
}

/// A BuildKit that has answered.
#[derive(Clone)]
pub struct OpenBuildkit {
    /// How it is reached.
    pub connector: Connector,
    /// The pod that it is in, if it is in one.
    pub pod: Option<String>,
    /// The connection.
    pub control: Control,
    /// What it said of itself.
    pub about: About,
}

/// A pod that runs, and whose BuildKit does not answer.
#[derive(Debug)]
pub struct LostPod {
    /// Its name.
    pub pod: String,
    /// Why.
    pub error: OpenError,
}

/// Why a node could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Its address or options cannot be understood, or kubectl cannot ask.
    #[error(transparent)]
    Node(#[from] ConnectError),
    /// The engine that its container is in does not answer.
    #[error("{source}")]
    Engine {
        /// How that is reached.
        connector: Connector,
        /// What it says.
        source: EngineError,
    },
    /// It does not answer.
    #[error("{source}")]
    Buildkit {
        /// How it is reached.
        connector: Connector,
        /// What comes instead.
        source: TransportError,
    },
}

/// Opens `node` of `builder`, which messages call `name`. `most` pods are opened at most.
///
/// # Errors
/// It cannot be reached, or none of its pods that run can.
pub async fn open(
    builder: &Builder,
    node: &Node,
    name: &str,
    user: &ConnectorSettings,
    most: usize,
) -> Result<Opening, OpenError> {
    match builder.driver {
        Driver::DockerContainer => in_container(node, name, user).await,
        Driver::Remote => Ok(alone(introduced(node.buildkit(name, user)?, None).await?)),
        Driver::Kubernetes => in_pods(&builder.name, node, name, user, most).await,
        Driver::Docker | Driver::Other(_) => Ok(Opening::NotReached),
    }
}

/// A node of one BuildKit.
fn alone(buildkit: OpenBuildkit) -> Opening {
    Opening::Open { buildkits: vec![buildkit], lost: Vec::new(), pods: Vec::new() }
}

async fn introduced(connector: Connector, pod: Option<String>) -> Result<OpenBuildkit, OpenError> {
    match Control::introduce(&connector).await {
        Ok((control, about)) => Ok(OpenBuildkit { connector, pod, control, about }),
        Err(source) => Err(OpenError::Buildkit { connector, source }),
    }
}

/// A container that is not running is not started to be asked.
async fn in_container(
    node: &Node,
    name: &str,
    user: &ConnectorSettings,
) -> Result<Opening, OpenError> {
    let connector = node.engine(user)?;
    let containers = match Engine::new(&connector).containers().await {
        Ok(containers) => containers,
        Err(source) => return Err(OpenError::Engine { connector, source }),
    };
    let wanted = node.container();
    let Some(container) = containers.iter().find(|container| container.name == wanted) else {
        return Ok(Opening::Stopped("no container".to_owned()));
    };
    if !container.is_running() {
        return Ok(Opening::Stopped(container.state.clone()));
    }
    let inside = node.in_container(name, user)?;
    Ok(alone(introduced(inside, None).await?))
}

async fn in_pods(
    builder: &str,
    node: &Node,
    name: &str,
    user: &ConnectorSettings,
    most: usize,
) -> Result<Opening, OpenError> {
    let pods = node.pods(builder, name, user)?;
    let all = pods.list().await?;
    let opened = all.iter().filter(|pod| pod.is_running).take(most).map(|pod| async {
        let connector = pods.inside(pod).map_err(OpenError::from);
        let opened = match connector {
            Ok(connector) => introduced(connector, Some(pod.name.clone())).await,
            Err(error) => Err(error),
        };
        opened.map_err(|error| LostPod { pod: pod.name.clone(), error })
    });
    let (mut buildkits, mut lost) = (Vec::new(), Vec::new());
    for opened in join_all(opened).await {
        match opened {
            Ok(buildkit) => buildkits.push(buildkit),
            Err(pod) => lost.push(pod),
        }
    }
    match (buildkits.is_empty(), lost.is_empty()) {
        (true, true) => Ok(Opening::NoPod(all)),
        (true, false) => Err(lost.swap_remove(0).error),
        (false, _) => Ok(Opening::Open { buildkits, lost, pods: all }),
    }
}
