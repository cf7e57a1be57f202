//! The project that is asked about, what is known of it, and the answers, as plain data.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::inventory::{ImageDetails, Inventory, Labels};
use crate::ownership::records::{Build, Stack, Verdict};

/// The project, as far as its files and the command line tell.
#[derive(Debug, Clone, Default)]
pub struct Project {
    /// Compose project name.
    pub name: String,
    /// References of the images it builds, as engines list them.
    pub built: BTreeSet<String>,
    /// References of the images it only pulls.
    pub pulled: BTreeSet<String>,
    /// What the files at hand call external.
    pub external: Names,
    /// Where its files are. `None` where it is known by its name alone: all its directories are meant then.
    pub checkout: Option<Checkout>,
}

/// Names of volumes and networks in the engine.
#[derive(Debug, Clone, Default)]
pub struct Names {
    /// Of volumes.
    pub volumes: BTreeSet<String>,
    /// Of networks.
    pub networks: BTreeSet<String>,
}

/// The files at hand. Links in paths are resolved.
#[derive(Debug, Clone, Default)]
pub struct Checkout {
    /// The project's directory.
    pub directory: PathBuf,
    /// The compose files.
    pub files: BTreeSet<PathBuf>,
    /// What they declare and do not call external.
    pub declared: Names,
}

/// What counts as the project's on request only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Include {
    /// Containers and images that the project has from another directory.
    OtherDirectories,
    /// Volumes, networks and images of the project that its files do not name.
    Undeclared,
    /// Images that no recorded build of the project made.
    Unrecorded,
}

/// What was gathered beside the engine's lists.
#[derive(Debug, Clone, Default)]
pub struct Evidence {
    /// Images that recorded builds of the project made, by id.
    pub made: BTreeMap<String, Origin>,
    /// Whether builds of the project are recorded from another directory.
    pub elsewhere: bool,
    /// Paths that labels name, each with its links resolved.
    pub places: BTreeMap<String, PathBuf>,
    /// Labels of images that containers have and the engine does not list, by id.
    pub unlisted: BTreeMap<String, Labels>,
    /// Builds on this engine, of the project and of others.
    pub builds: Vec<Build>,
    /// Builds of the project of which nobody recorded the directory.
    pub unplaced: Vec<Build>,
    /// Since when these are all builds of the engine, where that is known.
    pub complete_since: Option<Timestamp>,
    /// Whether nobody else's builds can have the cache keys of the project's.
    pub own_keys: bool,
}

/// What recorded builds say about an image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// Directories that it was built from, with links resolved. Empty where only the engine recorded it.
    pub from: BTreeSet<PathBuf>,
    /// References that builds gave it.
    pub names: BTreeSet<String>,
}

/// Everything that an answer depends on.
#[derive(Debug, Clone, Copy)]
pub struct Question<'a> {
    /// Who asks.
    pub project: &'a Project,
    /// What the engine holds.
    pub inventory: &'a Inventory,
    /// Layers of its images; needed for the build cache alone.
    pub stacks: &'a [Stack],
    /// Layers and history of the images that may be the project's, for a project whose builds nobody recorded.
    pub histories: &'a [ImageDetails],
    /// What else is known.
    pub evidence: &'a Evidence,
    /// What counts as the project's, too.
    pub include: &'a BTreeSet<Include>,
}

/// Whose things are. What has nothing to do with the project is in none of the maps.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// Containers by id.
    pub containers: BTreeMap<String, Whose>,
    /// Networks by id.
    pub networks: BTreeMap<String, Whose>,
    /// Images by id, each name on its own: one of them may be somebody else's. `None` is an image without a name.
    pub images: BTreeMap<String, Vec<(Option<String>, Whose)>>,
    /// Volumes by name.
    pub volumes: BTreeMap<String, Whose>,
    /// Records of the build cache by id; nobody recorded those that it lacks.
    pub records: BTreeMap<String, Verdict>,
    /// Ids of images that the project's current builds made, where the steps of all builds are known.
    pub current_images: BTreeSet<String>,
}

/// Whose a thing is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// The project's, for this reason.
    Ours(String),
    /// An image that the project uses and does not build.
    Pulled,
    /// Somebody else's, or nobody can tell.
    Kept(Reason),
}

