//! Which step made a record, and which images and mounts of others it belongs to.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::evidence::{ImageLayer, RecordEvidence};
use super::input::{Build, BuildStep, Owner, Record, RecordKind, StepEnd};
use super::mark::{Likeness, Mark};
use super::stack::Chain;
use super::{Reason, within, words};
use crate::inventory::MountDescription;

/// Who made a record.
pub(super) enum Maker<'a> {
    /// This step of a build of ours.
    Step(&'a BuildStep),
    /// One of ours, or somebody's.
    Ambiguous,
}

/// The makers of records that steps of ours may have made.
pub(super) fn made_by_us<'a>(evidence: &'a RecordEvidence) -> BTreeMap<&'a str, Maker<'a>> {
    let ours = steps(evidence, true);
    let others = steps(evidence, false);
    let times = || ours.iter().flat_map(|step| &step.intervals);
    let span = times().map(|it| it.0).min().zip(times().map(|it| it.1).max());
    let Some(span) = span else { return BTreeMap::new() };
    let mut made = BTreeMap::new();
    // How many records claim a step, by what the records say of themselves: a step makes one of each.
    let mut claims: BTreeMap<(&str, Timestamp, &str), Vec<&Record>> = BTreeMap::new();
    for record in &evidence.records {
        // Most records of an engine are of another time.
        let in_span = |created: &Timestamp| within(&[span], *created);
        let Some(created) = record.created_at.filter(in_span) else { continue };
        let fits = |step: &&&BuildStep| within(&step.intervals, created) && describes(record, step);
        let Some(step) = ours.iter().find(fits) else { continue };
        // A solve of somebody else shares the step where the digest is the same: then there is one record.
        if others.iter().any(|other| fits(&other)) {
            made.insert(record.id.as_str(), Maker::Ambiguous);
            continue;
        }
        let started = step.intervals[0].0;
        let key = (step.digest.as_str(), started, record.description.as_str());
        claims.entry(key).or_default().push(record);
        made.insert(record.id.as_str(), Maker::Step(step));
    }
    for records in claims.into_values() {
        let makers = ours.iter().filter(|step| {
            records.iter().any(|record| {
                record.created_at.is_some_and(|created| within(&step.intervals, created))
                    && describes(record, step)
            })
        });
        let distinct: BTreeSet<&str> = makers.map(|step| step.digest.as_str()).collect();
        if records.len() > distinct.len() {
            for record in records {
                made.insert(&record.id, Maker::Ambiguous);
            }
        }
    }
    made
}

/// Whether `records` have the result of a run of `step`. Of steps whose results nobody tells apart they are taken to.
pub fn have_result(records: &[Record], step: &BuildStep) -> bool {
    let is_told = matches!(step.keyword(), "RUN" | "COPY" | "ADD" | "WORKDIR");
    // A linked copy is a record of other words.
    if !is_told || step.intervals.is_empty() || step.instruction().contains("--link") {
        return true;
    }
    records.iter().any(|record| {
        let made = record.created_at.filter(|made| within(&step.intervals, *made));
        made.is_some() && describes(record, step)
    })
}

/// Whether `records` have a result in the words of `step` that was made in none of `runs`.
pub fn have_result_of_another(records: &[Record], step: &BuildStep, runs: &[BuildStep]) -> bool {
    let made_by = |made: Timestamp| runs.iter().any(|run| within(&run.intervals, made));
    let mut described = records.iter().filter(|record| describes(record, step));
    described.any(|record| !record.created_at.is_some_and(made_by))
}

/// Whether a result with this description that was made at `made` is that of a run of `step`.
pub fn is_result_of(description: &str, made: Timestamp, step: &BuildStep) -> bool {
    within(&step.intervals, made) && describes_result(description, step)
}

/// The records that steps of builds which are not the project's may have made.
pub fn made_by_others<'a>(
    records: &'a [Record],
    builds: &[Build],
) -> impl Iterator<Item = &'a Record> {
    let others = builds.iter().filter(|build| !build.is_ours());
    let ran: Vec<&BuildStep> = others
        .flat_map(|build| build.steps.iter())
        .filter(|step| step.end == StepEnd::Ran && !step.intervals.is_empty())
        .collect();
    records.iter().filter(move |record| {
        record.created_at.is_some_and(|created| {
            let made = |step: &&BuildStep| within(&step.intervals, created);
            ran.iter().any(|step| made(step) && describes(record, step))
        })
    })
}

/// Steps that ran, of the project or of the others; each once though several targets share it.
fn steps(evidence: &RecordEvidence, ours: bool) -> Vec<&BuildStep> {
    let mut seen = BTreeSet::new();
    let builds = evidence.builds.iter().filter(|build| build.is_ours() == ours);
    builds
        .flat_map(|build| build.steps.iter())
        .filter(|step| step.end == StepEnd::Ran && !step.intervals.is_empty())
        .filter(|step| seen.insert((step.digest.as_str(), step.intervals[0].0)))
        .collect()
}

/// Whether the record's words fit the step. 20.10 says `fileop target` for everything but RUN.
pub(super) fn describes(record: &Record, step: &BuildStep) -> bool {
    let text = record.description.as_str();
    match record.kind {
        RecordKind::Regular => describes_result(text, step),
        // A named context says its name: `[context docs] load from client`.
        RecordKind::LocalSource => ["[internal] ", "[context "]
            .iter()
            .any(|tag| step.name.starts_with(tag) && step.keyword() == "load"),
        RecordKind::CacheMount => {
            let described = MountDescription::parse(text);
            described.is_some_and(|it| step.mounts.iter().any(|own| it.is(&own.id, &own.target)))
        }
        RecordKind::Other => false,
    }
}

