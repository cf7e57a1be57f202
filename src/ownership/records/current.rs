//! Which records the project's current builds need: the part of `clean --old` that must not be wrong.
//!
//! A record of a step that ran in a current build is that build's. Of a step that came from the cache nobody tells which
//! record it was: whatever may be it is needed. One record is taken for it only where the image that the build made
//! has its layer. What cannot be found at all makes every record of that instruction's kind needed.

use std::collections::{BTreeMap, BTreeSet};

use super::evidence::{ImageLayer, RecordEvidence};
use super::input::{Build, BuildStep, Record, RecordKind, StepEnd};
use super::mark::{Likeness, Mark};
use super::matching::{Maker, describes};
use super::within;

/// Ids of those of our records that current builds need. What these are built on BuildKit keeps by itself.
pub(super) fn needed<'a>(
    evidence: &'a RecordEvidence,
    made: &BTreeMap<&'a str, Maker<'a>>,
) -> BTreeSet<&'a str> {
    let own: Vec<OwnRecord<'a>> = evidence
        .records
        .iter()
        .filter_map(|record| match made.get(record.id.as_str())? {
            Maker::Step(step) => {
                Some(OwnRecord { record, maker: step, mark: Mark::of_result(record, step) })
            }
            Maker::Ambiguous => None,
        })
        .collect();
    let mut needed = BTreeSet::new();
    let of_current = evidence.layers.iter().filter(|layer| layer.ours && layer.is_current);
    for layer in of_current.filter_map(|layer| layer.mark) {
        let (exact, others): (Vec<_>, Vec<_>) = own
            .iter()
            .filter_map(|own| Some((own.record, own.likeness(&layer)?)))
            .partition(|(_, likeness)| *likeness == Likeness::SameWords);
        let records = if exact.is_empty() { others } else { exact };
        needed.extend(records.into_iter().map(|(record, _)| record.id.as_str()));
    }
    for build in evidence.builds.iter().filter(|build| build.is_ours() && build.is_current) {
        for step in build.steps.iter() {
            let records = match step.end {
                StepEnd::Ran => ran(&own, step),
                // A step that was not needed, or not reached, may have a result from before.
                StepEnd::Cached | StepEnd::Unfinished => cached(evidence, &own, build, step),
            };
            needed.extend(records.into_iter().map(|record| record.id.as_str()));
        }
    }
    needed
}

/// A record of ours.
struct OwnRecord<'a> {
    record: &'a Record,
    /// The step that made it.
    maker: &'a BuildStep,
    mark: Option<Mark>,
}

impl OwnRecord<'_> {
    fn likeness(&self, layer: &Mark) -> Option<Likeness> {
        self.mark.as_ref()?.likeness(layer)
    }
}

/// The records that a step made, and those that it found: cache mounts, and a context that was sent before.
fn ran<'a>(own: &[OwnRecord<'a>], step: &BuildStep) -> Vec<&'a Record> {
    let is_its = |it: &&OwnRecord<'_>| match it.record.kind {
        RecordKind::Regular => {
            it.maker.digest == step.digest
                && it.record.created_at.is_some_and(|created| within(&step.intervals, created))
        }
        _ => describes(it.record, step),
    };
    own.iter().filter(is_its).map(|it| it.record).collect()
}

/// The records that may be the result of a step that came from the cache.
fn cached<'a>(
    evidence: &RecordEvidence,
    own: &[OwnRecord<'a>],
    build: &Build,
    step: &BuildStep,
) -> Vec<&'a Record> {
    let may_be = |it: &&OwnRecord<'_>| {
        it.maker.digest == step.digest
            || it.maker.instruction() == step.instruction()
            || describes(it.record, step)
    };
    let all: Vec<&OwnRecord<'a>> = own.iter().filter(may_be).collect();
    if all.is_empty() {
        let known = evidence.records.iter().any(|record| describes(record, step));
        let is_kind = |it: &&OwnRecord<'_>| it.maker.keyword() == step.keyword();
        // What is somebody else's, or not certain, stays in any case; what was not reached has no record.
        return match known || !build.product.is_complete {
            true => Vec::new(),
            false => own.iter().filter(is_kind).map(|it| it.record).collect(),
        };
    }
    let same = build.steps.iter().filter(|it| it.instruction() == step.instruction()).count();
    if same > 1 {
        return all.iter().map(|it| it.record).collect();
    }
    let of_image = |layer: &&ImageLayer| build.product.images.contains(&*layer.image_id);
    let layers: Vec<Mark> =
        evidence.layers.iter().filter(of_image).filter_map(|layer| layer.mark).collect();
    let is_certain = |it: &&&OwnRecord<'_>| {
        layers.iter().any(|layer| it.likeness(layer) == Some(Likeness::SameWords))
    };
    let certain: Vec<&'a Record> = all.iter().filter(is_certain).map(|it| it.record).collect();
    if certain.is_empty() { all.iter().map(|it| it.record).collect() } else { certain }
}
