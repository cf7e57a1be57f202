//! Whose a record of the build cache is: the pure part of `clean --cache` and of `stats`.
//!
//! Records carry no labels. [`attribute`] compares them with what is known of builds, of this project
//! and of others, and with the layers of images. A record is the project's only where a recorded step
//! of it made the record and nothing hints at anybody else; everything uncertain is kept with a
//! reason. Knows no engine, no clock, no files. `docs/design/clean.md` has the measurements behind it.

mod current;
mod evidence;
mod input;
mod mark;
mod matching;
mod stack;
#[cfg(test)]
mod tests;
mod uses;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

pub use evidence::{ImageLayer, RecordEvidence};
pub use input::{Build, BuildStep, MountName, Owner, Product, Record, RecordKind, StepEnd};
pub use mark::{Likeness, Mark};
pub use matching::{have_result, have_result_of_another, is_result_of, made_by_others};
pub use stack::{Chain, Stack, StackLayer, stacks};
pub use words::{came_as_blob, instruction, is_base_layer};

/// Whose a record is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The project's alone: this step made it.
    Ours {
        /// Name of the step.
        step: String,
        /// Services whose builds have the step, as far as they are known.
        services: BTreeSet<String>,
        /// Whether a current build may need it.
        is_current: bool,
    },
    /// It stays, for this reason.
    Kept(Reason),
}

/// Why a record stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// No recorded build of the project made it.
    NotRecorded,
    /// A base image: it belongs to everybody who builds on it, and removing it frees nothing.
    Base,
    /// A build uses it now.
    InUse,
    /// Another build may have made it: it ran a step of that kind at the same moment.
    Ambiguous,
    /// Another build names the same cache mount.
    SharedMount {
        /// Its project, where that is known.
        project: Option<String>,
    },
    /// An image that is not the project's has the layer.
    ForeignImage {
        /// A reference of it, or its id.
        image: String,
    },
    /// It was used more often, or later, than the project's recorded builds explain.
    Unexplained {
        /// Uses the engine counts.
        uses: u64,
        /// Uses the recorded builds account for.
        explained: u64,
    },
    /// A record that stays builds on it.
    Needed {
        /// Id of that record.
        by: String,
    },
}

/// Whose the records are, by id. One that is not told of is as [`Reason::NotRecorded`] says: of thousands, those of a
/// project are few.
pub fn attribute(evidence: &RecordEvidence) -> BTreeMap<String, Verdict> {
    let made = matching::made_by_us(evidence);
    let foreign_images = matching::foreign_images(evidence, &made);
    let exported = exported(evidence, &made);
    let services = services(evidence);
    let needed = current::needed(evidence, &made);
    let uses = uses::Uses::new(evidence, &made);
    let verdict = |record: &Record| {
        let id = record.id.as_str();
        let step = match made.get(id) {
            _ if record.in_use => return Some(Verdict::Kept(Reason::InUse)),
            _ if is_base(record) => return Some(Verdict::Kept(Reason::Base)),
            None => return None,
            Some(matching::Maker::Ambiguous) => return Some(Verdict::Kept(Reason::Ambiguous)),
            Some(matching::Maker::Step(step)) => step,
        };
        let other = foreign_images
            .get(id)
            .map(|image| Reason::ForeignImage { image: (*image).to_owned() })
            .or_else(|| matching::foreign_mount(evidence, record, step))
            .or_else(|| uses.unexplained(record, step, exported.contains(id)));
        let ours = || Verdict::Ours {
            step: step.name.clone(),
            is_current: needed.contains(id),
            services: services.get(step.digest.as_str()).cloned().unwrap_or_default(),
        };
        Some(other.map_or_else(ours, Verdict::Kept))
    };
    let told = evidence.records.iter().filter_map(|it| Some((it.id.clone(), verdict(it)?)));
    let mut verdicts: BTreeMap<String, Verdict> = told.collect();
    keep_ancestors(evidence, &mut verdicts);
    verdicts
}

/// Services of the project by the digests of their steps.
fn services(evidence: &RecordEvidence) -> BTreeMap<&str, BTreeSet<String>> {
    let mut services: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    let own = evidence.builds.iter().filter(|build| build.is_ours());
    for build in own.filter(|build| !build.product.service.is_empty()) {
        for step in build.steps.iter() {
            services.entry(&step.digest).or_default().insert(build.product.service.clone());
        }
    }
    services
}

/// BuildKit deletes no record that another one builds on: whatever stays keeps its ancestors.
fn keep_ancestors(evidence: &RecordEvidence, verdicts: &mut BTreeMap<String, Verdict>) {
    let (ours, others): (Vec<&Record>, Vec<&Record>) = evidence
        .records
        .iter()
        .partition(|record| matches!(verdicts.get(&record.id), Some(Verdict::Ours { .. })));
    let ours: BTreeMap<&str, &Record> =
        ours.into_iter().map(|record| (record.id.as_str(), record)).collect();
    let is_on_ours = |it: &&Record| it.parents.iter().any(|id| ours.contains_key(id.as_str()));
    let mut open: Vec<&Record> = others.into_iter().filter(is_on_ours).collect();
    open.sort_unstable_by_key(|record| record.id.as_str());
    while let Some(by) = open.pop() {
        for parent in &by.parents {
            if let Some(verdict @ Verdict::Ours { .. }) = verdicts.get_mut(parent) {
                *verdict = Verdict::Kept(Reason::Needed { by: by.id.clone() });
                open.extend(ours.get(parent.as_str()).copied());
            }
        }
    }
}

/// A layer of a base image, and no step's result.
fn is_base(record: &Record) -> bool {
    record.kind == RecordKind::Regular && is_base_layer(&record.description)
}

/// Records of chains that end in a target's result: engines before BuildKit 0.13 count every record
/// of such a chain as used by a cached build, later ones only the last. Of those nobody asks.
fn exported<'a>(
    evidence: &'a RecordEvidence,
    made: &BTreeMap<&'a str, matching::Maker<'a>>,
) -> BTreeSet<&'a str> {
    if !evidence.counts_whole_chain {
        return BTreeSet::new();
    }
    let by_id: BTreeMap<&str, &Record> =
        evidence.records.iter().map(|record| (record.id.as_str(), record)).collect();
    let mut open: Vec<&str> = made
        .iter()
        .filter(|(_, maker)| matches!(maker, matching::Maker::Step(step) if step.is_result))
        .map(|(id, _)| *id)
        .collect();
    let mut all = BTreeSet::new();
    while let Some(id) = open.pop() {
        if all.insert(id)
            && let Some(record) = by_id.get(id)
        {
            open.extend(record.parents.iter().map(String::as_str));
        }
    }
    all
}

/// Whether `time` lies in one of the intervals.
fn within(intervals: &[(Timestamp, Timestamp)], time: Timestamp) -> bool {
    intervals.iter().any(|(start, end)| *start <= time && time <= *end)
}
