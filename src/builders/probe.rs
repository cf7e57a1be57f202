//! Asks the nodes of a builder what they are: the one part of the room that asks anybody.

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use super::{Driver, Node};
use crate::buildkit::{About, Control};
use crate::engine::{ConnectError, Connector, ConnectorSettings, Engine, TlsFiles};

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
            Driver::DockerContainer => in_container(node, engine).await,
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

/// The engine that a node's endpoint means: a docker context, an address, or without one the user's engine.
fn engine_of(node: &Node, engine: &ConnectorSettings) -> Result<Connector, String> {
    if node.endpoint.is_empty() {
        return Connector::resolve(engine).map_err(|error| error.message);
    }
    let is_address = node.endpoint.contains("://");
    let named = Some(node.endpoint.clone());
    let settings = ConnectorSettings {
        host: named.clone().filter(|_| is_address),
        context: named.filter(|_| !is_address),
        ..engine.clone()
    };
    Connector::resolve(&settings).map_err(|error| error.message)
}

async fn in_engine(
    node: &Node,
    engine: &ConnectorSettings,
    with_cache: bool,
) -> Result<Probe, String> {
    let connector = engine_of(node, engine)?;
    let control = Control::connect(&connector).await.map_err(|error| reason(&error))?;
    running(&control, with_cache).await
}

/// buildx calls the container after its node (`driver/docker-container`).
async fn in_container(node: &Node, engine: &ConnectorSettings) -> Result<Probe, String> {
    let connector = engine_of(node, engine)?;
    let containers = Engine::new(&connector).containers().await.map_err(|error| reason(&error))?;
    let name = format!("buildx_buildkit_{}", node.name);
    let Some(container) = containers.iter().find(|container| container.name == name) else {
        return Ok(Probe::Stopped("no container".to_owned()));
    };
    if !container.is_running() {
        return Ok(Probe::Stopped(container.state.clone()));
    }
    Ok(Probe::Running(Reach::default()))
}

async fn at_address(node: &Node, with_cache: bool) -> Result<Probe, String> {
    let option = |name: &str| node.options.get(name).filter(|value| !value.is_empty());
    let file = |name: &str| option(name).map(PathBuf::from);
    let files = TlsFiles {
        ca: file("cacert"),
        certificate: file("cert"),
        key: file("key"),
        server_name: option("servername").cloned(),
    };
    let files = Some(files).filter(|files| *files != TlsFiles::default());
    let connector =
        Connector::to_buildkit(&node.endpoint, files.as_ref()).map_err(|error| error.message)?;
    let control = Control::native(&connector).await.map_err(|error| reason(&error))?;
    running(&control, with_cache).await
}

async fn running(control: &Control, with_cache: bool) -> Result<Probe, String> {
    let About { version, platforms } = control.about().await.map_err(|error| error.message)?;
    let cache_bytes = match with_cache {
        true => Some(control.cache_bytes().await.map_err(|error| error.message)?),
        false => None,
    };
    Ok(Probe::Running(Reach { version, platforms, cache_bytes }))
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
