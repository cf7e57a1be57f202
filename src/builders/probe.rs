//! Asks the nodes of a builder what they are: the one part of the room that asks anybody.

use std::error::Error;
use std::time::Duration;

use futures_util::future::join_all;

use super::{Builder, Driver, Node, Pod};
use crate::buildkit::{About, Control};
use crate::engine::{ConnectError, ConnectorSettings, Engine};

/// What a node is found to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Probe {
    /// It answers.
    Running(Reach),
    /// Its container is not running: the container's state.
    Stopped(String),
    /// None of its pods runs.
    NoPod(Vec<Pod>),
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
    /// The sum of its build cache, where it was asked; that of all pods that run.
    pub cache_bytes: Option<u64>,
    /// Its pods, if it is in some.
    pub pods: Vec<Pod>,
}

/// Asks `node` of `builder`, and waits no longer than `limit`. `engine` says how the user's engines are reached.
pub async fn probe(
    builder: &Builder,
    node: &Node,
    engine: &ConnectorSettings,
    with_cache: bool,
    limit: Duration,
) -> Probe {
    let asked = async {
        match builder.driver {
            Driver::Docker => in_engine(node, engine, with_cache).await,
            Driver::DockerContainer => in_container(node, engine, with_cache).await,
            Driver::Remote => at_address(node, with_cache).await,
            Driver::Kubernetes => in_pods(&builder.name, node, engine, with_cache).await,
            Driver::Other(_) => Ok(Probe::NotAsked),
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

/// One pod is asked what BuildKit is, which is the same in all; for the cache, all that run are.
async fn in_pods(
    builder: &str,
    node: &Node,
    user: &ConnectorSettings,
    with_cache: bool,
) -> Result<Probe, String> {
    let said = |error: ConnectError| error.message;
    let pods = node.pods(builder, "BuildKit", user).map_err(said)?;
    let all = pods.list().await.map_err(said)?;
    let most = if with_cache { all.len() } else { 1 };
    let asked = all.iter().filter(|pod| pod.is_running).take(most).map(|pod| async {
        let inside = pods.inside(pod).map_err(said)?;
        let (control, about) = Control::introduce(&inside).await.map_err(|error| reason(&error))?;
        running(&control, about, with_cache).await
    });
    let mut first: Option<Reach> = None;
    for answer in join_all(asked).await {
        let Probe::Running(reach) = answer? else { continue };
        match &mut first {
            Some(first) => {
                first.cache_bytes = first.cache_bytes.zip(reach.cache_bytes).map(|(a, b)| a + b)
            }
            None => first = Some(reach),
        }
    }
    Ok(match first {
        Some(reach) => Probe::Running(Reach { pods: all, ..reach }),
        None => Probe::NoPod(all),
    })
}

async fn running(control: &Control, about: About, with_cache: bool) -> Result<Probe, String> {
    let cache_bytes = match with_cache {
        true => Some(control.cache_bytes().await.map_err(|error| error.message)?),
        false => None,
    };
    let About { version, platforms, .. } = about;
    Ok(Probe::Running(Reach { version, platforms, cache_bytes, pods: Vec::new() }))
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
