//! What things take on the disk, and what removing them frees.
//!
//! A layer that two images or an image and a cache record hold is there once (Docker's own store), or
//! its blob is (containerd store); it goes with the last one that holds it. Engines do not say which
//! record is which layer: `ownership::records` compares them, and sizes tell the rest.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use crate::inventory::{CacheKind, CacheRecord, Inventory, Store};
use crate::ownership::records::{Chain, Likeness, Mark, Stack, came_as_blob};

/// A layer that images have.
#[derive(Debug)]
struct LayerSpace {
    /// Bytes unpacked.
    unpacked: u64,
    /// Bytes of its blob: 0 where the store keeps none.
    blob: u64,
    /// How its record is recognised.
    mark: Option<Mark>,
}

/// Layers, who holds them, and which record is which of them.
#[derive(Debug)]
pub struct Space {
    has_blobs: bool,
    layers: BTreeMap<Chain, LayerSpace>,
    /// Layers of each image, by the image's id.
    images: BTreeMap<String, Vec<Chain>>,
    /// Layer of a record, by the record's id.
    records: BTreeMap<String, Chain>,
}

impl Space {
    /// Combines what the engine says of images with its records.
    pub fn new(inventory: &Inventory, stacks: &[Stack]) -> Self {
        let has_blobs =
            matches!(inventory.engine.store, Store::Containerd | Store::Buildkit { .. });
        let mut layers = BTreeMap::new();
        let mut images = BTreeMap::new();
        for stack in stacks {
            for layer in &stack.layers {
                layers.entry(layer.chain).or_insert_with(|| LayerSpace {
                    unpacked: layer.size_bytes.unwrap_or(0),
                    blob: 0,
                    mark: layer.mark,
                });
            }
            let chain = stack.layers.iter().map(|layer| layer.chain).collect();
            images.insert(stack.image.clone(), chain);
        }
        let mut space = Self { has_blobs, layers, images, records: BTreeMap::new() };
        space.match_records(&inventory.cache);
        if has_blobs {
            space.tell_blobs(&inventory.cache, stacks);
        }
        space
    }

    /// Each layer is that of one record at most: one that says the same words, where there is one, and of those the
    /// one whose size is nearest to what it should be. Words differ where only one of both has values of variables.
    fn match_records(&mut self, records: &[CacheRecord]) {
        let marked = |record: &&CacheRecord| {
            let is_layer = record.kind == CacheKind::Regular && (self.has_blobs || record.shared);
            let created = record.created_at.filter(|_| is_layer)?;
            Mark::of_record(created, &record.description)
        };
        let mut records: Vec<(&CacheRecord, Mark)> =
            records.iter().filter_map(|it| Some((it, marked(&it)?))).collect();
        let layers = self.layers.iter();
        let mut layers: Vec<(Chain, u64, Mark)> = layers
            .filter_map(|(chain, layer)| Some((*chain, layer.unpacked, layer.mark?)))
            .collect();
        let mut matched = BTreeMap::new();
        // Thousands can be of one second: those that say the same are found first, and what is left is compared.
        for likeness in [Likeness::SameWords, Likeness::OtherWords] {
            let key = |mark: &Mark| match likeness {
                Likeness::SameWords => (mark.second(), mark.words()),
                Likeness::OtherWords => (mark.second(), None),
            };
            let mut alike: HashMap<_, Vec<(Chain, u64, Mark)>> = HashMap::new();
            for layer in &layers {
                alike.entry(key(&layer.2)).or_default().push(*layer);
            }
            let mut pairs = Vec::new();
            for (record, mark) in &records {
                for (chain, unpacked, layer) in alike.get(&key(mark)).into_iter().flatten() {
                    if mark.likeness(layer) == Some(likeness) {
                        let copies = if self.has_blobs { 2 } else { 1 };
                        let distance = record.size_bytes.abs_diff(copies * unpacked);
                        pairs.push((distance, record.id.as_str(), *chain));
                    }
                }
            }
            pairs.sort_unstable();
            let mut taken = HashSet::new();
            for (_, record, chain) in pairs {
                if !matched.contains_key(record) && taken.insert(chain) {
                    matched.insert(record.to_owned(), chain);
                }
            }
            records.retain(|(record, _)| !matched.contains_key(&record.id));
            layers.retain(|(chain, ..)| !taken.contains(chain));
        }
        self.records = matched;
    }

