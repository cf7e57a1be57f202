//! Places in compose files and the one error of this room.

use std::fmt;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::error::{CommandError, ExitKind};

/// A position in a compose file.
#[derive(Clone, PartialEq, Eq)]
pub struct Place {
    /// The file as shown to the user; `-` is the standard input.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

impl Place {
    /// The start of `file`.
    pub fn start(file: &Arc<str>) -> Self {
        Self { file: Arc::clone(file), line: 1, column: 1 }
    }

    /// The place in `file` that follows the text `before`.
    pub(super) fn after(before: &str, file: &Arc<str>) -> Self {
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let narrow = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Self {
            file: Arc::clone(file),
            line: narrow(before.matches('\n').count() + 1),
            column: narrow(before[line_start..].chars().count() + 1),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Place {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Who has to change something for an error to go away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// The project: its files.
    Project,
    /// The command line, or a variable of the environment that stands for an option.
    CommandLine,
}

/// Why a project cannot be loaded or turned into targets.
///
/// The text is `file:line:column: sentence` when a place is known, the sentence alone otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ComposeError {
    /// Whose the fault is.
    pub origin: Origin,
    /// Where the fault is.
    pub place: Option<Place>,
    /// A lowercase fragment.
    pub message: String,
    /// What the user could do.
    pub hint: Option<String>,
    /// Whether there is no compose file: the project may still be known by its name.
    pub is_no_file: bool,
}

impl ComposeError {
    /// An error without a place, such as a missing file.
    pub fn new(message: impl Into<String>) -> Self {
        let origin = Origin::Project;
        Self { origin, place: None, message: message.into(), hint: None, is_no_file: false }
    }

    /// There is no compose file.
    pub fn no_file(message: impl Into<String>) -> Self {
        Self { is_no_file: true, ..Self::new(message) }
    }

    /// Wrong use of the command line, or of a variable that stands for an option.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { origin: Origin::CommandLine, ..Self::new(message) }
    }

    /// An error at `place`.
    pub fn at(place: &Place, message: impl Into<String>) -> Self {
        Self { place: Some(place.clone()), ..Self::new(message) }
    }

    /// Adds a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl fmt::Display for ComposeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(place) = &self.place {
            write!(f, "{place}: ")?;
        }
        f.write_str(&self.message)
    }
}

impl std::error::Error for ComposeError {}

impl From<ComposeError> for CommandError {
    fn from(error: ComposeError) -> Self {
        let kind = match error.origin {
            Origin::Project => ExitKind::Invalid,
            Origin::CommandLine => ExitKind::Usage,
        };
        let mut shown = Self::new(kind, error.to_string());
        shown.hints.extend(error.hint.clone());
        shown.keeping(error)
    }
}
