//! Why an engine could not be reached, in words that tell what to do about it.

use std::error::Error;
use std::io;

use crate::error::{CommandError, ExitKind};

/// What stood between us and the engine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConnectErrorKind {
    /// Options, environment or a docker context that cannot be understood or that contradict.
    Settings,
    /// There is no such socket, host or program.
    NotThere,
    /// The socket is there, but this user may not open it.
    PermissionDenied,
    /// Nobody listens.
    Refused,
    /// Certificates are missing, unreadable, or not accepted by one of the two sides.
    Tls,
    /// No answer in time.
    TimedOut,
    /// ssh, or the docker CLI on the other side of it, ended without a connection.
    Ssh,
    /// Any other answer of the operating system.
    Other,
}

/// A failed attempt to reach the engine. The text is a lowercase fragment without the hints.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct ConnectError {
    /// What kind of obstacle it is.
    pub kind: ConnectErrorKind,
    /// What was tried and what came back.
    pub message: String,
    /// What the user can do, one sentence each.
    pub hints: Vec<String>,
}

impl ConnectError {
    pub(crate) fn new(kind: ConnectErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), hints: Vec::new() }
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Says whose settings it is about.
    pub(super) fn about(self, name: &str) -> Self {
        Self { message: format!("cannot reach {name}: {}", self.message), ..self }
    }

    /// Finds the failed connection attempt behind an error of bollard, tonic or hyper, which all
    /// wrap what the dialer answered. `None` when a connection existed and failed later.
    pub fn find<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Self> {
        error_within(error)
    }
}

/// Finds an error of type `E` among an error and its causes.
pub(crate) fn error_within<'a, E: Error + 'static>(
    error: &'a (dyn Error + 'static),
) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        // An io::Error skips the error it carries when asked for its source.
        if let Some(inner) = error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            next = Some(inner);
            continue;
        }
        next = error.source();
    }
    None
}

impl From<ConnectError> for io::Error {
    fn from(error: ConnectError) -> Self {
        let kind = match error.kind {
            ConnectErrorKind::Settings => io::ErrorKind::InvalidInput,
            ConnectErrorKind::NotThere => io::ErrorKind::NotFound,
            ConnectErrorKind::PermissionDenied => io::ErrorKind::PermissionDenied,
            ConnectErrorKind::Refused => io::ErrorKind::ConnectionRefused,
            ConnectErrorKind::Tls => io::ErrorKind::InvalidData,
            ConnectErrorKind::TimedOut => io::ErrorKind::TimedOut,
            ConnectErrorKind::Ssh | ConnectErrorKind::Other => io::ErrorKind::Other,
        };
        Self::new(kind, error)
    }
}

impl From<ConnectError> for CommandError {
    fn from(error: ConnectError) -> Self {
        let exit = match error.kind {
            ConnectErrorKind::Settings => ExitKind::Usage,
            _ => ExitKind::EngineUnreachable,
        };
        let mut shown = Self::new(exit, error.message.clone());
        shown.hints.clone_from(&error.hints);
        shown.keeping(error)
    }
}
