//! What a clean is asked for, and its plan, as plain data.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;

use super::select::SpaceGoal;
use crate::inventory::{CacheKind, CacheRecord};
use crate::ownership::records::is_base_layer;

/// Kinds of things, in the order in which they can go: each is used by those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A container.
    Container,
    /// A network.
    Network,
    /// An image, or one of its names.
    Image,
    /// A volume.
    Volume,
    /// A record of the build cache.
    Cache,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Container => "container",
            Self::Network => "network",
            Self::Image => "image",
            Self::Volume => "volume",
            Self::Cache => "cache",
        })
    }
}

/// What will be removed.
#[derive(Debug, Clone, Default)]
pub struct Request {
    /// Kinds of things.
    pub kinds: BTreeSet<Kind>,
    /// All cache records instead of the project's.
    pub whole_cache: bool,
    /// Only what is left of earlier builds: images without a name, and records that no current build needs.
    pub only_old: bool,
    /// Images that are only pulled, too.
    pub pulled_images: bool,
    /// Running containers, too: they are stopped first.
    pub stop: bool,
    /// Only what was made (cache: last used) before.
    pub until: Option<Timestamp>,
    /// Remove cache records, least recently used first, no further than this.
    pub cache_goal: Option<SpaceGoal>,
    /// Of the build cache these records and no others, whoever made them: somebody named them.
    pub records: Option<BTreeSet<String>>,
}

impl Request {
    /// What is left of the project's earlier builds.
    pub fn old() -> Self {
        Self { kinds: [Kind::Image, Kind::Cache].into(), only_old: true, ..Self::default() }
    }

    /// Everything of the project that is not in use, but its build cache: what `clean` removes without options.
    pub fn things() -> Self {
        let kinds = [Kind::Container, Kind::Network, Kind::Image, Kind::Volume];
        Self { kinds: kinds.into(), ..Self::default() }
    }

    /// The project's build cache and nothing else.
    pub fn cache() -> Self {
        Self { kinds: [Kind::Cache].into(), ..Self::default() }
    }

    /// Records with these ids and nothing else.
    pub fn named(records: BTreeSet<String>) -> Self {
        Self { records: Some(records), ..Self::cache() }
    }
}

/// One call of the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Remove a container.
    Container {
        /// Whether it has to be stopped first.
        stop: bool,
    },
    /// Remove a network.
    Network,
    /// Remove an image.
    Image {
        /// The name to remove; the id where it has none.
        reference: Option<String>,
    },
    /// Remove a volume.
    Volume {
        /// When it was made: another of the same name is somebody else's.
        created: Option<Timestamp>,
    },
    /// Remove a cache record.
    Cache {
        /// How often it had been used when that was decided: one that is used since has become somebody's.
        usage_count: u64,
    },
}

/// A thing that goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item<A = Action> {
    /// What to do; nothing for what stays.
    pub action: A,
    /// What it is.
    pub kind: Kind,
    /// The engine's id; the name of a volume.
    pub id: String,
    /// What a person would call it.
    pub name: String,
    /// For what goes: bytes that this frees. For what stays: bytes it takes, where they are known.
    pub bytes: Option<u64>,
    /// Why it is removed or kept.
    pub reason: String,
    /// The same for people.
    pub shown: Presentation,
}

/// How a thing is shown to people. Things that differ in their names alone can share a line.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Presentation {
    /// What it is called on a line of its own.
    pub name: String,
    /// What it is counted as among others.
    pub sort: Sort,
    /// Services that it is of, as far as they are known.
    pub services: BTreeSet<String>,
    /// Why it is removed or kept, in words that fit others of its kind, too.
    pub why: String,
}

/// What things are counted as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Sort {
    /// A thing that people know by its name.
    Named,
    /// An image that nothing names any more.
    EarlierBuild,
    /// The result of a step.
    Step,
    /// A cache mount.
    CacheMount,
    /// Files of a build context.
    BuildContext,
    /// A layer of a base image.
    BaseLayer,
    /// Another record of the build cache.
    Record,
}

impl Sort {
    /// That of a cache record.
    pub(super) fn of_record(record: &CacheRecord) -> Self {
        match record.kind {
            CacheKind::Regular if is_base_layer(&record.description) => Self::BaseLayer,
            CacheKind::Regular => Self::Step,
            CacheKind::CacheMount => Self::CacheMount,
            CacheKind::LocalSource => Self::BuildContext,
            _ => Self::Record,
        }
    }
}

impl<A> Item<A> {
    /// Adds to the reason why it is removed or kept.
    pub(super) fn add_reason(&mut self, more: &str) {
        self.reason.push_str(more);
        self.shown.why.push_str(more);
    }
}

/// What goes, in the order of removal, and what stays.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Plan {
    /// What goes.
    pub remove: Vec<Item>,
    /// Things of the project, and records of the build cache, that stay.
    pub keep: Vec<Item<()>>,
}

impl Plan {
    /// Bytes that removing everything frees.
    pub fn estimated_bytes(&self) -> u64 {
        self.remove.iter().filter_map(|item| item.bytes).sum()
    }

    /// What goes of one kind.
    pub fn removes(&self, kind: Kind) -> impl Iterator<Item = &Item> {
        self.remove.iter().filter(move |item| item.kind == kind)
    }
}
