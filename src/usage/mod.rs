//! What a project takes on disk: images, containers, volumes and build cache, measured by the engine
//! and put in relation to the project.
//!
//! [`Inquiry`] asks the engine and the ledger. [`aggregate`] is pure: the engine's
//! [`Inventory`](crate::inventory::Inventory), the project and past builds come in as values, a [`StatsReport`] comes
//! out. How it is shown is not known here.
//! `docs/design/stats.md` says what each figure means and where engines are wrong.

pub mod budget;
mod builder;
mod cache;
mod facts;
mod gather;
pub mod gc;
mod growth;
mod images;
mod model;
mod mounts;
mod past;
mod projects;
mod services;
mod stacks;
#[cfg(test)]
pub(crate) mod tests;
mod worth;
pub use builder::{
    BUILDER_SCHEMA, BuilderFacts, BuilderStats, BuilderSummary, CacheSums, KindSums,
    NodeCacheStats, NodeFacts, NodeMountStats, NodeRecordStats, NodeState, NodeStats, of_builder,
};
pub use facts::{CurrentImage, DockerfileFacts, Facts, PastImage, ServiceFacts};
pub use gather::{Findings, Inquiry};
pub use growth::{SizeHistory, SizeLine, size_history};
pub use images::{add_shared, current, wanted};
pub use model::{
    CacheKindStats, CacheMountStats, CacheRecordStats, CacheStats, ContainerStats, DanglingStats,
    DiskStats, EngineSummary, ImageStats, LayerStats, MountWorth, ProjectStats, RemedyStats,
    SCHEMA, StatsReport, Verdict, VolumeStats, Worths,
};
pub use mounts::DeclaredMounts;
pub use projects::{by_image, together};
pub use services::services;
pub use worth::{Loss, OwnMounts};

use crate::inventory::{Container, Labels, Lost, Part, Volume};
use crate::labels;

/// Puts everything together. Budgets are added by whoever has some.
pub fn aggregate(facts: &Facts) -> StatsReport {
    let inventory = facts.inventory;
    let engine = &inventory.engine;
    let mut notes: Vec<String> = inventory.gaps.iter().map(ToString::to_string).collect();
    notes.extend(facts.notes.iter().cloned());
    let images = images::images(facts);
    let total_bytes = images::total(facts, &images, &mut notes);
    StatsReport {
        schema: SCHEMA,
        project: facts.project.to_owned(),
        taken: facts.now,
        engine: EngineSummary {
            version: engine.version.clone(),
            api_version: engine.api_version.to_string(),
            store: engine.store.to_string(),
        },
        images,
        total_bytes,
        dangling: images::dangling(facts),
        containers: containers(facts),
        volumes: volumes(facts),
        cache: cache::cache(facts, &mut notes),
        projects: projects::projects(facts),
        disk: facts.disk.map(|disk| DiskStats {
            size_bytes: disk.size_bytes,
            used_bytes: disk.used_bytes(),
            free_bytes: disk.available_bytes,
        }),
        remedies: facts.remedies.map(<[RemedyStats]>::to_vec),
        budgets: Vec::new(),
        notes,
    }
}

fn containers(facts: &Facts) -> Vec<ContainerStats> {
    let ours = facts.inventory.containers.iter().filter(|it| facts.whose.has_container(&it.id));
    let mut found: Vec<ContainerStats> = ours
        .map(|container| ContainerStats {
            id: container.id.clone(),
            name: container.name.clone(),
            service: label(&container.labels, labels::SERVICE),
            image: container.image.clone(),
            state: container.state.clone(),
            created: container.created,
            size_bytes: container.size_rw_bytes,
        })
        .collect();
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

fn volumes(facts: &Facts) -> Vec<VolumeStats> {
    let users = |volume: &Volume| -> Vec<&Container> {
        let all = facts.inventory.containers.iter();
        all.filter(|container| volume.containers.contains(&container.id)).collect()
    };
    let mut found = Vec::new();
    for volume in &facts.inventory.volumes {
        if !facts.whose.has_volume(&volume.name) {
            continue;
        }
        let users = users(volume);
        let mut names: Vec<String> = users.iter().map(|it| it.name.clone()).collect();
        names.sort();
        found.push(VolumeStats {
            name: volume.name.clone(),
            driver: volume.driver.clone(),
            created: volume.created,
            size_bytes: volume.size_bytes,
            // Without the list of containers nobody knows.
            in_use: match facts.inventory.gap(Part::Containers) {
                Some(gap) if gap.lost == Lost::Everything => None,
                _ => Some(!names.is_empty()),
            },
            containers: names,
        });
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

fn label(labels: &Labels, name: &str) -> Option<String> {
    labels.get(name).cloned()
}
