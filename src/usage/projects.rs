//! What each project of the engine takes.

use std::collections::{BTreeMap, BTreeSet};

use super::facts::Facts;
use super::label;
use super::model::ProjectStats;
use crate::inventory::{Image, Labels, Lost, Part, Store};
use crate::labels;
use crate::ownership::records::{Chain, Stack, stacks};

/// Bytes of images together, layers that they share counted once.
#[derive(Debug, Default)]
pub(super) struct Together {
    bytes: u64,
    seen: BTreeSet<Chain>,
    /// Whether a part of it is an estimate.
    pub(super) estimated: bool,
}

impl Together {
    /// Adds an image of this size with its layers, each by its chain. The containerd store keeps compressed `content`
    /// besides the layers and tells it for whole images only: that of a shared layer is taken to be as large a part of
    /// it as the layer is of the image.
    pub(super) fn add(
        &mut self,
        size: u64,
        content: Option<u64>,
        layers: impl Iterator<Item = (Chain, Option<u64>)> + Clone,
    ) {
        self.bytes += size;
        let unpacked: u64 = layers.clone().filter_map(|(_, size)| size).sum();
        for (chain, size) in layers {
            if self.seen.insert(chain) {
                continue;
            }
            let Some(size) = size else { continue };
            let content = content.filter(|_| unpacked > 0 && size > 0).map(|content| {
                self.estimated = true;
                (u128::from(content) * u128::from(size) / u128::from(unpacked)) as u64
            });
            self.bytes = self.bytes.saturating_sub(size + content.unwrap_or(0));
        }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }
}

/// This project's sum; those of the others, too, where the layers of all images are known.
pub(super) fn projects(facts: &Facts) -> Vec<ProjectStats> {
    let inventory = facts.inventory;
    let own_stacks = stacks(facts.details);
    let stacks = by_image(facts.stacks.unwrap_or(&own_stacks));
    let own = Some(facts.project.to_owned());
    let others =
        |labels: &Labels| label(labels, labels::PROJECT).filter(|name| own.as_ref() != Some(name));
    let mut images: BTreeMap<Option<String>, Vec<&Image>> = BTreeMap::new();
    let mut containers: BTreeMap<Option<String>, u64> = BTreeMap::new();
    let mut volumes: BTreeMap<Option<String>, u64> = BTreeMap::new();
    for image in &inventory.images {
        let names = facts.whose.images.get(&image.id).into_iter().flatten();
        let is_own =
            names.clone().any(|(name, _)| facts.whose.has_image(&image.id, name.as_deref()));
        let project = if is_own { own.clone() } else { others(&image.labels) };
        images.entry(project).or_default().push(image);
    }
    for container in &inventory.containers {
        let is_own = facts.whose.has_container(&container.id);
        let project = if is_own { own.clone() } else { others(&container.labels) };
        *containers.entry(project).or_default() += container.size_rw_bytes.unwrap_or(0);
    }
    for volume in &inventory.volumes {
        let is_own = facts.whose.has_volume(&volume.name);
        let project = if is_own { own.clone() } else { others(&volume.labels) };
        *volumes.entry(project).or_default() += volume.size_bytes.unwrap_or(0);
    }
    let mut names: BTreeSet<Option<String>> = [own.clone()].into();
    if facts.stacks.is_some() {
        names.extend(images.keys().chain(containers.keys()).chain(volumes.keys()).cloned());
    }
    let known = |part: Part, sums: &BTreeMap<Option<String>, u64>, name: &Option<String>| {
        inventory.gap(part).is_none().then(|| sums.get(name).copied().unwrap_or(0))
    };
    let mut projects: Vec<ProjectStats> = names
        .into_iter()
        .map(|name| {
            let of_project = images.get(&name).map_or(&[][..], Vec::as_slice);
            let images_bytes = match inventory.gap(Part::Images) {
                None => together(of_project, &stacks),
                Some(_) => None,
            };
            let containers_bytes = known(Part::Containers, &containers, &name);
            let volumes_bytes = known(Part::Volumes, &volumes, &name);
            let cache_bytes = if name == own { own_cache(facts) } else { None };
            let parts = [images_bytes, containers_bytes, volumes_bytes, cache_bytes];
            let known: Vec<u64> = parts.into_iter().flatten().collect();
            let total_bytes = (!known.is_empty()).then(|| known.iter().sum());
            ProjectStats {
                project: name,
                images_bytes,
                containers_bytes,
                volumes_bytes,
                cache_bytes,
                total_bytes,
            }
        })
        .collect();
    projects.sort_by(|a, b| (b.total_bytes, &a.project).cmp(&(a.total_bytes, &b.project)));
    projects
}

/// Bytes of images together, layers that they share counted once; `None` where the size of one is not known.
pub fn together(images: &[&Image], stacks: &BTreeMap<&str, &Stack>) -> Option<u64> {
    let mut sum = Together::default();
    for image in images {
        let stack = stacks.get(image.id.as_str());
        let layers = stack.map_or(&[][..], |it| it.layers.as_slice());
        let layers = layers.iter().map(|layer| (layer.chain, layer.size_bytes));
        sum.add(image.size_bytes?, stack.and_then(|it| it.content_bytes), layers);
    }
    Some(sum.bytes())
}

/// Stacks by the ids of their images.
pub fn by_image(stacks: &[Stack]) -> BTreeMap<&str, &Stack> {
    stacks.iter().map(|stack| (stack.image.as_str(), stack)).collect()
}

/// The project's records of the build cache that are not counted with its images.
fn own_cache(facts: &Facts) -> Option<u64> {
    let own = facts.own_records?;
    let apart = facts.inventory.engine.store == Store::Containerd;
    let gap = facts.inventory.gap(Part::Cache);
    if gap.is_some_and(|gap| gap.lost == Lost::Everything) {
        return None;
    }
    let records = facts.inventory.cache.iter().filter(|it| own.contains(&it.id));
    Some(records.filter(|it| apart || !it.shared).map(|it| it.size_bytes).sum())
}
