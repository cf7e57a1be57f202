//! What is sent, in plain values.

use std::path::PathBuf;

use serde::Serialize;

/// What a build of one target sends of one directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Transfer {
    /// The compose service.
    pub service: String,
    /// Name of the context; empty for the build context itself.
    pub name: String,
    /// The directory.
    pub directory: PathBuf,
    /// The ignore file that holds for it, where there is one.
    pub ignore_file: Option<PathBuf>,
    /// What is sent.
    pub sent: Amount,
    /// What the ignore file lets through; more than what is sent where nothing of the Dockerfile reads the rest.
    pub let_through: Amount,
    /// What is sent, by path, the largest first.
    pub parts: Vec<Part>,
}

/// Files, links among them, and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Amount {
    /// How many, without directories.
    pub files: u64,
    /// Their size together.
    pub bytes: u64,
}

impl Amount {
    pub(super) fn add(&mut self, bytes: u64) {
        self.files += 1;
        self.bytes += bytes;
    }
}

/// A file, or a directory with everything of it that is sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Part {
    /// From the top of the directory; one of a directory ends with a slash.
    pub path: String,
    /// What is sent of it.
    #[serde(flatten)]
    pub amount: Amount,
    /// What reads it, in the order of the Dockerfile; nothing where only a link leads to it.
    pub readers: Vec<Reader>,
}

/// An instruction that reads files of a context.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Reader {
    /// The Dockerfile, as the user would name it.
    pub file: String,
    /// The line that it begins at, from 1.
    pub line: usize,
    /// The paths that it names.
    pub paths: Vec<String>,
}

/// A file whose content was sent, or a directory with such files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentPath {
    /// One of a directory ends with a slash.
    pub path: PathBuf,
    /// Bytes of content that were sent of it.
    pub bytes: u64,
}
