//! What an engine holds at one moment, as plain values: the same for every release and image store.
//!
//! [`crate::engine::Engine::inventory`] takes it. Sizes are the engine's own figures in bytes and differ in
//! meaning between image stores; docs/design/stats.md says how. What the engine did not tell is
//! `None`, and [`Inventory::gaps`] says why.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;

/// A version of the Engine API, such as 1.51.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ApiVersion {
    /// Before the point; always 1 so far.
    pub major: u32,
    /// Behind the point.
    pub minor: u32,
}

impl ApiVersion {
    /// The version `1.minor`.
    pub const fn v1(minor: u32) -> Self {
        Self { major: 1, minor }
    }

    /// Reads `1.51`; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.')?;
        Some(Self { major: major.parse().ok()?, minor: minor.parse().ok()? })
    }
}

impl fmt::Display for ApiVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// Labels of an object.
pub type Labels = BTreeMap<String, String>;

/// Everything at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inventory {
    /// The engine itself.
    pub engine: EngineFacts,
    /// Images, dangling ones included; intermediate ones of the classic builder are not.
    pub images: Vec<Image>,
    /// Containers in every state.
    pub containers: Vec<Container>,
    /// Volumes of every driver.
    pub volumes: Vec<Volume>,
    /// Networks, the engine's own (`bridge`, `host`, `none`) included.
    pub networks: Vec<Network>,
    /// Records of the build cache.
    pub cache: Vec<CacheRecord>,
    /// What is missing, and why. Empty when all was told.
    pub gaps: Vec<Gap>,
}

impl Inventory {
    /// What is missing of `part`, where something is.
    pub fn gap(&self, part: Part) -> Option<&Gap> {
        self.gaps.iter().find(|gap| gap.part == part)
    }

    /// The image with this id.
    pub fn image(&self, id: &str) -> Option<&Image> {
        self.images.iter().find(|image| image.id == id)
    }
}

/// Which engine this is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineFacts {
    /// Id that stays the same over restarts and differs between data roots; empty where unknown.
    pub id: String,
    /// Release, such as `28.5.2`.
    pub version: String,
    /// The API version the inventory was asked in: the engine's, or the newest this program knows.
    pub api_version: ApiVersion,
    /// Where images live.
    pub store: Store,
    /// Storage driver or snapshotter, such as `overlay2` or `overlayfs`; empty where unknown.
    pub driver: String,
    /// Operating system of containers, `linux` or `windows`.
    pub os: String,
    /// Architecture as the kernel names it, such as `x86_64`; empty where unknown.
    pub architecture: String,
    /// Folder of the engine's data, on the engine's machine; empty where unknown.
    pub data_root: String,
    /// Name of the engine's machine; empty where unknown.
    pub host: String,
    /// Linux release of the engine's machine; empty where unknown.
    pub kernel: String,
    /// Version of its control groups, `1` or `2`; empty where unknown.
    pub cgroup_version: String,
}

/// Where the engine keeps images.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// Docker's own store on a graph driver: each layer once, unpacked.
    GraphDriver,
    /// containerd's: compressed blobs and unpacked snapshots, both counted.
    Containerd,
    /// That of BuildKit without an engine around it: it has records, and no images.
    Buildkit {
        /// Whether it alone unpacks the layers that its steps stand on.
        unpacks_alone: bool,
    },
    /// The engine did not say in time.
    Unknown,
}

impl Store {
    /// What to call it: graph drivers by their own names.
    pub fn name(self, driver: &str) -> &str {
        match self {
            Self::Containerd => "containerd",
            Self::Buildkit { .. } => "buildkit",
            Self::GraphDriver | Self::Unknown => driver,
        }
    }
}

impl fmt::Display for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::GraphDriver => "graphdriver",
            Self::Containerd => "containerd",
            Self::Buildkit { .. } => "buildkit",
            Self::Unknown => "unknown",
        })
    }
}

/// An image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// `sha256:...`: of the configuration, or of the manifest or index on the containerd store.
    pub id: String,
    /// `name:tag`, sorted; empty for dangling images.
    pub references: Vec<String>,
    /// `name@sha256:...`, sorted.
    pub digests: Vec<String>,
    /// When it was built, as its builder wrote it: reproducible builds write what they like.
    pub created: Option<Timestamp>,
    /// Size with all its layers. On the containerd store that is blobs and snapshots together.
    pub size_bytes: Option<u64>,
    /// Bytes in layers that other images use too.
    pub shared_bytes: Option<u64>,
    /// Its labels.
    pub labels: Labels,
    /// Parent, which only the classic builder records.
    pub parent: Option<String>,
    /// Ids of containers made from it, in every state.
    pub containers: Vec<String>,
}

