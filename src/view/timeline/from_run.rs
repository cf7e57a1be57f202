//! From a run that has just ended to its timeline.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;

use super::{Bar, Fate, Lane, TargetEnd, Timeline};
use crate::dockerfile::Outline;
use crate::progress::outcome::TargetOutcome;
use crate::progress::{RunSummary, RunTrace, Step, StepState, TargetTrace};

/// A Dockerfile as far as this machine has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// The file as the user would name it.
    pub file: String,
    /// Its text.
    pub text: String,
}

impl Timeline {
    /// The timeline of a run that began at `started`. `sources` are Dockerfiles by target name.
    pub fn of_run(
        project: &str,
        started: Timestamp,
        run: &RunTrace,
        summary: &RunSummary,
        sources: &BTreeMap<String, Source>,
    ) -> Self {
        let lanes = run.targets().map(|target| {
            let source = sources.get(&target.info.name);
            lane(target, summary.seconds, started, source)
        });
        Self::new(project.to_owned(), started, summary.seconds, lanes.collect())
    }
}

fn lane(target: &TargetTrace, seconds: f64, started: Timestamp, source: Option<&Source>) -> Lane {
    let (ending, error) = match &target.outcome {
        Some(TargetOutcome::Built(_)) => (TargetEnd::Built, None),
        Some(TargetOutcome::Failed(failure)) => (TargetEnd::Failed, Some(failure.message.clone())),
        Some(TargetOutcome::Cancelled) | None => (TargetEnd::Cancelled, None),
    };
    let span = target.started.filter(|_| target.info.same_as.is_none()).map(|start| {
        (start.as_secs_f64(), target.finished.map_or(seconds, |end| end.as_secs_f64()))
    });
    let shown: Vec<&Step> = target.trace.own_steps().filter(|step| is_shown(step)).collect();
    let places: HashMap<&str, usize> =
        shown.iter().enumerate().map(|(place, step)| (step.id.as_str(), place)).collect();
    let place = |digest: &str| places.get(target.trace.step_of(digest)?.id.as_str()).copied();
    let origin = started.as_nanosecond();
    // By the engine's clock: what was still running then was stopped by it.
    let last = shown.iter().filter_map(|step| step.latest()).max().unwrap_or(origin);
    let outline = source.map(|source| Outline::new(&source.text));
    let steps = shown.iter().map(|step| {
        let mut intervals = step.intervals();
        if let Some(open) = step.open_since() {
            let begun = intervals.last().map_or(open, |(_, end)| open.max(*end));
            intervals.push((begun, last.max(begun)));
        }
        let since = |nanos: i128| (nanos - origin) as f64 / 1e9;
        let span = outline.as_ref().and_then(|outline| outline.locate(&step.name));
        Bar {
            digest: step.id.clone(),
            name: step.label.clone(),
            line: span
                .filter(|_| step.label.is_instruction())
                .and_then(|span| u32::try_from(*span.start()).ok()),
            fate: fate(step),
            error: step.error().map(str::to_owned),
            cause: None,
            intervals: intervals
                .into_iter()
                .map(|(start, end)| (since(start), since(end)))
                .collect(),
            bytes: step.bytes().0,
            resources: None,
            inputs: step.inputs().filter_map(place).collect(),
        }
    });
    Lane {
        name: target.info.name.clone(),
        image: target.info.image.clone(),
        same_as: target.info.same_as.clone(),
        ending,
        error,
        span,
        dockerfile: source.map(|source| source.file.clone()),
        steps: steps.collect(),
    }
}

/// Groups that only did what nobody asked for, and what was announced and is not an instruction, are
/// not worth a place.
fn is_shown(step: &Step) -> bool {
    step.is_visible() || (step.state() == StepState::Waiting && step.label.is_instruction())
}

fn fate(step: &Step) -> Fate {
    match step.state() {
        StepState::Waiting => Fate::NotRun,
        // The run is over: what never ended was stopped.
        StepState::Running | StepState::Cancelled => Fate::Cancelled,
        StepState::Failed => Fate::Failed,
        StepState::Cached => Fate::Cached,
        StepState::Done if step.counts_as_cached() == Some(true) => Fate::Cached,
        StepState::Done => Fate::Ran,
    }
}
