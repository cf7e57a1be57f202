//! Asks the nodes of a builder what they are.

use std::error::Error;
use std::time::Duration;

use futures_util::future::join_all;

use super::open::{OpenBuildkit, OpenError, Opening, open};
use super::{Builder, Driver, Node, Pod};
use crate::buildkit::{About, Control};
use crate::engine::{ConnectError, ConnectorSettings};

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
            _ => by_itself(builder, node, engine, with_cache).await,
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
    Ok(Probe::Running(reach(&control, about, with_cache).await?))
}

/// One pod is asked what BuildKit is, which is the same in all; for the cache, all that run are.
async fn by_itself(
    builder: &Builder,
    node: &Node,
    engine: &ConnectorSettings,
    with_cache: bool,
) -> Result<Probe, String> {
    let most = if with_cache { usize::MAX } else { 1 };
    let opened =
        open(builder, node, "BuildKit", engine, most).await.map_err(|error| why(&error))?;
    let (buildkits, pods) = match opened {
        // The sum would be without it.
        Opening::Open { lost, .. } if !lost.is_empty() => return Err(why(&lost[0].error)),
        Opening::Open { buildkits, pods, .. } => (buildkits, pods),
        Opening::Stopped(state) => return Ok(Probe::Stopped(state)),
        Opening::NoPod(pods) => return Ok(Probe::NoPod(pods)),
        Opening::NotReached => return Ok(Probe::NotAsked),
    };
    let asked = buildkits.into_iter().map(|it| async move {
        let OpenBuildkit { control, about, .. } = it;
        reach(&control, about, with_cache).await
    });
    let mut first: Option<Reach> = None;
    for reach in join_all(asked).await {
        let reach = reach?;
        match &mut first {
            Some(first) => {
                first.cache_bytes = first.cache_bytes.zip(reach.cache_bytes).map(|(a, b)| a + b)
            }
            None => first = Some(reach),
        }
    }
    Ok(match first {
        Some(reach) => Probe::Running(Reach { pods, ..reach }),
        None => Probe::NoPod(pods),
    })
}

async fn reach(control: &Control, about: About, with_cache: bool) -> Result<Reach, String> {
    let cache_bytes = match with_cache {
        true => Some(control.cache_bytes().await.map_err(|error| error.message)?),
        false => None,
    };
    let About { version, platforms, .. } = about;
    Ok(Reach { version, platforms, cache_bytes, pods: Vec::new() })
}

fn why(error: &OpenError) -> String {
    match error {
        OpenError::Node(error) => error.message.clone(),
        OpenError::Engine { source, .. } => reason(source),
        OpenError::Buildkit { source, .. } => reason(source),
    }
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
