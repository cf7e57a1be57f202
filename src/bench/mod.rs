//! What builds of a project cost.
//!
//! Pure: the cases, which files are changed and how ([`choose`], [`edit`]), what was measured ([`results`]), the report
//! ([`model`]). [`runner`] has a plan measured on an engine, on copies of the projects ([`variant`]), and removes what it
//! made. How something is built and shown is not known here.

pub mod choose;
pub mod edit;
pub mod engine;
pub mod model;
mod relock;
pub mod results;
pub mod runner;
mod tidy;
pub mod variant;
mod workspace;

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
    /// A requirement was added, and locked by `lock`.
    Lock,
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
            Self::Lock => "lock",
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
            Self::Lock => "new requirement, locked",
        }
    }
}

/// What is measured.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The cases in the order in which they can follow each other.
    pub cases: Vec<Case>,
    /// How often each.
    pub runs: usize,
    /// Lines that are added to files of requirements.
    pub lines: Vec<String>,
}

impl Plan {
    /// Whether each run begins with nothing: a first build has everything before it removed. Otherwise each run goes on
    /// where the one before ended.
    fn is_from_nothing(&self) -> bool {
        self.cases.contains(&Case::First)
    }
}
