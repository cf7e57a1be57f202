//! What it means to the user that an engine cannot be reached, went away or is silent.

use std::error::Error;
use std::time::Duration;

use crate::diagnose;
use crate::engine::{ConnectError, Connector};
use crate::error::{CommandError, ExitKind};
use crate::terminal::format;

/// What a conversation with the engine ended with, as the user sees it.
pub fn unreachable(
    connector: &Connector,
    error: impl Error + Send + Sync + 'static,
) -> CommandError {
    match ConnectError::find(&error) {
        Some(found) => found.clone().into(),
        None => {
            let message = format!("failed to talk to {}", connector.peer());
            let error = CommandError::new(ExitKind::EngineUnreachable, message).caused_by(error);
            match error.causes.iter().any(|cause| diagnose::says_full(cause)) {
                true => error.hint(diagnose::FREE_SPACE),
                false => error,
            }
        }
    }
}

/// An engine that was waited for in vain.
pub fn silent(connector: &Connector, waited: Duration) -> CommandError {
    let message = format!(
        "timed out: {} was silent for {}",
        connector.peer(),
        format::seconds(waited.as_secs_f64())
    );
    CommandError::new(ExitKind::EngineUnreachable, message)
        .hint("is it frozen, or very busy? `--timeout` says how long to wait for it")
}
