//! Whose the records of the build cache are: what is known, put together for [`crate::ownership::records`].

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::model::{Answer, Question};
use crate::inventory::{CacheKind, CacheRecord, EngineFacts, Image, ImageDetails, Store};
use crate::labels;
use crate::ownership::records::{
    self, Build, BuildStep, ImageLayer, Owner, Product, Record, RecordEvidence, RecordKind, Stack,
    StepEnd, Verdict,
};
use crate::release;

/// What is known of the build cache.
#[derive(Debug, Default)]
pub(super) struct Cache {
    /// Whose each record is.
    pub(super) verdicts: BTreeMap<String, Verdict>,
    /// Ids of the images that the project's current builds made.
    pub(super) current_images: BTreeSet<String>,
}

/// Whose each cache record is, where it is known whose the images are. Where the project is `used_elsewhere`, too,
/// builds that nobody recorded may be of that other directory.
pub(super) fn judge(question: &Question<'_>, answer: &Answer, used_elsewhere: bool) -> Cache {
    let Question { inventory, stacks, histories, evidence, .. } = question;
    let stacks: BTreeMap<&str, &Stack> =
        stacks.iter().map(|stack| (stack.image.as_str(), stack)).collect();
    let mut builds = evidence.builds.clone();
    builds.extend(evidence.unplaced.iter().cloned().map(|build| Build {
        owner: if used_elsewhere { Owner::Unnamed } else { Owner::Ours },
        ..build
    }));
    let is_ours = |image: &&Image| answer.owns_image(&image.id);
    if !builds.iter().any(|build| build.owner == Owner::Ours) {
        let of_project = histories.iter().filter_map(|details| {
            let image = inventory.image(&details.id).filter(is_ours)?;
            let service = image.labels.get(labels::SERVICE).cloned().unwrap_or_default();
            Some(from_history(service, details))
        });
        builds.extend(of_project);
    }
    mark_current(&mut builds, &inventory.images);
    let current = builds.iter().filter(|build| build.is_current);
    let current_images: BTreeSet<String> =
        current.flat_map(|build| &build.product.images).cloned().collect();
    let mut layers = Vec::new();
    for image in &inventory.images {
        let Some(stack) = stacks.get(image.id.as_str()) else { continue };
        let is_current = !image.is_dangling() || current_images.contains(&image.id);
        layers.extend(image_layers(image, stack, is_ours(&image), is_current));
    }
    let verdicts = records::attribute(&RecordEvidence {
        records: inventory.cache.iter().map(record).collect(),
        builds,
        layers,
        complete_since: evidence.complete_since,
        counts_whole_chain: counts_whole_chain(&inventory.engine),
        own_keys: evidence.own_keys,
    });
    Cache { verdicts, current_images }
}

/// Marks the project's builds whose product it has now: an image with a name, or the newest of a service and stage. Of
/// these the last that came to its end counts, and the last at all: that may be what somebody works on.
fn mark_current(builds: &mut [Build], images: &[Image]) {
    let named = |id: &String| images.iter().any(|image| image.id == *id && !image.is_dangling());
    let mut newest: BTreeMap<(String, Option<String>), [Option<Timestamp>; 2]> = BTreeMap::new();
    let key = |build: &Build| (build.product.service.clone(), build.product.stage.clone());
    let end = |build: &Build| build.span().map(|(_, end)| end);
    for build in builds.iter().filter(|build| build.is_ours()) {
        let [last, last_complete] = newest.entry(key(build)).or_default();
        *last = end(build).max(*last);
        if build.product.is_complete {
            *last_complete = end(build).max(*last_complete);
        }
    }
    for build in builds.iter_mut().filter(|build| build.is_ours()) {
        let end = end(build);
        // Of one without times nobody can say that there is a newer one.
        build.is_current = end.is_none()
            || newest.get(&key(build)).is_some_and(|newest| newest.contains(&end))
            || build.product.images.iter().any(named);
    }
}

fn image_layers(image: &Image, stack: &Stack, ours: bool, is_current: bool) -> Vec<ImageLayer> {
    let name: Arc<str> = image.references.first().unwrap_or(&image.id).as_str().into();
    let id: Arc<str> = image.id.as_str().into();
    let layers = stack.layers.iter().map(|layer| ImageLayer {
        image: name.clone(),
        image_id: id.clone(),
        is_current,
        ours,
        chain: layer.chain,
        mark: layer.mark,
    });
    layers.collect()
}

/// The build that an image's history describes: the steps that wrote layers, each with its second.
fn from_history(service: String, details: &ImageDetails) -> Build {
    let mut steps: Vec<BuildStep> = Vec::new();
    for layer in &details.layers {
        let Some(step) = layer.step.and_then(|step| details.history.get(step)) else { continue };
        let Some(created) = step.created else { continue };
        let second = SignedDuration::from_nanos(999_999_999);
        let inputs = steps.last().map(|step| step.digest.clone()).into_iter().collect();
        steps.push(BuildStep {
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
    let images = BTreeSet::from([details.id.clone()]);
    let product = Product { service, stage: None, images, is_complete: true };
    Build { build_ref: None, owner: Owner::Ours, product, is_current: false, steps: steps.into() }
}

pub(super) fn record(record: &CacheRecord) -> Record {
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
fn counts_whole_chain(engine: &EngineFacts) -> bool {
    match engine.store {
        // One without a release (`v0.0.0+unknown`) is part of Docker 23 or later: what it counts is not known, and less is
        // explained.
        Store::Buildkit { .. } => release::major_and_minor(&engine.version)
            .is_some_and(|release| release > (0, 0) && release < (0, 13)),
        Store::GraphDriver | Store::Containerd | Store::Unknown => {
            release::major(&engine.version).is_some_and(|major| major < 25)
        }
    }
}

/// Ids of records that steps of other builds made than those of `project`, as far as these are known.
pub(super) fn made_by_others(cache: &[CacheRecord], builds: &[Build]) -> BTreeSet<String> {
    let records: Vec<Record> = cache.iter().map(record).collect();
    records::made_by_others(&records, builds).map(|record| record.id.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_engine::engine_facts;

    #[test]
    fn a_release_of_buildkit_is_not_one_of_docker() {
        let counts = |store, version: &str| {
            let engine = engine_facts(store);
            counts_whole_chain(&EngineFacts { version: version.to_owned(), ..engine })
        };
        let buildkit = Store::Buildkit { unpacks_alone: true };
        assert!(counts(buildkit, "v0.12.5"));
        for version in ["v0.13.0", "v0.33.0", "v0.0.0+unknown", "", "master"] {
            assert!(!counts(buildkit, version), "{version}");
        }
        assert!(counts(Store::GraphDriver, "20.10.24"));
        assert!(!counts(Store::Containerd, "28.5.2"));
    }
}
