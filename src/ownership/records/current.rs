//! Which records the project's current builds need: the part of `clean --old` that must not be wrong.
//!
//! A record of a step that ran in a current build is that build's. Of a step that came from the cache nobody tells which
//! record it was: whatever may be it is needed. One record is taken for it only where the image that the build made
//! has its layer. What cannot be found at all makes every record of that instruction's kind needed.

use std::collections::{BTreeMap, BTreeSet};

use super::input::{Build, ImageLayer, Record, RecordEvidence, RecordKind, Step, StepEnd};
use super::matching::{Maker, describes};
use super::{within, words};

/// Ids of those of our records that current builds need. What these are built on BuildKit keeps by itself.
pub(super) fn needed<'a>(
    evidence: &'a RecordEvidence,
    made: &BTreeMap<&'a str, Maker<'a>>,
) -> BTreeSet<&'a str> {
    let own: Vec<(&'a Record, &'a Step)> = evidence
        .records
        .iter()
        .filter_map(|record| match made.get(record.id.as_str())? {
            Maker::Step(step) => Some((record, *step)),
            Maker::Ambiguous => None,
        })
        .collect();
    let mut needed = BTreeSet::new();
    for layer in evidence.layers.iter().filter(|layer| layer.ours && layer.is_current) {
        let (exact, others): (Vec<_>, Vec<_>) = own
            .iter()
            .filter(|own| is_layer(own, layer))
            .partition(|own| says_the_same(own, layer));
        let records = if exact.is_empty() { others } else { exact };
        needed.extend(records.into_iter().map(|(record, _)| record.id.as_str()));
    }
    for build in evidence.builds.iter().filter(|build| build.is_ours() && build.is_current) {
        for step in &build.steps {
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

/// The records that a step made, and those that it found: cache mounts, and a context that was sent before.
fn ran<'a>(own: &[(&'a Record, &'a Step)], step: &Step) -> Vec<&'a Record> {
    let is_its = |(record, maker): &&(&Record, &Step)| match record.kind {
        RecordKind::Regular => {
            maker.digest == step.digest
                && record.created_at.is_some_and(|created| within(&step.intervals, created))
        }
        _ => describes(record, step),
    };
    own.iter().filter(is_its).map(|(record, _)| *record).collect()
}

/// The records that may be the result of a step that came from the cache.
fn cached<'a>(
    evidence: &RecordEvidence,
    own: &[(&'a Record, &'a Step)],
    build: &Build,
    step: &Step,
) -> Vec<&'a Record> {
    let may_be = |(record, maker): &&(&Record, &Step)| {
        maker.digest == step.digest
            || maker.instruction() == step.instruction()
            || describes(record, step)
    };
    let all: Vec<(&'a Record, &'a Step)> = own.iter().filter(may_be).copied().collect();
    let records =
        |all: &[(&'a Record, &'a Step)]| all.iter().map(|(record, _)| *record).collect::<Vec<_>>();
    if all.is_empty() {
        let known = evidence.records.iter().any(|record| describes(record, step));
        let is_kind = |(_, maker): &&(&Record, &Step)| maker.keyword() == step.keyword();
        // What is somebody else's, or not certain, stays in any case; what was not reached has no record.
        return match known || !build.product.is_complete {
            true => Vec::new(),
            false => own.iter().filter(is_kind).map(|(record, _)| *record).collect(),
        };
    }
    let same = build.steps.iter().filter(|it| it.instruction() == step.instruction()).count();
    if same > 1 {
        return records(&all);
    }
    let of_image = |layer: &&ImageLayer| build.product.images.contains(&layer.image_id);
    let layers: Vec<&ImageLayer> = evidence.layers.iter().filter(of_image).collect();
    let is_certain = |own: &&(&Record, &Step)| {
        layers.iter().any(|layer| is_layer(own, layer) && says_the_same(own, layer))
    };
    let certain: Vec<(&'a Record, &'a Step)> = all.iter().filter(is_certain).copied().collect();
    if certain.is_empty() { records(&all) } else { records(&certain) }
}

/// Whether an image's history says the words of the record's step. Where a variable is in them, it does not.
fn says_the_same((record, maker): &(&Record, &Step), layer: &ImageLayer) -> bool {
    words::plain(&layer.created_by) == words::of_record(record, maker)
}

/// Whether an image's layer can be the record: histories tell the second in which it was made, and the instruction.
fn is_layer((record, maker): &(&Record, &Step), layer: &ImageLayer) -> bool {
    let second = |time: jiff::Timestamp| time.as_second();
    record.kind == RecordKind::Regular
        && record.created_at.map(second).is_some_and(|made| layer.created.map(second) == Some(made))
        && layer.created_by.split(' ').next() == Some(maker.keyword())
}
