//! One build as it is remembered: plain data, in the JSON of schema `doc2md-docker/ledger/v1`.
//!
//! Times of steps are the engine's, all others this machine's. Bytes are integers, durations
//! seconds, times RFC 3339 in UTC. What is not known is left out. Secrets are never part of an
//! entry, and [`crate::redact`] has been over every text.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::history::{BuildId, LastOutput, Resources, fingerprint};
use crate::progress::StepName;
use crate::redact::REDACTED;

/// The schema that this program writes.
pub const SCHEMA: &str = "doc2md-docker/ledger/v1";

/// One run of `build`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// [`SCHEMA`].
    pub schema: String,
    /// Its name, unique on this machine and in the order of time.
    pub id: BuildId,
    /// Compose project name.
    pub project: String,
    /// The project's directory.
    pub project_directory: String,
    /// Where it was built.
    pub engine: EngineInfo,
    /// When it started.
    pub started: Timestamp,
    /// Wall time.
    pub seconds: f64,
    /// How it ended.
    pub outcome: Outcome,
    /// Why it was stopped before its end, if it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<StopReason>,
    /// When `clean` had last removed build cache of the engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cleaned: Option<Timestamp>,
    /// When anybody else had last pruned build cache of the engine, after `clean` did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pruned: Option<Timestamp>,
    /// What garbage collection takes of the layer cache there, in the order of its rules; empty where nothing ran, or the engine
    /// did not tell.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub collection: Vec<CollectionRule>,
    /// The targets in the order of the plan.
    pub targets: Vec<TargetEntry>,
}

/// A rule of garbage collection.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CollectionRule {
    /// It takes what was not used for so long; absent: at any time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_seconds: Option<i64>,
    /// It begins where the cache is larger than this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
    /// It begins where less than this of the disk is free.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_free_bytes: Option<u64>,
}

/// An engine as it names itself. All empty where it did not tell in time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct EngineInfo {
    /// Id, unique for each engine.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// Release, such as `28.5.2`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// `containerd` for the containerd image store, else the storage driver, such as `overlay2`.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub store: String,
    /// The builder, where it is one that has no engine around it.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub builder: String,
}

/// How a run or a target ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Everything was built.
    Succeeded,
    /// Something failed, or time ran out.
    Failed,
    /// Interrupted; a target also when another one failed.
    Cancelled,
}

/// Why a run was stopped before its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopReason {
    /// A target failed and `--keep-going` was not given.
    TargetFailed,
    /// Ctrl-C or SIGTERM.
    Interrupted,
    /// `--timeout` ran out.
    TimedOut,
}

/// What a run did for one target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetEntry {
    /// Compose service.
    pub service: String,
    /// Target name: the service name with `.` replaced.
    pub name: String,
    /// Reference of the service's image.
    pub image: String,
    /// Target whose build also made this one's image; such a target has no steps of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub same_as: Option<String>,
    /// `sha256:...` as `docker image inspect` shows it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image_id: Option<String>,
    /// Size of the image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size_bytes: Option<u64>,
    /// How it ended.
    pub outcome: Outcome,
    /// The engine's message where it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What the engine's own history calls the build; absent where no solve was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub build_ref: Option<String>,
    /// Ids of the sessions that served it, by directory; of all that are not named under the empty name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sessions: BTreeMap<String, String>,
    /// When its solve was sent; absent if it never was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<Timestamp>,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished: Option<Timestamp>,
    /// From `started` to `finished`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
    /// The Dockerfile, as the user would name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dockerfile: Option<String>,
    /// Everything the engine reported, in the order it was announced: also what is not an instruction
    /// (`[internal] load build context`, `exporting to image`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepEntry>,
    /// What its result depends on.
    #[serde(default, skip_serializing_if = "Inputs::is_empty")]
    pub inputs: Inputs,
}

