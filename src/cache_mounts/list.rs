//! What is in a mount.

use super::summary::{Counts, Summary};
use crate::buildkit::mover::{Connection, MoveError};

/// What a mount holds, and what that looks like from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Files and bytes.
    pub counts: Counts,
    /// Whether there is nothing in it.
    pub is_empty: bool,
    /// Equal for equal contents.
    pub summary: String,
}

impl From<&Summary> for Content {
    fn from(summary: &Summary) -> Self {
        Self { counts: summary.counts(), is_empty: summary.is_empty(), summary: summary.digest() }
    }
}

/// Lists the mount at the other end.
pub(super) fn list(line: &mut Connection) -> Result<Content, MoveError> {
    let mut summary = Summary::default();
    line.list(|entry| summary.add(&entry))?;
    Ok(Content::from(&summary))
}