    /// Sizes of blobs: of a record's what is not its inventory, of the others what is left of the
    /// image's content, in the proportion of the unpacked sizes. Bases come before what is built on them.
    fn tell_blobs(&mut self, records: &[CacheRecord], stacks: &[Stack]) {
        let mut told: BTreeSet<Chain> = BTreeSet::new();
        for record in records {
            if let Some(chain) = self.records.get(&record.id)
                && let Some(layer) = self.layers.get_mut(chain)
            {
                layer.blob = record.size_bytes.saturating_sub(layer.unpacked);
                told.insert(*chain);
            }
        }
        let mut stacks: Vec<&Stack> = stacks.iter().collect();
        stacks.sort_by_key(|stack| (stack.layers.len(), stack.image.as_str()));
        for stack in stacks {
            let chains = || stack.layers.iter().map(|layer| layer.chain);
            let known: u64 = chains()
                .filter(|chain| told.contains(chain))
                .filter_map(|chain| self.layers.get(&chain))
                .map(|layer| layer.blob)
                .sum();
            let left = stack.content_bytes.unwrap_or(0).saturating_sub(known);
            let open: Vec<Chain> = chains().filter(|chain| !told.contains(chain)).collect();
            let all: u64 =
                open.iter().filter_map(|chain| self.layers.get(chain)).map(|it| it.unpacked).sum();
            for chain in open {
                if let Some(layer) = self.layers.get_mut(&chain) {
                    let share =
                        u128::from(left) * u128::from(layer.unpacked) / u128::from(all.max(1));
                    layer.blob = u64::try_from(share).unwrap_or(left);
                    told.insert(chain);
                }
            }
        }
    }

    /// Bytes of everything in the inventory that this was made of: each layer and blob once.
    pub fn footprint(&self, inventory: &Inventory) -> u64 {
        let held: BTreeSet<&Chain> = self.records.values().collect();
        let layers: u64 = self
            .layers
            .iter()
            .map(|(chain, layer)| {
                let blob_counted = self.has_blobs && held.contains(chain);
                layer.unpacked + if blob_counted { 0 } else { layer.blob }
            })
            .sum();
        let cache: u64 = inventory
            .cache
            .iter()
            .filter(|record| self.has_blobs || !record.shared)
            .map(|record| record.size_bytes)
            .sum();
        let containers = inventory.containers.iter().filter_map(|it| it.size_rw_bytes).sum::<u64>();
        let volumes = inventory.volumes.iter().filter_map(|it| it.size_bytes).sum::<u64>();
        layers + cache + containers + volumes
    }

    /// What removing these images and records frees, for each of them: what several of them hold
    /// is counted with the first. `images` and `records` are ids.
    pub fn freed(
        &self,
        inventory: &Inventory,
        images: &[&str],
        records: &BTreeSet<&str>,
    ) -> BTreeMap<String, u64> {
        let mut staying: BTreeSet<&Chain> = BTreeSet::new();
        for (id, chain) in &self.images {
            if !images.contains(&id.as_str()) {
                staying.extend(chain);
            }
        }
        let holder: BTreeMap<&Chain, &str> =
            self.records.iter().map(|(record, chain)| (chain, record.as_str())).collect();
        let mut freed = BTreeMap::new();
        let mut counted: BTreeSet<&Chain> = BTreeSet::new();
        for id in images {
            let mut bytes = 0;
            for chain in self.images.get(*id).into_iter().flatten() {
                if staying.contains(chain) || !counted.insert(chain) {
                    continue;
                }
                let Some(layer) = self.layers.get(chain) else { continue };
                let record = holder.get(chain);
                bytes += match (self.has_blobs, record) {
                    // The record has its own inventory, and keeps the blob or goes with it.
                    (true, Some(_)) => layer.unpacked,
                    (true, None) => layer.unpacked + layer.blob,
                    (false, Some(record)) if !records.contains(record) => 0,
                    (false, _) => layer.unpacked,
                };
            }
            freed.insert((*id).to_owned(), bytes);
        }
        for record in &inventory.cache {
            if !records.contains(record.id.as_str()) {
                continue;
            }
            let layer = self.records.get(&record.id);
            let bytes = match layer {
                Some(chain) if self.has_blobs => {
                    let blob = self.layers.get(chain).map_or(0, |layer| layer.blob);
                    let blob_stays = staying.contains(chain);
                    record.size_bytes - if blob_stays { blob.min(record.size_bytes) } else { 0 }
                }
                None if self.has_blobs => record.size_bytes,
                // With the image, or not at all.
                _ if record.shared => 0,
                _ => record.size_bytes,
            };
            freed.insert(record.id.clone(), bytes);
        }
        freed
    }

    /// Unpacked bytes of the layers of these records, each built on the next, down to the base. Known where an image
    /// has just these layers: layers of steps are recognised by their records, those below them by their position.
    pub(super) fn unpacked(&self, records: &[&CacheRecord]) -> Option<Vec<u64>> {
        let of_record = |record: &CacheRecord| self.records.get(&record.id);
        let top = of_record(records.first()?)?;
        let layers = self.images.values().find_map(|layers| {
            let place = layers.iter().position(|layer| layer == top)?;
            Some(&layers[..=place])
        })?;
        let mut pairs = records.iter().zip(layers.iter().rev());
        let fit = layers.len() == records.len()
            && pairs.all(|(record, layer)| {
                came_as_blob(&record.description) || of_record(record) == Some(layer)
            });
        let bytes = |layer: &Chain| self.layers.get(layer).map(|layer| layer.unpacked);
        if fit { layers.iter().rev().map(bytes).collect() } else { None }
    }

    /// Whether an image that is not among `images` has the layer of this record.
    pub fn held_by_other_image(&self, record: &str, images: &[&str]) -> bool {
        let Some(chain) = self.records.get(record) else { return false };
        self.images
            .iter()
            .any(|(id, chains)| !images.contains(&id.as_str()) && chains.contains(chain))
    }
}
