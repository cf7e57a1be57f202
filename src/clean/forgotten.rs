//! Which cached results a prune costs although it does not remove their records.
//!
//! At the end of every prune that removed something, BuildKit drops the results it cannot load, and loads them
//! with a context that has just been cancelled (`control/control.go`, `Prune`, to its `defer`; so from 0.13 to
//! 0.32 at least). Loading asks containerd only for layers that BuildKit did not unpack itself (`cache/refs.go`,
//! `isLazy`): those of a base image that `docker pull`, `load` or `import` had unpacked before the first build on
//! it, and what came with an imported cache. All that is built on such a layer is forgotten. Docker's own store has
//! no such layers. BuildKit without an engine around it, and without containerd, is the only one to unpack layers: there
//! only what no step has stood upon yet is one.

use std::collections::{BTreeMap, BTreeSet};

use super::space::Space;
use crate::inventory::{CacheKind, CacheRecord, Inventory, Store};
use crate::ownership::records::{came_as_blob, is_base_layer};

/// What records of layers say that BuildKit fetched from a registry itself (`cache/remote.go`, `Unlazy`).
const FETCHED: &str = "pulled from ";
/// By which part of the unpacked bytes a record must be larger than these. The size of a layer that BuildKit did not
/// unpack is that of its blob alone, that of another one is both together, and blobs that are hardly
/// smaller than what they hold are common.
const MARGIN: u64 = 32;

/// Ids of the records whose results BuildKit forgets as soon as any record goes. Base images are left out:
/// what is forgotten of them is found again at once.
pub(super) fn forgotten<'a>(inventory: &'a Inventory, space: &Space) -> BTreeSet<&'a str> {
    if inventory.engine.store == Store::GraphDriver {
        return BTreeSet::new();
    }
    let records: BTreeMap<&str, &CacheRecord> =
        inventory.cache.iter().map(|record| (record.id.as_str(), record)).collect();
    let unpacked = unpacked_bytes(&records, space);
    let stood_upon = match inventory.engine.store {
        Store::Buildkit { unpacks_alone: true } => stood_upon(&records),
        _ => BTreeSet::new(),
    };
    let fragile = |record: &CacheRecord| {
        record.kind == CacheKind::Regular
            && came_as_blob(&record.description)
            && !stood_upon.contains(record.id.as_str())
            && !unpacked_by_buildkit(record, &records, &unpacked)
    };
    let on_fragile = |record: &&CacheRecord| {
        let mut seen = BTreeSet::new();
        let mut open = vec![record.id.as_str()];
        while let Some(id) = open.pop() {
            // What a record is built on and the engine did not list can be anything.
            let Some(record) = records.get(id) else { return true };
            if fragile(record) {
                return true;
            }
            open.extend(record.parents.iter().map(String::as_str).filter(|id| seen.insert(*id)));
        }
        false
    };
    let results = inventory.cache.iter().filter(|record| !is_base_layer(&record.description));
    results.filter(on_fragile).map(|record| record.id.as_str()).collect()
}

/// Ids of the records that a step stood upon: for it BuildKit unpacked them all, where nobody else does that. What a linked
/// copy joins (several parents) it may leave as it is until a step stands upon the whole.
fn stood_upon<'a>(records: &BTreeMap<&'a str, &'a CacheRecord>) -> BTreeSet<&'a str> {
    let is_step = |record: &&&CacheRecord| {
        record.kind == CacheKind::Regular
            && !came_as_blob(&record.description)
            && record.parents.len() == 1
    };
    let mut open: Vec<&str> = Vec::new();
    for step in records.values().filter(is_step) {
        open.extend(step.parents.iter().map(String::as_str));
    }
    let mut all = BTreeSet::new();
    while let Some(id) = open.pop() {
        if all.insert(id)
            && let Some(record) = records.get(id)
        {
            open.extend(record.parents.iter().map(String::as_str));
        }
    }
    all
}

/// Bytes of the unpacked layer of a record and of each below it, from the image that a record on top of them is in.
fn unpacked_bytes<'a>(
    records: &BTreeMap<&'a str, &'a CacheRecord>,
    space: &Space,
) -> BTreeMap<&'a str, u64> {
    let mut unpacked = BTreeMap::new();
    for record in records.values() {
        let mut chain = vec![*record];
        while let [parent] = chain[chain.len() - 1].parents.as_slice()
            && let Some(parent) = records.get(parent.as_str())
        {
            chain.push(*parent);
        }
        if !chain[chain.len() - 1].parents.is_empty() {
            continue;
        }
        let Some(layers) = space.unpacked(&chain) else { continue };
        for (record, bytes) in chain.iter().zip(layers) {
            let known = unpacked.entry(record.id.as_str()).or_insert(0);
            *known = bytes.max(*known);
        }
    }
    unpacked
}

/// Whether BuildKit unpacked this layer itself, by what its size and those of the layers below it say.
fn unpacked_by_buildkit(
    record: &CacheRecord,
    records: &BTreeMap<&str, &CacheRecord>,
    unpacked: &BTreeMap<&str, u64>,
) -> bool {
    let (mut sizes, mut layers) = (0_u64, 0_u64);
    let mut next = Some(record);
    while let Some(layer) = next {
        let Some(bytes) = unpacked.get(layer.id.as_str()).filter(|bytes| **bytes > 0) else {
            return false;
        };
        let held_by_engine =
            is_base_layer(&layer.description) && !layer.description.starts_with(FETCHED);
        if held_by_engine || layer.size_bytes <= *bytes {
            return false;
        }
        sizes += layer.size_bytes;
        layers += bytes;
        next = layer.parents.first().and_then(|id| records.get(id.as_str())).copied();
    }
    sizes >= layers + layers / MARGIN
}
