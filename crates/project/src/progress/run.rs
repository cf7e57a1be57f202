//! Folds the events of a run: what each target has done so far, and the summary of the end.
//!
//! Times here are since the start of the run by the caller's clock; nothing reads a clock.

use std::collections::HashMap;
use std::time::Duration;

use indexmap::IndexMap;

use crate::progress::outcome::{BuildFailure, TargetOutcome};
use crate::progress::place::Places;
use crate::progress::{CancelReason, Change, Counts, Event, SolveStatus, Step, TargetInfo, Trace};

/// One target as far as it has come.
#[derive(Debug, Clone)]
pub struct TargetTrace {
    /// What it is.
    pub info: TargetInfo,
    /// Its steps.
    pub trace: Trace,
    /// When its solve was sent.
    pub started: Option<Duration>,
    /// When it ended.
    pub finished: Option<Duration>,
    /// How it ended.
    pub outcome: Option<TargetOutcome>,
}

/// All targets of a run.
#[derive(Debug, Clone, Default)]
pub struct RunTrace {
    targets: IndexMap<String, TargetTrace>,
    cancelling: Option<CancelReason>,
    /// Where the steps of targets stand that were not planned yet.
    places: HashMap<String, Places>,
    /// When the engine did something for it first, in nanoseconds of the engine's clock.
    began: Option<i128>,
}

impl RunTrace {
    /// Takes over an event that happened `at`. Returns what it changed in the steps of its
    /// target. Events of targets that were never planned are taken as planned now.
    pub fn apply(&mut self, event: &Event, at: Duration) -> Vec<Change> {
        match event {
            Event::Planned { targets } => {
                for info in targets {
                    self.targets
                        .entry(info.name.clone())
                        .or_insert_with(|| TargetTrace::new(info.clone()));
                }
                let places = std::mem::take(&mut self.places);
                self.locate(places);
            }
            Event::TargetStarted { target } => self.target_mut(target).started = Some(at),
            Event::Status { target, status } => {
                self.began = self.began.into_iter().chain(began(status)).min();
                let began = self.began;
                let target = self.target_mut(target);
                target.started.get_or_insert(at);
                target.trace.began = began;
                return target.trace.update(status, at);
            }
            Event::TargetFinished { target, outcome } => {
                let target = self.target_mut(target);
                target.finished = Some(at);
                target.outcome = Some(outcome.clone());
                return target.trace.end();
            }
            Event::Cancelling { reason } => self.cancelling = Some(*reason),
            Event::Warning { .. } => {}
        }
        Vec::new()
    }

    /// Takes over where the steps of targets stand, by their names. May come at any time.
    pub fn locate(&mut self, places: HashMap<String, Places>) {
        for (name, places) in places {
            match self.targets.get_mut(&name) {
                Some(target) => target.trace.locate(places),
                None => {
                    self.places.insert(name, places);
                }
            }
        }
    }

    fn target_mut(&mut self, name: &str) -> &mut TargetTrace {
        self.targets.entry(name.to_owned()).or_insert_with(|| {
            TargetTrace::new(TargetInfo {
                name: name.to_owned(),
                image: String::new(),
                same_as: None,
            })
        })
    }

    /// The targets in the order of the plan.
    pub fn targets(&self) -> impl DoubleEndedIterator<Item = &TargetTrace> + ExactSizeIterator {
        self.targets.values()
    }

    /// A target by name.
    pub fn target(&self, name: &str) -> Option<&TargetTrace> {
        self.targets.get(name)
    }

    /// Why the run is being stopped, if it is.
    pub fn cancelling(&self) -> Option<CancelReason> {
        self.cancelling
    }

    /// The summary of a run that ended `at`. Targets without an outcome count as cancelled.
    pub fn summary(&self, at: Duration) -> RunSummary {
        let targets = self.targets.values().map(|target| target.summary(at)).collect();
        RunSummary { targets, seconds: at.as_secs_f64(), cancelled: self.cancelling }
    }
}

