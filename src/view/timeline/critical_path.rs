//! The chain of steps that determined when the build ended.
//!
//! From the end backwards: the step that ended last, of what it reads the one that ended last, and so
//! on. What reads nothing (a base image, the context, the export) follows what ended last before it
//! in its target, and a target's first step the target that ended last before it was sent.
//! docs/design/output.md tells why.

use std::collections::HashSet;

use super::{Fate, Lane, StepIndex, TargetEnd, Timeline};

/// Ends and starts this close are taken as one moment, in seconds: the engine reads its clock
/// more than once between them.
const CLOSE: f64 = 0.001;

/// A step of the path, in the order of time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Leg {
    /// Which step.
    pub place: StepIndex,
    /// Seconds from the end of the leg before it to its start, in which nothing on the path ran.
    pub waited: f64,
    /// Seconds from then to its end.
    pub seconds: f64,
}

/// The critical path, first step first; empty where nothing ran.
pub fn critical_path(timeline: &Timeline) -> Vec<Leg> {
    let mut chain = Vec::new();
    let mut seen = HashSet::new();
    let mut next = last(timeline);
    while let Some(place) = next {
        seen.insert(place);
        chain.push(place);
        next = before(timeline, place, &seen);
    }
    chain.reverse();
    let mut now = 0.0;
    let mut legs = Vec::with_capacity(chain.len());
    for place in chain {
        let Some((start, end)) = timeline.step(place).span() else { continue };
        let begin = start.max(now);
        legs.push(Leg { place, waited: begin - now, seconds: (end - begin).max(0.0) });
        now = end.max(now);
    }
    legs
}

/// Where the path ends: at the failure of a build that failed, also where `--keep-going` had other targets go on after it; of
/// several, at the last one. Else at the step that ended last of the targets that came to an end of their own. What a failure
/// stopped determined nothing.
fn last(timeline: &Timeline) -> Option<StepIndex> {
    let ending = |place: &StepIndex| timeline.lanes[place.lane].ending;
    let failed = timeline.places().filter(|place| {
        ending(place) == TargetEnd::Failed && timeline.step(*place).fate == Fate::Failed
    });
    let of_failed = timeline.places().filter(|place| ending(place) == TargetEnd::Failed);
    let ended = timeline.places().filter(|place| ending(place) != TargetEnd::Cancelled);
    latest(timeline, failed)
        .or_else(|| latest(timeline, of_failed))
        .or_else(|| latest(timeline, ended))
        .or_else(|| latest(timeline, timeline.places()))
}

fn before(timeline: &Timeline, place: StepIndex, seen: &HashSet<StepIndex>) -> Option<StepIndex> {
    let lane = &timeline.lanes[place.lane];
    let step = &lane.steps[place.step];
    let (start, _) = step.span()?;
    let fresh = |place: &StepIndex| !seen.contains(place);
    let here = |step| StepIndex { lane: place.lane, step };
    // Also one that ended after it: where another target did the step, its time is the other's.
    let inputs = step.inputs.iter().copied().map(here).filter(fresh);
    if let Some(input) = latest(timeline, inputs) {
        return Some(input);
    }
    // Instructions that read nothing wait for the frontend alone, not for other stages.
    let graph = step.name.is_instruction();
    let over = |other: &StepIndex| {
        let other = timeline.step(*other);
        let over = other.span().is_some_and(|(_, end)| end <= start + CLOSE);
        over && !(graph && other.name.is_instruction())
    };
    let earlier = (0..lane.steps.len()).map(here).filter(fresh).filter(over);
    // The export waits for the step that nothing else reads.
    let result = |other: &StepIndex| {
        let other = other.step;
        lane.steps[other].name.is_instruction()
            && !lane.steps.iter().any(|step| step.inputs.contains(&other))
    };
    if let Some(result) = latest(timeline, earlier.clone().filter(result)) {
        return Some(result);
    }
    latest(timeline, earlier).or_else(|| {
        let waited_for = target_before(timeline, lane)?;
        let steps = timeline.lanes[waited_for].steps.len();
        let all = (0..steps).map(|step| StepIndex { lane: waited_for, step }).filter(fresh);
        latest(timeline, all)
    })
}

/// The target whose end let this one start: one it needs, or one whose turn under `--parallel` it
/// took over.
fn target_before(timeline: &Timeline, lane: &Lane) -> Option<usize> {
    let (start, _) = lane.span?;
    let over = timeline.lanes.iter().enumerate().filter_map(|(index, other)| {
        let (_, end) = other.span.filter(|_| !std::ptr::eq(other, lane))?;
        (end <= start + CLOSE).then_some((index, end))
    });
    over.max_by(|one, other| one.1.total_cmp(&other.1)).map(|(index, _)| index)
}

/// The step that ended last; of several, the one that started last.
fn latest(timeline: &Timeline, places: impl Iterator<Item = StepIndex>) -> Option<StepIndex> {
    let spans = places.filter_map(|place| Some((place, timeline.step(place).span()?)));
    spans
        .max_by(|(_, one), (_, other)| {
            one.1.total_cmp(&other.1).then_with(|| one.0.total_cmp(&other.0))
        })
        .map(|(place, _)| place)
}
