//! What a project takes on disk: images, containers, volumes and build cache, measured by the engine
//! and put in relation to the project.
//!
//! [`aggregate`] is pure: the engine's [`Snapshot`](crate::engine::Snapshot), the project and past
//! builds come in as values, a [`StatsReport`] comes out. How it is shown is not known here.
//! `docs/design/stats.md` says what each figure means and where engines are wrong.

pub mod budget;
mod cache;
mod facts;
pub mod gc;
mod images;
mod model;
mod mounts;
mod reference;
#[cfg(test)]
pub(crate) mod tests;
pub use facts::{DockerfileFacts, Facts, PastImage, ServiceFacts};
pub use images::{add_shared, current, wanted};
pub use model::{
    CacheKindStats, CacheMountStats, CacheRecordStats, CacheStats, ContainerStats, DanglingStats,
    EngineSummary, ImageStats, LayerStats, SCHEMA, StatsReport, Verdict, VolumeStats,
};
pub use reference::familiar;

use crate::engine::snapshot::{Container, Labels, Lost, Part, Volume};

/// Label that compose and this program put on what belongs to a project.
const PROJECT_LABEL: &str = "com.docker.compose.project";
/// Label with the service's name.
const SERVICE_LABEL: &str = "com.docker.compose.service";
/// Label of volumes that nobody named.
const ANONYMOUS_LABEL: &str = "com.docker.volume.anonymous";

/// Puts everything together. Budgets are added by whoever has some.
pub fn aggregate(facts: &Facts) -> StatsReport {
    let snapshot = facts.snapshot;
    let engine = &snapshot.engine;
    let mut notes: Vec<String> = snapshot.gaps.iter().map(ToString::to_string).collect();
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
        budgets: Vec::new(),
        notes,
    }
}

fn containers(facts: &Facts) -> Vec<ContainerStats> {
    let ours = facts.snapshot.containers.iter().filter(|it| belongs(facts, &it.labels));
    let mut found: Vec<ContainerStats> = ours
        .map(|container| ContainerStats {
            id: container.id.clone(),
            name: container.name.clone(),
            service: label(&container.labels, SERVICE_LABEL),
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
        let all = facts.snapshot.containers.iter();
        all.filter(|container| volume.containers.contains(&container.id)).collect()
    };
    let mut found = Vec::new();
    for volume in &facts.snapshot.volumes {
        let users = users(volume);
        // Volumes that an image declares carry no project: their containers do.
        let anonymous = volume.labels.contains_key(ANONYMOUS_LABEL)
            && !users.is_empty()
            && users.iter().all(|container| belongs(facts, &container.labels));
        if !anonymous && !belongs(facts, &volume.labels) {
            continue;
        }
        let mut names: Vec<String> = users.iter().map(|it| it.name.clone()).collect();
        names.sort();
        found.push(VolumeStats {
            name: volume.name.clone(),
            driver: volume.driver.clone(),
            created: volume.created,
            size_bytes: volume.size_bytes,
            // Without the list of containers nobody knows.
            in_use: match facts.snapshot.gap(Part::Containers) {
                Some(gap) if gap.lost == Lost::Everything => None,
                _ => Some(!names.is_empty()),
            },
            containers: names,
        });
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

fn belongs(facts: &Facts, labels: &Labels) -> bool {
    labels.get(PROJECT_LABEL).is_some_and(|name| name == facts.project)
}

fn label(labels: &Labels, name: &str) -> Option<String> {
    labels.get(name).cloned()
}