impl TargetTrace {
    fn new(info: TargetInfo) -> Self {
        Self {
            info,
            trace: Trace::of_one_dockerfile(),
            started: None,
            finished: None,
            outcome: None,
        }
    }

    /// Its part of the summary of a run that ended `at`.
    pub fn summary(&self, at: Duration) -> TargetSummary {
        let Counts { cached, run } = match self.outcome {
            Some(TargetOutcome::Built(_)) => self.trace.counts_of_success(),
            _ => self.trace.counts(),
        };
        TargetSummary {
            info: self.info.clone(),
            outcome: self.outcome.clone().unwrap_or(TargetOutcome::Cancelled),
            started: self.started.map(|started| started.as_secs_f64()),
            finished: self.finished.unwrap_or(at).as_secs_f64(),
            cached,
            run,
        }
    }

    /// Why it failed and the step that did, where it failed by a step.
    pub fn failed_step(&self) -> Option<(&BuildFailure, &Step)> {
        let Some(TargetOutcome::Failed(failure)) = &self.outcome else { return None };
        let named = failure.vertex.as_deref().and_then(|digest| self.trace.step_of(digest));
        Some((failure, named.or_else(|| self.trace.failed())?))
    }

    /// Time since its solve was sent, until its end or `at`.
    pub fn elapsed(&self, at: Duration) -> Duration {
        match self.started {
            Some(started) => self.finished.unwrap_or(at).saturating_sub(started),
            None => Duration::ZERO,
        }
    }
}

/// The first start of what the engine does for every build, and before any instruction: it loads the Dockerfile.
fn began(status: &SolveStatus) -> Option<i128> {
    let loading = status.vertexes.iter().filter(|vertex| vertex.name.starts_with("[internal] "));
    loading.filter_map(|vertex| Some(vertex.started?.as_nanosecond())).min()
}

/// What a run did.
#[derive(Debug, Clone, PartialEq)]
pub struct RunSummary {
    /// Every target in the order of the plan.
    pub targets: Vec<TargetSummary>,
    /// Wall time of the run.
    pub seconds: f64,
    /// Why it was stopped before its end, if it was.
    pub cancelled: Option<CancelReason>,
}

/// What a run did for one target.
#[derive(Debug, Clone, PartialEq)]
pub struct TargetSummary {
    /// What it is.
    pub info: TargetInfo,
    /// How it ended.
    pub outcome: TargetOutcome,
    /// Seconds from the start of the run to its solve; `None` if it was never sent.
    pub started: Option<f64>,
    /// Seconds from the start of the run to its end.
    pub finished: f64,
    /// Steps of the Dockerfile that came from the cache.
    pub cached: usize,
    /// Steps of the Dockerfile that ran.
    pub run: usize,
}

impl TargetSummary {
    /// Seconds its solve took; `None` if it was never sent.
    pub fn seconds(&self) -> Option<f64> {
        self.started.map(|started| (self.finished - started).max(0.0))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn targets_without_an_outcome_are_cancelled_and_times_are_the_callers() {
        let mut run = RunTrace::default();
        let second = Duration::from_secs;
        let info = |name: &str| TargetInfo {
            name: name.into(),
            image: format!("p-{name}"),
            same_as: None,
        };
        run.apply(&Event::Planned { targets: vec![info("api"), info("worker")] }, second(0));
        run.apply(&Event::TargetStarted { target: "api".into() }, second(1));
        let outcome = TargetOutcome::Built(Default::default());
        run.apply(&Event::TargetFinished { target: "api".into(), outcome }, second(3));
        run.apply(&Event::Cancelling { reason: CancelReason::Interrupted }, second(4));
        let summary = run.summary(second(5));
        assert_eq!(summary.seconds, 5.0);
        assert_eq!(summary.targets[0].seconds(), Some(2.0));
        assert_eq!(summary.targets[1].outcome, TargetOutcome::Cancelled);
        assert_eq!(summary.targets[1].seconds(), None);
        assert_eq!(summary.cancelled, Some(CancelReason::Interrupted));
    }
}
