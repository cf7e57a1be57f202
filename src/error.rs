//! The one error type of the command line: what went wrong, why, what to do, which exit code.

use std::fmt;

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

/// An error as the user sees it: `error: MESSAGE`, the chain of causes, hints.
#[derive(Debug)]
pub struct CommandError {
    /// Decides the exit code.
    pub kind: ExitKind,
    /// A lowercase sentence naming the operation and the object; may end with an excerpt.
    pub message: String,
    /// Causes, outermost first.
    pub causes: Vec<String>,
    /// What the user can do.
    pub hints: Vec<String>,
}

impl CommandError {
    /// An error without causes or hints.
    pub fn new(kind: ExitKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), causes: Vec::new(), hints: Vec::new() }
    }

    /// Adds the error and its sources as causes.
    #[must_use]
    pub fn caused_by(mut self, error: &dyn std::error::Error) -> Self {
        let mut next = Some(error);
        while let Some(cause) = next {
            let text = cause.to_string();
            // Wrappers that repeat their source would say everything twice.
            if self.causes.last().is_none_or(|last| !last.contains(&text)) {
                self.causes.push(text);
            }
            next = cause.source();
        }
        self
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

impl std::error::Error for CommandError {}