impl Image {
    /// Whether nothing names it.
    pub fn is_dangling(&self) -> bool {
        self.references.is_empty() && self.digests.is_empty()
    }

    /// Bytes that only this image uses: what removing it alone frees at most, as the build cache
    /// may still hold its layers.
    pub fn unique_bytes(&self) -> Option<u64> {
        Some(self.size_bytes?.saturating_sub(self.shared_bytes?))
    }
}

/// What inspecting an image adds to an [`Image`]; see [`crate::engine::Engine::image_details`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImageDetails {
    /// Id of the image.
    pub id: String,
    /// Size as `docker image inspect` tells it.
    pub size_bytes: Option<u64>,
    /// Bytes of the compressed blobs, which only the containerd store keeps (API 1.48 and later).
    pub content_bytes: Option<u64>,
    /// Layers from the bottom up: only steps that wrote files.
    pub layers: Vec<Layer>,
    /// All steps from the bottom up, as `docker history` shows them the other way round.
    pub history: Vec<HistoryStep>,
}

/// A layer of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Digest of the unpacked layer. The same layer on different parents has the same one; the
    /// chain up to it is what an engine stores once.
    pub diff_id: String,
    /// Identifies the chain up to this layer: equal in two images exactly where the engine stores
    /// it once (OCI image specification, "ChainID").
    pub chain_id: String,
    /// Bytes it adds, unpacked.
    pub size_bytes: Option<u64>,
    /// Index into [`ImageDetails::history`] of the step that wrote it; `None` where the history
    /// does not fit the layers.
    pub step: Option<usize>,
}

/// A step of an image's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryStep {
    /// When it ran.
    pub created: Option<Timestamp>,
    /// The instruction, as the builder wrote it.
    pub created_by: String,
    /// Bytes it added.
    pub size_bytes: u64,
    /// Such as `buildkit.dockerfile.v0`.
    pub comment: String,
}

/// A container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// The engine's id for it.
    pub id: String,
    /// Name without the leading slash.
    pub name: String,
    /// Id of its image.
    pub image_id: String,
    /// What its image was called when it was made.
    pub image: String,
    /// `running`, `exited`, `created`, `paused`, `restarting`, `removing`, `dead`.
    pub state: String,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Bytes of its writable layer.
    pub size_rw_bytes: Option<u64>,
    /// Its labels.
    pub labels: Labels,
    /// Its mounts of every kind.
    pub mounts: Vec<Mount>,
    /// Ids of the networks it is on; names where the engine gives no id.
    pub networks: Vec<String>,
}

impl Container {
    /// Whether it may hold processes, so that removing it would stop something. That is so in every state but those
    /// known to have none: an engine may have a state that came after this program.
    pub fn is_running(&self) -> bool {
        !matches!(self.state.as_str(), "created" | "exited" | "dead" | "removing")
    }
}

/// A mount of a container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// `volume`, `bind`, `tmpfs`, ...
    pub kind: String,
    /// Name of the volume, where it is one.
    pub volume: Option<String>,
    /// Path in the container.
    pub destination: String,
}

/// A volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Volume {
    /// Name; long and hexadecimal for anonymous ones.
    pub name: String,
    /// The driver that keeps it.
    pub driver: String,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Bytes; engines know it for the `local` driver only.
    pub size_bytes: Option<u64>,
    /// Its labels.
    pub labels: Labels,
    /// Ids of containers that use it, in every state.
    pub containers: Vec<String>,
}

/// A network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// The engine's id for it.
    pub id: String,
    /// Its name.
    pub name: String,
    /// The driver that keeps it.
    pub driver: String,
    /// When it was made.
    pub created: Option<Timestamp>,
    /// Its labels.
    pub labels: Labels,
    /// Ids of containers on it, in every state.
    pub containers: Vec<String>,
}

/// Uses that an engine counts at most for a step of ours, with the questions for the build cache before and after it.
pub const USES_OF_A_STEP: u64 = 3;

/// A record of the build cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheRecord {
    /// The engine's id for it.
    pub id: String,
    /// Ids of the records it builds upon: one for a layer, several for a merge, none for a source.
    pub parents: Vec<String>,
    /// What it holds.
    pub kind: CacheKind,
    /// Which step made it, in words that differ between releases.
    pub description: String,
    /// Bytes it adds to its parents.
    pub size_bytes: u64,
    /// Whether a build uses it now.
    pub in_use: bool,
    /// Whether an image holds the same layer: removing it frees nothing then.
    pub shared: bool,
    /// When it was made.
    pub created_at: Option<Timestamp>,
    /// When a solve last ended with it. A cached build touches only the last record of a chain.
    pub last_used_at: Option<Timestamp>,
    /// How many solves ended with it.
    pub usage_count: u64,
}

