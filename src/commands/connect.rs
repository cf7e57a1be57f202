//! The engine a command talks to, and what its errors mean to the user.

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::time::Duration;

use crate::buildkit::TransportError;
use crate::cli::GlobalArgs;
use crate::commands::environment::Environment;
use crate::diagnose;
use crate::engine::docker_config::{self, DockerConfig};
use crate::engine::{ConnectError, Connector, ConnectorSettings, EngineError};
use crate::error::{CommandError, ExitKind};
use crate::inventory::EngineFacts;
use crate::measure::Disk;
use crate::terminal::format;

/// The engine that the options and the environment mean.
///
/// # Errors
/// They contradict each other, or name something that does not exist.
pub fn connector(
    global: &GlobalArgs,
    environment: &Environment,
) -> Result<Connector, CommandError> {
    let settings = ConnectorSettings {
        host: global.host.clone(),
        context: global.context.clone(),
        environment: environment.variables.clone(),
        home: environment.home.clone(),
    };
    Ok(Connector::resolve(&settings)?)
}

/// The user's docker configuration; the default one where there is none. What of it cannot be used
/// stands in [`Connector::notices`] of the engine.
pub fn docker_config(environment: &Environment) -> DockerConfig {
    docker_config::directory(&environment.variables, environment.home.as_deref())
        .map_or_else(DockerConfig::default, |directory| DockerConfig::load(&directory))
        .with_logins_of(&environment.variables)
}

/// The proxies that docker's configuration has for builds on this engine, as build arguments.
///
/// # Errors
/// The choice of an engine is invalid.
pub fn proxy_args(
    global: &GlobalArgs,
    environment: &Environment,
) -> Result<BTreeMap<String, String>, CommandError> {
    let config = docker_config(environment);
    if config.proxies.is_empty() {
        return Ok(BTreeMap::new());
    }
    Ok(config.proxy_args(&connector(global, environment)?.address()))
}

/// An Engine API error as the user sees it.
pub fn engine_error(connector: &Connector, error: &EngineError) -> CommandError {
    unreachable(connector, error)
}

/// A BuildKit connection error as the user sees it.
pub fn transport_error(connector: &Connector, error: &TransportError) -> CommandError {
    unreachable(connector, error)
}

/// An engine that was waited for in vain.
pub(super) fn silent(connector: &Connector, waited: Duration) -> CommandError {
    let message = format!(
        "timed out: the engine at {} was silent for {}",
        connector.description(),
        format::seconds(waited.as_secs_f64())
    );
    CommandError::new(ExitKind::EngineUnreachable, message)
        .hint("is it frozen, or very busy? `--timeout` says how long to wait for it")
}

fn unreachable(connector: &Connector, error: &(dyn Error + 'static)) -> CommandError {
    match ConnectError::find(error) {
        Some(found) => found.clone().into(),
        None => {
            let message = format!("failed to talk to the engine at {}", connector.description());
            let error = CommandError::new(ExitKind::EngineUnreachable, message).caused_by(error);
            match error.causes.iter().any(|cause| diagnose::says_full(cause)) {
                true => error.hint(diagnose::FREE_SPACE),
                false => error,
            }
        }
    }
}

/// Whether the engine's socket is on this machine, whatever is behind it: a look of its own is quick then.
pub(super) fn is_near(connector: &Connector) -> bool {
    connector.address().starts_with("unix://")
}

/// The engine's disk, where that is this machine's. A socket can lead to another machine, or into a virtual one, and a
/// folder of that name can be here, too: so the engine has to name this machine and its kernel.
pub(super) fn disk(connector: &Connector, engine: &EngineFacts) -> Option<Disk> {
    if !is_near(connector) || engine.data_root.is_empty() {
        return None;
    }
    // In a mount namespace of its own the engine sees another disk there. Without the right to look into the folder,
    // it is the engine's, which nobody else may look into.
    let part = Path::new(&engine.data_root).join("buildkit").symlink_metadata();
    if part.is_err_and(|error| error.kind() != std::io::ErrorKind::PermissionDenied) {
        return None;
    }
    let here = rustix::system::uname();
    let is_here = here.nodename().to_str() == Ok(engine.host.as_str())
        && here.release().to_str() == Ok(engine.kernel.as_str());
    let disk = rustix::fs::statvfs(engine.data_root.as_str()).ok().filter(|_| is_here)?;
    let bytes = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
    Some(Disk {
        size_bytes: bytes(disk.f_blocks),
        free_bytes: bytes(disk.f_bfree),
        available_bytes: bytes(disk.f_bavail),
    })
}