/// One step of a target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepEntry {
    /// Digest of the vertex, or id of its progress group.
    pub digest: String,
    /// Name as BuildKit gives it, such as `[stage-0 2/5] RUN make`.
    pub name: String,
    /// What the name says without its brackets; for steps of the Dockerfile the instruction.
    pub instruction: String,
    /// Stage, where the Dockerfile has several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// Number of the instruction in its stage from 1, and how many the stage has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<(u32, u32)>,
    /// First line of the instruction in the Dockerfile, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// How it ended.
    pub result: StepResult,
    /// The engine's message where it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When it ran by the engine's clock, in order, overlaps merged. The cache record that a step
    /// made was created within one of these.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub intervals: Vec<Interval>,
    /// Sum of the intervals.
    pub seconds: f64,
    /// Bytes transferred for it: layers pulled, files of the context, layers exported.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub bytes: u64,
    /// What it took of the machine, where it ran and the engine sampled it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resources: Option<Resources>,
    /// Digests of the vertexes it reads.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<String>,
    /// Cache mounts of a RUN.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cache_mounts: Vec<CacheMount>,
    /// Files of the build context that a COPY or ADD covers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub files: Option<CopiedFiles>,
    /// The beginning of the SHA-256 of how the instruction is written in the Dockerfile, here documents included: its name
    /// has the values of variables in place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub written: Option<String>,
    /// Places in [`Inputs::settings`] of what is set above it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<usize>,
    /// Named contexts that it reads or, as the first step of its stage, stands on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub contexts: Vec<String>,
    /// What it wrote last, where it made its target fail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<LastOutput>,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepResult {
    /// Its result came from the cache, or it is a base image that the engine already held.
    Cached,
    /// It ran to its end.
    Ran,
    /// It failed.
    Failed,
    /// It was stopped before its end.
    Cancelled,
    /// It was announced and never started: the run ended before, or nothing needed it.
    NotRun,
}

/// From start to completion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interval {
    /// When it began.
    pub started: Timestamp,
    /// Completion; not before the start.
    pub completed: Timestamp,
}

/// A cache mount of a RUN.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CacheMount {
    /// `id=` as in the Dockerfile; by default the target.
    pub id: String,
    /// The id in the description of the engine's cache record, such as `//root/.cache/pip`.
    pub engine_id: String,
    /// Where it is mounted.
    pub target: String,
    /// `shared`, `private` or `locked`.
    pub sharing: String,
    /// When `clean` had last removed it from the engine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub removed: Option<Timestamp>,
}

/// What a target's result depends on, as far as this side knows.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Inputs {
    /// Build context: a directory or URL.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub context: String,
    /// Stage that was built, where not the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// Platforms, where they were asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub platforms: Vec<String>,
    /// Build arguments. The value of one whose name says that it is a secret is `***`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub args: BTreeMap<String, String>,
    /// Of arguments of which something was not kept, what tells their values apart ([`super::FingerprintKey`]).
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub fingerprints: BTreeMap<String, String>,
    /// ENV, ARG, USER and SHELL of the Dockerfile that stand above steps, as `ENV A=1`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub settings: Vec<String>,
    /// Named contexts: a place, or `target:NAME`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub contexts: BTreeMap<String, String>,
    /// Options that change what steps do, by BuildKit's names.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub options: BTreeMap<String, String>,
    /// The patterns of the ignore file of the build context; absent where that was not sent, or has too many.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ignored: Option<Vec<String>>,
    /// Base images, and those that files are copied from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub bases: Vec<BaseImage>,
    /// SHA-256 of the Dockerfile's text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dockerfile_digest: Option<String>,
    /// Whether the layer cache was not to be read (`--no-cache`).
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub no_cache: bool,
}

impl Inputs {
    /// The value of a build argument that was given, or what stands for one that was not kept; `None` where nothing does.
    pub fn identity(&self, argument: &str) -> Option<&str> {
        let value = self.args.get(argument)?;
        match value.contains(REDACTED) {
            true => self.fingerprints.get(argument).map(String::as_str),
            false => Some(value),
        }
    }

    /// Whether a build argument was the same in both; `None` where that cannot be told.
    pub fn has_same_argument(&self, other: &Self, argument: &str) -> Option<bool> {
        if !self.args.contains_key(argument) || !other.args.contains_key(argument) {
            return Some(self.args.get(argument) == other.args.get(argument));
        }
        let (one, another) = (self.identity(argument)?, other.identity(argument)?);
        match (self.fingerprints.contains_key(argument), other.fingerprints.contains_key(argument))
        {
            (true, true) => fingerprint::is_same(one, another),
            (false, false) => Some(one == another),
            _ => None,
        }
    }

