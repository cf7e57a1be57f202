//! The one error type of the command line: what went wrong, why, what to do, which exit code.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;

/// Exit codes of the program, documented in the README.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitKind {
    /// A build failed, or a removal was partial.
    Failed = 1,
    /// Wrong use of the command line.
    Usage = 2,
    /// The engine cannot be reached.
    EngineUnreachable = 3,
    /// A budget or policy is violated.
    Policy = 4,
    /// A compose file or Dockerfile is invalid.
    Invalid = 5,
    /// Ctrl-C.
    Interrupted = 130,
}

/// An error as the user sees it: `error: MESSAGE`, the chain of causes, hints. It keeps the error of the room that it
/// comes from: what depends on it asks for that ([`CommandError::find`]), not for words.
#[derive(Debug, Clone)]
pub struct CommandError {
    /// Decides the exit code.
    pub kind: ExitKind,
    /// A lowercase sentence naming the operation and the object; may end with an excerpt.
    pub message: String,
    /// Causes in words, outermost first.
    pub causes: Vec<String>,
    /// What the user can do.
    pub hints: Vec<String>,
    /// What it comes from.
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl CommandError {
    /// An error without causes or hints.
    pub fn new(kind: ExitKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), causes: Vec::new(), hints: Vec::new(), source: None }
    }

    /// Adds the error and its sources as causes, and keeps it.
    #[must_use]
    pub fn caused_by(mut self, error: impl Error + Send + Sync + 'static) -> Self {
        let mut next = Some(&error as &dyn Error);
        while let Some(cause) = next {
            let text = cause.to_string();
            // Wrappers that repeat their source would say everything twice.
            if self.causes.last().is_none_or(|last| !last.contains(&text)) {
                self.causes.push(text);
            }
            next = cause.source();
        }
        self.keeping(error)
    }

    /// Keeps an error whose words are the message already.
    #[must_use]
    pub fn keeping(mut self, error: impl Error + Send + Sync + 'static) -> Self {
        self.source = Some(Arc::new(error));
        self
    }

    /// The error of this type that this one comes from, by whatever many steps in between.
    pub fn find<E: Error + 'static>(&self) -> Option<&E> {
        find(self.source.as_deref()?)
    }

    /// Adds a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for CommandError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|error| error as &(dyn Error + 'static))
    }
}

/// The first error of this type in a chain of sources.
pub fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        // An io::Error skips the error it carries when asked for its source.
        next = match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[derive(Debug, PartialEq, thiserror::Error)]
    #[error("no room for {0}")]
    struct Full(&'static str);

    #[derive(Debug, thiserror::Error)]
    #[error("failed to write")]
    struct WriteFailure(#[source] io::Error);

    #[test]
    fn an_error_is_found_by_its_type_however_deep_it_is() {
        let deep = WriteFailure(io::Error::other(WriteFailure(io::Error::other(Full("x")))));
        let shown = CommandError::new(ExitKind::Failed, "failed to lock").caused_by(deep);
        assert_eq!(shown.find::<Full>(), Some(&Full("x")));
        assert!(shown.find::<WriteFailure>().is_some());
        assert!(shown.find::<std::fmt::Error>().is_none());
        // A command's error within another one's keeps what it comes from.
        let outer = CommandError::new(ExitKind::Failed, "failed").caused_by(shown);
        assert_eq!(outer.find::<Full>(), Some(&Full("x")));
        assert!(CommandError::new(ExitKind::Failed, "no room for x").find::<Full>().is_none());
    }

    #[test]
    fn causes_are_said_once() {
        let repeats = WriteFailure(io::Error::other("disk full"));
        let error = CommandError::new(ExitKind::Failed, "failed").caused_by(repeats);
        assert_eq!(error.causes, ["failed to write", "disk full"]);
        let kept = CommandError::new(ExitKind::Invalid, "no room for x").keeping(Full("x"));
        assert!(kept.causes.is_empty());
        assert_eq!(kept.find(), Some(&Full("x")));
    }
}
