//! What is known of builds on the engine, put together for [`crate::attribution`].

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::attribution::{
    self, Build, Evidence, ImageLayer, Owner, Record, RecordKind, Step, StepEnd, Verdict,
};
use crate::engine::snapshot::{CacheKind, CacheRecord, Image, ImageDetails, Snapshot};
use crate::prune::Project;
use crate::prune::plan::PROJECT_LABEL;

/// What other sources know of builds on this engine.
#[derive(Debug, Default)]
pub(in crate::commands) struct Known {
    /// Builds, of the project and of others.
    pub(in crate::commands) builds: Vec<Build>,
    /// Since when these are all builds of the engine, where that is known.
    pub(in crate::commands) complete_since: Option<Timestamp>,
    /// Whether nobody else's builds can have the cache keys of the project's.
    pub(in crate::commands) own_keys: bool,
}

/// Whose each cache record is.
pub(in crate::commands) fn verdicts(
    snapshot: &Snapshot,
    details: &[ImageDetails],
    project: &Project,
    known: Known,
) -> BTreeMap<String, Verdict> {
    let details: BTreeMap<&str, &ImageDetails> =
        details.iter().map(|image| (image.id.as_str(), image)).collect();
    let mut builds = known.builds;
    let mut layers = Vec::new();
    for image in &snapshot.images {
        let Some(details) = details.get(image.id.as_str()) else { continue };
        let ours = is_ours(image, project);
        layers.extend(image_layers(image, details, ours));
    }
    if !builds.iter().any(|build| build.owner == Owner::Ours) {
        let of_project = snapshot.images.iter().filter(|image| is_ours(image, project));
        let details = of_project.filter_map(|image| details.get(image.id.as_str()));
        builds.extend(details.map(|details| from_history(details)));
    }
    attribution::attribute(&Evidence {
        records: snapshot.cache.iter().map(record).collect(),
        builds,
        layers,
        complete_since: known.complete_since,
        counts_whole_chain: counts_whole_chain(&snapshot.engine.version),
        own_keys: known.own_keys,
    })
}

/// Whether an image is the project's, and nobody else's by another name.
fn is_ours(image: &Image, project: &Project) -> bool {
    let labelled = match image.labels.get(PROJECT_LABEL) {
        Some(name) if *name != project.name => return false,
        label => label.is_some(),
    };
    if image.references.is_empty() {
        return labelled || project.built_ids.contains(&image.id);
    }
    let own_name = |reference: &String| {
        project.built.contains(reference)
            || (labelled
                && ["-", "_"]
                    .iter()
                    .any(|gap| reference.starts_with(&format!("{}{gap}", project.name))))
    };
    image.references.iter().all(own_name) || project.built_ids.contains(&image.id)
}

fn image_layers(image: &Image, details: &ImageDetails, ours: bool) -> Vec<ImageLayer> {
    let name = image.references.first().unwrap_or(&image.id);
    let layers = details.layers.iter().map(|layer| {
        let step = layer.step.and_then(|step| details.history.get(step));
        ImageLayer {
            image: name.clone(),
            ours,
            chain_id: layer.chain_id.clone(),
            created: step.and_then(|step| step.created),
            created_by: step.map(|step| step.created_by.clone()).unwrap_or_default(),
        }
    });
    layers.collect()
}

/// The build that an image's history tells of: steps that wrote layers, each in its second.
fn from_history(details: &ImageDetails) -> Build {
    let mut steps: Vec<Step> = Vec::new();
    for layer in &details.layers {
        let Some(step) = layer.step.and_then(|step| details.history.get(step)) else { continue };
        let Some(created) = step.created else { continue };
        let second = SignedDuration::from_nanos(999_999_999);
        let inputs = steps.last().map(|step| step.digest.clone()).into_iter().collect();
        steps.push(Step {
            digest: layer.chain_id.clone(),
            name: step.created_by.trim_end_matches(" # buildkit").to_owned(),
            end: StepEnd::Ran,
            intervals: vec![(created, created + second)],
            inputs,
            mounts: Vec::new(),
            is_result: false,
        });
    }
    if let Some(last) = steps.last_mut() {
        last.is_result = true;
    }
    Build { owner: Owner::Ours, steps }
}

fn record(record: &CacheRecord) -> Record {
    Record {
        id: record.id.clone(),
        parents: record.parents.clone(),
        kind: match record.kind {
            CacheKind::Regular => RecordKind::Regular,
            CacheKind::LocalSource => RecordKind::LocalSource,
            CacheKind::CacheMount => RecordKind::CacheMount,
            _ => RecordKind::Other,
        },
        description: record.description.clone(),
        size_bytes: record.size_bytes,
        in_use: record.in_use,
        created_at: record.created_at,
        last_used_at: record.last_used_at,
        usage_count: record.usage_count,
    }
}

/// Docker 20.10 to 24 come with BuildKit before 0.13, which counts a cached build as a use of every
/// record; seen on 20.10.24.
fn counts_whole_chain(version: &str) -> bool {
    let major = version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    major.is_some_and(|major| major < 25)
}

/// Whose else records are that `--cache=all` removes: projects by the images they have, and how many
/// records no known build of this project made.
pub(super) fn others_hit(
    snapshot: &Snapshot,
    verdicts: &BTreeMap<String, Verdict>,
    project: &Project,
) -> String {
    let kept =
        |record: &&CacheRecord| !matches!(verdicts.get(&record.id), Some(Verdict::Ours { .. }));
    let foreign: Vec<&CacheRecord> = snapshot.cache.iter().filter(kept).collect();
    let projects: BTreeSet<&str> = snapshot
        .images
        .iter()
        .filter_map(|image| image.labels.get(PROJECT_LABEL))
        .chain(snapshot.containers.iter().filter_map(|it| it.labels.get(PROJECT_LABEL)))
        .map(String::as_str)
        .filter(|name| *name != project.name)
        .collect();
    let bytes = crate::ui::format::bytes(foreign.iter().map(|record| record.size_bytes).sum());
    let mut text = format!(
        "--cache=all removes the build cache of everybody on this engine: {} of {} records ({bytes}) \
         are not known to be of project {}",
        foreign.len(),
        snapshot.cache.len(),
        project.name
    );
    if !projects.is_empty() {
        let names: Vec<&str> = projects.into_iter().collect();
        text += &format!("; it also hits {}", names.join(", "));
    }
    text
}
