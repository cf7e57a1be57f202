//! Why something cannot be locked at all.

use std::path::PathBuf;

/// Something that cannot be locked.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// It, or a file it needs, cannot be read.
    #[error("failed to read {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not TOML.
    #[error("{} is not TOML", path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// Where it breaks.
        source: Box<toml::de::Error>,
    },
    /// The file named is a lock.
    #[error("it is a lock, not a requirement file")]
    IsLock,
    /// A pyproject.toml of a tool, or with settings only.
    #[error("it has no [project] table with dependencies")]
    NoProject,
    /// Only a build of the project knows them.
    #[error("its dependencies are dynamic: they stand in another file; lock that one")]
    Dynamic,
    /// An extra or a group that is not there.
    #[error("`{name}` is not in [{table}]")]
    NotDeclared {
        /// The name.
        name: String,
        /// Where it is looked for.
        table: String,
    },
    /// Extras or groups of a requirement file.
    #[error("extras and groups are those of a pyproject.toml")]
    NoSelection,
    /// Two sources would have one lock.
    #[error("requirements.in beside it is locked into requirements.lock already")]
    Taken,
}