/// Why something that looks like the project's is not taken for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The files call it external.
    External,
    /// The files do not name this volume or network.
    Undeclared(&'static str),
    /// The files name no such image.
    UndeclaredImage,
    /// It comes from another directory, where that is known.
    Elsewhere(Option<PathBuf>),
    /// The same image was built from another directory, too.
    ElsewhereToo(PathBuf),
    /// Another project made it.
    OtherProject(String),
    /// A container that has the project's label from its image.
    Inherited,
    /// A container of an image that is gone, with the labels that compose would give it.
    ImageGone,
    /// A container of somebody who runs an image of the project.
    RunsImage(Option<String>),
    /// A volume or network with the project's label or a name of its files that compose did not make.
    NotByCompose,
    /// A name that somebody gave an image with the project's label.
    HandMadeName,
    /// An image that no recorded build of the project made.
    Unrecorded,
    /// A volume without a name that this container uses, too, which is not the project's.
    UsedBy(String),
}

impl Project {
    /// Whether a path, links resolved, is the project's directory; any is where the files are not at hand.
    pub(super) fn is_here(&self, directory: &Path) -> bool {
        self.checkout.as_ref().is_none_or(|checkout| checkout.directory == directory)
    }
}

impl Answer {
    /// Whether a container is the project's.
    pub fn has_container(&self, id: &str) -> bool {
        matches!(self.containers.get(id), Some(Whose::Ours(_)))
    }

    /// Whether a volume is the project's.
    pub fn has_volume(&self, name: &str) -> bool {
        matches!(self.volumes.get(name), Some(Whose::Ours(_)))
    }

    /// Whether an image is the project's under this name, or without one.
    pub fn has_image(&self, id: &str, reference: Option<&str>) -> bool {
        let names = self.images.get(id).into_iter().flatten();
        names
            .filter(|(name, _)| name.as_deref() == reference)
            .any(|(_, whose)| matches!(whose, Whose::Ours(_)))
    }

    /// Whether an image is the project's alone: under each of its names.
    pub fn owns_image(&self, id: &str) -> bool {
        self.images.get(id).is_some_and(|names| {
            !names.is_empty() && names.iter().all(|(_, whose)| matches!(whose, Whose::Ours(_)))
        })
    }

    /// How many things look like the project's and are not counted as such.
    pub fn kept(&self) -> usize {
        let images = self.images.values().flatten().map(|(_, whose)| whose);
        let things = self.containers.values().chain(self.networks.values());
        let all = things.chain(self.volumes.values()).chain(images);
        all.filter(|whose| matches!(whose, Whose::Kept(_))).count()
    }
}

impl Reason {
    /// What has to be included for the thing to count as the project's.
    pub fn include(&self) -> Option<Include> {
        match self {
            Self::Undeclared(_) | Self::UndeclaredImage => Some(Include::Undeclared),
            Self::Elsewhere(_) | Self::ElsewhereToo(_) => Some(Include::OtherDirectories),
            Self::Unrecorded => Some(Include::Unrecorded),
            _ => None,
        }
    }
}

impl fmt::Display for Include {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OtherDirectories => "other-directories",
            Self::Undeclared => "undeclared",
            Self::Unrecorded => "unrecorded",
        })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::External => f.write_str("the compose file calls it external"),
            Self::Undeclared(kind) => write!(f, "the compose file names no such {kind}"),
            Self::UndeclaredImage => f.write_str(
                "has the project's label, and the compose file names no such image",
            ),
            Self::Elsewhere(Some(directory)) => {
                write!(f, "made from another directory, {}", directory.display())
            }
            Self::Elsewhere(None) => f.write_str(
                "the project is used from another directory too, and nobody recorded which of them made it",
            ),
            Self::ElsewhereToo(directory) => {
                write!(f, "built from another directory, too: {}", directory.display())
            }
            Self::OtherProject(name) => write!(f, "project {name} made it"),
            Self::Inherited => {
                f.write_str("compose did not make it: it has the project's label from its image")
            }
            Self::ImageGone => f.write_str(
                "its image is gone, so nobody can tell whether its labels are compose's",
            ),
            Self::RunsImage(None) => {
                f.write_str("compose did not make it: it runs an image of the project")
            }
            Self::RunsImage(Some(name)) => write!(f, "of project {name}: it runs an image of this one"),
            Self::NotByCompose => f.write_str("compose did not make it"),
            Self::HandMadeName => f.write_str(
                "has the project's label, perhaps from an image it is built on; no build gave it this name",
            ),
            Self::Unrecorded => f.write_str("no recorded build of the project made it"),
            Self::UsedBy(name) => write!(f, "container {name} uses it, which is not counted as the project's"),
        }?;
        match self.include() {
            Some(include) => write!(f, "; --include {include} takes it in"),
            None => Ok(()),
        }
    }
}
