//! Whether the project's recorded builds explain how often and when a record was used.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::Reason;
use super::input::{Build, BuildStep, Record, RecordEvidence, RecordKind, StepEnd};
use super::matching::Maker;

/// The engine lets go of a solve's records a little after its last step.
const GRACE: SignedDuration = SignedDuration::from_secs(5);

/// The reason to keep a record of ours that somebody else may have used; `None` where nobody did.
pub(super) fn unexplained(
    evidence: &RecordEvidence,
    made: &BTreeMap<&str, Maker>,
    record: &Record,
    step: &BuildStep,
    exported: bool,
) -> Option<Reason> {
    let created = record.created_at?;
    let everything_known = evidence.complete_since.is_some_and(|since| since <= created);
    let candidate = evidence
        .builds
        .iter()
        .filter(|build| !build.is_ours())
        .filter(|build| build.span().is_some_and(|(_, end)| end >= created))
        .any(|build| build.steps.iter().any(|other| other.instruction() == step.instruction()));
    if everything_known && !candidate {
        return None;
    }
    let own = || evidence.builds.iter().filter(|build| build.is_ours());
    let until = replaced_at(evidence, made, record, step);
    let explained: u64 = own()
        .filter(|build| build.span().is_some_and(|(_, end)| end >= created))
        .map(|build| {
            u64::from(evidence.own_keys || touches(evidence, build, step, exported, until))
        })
        .sum();
    // Measuring a cache mount counts as a use of it, once after each run.
    let is_known = everything_known || evidence.own_keys;
    let allowed =
        if record.kind == RecordKind::CacheMount && is_known { 2 * explained } else { explained };
    let in_own_time = record.last_used_at.is_none_or(|used| {
        own().filter_map(Build::span).any(|(start, end)| start <= used && used <= end + GRACE)
    });
    (record.usage_count > allowed || !in_own_time)
        .then_some(Reason::Unexplained { uses: record.usage_count, explained })
}

/// When a later run of the same step made a newer record: from then on that one is used.
fn replaced_at(
    evidence: &RecordEvidence,
    made: &BTreeMap<&str, Maker>,
    record: &Record,
    step: &BuildStep,
) -> Option<Timestamp> {
    let is_newer = |other: &&Record| {
        other.kind == record.kind
            && other.created_at > record.created_at
            && matches!(made.get(other.id.as_str()), Some(Maker::Step(by)) if by.name == step.name)
    };
    evidence.records.iter().filter(is_newer).filter_map(|other| other.created_at).min()
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
