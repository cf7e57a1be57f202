//! What attribution is told.

use std::sync::Arc;

use jiff::Timestamp;

use super::input::{Build, Record};
use super::mark::Mark;
use super::stack::Chain;

/// Everything that is known at one moment.
#[derive(Debug, Clone, Default)]
pub struct RecordEvidence {
    /// Records of the build cache.
    pub records: Vec<Record>,
    /// Builds on this engine, of the project and of others: from the ledger, and from the engine's
    /// own history where it has one.
    pub builds: Vec<Build>,
    /// Layers of all images of the engine.
    pub layers: Vec<ImageLayer>,
    /// Since when [`Self::builds`] holds every build of the engine; `None` where it cannot (20.10 has no
    /// history).
    pub complete_since: Option<Timestamp>,
    /// Whether a cached build counts as a use of every record of its chain (20.10) instead of the last.
    pub counts_whole_chain: bool,
    /// Whether the project's builds have cache keys that nobody else's have: then any of them may have used any
    /// of its records, however the engine counts.
    pub own_keys: bool,
}

/// A layer of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageLayer {
    /// A reference of the image, or its id.
    pub image: Arc<str>,
    /// Its id.
    pub image_id: Arc<str>,
    /// Whether the image has a name, or a current build made it.
    pub is_current: bool,
    /// Whether the image is the project's.
    pub ours: bool,
    /// Identity of the layer on its parents.
    pub chain: Chain,
    /// What tells its record; `None` where no instruction of BuildKit made it.
    pub mark: Option<Mark>,
}
