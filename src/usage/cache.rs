//! The build cache: sums by kind, and its cache mounts.

use std::collections::BTreeMap;

use bytesize::ByteSize;

use super::facts::Facts;
use super::model::{CacheKindStats, CacheMountStats, CacheRecordStats, CacheStats, MountWorth};
use crate::counted::counted;
use crate::inventory::{CacheKind, CacheRecord, Lost, Part};

/// The cache as a whole.
pub(super) fn cache(facts: &Facts, notes: &mut Vec<String>) -> CacheStats {
    let inventory = facts.inventory;
    if inventory.gap(Part::Cache).is_some_and(|gap| gap.lost == Lost::Everything) {
        return CacheStats::default();
    }
    let sum = |wanted: &dyn Fn(&CacheRecord) -> bool| -> u64 {
        inventory.cache.iter().filter(|it| wanted(it)).map(|it| it.size_bytes).sum()
    };
    let mounts = mounts(facts);
    doubt(facts, &mounts, notes);
    advise(&mounts, sum(&|it| !it.shared), notes);
    CacheStats {
        total_bytes: Some(sum(&|_| true)),
        project_bytes: facts.own_records.map(|own| sum(&|it| own.contains(&it.id))),
        shared_with_images_bytes: Some(sum(&|it| it.shared)),
        reclaimable_bytes: Some(sum(&is_reclaimable)),
        kinds: kinds(facts),
        mounts,
        records: facts.with_records.then(|| records(facts)),
    }
}

fn is_reclaimable(record: &CacheRecord) -> bool {
    !record.shared && !record.in_use
}

fn is_own(facts: &Facts, record: &CacheRecord) -> Option<bool> {
    facts.own_records.map(|own| own.contains(&record.id))
}

fn kinds(facts: &Facts) -> Vec<CacheKindStats> {
    let mut kinds: BTreeMap<&CacheKind, CacheKindStats> = BTreeMap::new();
    for record in &facts.inventory.cache {
        let kind = kinds.entry(&record.kind).or_insert_with(|| CacheKindStats {
            kind: record.kind.word().to_owned(),
            records: 0,
            total_bytes: 0,
            project_bytes: facts.own_records.map(|_| 0),
            shared_with_images_bytes: 0,
            reclaimable_bytes: 0,
        });
        let size = record.size_bytes;
        kind.records += 1;
        kind.total_bytes += size;
        if is_own(facts, record) == Some(true)
            && let Some(project) = &mut kind.project_bytes
        {
            *project += size;
        }
        if record.shared {
            kind.shared_with_images_bytes += size;
        }
        if is_reclaimable(record) {
            kind.reclaimable_bytes += size;
        }
    }
    let mut kinds: Vec<CacheKindStats> = kinds.into_values().collect();
    kinds.sort_by(|a, b| (b.total_bytes, &a.kind).cmp(&(a.total_bytes, &b.kind)));
    kinds
}

fn mounts(facts: &Facts) -> Vec<CacheMountStats> {
    let records = || facts.inventory.cache.iter().filter(|it| it.kind == CacheKind::CacheMount);
    let seen = facts.sizes.as_engine_sees(&facts.inventory.cache);
    let collections = facts.gc.map(|policies| super::gc::collections(policies, &seen, facts.now));
    let declared = super::mounts::DeclaredMounts::new(facts.services);
    let mut mounts: Vec<CacheMountStats> = records()
        .map(|record| {
            let named = super::mounts::parse(&record.description);
            let services = declared.services(&named);
            let known = facts.sizes.mounts.get(&record.id);
            let measured = known.and_then(|known| known.measured);
            let not_measured = known.and_then(|known| known.why_not.clone());
            CacheMountStats {
                id: named.id.or_else(|| services.id.clone()),
                target: named.target,
                size_bytes: record.size_bytes,
                engine_bytes: known.map_or(record.size_bytes, |known| known.engine.size_bytes),
                size_source: match (measured, &not_measured) {
                    (None, _) => "engine",
                    (Some(_), None) => "measured",
                    (Some(_), Some(_)) => "earlier",
                },
                measured,
                not_measured,
                last_used: record.last_used_at,
                services: services.names,
                record: record.id.clone(),
                gc: collections.as_ref().and_then(|all| all.get(&record.id).cloned()),
                worth: facts.worths.get(&record.id).copied(),
            }
        })
        .collect();
    mounts.sort_by(|a, b| {
        (a.services.is_empty(), b.size_bytes, &a.record).cmp(&(
            b.services.is_empty(),
            a.size_bytes,
            &b.record,
        ))
    });
    mounts
}

/// Says which sizes of the project's mounts may be too small.
fn doubt(facts: &Facts, mounts: &[CacheMountStats], notes: &mut Vec<String>) {
    for mount in mounts.iter().filter(|mount| !mount.services.is_empty()) {
        let Some(why) = mount.not_measured.as_ref() else { continue };
        let name = mount.id.as_ref().or(mount.target.as_ref()).unwrap_or(&mount.record);
        let since = match mount.measured {
            Some(time) => {
                let hours = facts.now.duration_since(time).as_secs() / 3600;
                let hours = counted(hours, "hour");
                format!("was measured {hours} ago, and a build has used it since")
            }
            None => "is what the engine found when it was first asked".to_owned(),
        };
        notes.push(format!("the size of cache mount {name} {since}; it may have grown: {why}"));
    }
}

/// What to do about mounts of the project that garbage collection is about to delete.
fn advise(mounts: &[CacheMountStats], unshared: u64, notes: &mut Vec<String>) {
    let due = mounts.iter().filter_map(|mount| {
        let gc = mount.gc.as_ref().filter(|gc| gc.due && !mount.services.is_empty())?;
        let name = mount.id.as_ref().or(mount.target.as_ref()).unwrap_or(&mount.record);
        Some((name, gc, longer(mount.worth.as_ref())))
    });
    for (name, gc, longer) in due {
        let size = |bytes| ByteSize::b(bytes).display().si().to_string();
        let limit = gc.threshold_bytes.map_or_else(|| "any size".to_owned(), size);
        let unshared = size(unshared);
        notes.push(format!(
            "cache mount {name} goes with the engine's next garbage collection{longer}: the build cache has \
             {unshared} of its own, and the rule starts at {limit}. To keep it, clean other cache, \
             or raise builder.gc in the engine's daemon.json"
        ));
    }
}

/// What that means for builds, where it is known and worth a word.
fn longer(worth: Option<&MountWorth>) -> String {
    match worth {
        Some(worth) if worth.saves_seconds >= 1.0 => {
            let up_to = if worth.is_bound { "up to " } else { "" };
            let seconds = worth.saves_seconds.round();
            format!(", and builds take {up_to}{} longer", counted(seconds as u64, "second"))
        }
        _ => String::new(),
    }
}

fn records(facts: &Facts) -> Vec<CacheRecordStats> {
    let mut records: Vec<CacheRecordStats> = facts
        .inventory
        .cache
        .iter()
        .map(|record| CacheRecordStats {
            id: record.id.clone(),
            kind: record.kind.word().to_owned(),
            description: record.description.clone(),
            size_bytes: record.size_bytes,
            created: record.created_at,
            last_used: record.last_used_at,
            usage_count: record.usage_count,
            in_use: record.in_use,
            shared_with_images: record.shared,
            project: is_own(facts, record),
        })
        .collect();
    records.sort_by(|a, b| (b.size_bytes, &a.id).cmp(&(a.size_bytes, &b.id)));
    records
}
