//! What became of each target of a run.

use std::collections::BTreeMap;

use crate::dockerfile::Place;

/// How one target ended.
#[derive(Debug, Clone, PartialEq)]
pub enum TargetOutcome {
    /// The image was built (or everything was cached).
    Built(BuiltImage),
    /// The build failed.
    Failed(BuildFailure),
    /// Stopped, or never started, because another target failed or the user interrupted.
    Cancelled,
}

/// A finished image.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct BuiltImage {
    /// Every reference it was tagged with.
    pub references: Vec<String>,
    /// Image id (`sha256:...` of the config; of the manifest on the containerd store).
    pub id: String,
    /// Size in bytes as the engine reports it; `None` when nothing was loaded into the engine.
    pub size_bytes: Option<u64>,
    /// What the engine's exporter answered (`containerimage.digest`, ...).
    pub exporter_response: BTreeMap<String, String>,
    /// What became of the layer cache that `--caches` means.
    pub cache: Option<CacheUse>,
}

/// What a build took from a layer cache, and whether it wrote it.
#[derive(Debug, Clone, PartialEq)]
pub struct CacheUse {
    /// Where it is, as messages call it.
    pub place: String,
    /// Whether one was there to be read.
    pub is_there: bool,
    /// Whether it was written.
    pub written: CacheWrite,
}

/// Whether a layer cache was written.
#[derive(Debug, Clone, PartialEq)]
pub enum CacheWrite {
    /// It was.
    Written {
        /// How long that took.
        seconds: f64,
        /// How many layers it has.
        layers: usize,
        /// What it does not have, since moving that takes longer than making it again.
        left: Option<LeftOut>,
    },
    /// No step ran: it has everything already.
    NotNeeded,
    /// Nobody was to write it, for this reason.
    OnlyRead(String),
    /// It could not be written, for this reason.
    Failed(String),
}

/// What stages made that are not in the image, left out of a layer cache.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LeftOut {
    /// How long their steps took.
    pub seconds: f64,
    /// What they made.
    pub bytes: u64,
    /// How long that would travel, there and back.
    pub moving_seconds: f64,
}

/// Why a target failed.
#[derive(Debug, Clone, PartialEq)]
pub struct BuildFailure {
    /// Kind of failure: decides the hint and the exit code.
    pub kind: FailureKind,
    /// The engine's message without transport prefixes.
    pub message: String,
    /// Digest of the vertex that failed, where known.
    pub vertex: Option<String>,
    /// Place in the Dockerfile with an excerpt and a caret, ready to show.
    pub excerpt: Option<String>,
    /// The same place for those who show it their own way.
    pub place: Option<DockerfilePlace>,
    /// What the user could do.
    pub hint: Option<String>,
}

impl BuildFailure {
    /// A failure of which nothing else is known.
    pub fn new(kind: FailureKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), vertex: None, excerpt: None, place: None, hint: None }
    }
}

/// Where in which Dockerfile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DockerfilePlace {
    /// The file as it is shown: a path where it is on this machine.
    pub file: String,
    /// Where in it.
    pub place: Place,
}

/// What kind of failure ended a target or a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FailureKind {
    /// A step of the Dockerfile failed.
    Step,
    /// The Dockerfile (or its frontend options) is invalid.
    Dockerfile,
    /// A file named by COPY or ADD is not in the context, or could not be read.
    Context,
    /// A base image or cache could not be fetched from its registry.
    Registry,
    /// The engine ran out of disk.
    DiskFull,
    /// The engine went away.
    EngineLost,
    /// `--timeout` ran out.
    TimedOut,
    /// Anything else the engine refused.
    Engine,
}