fn describes_result(text: &str, step: &BuildStep) -> bool {
    match step.keyword() {
        "RUN" => words::is_result_of_run(text, step),
        // Image histories have no brackets.
        "COPY" | "ADD" | "WORKDIR" => {
            text == step.name
                || text == "fileop target"
                || text.ends_with(&format!("] {}", step.name))
        }
        _ => false,
    }
}

/// Records of ours whose layer an image of somebody else may hold, with that image.
///
/// Image histories tell the time of a layer in whole seconds, which is the record's creation, and its instruction. So
/// records and layers of one second and one instruction are looked at together ([`Group`]), and for each record:
///
/// | layers that it may be | of which ours alone | records that may be the same ones | the record |
/// |---|---|---|---|
/// | none of somebody else | any | any | is not held |
/// | some of somebody else | fewer than there are such records | | may be held by it |
/// | some of somebody else | as many as there are such records | | has a layer of its own: not held |
pub(super) fn foreign_images<'a>(
    evidence: &'a RecordEvidence,
    made: &BTreeMap<&'a str, Maker<'a>>,
) -> BTreeMap<&'a str, &'a str> {
    let mut held = BTreeMap::new();
    for group in groups(evidence, made) {
        for (id, mark) in &group.records {
            let candidates = group.layers_it_may_be(mark);
            let foreign: BTreeMap<Chain, &str> = candidates
                .iter()
                .filter(|layer| !layer.ours)
                .map(|layer| (layer.chain, &*layer.image))
                .collect();
            let ours_alone: BTreeSet<Chain> = candidates
                .iter()
                .filter(|layer| layer.ours && !foreign.contains_key(&layer.chain))
                .map(|layer| layer.chain)
                .collect();
            if let Some(image) = foreign.values().next()
                && ours_alone.len() < group.records_with_the_same_choice(mark)
            {
                held.insert(*id, *image);
            }
        }
    }
    held
}

/// Records of ours and layers of anybody, of one second and one instruction: `RUN`, `COPY`.
#[derive(Default)]
struct Group<'a> {
    /// Ids, and what tells each record's layer.
    records: Vec<(&'a str, Mark)>,
    layers: Vec<(&'a ImageLayer, Mark)>,
}

impl<'a> Group<'a> {
    /// The layers that a record may be: those of the same words or, where none has them, those whose words no record
    /// has. Words differ where only one of both has values of variables.
    fn layers_it_may_be(&self, record: &Mark) -> Vec<&'a ImageLayer> {
        let has_layer = self.has_layer_of(record);
        let is_candidate = |layer: &Mark| match has_layer {
            true => says_the_same(record, layer),
            false => !self.records.iter().any(|(_, record)| says_the_same(record, layer)),
        };
        let candidates = self.layers.iter().filter(|(_, layer)| is_candidate(layer));
        candidates.map(|(layer, _)| *layer).collect()
    }

    /// How many records may be the same layers as this one, itself among them.
    fn records_with_the_same_choice(&self, record: &Mark) -> usize {
        let has_layer = self.has_layer_of(record);
        let is_rival = |other: &Mark| match has_layer {
            true => other == record,
            false => !self.has_layer_of(other),
        };
        self.records.iter().filter(|(_, other)| is_rival(other)).count()
    }

    fn has_layer_of(&self, record: &Mark) -> bool {
        self.layers.iter().any(|(_, layer)| says_the_same(record, layer))
    }
}

fn says_the_same(record: &Mark, layer: &Mark) -> bool {
    record.likeness(layer) == Some(Likeness::SameWords)
}

/// The groups that have records of ours.
fn groups<'a>(
    evidence: &'a RecordEvidence,
    made: &BTreeMap<&'a str, Maker<'a>>,
) -> impl Iterator<Item = Group<'a>> + use<'a> {
    let mut groups: BTreeMap<_, Group<'a>> = BTreeMap::new();
    for record in &evidence.records {
        if let Some(Maker::Step(step)) = made.get(record.id.as_str())
            && let Some(mark) = Mark::of_result(record, step)
        {
            groups.entry(mark.group()).or_default().records.push((&record.id, mark));
        }
    }
    for layer in &evidence.layers {
        if let Some(mark) = layer.mark
            && let Some(group) = groups.get_mut(&mark.group())
        {
            group.layers.push((layer, mark));
        }
    }
    groups.into_values()
}

/// Whether a build of somebody else names the cache mount of this record.
pub(super) fn foreign_mount(
    evidence: &RecordEvidence,
    record: &Record,
    step: &BuildStep,
) -> Option<Reason> {
    if record.kind != RecordKind::CacheMount {
        return None;
    }
    let described = MountDescription::parse(&record.description)?;
    let named = step.mounts.iter().filter(|mount| described.is(&mount.id, &mount.target));
    let ids: BTreeSet<&str> = named.map(|mount| mount.id.as_str()).collect();
    let uses = |build: &&Build| {
        build
            .steps
            .iter()
            .flat_map(|step| &step.mounts)
            .any(|mount| ids.contains(mount.id.as_str()))
    };
    let other = evidence.builds.iter().filter(|build| !build.is_ours()).find(uses)?;
    let project = match &other.owner {
        Owner::Project(name) => Some(name.clone()),
        Owner::Ours | Owner::Unnamed => None,
    };
    Some(Reason::SharedMount { project })
}
