//! Records, builds and their steps, as plain values.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;

/// A record of the build cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Id.
    pub id: String,
    /// Ids of the records it builds upon.
    pub parents: Vec<String>,
    /// What it holds.
    pub kind: RecordKind,
    /// Which step made it, in words that differ between releases.
    pub description: String,
    /// Bytes it adds to its parents.
    pub size_bytes: u64,
    /// Whether a build uses it now.
    pub in_use: bool,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// When a solve last ended with it.
    pub last_used_at: Option<Timestamp>,
    /// How many solves ended with it.
    pub usage_count: u64,
}

/// What a record holds, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordKind {
    /// A layer.
    Regular,
    /// Files sent from a build context.
    LocalSource,
    /// A cache mount.
    CacheMount,
    /// Anything else: never the project's.
    Other,
}

/// Whose a build was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// This project's.
    Ours,
    /// Another project's.
    Project(String),
    /// Somebody's, such as a plain `docker buildx build`.
    Unnamed,
}

/// A solve that is known to have happened on this engine.
#[derive(Debug, Clone)]
pub struct Build {
    /// What the engine calls it, where that is known.
    pub build_ref: Option<String>,
    /// Whose build it was.
    pub owner: Owner,
    /// What it made.
    pub product: Product,
    /// Whether its product is one of those that the project has now.
    pub is_current: bool,
    /// Its steps, thousands perhaps: a build that is judged anew shares them.
    pub steps: Arc<Vec<BuildStep>>,
}

/// What a build made.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Product {
    /// The service it was for; empty where nobody recorded that.
    pub service: String,
    /// The stage, where it is not the last one.
    pub stage: Option<String>,
    /// Ids that its image has on the engine; none where there is no image.
    pub images: BTreeSet<String>,
    /// Whether the build came to its end.
    pub is_complete: bool,
}

/// A step of a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildStep {
    /// Digest of the vertex. It differs between builds wherever a build context is read.
    pub digest: String,
    /// Name as BuildKit gives it, `[stage-0 2/5] RUN make`.
    pub name: String,
    /// How it ended.
    pub end: StepEnd,
    /// When it ran, by the engine's clock.
    pub intervals: Vec<(Timestamp, Timestamp)>,
    /// Digests of the steps it reads.
    pub inputs: Vec<String>,
    /// Cache mounts of a RUN.
    pub mounts: Vec<MountName>,
    /// Whether it is the last step of its target.
    pub is_result: bool,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StepEnd {
    /// It ran to its end.
    Ran,
    /// Its result came from the cache.
    Cached,
    /// It failed, was stopped or never began.
    Unfinished,
}

/// How a step names a cache mount.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountName {
    /// Id as records show it (`//root/.cache/pip`).
    pub id: String,
    /// Where it is mounted.
    pub target: String,
}

impl Build {
    /// From its first step's start to its last one's end.
    pub(in crate::ownership) fn span(&self) -> Option<(Timestamp, Timestamp)> {
        let times = || self.steps.iter().flat_map(|step| &step.intervals);
        Some((times().map(|it| it.0).min()?, times().map(|it| it.1).max()?))
    }

    pub(in crate::ownership) fn is_ours(&self) -> bool {
        self.owner == Owner::Ours
    }
}

impl BuildStep {
    /// The name without its brackets. Stage names and step numbers differ between Dockerfiles that
    /// begin alike.
    pub(super) fn instruction(&self) -> &str {
        match self.name.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((_, rest)) => rest.trim_start(),
            None => &self.name,
        }
    }

    /// `RUN`, `COPY`, ...
    pub(super) fn keyword(&self) -> &str {
        self.instruction().split(' ').next().unwrap_or_default()
    }
}
