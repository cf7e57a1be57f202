//! Whose the records of the build cache are: what is known, put together for [`crate::ownership::records`].

use std::collections::BTreeMap;

use jiff::SignedDuration;

use super::model::{Answer, Question};
use crate::inventory::{CacheKind, CacheRecord, Image, ImageDetails};
use crate::labels;
use crate::ownership::records::{
    self, Build, Evidence, ImageLayer, Owner, Record, RecordKind, Step, StepEnd, Verdict,
};

/// Whose each cache record is, where it is known whose the images are. Where the project is `used_elsewhere`, too,
/// builds that nobody recorded may be of that other directory.
pub(super) fn verdicts(
    question: &Question<'_>,
    answer: &Answer,
    used_elsewhere: bool,
) -> BTreeMap<String, Verdict> {
    let Question { inventory, details, evidence, .. } = question;
    if inventory.cache.is_empty() {
        return BTreeMap::new();
    }
    let details: BTreeMap<&str, &ImageDetails> =
        details.iter().map(|image| (image.id.as_str(), image)).collect();
    let mut builds = evidence.builds.clone();
    builds.extend(evidence.unplaced.iter().cloned().map(|build| Build {
        owner: if used_elsewhere { Owner::Unnamed } else { Owner::Ours },
        ..build
    }));
    let is_ours = |image: &&Image| answer.owns_image(&image.id);
    let mut layers = Vec::new();
    for image in &inventory.images {
        let Some(details) = details.get(image.id.as_str()) else { continue };
        layers.extend(image_layers(image, details, is_ours(&image)));
    }
    if !builds.iter().any(|build| build.owner == Owner::Ours) {
        let of_project = inventory.images.iter().filter(is_ours);
        let details = of_project.filter_map(|image| {
            let service = image.labels.get(labels::SERVICE).cloned().unwrap_or_default();
            Some((service, details.get(image.id.as_str())?))
        });
        builds.extend(details.map(|(service, details)| from_history(service, details)));
    }
    records::attribute(&Evidence {
        records: inventory.cache.iter().map(record).collect(),
        builds,
        layers,
        complete_since: evidence.complete_since,
        counts_whole_chain: counts_whole_chain(&inventory.engine.version),
        own_keys: evidence.own_keys,
    })
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
fn from_history(service: String, details: &ImageDetails) -> Build {
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
    Build { owner: Owner::Ours, service, steps }
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
