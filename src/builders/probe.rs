//! Asks the nodes of a builder what they are: the one part of the room that asks anybody.

use std::error::Error;
use std::time::Duration;

use super::{Driver, Node};
use crate::buildkit::{About, Control};
use crate::engine::{ConnectError, ConnectorSettings, Engine};

/// What a node is found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// It answers.
    Running(Reach),
    /// Its container is not running: the container's state.
    Stopped(String),
    /// It does not answer, and why.
    Unreachable(String),
    /// This program does not ask nodes of this kind.
    NotAsked,
}

/// What a node that answers tells.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// BuildKit's release; `None` where it does not tell.
    pub version: Option<String>,
    /// Platforms that it builds for, the machine's own first.
    pub platforms: Vec<String>,
    /// The sum of its build cache, where it was asked.
    pub cache_bytes: Option<u64>,
}

/// Asks `node`, and waits no longer than `limit`. `engine` says how the user's engines are reached.
pub async fn probe(
    driver: &Driver,
    node: &Node,
    engine: &ConnectorSettings,
    with_cache: bool,
    limit: Duration,
) -> Probe {
    let asked = async {
        match driver {
            Driver::Docker => in_engine(node, engine, with_cache).await,
            Driver::DockerContainer => in_container(node, engine, with_cache).await,
            Driver::Remote => at_address(node, with_cache).await,
            Driver::Kubernetes | Driver::Other(_) => Ok(Probe::NotAsked),
        }
    };
    match tokio::time::timeout(limit, asked).await {
        Ok(Ok(probe)) => probe,
        Ok(Err(why)) => Probe::Unreachable(why),
        Err(_) => Probe::Unreachable(format!("no answer within {} s", limit.as_secs())),
    }
}

async fn in_engine(
    node: &Node,
    engine: &ConnectorSettings,
    with_cache: bool,
) -> Result<Probe, String> {
    let connector = node.engine(engine).map_err(|error| error.message)?;
    let control = Control::connect(&connector).await.map_err(|error| reason(&error))?;
    let about = control.about().await.map_err(|error| error.message)?;
    running(&control, about, with_cache).await
}

/// A container that is not running is not started to be asked.
async fn in_container(
    node: &Node,
    engine: &ConnectorSettings,
    with_cache: bool,
) -> Result<Probe, String> {
    let connector = node.engine(engine).map_err(|error| error.message)?;
    let containers = Engine::new(&connector).containers().await.map_err(|error| reason(&error))?;
    let name = node.container();
    let Some(container) = containers.iter().find(|container| container.name == name) else {
        return Ok(Probe::Stopped("no container".to_owned()));
    };
    if !container.is_running() {
        return Ok(Probe::Stopped(container.state.clone()));
    }
    let inside = node.in_container("BuildKit", engine).map_err(|error| error.message)?;
    let (control, about) = Control::introduce(&inside).await.map_err(|error| reason(&error))?;
    running(&control, about, with_cache).await
}

async fn at_address(node: &Node, with_cache: bool) -> Result<Probe, String> {
    let connector = node.buildkit("BuildKit").map_err(|error| error.message)?;
    let (control, about) = Control::introduce(&connector).await.map_err(|error| reason(&error))?;
    running(&control, about, with_cache).await
}

async fn running(control: &Control, about: About, with_cache: bool) -> Result<Probe, String> {
    let cache_bytes = match with_cache {
        true => Some(control.cache_bytes().await.map_err(|error| error.message)?),
        false => None,
    };
    Ok(Probe::Running(Reach { version: about.version, platforms: about.platforms, cache_bytes }))
}

/// The innermost thing that an error says.
fn reason(error: &(dyn Error + 'static)) -> String {
    if let Some(found) = ConnectError::find(error) {
        return found.message.clone();
    }
    let mut innermost = error;
    while let Some(cause) = innermost.source() {
        innermost = cause;
    }
    innermost.to_string()
}
