//! What can make a step run.

use jiff::Timestamp;
use serde::Serialize;

use crate::history::copied::Differences;
use crate::history::{BuildId, CollectionRule};

/// Why a step ran, and how sure that is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Cause {
    /// Why.
    #[serde(flatten)]
    pub reason: Reason,
    /// Whether what is known leaves no other reason. What is not certain is the likeliest.
    pub certain: bool,
}

/// Why a step ran.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Reason {
    /// The cache was not to be read (`--no-cache`).
    Requested,
    /// No earlier build is remembered that did it to its end.
    FirstBuild {
        /// The newest build of the same on another engine or builder, whose cache this one does not have.
        #[serde(skip_serializing_if = "Option::is_none")]
        elsewhere: Option<Elsewhere>,
        /// A cache that was to be read and could not be.
        #[serde(skip_serializing_if = "Option::is_none")]
        missing_cache: Option<String>,
    },
    /// It says something else, or one above it does that makes no step by itself: ENV, ARG, USER, SHELL.
    Instruction {
        /// What it said; `None` for one that is new.
        from: Option<String>,
        /// What it says; `None` for one that is gone.
        to: Option<String>,
        /// Whether it is one above: a setting, or the step that it follows.
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        above: bool,
    },
    /// A build argument has another value.
    Argument {
        /// Its name.
        argument: String,
        /// Its value before, if it had one.
        from: Option<String>,
        /// Its value, if it has one.
        to: Option<String>,
    },
    /// The base image is another one.
    Base {
        /// Its reference.
        reference: String,
        /// Its digest before.
        from: Option<String>,
        /// Its digest.
        to: Option<String>,
    },
    /// A target that it stands on, or takes files from, was built anew.
    Context {
        /// What the Dockerfile calls it.
        context: String,
        /// The target.
        target: String,
    },
    /// Files of a build context changed.
    Files {
        /// Which, as far as that is known.
        paths: Vec<PathChange>,
        /// What the step reads, where it is not known which of it changed.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        among: Vec<String>,
    },
    /// Files of a build context are left out, or are no longer, by its ignore file.
    IgnoreFile {
        /// Which.
        paths: Vec<PathChange>,
    },
    /// It copies from a stage in which something ran.
    Stage {
        /// The step of that stage that ran.
        because_of_step: usize,
    },
    /// A step that it stands on ran.
    EarlierStep {
        /// The step.
        because_of_step: usize,
    },
    /// Nothing changed, but the engine no longer had the result.
    RecordGone {
        /// The newest build that had the same result.
        built: BuildId,
        /// What happened to the engine since.
        #[serde(flatten)]
        since: Since,
    },
    /// No reason to run, but one to take longer: its cache mount was empty, or held less.
    CacheMount {
        /// `id=` as in the Dockerfile; by default the target.
        id: String,
        /// Where it is mounted.
        mount: String,
        /// How long the step took before.
        before_seconds: f64,
        /// What became of the mount.
        lost: Loss,
        /// When that was, where it is known.
        #[serde(skip_serializing_if = "Option::is_none")]
        at: Option<Timestamp>,
    },
    /// Nothing obvious.
    Unknown {
        /// What changed that may have to do with it, in words.
        changed: Vec<String>,
    },
}

/// What happened to an engine between two builds that can have taken a result.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Since {
    /// When `clean` removed build cache of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cleaned: Option<Timestamp>,
    /// When anybody else pruned build cache of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pruned: Option<Timestamp>,
    /// Its release before, where it has another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// Its release.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<String>,
    /// A cache that was to be read and could not be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing_cache: Option<String>,
    /// A build at the same time, on an engine that loses cache keys of builds that overlap.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overlapped: Option<BuildId>,
    /// Where nothing else is known: a rule of garbage collection that can have taken it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collection: Option<CollectionRule>,
}

/// A build that was made elsewhere.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Elsewhere {
    /// The build.
    pub build: BuildId,
    /// Its builder; `None` for an engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub builder: Option<String>,
}

/// What became of a cache mount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Loss {
    /// `clean` removed it.
    Cleaned,
    /// Anybody else pruned build cache.
    Pruned,
    /// This engine never had it: builds before were elsewhere.
    NewEngine,
}

impl Reason {
    /// The step whose run made this one run.
    pub fn because_of_step(&self) -> Option<usize> {
        match self {
            Self::Stage { because_of_step } | Self::EarlierStep { because_of_step } => {
                Some(*because_of_step)
            }
            _ => None,
        }
    }

    /// The same where steps have other numbers.
    pub fn renumbered(mut self, number: impl Fn(usize) -> usize) -> Self {
        match &mut self {
            Self::Stage { because_of_step } | Self::EarlierStep { because_of_step } => {
                *because_of_step = number(*because_of_step);
            }
            _ => {}
        }
        self
    }

    /// No build before it, and nothing that would tell more.
    pub(super) fn first_build() -> Self {
        Self::FirstBuild { elsewhere: None, missing_cache: None }
    }

    pub(super) fn certain(self) -> Cause {
        Cause { reason: self, certain: true }
    }

    pub(super) fn likely(self) -> Cause {
        Cause { reason: self, certain: false }
    }
}

/// A file that changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PathChange {
    /// Path from the top of the context.
    pub path: String,
    /// How.
    pub change: Change,
}

/// How a file changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Change {
    /// Another content or size.
    Changed,
    /// Other permissions, or another kind, and nothing else.
    Mode,
    /// Not there before.
    Added,
    /// No longer there.
    Removed,
}

/// What differs; `is_mode` says of a path that is in both whether its mode alone does.
pub(super) fn paths(
    differences: Differences,
    is_mode: impl Fn(&String) -> bool,
) -> Vec<PathChange> {
    let Differences { changed, new, removed, .. } = differences;
    let (mode, changed): (Vec<String>, Vec<String>) = changed.into_iter().partition(is_mode);
    let kinds = [
        (Change::Changed, changed),
        (Change::Mode, mode),
        (Change::Added, new),
        (Change::Removed, removed),
    ];
    kinds
        .into_iter()
        .flat_map(|(change, paths)| paths.into_iter().map(move |path| PathChange { path, change }))
        .collect()
}