/// What the description of a cache mount's record tells: `cached mount TARGET from exec COMMAND with id "ID"` (BuildKit
/// `solver/llbsolver/mounts`). 20.10 leaves the id out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountDescription<'a> {
    /// `id=` of the Dockerfile with the namespace before it, which ends at the first slash and is empty unless
    /// BUILDKIT_CACHE_MOUNT_NS sets one.
    pub id: Option<String>,
    /// What stands before the id.
    rest: &'a str,
}

impl<'a> MountDescription<'a> {
    /// Reads a description; `None` for one of another kind of record.
    pub fn parse(description: &'a str) -> Option<Self> {
        let rest = description.strip_prefix("cached mount ")?;
        let quoted = rest.rsplit_once(" with id ");
        let quoted = quoted.filter(|(_, id)| id.starts_with('"') && id.ends_with('"'));
        Some(match quoted {
            // Go escapes some characters in ways that JSON does not know.
            Some((rest, id)) => {
                let read = serde_json::from_str(id);
                Self { id: Some(read.unwrap_or_else(|_| id.to_owned())), rest }
            }
            None => Self { id: None, rest },
        })
    }

    /// Where the RUN that made it has it.
    pub fn target(&self) -> &'a str {
        self.rest.split_once(" from ").map_or(self.rest, |(target, _)| target)
    }

    /// The command of that RUN, shell included.
    pub fn command(&self) -> &'a str {
        let from = self.rest.split_once(" from ").map_or("", |(_, from)| from);
        from.strip_prefix("exec ").unwrap_or(from)
    }

    /// Whether it is the mount with this id; where none is told, one with this target.
    pub fn is(&self, id: &str, target: &str) -> bool {
        match &self.id {
            Some(own) => own == id,
            None => {
                let rest = self.rest.strip_prefix(target);
                rest.is_some_and(|rest| rest.starts_with(" from exec "))
            }
        }
    }
}

/// What a record of the build cache holds (BuildKit `client/diskusage.go`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CacheKind {
    /// `regular`: a layer.
    Regular,
    /// `source.local`: files sent from a build context.
    LocalSource,
    /// `source.git.checkout`: a clone.
    GitCheckout,
    /// `exec.cachemount`: a `RUN --mount=type=cache`.
    CacheMount,
    /// `frontend`: an image named by `# syntax=`.
    Frontend,
    /// `internal`.
    Internal,
    /// One this program has not heard of.
    Other(String),
}

impl CacheKind {
    /// Reads BuildKit's word for it.
    pub fn from_word(word: &str) -> Self {
        match word {
            "regular" => Self::Regular,
            "source.local" => Self::LocalSource,
            "source.git.checkout" => Self::GitCheckout,
            "exec.cachemount" => Self::CacheMount,
            "frontend" => Self::Frontend,
            "internal" => Self::Internal,
            other => Self::Other(other.to_owned()),
        }
    }

    /// BuildKit's word for it.
    pub fn word(&self) -> &str {
        match self {
            Self::Regular => "regular",
            Self::LocalSource => "source.local",
            Self::GitCheckout => "source.git.checkout",
            Self::CacheMount => "exec.cachemount",
            Self::Frontend => "frontend",
            Self::Internal => "internal",
            Self::Other(word) => word,
        }
    }
}

/// A part of an inventory, as an engine is asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// The engine's id, store and driver.
    Engine,
    /// Images, and what they share.
    Images,
    /// Containers and their writable layers.
    Containers,
    /// Volumes and their sizes.
    Volumes,
    /// Networks, which have no size.
    Networks,
    /// Build cache.
    Cache,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Engine => "engine",
            Self::Images => "images",
            Self::Containers => "containers",
            Self::Volumes => "volumes",
            Self::Networks => "networks",
            Self::Cache => "build cache",
        })
    }
}

/// Something that an inventory could not get.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Gap {
    /// Which part.
    pub part: Part,
    /// How much of it.
    pub lost: Lost,
    /// Why, as a fragment: `no answer within 15 s`.
    pub why: String,
}

/// How much of a part is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// All of it: the list is empty and says nothing.
    Everything,
    /// The list is there, its sizes are not.
    Sizes,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.lost {
            Lost::Everything => write!(f, "{} unknown: {}", self.part, self.why),
            Lost::Sizes => write!(f, "sizes of {} unknown: {}", self.part, self.why),
        }
    }
}
