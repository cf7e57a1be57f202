//! The projects that an engine has something of: what each takes, whether it runs, when it was last built. Pure.
//!
//! A project is known by compose's label, as in `docker compose ls`; what has none belongs to nobody here.
//! `docs/design/stats.md` says what the sizes mean.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::history::{Entry, Outcome};
use crate::inventory::{Container, Image, Inventory, Labels, Lost, Part};
use crate::labels;
use crate::ownership::{self, records::Stack};
use crate::usage;

/// A project on an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProjectRow {
    /// Its name.
    pub name: String,
    /// Where its files are: told by its containers, or else by its last build here.
    pub directory: Option<String>,
    /// Other directories that have containers of it.
    pub other_directories: Vec<String>,
    /// How many images it has; `None` where the engine did not say.
    pub images: Option<usize>,
    /// Their bytes, layers that they share counted once.
    pub images_bytes: Option<u64>,
    /// How many volumes it has.
    pub volumes: Option<usize>,
    /// Their bytes.
    pub volumes_bytes: Option<u64>,
    /// How many containers it has, and how many of them run.
    pub containers: Option<(usize, usize)>,
    /// Its last build on this engine that is remembered.
    pub last_build: Option<LastBuild>,
}

/// When something was built, and how that ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastBuild {
    /// Its id.
    pub id: String,
    /// When it began.
    pub started: Timestamp,
    /// How it ended.
    pub outcome: Outcome,
    /// Directory of the project then.
    pub directory: String,
}

impl LastBuild {
    /// The newest of `entries`, newest first, that ran on the engine with this id.
    pub fn of_entries(entries: &[Entry], engine: &str) -> Option<Self> {
        let entry = entries.iter().find(|entry| entry.engine.id == engine)?;
        Some(Self {
            id: entry.id.to_string(),
            started: entry.started,
            outcome: entry.outcome,
            directory: entry.project_directory.clone(),
        })
    }
}

/// Ids of the images that carry a project's label, whose layers are worth asking for.
pub fn labelled(images: &[Image]) -> Vec<String> {
    images.iter().filter(|it| project(&it.labels).is_some()).map(|it| it.id.clone()).collect()
}

/// The projects, by name. `builds` has the last build of each name.
pub fn list(
    inventory: &Inventory,
    stacks: &[Stack],
    builds: &BTreeMap<String, LastBuild>,
) -> Vec<ProjectRow> {
    let stacks = usage::by_image(stacks);
    let names: BTreeSet<&str> = ownership::projects(inventory);
    let names = names.into_iter().filter(|name| !name.is_empty());
    names.map(|name| listed(name, inventory, &stacks, builds.get(name))).collect()
}

fn listed(
    name: &str,
    inventory: &Inventory,
    stacks: &BTreeMap<&str, &Stack>,
    last_build: Option<&LastBuild>,
) -> ProjectRow {
    let is_own = |labels: &Labels| project(labels) == Some(name);
    let known = |part: Part| inventory.gap(part).is_none_or(|gap| gap.lost != Lost::Everything);
    let images: Vec<&Image> = inventory.images.iter().filter(|it| is_own(&it.labels)).collect();
    let volumes: Vec<_> = inventory.volumes.iter().filter(|it| is_own(&it.labels)).collect();
    let containers: Vec<&Container> =
        inventory.containers.iter().filter(|it| is_own(&it.labels)).collect();
    let mut directories = directories(&containers).into_iter();
    let directory = directories.next().or_else(|| Some(last_build?.directory.clone()));
    let running = containers.iter().filter(|it| it.is_running()).count();
    ProjectRow {
        name: name.to_owned(),
        directory: directory.filter(|it| !it.is_empty()),
        other_directories: directories.collect(),
        images: known(Part::Images).then_some(images.len()),
        images_bytes: known(Part::Images).then(|| usage::together(&images, stacks)).flatten(),
        volumes: known(Part::Volumes).then_some(volumes.len()),
        volumes_bytes: known(Part::Volumes)
            .then(|| volumes.iter().map(|it| it.size_bytes).sum())
            .flatten(),
        containers: known(Part::Containers).then_some((containers.len(), running)),
        last_build: last_build.cloned(),
    }
}

/// Directories that containers were made from: those of running ones first, then by name.
fn directories(containers: &[&Container]) -> Vec<String> {
    let mut found: BTreeMap<&str, bool> = BTreeMap::new();
    for container in containers {
        if let Some(directory) =
            container.labels.get(labels::WORKING_DIR).filter(|it| !it.is_empty())
        {
            *found.entry(directory).or_default() |= container.is_running();
        }
    }
    let mut found: Vec<(&str, bool)> = found.into_iter().collect();
    found.sort_by_key(|(directory, runs)| (!runs, *directory));
    found.into_iter().map(|(directory, _)| directory.to_owned()).collect()
}

fn project(labels: &Labels) -> Option<&str> {
    labels.get(labels::PROJECT).map(String::as_str).filter(|name| !name.is_empty())
}
