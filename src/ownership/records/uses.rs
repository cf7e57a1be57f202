//! Whether the project's recorded builds explain how often and when a record was used.

use std::collections::{BTreeMap, HashMap};

use jiff::{SignedDuration, Timestamp};

use super::Reason;
use super::evidence::RecordEvidence;
use super::input::{Build, BuildStep, Record, RecordKind, StepEnd};
use super::matching::Maker;

/// The engine lets go of a solve's records a little after its last step.
const GRACE: SignedDuration = SignedDuration::from_secs(5);

/// What the uses of every record are compared with.
pub(super) struct Uses<'a> {
    evidence: &'a RecordEvidence,
    /// Builds of ours, from their first step's start to their last one's end.
    own: Vec<(&'a Build, (Timestamp, Timestamp))>,
    /// By instruction, when the last build of somebody else ended that has it.
    others: HashMap<&'a str, Timestamp>,
    /// Records of ours and the steps that made them.
    made: Vec<(&'a Record, &'a BuildStep)>,
}

impl<'a> Uses<'a> {
    pub(super) fn new(evidence: &'a RecordEvidence, made: &BTreeMap<&str, Maker<'a>>) -> Self {
        let mut own = Vec::new();
        let mut others: HashMap<&str, Timestamp> = HashMap::new();
        for build in &evidence.builds {
            let Some(span) = build.span() else { continue };
            if build.is_ours() {
                own.push((build, span));
                continue;
            }
            for step in build.steps.iter() {
                let last = others.entry(step.instruction()).or_insert(span.1);
                *last = span.1.max(*last);
            }
        }
        let maker = |record: &'a Record| match made.get(record.id.as_str()) {
            Some(Maker::Step(step)) => Some((record, *step)),
            _ => None,
        };
        Self { evidence, own, others, made: evidence.records.iter().filter_map(maker).collect() }
    }

    /// The reason to keep a record of ours that somebody else may have used; `None` where nobody did.
    pub(super) fn unexplained(
        &self,
        record: &Record,
        step: &BuildStep,
        exported: bool,
    ) -> Option<Reason> {
        let evidence = self.evidence;
        let created = record.created_at?;
        let everything_known = evidence.complete_since.is_some_and(|since| since <= created);
        let candidate = self.others.get(step.instruction()).is_some_and(|last| *last >= created);
        if everything_known && !candidate {
            return None;
        }
        let until = self.replaced_at(record, step);
        let later = self.own.iter().filter(|(_, (_, end))| *end >= created);
        let explained: u64 = later
            .map(|(build, _)| {
                u64::from(evidence.own_keys || touches(evidence, build, step, exported, until))
            })
            .sum();
        // Measuring a cache mount counts as a use of it, once after each run.
        let is_known = everything_known || evidence.own_keys;
        let is_measured = record.kind == RecordKind::CacheMount && is_known;
        let allowed = if is_measured { 2 * explained } else { explained };
        let in_own_time = record.last_used_at.is_none_or(|used| {
            self.own.iter().any(|(_, (start, end))| *start <= used && used <= *end + GRACE)
        });
        (record.usage_count > allowed || !in_own_time)
            .then_some(Reason::Unexplained { uses: record.usage_count, explained })
    }

    /// When a later run of the same step made a newer record: from then on that one is used.
    fn replaced_at(&self, record: &Record, step: &BuildStep) -> Option<Timestamp> {
        let is_newer = |(other, by): &&(&Record, &BuildStep)| {
            other.kind == record.kind
                && other.created_at > record.created_at
                && by.name == step.name
        };
        self.made.iter().filter(is_newer).filter_map(|(other, _)| other.created_at).min()
    }
}

/// Whether a build of ours surely counted as a use of the record that `step` made.
fn touches(
    evidence: &RecordEvidence,
    build: &Build,
    step: &BuildStep,
    exported: bool,
    until: Option<Timestamp>,
) -> bool {
    // The newer record was made before its step ended.
    let in_time = |own: &&BuildStep| {
        until.is_none_or(|until| own.intervals.last().is_some_and(|(_, end)| *end < until))
    };
    build.steps.iter().filter(|own| own.name == step.name).filter(in_time).any(|own| {
        match own.end {
            StepEnd::Ran => true,
            StepEnd::Cached => {
                let read_by_run = build
                    .steps
                    .iter()
                    .any(|child| child.end == StepEnd::Ran && child.inputs.contains(&own.digest));
                own.is_result || read_by_run || (evidence.counts_whole_chain && exported)
            }
            StepEnd::Unfinished => false,
        }
    })
}
