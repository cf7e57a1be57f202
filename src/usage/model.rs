//! The report: the JSON document `doc2md-docker/stats/v1`, and the base of every other format.
//!
//! Bytes are integers, times RFC 3339 in UTC. `null` is what the engine did not tell; `notes` says why.
//! Fields may be added within `v1`, none goes or changes its meaning. `docs/stats.schema.json` describes
//! it.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::Serialize;

use super::gc::Collection;

/// Name and version of the document.
pub const SCHEMA: &str = "doc2md-docker/stats/v1";

/// The document.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct StatsReport {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// Compose project name.
    pub project: String,
    /// When it was measured.
    pub taken: Timestamp,
    /// Where.
    pub engine: EngineSummary,
    /// Images of the project, by service. A service whose image is not there has no id.
    pub images: Vec<ImageStats>,
    /// All of `images` together, what they share counted once.
    pub total_bytes: Option<u64>,
    /// Images of the project that nothing names any more.
    pub dangling: Vec<DanglingStats>,
    /// Its containers.
    pub containers: Vec<ContainerStats>,
    /// Its volumes.
    pub volumes: Vec<VolumeStats>,
    /// The build cache.
    pub cache: CacheStats,
    /// Sums of this project and, where the layers of all images were asked for, of everything else on the engine.
    pub projects: Vec<ProjectStats>,
    /// The engine's disk; `null` where it cannot be seen.
    pub disk: Option<DiskStats>,
    /// Commands that free space of the project, the gentlest first; `null` where that was not asked.
    pub remedies: Option<Vec<RemedyStats>>,
    /// Budgets and what became of them.
    pub budgets: Vec<Verdict>,
    /// What is missing or estimated, as sentences.
    pub notes: Vec<String>,
}

/// Which engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EngineSummary {
    /// Release.
    pub version: String,
    /// The version of the API it was asked in.
    pub api_version: String,
    /// `graphdriver`, `containerd` or `unknown`.
    pub store: String,
}

/// An image of a service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ImageStats {
    /// Service; empty for an image with the project's label but without a service's.
    pub service: String,
    /// Reference.
    pub reference: String,
    /// `sha256:...`.
    pub id: Option<String>,
    /// When it was built, as it says itself.
    pub created: Option<Timestamp>,
    /// Size on disk with all its layers.
    pub size_bytes: Option<u64>,
    /// What of it no other image on the engine has.
    pub unique_bytes: Option<u64>,
    /// What of it other images on the engine have too.
    pub shared_bytes: Option<u64>,
    /// Compressed content, which only the containerd store keeps; part of `size_bytes`.
    pub content_bytes: Option<u64>,
    /// Layers, from the bottom up.
    pub layers: Vec<LayerStats>,
    /// Size of the image that the last recorded build with another result made.
    pub previous_size_bytes: Option<u64>,
}

/// A layer of an image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LayerStats {
    /// The instruction that wrote it; empty where the image does not say.
    pub instruction: String,
    /// Bytes it adds, unpacked.
    pub size_bytes: Option<u64>,
    /// The Dockerfile, as the user would name it.
    pub dockerfile: Option<String>,
    /// First line of the instruction, or of the FROM that brought the layer.
    pub line: Option<usize>,
    /// Services of the project whose images have this very layer too.
    pub shared_with: Vec<String>,
    /// Equal in two images exactly where the engine stores the layer once.
    #[serde(skip)]
    pub chain_id: String,
}

/// An image that nothing names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DanglingStats {
    /// `sha256:...`.
    pub id: String,
    /// Service it was built for.
    pub service: Option<String>,
    /// When it was built.
    pub created: Option<Timestamp>,
    /// Size on disk with all its layers.
    pub size_bytes: Option<u64>,
    /// What of it no other image has.
    pub unique_bytes: Option<u64>,
    /// What of it other images have too.
    pub shared_bytes: Option<u64>,
}

/// A container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ContainerStats {
    /// Id.
    pub id: String,
    /// Name.
    pub name: String,
    /// Service.
    pub service: Option<String>,
    /// What its image was called when it was made.
    pub image: String,
    /// `running`, `exited`, ...
    pub state: String,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Bytes of its writable layer.
    pub size_bytes: Option<u64>,
}

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct VolumeStats {
    /// Name.
    pub name: String,
    /// Driver.
    pub driver: String,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Bytes; engines know it for the `local` driver only.
    pub size_bytes: Option<u64>,
    /// Whether a container has it, running or not.
    pub in_use: Option<bool>,
    /// Names of those containers.
    pub containers: Vec<String>,
}

