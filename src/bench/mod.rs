//! What `bench` measures, as plain values: the cases, which files are changed and how, and the report. Pure.

pub mod choose;
pub mod edit;
pub mod model;

/// A situation in which somebody builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Case {
    /// Nothing is cached but base images.
    First,
    /// No layer is cached, the cache mounts are full.
    Warm,
    /// Nothing was changed since the build before.
    Unchanged,
    /// Source code was changed.
    Code,
    /// A file of requirements was changed.
    Requirement,
}

impl Case {
    /// Those measured where none is named, in the order in which they can follow each other.
    pub const USUAL: [Self; 4] = [Self::First, Self::Unchanged, Self::Code, Self::Requirement];

    /// Its name on the command line and in documents.
    pub fn word(self) -> &'static str {
        match self {
            Self::First => "first",
            Self::Warm => "warm",
            Self::Unchanged => "unchanged",
            Self::Code => "code",
            Self::Requirement => "requirement",
        }
    }

    /// Its name in tables.
    pub fn title(self) -> &'static str {
        match self {
            Self::First => "first build",
            Self::Warm => "no layers, warm caches",
            Self::Unchanged => "rebuild without change",
            Self::Code => "code change",
            Self::Requirement => "requirement change",
        }
    }
}
