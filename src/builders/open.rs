//! Opens the BuildKits of a node, all of them: what is asked of a cache is asked of each pod. Nothing is started for that.

use futures_util::future::join_all;

use super::{Builder, Driver, Node, Pod};
use crate::buildkit::{About, Control, TransportError};
use crate::engine::{ConnectError, Connector, ConnectorSettings, Engine, EngineError};

/// What there is of a node.
pub enum Opening {
    /// BuildKit has answered, in each of its pods if it is in some.
    Open(Vec<OpenBuildkit>, Vec<Pod>),
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
/// It cannot be reached, or one of its pods cannot.
pub async fn open(
    builder: &Builder,
    node: &Node,
    name: &str,
    user: &ConnectorSettings,
    most: usize,
) -> Result<Opening, OpenError> {
    match builder.driver {
        Driver::DockerContainer => in_container(node, name, user).await,
        Driver::Remote => {
            let buildkit = introduced(node.buildkit(name)?, None).await?;
            Ok(Opening::Open(vec![buildkit], Vec::new()))
        }
        Driver::Kubernetes => in_pods(&builder.name, node, name, user, most).await,
        Driver::Docker | Driver::Other(_) => Ok(Opening::NotReached),
    }
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
    Ok(Opening::Open(vec![introduced(inside, None).await?], Vec::new()))
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
    let opened = all
        .iter()
        .filter(|pod| pod.is_running)
        .take(most)
        .map(|pod| async { introduced(pods.inside(pod)?, Some(pod.name.clone())).await });
    let opened = join_all(opened).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    Ok(match opened.is_empty() {
        true => Opening::NoPod(all),
        false => Opening::Open(opened, all),
    })
}
