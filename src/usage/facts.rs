//! What the calculation starts from.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::gc::Rules;
use super::model::{RemedyStats, Worths};
use crate::image_reference::familiar;
use crate::inventory::{ImageDetails, Inventory};
use crate::measure::Sizes;
use crate::ownership::Answer;
use crate::ownership::records::Stack;
use crate::sight::Disk;

/// Everything that is known.
#[derive(Debug, Clone)]
pub struct Facts<'a> {
    /// Compose project name.
    pub project: &'a str,
    /// Services that the project builds; empty where its files are gone.
    pub services: &'a [ServiceFacts],
    /// What the engine holds.
    pub inventory: &'a Inventory,
    /// Whose its things are.
    pub whose: &'a Answer,
    /// Layers and history of the images that [`super::wanted`] names, as far as they came in time.
    pub details: &'a [ImageDetails],
    /// The layers of all images of the engine, where they were asked for.
    pub stacks: Option<&'a [Stack]>,
    /// The engine's disk, where it can be seen.
    pub disk: Option<Disk>,
    /// What frees space of the project; `None` where it was not asked.
    pub remedies: Option<&'a [RemedyStats]>,
    /// Images that recorded builds of the project made, newest first.
    pub past: &'a [PastImage],
    /// Ids of the cache records that are this project's; `None` where nobody can tell.
    pub own_records: Option<&'a BTreeSet<String>>,
    /// The rules of the engine's garbage collection; `None` where it did not tell.
    pub gc: Option<&'a Rules>,
    /// What the cache mounts are worth that it takes.
    pub worths: &'a Worths,
    /// What is known of the true sizes of cache mounts; the inventory has them.
    pub sizes: &'a Sizes,
    /// Whether every cache record is to be listed.
    pub with_records: bool,
    /// The moment of the inventory, by this machine's clock.
    pub now: Timestamp,
    /// What else is to be said, as fragments.
    pub notes: &'a [String],
}

/// A service that the project builds.
#[derive(Debug, Clone, Default)]
pub struct ServiceFacts {
    /// Its name.
    pub name: String,
    /// Reference of its image.
    pub reference: String,
    /// Stage that is built, where not the last one.
    pub stage: Option<String>,
    /// Further references its build gives.
    pub tags: Vec<String>,
    /// What its build puts before the ids of cache mounts (`BUILDKIT_CACHE_MOUNT_NS`).
    pub namespace: String,
    /// Its Dockerfile, where that is a file on this machine or stands in the compose file.
    pub dockerfile: Option<DockerfileFacts>,
}

/// A Dockerfile.
#[derive(Debug, Clone)]
pub struct DockerfileFacts {
    /// As the user would name it.
    pub path: String,
    /// Its text.
    pub text: String,
    /// Stage that is built, where not the last one.
    pub stage: Option<String>,
}

/// An image that a recorded build made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastImage {
    /// Service.
    pub service: String,
    /// The image's name.
    pub reference: String,
    /// Stage that was built, where not the last one.
    pub stage: Option<String>,
    /// `sha256:...`.
    pub id: String,
    /// Its size then.
    pub size_bytes: u64,
}

/// An image that a service has now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CurrentImage {
    /// Service.
    pub service: String,
    /// The image's name.
    pub reference: String,
    /// Stage it is built from, where not the last one.
    pub stage: Option<String>,
    /// `sha256:...`.
    pub id: String,
}

impl CurrentImage {
    /// Whether `past` is what this one was before: of the same service, stage and name. A directory of its own is for
    /// the caller to see to.
    pub fn follows(&self, past: &PastImage) -> bool {
        let same_name = familiar(&self.reference) == familiar(&past.reference);
        self.service == past.service && self.stage == past.stage && same_name && self.id != past.id
    }
}