    /// Names of all build arguments of both.
    pub fn arguments_with<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a str> {
        let gone = other.args.keys().filter(|name| !self.args.contains_key(*name));
        self.args.keys().chain(gone).map(String::as_str)
    }

    /// Whether all build arguments are known to be the same.
    pub fn has_same_arguments(&self, other: &Self) -> bool {
        self.arguments_with(other).all(|name| self.has_same_argument(other, name) == Some(true))
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// A base image of a target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseImage {
    /// Reference as BuildKit names it, without a digest.
    pub reference: String,
    /// Digest of its manifest where it was pulled, else the id of the engine's image.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The chain of its layers (OCI chain id), where the engine has it and names it by a manifest: two of these can have the
    /// same layers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layers: Option<String>,
}

/// Files of a directory that an instruction covers, as they were sent to the engine; links and the
/// like count as files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopiedFiles {
    /// How many, without directories.
    pub count: u64,
    /// Their size together.
    pub bytes: u64,
    /// SHA-256 over path, mode, size and time of each, and path and mode of directories: equal
    /// when nothing was touched.
    pub digest: String,
    /// SHA-256 over the paths of directories, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub folders: Option<String>,
    /// The files in order of path. Where there are more than are kept (256), those that were
    /// written last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<CopiedFile>,
}

/// One file or link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CopiedFile {
    /// Path from the top of the directory.
    pub path: String,
    /// Go's `FileMode`: permissions as in Unix, the kind in the high bits.
    pub mode: u32,
    /// Its size in bytes.
    pub size: u64,
    /// When it was written last. It is not part of BuildKit's cache key.
    pub modified: Timestamp,
    /// SHA-256 of its content, where this build sent it and it is small.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
}

impl Entry {
    /// The target of a service.
    pub fn target(&self, service: &str) -> Option<&TargetEntry> {
        self.targets.iter().find(|target| target.service == service)
    }

    /// Steps of the Dockerfiles that came from the cache, and all of them; see
    /// [`TargetEntry::hits`].
    pub fn hits(&self) -> (usize, usize) {
        self.targets.iter().map(TargetEntry::hits).fold((0, 0), |a, b| (a.0 + b.0, a.1 + b.1))
    }
}

impl TargetEntry {
    /// What people call it: its service, or its name where that says which node made a part of it (`TARGET@NODE`).
    pub fn title(&self) -> &str {
        if self.name.contains('@') { &self.name } else { &self.service }
    }

    /// The ref of its build, where the engine's history could tell nothing of its steps that is not here: a busy engine
    /// may tell the end of a step, or all of them, later than anybody waits for it.
    pub fn whole_build(&self) -> Option<&str> {
        let is_whole = |step: &StepEntry| {
            matches!(step.result, StepResult::Ran | StepResult::Cached)
                && !step.name.contains(REDACTED)
        };
        let has_steps = !self.steps.is_empty();
        self.build_ref.as_deref().filter(|_| has_steps && self.steps.iter().all(is_whole))
    }

    /// Steps of the Dockerfile that came from the cache, and those that came from it or ran.
    pub fn hits(&self) -> (usize, usize) {
        let counted = self.steps.iter().filter(|step| step.is_instruction());
        counted.fold((0, 0), |(cached, all), step| match step.result {
            StepResult::Cached => (cached + 1, all + 1),
            StepResult::Ran | StepResult::Failed => (cached, all + 1),
            StepResult::Cancelled | StepResult::NotRun => (cached, all),
        })
    }
}

impl StepEntry {
    /// Whether its text says all that it does: not with a here document, nor where something was not kept.
    pub fn is_told_whole(&self) -> bool {
        !self.instruction.contains("<<") && !self.instruction.contains(REDACTED)
    }

    /// Whether it is an instruction of the Dockerfile that makes a layer or fetches an image.
    pub fn is_instruction(&self) -> bool {
        StepName::parse(&self.name).is_instruction()
    }
}

fn is_zero(n: &u64) -> bool {
    *n == 0
}
