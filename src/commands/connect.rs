//! The engine a command talks to, and what its errors mean to the user.

use std::error::Error;

use crate::buildkit::TransportError;
use crate::cli::GlobalArgs;
use crate::commands::environment::Environment;
use crate::engine::docker_config::{self, DockerConfig};
use crate::engine::{ConnectError, Connector, ConnectorSettings, EngineError};
use crate::error::{CommandError, ExitKind};

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

/// The user's docker configuration; the default one where there is none.
///
/// # Errors
/// It cannot be read or understood.
pub fn docker_config(environment: &Environment) -> Result<DockerConfig, CommandError> {
    match docker_config::directory(&environment.variables, environment.home.as_deref()) {
        Some(directory) => DockerConfig::load(&directory)
            .map_err(|error| CommandError::new(ExitKind::Usage, error.to_string())),
        None => Ok(DockerConfig::default()),
    }
}

/// An Engine API error as the user sees it.
pub fn engine_error(connector: &Connector, error: &EngineError) -> CommandError {
    unreachable(connector, error)
}

/// A BuildKit connection error as the user sees it.
pub fn transport_error(connector: &Connector, error: &TransportError) -> CommandError {
    unreachable(connector, error)
}

fn unreachable(connector: &Connector, error: &(dyn Error + 'static)) -> CommandError {
    match ConnectError::find(error) {
        Some(found) => found.clone().into(),
        None => {
            let message = format!("failed to talk to the engine at {}", connector.description());
            CommandError::new(ExitKind::EngineUnreachable, message).caused_by(error)
        }
    }
}