/// The build cache of the engine.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct CacheStats {
    /// All records.
    pub total_bytes: Option<u64>,
    /// Records that this project's builds made and nobody else uses.
    pub project_bytes: Option<u64>,
    /// Records whose layer an image holds too: pruning them frees nothing.
    pub shared_with_images_bytes: Option<u64>,
    /// Records that neither an image nor a running build holds.
    pub reclaimable_bytes: Option<u64>,
    /// The same by kind, the largest first.
    pub kinds: Vec<CacheKindStats>,
    /// Cache mounts of the engine, this project's first, then the largest.
    pub mounts: Vec<CacheMountStats>,
    /// Every record, only on request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub records: Option<Vec<CacheRecordStats>>,
}

/// Records of one kind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CacheKindStats {
    /// BuildKit's word: `regular`, `source.local`, `exec.cachemount`, ...
    pub kind: String,
    /// How many.
    pub records: usize,
    /// Their size.
    pub total_bytes: u64,
    /// Of these, the project's.
    pub project_bytes: Option<u64>,
    /// Of these, held by images too.
    pub shared_with_images_bytes: u64,
    /// Of these, held by nothing else.
    pub reclaimable_bytes: u64,
}

/// A cache mount.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CacheMountStats {
    /// `id=` of the mount, by default its target; `null` where the engine does not tell (20.10).
    pub id: Option<String>,
    /// Where it was mounted.
    pub target: Option<String>,
    /// Its size: measured where `size_source` says so.
    pub size_bytes: u64,
    /// What the engine says: the size when somebody first asked for it.
    pub engine_bytes: u64,
    /// `measured`: as it is now; `earlier`: measured, and used since; `engine`.
    pub size_source: &'static str,
    /// When it was measured.
    pub measured: Option<Timestamp>,
    /// Why it was not measured now.
    pub not_measured: Option<String>,
    /// When a step last used it.
    pub last_used: Option<Timestamp>,
    /// Services of the project whose Dockerfiles name it.
    pub services: Vec<String>,
    /// Id of the cache record.
    pub record: String,
    /// What the engine's garbage collection has in mind for it; `null` where nobody knows.
    pub gc: Option<Collection>,
    /// What builds lose with it; `null` where no collection takes it, or no recorded build tells.
    pub worth: Option<MountWorth>,
}

/// What a cache mount saves.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct MountWorth {
    /// Seconds that builds take longer without it.
    pub saves_seconds: f64,
    /// Whether it may be less: there was no build yet that found it filled.
    pub is_bound: bool,
}

/// What cache mounts are worth, by ids of records; of one that is missing nothing is known.
pub type Worths = BTreeMap<String, MountWorth>;

/// What a project takes. Layers that images of two projects share are in the sums of both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProjectStats {
    /// Compose project name; `null` for what is of none.
    pub project: Option<String>,
    /// Its images, dangling ones included, shared layers counted once.
    pub images_bytes: Option<u64>,
    /// What its containers have written.
    pub containers_bytes: Option<u64>,
    /// Its volumes.
    pub volumes_bytes: Option<u64>,
    /// Records of the build cache that it alone has and that are not counted with its images; `null` for others.
    pub cache_bytes: Option<u64>,
    /// Of these, all that is known.
    pub total_bytes: Option<u64>,
}

/// A disk, as `df` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DiskStats {
    /// Its size.
    pub size_bytes: u64,
    /// Bytes that something takes, whoever that is.
    pub used_bytes: u64,
    /// Bytes that everybody may take.
    pub free_bytes: u64,
}

/// A command that frees space.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RemedyStats {
    /// The command.
    pub command: String,
    /// What it frees, as its `--dry-run` says.
    pub frees_bytes: u64,
}

/// A record of the build cache.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CacheRecordStats {
    /// Id.
    pub id: String,
    /// BuildKit's word.
    pub kind: String,
    /// The step that made it, in the engine's words.
    pub description: String,
    /// Its size.
    pub size_bytes: u64,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// When a build last ended with it.
    pub last_used: Option<Timestamp>,
    /// How many did.
    pub usage_count: u64,
    /// Whether a build uses it now.
    pub in_use: bool,
    /// Whether an image holds its layer too.
    pub shared_with_images: bool,
    /// Whether it is the project's; `null` where nobody can tell.
    pub project: Option<bool>,
}

/// A budget and what became of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// The budget, such as `api=300MB` or `api max-growth=10%`.
    pub rule: String,
    /// What is allowed; `null` for growth without an earlier build.
    pub limit_bytes: Option<u64>,
    /// What there is; `null` where it is not known.
    pub actual_bytes: Option<u64>,
    /// Whether it is kept; `null` where that cannot be told.
    pub ok: Option<bool>,
}

impl Verdict {
    /// Bytes above the limit, where it is broken.
    pub fn excess_bytes(&self) -> Option<u64> {
        let excess = self.actual_bytes?.checked_sub(self.limit_bytes?)?;
        (self.ok == Some(false)).then_some(excess)
    }

    /// Whether it speaks of growth and there is nothing to compare with, which breaks nothing.
    pub fn has_no_past(&self) -> bool {
        self.limit_bytes.is_none()
    }
}
